"""Models broken on purpose between host and board, to show what a failed verdict looks like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph.model import Convolution, QuantGraph
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.runners.board import ArtefactMaker, board_artefact


def wrong_zero_point(graph: QuantGraph) -> QuantGraph:
    """The last convolution takes its input's zero point to be one step higher than it is."""
    convolutions = [op for op in graph.operators if isinstance(op.params, Convolution)]
    if not convolutions:
        raise UsageError("--break zero-point needs a model with a convolution")
    chosen = convolutions[-1]
    assert isinstance(chosen.params, Convolution)
    params = replace(chosen.params, input_zero_point=chosen.params.input_zero_point + 1)
    changed = replace(chosen, params=params)
    return replace(graph, operators=tuple(changed if op is chosen else op for op in graph.operators))


BREAKS: dict[str, Callable[[QuantGraph], QuantGraph]] = {"zero-point": wrong_zero_point}


def broken_image(fault: str) -> ArtefactMaker:
    """A maker of device images that holds the fault; the host keeps the sound model."""
    return lambda model: board_artefact(compile_image(BREAKS[fault](model.folded)))
