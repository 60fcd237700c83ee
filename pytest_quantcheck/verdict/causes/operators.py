"""Mistakes of single kinds of operators: softmax, tables, pooling, operands, what moves data, float edges."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pytest_quantcheck.graph.execute import computed
from pytest_quantcheck.graph.model import FloatEdge, Pool, Rescale, Slice, Softmax, Table, Window
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.rounding import round_half_away
from pytest_quantcheck.verdict.causes.case import Case, Witness
from pytest_quantcheck.verdict.causes.hypothesis import Hypothesis

_MOST_OPERANDS = 4
_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "LOGISTIC": lambda x: 1 / (1 + np.exp(-x)),
    "TANH": np.tanh,
    "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "ELU": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
}
Result = Callable[[Array], Array]


def operator_hypotheses(case: Case) -> Iterator[Hypothesis]:
    """What is known of the operator's kind."""
    params = case.params
    if isinstance(params, Softmax):
        yield from _softmax(case, params)
    if isinstance(params, Table):
        yield from _table(case, params)
    if isinstance(params, Pool):
        yield from _pool(case, params.window)
    if isinstance(params, Slice):
        yield _of_input(case, "transpose_ignored", "the values in the order they came in", _in_order(case))
    if isinstance(params, FloatEdge) and case.operator.kind == "DEQUANTIZE":
        yield from _dequantize(case, params)
    source = case.graph.tensors[case.operator.inputs[0]]
    if isinstance(params, (Table, Rescale)) and case.output.dtype == source.dtype:
        yield _of_input(case, "activation_missing", "its input passed on as it is", lambda x: x)
    yield from _operands(case)


def _of_input(case: Case, code: str, text: str, result: Result) -> Hypothesis:
    index = case.operator.inputs[0]
    return Hypothesis(code, text, lambda witness: result(computed(witness.expected[index])))


def _in_order(case: Case) -> Result:
    shape = case.output.shape
    return lambda x: np.ascontiguousarray(x).reshape(shape) if x.size == math.prod(shape) else x


def _scale(case: Case, index: int) -> tuple[float, int]:
    quantization = case.graph.tensors[index].quantization
    assert quantization is not None, "an integer activation has a scale"
    return float(quantization.scale[0]), int(quantization.zero_point[0])


