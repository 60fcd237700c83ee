"""A Model-Zoo configuration on a virtual board: the model lies in its flash, and scores as on the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.test_yaml import ONNX, TEST, prepare, run, variant

pytestmark = pytest.mark.hw

OURS = "quantcheck: {max_drop: 0.1, board: virtual-esp32c3, vectors: 4, budget: {arena_kib: 64}}\n"


def test_a_model_is_stored_in_flash_and_is_as_right_there_as_here(tmp_path: Path) -> None:
    text = variant("sounds", "chain_qd", ONNX, TEST["sounds"]) + OURS
    (name,) = prepare(tmp_path, "onnx_sounds", {"sounds": text})
    done = run(tmp_path, name, "--qc-rig=virtual")
    assert done.code == 0, done.text
    row = done.rows["sounds", "deploy"]
    assert (row["target"], row["exact"], row["outcome"], row["samples"]) == (
        "virtual-esp32c3",
        True,
        "pass",
        4,
    )
    (score, *_) = row["scores"]
    assert (score["metric"], score["value"], score["samples"]) == ("clip_accuracy", 1.0, 6)
    assert score["inherited"], "bit-exact on four patches: what the host scores on all clips holds here"
    assert {each["name"] for each in row["criteria"] if each["passed"]} >= {"exact", "max_drop", "arena_kib"}
    (folder,) = (path for path in (tmp_path / "experiments_outputs").iterdir() if path.name != "mlruns")
    assert "is stored on virtual-esp32c3 (store)" in (folder / "quantcheck.log").read_text()
