"""What came in was not what was meant: quantized in another way, in another order, shifted, cut, or old."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pytest_quantcheck.graph.model import FloatEdge, Tensor
from pytest_quantcheck.numerics.affine import quantize
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.causes.case import Case, Witness, has_exponents
from pytest_quantcheck.verdict.causes.exponents import other_factors, other_widths
from pytest_quantcheck.verdict.causes.hypothesis import Hypothesis
from pytest_quantcheck.verdict.causes.places import cut_places

SHIFTS = (1, 2, 3, 4, 8)
Change = Callable[[Witness], Array]


def input_hypotheses(case: Case, first: Witness) -> Iterator[Hypothesis]:
    """Of an operator that reads inputs of the model.

    Zeros come first: of whatever else would turn every value into 0 they are no evidence.
    """
    exponents = has_exponents(case.graph)
    for number, index in enumerate(case.graph.inputs):
        if index in case.active:
            others = changes(case.graph.tensors[index], number, first, exponents=exponents)
            for code, text, change in (never_written(number), *others):
                yield Hypothesis(code, text, _computed(case, index, change))
            yield from cut_places(case, number, first)
    yield from _exchanged(case)
    if isinstance(case.params, FloatEdge) and case.operator.kind == "QUANTIZE":
        yield from _edge(case)


def never_written(number: int) -> tuple[str, str, Change]:
    """As one of ``changes``."""
    return "vector_old", "an input of zeros (it was never written)", lambda w: np.zeros_like(w.inputs[number])


def changes(
    tensor: Tensor, number: int, first: Witness, *, exponents: bool
) -> Iterator[tuple[str, str, Change]]:
    """``(code, in words, what the raw input then is)`` for the model's input of that number.

    ``exponents``: the model has them, and so they may be mistaken.
    """
    if tensor.dtype.kind in "iu" and first.floats is not None and tensor.quantization is not None:
        for code, text, how in quantizations(tensor, exponents=exponents):
            yield code, text, _of_floats(tensor, number, how)
        for text, how in other_widths(tensor) if exponents else ():
            yield "int8_int16", text, _of_floats(tensor, number, how)
    if tensor.dtype.itemsize == 1:
        yield "input_int8_uint8", "the input shifted by 128 (int8 and uint8 mistaken)", _int8_uint8(number)
    for code, text, order in orders(tensor.shape):
        yield code, text, _reordered(number, order)
    if tensor.dtype.itemsize > 1:
        text = "the bytes of each input value in reverse order"
        yield "input_byte_order", text, lambda w: w.inputs[number].byteswap()
    for step in SHIFTS:
        for sign, word in ((1, "late"), (-1, "early")):
            text = f"the input {step} byte{'s' if step > 1 else ''} {word}"
            yield "vector_shifted", text, _shifted(number, sign * step, wrap=False)
            yield "vector_shifted", f"{text}, turned around the end", _shifted(number, sign * step, wrap=True)
    if first.before is not None:
        text = "the input of the inference before"
        yield "vector_old", text, lambda w: w.before[number] if w.before else w.inputs[number]


def quantizations(tensor: Tensor, *, exponents: bool) -> Iterator[tuple[str, str, Callable[[Array], Array]]]:
    """Other ways from floats to the input's integers: ``(code, in words, how)``."""
    assert tensor.quantization is not None, "asked for before"
    scale = np.float32(tensor.quantization.scale[0])
    zero = int(tensor.quantization.zero_point[0])
    limits = np.iinfo(tensor.dtype.name)
    low, high = int(limits.min), int(limits.max)

    def kept(x: Array) -> Array:
        result: Array = np.clip(x, low, high).astype(tensor.dtype)
        return result

    def wrapped(x: Array) -> Array:
        result: Array = x.astype(np.int64).astype(tensor.dtype)
        return result

    yield "input_not_quantized", "the float input cast to integers", lambda x: kept(np.trunc(x))
    yield "input_not_quantized", "the float input cast to integers that wrap", lambda x: wrapped(np.trunc(x))
    yield "input_not_quantized", "the float input rounded to integers", lambda x: kept(np.rint(x))
    yield (
        "input_not_quantized",
        "pixels from 0 to 255 in place of the quantized input",
        lambda x: wrapped(np.rint(x * 255)),
    )
    for what, early in (("the input", False), ("input and zero point", True)):
        for words, cut in (("cut towards zero", np.trunc), ("rounded down", np.floor)):
            text = f"{what} {words} instead of rounded to nearest"
            yield "input_truncated", text, _cut(cut, scale, zero, kept, early=early)
    yield "input_zero_point", "the input without its zero point", lambda x: kept(np.rint(x / scale))
    yield (
        "input_zero_point",
        "the zero point of the input subtracted",
        lambda x: kept(np.rint(x / scale) - zero),
    )
    yield (
        "input_wraps",
        "input values that wrap instead of saturating",
        lambda x: wrapped(np.rint(x / scale) + zero),
    )
    for code, text, factor in other_factors(tensor) if exponents else ():
        yield code, text, _times(factor, np.rint, kept)
        yield code, f"{text}, cut towards zero", _times(factor, np.trunc, kept)
    yield "input_scale", "the input multiplied by its scale", lambda x: kept(np.rint(x * scale) + zero)
    yield "input_scale", "the input with the scale 1/128", lambda x: kept(np.rint(x * 128))
    yield "input_scale", "the input with the scale 1/127", lambda x: kept(np.rint(x * 127))


