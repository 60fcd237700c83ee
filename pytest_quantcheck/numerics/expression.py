"""Arithmetic that stands in a text, such as ``1/127.5`` in a configuration file. Nothing is ever executed."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Union

from pytest_quantcheck.errors import UsageError

Number = Union[int, float]
LONGEST = 200
ALLOWED = "numbers, + - * / // % ** and brackets"
_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def arithmetic(text: str) -> Union[Number, tuple[Number, ...]]:
    """The number that ``text`` stands for, or the tuple of numbers: ``1/127.5``, ``-1e-3``, ``(128, 128,
    3)``.

    Numbers, ``+ - * / // % **``, brackets and commas; no names, no calls. A power's exponent is at most 64.
    Raises ``UsageError`` for everything else, for a division by zero and for what is not finite.
    """
    if len(text) > LONGEST:
        raise UsageError(f"an expression of {len(text)} characters; at most {LONGEST} are read")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        parts = tree.elts if isinstance(tree, ast.Tuple) else [tree]
        values = tuple(_value(part, text) for part in parts)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{text!r} is no arithmetic; allowed: {ALLOWED}") from error
    except (ZeroDivisionError, OverflowError) as error:
        raise UsageError(f"{text!r} has no value: {error}") from error
    return values if isinstance(tree, ast.Tuple) else values[0]


def number(text: str) -> float:
    """``arithmetic`` where one number is expected."""
    value = arithmetic(text)
    if isinstance(value, tuple):
        raise UsageError(f"{text!r} is {len(value)} numbers; one is expected")
    return float(value)


def _value(node: ast.expr, text: str) -> Number:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return _finite(node.value, text)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _UNARY[type(node.op)](_value(node.operand, text))
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, text), _value(node.right, text)
        if isinstance(node.op, ast.Pow) and abs(right) <= 64 and abs(left) <= 1e9:
            return _finite(left**right, text)
        if type(node.op) in _BINARY:
            return _finite(_BINARY[type(node.op)](left, right), text)
    raise UsageError(f"{text!r} is no arithmetic; allowed: {ALLOWED}")


def _finite(value: object, text: str) -> Number:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return value
    raise UsageError(f"{text!r} has no finite value")
