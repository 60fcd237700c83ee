"""Writes flash with esptool, which only this module imports: one function for real and virtual chips."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import MissingExtraError, RigFault, UsageError
from rigs.esp32.chips import SECTOR_BYTES, Chip

_CONNECT_ATTEMPTS = 4
_logger_taken = threading.Lock()


def write_flash(
    port: Any, segments: Sequence[tuple[int, bytes]], *, chip: Chip, baud: int, board: str, log: Path
) -> int:
    """Write and verify ``(address, bytes)``, then reset the chip into its application.

    ``port`` is an open pyserial port; its rate is ``baud`` meanwhile and restored. ``chip`` is the one
    that must be there. esptool's messages go to ``log``. Returns the number of erased sectors.
    Raises ``RigFault("flash")`` with a remedy, ``UsageError`` for unaligned addresses.
    """
    for address, _ in segments:
        if address % SECTOR_BYTES:
            raise UsageError(
                f"flash address 0x{address:x} is not at the start of a {SECTOR_BYTES}-byte sector"
            )
    try:
        import esptool
        from esptool.util import FatalError
    except ImportError as error:
        raise MissingExtraError("esptool", "esp32", "flashing an ESP32") from error
    initial_baud = port.baudrate
    with _logging_to(log):
        try:
            loader = esptool.detect_chip(port, initial_baud, connect_attempts=_CONNECT_ATTEMPTS)
            _check_chip(loader, chip, board)
            loader = esptool.run_stub(loader)
            if baud > initial_baud:
                loader.change_baud(baud)
            esptool.attach_flash(loader)
            esptool.write_flash(loader, list(segments), no_progress=True)
            esptool.verify_flash(loader, list(segments))
            port.baudrate = initial_baud
            esptool.reset_chip(loader, "hard-reset")
        except (FatalError, OSError, IndexError) as error:  # IndexError: a reply cut short by a bad line
            raise RigFault("flash", _explain(error), board=board, log=str(log)) from error
        finally:
            if port.is_open:
                with contextlib.suppress(OSError):
                    port.baudrate = initial_baud
    return sum(-(-len(data) // SECTOR_BYTES) for _, data in segments)


def _check_chip(loader: Any, chip: Chip, board: str) -> None:
    if chip.esptool_name != loader.CHIP_NAME:
        raise RigFault(
            "flash",
            f"the chip on this port is an {loader.CHIP_NAME}, the inventory says {chip.esptool_name}; "
            "correct `port` or `target` in boards.toml",
            board=board,
        )
    revision = (loader.get_major_chip_version(), loader.get_minor_chip_version())
    if revision < chip.first_revision:
        first = ".".join(map(str, chip.first_revision))
        raise RigFault(
            "flash",
            f"{chip.esptool_name} revision {revision[0]}.{revision[1]} cannot boot directly from flash, as "
            f"this firmware does; revision {first} or later can. Use another board, or "
            'firmware = "external"',
            board=board,
        )


def _explain(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if "MD5" in text or "Verification failed" in text or "verify" in text.lower():
        remedy = "what was written does not read back: the flash is worn out or damaged; replace the board"
    elif "connect" in text.lower() or "No serial data" in text:
        remedy = (
            "the chip's loader does not answer: check cable and power, or hold BOOT (GPIO9 low) while "
            "pressing RESET and try again"
        )
    elif "Chip ID" in text or "chip ID" in text:
        remedy = "the chip is of a kind that esptool does not know; check `port` in boards.toml"
    else:
        remedy = "check the cable, use a shorter one or a lower settings.flash_baud, and try again"
    return f"esptool: {text.rstrip('.')}. Remedy: {remedy}"


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """esptool's logger is one for the whole process: ours while we flash, the former one again afterwards.

    So one board is flashed at a time; a second thread waits here.
    """
    from esp_pylib.logger import EspLog
    from esptool.logger import TemplateLogger, log

    with _logger_taken, path.open("a", encoding="utf-8") as file:

        class FileLogger(TemplateLogger):  # type: ignore[misc]  # esptool has no types
            def print(self, *args: object, **_how: object) -> None:
                file.write(" ".join(map(str, args)) + "\n")

            def note(self, message: str) -> None:
                file.write(f"note: {message}\n")

            def warning(self, message: str) -> None:
                file.write(f"warning: {message}\n")

            def error(self, message: str) -> None:
                file.write(f"error: {message}\n")

            def stage(self, finish: bool = False) -> None: ...

            def progress_bar(self, *_args: object, **_how: object) -> None: ...

            def set_verbosity(self, _verbosity: str) -> None: ...

        former = EspLog.instance
        log.set_logger(FileLogger())
        try:
            yield
        finally:
            EspLog.instance = former
