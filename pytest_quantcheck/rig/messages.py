"""What travels over the link: numbers of requests and errors, and the payloads as values.

``firmware/LINK.md`` is normative; every class here names its section. Nothing here does I/O.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

PROTOCOL = 1
PAYLOAD_MAX = 1024
NO_RUN = 0xFFFFFFFF


class Kind(IntEnum):
    """Frame types: requests, and what a device may send by itself."""

    HELLO = 0x01
    BEGIN = 0x02
    DATA = 0x03
    COMMIT = 0x04
    SELECT = 0x05
    DESCRIBE = 0x06
    RUN = 0x07
    READ = 0x08
    BAUD = 0x09
    ECHO = 0x0A
    FAULT = 0x0B
    LOOP = 0x0C
    COUNTER = 0x0D
    STORE = 0x0E
    REBOOT = 0x0F
    BANNER = 0xFD
    BUSY = 0xFE
    ERROR = 0xFF


REPLY = 0x80


class Status(IntEnum):
    """``qc_status_t`` of ``firmware/include/qc_status.h``."""

    OK = 0
    MAGIC = 1
    VERSION = 2
    SIZE = 3
    CRC = 4
    BOUNDS = 5
    ALIGN = 6
    TYPE = 7
    SHAPE = 8
    PARAM = 9
    UNSUPPORTED = 10
    NO_MEMORY = 11
    NO_MODEL = 12
    STATE = 13
    ARGUMENT = 14
    PROTOCOL = 15
    UNKNOWN = 16


STATUS_TEXT = {
    Status.MAGIC: "not a device image",
    Status.VERSION: "the image's format version is not supported by this firmware",
    Status.SIZE: "a size, count or length is out of range",
    Status.CRC: "stored and recomputed CRC-32 differ",
    Status.BOUNDS: "an offset points outside its section",
    Status.ALIGN: "an offset is not aligned",
    Status.TYPE: "an unknown value of an enumeration",
    Status.SHAPE: "shapes of an operator do not fit together",
    Status.PARAM: "an operator's parameter is out of range",
    Status.UNSUPPORTED: "valid, but this runtime cannot do it",
    Status.NO_MEMORY: "the board's RAM is too small",
    Status.NO_MODEL: "no such image is on the board",
    Status.STATE: "the request does not fit the device's state",
    Status.ARGUMENT: "a field of the request is out of range",
    Status.PROTOCOL: "another protocol version",
    Status.UNKNOWN: "a request this firmware does not know",
}


class Capability(IntFlag):
    """``QC_CAP_*`` of ``firmware/include/qc_runtime.h``."""

    OPERATOR_CRC = 1
    TENSOR_FETCH = 2
    PROFILE = 4
    LOAD = 8


class Place(IntEnum):
    """Where the current model lies."""

    NONE = 0
    RAM = 1
    STORE = 2
    BUILTIN = 3


DTYPES = ("int8", "uint8", "int16", "int32", "float32")
"""NumPy names by the value of the ``dtype`` field."""


class MessageError(ValueError):
    """A payload that is shorter, longer or otherwise not what ``firmware/LINK.md`` says."""


def _unpack(layout: struct.Struct, payload: bytes, what: str) -> tuple[int, ...]:
    if len(payload) != layout.size:
        raise MessageError(f"{what} has {len(payload)} bytes, not {layout.size}")
    return layout.unpack(payload)


def _pack_text(text: str) -> bytes:
    coded = text.encode()[:255]
    return bytes([len(coded)]) + coded


class _Reader:
    """Takes length-prefixed fields from the front of a payload."""

    def __init__(self, payload: bytes, what: str) -> None:
        self._rest = payload
        self._what = what

    def take(self, size: int) -> bytes:
        if size > len(self._rest):
            raise MessageError(f"{self._what} ends {size - len(self._rest)} bytes too early")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def counted(self) -> bytes:
        return self.take(self.take(1)[0])

    def text(self) -> str:
        return self.counted().decode(errors="replace")

    def end(self) -> None:
        if self._rest:
            raise MessageError(f"{self._what} has {len(self._rest)} bytes too many")


@dataclass(frozen=True)
class Hello:
    """Who is there and what it holds (LINK.md, HELLO). All CRCs were computed for this answer."""

    protocol: int
    nonce: int
    board: str
    chip: str
    unique_id: bytes
    runtime: str
    version: str
    artefact: str
    capabilities: Capability
    build_id: str
    firmware_bytes: int
    firmware_crc32: int
    clock_hz: int
    counts_instructions: bool
    pool_bytes: int
    store_bytes: int
    store_address: int
    store_alignment: int
    place: Place
    image_bytes: int
    image_crc32: int
    image_sha256: bytes
    boot_count: int
    crashed: bool
    window: int
    chunk: int
    bad_frames: int
    overruns: int

    _FIXED = struct.Struct("<HBB 12I 32s HHII")

    @property
    def unit(self) -> str:
        """What the counter counts."""
        return "instructions" if self.counts_instructions else "cycles"

    def pack(self) -> bytes:
        """The answer's payload."""
        fixed = self._FIXED.pack(
            self.protocol,
            self.counts_instructions | self.crashed << 1,
            self.place,
            self.nonce,
            self.clock_hz,
            self.firmware_bytes,
            self.firmware_crc32,
            self.boot_count,
            self.capabilities,
            self.pool_bytes,
            self.store_bytes,
            self.store_address,
            self.store_alignment,
            self.image_bytes,
            self.image_crc32,
            self.image_sha256,
            self.window,
            self.chunk,
            self.bad_frames,
            self.overruns,
        )
        texts = (self.board, self.chip, self.runtime, self.version, self.artefact, self.build_id)
        return fixed + bytes([len(self.unique_id)]) + self.unique_id + b"".join(map(_pack_text, texts))

    @classmethod
    def unpack(cls, payload: bytes) -> Hello:
        """Read the answer's payload; ``MessageError`` when it is not one."""
        reader = _Reader(payload, "HELLO")
        fixed = cls._FIXED.unpack(reader.take(cls._FIXED.size))
        if fixed[2] not in list(Place):
            raise MessageError(f"HELLO names place {fixed[2]}, which is not known")
        unique_id = reader.counted()
        board, chip, runtime, version, artefact, build_id = (reader.text() for _ in range(6))
        reader.end()
        return cls(
            protocol=fixed[0],
            counts_instructions=bool(fixed[1] & 1),
            crashed=bool(fixed[1] & 2),
            place=Place(fixed[2]),
            nonce=fixed[3],
            clock_hz=fixed[4],
            firmware_bytes=fixed[5],
            firmware_crc32=fixed[6],
            boot_count=fixed[7],
            capabilities=Capability(fixed[8]),
            pool_bytes=fixed[9],
            store_bytes=fixed[10],
            store_address=fixed[11],
            store_alignment=fixed[12],
            image_bytes=fixed[13],
            image_crc32=fixed[14],
            image_sha256=fixed[15],
            window=fixed[16],
            chunk=fixed[17],
            bad_frames=fixed[18],
            overruns=fixed[19],
            unique_id=unique_id,
            board=board,
            chip=chip,
            runtime=runtime,
            version=version,
            artefact=artefact,
            build_id=build_id,
        )


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: NumPy name of the data type, and bytes."""

    dtype: str
    bytes: int


@dataclass(frozen=True)
class ModelInfo:
    """The loaded model as the runtime sees it (LINK.md, DESCRIBE)."""

    arena_bytes: int
    operators: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    _FIXED = struct.Struct("<IIHH")
    _TENSOR = struct.Struct("<II")

    def pack(self) -> bytes:
        """The answer's payload."""
        head = self._FIXED.pack(self.arena_bytes, self.operators, len(self.inputs), len(self.outputs))
        tensors = (*self.inputs, *self.outputs)
        return head + b"".join(self._TENSOR.pack(DTYPES.index(each.dtype), each.bytes) for each in tensors)

    @classmethod
    def unpack(cls, payload: bytes) -> ModelInfo:
        """Read the answer's payload; ``MessageError`` when it is not one."""
        reader = _Reader(payload, "DESCRIBE")
        arena_bytes, operators, inputs, outputs = cls._FIXED.unpack(reader.take(cls._FIXED.size))
        tensors = []
        for _ in range(inputs + outputs):
            dtype, size = cls._TENSOR.unpack(reader.take(cls._TENSOR.size))
            if dtype >= len(DTYPES):
                raise MessageError(f"DESCRIBE names data type {dtype}, which is not known")
            tensors.append(TensorInfo(DTYPES[dtype], size))
        reader.end()
        return cls(arena_bytes, operators, tuple(tensors[:inputs]), tuple(tensors[inputs:]))