def _times(
    factor: float, rounded: Callable[[Array], Array], kept: Callable[[Array], Array]
) -> Callable[[Array], Array]:
    return lambda x: kept(rounded(x.astype(np.float64) * factor))


def _cut(
    cut: Callable[[Array], Array],
    scale: np.float32,
    zero: int,
    kept: Callable[[Array], Array],
    *,
    early: bool,
) -> Callable[[Array], Array]:
    """Not rounded; ``early``: the zero point is added before the fraction is lost."""
    if early:
        return lambda x: kept(cut(x / scale + np.float32(zero)))
    return lambda x: kept(cut(x / scale) + zero)


def orders(shape: tuple[int, ...]) -> Iterator[tuple[str, str, Callable[[Array], Array]]]:
    """The same values in another order, for a tensor (1, ...) of this shape: ``(code, in words, how)``."""
    if len(shape) == 4:
        n, h, w, c = shape
        if c > 1 and h * w > 1:
            text = "the input as NCHW where NHWC is wanted"
            yield "input_layout", text, lambda x: x.transpose(0, 3, 1, 2).reshape(shape)
            text = "the input as NHWC where its values are in the order NCHW"
            yield "input_layout", text, lambda x: x.reshape(n, c, h, w).transpose(0, 2, 3, 1)
            text = "the input as NHWC where NCHW is wanted"
            yield "input_layout", text, lambda x: x.transpose(0, 2, 3, 1).reshape(shape)
            text = "the input as NCHW where its values are in the order NHWC"
            yield "input_layout", text, lambda x: x.reshape(n, w, c, h).transpose(0, 3, 1, 2)
            text = "the input's channels in reverse order (RGB and BGR)"
            yield "channel_order", text, lambda x: x[..., ::-1]
    else:
        w, h, c, n = 1, 1, 1, 1
    if len(shape) in (3, 4) and shape[1] > 1 and shape[2] > 1:
        h, w = shape[1:3]
        rest = shape[3:]
        text = "the input's rows and columns exchanged"
        yield "input_transposed", text, lambda x: np.swapaxes(x, 1, 2).reshape(shape)
        if h != w:
            text = "the input's values in the order column by column"
            yield "input_transposed", text, lambda x: np.swapaxes(x.reshape(1, w, h, *rest), 1, 2)
        yield "input_turned", "the input upside down", lambda x: x[:, ::-1]
        yield "input_turned", "the input mirrored", lambda x: x[:, :, ::-1]
        yield "input_turned", "the input turned by 180 degrees", lambda x: x[:, ::-1, ::-1]
        if h == w:
            yield "input_turned", "the input turned to the left", lambda x: np.rot90(x, 1, (1, 2))
            yield "input_turned", "the input turned to the right", lambda x: np.rot90(x, 3, (1, 2))


