"""What a model file states, whatever its format: tensors and operators as plain values, not judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.numerics.arrays import Array, Float32, IntArray
from pytest_quantcheck.numerics.rounding import Rounding

_NUMPY_NAMES = {"float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"}


@dataclass(frozen=True, eq=False)
class TensorSummary:
    """One tensor as the file states it. ``dtype`` is NumPy's name, or TFLite's for types without one.

    ``data`` is None for activations, else the raw bytes as uint8. ``scales`` and ``zero_points`` are
    empty for tensors that are not quantized; ``axis`` is the quantized dimension.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: Float32
    zero_points: IntArray
    axis: int = 0
    data: npt.NDArray[np.uint8] | None = None
    variable: bool = False
    sparse: bool = False

    @property
    def elements(self) -> int:
        """Number of elements; Python integers, so that it cannot overflow."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def is_whole(self) -> bool:
        """Whether a constant has as many bytes as shape and type say; True where nobody can tell."""
        if self.data is None or self.sparse or self.dtype not in _NUMPY_NAMES:
            return True
        return self.elements * np.dtype(self.dtype).itemsize == len(self.data)

    @property
    def values(self) -> Array:
        """The constant as an array of its own shape; ``ModelError`` when it has no or the wrong bytes."""
        what = f"tensor {self.index} ({self.name})"
        if self.data is None:
            raise ModelError(f"{what} is not a constant")
        if self.dtype not in _NUMPY_NAMES:
            raise ModelError(f"{what} has type {self.dtype}, which has no NumPy equivalent here")
        dtype = np.dtype(self.dtype).newbyteorder("<")
        if min(self.shape, default=1) < 0 or self.elements * dtype.itemsize != len(self.data):
            raise ModelError(f"{what} has shape {self.shape}, but {len(self.data)} bytes of data")
        native = np.dtype(self.dtype)
        return np.frombuffer(self.data.tobytes(), dtype).astype(native, copy=False).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class OperatorSummary:
    """One operator: ``kind`` is TFLite's name, ``options`` what its option table says, by schema name.

    ``options`` is None when the file has no table for a kind that this project reads one of.
    """

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] | None = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Summary:
    """The first subgraph of a file. ``subgraphs`` counts them all; ``rounding`` is the rule of its format
    for turning floats into integers. ``initializers`` are the subgraphs that CALL_ONCE runs before the first
    inference, by their number.
    """

    operators: tuple[OperatorSummary, ...]
    tensors: tuple[TensorSummary, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int
    description: str
    rounding: Rounding = "half_away"
    initializers: Mapping[int, Summary] = field(default_factory=dict)

    @property
    def has_control_flow(self) -> bool:
        """Whether there are subgraphs besides those that give variables their first values."""
        return self.subgraphs != 1 + len(self.initializers)

    @property
    def has_state(self) -> bool:
        """Whether an inference leaves something behind for the next one."""
        return "VAR_HANDLE" in self.kinds or any(tensor.variable for tensor in self.tensors)

    @property
    def takes_sequences(self) -> bool:
        """Whether all of its state goes from inference to inference here; variable tensors begin anew."""
        return self.has_state and not any(tensor.variable for tensor in self.tensors)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The operator kinds that occur, in order of first use."""
        return tuple(dict.fromkeys(op.kind for op in self.operators))

    @property
    def input_tensors(self) -> tuple[TensorSummary, ...]:
        return tuple(self.tensors[i] for i in self.inputs)

    @property
    def output_tensors(self) -> tuple[TensorSummary, ...]:
        return tuple(self.tensors[i] for i in self.outputs)

    @property
    def weights_only(self) -> str:
        """``int8`` or ``float16`` where constants have that type and all arithmetic is float32 (dynamic range
        and float16 quantization), else empty."""
        if any(tensor.data is None and len(tensor.scales) for tensor in self.tensors):
            return ""
        constants = [tensor for tensor in self.tensors if tensor.data is not None]
        kept = {tensor.dtype for tensor in constants if tensor.dtype == "float16" or len(tensor.scales)}
        return next((dtype for dtype in ("float16", "int8") if dtype in kept), "")