@dataclass(frozen=True)
class RunResult:
    """One inference (LINK.md, RUN).

    ``counter`` is in the unit that HELLO names and holds nothing but the runtime's invoke.
    ``operators`` were finished, of ``records`` there is a record. ``outputs`` is empty after a run
    that was stopped. ``disturbed``: bytes came in meanwhile, so interrupts may be counted too.
    """

    counter: int
    operators: int
    records: int
    stack_bytes: int
    stopped: bool
    disturbed: bool
    outputs: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class RunAnswer:
    """The payload of RUN's answer: the result without outputs, and what was sent along of them."""

    result: RunResult
    inlined: bool
    data: bytes

    _FIXED = struct.Struct("<BBHIQII")

    def pack(self) -> bytes:
        """The answer's payload."""
        result = self.result
        flags = result.stopped | result.disturbed << 1 | self.inlined << 2
        return (
            self._FIXED.pack(
                flags, 0, 0, result.operators, result.counter, result.stack_bytes, result.records
            )
            + self.data
        )

    @classmethod
    def unpack(cls, payload: bytes) -> RunAnswer:
        """Read the answer's payload; ``MessageError`` when it is not one."""
        reader = _Reader(payload, "RUN")
        flags, _, _, operators, counter, stack, records = cls._FIXED.unpack(reader.take(cls._FIXED.size))
        result = RunResult(
            counter=counter,
            operators=operators,
            records=records,
            stack_bytes=stack,
            stopped=bool(flags & 1),
            disturbed=bool(flags & 2),
        )
        return cls(result, bool(flags & 4), payload[cls._FIXED.size :])


