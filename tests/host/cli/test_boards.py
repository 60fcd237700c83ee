"""``quantcheck boards``: present or absent, one board under two names, a whole lab in one table."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.cli import main
from pytest_quantcheck.demo.artefacts import demo_models
from tests.labgrid_farm import labgrid_farm
from tests.mlperf_device import MlperfTinyDevice
from tests.stai_device import Edge, StaiTestDevice

pytestmark = pytest.mark.host

THEIRS = """
[[board]]
name = "{name}"
family = "serial"
target = "any"
port = "{port}"
protocol = "mlperf_tiny"
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """``lab(text)`` writes ``boards.toml`` in a folder of its own, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QC_RIG", "boards.toml")
    monkeypatch.setenv("QC_LEASE_DIR", str(tmp_path / "leases"))
    return lambda text: (tmp_path / "boards.toml").write_text(text)


def test_the_list_says_absent_and_names_who_shares_a_port(lab, tmp_path, capsys):
    (tmp_path / "tty").touch()
    lab(
        THEIRS.format(name="one", port=tmp_path / "tty")
        + THEIRS.format(name="two", port=tmp_path / "tty")
        + THEIRS.format(name="gone", port=tmp_path / "none")
    )
    assert main(["boards"]) == 0
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert said["one"].endswith("free; one port or probe with two: whoever takes one has both")
    assert said["two"].endswith("free; one port or probe with one: whoever takes one has both")
    assert said["gone"].endswith(f"absent: there is no {tmp_path / 'none'}")


PLACE = """
[[board]]
name = "{name}"
family = "serial"
target = "any"
firmware = "external"
place = "{place}"
"""


def test_the_list_says_who_holds_a_place_of_a_farm(lab, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("QC_LABGRID_CLIENT", str(labgrid_farm(tmp_path)))
    lab(PLACE.format(name="farm-1", place="bench") + PLACE.format(name="gone", place="nope"))

    def said():
        assert main(["boards"]) == 0
        return {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}

    assert said()["farm-1"].endswith("  free")
    (tmp_path / "held").write_text("lab/anna")
    told = said()
    assert "  place bench  " in told["farm-1"]
    assert told["farm-1"].endswith("  held by lab/anna of the labgrid farm")
    assert "  unknown: labgrid place nope is not known to the coordinator: " in told["gone"]
    monkeypatch.setenv("QC_LABGRID_CLIENT", str(tmp_path / "none"))
    assert "  unknown: place bench needs labgrid's client " in said()["farm-1"]


def test_check_all_ends_in_a_table_of_all_boards(lab, tmp_path, capsys):
    device = MlperfTinyDevice(lambda sample: [1.0])
    lab(THEIRS.format(name="theirs", port=device.url) + THEIRS.format(name="gone", port=tmp_path / "none"))
    assert main(["boards", "--check", "all", "--rig", "boards.toml"]) == 3
    printed = capsys.readouterr().out
    assert "unit test answers mlperf_tiny, holds kws01" in printed
    assert [line.split() for line in printed.splitlines()[-3:]] == [
        ["BOARD", "LEASE", "FLASH", "BOOT", "LINK", "COUNTER", "MODEL", "FIT"],
        ["theirs", "ok", "-", "ok", "-", "-", "-", "yes"],
        ["gone", "-", "-", "-", "FAIL", "-", "-", "no"],
    ]
    device.close()


@pytest.mark.parametrize("name", ["network", "net\x1b[31m"])
def test_a_board_of_st_is_introduced(lab, capsys, name):
    edge = Edge("x", "int8", (4,))
    device = StaiTestDevice(lambda given: given, [edge], [edge], name=name)
    lab(THEIRS.format(name="theirs", port=device.url).replace("mlperf_tiny", "stai"))
    assert main(["boards", "--check", "theirs", "--rig", "boards.toml"]) == 0
    shown = name.replace("\x1b", r"\x1b")
    told = f"an STM32 (device id 0x450, 480 MHz) answers stai 3.2, holds {shown} (X-CUBE-AI 10.2.0, signature"
    assert told in capsys.readouterr().out
    device.close()


def test_what_a_device_says_does_not_reach_the_terminal_as_commands(lab, capsys):
    device = MlperfTinyDevice(lambda sample: [1.0], name="kws01\x1b[31m")
    lab(THEIRS.format(name="theirs", port=device.url))
    assert main(["boards", "--check", "theirs", "--rig", "boards.toml"]) == 0
    printed = capsys.readouterr().out
    assert r"holds kws01\x1b[31m (" in printed
    assert "\x1b" not in printed
    device.close()


def test_a_run_without_time_stamps_is_printed_without_a_cost(lab, tmp_path, capsys):
    model = demo_models()[0]
    (tmp_path / "model.tflite").write_bytes(model.artefact)
    np.save(tmp_path / "x.npy", np.zeros((1, 8, 8, 1), np.int8))
    device = MlperfTinyDevice(lambda sample: [0.0] * 10)
    lab(THEIRS.format(name="theirs", port=device.url))
    command = ["run", "model.tflite", "--inputs", "x.npy", "--board", "theirs", "--rig", "boards.toml"]
    assert main(command) == 0
    assert "1,500 microseconds per inference" in capsys.readouterr().out
    device.spoil = lambda command, lines: [each for each in lines if "lap" not in each]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "1 inference of model on theirs" in printed
    assert "theirs has no clock" in printed
    device.close()


def test_a_port_that_is_no_pattern_is_told_and_the_other_boards_are_checked(lab, capsys):
    device = MlperfTinyDevice(lambda sample: [1.0])
    lab(THEIRS.format(name="odd", port="hwgrep://[") + THEIRS.format(name="theirs", port=device.url))
    assert main(["boards"]) == 0
    assert "absent: '[' is no regular expression: unterminated character set" in capsys.readouterr().out
    assert main(["boards", "--check", "all", "--rig", "boards.toml"]) == 3
    device.close()
    table = [line.split() for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [(name, fit) for name, *_, fit in table] == [("odd", "no"), ("theirs", "yes")]


def test_a_lab_whose_boards_are_fit_ends_with_0(lab, capsys):
    device = MlperfTinyDevice(lambda sample: [1.0])
    lab(THEIRS.format(name="a", port=device.url))
    assert main(["boards", "--check", "all", "--rig", "boards.toml"]) == 0
    assert "FAIL" not in capsys.readouterr().out
    device.close()


@pytest.mark.parametrize(
    ("family", "target", "settings", "words"),
    [
        ("stm32", "unknown", "", "replace target = 'unknown' by the chip's name: stm32f4"),
        (
            "stm32",
            "stm32f446rx",
            "",
            "target = 'stm32f446rx' is not known to pyOCD; did you mean stm32f446xe or stm32f446re",
        ),
        ("esp32", "esp32s3", "", "target = 'esp32s3' is not known to the family esp32; allowed: esp32c3"),
        (
            "stm32",
            "stm32f446re",
            'conect_mode = "halt"',
            "conect_mode = 'halt' is not known to the family stm32",
        ),
        ("esp32", "esp32c3", 'flash_buad = "1"', "flash_buad = '1' is not known to the family esp32"),
        ("posix", "posix", 'max_buad = "1"', "max_buad = '1' is not known to the family posix"),
        ("serial", "any", 'flash = "x"', "flash = 'x' is not known to the family serial"),
    ],
)
def test_wrong_targets_and_settings_are_told_when_the_file_is_read(
    lab, capsys, family, target, settings, words
):
    external = 'firmware = "external"\n' if family == "serial" else ""
    lab(
        f'[[board]]\nname = "b1"\nfamily = "{family}"\ntarget = "{target}"\nport = "/dev/null"\n{external}'
        f"[board.settings]\n{settings}\n"
    )
    assert main(["boards"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "board 'b1'" in said


def test_a_board_cannot_be_called_all(lab, capsys):
    lab(THEIRS.format(name="all", port="/dev/null"))
    assert main(["boards"]) == 2
    assert "name = 'all' is taken" in capsys.readouterr().err