def _computed(case: Case, index: int, change: Change) -> Callable[[Witness], Array]:
    shape = case.graph.tensors[index].shape

    def compute(witness: Witness) -> Array:
        value = np.ascontiguousarray(change(witness)).reshape(shape)
        return case.compute(witness, values={index: value})

    return compute


def _of_floats(tensor: Tensor, number: int, how: Callable[[Array], Array]) -> Change:
    def change(witness: Witness) -> Array:
        assert witness.floats is not None, "the first inference had floats"
        return how(np.asarray(witness.floats[number], np.float32).reshape(tensor.shape))

    return change


def _int8_uint8(number: int) -> Change:
    def change(witness: Witness) -> Array:
        raw = witness.inputs[number]
        other: Array = (raw.view(np.uint8) ^ np.uint8(128)).view(raw.dtype)
        return other

    return change


def _reordered(number: int, order: Callable[[Array], Array]) -> Change:
    return lambda witness: order(witness.inputs[number])


def _shifted(number: int, step: int, *, wrap: bool) -> Change:
    def change(witness: Witness) -> Array:
        raw = np.ascontiguousarray(witness.inputs[number])
        data = np.roll(raw.reshape(-1).view(np.uint8), step)
        if not wrap:
            data[slice(0, step) if step > 0 else slice(step, None)] = 0
        shifted: Array = data.view(raw.dtype).reshape(raw.shape)
        return shifted

    return change


def _exchanged(case: Case) -> Iterator[Hypothesis]:
    """Two inputs of one shape in each other's place, as raw values or before they were quantized."""
    tensors = [case.graph.tensors[i] for i in case.graph.inputs]
    for a, one in enumerate(tensors):
        for b, other in enumerate(tensors[a + 1 :], a + 1):
            if one.shape != other.shape or one.dtype != other.dtype:
                continue

            def compute(witness: Witness, a: int = a, b: int = b) -> Array:
                pairs = {case.graph.inputs[a]: witness.inputs[b], case.graph.inputs[b]: witness.inputs[a]}
                return case.compute(witness, values={i: v for i, v in pairs.items() if i in case.active})

            def again(witness: Witness, a: int = a, b: int = b) -> Array:
                if witness.floats is None:
                    return compute(witness, a, b)
                values = {}
                for here, there in ((a, b), (b, a)):
                    tensor = tensors[here]
                    floats = np.asarray(witness.floats[there], np.float32).reshape(tensor.shape)
                    values[case.graph.inputs[here]] = _quantized(tensor, floats)
                return case.compute(witness, values={i: v for i, v in values.items() if i in case.active})

            text = f"inputs {a} and {b} exchanged"
            yield Hypothesis("inputs_swapped", text, compute)
            yield Hypothesis("inputs_swapped", text, again)


def _quantized(tensor: Tensor, floats: Array) -> Array:
    if tensor.dtype.kind == "f" or tensor.quantization is None:
        return floats
    q = tensor.quantization
    return quantize(floats, q.scale[0], int(q.zero_point[0]), tensor.dtype)


def _edge(case: Case) -> Iterator[Hypothesis]:
    """Float inputs that the model's first operator quantizes."""
    source = case.operator.inputs[0]
    for code, text, how in quantizations(case.output, exponents=has_exponents(case.graph)):

        def compute(witness: Witness, how: Callable[[Array], Array] = how) -> Array:
            value = witness.expected[source]
            assert value is not None, "it came in"
            return how(value)

        yield Hypothesis(code, text, compute)
