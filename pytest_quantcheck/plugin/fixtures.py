"""The fixtures, and how to tell tests that use them. None is autouse; what they need is imported on use.

``quant_case`` and ``quant_board`` carry the parameters and are not for tests; ``float_model``, ``quant_data``
and ``quant_config`` may be overridden.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_quantcheck.plugin.items import wanted_board
from pytest_quantcheck.plugin.notes import item_notes

if TYPE_CHECKING:
    from pytest_quantcheck.data.dataset import Dataset, Samples
    from pytest_quantcheck.models.float_model import FloatModel
    from pytest_quantcheck.plugin.cases import Case
    from pytest_quantcheck.plugin.session_state import SessionState
    from pytest_quantcheck.quantizers.config import QuantConfig
    from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
    from pytest_quantcheck.runners.boards import AnyBoard
    from pytest_quantcheck.runners.run import Runner
    from pytest_quantcheck.verdict.gate import Gate
    from pytest_quantcheck.verdict.verdict import Verdict

_STATE = pytest.StashKey["SessionState"]()


@pytest.fixture(scope="session")
def quantcheck_session(pytestconfig: pytest.Config) -> SessionState:
    """What the tests of one process share: models, data, the reference, the board in hand."""
    return state_of(pytestconfig)


def state_of(config: pytest.Config) -> SessionState:
    """The same for whoever is no test function; made on first use."""
    if _STATE not in config.stash:
        from pytest_quantcheck.plugin.session_state import SessionState

        config.stash[_STATE] = SessionState(config)
    return config.stash[_STATE]


def release_board(config: pytest.Config, *, unless: pytest.Item | None) -> None:
    """Give the board back, unless the next item needs the same."""
    state = config.stash.get(_STATE, None)
    if state is not None:
        state.boards.release(unless=wanted_board(unless))


@pytest.fixture
def quant_case(request: pytest.FixtureRequest, quantcheck_session: SessionState) -> Case:  # noqa: ARG001
    """One combination of the ``quant`` marker. (It asks for the session since that marks tests as ours.)"""
    case: Case = request.param
    return case


@pytest.fixture
def quant_config(quant_case: Case) -> QuantConfig | None:
    """The quantization asked for; None for an ``artefact``. Override it to decide otherwise."""
    return quant_case.config


@pytest.fixture
def float_model(quant_case: Case, quantcheck_session: SessionState) -> FloatModel | None:
    """The marker's ``model``, loaded; None when it names none. Override it to use your own."""
    return quantcheck_session.float_model(quant_case)


@pytest.fixture
def quant_data(quant_case: Case, quantcheck_session: SessionState) -> Dataset | None:
    """The marker's ``data``; None when it names none. Override it to use your own ``Dataset``."""
    return quantcheck_session.dataset(quant_case)


@pytest.fixture
def quantized_model(
    quant_case: Case,
    quant_config: QuantConfig | None,
    float_model: FloatModel | None,
    quant_data: Dataset | None,
    quantcheck_session: SessionState,
) -> QuantizedModel:
    """The model quantized as ``quant_config`` asks, or the marker's ``artefact`` as it is."""
    return quantcheck_session.quantized(quant_case, quant_config, float_model, quant_data)


@pytest.fixture
def test_vectors(quant_data: Dataset | None, quantcheck_session: SessionState) -> Samples:
    """The test samples of ``quant_data``; only the first N under ``--qc-vectors N``."""
    return quantcheck_session.vectors(quant_data)


@pytest.fixture(scope="session")
def reference(quantcheck_session: SessionState) -> Runner:
    """The host runner whose integers are right: TFLM where it is installed, else our interpreter."""
    return quantcheck_session.reference


@pytest.fixture
def quant_board(request: pytest.FixtureRequest, quantcheck_session: SessionState) -> str:  # noqa: ARG001
    """Target of the board wanted, or its name under ``--qc-each-board``."""
    return str(request.param)


@pytest.fixture
def board(request: pytest.FixtureRequest, quant_board: str, quantcheck_session: SessionState) -> AnyBoard:
    """A leased board with proven firmware: a ``Runner`` that loads the model where need be."""
    pool = quantcheck_session.boards
    item_notes(request.node).log = pool.log_path(request.node.nodeid)
    return pool.take(quant_board, test=request.node.nodeid)


@pytest.fixture
def gate(request: pytest.FixtureRequest, quantcheck_session: SessionState) -> Iterator[Gate]:
    """``gate.check(run, ...)`` judges a run by exactness, scores, baselines and the ``budget`` marker."""
    from pytest_quantcheck.plugin import markers, outcome

    notes = item_notes(request.node)

    def record(verdict: Verdict) -> None:
        outcome.record(request.node, verdict.row(detailed=quantcheck_session.reporting))

    notes.book = quantcheck_session.book(request.node)
    made = quantcheck_session.gate(markers.budget(markers.marks(request.node, "budget")), notes.book, record)
    if "board" in request.fixturenames:
        made.device = request.getfixturevalue("board")
    if "quant_data" in request.fixturenames:
        made.data = request.getfixturevalue("quant_data")
    yield made
    made.over = True
    notes.asked, notes.refused = made.asked, list(made.refused)
    notes.budget_used = made.budget is not None and made.budget.used
