"""A runtime that is not our engine goes through session, runner and gate as ours does.

The model is element-wise, so each of its operators is a table of 256 entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.session import BoardArtefact, BoardSession
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.verdict.gate import Gate
from tests.firmware.harness.conftest import Lookup

pytestmark = pytest.mark.host

ELEMENTS = 256
EVERY_INT8 = np.arange(-128, 128, dtype=np.int8).reshape(1, ELEMENTS)


@pytest.fixture(scope="module")
def model() -> QuantizedModel:
    writer = TfliteWriter()
    x = writer.tensor((1, ELEMENTS), scale=0.05, zero_point=3)
    y = writer.relu(x, scale=0.04, zero_point=-100)
    z = writer.quantize(y, scale=0.03, zero_point=-128)
    return QuantizedModel("elementwise", writer.finish([x], [writer.relu6(z)]))


@pytest.fixture(scope="module")
def tables(model: QuantizedModel) -> list[bytes]:
    """Operator k's table, from what the interpreter makes of every int8 value after k operators."""
    found = []
    before = EVERY_INT8[0]
    for operator in model.graph.operators:
        after = IntegerRunner().tensor(model, [EVERY_INT8], operator.index)[0]
        table = np.zeros(256, np.int8)
        table[before.astype(int) + 128] = after
        found.append(table.tobytes())
        before = after
    return found


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardSession]:
    entry = BoardEntry("lookup", "posix", "posix", settings={"runtime": "lookup"})
    with BoardSession([entry], log_dir=tmp_path_factory.mktemp("logs")) as opened:
        yield opened


@pytest.fixture
def vectors() -> Raw:
    return Raw(np.random.default_rng(0).integers(-128, 128, (12, 1, ELEMENTS)).astype(np.int8))


def makers(tables: Sequence[bytes]) -> dict[str, Callable[[QuantizedModel], BoardArtefact]]:
    artefact = Lookup(ELEMENTS, tables).artefact
    return {"lookup": lambda model: BoardArtefact.of(artefact, ELEMENTS)}


def test_the_gate_passes_a_table_that_says_what_the_interpreter_says(session, model, tables, vectors):
    board = BoardRunner(session, makers=makers(tables))
    run = board.run(model, vectors, operators=True)
    verdict = Gate(reference=IntegerRunner(), device=board).check(run, exact=True)
    assert verdict.passed
    assert verdict.exact
    assert run.runtime == "lookup 1"
    right = IntegerRunner().run(model, vectors, operators=True)
    seen, wanted = ([[each.crc32 for each in one] for one in each.operators] for each in (run, right))
    assert seen == wanted
    assert len(run.counters) == 12


def test_the_gate_names_the_table_with_one_wrong_entry(session, model, tables, vectors):
    wrong = bytearray(tables[1])
    wrong[128] ^= 1  # the entry of 0, which values of this model reach
    board = BoardRunner(session, makers=makers([tables[0], bytes(wrong), tables[2]]))
    run = board.run(model, vectors, operators=True)
    with pytest.raises(AssertionError, match="QUANTIZE"):
        Gate(reference=IntegerRunner(), device=board).check(run, exact=True)


def test_the_image_of_the_flash_store_gives_the_same(model, tables, vectors, tmp_path: Path):
    entry = BoardEntry("lookup-flash", "posix", "posix", settings={"runtime": "lookup"})
    with BoardSession([entry], log_dir=tmp_path, storage="flash") as session:
        run = BoardRunner(session, makers=makers(tables)).run(model, vectors)
    assert run.device.storage == "store"
    assert np.array_equal(run.outputs[0], IntegerRunner().run(model, vectors).outputs[0])


def test_an_artefact_nobody_makes_is_named(session, model, vectors):
    with pytest.raises(UsageError, match="takes 'lookup' artefacts"):
        BoardRunner(session).run(model, vectors)
