"""The messages of ST's validation firmware as typed values (``stm32msg.proto``, version 3).

Every field that is read is checked for its kind; what is not needed is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.stai.protobuf import Value, as_float, fields, message
from pytest_quantcheck.wording import visible

MAJOR = 3
"""Of the protocol's version: another one has other messages."""


class Command(IntEnum):
    """What a request asks for."""

    SYNC = 0
    SYSTEM = 1
    NETWORK = 10
    RUN = 11


class State(IntEnum):
    """Where a request is."""

    IDLE = 0
    WAITING = 1
    PROCESSING = 2
    DONE = 3
    ERROR = 4


class Mode(IntFlag):
    """How a network runs."""

    OUTPUTS = 1
    PER_LAYER = 2


OBSERVER = 1
"""The capability to run layer by layer."""
_ERRORS = {
    1: "a wrong size", 2: "a wrong format", 3: "a wrong state", 4: "a wrong parameter", 5: "a wrong shape",
    6: "an unknown command", 7: "not initialized", 8: "no memory", 10: "an error of the runtime",
}  # fmt: skip
_RUNTIMES = {1: "X-CUBE-AI", 2: "TFLM", 3: "TVM", 4: "Neural-ART", 5: "GLOW", 6: "X-CUBE-AI (relocatable)"}
_PAYLOADS = {
    10: "sync",
    11: "system",
    12: "ack",
    13: "log",
    15: "data",
    16: "operator",
    17: "tensor",
    22: "network",
}
_FLOAT, _INTEGER = 1, 2


@dataclass(frozen=True)
class Response:
    """One message of the device: ``kind`` names what is in ``fields`` (the last of each number counts)."""

    request: int
    state: int
    kind: str
    content: bytes

    @classmethod
    def of(cls, data: bytes) -> Response:
        """``RigFault`` (protocol) for what is no response."""
        found = Fields.of(data)
        for number, kind in _PAYLOADS.items():
            if number in found.last:
                return cls(found.number(1), found.number(2), kind, found.data(number))
        raise RigFault("protocol", "the device's message is no response: it has none of the known contents")


@dataclass(frozen=True)
class Fields:
    """The fields of a message: ``last`` of each number, ``all`` in order."""

    last: Mapping[int, Value]
    all: Sequence[tuple[int, Value]]

    @classmethod
    def of(cls, data: bytes) -> Fields:
        """Raises ``RigFault`` (protocol)."""
        everything = tuple(fields(data))
        return cls(dict(everything), everything)

    def number(self, number: int) -> int:
        """An unsigned number; 0 where it is not given."""
        value = self.last.get(number, 0)
        if not isinstance(value, int):
            raise _wrong(number, "a number")
        return value

    def signed(self, number: int) -> int:
        """A number of 32 bits with a sign, which travels as one of 64."""
        value = self.number(number) & 0xFFFFFFFF
        return value - (1 << 32) if value >> 31 else value

    def real(self, number: int) -> float:
        """A float32; 0 where it is not given."""
        return as_float(self.last.get(number, 0))

    def data(self, number: int) -> bytes:
        """A byte string; empty where it is not given."""
        value = self.last.get(number, b"")
        if not isinstance(value, bytes):
            raise _wrong(number, "bytes")
        return value

    def text(self, number: int) -> str:
        """A text, its control characters made visible."""
        return visible(self.data(number).decode("utf-8", "replace"))

    def each(self, number: int) -> list[bytes]:
        """A repeated message."""
        found = [value for key, value in self.all if key == number]
        if not all(isinstance(value, bytes) for value in found):
            raise _wrong(number, "messages")
        return [value for value in found if isinstance(value, bytes)]


@dataclass(frozen=True)
class TensorInfo:
    """An input or output as the device describes it: ``elements``, ``dtype`` by NumPy's name (empty: one
    that this project has not), ``scale`` 0 where it is not quantized.
    """

    name: str
    dtype: str
    elements: int
    scale: float
    zero_point: int

    @classmethod
    def of(cls, data: bytes) -> TensorInfo:
        """Raises ``RigFault`` (protocol)."""
        found = Fields.of(data)
        return cls(found.text(1), dtype_of(found.number(2)), found.number(3), found.real(6), found.signed(7))


