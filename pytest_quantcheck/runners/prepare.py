"""Between the float domain and a model's own tensors: what every runner does before and after.

Arrays have the samples first. A model's own leading axis of size 1 gives way to the sample axis:
a model input (1, 8, 8, 1) takes N samples as (N, 8, 8, 1). A model with states also takes sequences, with
T steps behind the sample axis: (N, T, 8, 8, 1). Each step is an inference; a sequence begins with the initial
states.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.data.lazy import Lazy
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.summary import Summary, TensorSummary
from pytest_quantcheck.numerics.affine import dequantize, quantize
from pytest_quantcheck.numerics.arrays import Array, Float32
from pytest_quantcheck.numerics.rounding import Rounding
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.run import Vectors

_INTEGERS = ("int8", "uint8", "int16", "int32")
_FAR = (
    2.0**30
)  # steps: further away the int32 in TFLM's QUANTIZE overflows, and what comes of it depends on the CPU


@lru_cache(maxsize=16)
def summary_of(artefact: bytes) -> Summary:
    """The artefact's tensors and operators, read once. Raises ``ModelError``."""
    return read_summary(artefact)


def require_tflite(artefact: bytes, runner: str) -> None:
    """Raises ``UsageError`` for an ONNX model, which ``runner`` cannot take."""
    if is_onnx(artefact):
        raise UsageError(f"this is an ONNX model, which {runner} does not run; use integer or onnxruntime")


def sample_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of one sample of a tensor: without the model's own leading axis where that is 1."""
    return tuple(shape[1:]) if len(shape) > 1 and shape[0] == 1 else tuple(shape)


def quantize_inputs(model: QuantizedModel, vectors: Vectors) -> tuple[Array, ...]:
    """The raw tensors that go into the model, (N, ...) each, in its own dtypes.

    ``Samples`` are divided by the input's scale in float32, rounded half away from zero, as TFLM's
    QUANTIZE does (of ONNX models half to even, as onnxruntime's does), and saturated; a float32 input takes
    them as float32. ``Raw`` must already have the dtype. Raises ``UsageError`` where number, shape or dtype
    do not fit, a value is not finite, or one at a float32 input is so far out of range that runtimes do not
    agree on it.
    """
    tensors = summary_of(model.artefact).input_tensors
    arrays = vectors.inputs
    if len(arrays) != len(tensors):
        raise UsageError(f"model {model.name} has {len(tensors)} inputs, the vectors {len(arrays)}")
    shaped = [_shaped(model, tensor, x) for tensor, x in zip(tensors, arrays, strict=True)]
    if len({_time_axis(tensor, x) for tensor, x in zip(tensors, shaped, strict=True)}) > 1:
        raise UsageError(f"the inputs of model {model.name} hold different numbers of steps")
    if len({len(x) for x in shaped}) != 1:
        raise UsageError(f"the inputs hold different numbers of samples: {[len(x) for x in shaped]}")
    if not len(shaped[0]):
        raise UsageError(f"there is no sample to run model {model.name} on")
    if isinstance(vectors, Raw):
        for tensor, x in zip(tensors, shaped, strict=True):
            if x.dtype.name != tensor.dtype:
                raise UsageError(
                    f"raw input {tensor.name!r} is {x.dtype.name}, the model takes {tensor.dtype}"
                )
    names = vectors.names if isinstance(vectors, Samples) else range(len(shaped[0]))
    return tuple(
        _checked(model, tensor, x, names, quantized=isinstance(vectors, Samples))
        for tensor, x in zip(tensors, shaped, strict=True)
    )


def dequantize_output(model: QuantizedModel, raw: Array, output: int = 0) -> Float32:
    """Raw outputs (N, ...) of the model's output number ``output`` in the float domain, float32."""
    return _real_values(summary_of(model.artefact).output_tensors[output], raw)


def _time_axis(tensor: TensorSummary, x: Array) -> tuple[int, ...]:
    """The steps of sequences ``x`` as (T,), of an input that was quantized; () of single inferences."""
    return x.shape[1 : x.ndim - len(sample_shape(tensor.shape))]


def steps_of(model: QuantizedModel, inputs: Sequence[Array]) -> tuple[int, ...]:
    """The steps of sequences as (T,), of ``model_inputs``; () of single inferences."""
    return inputs[0].shape[1 : inputs[0].ndim - len(summary_of(model.artefact).input_tensors[0].shape)]


