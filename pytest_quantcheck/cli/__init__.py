"""The ``quantcheck`` command: finds the sub-command and turns errors into exit codes; no maths here.

Exit codes: 0 pass, 1 failed verdict, 2 wrong usage or input, 3 fault of the rig, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Protocol, cast

from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.version import __version__

COMMANDS = {
    "demo": "quantize, flash and judge a small network on the virtual boards",
    "check": "say whether a model will run on a target: operators, data types, sizes",
    "benchmark": "say what a model takes on each target: flash, RAM, multiply-accumulates, by layer",
    "quantize": "make an integer model of a float one",
    "run": "run a quantized model on a board, with inputs and outputs as NumPy files",
    "compare": "find the first operator in which two runners differ",
    "explain": "say where a quantized model loses its accuracy, and why",
    "chain": "run the steps of a Model-Zoo configuration",
    "study": "compare float, quantized and badly calibrated models of one network",
    "export-espdl": "write the coefficients of a float ONNX model as C++ for ESP-DL 1.1",
    "write-espdl": "write a quantized model with test vectors as an .espdl file",
    "input-espdl": "say how bytes become the input of a model for ESP-DL",
    "verdict": "turn a JSON report of pytest into an exit code",
    "diff": "say what changed between two JSON reports",
    "merge": "join the JSON reports of several jobs into one verdict",
    "boards": "list, find or check boards",
    "cache": "say where conversions are kept and how many, or prune them",
}


class Command(Protocol):
    """A sub-command: the module of that name in this folder, with ``_`` for ``-``."""

    def add_parser(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None: ...
    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: ``sys.argv``) and return its exit code; prints errors on stderr."""
    _print_what_can_be_printed()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        parsed = _parser(arguments).parse_args(arguments)
    except SystemExit as stop:  # argparse has printed help, version or what is wrong
        return stop.code if isinstance(stop.code, int) else 2
    try:
        return int(_module(parsed.command).run(parsed))
    except QuantcheckError as error:
        print(f"quantcheck {parsed.command}: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a file or folder of the user's
        print(f"quantcheck {parsed.command}: {error}", file=sys.stderr)
        return QuantcheckError.exit_code
    except MemoryError as error:
        text = f"out of memory ({error}); take fewer or smaller samples"
        print(f"quantcheck {parsed.command}: {text}", file=sys.stderr)
        return QuantcheckError.exit_code
    except KeyboardInterrupt:
        print(f"quantcheck {parsed.command}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:  # Python's own exit code for it, 1, would say that a verdict failed
        if os.environ.get("QC_TRACEBACK") == "1":
            traceback.print_exc()
        print(
            f"quantcheck {parsed.command}: {type(error).__name__}: {error} (this is a bug: run with "
            f"QC_TRACEBACK=1 for the traceback)",
            file=sys.stderr,
        )
        return QuantcheckError.exit_code


def _print_what_can_be_printed() -> None:
    """A name outside the terminal's alphabet is shown with question marks, and is no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, of which only the sub-command that was typed is imported and complete."""
    parser = argparse.ArgumentParser(
        prog="quantcheck",
        description="Quantized neural networks, tested on the host and on the microcontroller.",
        epilog="Exit codes: 0 pass, 1 failed verdict, 2 wrong usage or input, 3 fault of the rig, "
        "130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"quantcheck {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    typed = next((word for word in arguments if not word.startswith("-")), "")
    for name, summary in COMMANDS.items():
        if name == typed:
            _module(name).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    return parser


def _module(command: str) -> Command:
    return cast(Command, importlib.import_module(f"{__name__}.{command.replace('-', '_')}"))