def _softmax(case: Case, params: Softmax) -> Iterator[Hypothesis]:
    for step in (1, -1, 2, -2, 3, -3, 4, -4):
        shift = params.input_left_shift + step
        if 0 <= shift < 31:
            changed = replace(params, input_left_shift=shift)
            text = f"the input's scale times {2.0**step:g}"
            yield Hypothesis("softmax_scale", text, _with(case, changed))
    for text, multiplier in (
        ("the input's multiplier halved", params.input_multiplier // 2),
        ("no multiplier of the input", 1 << 30),
    ):
        yield Hypothesis("softmax_scale", text, _with(case, replace(params, input_multiplier=multiplier)))
    scale, _ = _scale(case, case.operator.inputs[0])
    real = params.input_multiplier / 2.0**31 * 2.0**params.input_left_shift / 2.0**26  # beta * scale
    for words, base, factor in (
        ("exponentials of real numbers", math.e, real),
        ("powers of two instead of e", 2.0, real),
        ("exponentials of the integers, without the scale", math.e, 1.0),
        ("powers of two of the integers, without the scale", 2.0, 1.0),
        ("exponentials with the scale alone, without beta", math.e, scale),
    ):
        for rounding, rounded in (
            ("", np.rint),
            (", halves away from zero", round_half_away),
            (", cut", np.floor),
        ):
            result = _real_softmax(case, base, factor, rounded)
            yield _of_input(case, "softmax_table", f"{words}{rounding}", result)


def _with(case: Case, params: object) -> Callable[[Witness], Array]:
    return lambda witness: case.compute(witness, params=params)


def _real_softmax(case: Case, base: float, factor: float, rounded: Result) -> Result:
    limits = np.iinfo(case.output.dtype.name)
    scale, zero = _scale(case, case.operator.outputs[0])

    def result(x: Array) -> Array:
        powers = np.power(base, (x.astype(np.float64) - x.max(axis=-1, keepdims=True)) * factor)
        real = powers / powers.sum(axis=-1, keepdims=True)
        steps: Array = np.clip(rounded(real / scale) + zero, limits.min, limits.max)
        return steps.astype(case.output.dtype)

    return result


def _table(case: Case, params: Table) -> Iterator[Hypothesis]:
    values = params.values.astype(case.output.dtype)
    for text, place in (
        ("the table read with the unsigned byte", lambda x: x.astype(np.int64) & 0xFF),
        ("the table read from zero on, negative values at its beginning", lambda x: np.maximum(x, 0)),
        ("the table read backwards", lambda x: 127 - x.astype(np.int64)),
        ("the table read one entry late", lambda x: np.minimum(x.astype(np.int64) + 129, 255)),
        ("the table read one entry early", lambda x: np.maximum(x.astype(np.int64) + 127, 0)),
    ):
        yield _of_input(case, "table_index", text, _looked_up(values, place))
    function = _FUNCTIONS.get(case.operator.kind)
    if function is None:
        return
    (scale_in, zero_in), (scale, zero) = (
        _scale(case, i) for i in (case.operator.inputs[0], case.operator.outputs[0])
    )
    ways: tuple[tuple[str, Result], ...] = (
        ("", lambda y: np.rint(y) + zero),
        (", halves away from zero", lambda y: round_half_away(y) + zero),
        (", rounded down", lambda y: np.floor(y) + zero),
        (", cut towards zero", lambda y: np.trunc(y) + zero),
        (", cut towards zero with the zero point", lambda y: np.trunc(y + zero)),
    )
    for words, rounded in ways:

        def result(x: Array, rounded: Result = rounded) -> Array:
            with np.errstate(over="ignore"):
                real = function((x.astype(np.float64) - zero_in) * scale_in)
            steps: Array = np.clip(rounded(real / scale), -128, 127)
            return steps.astype(case.output.dtype)

        text = f"{case.operator.kind} of real numbers instead of the fixed-point table{words}"
        yield _of_input(case, "table_float", text, result)


def _looked_up(values: Array, place: Result) -> Result:
    return lambda x: values[place(x)]


Divide = Callable[[Array, Array], Array]
_DIVISIONS: tuple[tuple[str, Divide], ...] = (
    ("", lambda total, count: np.sign(total) * ((np.abs(total) + count // 2) // count)),
    (", cut towards zero", lambda total, count: np.sign(total) * (np.abs(total) // count)),
    (", rounded down", lambda total, count: total // count),
    (", halves up", lambda total, count: (total + count // 2) // count),
    (", halves to even", lambda total, count: np.rint(total / count)),
)


def _pool(case: Case, window: Window) -> Iterator[Hypothesis]:
    index = case.operator.inputs[0]
    _, zero = _scale(case, index) if case.graph.tensors[index].quantization else (1.0, 0)
    if case.operator.kind == "MAX_POOL_2D":
        for fill in dict.fromkeys((0, zero, -1)):
            text = f"the largest value sought from {fill} on"
            yield _of_input(case, "pool_start", text, _largest(case, window, fill, start=fill))
            text = f"cells of {fill} around the picture"
            yield _of_input(case, "pool_padding", text, _largest(case, window, fill, start=-(1 << 15)))
        return
    for words, divide in _DIVISIONS:
        if words:
            average = _averages(case, window, divide, 0, whole=False)
            yield _of_input(case, "pool_rounding", f"averages{words}", average)
        for fill in dict.fromkeys((0, zero)):
            text = f"averages that count cells of {fill} around the picture{words}"
            average = _averages(case, window, divide, fill, whole=True)
            yield _of_input(case, "pool_padding", text, average)


def _finished(case: Case, values: Array) -> Array:
    result: Array = np.clip(values, case.params.act_min, case.params.act_max).astype(case.output.dtype)
    return result


def _largest(case: Case, window: Window, fill: int, *, start: int) -> Result:
    return lambda x: _finished(case, np.maximum(_cells(case, x, window, fill).max(axis=(4, 5)), start))


def _averages(case: Case, window: Window, divide: Divide, fill: int, *, whole: bool) -> Result:
    """``whole``: every cell of the window counts, also those around the picture."""

    def result(x: Array) -> Array:
        total = _cells(case, x, window, fill).sum(axis=(4, 5))
        count = _cells(case, np.ones_like(x), window, int(whole)).sum(axis=(4, 5))
        return _finished(case, divide(total, count))

    return result


def _cells(case: Case, x: Array, window: Window, fill: int) -> Array:
    """(B, out_h, out_w, C, kernel_h, kernel_w) of the padded picture (B, H, W, C), int64."""
    pads = []
    for axis, kernel, stride, before in (
        (1, window.kernel_h, window.stride_h, window.pad_top),
        (2, window.kernel_w, window.stride_w, window.pad_left),
    ):
        needed = (case.output.shape[axis] - 1) * stride + kernel
        pads.append((before, max(needed - before - x.shape[axis], 0)))
    padded = np.pad(x.astype(np.int64), ((0, 0), *pads, (0, 0)), constant_values=fill)
    views = sliding_window_view(padded, (window.kernel_h, window.kernel_w), axis=(1, 2))
    strided: Array = views[:, :: window.stride_h, :: window.stride_w]
    return strided[:, : case.output.shape[1], : case.output.shape[2]]


def _dequantize(case: Case, params: FloatEdge) -> Iterator[Hypothesis]:
    scale, zero = np.float32(params.scale), np.float32(params.zero_point)
    for text, result in (
        ("the integers themselves as floats", lambda x: x.astype(np.float32)),
        ("the integers less their zero point, without the scale", lambda x: x.astype(np.float32) - zero),
        ("the integers times the scale, without the zero point", lambda x: x.astype(np.float32) * scale),
        (
            "the integers read with the other sign (int8 and uint8)",
            lambda x: ((x.view(np.uint8) ^ np.uint8(128)).view(x.dtype).astype(np.float32) - zero) * scale,
        ),
    ):
        yield _of_input(case, "output_not_dequantized", text, result)


def _operands(case: Case) -> Iterator[Hypothesis]:
    """The operands in another order, where the shapes allow it."""
    places = case.operator.inputs
    kinds = ("ADD", "SUB", "MUL", "CONCATENATION", "PACK", "PRELU", "BATCH_MATMUL", "MINIMUM", "MAXIMUM")
    if case.operator.kind not in kinds or not 2 <= len(places) <= _MOST_OPERANDS or min(places) < 0:
        return
    for order in permutations(range(len(places))):
        if order == tuple(range(len(places))):
            continue
        text = f"operands in the order {', '.join(map(str, order))}"
        yield Hypothesis("operands_swapped", text, _in_other_order(case, order))


def _in_other_order(case: Case, order: tuple[int, ...]) -> Callable[[Witness], Array]:
    return lambda witness: case.compute(witness, order=order)
