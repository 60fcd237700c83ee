"""Faults on virtual boards: one more run finds the operator, its tensor is fetched, the cause named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.report.html.page import render as html
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.report.terminal import why
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.runners.board import BoardRunner, board_artefact
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.verdict.gate import Gate
from pytest_quantcheck.verdict.verdict import Verdict
from tests.catalogue.device import with_constant, with_params

pytestmark = pytest.mark.hw

Change = Callable[[QuantGraph], QuantGraph]
CONV, DEPTHWISE, POINTWISE = 0, 1, 2  # operators of the demo's network
ZERO = -18  # zero point of the third, which has no activation


def _one_scale(rule):
    return replace(
        rule,
        multiplier=np.full_like(rule.multiplier, rule.multiplier[0]),
        shift=np.full_like(rule.shift, rule.shift[0]),
    )


FAULTS: dict[str, tuple[str, int, Change]] = {
    "zero_point_ignored": ("posix", CONV, with_params(CONV, input_zero_point=0)),
    "per_channel_scale": ("virtual-stm32f405", DEPTHWISE, with_params(DEPTHWISE, requantize=_one_scale)),
    "bias_missing": ("virtual-esp32c3", CONV, with_constant(CONV, 2, np.zeros_like)),
    "activation_added": ("posix", POINTWISE, with_params(POINTWISE, act_min=ZERO)),
    "bias_saturated": ("virtual-stm32f405", CONV, with_constant(CONV, 2, lambda b: np.clip(b, -128, 127))),
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_of_the_integers_on_a_board_is_named_in_every_report(new_session, digits, samples, code):
    name, operator, change = FAULTS[code]
    model = digits[0]
    makers = {"qcm": lambda model: board_artefact(compile_image(change(model.folded)))}
    board = BoardRunner(new_session(name, deadlines=Deadlines()), makers=makers)
    verdicts: list[Verdict] = []
    gate = Gate(IntegerRunner(), board, float_outputs=FloatOutputs(), record=verdicts.append)
    with pytest.raises(AssertionError, match="first diverging") as error:
        gate.check(board.run(model, samples))
    found = verdicts[0].divergence
    assert found is not None
    assert found.operator == operator
    assert code in found.ranking[:2], str(found)
    row = verdicts[0].row()
    for text in (str(error.value), "\n".join(why(row)), html(Report((row,)))):
        assert f"operator {operator} (" in text
        assert "ikely cause: " in text
        assert "hat to do: " in text or "what to do" in text
    lost = row.scores[0].lost
    if lost:
        assert lost[0] in "\n".join(why(row))
        assert lost[0] in html(Report((row,)))
