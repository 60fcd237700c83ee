"""The quantization table: exponents of all tensors, as JSON or as the toolkit's pickle of 2**-exponent."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.data.pickled import read_pickle
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole, write_whole
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.numerics.power_of_two import LARGEST_EXPONENT, SMALLEST_EXPONENT

NAME, VERSION = "quantcheck.espdl_table", 1
MOST_BYTES = 1 << 26
SUFFIXES = (".json", ".pickle", ".pkl")


@dataclass(frozen=True, eq=False)
class Table:
    """Exponents by the name of a tensor: activations have one, weights and biases one or one per channel."""

    activations: Mapping[str, int]
    constants: Mapping[str, IntArray]

    def of(self, name: str) -> int:
        """The exponent of an activation. Raises ``ModelError`` where the table has none."""
        if name not in self.activations:
            raise ModelError(f"the quantization table has no exponent for the tensor '{name}'")
        return self.activations[name]


def write_table(table: Table, path: str | os.PathLike[str]) -> Path:
    """Write a ``.json`` file, or the toolkit's ``.pickle``: floats, and arrays for weights."""
    target = _suffix(Path(path))
    if target.suffix == ".json":
        exponents = {
            **{name: int(value) for name, value in table.activations.items()},
            **{name: np.atleast_1d(value).tolist() for name, value in table.constants.items()},
        }
        document = {"format": NAME, "version": VERSION, "exponents": exponents}
        write_whole(target, json.dumps(document, indent=2).encode() + b"\n")
        return target
    steps: dict[str, Any] = {name: 2.0 ** -int(value) for name, value in table.activations.items()}
    for name, value in table.constants.items():
        steps[name] = np.ldexp(1.0, -np.atleast_1d(value))
    write_whole(target, pickle.dumps(steps, protocol=2))
    return target


def read_table(path: str | os.PathLike[str], activations: set[str]) -> Table:
    """Read either form; ``activations`` are the tensors that are no constants.

    A pickle is read without running anything in it. Raises ``ModelError`` for what is no table,
    ``UsageError`` where there is no file.
    """
    source = _suffix(Path(path))
    if not source.is_file():
        raise UsageError(f"there is no quantization table {source}")
    exponents = _json(source) if source.suffix == ".json" else _pickle(source)
    chosen: dict[str, int] = {}
    for name in activations & set(exponents):
        if exponents[name].size != 1:
            raise ModelError(f"{source}: '{name}' has {exponents[name].size} exponents; one is allowed")
        chosen[name] = int(exponents[name].reshape(-1)[0])
    return Table(chosen, {name: value for name, value in exponents.items() if name not in activations})


def _suffix(path: Path) -> Path:
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: a quantization table is a file {', '.join(SUFFIXES)}")
    return path


def _json(path: Path) -> dict[str, IntArray]:
    try:
        document = json.loads(read_whole(path, MOST_BYTES))
        named = document["format"], document["version"]
        if named != (NAME, VERSION):
            raise ModelError(f"{path} is {named}, no quantization table of version {VERSION}")
        return {str(name): _checked(path, name, value) for name, value in document["exponents"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ModelError(f"{path} is no quantization table ({type(error).__name__}: {error})") from error


def _checked(path: Path, name: str, value: Any) -> IntArray:
    values = value if isinstance(value, list) else [value]
    if not values or any(type(each) is not int for each in values):
        raise ModelError(f"{path}: the exponent of '{name}' is {value!r}; whole numbers are allowed")
    return _limited(path, name, np.asarray(values, np.int64) if len(values) > 1 else np.int64(values[0]))


def _limited(path: Path, name: str, value: Any) -> IntArray:
    exponents = np.asarray(value, np.int64)
    if np.any(exponents < SMALLEST_EXPONENT) or np.any(exponents > LARGEST_EXPONENT):
        allowed = f"{SMALLEST_EXPONENT} to {LARGEST_EXPONENT}"
        raise ModelError(f"{path}: the exponent of '{name}' is {value}; {allowed} are allowed")
    return exponents


def _pickle(path: Path) -> dict[str, IntArray]:
    found = {}
    for name, steps in read_pickle(path, numbers=True).items():
        values: Array = np.asarray(steps)
        if values.dtype.kind not in "fiu" or values.ndim > 1 or not values.size:
            raise ModelError(f"{path}: '{name}' is no number and no row of numbers")
        fraction, power = np.frexp(values.astype(np.float64))
        if np.any(fraction != 0.5) or not np.all(np.isfinite(values.astype(np.float64))):
            raise ModelError(f"{path}: '{name}' holds {values}; a table holds powers of two, 2**-exponent")
        exponents = 1 - power.astype(np.int64)
        found[name] = _limited(path, name, exponents.reshape(()) if exponents.size == 1 else exponents)
    return found
