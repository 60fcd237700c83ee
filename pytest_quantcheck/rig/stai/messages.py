"""The messages of ST's validation firmware as typed values (``stm32msg.proto``, version 3).

Every field that is read is checked for its kind; what is not needed is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.stai.fields import Fields
from pytest_quantcheck.rig.stai.protobuf import broken, message
from pytest_quantcheck.rig.stai.tensors import TensorInfo

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
RESET_STATES = 1
"""The option of RUN that has a recurrent network forget the samples before."""
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


@dataclass(frozen=True)
class Response:
    """One message of the device: ``kind`` names what is in ``content``."""

    request: int
    state: int
    kind: str
    content: bytes

    @classmethod
    def of(cls, data: bytes) -> Response:
        """``RigFault`` (protocol) for what is no response."""
        found = Fields.of(data)
        known = [number for number in _PAYLOADS if number in found.numbers]
        if len(known) != 1:
            raise RigFault(
                "protocol", f"the device's message is no response: it has {len(known)} of the known contents"
            )
        return cls(found.number(1), found.number(2), _PAYLOADS[known[0]], found.data(known[0]))


@dataclass(frozen=True)
class Network:
    """What NETWORK_INFO says of the model on the device: all but addresses and what it took to start."""

    name: str
    runtime: str
    signature: str
    compiled: str
    version: str
    tools: str
    macs: int
    nodes: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    activation_bytes: int
    weight_bytes: int

    @classmethod
    def of(cls, data: bytes) -> Network:
        """Raises ``RigFault`` (protocol)."""
        found = Fields.of(data)
        for count, described in ((10, 11), (12, 13), (14, 15), (16, 17)):
            if found.number(count) != (there := len(found.each(described))):
                raise broken(f"field {count} counts {found.number(count)} tensors, {there} are described")
        return cls(
            name=found.text(1),
            runtime=_RUNTIMES.get(found.number(2) & 0xFF, "an unknown runtime"),
            signature=found.text(3),
            compiled=found.text(4),
            version=_version(found.number(5)),
            tools=_version(found.number(6)),
            macs=found.number(7, bits=64),
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
    number: int
    milliseconds: float
    stack_bytes: int

    @classmethod
    def of(cls, data: bytes) -> Operator:
        """Raises ``RigFault`` (protocol)."""
        found = Fields.of(data)
        return cls(
            name=found.text(1),
            node=bool(found.number(2) >> 24),
            number=found.number(3),
            milliseconds=found.real(4),
            stack_bytes=found.signed(7),
        )


def request(number: int, command: Command, *, param: int = 0, name: str = "", option: int = 0) -> bytes:
    """A request; every field is required by the protocol."""
    return message([(1, number), (2, command), (3, param), (4, name), (5, option)])


def data_message(data: bytes) -> bytes:
    """One tensor for the device."""
    return message([(1, 0), (2, len(data)), (3, 0), (4, data)])


ACK = message([(1, 0), (2, 0)])
"""What the host answers a log, and an input that has arrived."""


def refusal(content: bytes) -> str:
    """What the error of an ack means; empty for none."""
    error = Fields.of(content).number(2)
    return _ERRORS.get(error, f"error {error}") if error else ""


def log_text(content: bytes) -> str:
    """What a log message says."""
    return Fields.of(content).text(2)


def _version(number: int) -> str:
    return ".".join(str(number >> shift & 0xFF) for shift in (24, 16, 8))
