"""The ESP32 family: cheap to import, finds boards without touching them, and explains what it cannot open."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.families import family
from pytest_quantcheck.rig.protocols.misbehaving import misbehaving

pytestmark = pytest.mark.host

BENCH = BoardEntry(name="bench", family="esp32", target="esp32c3", port="/dev/nowhere/tty0")


def test_the_family_costs_no_third_party_import() -> None:
    program = (
        "import sys; from rigs.esp32 import family; family.targets(); family.virtual_boards(); "
        "heavy = {'esptool', 'serial', 'unicorn', 'numba', 'numpy'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_host_side_never_loads_the_emulator(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from rigs.esp32 import family; "
        f"board = family.open(family.virtual_boards()[0], Path({str(tmp_path)!r})); board.close(); "
        "print(sorted({'unicorn', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_virtual_board_is_offered() -> None:
    (entry,) = family("esp32").virtual_boards()
    assert (entry.name, entry.target, entry.virtual) == ("virtual-esp32c3", "virtual-esp32c3", True)
    assert entry.target in family("esp32").targets()


def port(device: str, vid: int | None, pid: int | None, serial: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(device=device, vid=vid, pid=pid, serial_number=serial)


def test_scan_lists_espressifs_usb_first_then_bridges_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ports = [
        port("/dev/ttyS0", None, None),
        port("/dev/ttyUSB0", 0x10C4, 0xEA60, "0001"),
        port("/dev/ttyACM1", 0x0483, 0x374B, "066BFF"),  # an ST-LINK
        port("/dev/ttyACM0", 0x303A, 0x1001, "60:55:F9:00:00:01"),
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    found = family("esp32").scan()
    assert [(entry.port, entry.console) for entry in found] == [
        ("/dev/ttyACM0", "usb"),
        ("/dev/ttyUSB0", "uart"),
    ]
    assert [entry.name for entry in found] == ["esp32c3-f9000001", "esp32c3-0001"]
    assert {entry.target for entry in found} == {"esp32c3"}


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (replace(BENCH, target="esp32s3"), "allowed: esp32c3, virtual-esp32c3"),
        (replace(BENCH, port=""), "needs `port`"),
    ],
)
def test_an_entry_that_cannot_be_right_is_a_usage_error(entry: BoardEntry, word: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=word):
        family("esp32").open(entry, tmp_path)


def test_a_missing_port_is_a_link_fault_with_a_remedy(tmp_path: Path) -> None:
    board = family("esp32").open(BENCH, tmp_path)
    with pytest.raises(RigFault, match=r"link fault on bench: port /dev/nowhere/tty0 .*boards\.toml"):
        board.open_port()


@pytest.mark.parametrize(
    ("devices", "word"), [([], "matches no port"), (["/dev/a", "/dev/b"], "2 ports: /dev/a, /dev/b")]
)
def test_a_search_for_a_port_must_find_exactly_one(
    devices: list[str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_ports, "grep", lambda _pattern: [port(device, 1, 2) for device in devices])
    board = family("esp32").open(replace(BENCH, port="hwgrep://303A:1001"), tmp_path)
    with pytest.raises(RigFault, match=word):
        board.open_port()


def test_flashing_without_a_port_is_a_flash_fault(tmp_path: Path) -> None:
    board = family("esp32").open(BENCH, tmp_path)
    with pytest.raises(RigFault, match="flash fault on bench"):
        board.flash([(0, b"x")])


def test_a_real_board_cannot_be_told_to_misbehave(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="real"):
        misbehaving(family("esp32").open(BENCH, tmp_path))


def test_an_own_firmware_is_known_by_its_bytes(tmp_path: Path) -> None:
    image = tmp_path / "own.bin"
    image.write_bytes(b"firmware")
    found = family("esp32").open(replace(BENCH, firmware=str(image)), tmp_path).firmware
    assert (found.path, found.size, found.build_id, found.address) == (image, 8, "", 0)


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"\x7fELF....", "objcopy"), (b"\0" * (1 << 20) + b"\0", "image store"), (None, "file")],
)
def test_a_firmware_that_cannot_be_flashed_is_explained(
    content: bytes | None, word: str, tmp_path: Path
) -> None:
    image = tmp_path / "own.bin"
    if content is not None:
        image.write_bytes(content)
    board = family("esp32").open(replace(BENCH, firmware=str(image)), tmp_path)
    with pytest.raises(UsageError, match=word):
        _ = board.firmware


def test_the_reset_command_is_run_and_its_failure_told(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    board = family("esp32").open(
        replace(BENCH, reset=f"touch {mark}", power_cycle="sh -c 'echo no relay >&2; exit 3'"), tmp_path
    )
    board.reset()
    assert mark.exists()
    with pytest.raises(RigFault, match=r"boot fault on bench: power_cycle command .* status 3: no relay"):
        board.power_cycle()
