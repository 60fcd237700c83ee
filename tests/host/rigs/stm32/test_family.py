"""The STM32 plug-in says what it knows, and explains what it cannot open."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.families import family
from pytest_quantcheck.rig.protocols.misbehaving import misbehaving

pytestmark = pytest.mark.host

BENCH = BoardEntry(name="bench", family="stm32", target="stm32f446re", port="/dev/does-not-exist", probe="0")


def test_the_entry_point_names_the_family() -> None:
    stm32 = family("stm32")
    assert stm32.name == "stm32"
    assert {"stm32f405xg", "stm32f446re", "stm32f429xi", "virtual-stm32f405"} <= set(stm32.targets())
    assert [(each.name, each.target) for each in stm32.virtual_boards()] == [("virtual-stm32f405",) * 2]


def test_loading_the_family_loads_neither_pyocd_nor_unicorn() -> None:
    code = (
        "import sys, rigs.stm32\n"
        "print(sorted({'pyocd', 'unicorn', 'serial', 'numpy', 'rigs.stm32.board'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


def test_a_scan_opens_nothing_and_finds_no_virtual_board() -> None:
    assert not [entry for entry in family("stm32").scan() if "virtual" in entry.probe]


def test_a_target_left_unknown_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="replace target = 'unknown' by the chip's name: stm32f405xg"):
        family("stm32").open(replace(BENCH, target="unknown"), tmp_path)


@pytest.mark.parametrize(
    ("port", "says"),
    [
        ("", "names no port"),
        ("/dev/does-not-exist", "cannot be opened"),
        ("nonsense://x", "cannot be opened"),
    ],
)
def test_a_port_that_cannot_be_opened_is_a_link_fault(tmp_path: Path, port: str, says: str) -> None:
    board = family("stm32").open(replace(BENCH, port=port), tmp_path)
    with pytest.raises(RigFault, match=says) as fault:
        board.open_port()
    assert fault.value.kind == "link"


def test_a_failing_reset_command_of_the_lab_is_a_boot_fault(tmp_path: Path) -> None:
    board = family("stm32").open(replace(BENCH, reset=f"{sys.executable} -c 'exit(3)'"), tmp_path)
    with pytest.raises(RigFault, match="exit status 3") as fault:
        board.reset()
    assert fault.value.kind == "boot"


def test_a_power_cycle_command_of_the_lab_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "cycled"
    command = f"{sys.executable} -c \"open('{mark}', 'w')\""
    family("stm32").open(replace(BENCH, power_cycle=command), tmp_path).power_cycle()
    assert mark.exists()


def test_a_real_board_cannot_be_told_to_break(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a real board"):
        misbehaving(family("stm32").open(BENCH, tmp_path))


def test_without_qemu_its_engine_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="apt-get install qemu-system-arm"):
        family("stm32").open(
            replace(family("stm32").virtual_boards()[0], settings={"engine": "qemu"}), tmp_path
        )


def test_an_engine_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    entry = replace(family("stm32").virtual_boards()[0], settings={"engine": "abacus"})
    with pytest.raises(UsageError, match=r"settings\.engine='abacus'; allowed: 'unicorn', 'qemu'"):
        family("stm32").open(entry, tmp_path)
