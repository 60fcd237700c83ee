"""Boards for the rig's own tests: every family's, each a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.session import BoardSession

ENTRIES = {
    "posix": BoardEntry("posix", "posix", "posix", virtual=True),
    "virtual-stm32f405": BoardEntry("virtual-stm32f405", "stm32", "virtual-stm32f405", virtual=True),
    "virtual-esp32c3": BoardEntry("virtual-esp32c3", "esp32", "virtual-esp32c3", virtual=True),
}


@pytest.fixture(scope="session")
def entries() -> dict[str, BoardEntry]:
    """One board of each family, by name."""
    return ENTRIES


@pytest.fixture(scope="session")
def digits() -> list[QuantizedModel]:
    """The demo's models: int8 per channel and per tensor, uint8, float output, float edges."""
    return demo_models()


@pytest.fixture(scope="session")
def samples() -> Samples:
    """Eight held-out digits."""
    return demo_samples().take(range(8))


@pytest.fixture
def new_session(tmp_path: Path):
    """``new_session(name, retries=0, ...)``: a session on a fresh board, closed after the test."""
    opened = []

    def make(name="posix", *, retries=0, entry=None, **how) -> BoardSession:
        session = BoardSession(
            [entry or ENTRIES[name]],
            log_dir=tmp_path / "logs",
            ledger=FaultLedger(retries=retries),
            **{"deadlines": Deadlines(operator=2.5), **how},
        )
        opened.append(session)
        return session

    yield make
    for session in opened:
        session.close()
