"""Two independent engines run the same image: unicorn with our exceptions and peripherals, and QEMU's own."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.run import Run
from rigs.stm32 import family


def runs_on(engine: str, folder, models: list) -> list[Run]:
    entry = replace(family.virtual_boards()[0], settings={"engine": engine})
    with BoardSession([entry], log_dir=folder / engine, ledger=FaultLedger(retries=0)) as session:
        runner = BoardRunner(session)
        return [runner.run(model, demo_samples().take(range(4)), operators=True) for model in models]


@pytest.mark.skipif(
    shutil.which("qemu-system-arm") is None, reason="needs QEMU: apt-get install qemu-system-arm"
)
def test_both_engines_give_the_same_integers_and_the_same_counts(tmp_path) -> None:
    models = demo_models()
    ours, qemu = (runs_on(engine, tmp_path, models) for engine in ("unicorn", "qemu"))
    for one, other in zip(ours, qemu, strict=True):
        assert [each.tobytes() for each in one.outputs] == [each.tobytes() for each in other.outputs]
        assert one.operators == other.operators  # checksums and instructions of each operator
        assert one.counters == other.counters
        assert min(one.counters) > 100_000