@dataclass(frozen=True)
class Network:
    """What NETWORK_INFO says of the model on the device."""

    name: str
    runtime: str
    signature: str
    version: str
    nodes: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    activation_bytes: int
    weight_bytes: int

    @classmethod
    def of(cls, data: bytes) -> Network:
        """Raises ``RigFault`` (protocol)."""
        found = Fields.of(data)
        version = found.number(5)
        return cls(
            name=found.text(1),
            runtime=_RUNTIMES.get(found.number(2) & 0xFF, "an unknown runtime"),
            signature=found.text(3),
            version=".".join(str(version >> shift & 0xFF) for shift in (24, 16, 8)),
            nodes=found.number(8),
            inputs=tuple(map(TensorInfo.of, found.each(11))),
            outputs=tuple(map(TensorInfo.of, found.each(13))),
            activation_bytes=sum(Fields.of(each).number(3) for each in found.each(15)),
            weight_bytes=sum(Fields.of(each).number(3) for each in found.each(17)),
        )


@dataclass(frozen=True)
class Sync:
    """The protocol's version and what the firmware can do."""

    major: int
    minor: int
    capabilities: int

    @classmethod
    def of(cls, data: bytes) -> Sync:
        """Raises ``RigFault`` (protocol)."""
        found = Fields.of(data)
        version = found.number(1)
        return cls(version >> 8, version & 0xFF, found.number(4))


@dataclass(frozen=True)
class System:
    """The chip: its device id (DBGMCU's) and its clock in hertz. ``packet``: bytes in a packet from here on,
    0: as before (version 3.2 only).
    """

    device: int
    clock_hz: int
    packet: int

    @classmethod
    def of(cls, data: bytes, minor: int) -> System:
        """Raises ``RigFault`` (protocol)."""
        found = Fields.of(data)
        return cls(found.number(1), found.number(2), found.number(5) if minor >= 2 else 0)


@dataclass(frozen=True)
class Operator:
    """What a node took, or (``node`` False) the whole network: time, and bytes of stack (-1: unknown)."""

    name: str
    node: bool
    last: bool
    with_tensors: bool
    number: int
    milliseconds: float
    stack_bytes: int

    @classmethod
    def of(cls, data: bytes) -> Operator:
        """Raises ``RigFault`` (protocol)."""
        found = Fields.of(data)
        flags = found.number(2) >> 24
        return cls(
            name=found.text(1),
            node=flags != 0,
            last=bool(flags & 2),
            with_tensors=not flags & 4,
            number=found.number(3),
            milliseconds=found.real(4),
            stack_bytes=found.signed(7),
        )


def dtype_of(descriptor: int) -> str:
    """NumPy's name of a format descriptor: sign in bit 23, kind in bits 17 to 20, width from bit 7 on."""
    kind, bits, signed = descriptor >> 17 & 0xF, descriptor >> 7 & 0x7F, descriptor >> 23 & 1
    if kind == _INTEGER and bits in (8, 16, 32):
        return f"{'' if signed else 'u'}int{bits}"
    return "float32" if (kind, bits) == (_FLOAT, 32) else ""


def request(number: int, command: Command, *, param: int = 0, name: str = "") -> bytes:
    """A request; every field is required by the protocol."""
    return message([(1, number), (2, command), (3, param), (4, name), (5, 0)])


def data_message(data: bytes) -> bytes:
    """One tensor for the device."""
    return message([(1, 0), (2, len(data)), (3, 0), (4, data)])


ACK = message([(1, 0), (2, 0)])
"""What the host answers a log, and an input that has arrived."""


def tensor_data(content: bytes) -> tuple[bytes, bool]:
    """The bytes of a tensor message, and whether it is the last of its operator or of the outputs."""
    found = Fields.of(content)
    description, data = Fields.of(found.data(1)), Fields.of(found.data(2))
    return data.data(4), bool(description.number(9) & 256)


def refusal(content: bytes) -> str:
    """What the error of an ack means; empty for none."""
    error = Fields.of(content).number(2)
    return _ERRORS.get(error, f"error {error}") if error else ""


def log_text(content: bytes) -> str:
    """What a log message says."""
    return Fields.of(content).text(2)


def _wrong(number: int, wanted: str) -> RigFault:
    return RigFault("protocol", f"the device's message is damaged: field {number} should be {wanted}")
