"""What a specification script sets: read without running it, or, with the user's trust, by running it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.temporary import OwnFolder
from pytest_quantcheck.wording import visible
from pytest_quantcheck.workflows.mltk.settings import literal

MAX_BYTES = 1 << 20
MOST_SECONDS = 3600
_CONVERTER = "tflite_converter"
_RUN = "pytest_quantcheck.workflows.mltk.run_script"
_LAST_WORDS = 600


@dataclass(frozen=True)
class Specification:
    """``settings`` of the converter; ``unread`` are lines that set some but have to be run to know to what.

    Where it was run: ``samples`` are those for calibration, None where it has none; ``parameters`` its model
    parameters.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    unread: tuple[int, ...] = ()
    samples: Samples | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read(source: bytes, name: str) -> Specification:
    """The settings that a script gives by plain assignments; nothing in it is run. Raises ``ModelError``."""
    if len(source) > MAX_BYTES:
        raise ModelError(f"{name} has {len(source)} bytes; at most {MAX_BYTES} are read")
    try:
        tree = ast.parse(source)
        found: dict[str, Any] = {}
        known: set[ast.AST] = set()
        for statement in tree.body:
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                known |= _assigned(statement.targets[0], statement.value, found)
        unread = {
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr == _CONVERTER and node not in known
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ModelError(f"{name} is no Python script that can be read ({error})") from error
    return Specification(found, tuple(sorted(unread)))


def _assigned(target: ast.expr, value: ast.expr, found: dict[str, Any]) -> set[ast.AST]:
    """Add what an assignment sets; the attributes that are then accounted for."""
    try:
        if isinstance(target, ast.Subscript) and _is_converter(target.value):
            if isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
                found[target.slice.value] = literal(value)
                return {target.value}
        elif _is_converter(target) and isinstance(value, ast.Dict):
            pairs = [(literal(k), literal(v)) for k, v in zip(value.keys, value.values, strict=True) if k]
            if len(pairs) == len(value.keys):
                found.clear()
                found.update({str(k): v for k, v in pairs})
                return {target}
    except ValueError:  # it has to be run
        pass
    return set()


def _is_converter(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == _CONVERTER


def run(source: bytes, name: str, most: int) -> Specification:
    """Run a script that the user trusts, in a process of its own; takes settings and samples from it.

    Raises ``UsageError`` where it fails.
    """
    with OwnFolder("specification") as folder:
        script, answer = Path(folder) / name, Path(folder) / "answer"
        script.write_bytes(source)
        answer.mkdir()
        try:
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    _RUN,
                    script,
                    answer,
                    str(most),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=MOST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UsageError(f"{name} did not finish within {MOST_SECONDS} s") from None
        if done.returncode:
            raise UsageError(f"{name} failed: {visible(done.stdout.strip()[-_LAST_WORDS:])}")
        values = json.loads((answer / "values.json").read_text())
        arrays = [np.load(answer / f"{i}.npy", allow_pickle=False) for i in range(values["inputs"])]
    samples = Samples(arrays[0] if len(arrays) == 1 else tuple(arrays)) if arrays else None
    return Specification(values["settings"], (), samples, values["parameters"])
