"""Runs a virtual ESP32-C3: ``python -m rigs.esp32.virtual [--via pty|rfc2217] [--flash FILE]``.

Prints one line of JSON: ``url`` of the serial port, ``control`` and ``token`` for commands. esptool finds
a chip behind the printed pty or rfc2217 URL.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import threading
from pathlib import Path

from pytest_quantcheck.errors import UsageError
from rigs.esp32.virtual.flash import NorFlash, PowerLostError


def main(arguments: list[str] | None = None) -> None:
    """Never returns; the process ends with its parent (``--heartbeat``) or by a signal."""
    options = _parse(arguments)
    try:
        flash = NorFlash(options.flash_size << 20, options.flash)
    except UsageError as error:
        sys.exit(f"virtual-esp32c3: {error}")
    # Only now: --help should be quick.
    from rigs.esp32.virtual.chip import Chip
    from rigs.esp32.virtual.lines import Server

    token = secrets.token_hex(8)
    server = Server(token)
    chip = Chip(flash, bytes.fromhex(options.mac.replace(":", "")), server.transmit, console=options.console)
    server.attach(chip)
    if options.via == "pty":
        server.use_pty()
    elif options.via == "rfc2217":
        server.use_rfc2217()
    if options.heartbeat:
        server.die_with(sys.stdin.fileno())
    if options.download:
        chip.power_on(download=True)

    def serve() -> None:
        try:
            server.serve()
        except PowerLostError:
            os._exit(0)
        finally:
            os._exit(1)  # the lines are gone: so is the board

    threading.Thread(target=serve, daemon=True).start()
    print(json.dumps({"url": server.url, "control": server.control, "token": token}), flush=True)
    try:
        chip.run()
    except KeyboardInterrupt:
        os._exit(130)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rigs.esp32.virtual", description="A virtual ESP32-C3.")
    parser.add_argument(
        "--via", choices=("socket", "pty", "rfc2217"), default="socket", help="the serial line"
    )
    parser.add_argument("--flash", type=Path, help="file that keeps the flash's content (default: forgotten)")
    parser.add_argument("--flash-size", type=int, default=4, choices=(1, 2, 4, 8, 16), help="MB")
    parser.add_argument("--mac", default="60:55:f9:00:00:01", help="the chip's MAC address")
    parser.add_argument("--console", choices=("uart", "usb"), default="uart", help="which console is wired")
    parser.add_argument("--download", action="store_true", help="power on with GPIO9 low: into the loader")
    parser.add_argument("--heartbeat", action="store_true", help="end when standard input is closed")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
