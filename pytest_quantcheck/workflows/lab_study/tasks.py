"""The tasks of the lab by the course's names: which model each one is, and how it is made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.config import QuantConfig

NATIVE, FLOAT, ONE_CLASS = "native", "tflite-fp32", "tflite-imbint8"
FRACTIONS = ("0.01", "0.08", "0.3", "0.8")
_INT8 = "tflite-int8-"
ALLOWED = (
    f"{NATIVE}, {FLOAT}, {', '.join(_INT8 + f for f in FRACTIONS)} (or another fraction), {ONE_CLASS}, "
    "tflite-int8-all, all"
)


@dataclass(frozen=True)
class Task:
    """``name`` is the prefix of its files, ``suffix`` what stands behind the model's name in its artefact's.

    ``config`` is None for the native model; ``fraction`` is 0 where no part of the training samples was
    asked for.
    """

    name: str
    suffix: str = ""
    config: QuantConfig | None = None
    fraction: float = 0.0


def tasks(names: Sequence[str], one_class: str) -> tuple[Task, ...]:
    """The tasks of those names, each once, in the order of the lab; ``one_class`` calibrates the last one.

    Raises ``UsageError`` for a name that is none.
    """
    wanted: set[str] = set()
    for name in names:
        wanted |= set(_meant(name))
    numbers = sorted({float(n.removeprefix(_INT8)) for n in wanted if n.startswith(_INT8)})
    found = [Task(NATIVE)] if NATIVE in wanted else []
    if FLOAT in wanted:
        found.append(Task(FLOAT, ".fp32", QuantConfig(scheme="float32")))
    found += [_int8(number) for number in numbers]
    if ONE_CLASS in wanted:
        chosen = Calibration("classes", classes=(one_class,))
        found.append(Task(ONE_CLASS, ".imbint8", QuantConfig("int8", "int8", calibration=chosen)))
    return tuple(found)


def _int8(fraction: float) -> Task:
    text = f"{fraction:.12g}"
    chosen = Calibration("stratified", fraction)  # as the course: of every class alike
    return Task(
        _INT8 + text, f".int8-{text}", QuantConfig("int8", "int8", calibration=chosen), fraction=fraction
    )


def _meant(name: str) -> list[str]:
    """The tasks that a name stands for."""
    each = [_INT8 + fraction for fraction in FRACTIONS]
    if name == "all":
        return [NATIVE, FLOAT, *each, ONE_CLASS]
    if name == f"{_INT8}all":
        return each
    number = re.fullmatch(r"[0-9]*\.?[0-9]+", name.removeprefix(_INT8)) if name.startswith(_INT8) else None
    if name in (NATIVE, FLOAT, ONE_CLASS) or (number and 1e-9 < float(number[0]) <= 1):
        return [name]
    raise UsageError(f"--tasks {name}: no such task; allowed: {ALLOWED}, with fractions above 0 and up to 1")
