"""The command line as a whole: help, errors and exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_quantcheck import __version__
from pytest_quantcheck.cli import COMMANDS, main

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


def test_help_needs_no_numpy():
    script = (
        "import sys; from pytest_quantcheck.cli import main; main(['--help']); "
        "sys.exit('numpy' in sys.modules or 'serial' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0
