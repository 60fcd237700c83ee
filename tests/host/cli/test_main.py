"""The command line as a whole: help, errors and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conformance_models.shapes import model
from pytest_quantcheck import __version__
from pytest_quantcheck.cli import COMMANDS, boards, main

pytestmark = pytest.mark.host


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_its_own(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"quantcheck {command}" in capsys.readouterr().out


def test_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"quantcheck {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["boards", "--nonsense"]])
def test_a_wrong_command_line_ends_with_2(arguments, capsys):
    assert main(arguments) == 2
    assert "usage: quantcheck" in capsys.readouterr().err


def test_a_usage_error_is_one_message_and_exit_code_2(capsys, tmp_path):
    assert main(["boards", "--rig", str(tmp_path / "none.toml")]) == 2
    assert capsys.readouterr().err.startswith("quantcheck boards: there is no rig file")


def test_exit_codes_are_in_the_help(capsys):
    main(["--help"])
    assert "3 fault of the rig, 130 interrupted" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ZeroDivisionError("oh"), 2, "ZeroDivisionError: oh (this is a bug: run with QC_TRACEBACK=1 for"),
        (MemoryError("8 EiB"), 2, "out of memory (8 EiB); take fewer or smaller samples"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_no_error_looks_like_a_failed_verdict(error, code, message, monkeypatch, capsys):
    def fail(_):
        raise error

    monkeypatch.setattr(boards, "run", fail)
    assert main(["boards"]) == code
    text = capsys.readouterr().err
    assert text.startswith(f"quantcheck boards: {message}")
    assert text.count("\n") == 1


def test_the_traceback_of_a_bug_is_shown_on_request(monkeypatch, capsys):
    monkeypatch.setattr(boards, "run", lambda _: 1 // 0)
    monkeypatch.setenv("QC_TRACEBACK", "1")
    assert main(["boards"]) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_name_that_the_terminal_cannot_show_is_no_failure(tmp_path):
    script = "import sys; from pytest_quantcheck.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["check", str(tmp_path / "größe.tflite"), "--target", "esp32c3"]
    (tmp_path / "größe.tflite").write_bytes(model("ds-cnn").artefact)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert done.returncode == 0
    assert b"gr??e.tflite" in done.stdout


def test_a_rig_without_boards_is_named_by_demo(tmp_path, capsys):
    (tmp_path / "boards.toml").write_text("")
    assert main(["demo", "--rig", str(tmp_path / "boards.toml")]) == 2
    assert "bug" not in capsys.readouterr().err


def test_help_needs_no_numpy():
    script = (
        "import sys; from pytest_quantcheck.cli import main; main(['--help']); "
        "sys.exit('numpy' in sys.modules or 'serial' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0
