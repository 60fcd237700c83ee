"""The axes and lists of integers that an operator is told, and where an axis lies in the graph."""

from __future__ import annotations

from typing import Any

from pytest_quantcheck.formats.onnx import Attributes
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Value, nhwc_order


def axis_from_front(t: Translation, node: Any, axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        t.fail(node, f"axis {axis} of {rank} dimensions")
    return axis % rank


def place(value: Value, axis: int) -> int:
    """Where an axis of the model lies in the graph."""
    return nhwc_order(len(value.shape)).index(axis) if value.channels_last else axis


def listed(
    t: Translation, node: Any, given: Attributes, name: str, default: list[int] | None = None
) -> list[int]:
    """An integer list that is an input in newer operator sets and an attribute in older ones."""
    values = t.constant_input(node, 1)
    if values is not None:
        return [int(v) for v in values.reshape(-1)]
    found = given.get(name, default)
    if found is None:
        t.fail(node, f"its {name} must be a constant")
    return list(found)


def numbers(
    t: Translation, node: Any, position: int, name: str, default: list[int] | None = None
) -> list[int]:
    """A constant list of integers among the inputs."""
    values = t.constant_input(node, position)
    if values is None and default is None:
        t.fail(node, f"its {name} must be a constant")
    return default or [] if values is None else [int(v) for v in values.reshape(-1)]
