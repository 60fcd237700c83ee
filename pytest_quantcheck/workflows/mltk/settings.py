"""MLTK's ``tflite_converter`` settings: which there are, what they may be, and what they ask for."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.config import QuantConfig

GENERATE = "generate"
_TYPES = ("float32", "int8", "uint8")
# what may be set to, the first value is MLTK's default; a list stands for itself or its one entry
_ALLOWED: dict[str, tuple[object, ...]] = {
    "optimizations": (["DEFAULT"],),
    "supported_ops": (["TFLITE_BUILTINS_INT8"],),
    "inference_input_type": _TYPES,
    "inference_output_type": _TYPES,
    "representative_dataset": (GENERATE,),
    "representative_dataset_max_samples": (1000,),
    "generate_unquantized": (True, False),
    "_experimental_disable_per_channel": (False, True),
    "allow_custom_ops": (False,),
    "experimental_new_converter": (True,),
    "experimental_new_quantizer": (True,),
    "experimental_enable_resource_variables": (False,),
    "generate_quantization_report": (False,),
}
NAMES = tuple(_ALLOWED)
"""All settings that there are."""
_NUMBERS = ("representative_dataset_max_samples",)


@dataclass(frozen=True)
class Settings:
    """``config`` is what they ask for, ``generator`` the function that gives calibration samples, if one was
    set; else they are generated from the validation data. ``unquantized``: the float model is written, too.
    """

    config: QuantConfig
    max_samples: int
    unquantized: bool
    generator: Callable[[], Any] | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """Checked, with MLTK's defaults for what is left out. Raises ``UsageError``."""
        found = {key: allowed[0] for key, allowed in _ALLOWED.items()}
        generator = values.get("representative_dataset")
        for key, value in values.items():
            if key not in _ALLOWED:
                raise UsageError(f"tflite_converter[{key!r}] is not known; allowed: {', '.join(_ALLOWED)}")
            if not (key == "representative_dataset" and callable(value)):
                found[key] = _checked(key, value)
        per_tensor = found["_experimental_disable_per_channel"] is True
        return cls(
            QuantConfig(
                str(found["inference_input_type"]),
                str(found["inference_output_type"]),
                "per_tensor" if per_tensor else "per_channel",
            ),
            int(str(found["representative_dataset_max_samples"])),
            found["generate_unquantized"] is True,
            generator if callable(generator) else None,
        )


def _checked(key: str, given: object) -> object:
    allowed = _ALLOWED[key]
    value = plain(given)
    if key in _NUMBERS:
        if type(value) is int and value >= 1:
            return value
        raise UsageError(f"tflite_converter[{key!r}] = {given!r}: allowed: a whole number from 1")
    if isinstance(allowed[0], list) and not isinstance(value, list):
        value = [value]
    if not any(value == each and type(value) is type(each) for each in allowed):
        words = ", ".join(map(str, allowed))
        more = ", or (from Python) a function" if key == "representative_dataset" else ""
        raise UsageError(f"tflite_converter[{key!r}] = {given!r}: allowed: {words}{more}")
    return value


def plain(value: object) -> object:
    """Constants of TensorFlow and NumPy by their last name: ``tf.lite.Optimize.DEFAULT`` is ``DEFAULT``."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value.rpartition(".")[2]
    if isinstance(value, (list, tuple, set)):
        return [plain(each) for each in value]
    if isinstance(name := getattr(value, "name", None), str):  # DType, an enumeration
        return name
    try:
        return np.dtype(value).name  # type: ignore[call-overload]  # whatever it is
    except TypeError:
        return repr(value)


def literal(node: ast.expr) -> object:
    """What an expression stands for without running it. Raises ``ValueError`` for one that has to be run."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float, str, type(None))):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [literal(each) for each in node.elts]
    if isinstance(node, ast.Attribute):
        base: ast.expr = node
        while isinstance(base, ast.Attribute):
            base = base.value
        if isinstance(base, ast.Name) and base.id in ("tf", "tensorflow", "np", "numpy"):
            return node.attr
    raise ValueError


def from_text(text: str) -> tuple[str, object]:
    """``inference_input_type=int8`` as key and value. Raises ``UsageError``."""
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise UsageError(f"--converter {text}: allowed: KEY=VALUE, such as inference_input_type=int8")
    try:
        return key, literal(ast.parse(value, mode="eval").body)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return key, [each.strip() for each in value[1:-1].split(",")] if value[0] == "[" else value