def model_inputs(model: QuantizedModel, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Inputs (N, ...) in the exact input shapes of the model, (N, *shape) each, or (N, T, *shape)."""
    tensors = summary_of(model.artefact).input_tensors
    return tuple(
        (x if isinstance(x, Lazy) else np.ascontiguousarray(x)).reshape(
            len(x), *_time_axis(tensor, x), *tensor.shape
        )
        for tensor, x in zip(tensors, inputs, strict=True)
    )


def one_inference(model: QuantizedModel, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The raw inputs of one inference, checked, as (1, *shape) each; of a sequence as (1, T, *shape)."""
    return model_inputs(model, quantize_inputs(model, Raw(tuple(np.asarray(x)[None] for x in inputs))))


def model_outputs(
    model: QuantizedModel, outputs: Sequence[Array], steps: tuple[int, ...] = ()
) -> tuple[Array, ...]:
    """Outputs (N, *shape) as they stand in a ``Run``; of sequences (N, T, *shape), with ``steps`` as (T,).
    ``ModelError`` where the file declares another size.
    """
    tensors = summary_of(model.artefact).output_tensors
    pairs = enumerate(zip(tensors, outputs, strict=True))
    return tuple(_as_declared(tensor, x, number, steps) for number, (tensor, x) in pairs)


def _as_declared(tensor: TensorSummary, x: Array, number: int, steps: tuple[int, ...]) -> Array:
    inferences = len(x) * math.prod(steps)
    if x.size != inferences * math.prod(tensor.shape):
        raise ModelError(
            f"the file declares output {number} as {tensor.shape} and computes "
            f"{x.size // max(inferences, 1)} values: it is damaged, export the model again"
        )
    return x.reshape(len(x), *steps, *sample_shape(tensor.shape))


def dequantize_input(model: QuantizedModel, raw: Array, number: int = 0) -> Float32:
    """Raw inputs (N, ...) of the model's input ``number`` in the float domain, float32."""
    return _real_values(summary_of(model.artefact).input_tensors[number], raw)


def _real_values(tensor: TensorSummary, raw: Array) -> Float32:
    if raw.dtype.kind == "f" or (tensor.dtype == "int32" and not len(tensor.scales)):  # ARG_MAX's places
        return raw.astype(np.float32)
    scale, zero_point = _parameters(tensor)
    return dequantize(raw, scale, zero_point)


def _shaped(model: QuantizedModel, tensor: TensorSummary, x: Array) -> Array:
    x = x if isinstance(x, Lazy) else np.asarray(x)
    wanted = sample_shape(tensor.shape)
    stateful = summary_of(model.artefact).takes_sequences
    if stateful and x.ndim > 1 and x.shape[1] > 0 and x.shape[2:] in (wanted, tensor.shape):
        return x.reshape(*x.shape[:2], *wanted)
    if x.ndim < 1 or x.shape[1:] not in (wanted, tensor.shape):
        axes = ", ".join(map(str, wanted))
        raise UsageError(
            f"input {tensor.name!r} of model {model.name} takes (N, {axes})"
            f"{f', or sequences of T steps (N, T, {axes})' * stateful}, given: {x.shape}"
        )
    return x.reshape(len(x), *wanted)


def _checked(
    model: QuantizedModel, tensor: TensorSummary, x: Array, names: Sequence[object], *, quantized: bool
) -> Array:
    """``x`` (N, ...) without values that are refused, in the tensor's dtype where it is to be ``quantized``;
    of a ``Lazy`` one that becomes of its rows, when they are made.
    """
    largest, rounding = _largest(model, tensor), summary_of(model.artefact).rounding

    def done(block: Array, known: Sequence[object]) -> Array:
        if block.dtype.kind == "f":
            _refuse_far(block, largest, tensor, known)
        return _quantized(tensor, block, rounding) if quantized else block

    if not isinstance(x, Lazy):
        return done(x, names)
    return cast(Array, x.map(lambda block: done(block, ()), dtype=tensor.dtype if quantized else x.dtype))


def _largest(model: QuantizedModel, tensor: TensorSummary) -> float:
    """The largest magnitude that an input takes: what the QUANTIZE behind a float32 input still converts."""
    summary = summary_of(model.artefact)
    scales = [
        float(summary.tensors[op.outputs[0]].scales[0])
        for op in summary.operators
        if op.kind == "QUANTIZE" and op.outputs and tensor.index in op.inputs
        if len(summary.tensors[op.outputs[0]].scales)
    ]
    return min([_FAR * scale for scale in scales if tensor.dtype == "float32"], default=float("inf"))


def _refuse_far(x: Array, largest: float, tensor: TensorSummary, names: Sequence[object]) -> None:
    good = np.isfinite(x)
    if np.isfinite(largest):
        good &= np.abs(x) <= largest
    if good.all():
        return
    sample, *where = (int(axis) for axis in np.unravel_index(int(good.argmin()), x.shape))
    limit = "finite numbers" if np.isinf(largest) else f"-{largest:g} to {largest:g}"
    name = f"sample {names[sample]}" if names else "a sample"
    raise UsageError(
        f"{name} holds {x[(sample, *where)]} at {where} of input {tensor.name!r}; "
        f"allowed: {limit}. Clip or leave out such values: runtimes do not agree on them"
    )


def _quantized(tensor: TensorSummary, x: Array, rounding: Rounding) -> Array:
    real = x.astype(np.float32, copy=False)
    if tensor.dtype == "float32":
        return real
    scale, zero_point = _parameters(tensor)
    return quantize(real, scale, zero_point, tensor.dtype, rounding=rounding)


def on_grid(tensor: TensorSummary, real: Array) -> Array:
    """Numbers (N, ...) of the float domain as ``tensor`` holds them, the nearest integers."""
    return _quantized(tensor, real, "half_away")


def _parameters(tensor: TensorSummary) -> tuple[np.float32, int]:
    if tensor.dtype not in _INTEGERS or len(tensor.scales) != 1:
        raise ModelError(
            f"tensor {tensor.index} ({tensor.name}) is {tensor.dtype} with {len(tensor.scales)} scales; "
            f"an input or output is float32 or an integer with one scale"
        )
    if not (np.isfinite(tensor.scales[0]) and tensor.scales[0] > 0):
        raise ModelError(
            f"tensor {tensor.index} ({tensor.name}) has the scale {tensor.scales[0]}; one above 0 is "
            "allowed. Quantize the model again"
        )
    return tensor.scales[0], int(tensor.zero_points[0]) if len(tensor.zero_points) else 0
