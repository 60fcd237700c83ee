"""docs/model-zoo.md does what it says, from a model and a folder of images to a board."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.pages import Shell, blocks, carry_out, reader_environment

pytestmark = pytest.mark.hw

PAGE = Path(__file__).parents[2] / "docs" / "model-zoo.md"


def test_a_newcomer_gets_from_a_model_and_images_to_a_board(tmp_path: Path) -> None:
    folder, private = tmp_path / "here", tmp_path / "private"
    folder.mkdir()
    private.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = reader_environment(PATH=path, QC_CACHE=str(tmp_path / "cache"), TF_CPP_MIN_LOG_LEVEL="3")
    assert carry_out(PAGE, Shell(folder, environment, private)) == 6


def test_every_block_is_carried_out() -> None:
    assert {block.kind for block in blocks(PAGE)} == {"console", "python", "yaml"}
