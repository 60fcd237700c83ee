"""Between the float domain and a model's own tensors: what every runner does before and after.

Arrays have the samples first. A model's own leading axis of size 1 gives way to the sample axis:
a model input (1, 8, 8, 1) takes N samples as (N, 8, 8, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.graph.flatbuffer import Summary, TensorSummary, read_summary
from pytest_quantcheck.numerics.affine import dequantize, quantize
from pytest_quantcheck.quantizers.model import QuantizedModel
from pytest_quantcheck.runners.run import Vectors

Array = npt.NDArray[Any]

_INTEGERS = ("int8", "uint8", "int16", "int32")


@lru_cache(maxsize=16)
def summary_of(artefact: bytes) -> Summary:
    """The artefact's tensors and operators, read once. Raises ``ModelError``."""
    return read_summary(artefact)


def sample_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of one sample of a tensor: without the model's own leading axis where that is 1."""
    return tuple(shape[1:]) if len(shape) > 1 and shape[0] == 1 else tuple(shape)


def quantize_inputs(model: QuantizedModel, vectors: Vectors) -> tuple[Array, ...]:
    """The raw tensors that go into the model, (N, ...) each, in its own dtypes.

    ``Samples`` are divided by the input's scale in float32, rounded half away from zero, as TFLM's
    QUANTIZE does, and saturated; a float32 input takes them as float32. ``Raw`` must already have the
    dtype. Raises ``UsageError`` where number, shape or dtype do not fit, or a value is NaN.
    """
    tensors = summary_of(model.artefact).input_tensors
    arrays = vectors.inputs if isinstance(vectors, Samples) else _tuple(vectors)
    if len(arrays) != len(tensors):
        raise UsageError(f"model {model.name} has {len(tensors)} inputs, the vectors {len(arrays)}")
    shaped = [_shaped(model, tensor, np.asarray(x)) for tensor, x in zip(tensors, arrays, strict=True)]
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
        return tuple(shaped)
    return tuple(_quantized(tensor, x, vectors) for tensor, x in zip(tensors, shaped, strict=True))


def dequantize_output(model: QuantizedModel, raw: Array, output: int = 0) -> npt.NDArray[np.float32]:
    """Raw outputs (N, ...) of the model's output number ``output`` in the float domain, float32."""
    tensor = summary_of(model.artefact).output_tensors[output]
    if raw.dtype.kind == "f":
        return raw.astype(np.float32)
    scale, zero_point = _parameters(tensor)
    return dequantize(raw, scale, zero_point)


def model_inputs(model: QuantizedModel, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Inputs (N, ...) in the exact input shapes of the model, (N, *shape) each."""
    tensors = summary_of(model.artefact).input_tensors
    return tuple(
        np.ascontiguousarray(x).reshape(len(x), *tensor.shape)
        for tensor, x in zip(tensors, inputs, strict=True)
    )


def one_inference(model: QuantizedModel, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The raw inputs of one inference, checked, as (1, *shape) each."""
    return model_inputs(model, quantize_inputs(model, Raw(tuple(np.asarray(x)[None] for x in inputs))))


def model_outputs(model: QuantizedModel, outputs: Sequence[Array]) -> tuple[Array, ...]:
    """Outputs (N, *shape) as they stand in a ``Run``."""
    tensors = summary_of(model.artefact).output_tensors
    return tuple(
        x.reshape(len(x), *sample_shape(tensor.shape)) for tensor, x in zip(tensors, outputs, strict=True)
    )


def _tuple(vectors: Raw) -> tuple[Array, ...]:
    return vectors.x if isinstance(vectors.x, tuple) else (vectors.x,)


def _shaped(model: QuantizedModel, tensor: TensorSummary, x: Array) -> Array:
    wanted = sample_shape(tensor.shape)
    if x.ndim < 1 or x.shape[1:] not in (wanted, tensor.shape):
        raise UsageError(
            f"input {tensor.name!r} of model {model.name} takes (N, {', '.join(map(str, wanted))}), "
            f"given: {x.shape}"
        )
    return x.reshape(len(x), *wanted)


def _quantized(tensor: TensorSummary, x: Array, samples: Samples) -> Array:
    real = x.astype(np.float32)
    wrong = np.isnan(real).reshape(len(real), -1).any(axis=1)
    if wrong.any():
        raise UsageError(f"sample {samples.names[int(wrong.argmax())]} contains NaN")
    if tensor.dtype == "float32":
        return real
    scale, zero_point = _parameters(tensor)
    return quantize(real, scale, zero_point, tensor.dtype)


def _parameters(tensor: TensorSummary) -> tuple[np.float32, int]:
    if tensor.dtype not in _INTEGERS or len(tensor.scales) != 1:
        raise ModelError(
            f"tensor {tensor.index} ({tensor.name}) is {tensor.dtype} with {len(tensor.scales)} scales; "
            f"an input or output is float32 or an integer with one scale"
        )
    return tensor.scales[0], int(tensor.zero_points[0]) if len(tensor.zero_points) else 0
