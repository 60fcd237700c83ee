"""A device that speaks MLPerf Tiny's protocol: its commands as methods with values, each answer checked."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.deadlines import USUAL, Deadlines
from pytest_quantcheck.rig.link.frame_log import LogStream
from pytest_quantcheck.rig.mlperf.lines import TextLine
from pytest_quantcheck.rig.protocols.transport import Transport
from pytest_quantcheck.wording import clipped

_CHUNK_BYTES = 31  # in a command: the device's buffer takes 80 characters
_TRIES = 3  # of the first command: its answer may be that of what somebody else asked
_WRAP = 1 << 32  # the benchmark's firmware counts microseconds in 32 bits
_NUMBER = re.compile(r"[-+]?((\d{1,40}(\.\d{0,40})?|\.\d{1,40})(e[-+]?\d{1,3})?|inf|nan)", re.IGNORECASE)
_SCORE_BYTES = 48  # the largest float32 has 39 digits before its three decimals


@dataclass(frozen=True)
class Identity:
    """Who answered: the vendor's name, the protocol's, and the benchmark model it holds."""

    vendor: str
    profile: str
    model: str

    @property
    def introduction(self) -> str:
        """For people."""
        return f"{self.vendor} answers mlperf_tiny, holds {self.model} ({self.profile})"


@dataclass(frozen=True)
class Scores:
    """What ``infer`` gave: the results of the last inference, to three decimals, and the microseconds of all
    (None in energy mode, which has no clock).
    """

    results: tuple[float, ...]
    microseconds: int | None


class MlperfDevice:
    """The commands of one device. All methods raise ``RigFault``, as ``TextLine`` and ``protocol`` for an
    answer that cannot be right.
    """

    def __init__(
        self, transport: Transport, log: LogStream | None = None, deadlines: Deadlines = USUAL
    ) -> None:
        self._line = TextLine(transport, log)
        self._deadlines = deadlines

    def identify(self, *, silence: float) -> Identity:
        """Ask ``name`` and ``profile``; what the device had to say before is dropped."""
        self._line.drain()
        vendor = ""
        for number in range(_TRIES):
            try:
                vendor = _only("name", self._line.ask("name", silence=silence, limit=silence), "m-name-dut-[")
                break
            except RigFault as fault:
                if fault.kind == "link" or number + 1 == _TRIES:
                    raise
            self._line.drain()
        self._line.drain()
        lines = self._ask("profile")
        return Identity(vendor, _only("profile", lines, "m-profile-["), _only("profile", lines, "m-model-["))

    def load(self, sample: bytes) -> None:
        """Send the bytes of one sample; the device must say that it has the last one, and not before."""
        lines = self._ask(f"db load {len(sample)}")
        if f"m-[Expecting {len(sample)} bytes]" not in lines:
            raise _wrong("db load", lines, f"m-[Expecting {len(sample)} bytes]")
        for start in range(0, len(sample), _CHUNK_BYTES):
            lines = self._ask(f"db {sample[start : start + _CHUNK_BYTES].hex()}")
            last = start + _CHUNK_BYTES >= len(sample)
            if ("m-load-done" in lines) != last:
                wanted = "m-load-done" if last else "nothing before the sample's last byte"
                raise _wrong("db", lines, wanted)

    def infer(self, iterations: int = 1, warmups: int = 0, *, outputs: int = 0) -> Scores:
        """Run the sample ``iterations`` times after ``warmups`` more. There is room for ``outputs`` scores.

        The device says nothing between inferences: it may be silent for each of them, but no longer than a
        request may take.
        """
        lines = self._line.ask(
            f"infer {iterations} {warmups}",
            silence=min(self._deadlines.request, self._deadlines.operator * (iterations + warmups)),
            limit=self._deadlines.request,
            more_bytes=_SCORE_BYTES * outputs,
        )
        for wanted in (f"m-infer-start-{iterations}", "m-infer-done"):
            if wanted not in lines:
                raise _wrong("infer", lines, wanted)
        words = _only("infer", lines, "m-results-[").split(",")
        results = [_number(word.strip()) for word in words]
        if None in results:
            raise _wrong("infer", lines, "m-results-[...] with numbers of float32, separated by commas")
        return Scores(tuple(each for each in results if each is not None), _elapsed(lines))

    def _ask(self, command: str) -> tuple[str, ...]:
        return self._line.ask(command, silence=self._deadlines.answer, limit=self._deadlines.request)


def _number(word: str) -> float | None:
    """None for what is no number, or one that float32 cannot hold."""
    if not _NUMBER.fullmatch(word):
        return None
    value = float(word)
    if math.isinf(value) and "inf" not in word.lower():
        return None
    try:
        struct.pack("<f", value)
    except OverflowError:
        return None
    return value


def _elapsed(lines: tuple[str, ...]) -> int | None:
    """Between the two time stamps, across one turn of a counter of 32 bits."""
    stamps = [line.removeprefix("m-lap-us-") for line in lines if line.startswith("m-lap-us-")]
    if not stamps:
        return None
    if len(stamps) != 2 or not all(re.fullmatch(r"\d{1,20}", stamp) for stamp in stamps):
        raise _wrong("infer", lines, "two lines m-lap-us-N, or none in energy mode")
    start, end = (int(stamp) for stamp in stamps)
    if end < start < _WRAP:
        end += _WRAP
    if end < start:
        raise _wrong("infer", lines, "a second m-lap-us-N that is not before the first")
    return end - start


def _inside(prefix: str, lines: tuple[str, ...]) -> list[str]:
    """What stands between ``prefix`` and the closing bracket in each line that has both."""
    return [line[len(prefix) : -1] for line in lines if line.startswith(prefix) and line.endswith("]")]


def _only(command: str, lines: tuple[str, ...], prefix: str) -> str:
    found = _inside(prefix, lines)
    if len(found) != 1 or not found[0]:
        raise _wrong(command, lines, f"one line {prefix}...]")
    return found[0]


def _wrong(command: str, lines: tuple[str, ...], wanted: str) -> RigFault:
    seen = clipped(" | ".join(lines), 160) or "nothing"
    return RigFault("protocol", f"the answer to {command!r} should have {wanted}; the device sent: {seen}")
