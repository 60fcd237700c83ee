"""A board that is switched on, talks, and has proven its firmware; what is run on it is not known here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.link.line import BASE_BAUD
from pytest_quantcheck.rig.link.link import Link
from pytest_quantcheck.rig.messages.hello import Hello
from pytest_quantcheck.rig.open_board import OpenBoard

_REMEDIES = {
    **OpenBoard.REMEDIES,
    "protocol": "the board must run the firmware that belongs to this version of pytest-quantcheck",
    "crash": "the record says where the firmware was; the serial log has what went before",
}
_OF_OWN_FIRMWARE = {
    "protocol": "the firmware is not the one of pytest-quantcheck: build it again with the harness of this "
    "version, and look at what its runtime and its port promise (docs/porting.md)",
    "flash": _REMEDIES["flash"] + ". If it was written well: the manifest beside the firmware may be another "
    "build's, so build both again; the firmware's port must name exactly the bytes that are flashed "
    "(docs/porting.md)",
}


@dataclass(frozen=True)
class _Answer:
    """How HELLO went: ``problem`` is empty when the right firmware answered."""

    problem: str = ""
    kind: str = "boot"
    silent: bool = False


class Connection(OpenBoard):
    """A board whose firmware has our harness, and the link to it."""

    def __init__(self, entry: BoardEntry, **how: Any) -> None:
        """Arguments as of ``OpenBoard``."""
        self._hello: Hello | None = None
        self._device: RemoteDevice | None = None
        self._firmware_flashed = False
        super().__init__(entry, **how)

    @property
    def hello(self) -> Hello:
        """The last answer to HELLO."""
        assert self._hello is not None, "bring_up() comes first"
        return self._hello

    @property
    def device(self) -> RemoteDevice:
        """The requests of the link."""
        assert self._device is not None, "bring_up() comes first"
        return self._device

    def bring_up(self) -> None:
        """Until the board has proven its firmware: say HELLO, restart a silent board, flash a wrong one.

        Flash is only written when HELLO does not show the build id, size and CRC (recomputed by the
        board now) of the firmware's manifest, and at most once.
        """
        if self._device is not None:
            return
        found = self._connect(self.deadlines.awake)
        if found.silent and not self.entry.virtual:  # a virtual board was started a moment ago
            self.restart()
            found = self._connect(self.deadlines.reset)
        if found.problem and self.entry.firmware != "external" and not self._firmware_flashed:
            self._flash_firmware(found.problem)
            found = self._connect(self.deadlines.boot)
        if found.silent:
            self.restart(power=True)
            found = self._connect(self.deadlines.boot)
        if found.problem:
            self.disconnect()
            raise self.fault(found.kind, found.problem, "bring up the board")
        self._forget_old_crash()
        self._raise_baud()

    def refresh(self) -> Hello:
        """Ask HELLO again: what the board holds now. It must not have restarted, nor its firmware changed."""
        boots = self.hello.boot_count
        with self.stage("HELLO"):
            self._hello = self.device.hello()
            if self._hello.crashed or self._hello.boot_count != boots:
                record = self.device.crash(clear=True)
                why = record if record.held else "it left no crash record: a reset, or its power failed"
                raise RigFault("crash", f"the device restarted by itself since the last HELLO; {why}")
        if problem := self._proof(self._hello).problem:
            raise self.fault("flash", problem, "prove the firmware")
        return self._hello

    def flash(self, segments: Sequence[tuple[int, bytes]], doing: str) -> int:
        """Write flash through the family's tool, with the console closed; returns erased sectors."""
        self.disconnect()
        with self.stage(doing, kind="flash"):
            erased = self.board.flash(segments)
        self.statistics.erased_sectors += erased
        self.log.note(f"{doing}: {sum(len(data) for _, data in segments)} bytes, {erased} sectors erased")
        return erased

    def disconnect(self) -> None:
        """Close the console, and the link with it."""
        self._device = None
        super().disconnect()

    def restart(self, *, power: bool = False) -> None:
        """As ``OpenBoard``; what HELLO said before is not believed any more."""
        self._hello = None
        super().restart(power=power)

    @property
    def remedies(self) -> Mapping[str, str]:
        """What to do after a fault of this board, by its kind."""
        return {**_REMEDIES, **(_OF_OWN_FIRMWARE if self.own_firmware else {})}

    @property
    def own_firmware(self) -> bool:
        """Whether the firmware, or the runtime in it, is the user's."""
        ours = self._hello is None or self._hello.runtime == "quantcheck"
        return self.entry.firmware != "quantcheck" or not ours

    def _connect(self, seconds: float) -> _Answer:
        """Open the console and say HELLO for at most ``seconds``."""
        transport = self.open_console()
        try:
            self._device = RemoteDevice(Link(transport, log=self.log), self.deadlines)
            self._hello = self._device.hello(deadline=seconds)
        except RigFault as fault:
            self.disconnect()
            if fault.kind == "protocol":
                return _Answer(fault.reason, "protocol")
            return _Answer(f"no answer to HELLO within {seconds:g} s ({fault.reason})", silent=True)
        return self._proof(self._hello)

    def _proof(self, hello: Hello) -> _Answer:
        """Whether the firmware that answered is, byte for byte, the one expected.

        A user's own firmware has no build id and may compute its CRC over less than the file: once
        this session has flashed it, the flash tool's verification counts.
        """
        if self.entry.firmware == "external":
            return _Answer()
        wanted = self.board.firmware
        if not wanted.build_id and self._firmware_flashed:
            return _Answer()
        for what, seen, right in (
            ("build id", hello.build_id, wanted.build_id or hello.build_id),
            ("size", hello.firmware_bytes, wanted.size),
            ("CRC-32 of the firmware's flash, computed now,", hello.firmware_crc32, wanted.crc32),
        ):
            if seen != right:
                return _Answer(
                    f"the board's firmware is not the one expected: {what} is {_show(seen)}, "
                    f"expected {_show(right)}{self._history()}",
                    "flash",
                )
        return _Answer()

    def _history(self) -> str:
        return (
            "; it was flashed and verified a moment ago: the flash does not keep it" * self._firmware_flashed
        )

    def _flash_firmware(self, why: str) -> None:
        firmware = self.board.firmware
        self.log.note(f"flashing {firmware.path.name}: {why}")
        self.flash(
            [(firmware.address, read_whole(firmware.path))], f"flash the firmware {firmware.path.name}"
        )
        self._firmware_flashed = True
        self.statistics.firmware_flashes += 1

    def _forget_old_crash(self) -> None:
        """A record from before must not explain a restart that is still to come."""
        if self.hello.crashed:
            with self.stage("read the crash record"):
                self.log.note(f"left over from before: {self.device.crash(clear=True)}")

    def _raise_baud(self) -> None:
        """Go to the inventory's rate where the transport can change its own; stay where it does not hold."""
        if self.entry.baud == BASE_BAUD or not hasattr(self._transport, "baudrate"):
            return
        with self.stage(f"raise the rate to {self.entry.baud} baud"):
            reached = self.device.set_baud(self.entry.baud)
        if reached != self.entry.baud:
            self.log.note(f"{self.entry.baud} baud does not work, going on with {reached}")


def _show(value: str | int) -> str:
    return repr(value) if isinstance(value, str) else f"{value} (0x{value:08x})"