@dataclass(frozen=True)
class OperatorResult:
    """What one operator did: ``index`` in the image, ``source_index`` in the model it came from.

    ``crc32`` is over its output in the source layout; it and ``counter`` are None where the
    runtime cannot tell. ``nbytes`` is the size of the output.
    """

    index: int
    source_index: int
    crc32: int | None
    nbytes: int
    counter: int | None

    SIZE = 24
    _FIXED = struct.Struct("<IIIIQ")

    def pack(self) -> bytes:
        """One record of READ's operator records."""
        return self._FIXED.pack(
            self.index, self.source_index, self.crc32 or 0, self.nbytes, self.counter or 0
        )

    @classmethod
    def unpack(cls, payload: bytes, capabilities: Capability) -> OperatorResult:
        """Read one record; what the runtime is not capable of becomes None."""
        index, source_index, crc32, size, counter = _unpack(cls._FIXED, payload, "an operator record")
        return cls(
            index,
            source_index,
            crc32 if capabilities & Capability.OPERATOR_CRC else None,
            size,
            counter if capabilities & Capability.PROFILE else None,
        )


@dataclass(frozen=True)
class CrashRecord:
    """Where the firmware was when it crashed last (LINK.md, FAULT).

    ``cause`` is the port's: the exception number or mcause, the signal on a host. ``operators`` were
    finished in the run that crashed; None when none was under way.
    """

    held: bool
    cause: int
    pc: int
    address: int
    link_register: int
    request: int
    operators: int | None
    boot_count: int

    _FIXED = struct.Struct("<8I")

    def pack(self) -> bytes:
        """The answer's payload."""
        operators = NO_RUN if self.operators is None else self.operators
        return self._FIXED.pack(
            self.held,
            self.cause,
            self.pc,
            self.address,
            self.link_register,
            self.request,
            operators,
            self.boot_count,
        )

    @classmethod
    def unpack(cls, payload: bytes) -> CrashRecord:
        """Read the answer's payload; ``MessageError`` when it is not one."""
        held, cause, pc, address, link, request, operators, boots = _unpack(cls._FIXED, payload, "FAULT")
        return cls(
            bool(held), cause, pc, address, link, request, None if operators == NO_RUN else operators, boots
        )

    def __str__(self) -> str:
        name = Kind(self.request).name if self.request in list(Kind) else f"request {self.request:#x}"
        where = "" if self.operators is None else f", in operator {self.operators} of the image"
        return (
            f"crash while it handled {name}{where}: cause {self.cause:#x}, pc {self.pc:#010x}, "
            f"address {self.address:#010x}, return address {self.link_register:#010x}"
        )


