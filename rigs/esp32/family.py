"""The ESP32 family plug-in: which targets there are, which boards are plugged in, how to open one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.memory import Memory
from pytest_quantcheck.rig.protocols.board import Board
from rigs.common.stable_name import stable_name
from rigs.esp32.chips import BRIDGES, CHIPS, ESPRESSIF_VENDOR, VIRTUAL, chip_of


class Esp32Family:
    """ESP32-C3 boards on a serial port, and one virtual board."""

    name = "esp32"

    def targets(self) -> Sequence[str]:
        """The chips that our firmware runs on."""
        return (*(chip.target for chip in CHIPS), VIRTUAL)

    def memory(self) -> Mapping[str, Memory]:
        """The same on the virtual board as on the chip."""
        return {target: chip_of(target).memory for target in (VIRTUAL, *(chip.target for chip in CHIPS))}

    def virtual_boards(self) -> Sequence[BoardEntry]:
        """The ESP32-C3 that needs nothing but Python packages."""
        return (BoardEntry.built_in(VIRTUAL, self.name, "riscv"),)

    def scan(self) -> Sequence[BoardEntry]:
        """Serial ports of Espressif's own USB, then common bridges, which may carry any chip."""
        from serial.tools import list_ports

        found = []
        for port in sorted(
            list_ports.comports(), key=lambda each: (each.vid != ESPRESSIF_VENDOR, each.device)
        ):
            own = port.vid == ESPRESSIF_VENDOR
            bridge = BRIDGES.get((port.vid, port.pid), "")
            if own or bridge:
                suffix = (port.serial_number or Path(port.device).name).replace(":", "")[-8:].lower()
                found.append(
                    BoardEntry(
                        name=f"{CHIPS[0].target}-{suffix}",
                        family=self.name,
                        target=CHIPS[0].target,
                        port=stable_name(port.device),
                        tags=("usb-serial-jtag",) if own else (f"bridge-{bridge.lower()}",),
                        console="usb" if own else "uart",
                    )
                )
        return found

    def check(self, entry: BoardEntry) -> None:
        """The chip must be one that our firmware runs on."""
        if entry.target not in self.targets():
            raise UsageError(
                f"{entry.where}: board {entry.name!r}: target = {entry.target!r} is not known to the "
                f"family esp32; allowed: {', '.join(self.targets())}. Other ESP32 chips need firmware "
                "of your own"
            )
        entry.check_settings(("flash_baud",), "flash_baud")

    def open(self, entry: BoardEntry, log_dir: Path) -> Board:
        """Take a board into use; for the virtual one, start its process."""
        self.check(entry)
        if entry.virtual or entry.target == VIRTUAL:
            from rigs.esp32.virtual_board import VirtualEsp32Board

            return VirtualEsp32Board(entry, log_dir)
        if not entry.port:
            raise UsageError(
                f"{entry.where}: a real ESP32-C3 needs `port`; "
                "`quantcheck boards --scan` lists those plugged in"
            )
        from rigs.esp32.board import Esp32Board

        return Esp32Board(entry, log_dir)
