"""A device at the other end of a link: each request of ``firmware/LINK.md`` as a method with values.

Knows no chip and no test. What a device holds is only believed after a CRC says so.
"""

from __future__ import annotations

import hashlib
import random
import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.deadlines import USUAL, Deadlines
from pytest_quantcheck.rig.link.device_error import DeviceError
from pytest_quantcheck.rig.link.line import BASE_BAUD
from pytest_quantcheck.rig.link.link import Link
from pytest_quantcheck.rig.messages.answers import BaudAnswer, Done
from pytest_quantcheck.rig.messages.counter import CounterReading, LoopResult
from pytest_quantcheck.rig.messages.crash import CrashRecord
from pytest_quantcheck.rig.messages.fields import MessageError
from pytest_quantcheck.rig.messages.hello import Hello
from pytest_quantcheck.rig.messages.message import Message
from pytest_quantcheck.rig.messages.model import CommitAnswer, ModelInfo, SelectAnswer
from pytest_quantcheck.rig.messages.numbers import PAYLOAD_MAX, PROTOCOL, SLOT_HEADER_BYTES, Kind, Status
from pytest_quantcheck.rig.messages.run import OperatorResult, ReadAnswer, RunAnswer, RunResult
from pytest_quantcheck.rig.messages.store import StoreAnswer, StoreListing, StoreSlot

Answer = TypeVar("Answer", bound=Message)

_RECORDS, _STOP, _INLINE, _NEXT, _AGAIN = 1, 2, 4, 8, 16  # flags of RUN
_RUN_HEADER = 8
_OUTPUT, _TENSOR, _OPERATORS = 0, 1, 2  # what READ reads
_LARGEST = 1 << 26  # bytes of an object, of whose size only the device's word is known
_NEARLY = 0.9  # of a counter's period: the host's clock and the line take their share
_RUNS = 8  # until one is not disturbed by bytes that come in
_TRANSFERS = 3  # until one is not disturbed by frames of an older one
_TRIAL_MS = 1500
_SELF_TEST_FRAMES = 8
_SELF_TEST_BITS = 10 * 272  # of a frame with 256 bytes, with room for its head, CRC and COBS
_RATE_LEASE = 10.0  # the device gives up a raised rate after so many seconds of silence
_RATE_SAFE = 5.0  # after so much silence the host makes sure first


