"""Tensors as the device describes and sends them (``aiTensorDescMsg``, ``aiTensorMsg``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.stai.fields import Fields
from pytest_quantcheck.rig.stai.protobuf import broken
from pytest_quantcheck.wording import clipped

INPUT, OUTPUT, INTERNAL = 1, 2, 4
_KINDS = INPUT | OUTPUT | INTERNAL
_LAST = 256
# sign in bit 23, kind from bit 17 on, width from bit 7 on, 64 + fraction bits in the lowest 7
_FORMATS = {
    0x840440: "int8", 0x040440: "uint8", 0x840840: "int16", 0x040840: "uint16",
    0x841040: "int32", 0x041040: "uint32", 0x821040: "float32",
}  # fmt: skip
_WIDTHS = {name: (descriptor >> 7 & 0x7F) // 8 for descriptor, name in _FORMATS.items()}  # bytes
_FORMAT_BITS = 0x1FFFFFF  # above them are flags
_INTEGER, _NO_FRACTION = 2, 64
_SHAPE_BITS = 24
_BCWH, _BCHW = 1, 3


@dataclass(frozen=True)
class TensorInfo:
    """An input or output as the device describes it: ``dtype`` by NumPy's name, or what else it is in words;
    ``shape`` in the order of its axes in NHWC networks; ``scale`` 0 where it is not quantized.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @classmethod
    def of(cls, data: bytes) -> TensorInfo:
        """Raises ``RigFault`` (protocol), also where number of elements and dimensions contradict."""
        found = Fields.of(data)
        name, size, described = found.text(1), found.number(3), found.number(4)
        dims = found.counts(5)
        if described & (1 << _SHAPE_BITS) - 1 != len(dims) or math.prod(dims) != size:
            raise broken(f"the tensor {clipped(name, 40)!r} has {size} elements and the dimensions {dims}")
        shape = _shape(described >> _SHAPE_BITS & 0xF, dims)
        return cls(name, _format(found.number(2)), shape, found.real(6), found.signed(7))

    @property
    def elements(self) -> int:
        """How many."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Its bytes on the wire, without padding; 0 for a type that is none of NumPy's."""
        return self.elements * _WIDTHS.get(self.dtype, 0)


@dataclass(frozen=True)
class TensorMessage:
    """A tensor that the device sends: ``described`` as ``TensorInfo`` reads it, ``size`` what it says of
    ``data``.
    """

    described: bytes
    flags: int
    size: int
    data: bytes

    @classmethod
    def of(cls, content: bytes) -> TensorMessage:
        """Raises ``RigFault`` (protocol)."""
        found = Fields.of(content)
        described, data = found.data(1), Fields.of(found.data(2))
        return cls(described, Fields.of(described).number(9), data.number(2), data.data(4))

    @property
    def kind(self) -> int:
        """``INPUT``, ``OUTPUT`` or ``INTERNAL``."""
        return self.flags & _KINDS

    @property
    def last(self) -> bool:
        """Whether it is the last of its node, or of the outputs."""
        return bool(self.flags & _LAST)

    def output(self, what: str, promised: TensorInfo, *, last: bool) -> bytes:
        """Its bytes. ``RigFault`` (protocol) where it is not the output that NETWORK_INFO ``promised``."""
        info = TensorInfo.of(self.described)
        if info != promised:
            raise RigFault("protocol", f"{what} comes as {info}; NETWORK_INFO describes {promised}")
        if self.kind != OUTPUT:
            raise RigFault("protocol", f"{what}: its flags 0x{self.flags:X} say that it is no output")
        if self.last != last:
            raise RigFault(
                "protocol", f"{what}: the device calls it {'the last' if self.last else 'not the last'}"
            )
        if not len(self.data) == self.size == promised.nbytes:
            raise RigFault(
                "protocol",
                f"{what} has {promised.nbytes} bytes, the device sent {len(self.data)} and says {self.size}",
            )
        return self.data


def _format(descriptor: int) -> str:
    known = _FORMATS.get(descriptor & _FORMAT_BITS)
    kind, bits, fraction = descriptor >> 17 & 0xF, descriptor >> 7 & 0x7F, descriptor & 0x7F
    if known is None and kind == _INTEGER and fraction != _NO_FRACTION:
        return f"fixed point of {bits} bits, {(fraction - _NO_FRACTION) % 128} of them fraction (Qm.n)"
    return known or f"the format 0x{descriptor:X}"


def _shape(order: int, dims: Sequence[int]) -> tuple[int, ...]:
    """Batch, height, width (others), channel; ST's two older orders name the channel second, or last but
    stored first. Source: ``_get_shape_from_msg`` of ST's host.
    """
    if len(dims) < 4:
        return tuple(dims)
    if order == _BCWH:
        return (dims[0], dims[3], dims[2], *dims[4:], dims[1])
    return (*dims[:-3], dims[-1], *dims[-3:-1]) if order == _BCHW else tuple(dims)
