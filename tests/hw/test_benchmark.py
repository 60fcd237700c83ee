"""``quantcheck benchmark --board``: what was planned on the host is what the board takes, layer by layer."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantcheck.cli import main
from pytest_quantcheck.demo.artefacts import demo_models
from tests.documents import read

pytestmark = pytest.mark.hw


@pytest.mark.parametrize("board", ["virtual-stm32f405", "virtual-esp32c3"])
def test_a_board_measures_each_layer_and_has_the_planned_sizes(board: str, tmp_path: Path) -> None:
    artefact, target = tmp_path / "digits.tflite", tmp_path / "b.json"
    artefact.write_bytes(demo_models()[0].artefact)
    logs = ["--log-dir", str(tmp_path)]
    assert main(["benchmark", str(artefact), "--board", board, "--json", str(target), *logs]) == 0
    found = read(target.read_text())
    measured = found["measured"]
    assert (measured["target"], measured["unit"]) == (board, "instructions")
    assert measured["arena_bytes"] == found["arena_bytes"]
    (stack,) = (use["stack"] for use in found["targets"] if use["target"] == board)
    assert 0 < measured["stack_bytes"] < stack
    layers = sum(layer["counter"] for layer in found["layers"])
    (least, most) = sorted(measured["counters"])
    assert 0.97 * least < layers <= most
    busiest = max(found["layers"], key=lambda layer: layer["counter"])
    assert busiest["macs"] == max(layer["macs"] for layer in found["layers"])