class RemoteDevice:
    """The requests of a device. ``hello`` comes first: before it a restart is not noticed.

    All methods raise ``RigFault``: ``link`` (silence), ``protocol`` (another version, an answer that
    is none, a request that was refused), ``crash`` (the device restarted; the message holds its
    crash record).
    """

    def __init__(self, link: Link, deadlines: Deadlines = USUAL) -> None:
        self.link = link
        self.deadlines = deadlines
        self._hello: Hello | None = None
        self._info: ModelInfo | None = None
        self._outputs: tuple[bytes, ...] = ()
        self._records = 0  # of the last run

    # ---- who is there ----

    def hello(self, *, deadline: float | None = None) -> Hello:
        """Ask who is there and what it holds. A boot ROM's text and a boot banner are passed over.

        A device that an earlier session left at a raised rate answers after 10 s of silence.
        """
        nonce = random.getrandbits(32)
        request = PROTOCOL.to_bytes(4, "little") + nonce.to_bytes(4, "little")
        try:
            payload = self._plain(
                Kind.HELLO,
                request,
                deadline=deadline or self.deadlines.answer,
                limit=self.deadlines.hello,
                restart_expected=True,
            )
        except DeviceError as error:
            if error.status != Status.PROTOCOL:
                raise
            raise _other_version(error.detail) from error
        if len(payload) >= 2 and (version := int.from_bytes(payload[:2], "little")) != PROTOCOL:
            raise _other_version(version)
        hello = _read(Kind.HELLO, Hello, payload)
        if hello.nonce != nonce:
            raise RigFault("protocol", "the answer to HELLO belongs to another HELLO")
        self._hello = hello
        self._forget_model()
        return hello

    def describe(self) -> ModelInfo:
        """The loaded model: its arena, operators, inputs and outputs."""
        self._info = self._ask(Kind.DESCRIBE, ModelInfo)
        return self._info

    # ---- models ----

    def load_ram(self, image: bytes) -> None:
        """Put an artefact into the device's RAM and load it.

        ``DeviceError`` with ``Status.NO_MEMORY`` when image, arena, inputs and records do not fit
        the pool, or with the status of what is wrong with the artefact.
        """
        self._forget_model()
        self._send(_begin(1, 0, image) + hashlib.sha256(image).digest(), image)

    def select(self, sha256: bytes) -> None:
        """Make the image with this SHA-256 the current one, from RAM or from the flash store.

        ``DeviceError`` with ``Status.NO_MODEL`` when the device does not hold it, ``Status.CRC`` when
        it does but bits of it are lost, ``Status.NO_MEMORY`` when its arena does not fit.
        """
        self._forget_model()
        self._ask(Kind.SELECT, SelectAnswer, sha256)

    def store(self) -> StoreListing:
        """The slots of the flash store with their CRCs recomputed now, and where free space starts."""
        slots: list[StoreSlot] = []
        at = 0
        end = time.monotonic() + self.deadlines.request
        while True:
            if time.monotonic() > end:
                raise RigFault("protocol", f"STORE lists slots without end; it gave {len(slots)} so far")
            answer = self._ask(Kind.STORE, StoreAnswer, at.to_bytes(4, "little"))
            slots += answer.slots
            self._check_slots(slots, answer.following)
            if not answer.more:
                return StoreListing(tuple(slots), answer.following)
            if answer.following <= at:
                raise RigFault("protocol", f"the answer to STORE goes back from {at} to {answer.following}")
            at = answer.following

    def _check_slots(self, slots: Sequence[StoreSlot], following: int) -> None:
        """All of them lie in the store, one behind the other."""
        size, end = self._known().store_bytes, 0
        for slot in slots:
            if slot.offset < end or slot.offset + SLOT_HEADER_BYTES + slot.size > size:
                raise RigFault(
                    "protocol",
                    f"the answer to STORE lists {slot.size} bytes at {slot.offset}, where the slot before "
                    f"ends at {end} and the store at {size}",
                )
            end = slot.offset + SLOT_HEADER_BYTES + slot.size
        if following > size:
            raise RigFault("protocol", f"the answer to STORE goes on at {following}, behind its {size} bytes")

    # ---- inference ----

    def set_input(self, index: int, data: bytes) -> None:
        """Send one input; it stays on the device until another comes or another model is loaded."""
        self._send(_begin(0, index, data), data)

    def run(
        self, *, operators: bool = False, stop_after: int | None = None, carry: bool = False
    ) -> RunResult:
        """One inference on the inputs that were set; ``outputs`` holds all of them.

        ``operators``: keep a record per operator (``operator_results``). ``stop_after``: stop behind
        the operator with this source index, so that ``tensor`` can fetch what it made. ``carry``: the model's
        states go on where the last inference ended; without it they begin anew.
        """
        return self._run(operators, stop_after, None, carry)

    def infer(
        self,
        inputs: Sequence[bytes],
        *,
        operators: bool = False,
        stop_after: int | None = None,
        carry: bool = False,
    ) -> RunResult:
        """``set_input`` for all inputs, then ``run``; small inputs travel inside the request."""
        if sum(map(len, inputs)) <= self.link.payload(PAYLOAD_MAX - _RUN_HEADER):
            return self._run(operators, stop_after, b"".join(inputs), carry)
        for index, data in enumerate(inputs):
            self.set_input(index, data)
        return self._run(operators, stop_after, None, carry)

    def output(self, index: int) -> bytes:
        """An output of the last run; asks the device only when ``run`` did not bring it along."""
        return self._outputs[index] if index < len(self._outputs) else self._fetch(_OUTPUT, index, None)

    def tensor(self, size: int | None = None) -> bytes:
        """The output, in the source layout, of the operator that the last run stopped after.

        ``size``: the bytes it must have; None: not known.
        """
        return self._fetch(_TENSOR, 0, size)

    def operator_results(self) -> tuple[OperatorResult, ...]:
        """The records of the last run with ``operators=True``, in the order of execution."""
        size = OperatorResult.packed_bytes()
        data = self._fetch(_OPERATORS, 0, self._records * size)
        capabilities = self._known().capabilities
        records = (data[start : start + size] for start in range(0, len(data), size))
        return tuple(_read(Kind.READ, OperatorResult, record).as_far_as(capabilities) for record in records)

    # ---- the link and the chip ----

    def echo(self, data: bytes) -> bytes:
        """Send bytes there and back."""
        return self._request(Kind.ECHO, data)

    def set_baud(self, rate: int) -> int:
        """Raise (or lower) the rate on both sides after a self-test; returns the rate now in use.

        That is the old one when the device cannot make the new one or the self-test lost a byte:
        the device falls back by itself.
        """
        before = self.link.baudrate
        if rate == before:
            return rate
        try:
            answer = self._ask(Kind.BAUD, BaudAnswer, _baud(rate, keep=False))
        except DeviceError as error:
            if error.status != Status.UNSUPPORTED:
                raise
            return before
        if answer.rate != rate:
            raise RigFault("protocol", f"the device was asked for {rate} baud and agreed to {answer.rate}")
        try:
            self.link.baudrate = rate
            if self._self_test():
                self._plain(Kind.BAUD, _baud(rate, keep=True), deadline=1.0)
                return rate
        except RigFault as fault:
            self.link.note(f"-- {rate} baud does not work: {fault.reason}")
        self.link.baudrate = before
        self._wait_for_rate()
        return before

    def loop(self, rounds: int) -> LoopResult:
        """Run the port's calibration loop; what it counted and what it should have counted."""
        payload = rounds.to_bytes(4, "little")
        return self._ask(Kind.LOOP, LoopResult, payload, deadline=self.deadlines.operator, quiet=True)

    def counter(self) -> CounterReading:
        """The counter now, and the device's own link statistics."""
        return self._ask(Kind.COUNTER, CounterReading)

    def crash(self, *, clear: bool = False) -> CrashRecord:
        """The record of the last crash; ``clear`` forgets it on the device."""
        return self._ask(Kind.FAULT, CrashRecord, bytes([clear]))

    def reboot(self, mode: str = "application") -> None:
        """Restart the ``application``, or the chip's serial ``loader``. ``hello`` comes next."""
        modes = ("application", "loader")
        self._ask(Kind.REBOOT, Done, bytes([modes.index(mode)]), restart_expected=True)
        self._hello = None
        self._forget_model()

    # ---- how ----

    def _ask(self, kind: Kind, answer: type[Answer], payload: bytes = b"", **how: Any) -> Answer:
        """A request, and its answer as a value."""
        return _read(kind, answer, self._request(kind, payload, **how))

    def _request(self, kind: Kind, payload: bytes = b"", **how: Any) -> bytes:
        """A request whose failure is explained: after a restart by the crash record."""
        self._make_sure_of_rate()
        how.setdefault("restart_expected", self._hello is None)  # the banner of its start may still come
        try:
            return self._plain(kind, payload, **how)
        except DeviceError as error:
            if error.status in (Status.NO_MODEL, Status.STATE) and self._restarted():
                raise self._crash_fault(error) from error
            raise
        except RigFault as fault:
            if fault.kind == "crash":
                raise self._crash_fault(fault) from fault
            raise

    def _plain(self, kind: Kind, payload: bytes = b"", **how: Any) -> bytes:
        """A request whose failure nobody explains."""
        return self.link.request(
            kind, payload, **{"deadline": self.deadlines.answer, "limit": self.deadlines.request, **how}
        )

    def _restarted(self) -> bool:
        """Did the device boot since HELLO? (Its banner may have been lost.)"""
        if self._hello is None:
            return False
        return self._crash_record().boot_count != self._hello.boot_count

    def _crash_record(self, *, restart_expected: bool = False) -> CrashRecord:
        """Ask without explaining a failure: this is how failures are explained."""
        payload = self._plain(Kind.FAULT, b"\0", restart_expected=restart_expected)
        return _read(Kind.FAULT, CrashRecord, payload)

    def _crash_fault(self, fault: RigFault) -> RigFault:
        self._forget_model()
        try:
            record = self._crash_record(restart_expected=True)
        except RigFault as second:
            return RigFault("crash", f"{fault.reason}; then {second.reason}")
        if not record.held:
            return RigFault("crash", f"{fault.reason}; it left no crash record: a reset, or its power failed")
        return RigFault("crash", f"{fault.reason}; {record}")

    def _forget_model(self) -> None:
        self._info = None
        self._outputs = ()
        self._records = 0

    def _known(self) -> Hello:
        return self._hello if self._hello is not None else self.hello()

    def _send(self, begin: bytes, data: bytes) -> None:
        """What the device has afterwards is what was sent, by CRC; a late frame of old costs a repetition."""
        for number in range(_TRANSFERS):
            try:
                self._send_once(begin, data)
                return
            except DeviceError as error:
                ended = error.status == Status.STATE and error.request in (Kind.DATA, Kind.COMMIT)
                differs = error.status == Status.CRC and error.detail != zlib.crc32(data)
                if number + 1 == _TRANSFERS or not (ended or differs):
                    raise
                self.link.note(f"-- the transfer was disturbed, it is done again: {error.reason}")

    def _send_once(self, begin: bytes, data: bytes) -> None:
        """BEGIN, the data in a window, COMMIT."""
        hello = self._known()
        self._ask(Kind.BEGIN, Done, begin)
        try:
            self.link.send_bulk(
                data,
                chunk=hello.chunk,
                window=hello.window,
                deadline=self.deadlines.answer,
                limit=self.deadlines.request,
            )
        except DeviceError as error:
            if error.status == Status.STATE and self._restarted():
                raise self._crash_fault(error) from error
            raise
        except RigFault as fault:
            raise (self._crash_fault(fault) if fault.kind == "crash" else fault) from None
        arrived = self._ask(Kind.COMMIT, CommitAnswer).crc32
        if arrived != zlib.crc32(data):
            raise RigFault(
                "protocol",
                f"the device committed bytes with CRC-32 {arrived:#010x}; sent were {zlib.crc32(data):#010x}",
            )

    def _run(self, operators: bool, stop_after: int | None, inputs: bytes | None, carry: bool) -> RunResult:
        flags = operators * _RECORDS | (stop_after is not None) * _STOP | (inputs is not None) * _INLINE
        inline = self.link.payload(PAYLOAD_MAX - RunAnswer.HEADER_BYTES).to_bytes(2, "little")
        payload = inline + (stop_after or 0).to_bytes(4, "little") + (inputs or b"")
        self._outputs = ()
        answer, seconds = self._undisturbed([flags | carry * _NEXT, flags | carry * _AGAIN], payload)
        kept = answer.operators if operators else 0
        if answer.stopped != (stop_after is not None) or answer.records != kept:
            raise RigFault(
                "protocol",
                f"RUN was asked to {'stop behind an operator' if stop_after is not None else 'run through'}, "
                f"{'with' if operators else 'without'} records; the answer says "
                f"{'stopped' if answer.stopped else 'not stopped'}, {answer.operators} operators, "
                f"{answer.records} records",
            )
        self._records = answer.records
        if not answer.stopped:
            self._outputs = self._outputs_of(answer)
        return replace(answer.result(self._outputs), counter=self._whole(answer.counter, seconds))

    def _whole(self, counter: int, seconds: float) -> int:
        """The counter; 0, not known, where it lost a turn: reading extends a counter of 32 bits, and
        without a hook it is read before and behind a run only.
        """
        hello = self._known()
        lost = seconds - (counter / hello.clock_hz if hello.clock_hz else 0)
        return 0 if lost > _NEARLY * hello.counter_period_s else counter

    def _undisturbed(self, flags: Sequence[int], payload: bytes) -> tuple[RunAnswer, float]:
        """The first run that no byte disturbs, and its seconds; ``flags`` of the first one, and of those that
        repeat it."""
        end = time.monotonic() + self.deadlines.request
        for number in range(_RUNS):
            left = max(end - time.monotonic(), 0.0)
            silence = min(self.deadlines.operator, left)
            request = bytes([flags[min(number, 1)], 0]) + payload
            began = time.monotonic()
            answer = self._ask(Kind.RUN, RunAnswer, request, deadline=silence, limit=left, quiet=True)
            if not answer.disturbed:
                return answer, time.monotonic() - began
            if time.monotonic() > end:
                break
        raise RigFault(
            "link", f"bytes came in during each of {number + 1} runs: none of their counters is reliable"
        )

    def _outputs_of(self, answer: RunAnswer) -> tuple[bytes, ...]:
        sizes = [each.bytes for each in (self._info or self.describe()).outputs]
        if not answer.inlined:
            return tuple(self._fetch(_OUTPUT, index, size) for index, size in enumerate(sizes))
        if sum(sizes) != len(answer.data):
            raise RigFault("protocol", f"RUN sent {len(answer.data)} bytes of outputs, not {sum(sizes)}")
        ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
        return tuple(answer.data[end - size : end] for end, size in zip(ends, sizes, strict=True))

    def _fetch(self, what: int, index: int, total: int | None) -> bytes:
        """READ until all of it is here. ``total`` is asked for when it is not known."""
        if total is None:
            total = self._read_part(what, index, 0, 0).total
        if total > _LARGEST:
            raise RigFault("protocol", f"an object of {total} bytes is announced; allowed: {_LARGEST}")
        data = bytearray()
        end = time.monotonic() + self.deadlines.request + 4 * self.link.line.seconds(total)
        while len(data) < total:
            if time.monotonic() > end:
                raise RigFault("link", f"only {len(data)} of {total} bytes could be read in time")
            size = min(total - len(data), self.link.payload(PAYLOAD_MAX - ReadAnswer.HEADER_BYTES))
            answer = self._read_part(what, index, size, len(data))
            if answer.total != total:
                raise RigFault("protocol", f"READ is of {answer.total} bytes, not {total}")
            data += answer.data
        return bytes(data)

    def _read_part(self, what: int, index: int, size: int, offset: int) -> ReadAnswer:
        head = bytes([what, index]) + size.to_bytes(2, "little") + offset.to_bytes(4, "little")
        answer = self._ask(Kind.READ, ReadAnswer, head)
        if len(answer.data) != size:
            raise RigFault("protocol", f"READ of {size} bytes brought {len(answer.data)}")
        return answer

    def _self_test(self) -> bool:
        """Every byte value in both directions, without one resend or damaged frame."""
        counts = self.link.statistics
        before = counts.resent + counts.crc_errors
        on_line = 2 * _SELF_TEST_BITS / self.link.baudrate
        for number in range(_SELF_TEST_FRAMES):
            pattern = bytes((value * 167 + number) % 256 for value in range(256))
            if self._plain(Kind.ECHO, pattern, deadline=0.4 + on_line) != pattern:
                return False
        return counts.resent + counts.crc_errors == before

    def _wait_for_rate(self) -> None:
        """Until the device is back at the host's rate: its trial, at the worst its lease, must end."""
        time.sleep(_TRIAL_MS / 1000)
        self._plain(Kind.ECHO, deadline=_RATE_LEASE + 2 * self.deadlines.answer)

    def _make_sure_of_rate(self) -> None:
        """After a long silence the device may have given up a raised rate: find out, and raise it again."""
        rate = self.link.baudrate
        if rate == BASE_BAUD or time.monotonic() - self.link.last_heard < _RATE_SAFE:
            return
        try:
            self._plain(Kind.ECHO, deadline=0.5)
        except RigFault as fault:
            if fault.kind != "link":
                raise
            self.link.baudrate = BASE_BAUD
            self._plain(Kind.ECHO, deadline=_RATE_LEASE + 2 * self.deadlines.answer)
            self.set_baud(rate)


def _begin(target: int, index: int, data: bytes) -> bytes:
    sizes = len(data).to_bytes(4, "little") + zlib.crc32(data).to_bytes(4, "little")
    return bytes([target, index, 0, 0]) + sizes


def _baud(rate: int, *, keep: bool) -> bytes:
    return rate.to_bytes(4, "little") + _TRIAL_MS.to_bytes(2, "little") + bytes([keep, 0])


def _other_version(version: int) -> RigFault:
    return RigFault(
        "protocol",
        f"the firmware speaks protocol {version}, this host speaks {PROTOCOL}",
    )


def _read(kind: Kind, answer: type[Answer], payload: bytes) -> Answer:
    try:
        return answer.unpack(payload)
    except MessageError as error:
        raise RigFault("protocol", f"the answer to {kind.name} cannot be right: {error}") from error
