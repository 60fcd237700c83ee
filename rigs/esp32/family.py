"""The ESP32 family plug-in: which targets there are, which boards are plugged in, how to open one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.protocols.board import Board

TARGET = "esp32c3"
VIRTUAL = "virtual-esp32c3"
_ESPRESSIF = 0x303A
_BRIDGES = {  # USB-to-serial bridges that development boards carry; the chip behind may be another one
    (0x10C4, 0xEA60): "CP210x",
    (0x10C4, 0xEA71): "CP2108",
    (0x1A86, 0x7523): "CH340",
    (0x1A86, 0x55D3): "CH343",
    (0x1A86, 0x55D4): "CH9102",
    (0x0403, 0x6001): "FT232R",
    (0x0403, 0x6010): "FT2232H",
    (0x0403, 0x6014): "FT232H",
    (0x0403, 0x6015): "FT231X",
}


class Esp32Family:
    """ESP32-C3 boards on a serial port, and one virtual board."""

    name = "esp32"

    def targets(self) -> Sequence[str]:
        """The chips that our firmware runs on."""
        return (TARGET, VIRTUAL)

    def virtual_boards(self) -> Sequence[BoardEntry]:
        """The ESP32-C3 that needs nothing but Python packages."""
        return (
            BoardEntry(
                name=VIRTUAL,
                family=self.name,
                target=VIRTUAL,
                tags=("virtual", "riscv"),
                virtual=True,
                source="built in",
            ),
        )

    def scan(self) -> Sequence[BoardEntry]:
        """Serial ports of Espressif's own USB, then common bridges, which may carry any chip."""
        from serial.tools import list_ports

        found = []
        for port in sorted(list_ports.comports(), key=lambda each: (each.vid != _ESPRESSIF, each.device)):
            own = port.vid == _ESPRESSIF
            bridge = _BRIDGES.get((port.vid, port.pid), "")
            if own or bridge:
                suffix = (port.serial_number or Path(port.device).name).replace(":", "")[-8:].lower()
                found.append(
                    BoardEntry(
                        name=f"{TARGET}-{suffix}",
                        family=self.name,
                        target=TARGET,
                        port=_stable_name(port.device),
                        tags=("usb-serial-jtag",) if own else (f"bridge-{bridge.lower()}",),
                        console="usb" if own else "uart",
                    )
                )
        return found

    def open(self, entry: BoardEntry, log_dir: Path) -> Board:
        """Take a board into use; for the virtual one, start its process."""
        from rigs.esp32.board import Esp32Board, VirtualEsp32Board

        if entry.target not in self.targets():
            raise UsageError(
                f"{entry.source or entry.name}: target={entry.target!r} is not known to the family esp32; "
                f"allowed: {', '.join(self.targets())}. Other ESP32 chips need firmware of your own"
            )
        entry.check_settings(("flash_baud",), "flash_baud")
        if entry.virtual or entry.target == VIRTUAL:
            return VirtualEsp32Board(entry, log_dir)
        if not entry.port:
            raise UsageError(
                f"{entry.source or entry.name}: a real ESP32-C3 needs `port`; "
                "`quantcheck boards --scan` lists those plugged in"
            )
        return Esp32Board(entry, log_dir)


def _stable_name(device: str) -> str:
    """The /dev/serial/by-id name of a device, which survives replugging; elsewhere the device itself."""
    folder = Path("/dev/serial/by-id")
    if folder.is_dir():
        for link in sorted(folder.iterdir()):
            if link.resolve() == Path(device).resolve():
                return str(link)
    return device
