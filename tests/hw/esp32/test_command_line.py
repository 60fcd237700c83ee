"""The unmodified esptool command line on a virtual ESP32-C3 behind a pty and behind RFC 2217."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.hw

IMAGE = Path(__file__).parents[3] / "rigs" / "esp32" / "firmware" / "esp32c3.bin"


@contextmanager
def board_behind(*options: str) -> Iterator[str]:
    """A board started by hand; its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rigs.esp32.virtual", "--heartbeat", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def esptool(url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "esptool", "--port", url, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_pty_needs_the_chip_in_its_loader_and_writes_and_reads_back(tmp_path: Path) -> None:
    flash, copy = tmp_path / "flash.bin", tmp_path / "copy.bin"
    with board_behind("--via", "pty", "--download", "--flash", str(flash)) as url:
        said = esptool(url, "--before", "no-reset", "--after", "no-reset", "write-flash", "0", str(IMAGE))
        assert "ESP32-C3" in said
        assert "Hash of data verified" in said
        size = str(IMAGE.stat().st_size)
        esptool(url, "--before", "no-reset", "--after", "watchdog-reset", "read-flash", "0", size, str(copy))
    assert copy.read_bytes() == IMAGE.read_bytes()
    assert flash.read_bytes()[: IMAGE.stat().st_size] == IMAGE.read_bytes()


def test_rfc2217_resets_the_chip_into_its_loader_by_dtr_and_rts() -> None:
    with board_behind("--via", "rfc2217") as url:
        assert "60:55:f9:00:00:01" in esptool(url, "--no-stub", "read-mac")


def test_without_the_stub_the_rom_loader_does_the_work(tmp_path: Path) -> None:
    small = tmp_path / "small.bin"
    small.write_bytes(bytes(range(256)) * 20)
    flash = tmp_path / "flash.bin"
    with board_behind("--via", "pty", "--download", "--flash", str(flash)) as url:
        before = ("--before", "no-reset", "--after", "no-reset", "--no-stub")
        said = esptool(url, *before, "write-flash", "0x1000", str(small))
        assert "Hash of data verified" in said
        assert "Manufacturer: ef" in esptool(url, *before, "flash-id")
    assert flash.read_bytes()[0x1000 : 0x1000 + 5120] == small.read_bytes()
