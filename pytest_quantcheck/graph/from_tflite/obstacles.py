"""Everything in a ``.tflite`` file that the integer graph refuses, not only what comes first."""

from __future__ import annotations

from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.formats.summary import OperatorSummary
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.graph.from_tflite.fold import fold, is_folded
from pytest_quantcheck.graph.from_tflite.read import read_operator
from pytest_quantcheck.graph.from_tflite.rules import SUPPORTED
from pytest_quantcheck.graph.from_tflite.variables import without_variables


def unknown_operators(data: bytes) -> dict[str, list[OperatorSummary]]:
    """The operators whose kind is not supported, by kind. Raises ``ModelError`` for a damaged file."""
    summary, _ = without_variables(read_tflite_summary(data))
    folded, _ = fold(summary)
    found: dict[str, list[OperatorSummary]] = {}
    for op in summary.operators:
        if op.kind not in SUPPORTED and not is_folded(op, folded):
            found.setdefault(op.kind, []).append(op)
    return found


def refusals(data: bytes) -> list[tuple[OperatorSummary, str]]:
    """The operators of a known kind that are refused, each with the reason, which names it."""
    summary, _ = without_variables(read_tflite_summary(data))
    folded, _ = fold(summary)
    found = []
    for op in summary.operators:
        if op.kind in SUPPORTED and not is_folded(op, folded):
            try:
                read_operator(op, summary, folded)
            except QuantcheckError as error:
                found.append((op, str(error)))
    return found