@dataclass(frozen=True)
class StoreSlot:
    """An image in the board's flash store; ``offset`` is from the store's start."""

    offset: int
    size: int
    crc32: int
    crc32_now: int
    sha256: bytes

    SIZE = 48
    _FIXED = struct.Struct("<4I32s")

    @property
    def intact(self) -> bool:
        """The flash still holds what was written."""
        return self.crc32 == self.crc32_now

    def pack(self) -> bytes:
        """One entry of STORE's answer."""
        return self._FIXED.pack(self.offset, self.size, self.crc32, self.crc32_now, self.sha256)

    @classmethod
    def unpack(cls, payload: bytes) -> StoreSlot:
        """Read one entry; ``MessageError`` when it is not one."""
        if len(payload) != cls._FIXED.size:
            raise MessageError(f"a store slot has {len(payload)} bytes, not {cls._FIXED.size}")
        return cls(*cls._FIXED.unpack(payload))


@dataclass(frozen=True)
class StoreListing:
    """All slots of the store, and the offset from which on it is blank."""

    slots: tuple[StoreSlot, ...]
    free: int


@dataclass(frozen=True)
class LoopResult:
    """A loop of known length: what was counted, and what a round and the rest should cost (0: not known)."""

    counted: int
    per_round: int
    fixed: int

    _FIXED = struct.Struct("<QII")

    def pack(self) -> bytes:
        """The answer's payload."""
        return self._FIXED.pack(self.counted, self.per_round, self.fixed)

    @classmethod
    def unpack(cls, payload: bytes) -> LoopResult:
        """Read the answer's payload; ``MessageError`` when it is not one."""
        counted, per_round, fixed = _unpack(cls._FIXED, payload, "LOOP")
        return cls(counted, per_round, fixed)

    def expected(self, rounds: int) -> int | None:
        """What ``rounds`` should have counted; None where the port promises nothing."""
        return rounds * self.per_round + self.fixed if self.per_round else None


@dataclass(frozen=True)
class CounterReading:
    """The counter now, and the device's own link statistics since its start."""

    counter: int
    window_cost: int
    stack_bytes: int
    bad_frames: int
    overruns: int

    _FIXED = struct.Struct("<QIIII")

    def pack(self) -> bytes:
        """The answer's payload."""
        return self._FIXED.pack(
            self.counter, self.window_cost, self.stack_bytes, self.bad_frames, self.overruns
        )

    @classmethod
    def unpack(cls, payload: bytes) -> CounterReading:
        """Read the answer's payload; ``MessageError`` when it is not one."""
        return cls(*_unpack(cls._FIXED, payload, "COUNTER"))
