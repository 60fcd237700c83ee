"""The checklist for operators in CONTRIBUTING.md: every file it lists has every opcode."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.layout import OPCODES
from pytest_quantcheck.image.read import read_image
from tests.firmware.engine.conftest import network, wide_network

pytestmark = pytest.mark.host
__all__ = ["network", "wide_network"]

ROOT = Path(__file__).parents[2]
_SECTION = re.compile(r"^## Add a kernel.*?(?=^## )", re.MULTILINE | re.DOTALL)
_TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LISTED = re.findall(r"^\| \d+ \| `([^`]+)` \|", _SECTION.findall(_TEXT)[0], re.MULTILINE)


@pytest.fixture(scope="module")
def names(network: QuantGraph, wide_network: QuantGraph) -> dict[str, set[str]]:
    """What each opcode is called on its way: the source's operator, its parameter class, the opcode."""
    found: dict[str, set[str]] = {opcode: {opcode} for opcode in OPCODES if opcode}
    for graph in (network, wide_network):
        compiled = read_image(compile_image(graph).data).operators
        for op, record in zip(graph.operators, compiled, strict=True):
            found[record.opcode] |= {op.kind, type(op.params).__name__}
    return found


def missing(text: str, names: dict[str, set[str]]) -> set[str]:
    """The opcodes that a text has under none of their names."""
    return {
        opcode
        for opcode, called in names.items()
        if not any(re.search(rf"(?<![A-Za-z0-9]){name}(?![A-Za-z0-9_])", text) for name in called)
    }


def test_the_checklist_goes_from_the_model_to_the_board() -> None:
    assert len(LISTED) > 10
    assert LISTED[0] == "pytest_quantcheck/graph/model.py"


@pytest.mark.parametrize("pattern", LISTED)
def test_every_opcode_is_in_each_file_of_the_checklist(pattern: str, names: dict[str, set[str]]) -> None:
    files = sorted(ROOT.glob(pattern))
    assert files, f"CONTRIBUTING.md names {pattern}, which is not there"
    assert missing("\n".join(file.read_text(encoding="utf-8") for file in files), names) == set()


def test_an_opcode_that_is_not_there_is_missed(names: dict[str, set[str]]) -> None:
    assert missing("CONV_2D, QC_OP_ADD and Slice", names) == names.keys() - {
        *("CONV_2D", "ADD", "SLICE"),
    }


def test_other_paths_of_the_checklist_exist() -> None:
    for path in re.findall(
        r"`((?:pytest_quantcheck|firmware|tests|docs)/[\w/.]+)`", _SECTION.findall(_TEXT)[0]
    ):
        assert (ROOT / path).exists(), path
