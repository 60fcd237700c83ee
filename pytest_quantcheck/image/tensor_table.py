"""The tensors section of a device image under construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pytest_quantcheck.errors import ImageError
from pytest_quantcheck.graph.model import QuantGraph, Tensor
from pytest_quantcheck.graph.state import State
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.arena import ArenaPlan
from pytest_quantcheck.image.constants import Constants
from pytest_quantcheck.numerics.arrays import Array


class TensorTable:
    """Tensor records in the order of first use."""

    def __init__(self, graph: QuantGraph, plan: ArenaPlan, constants: Constants) -> None:
        self._graph, self._plan, self._constants = graph, plan, constants
        self._index: dict[tuple[int, tuple[int, ...]], int] = {}
        self.records: list[bytes] = []

    def index(self, number: int, shape: tuple[int, ...] | None = None) -> int:
        """The record of a tensor, as if it had another shape where one is given."""
        tensor = self._graph.tensors[number]
        seen = tensor if shape is None else replace(tensor, shape=shape)
        if (number, seen.shape) not in self._index:
            self._index[number, seen.shape] = len(self.records)
            self.records.append(self._record(seen))
        return self._index[number, seen.shape]

    def initial(self, state: State) -> int:
        """The record of a constant that a state begins with."""
        self.records.append(self._record(replace(self._graph.tensors[state.before], data=state.initial)))
        return len(self.records) - 1

    def _record(self, tensor: Tensor) -> bytes:
        if tensor.dtype.name not in layout.DTYPES or len(tensor.shape) > layout.MAX_RANK:
            raise ImageError(
                f"tensor {tensor.index} ({tensor.name}) is {tensor.dtype.name} with {len(tensor.shape)} "
                f"dimensions; an image holds {', '.join(layout.DTYPES)} with at most {layout.MAX_RANK}"
            )
        if tensor.data is not None:
            place, offset = layout.CONSTANT, self._constants.share(_little_endian(tensor.data))
        elif tensor.index in self._plan.tensors:
            place, offset = layout.ARENA, self._plan.tensors[tensor.index]
        else:
            raise ImageError(f"tensor {tensor.index} ({tensor.name}) is read but never written")
        shape = (*tensor.shape, *(0,) * (layout.MAX_RANK - len(tensor.shape)))
        dtype = layout.DTYPES.index(tensor.dtype.name)
        return layout.TENSOR.pack(dtype, len(tensor.shape), place, 0, offset, tensor.nbytes, *shape)


def _little_endian(values: Array) -> bytes:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
