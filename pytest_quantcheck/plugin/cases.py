"""What a case is, and how lists of values multiply into cases with readable ids, wherever they come from.

Collection works with plain strings and values only: no model is loaded, no TensorFlow or NumPy is
imported, and every xdist worker comes to the same list.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from math import prod
from pathlib import PurePath
from typing import Any

import pytest

from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.errors import CombinationError, UsageError
from pytest_quantcheck.quantizers.config import QuantConfig

CONFIG_KEYS = tuple(field.name for field in fields(QuantConfig))
SOURCE_KEYS = ("model", "data", "artefact")
QUANT_KEYS = (*SOURCE_KEYS, *CONFIG_KEYS, "seed", "configs", "strict")
_EDGES = ("input_type", "output_type")
_Parameter = type(pytest.param(None))  # what pytest.param returns has no public name


@dataclass(frozen=True)
class Case:
    """One model under one configuration, all of it as written in the marker.

    ``model`` and ``artefact`` are files relative to ``folder`` or ``package.module:function``;
    empty where not given. ``name`` is the model's in ids: the file's stem, or the last part of the
    module's name. ``data_name`` tells several data of one model apart, ``words`` are the ids that
    ``pytest.param`` gave to values of the configuration, by key.
    """

    model: str
    data: str
    artefact: str
    config: QuantConfig | None
    folder: str
    name: str
    data_name: str = ""
    words: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """``kws-tflite-i8-i8-perchannel-cal10pct``."""
        words = dict(self.words)
        config = "" if self.config is None else words.get("configs") or self.config.id_with(words)
        return "-".join(part for part in (self.name, self.data_name, config) if part)


@dataclass(frozen=True)
class Value:
    """One entry of a list: what it is, with the marks and the id that ``pytest.param`` gave to it."""

    value: Any
    marks: tuple[pytest.MarkDecorator | pytest.Mark, ...] = ()
    id: str = ""


@dataclass(frozen=True)
class Parameter:
    """A case with the marks that ``pytest.param`` gave to its values."""

    case: Case
    marks: tuple[pytest.MarkDecorator | pytest.Mark, ...]


@dataclass(frozen=True)
class Expansion:
    """All cases of one test function; ``factors`` tells where they came from.

    ``impossible`` counts the combinations that no quantizer can do, by the reason, ``collapsed`` those that
    share their integer core with one that is kept.
    """

    parameters: tuple[Parameter, ...]
    factors: Mapping[str, int]
    impossible: Mapping[str, int]
    collapsed: int = 0

    def __str__(self) -> str:
        """``input_type (2) x granularity (2) = 4``."""
        many = [f"{key} ({count})" for key, count in self.factors.items() if count > 1]
        return f"{' x '.join(many) or '1'} = {prod(self.factors.values())}"


def model_name(reference: str, *, long: bool = False) -> str:
    """``models/kws.h5`` -> ``kws``; ``package.digits:build`` -> ``digits``; empty stays empty.

    ``long`` tells namesakes apart: ``models.kws``, ``digits.build``.
    """
    module, colon, function = reference.rpartition(":")
    if colon and len(module) > 1:  # not the drive letter of a Windows path
        name = module.rpartition(".")[2]
        return f"{name}.{function}" if long else name
    path = PurePath(reference.replace("\\", "/"))
    stem = path.name.split(".")[0]
    return f"{path.parent.name}.{stem}" if long and path.parent.name else stem


def _names(values: Sequence[Value]) -> dict[str, str]:
    """A name for each model, or for each of several data, as short as keeps them apart."""
    references = list(dict.fromkeys(each.value for each in values))
    short = [model_name(reference) for reference in references]
    return {
        reference: model_name(reference, long=short.count(name) > 1)
        for reference, name in zip(references, short, strict=True)
    }


def expand(merged: Mapping[str, Any], folder: str, *, collapse_edges: bool) -> Expansion:
    """Multiply the lists of a merged ``quant`` marker.

    With ``collapse_edges`` configurations that differ only in ``input_type`` and ``output_type``
    become one, since they share one integer core. Combinations that no quantizer can do are left out and
    counted; with ``strict=True``, or when nothing else is left, they are an error. Raises ``UsageError``.
    """
    merged = dict(merged)
    strict = merged.pop("strict", False)
    if not isinstance(strict, bool):
        raise UsageError(f"quant(strict={strict!r}): allowed: True, False")
    sources = {key: _values(key, merged[key]) for key in SOURCE_KEYS if key in merged}
    for key, values in sources.items():
        for each in values:
            _check_source(key, each.value)
    settings = _configurations(merged)
    if settings and "artefact" in sources:
        key = next(k for k in merged if k not in SOURCE_KEYS)
        raise UsageError(f"quant(artefact=..., {key}=...): an artefact is quantized already; leave {key} out")
    if not settings and "artefact" not in sources:
        settings = {"configuration": [Value(QuantConfig())]}
    factors = {**sources, **settings}
    naming = _Naming(
        _names(sources.get("artefact") or sources.get("model") or [Value("")]),
        _names(sources["data"]) if len(sources.get("data", ())) > 1 else {},
    )
    parameters, impossible = _combine_all(factors, folder, naming, strict=strict)
    counts = {key: len(values) for key, values in factors.items()}
    whole = tuple(_unique(parameters))
    kept = whole
    if collapse_edges:
        kept = tuple(_unique(_collapse(parameters)))
        counts = {key: count for key, count in counts.items() if key not in _EDGES}
    return Expansion(kept, counts, impossible, len(whole) - len(kept))


def _values(key: str, given: object) -> list[Value]:
    """``(value, marks)`` for each entry of a list, or for the one value given."""
    entries = (
        list(given) if isinstance(given, (list, tuple)) and not isinstance(given, _Parameter) else [given]
    )
    if not entries:
        raise UsageError(f"quant({key}=[]): an empty list gives no case")
    values: list[Value] = []
    for entry in entries:
        if not isinstance(entry, _Parameter):
            values.append(Value(entry))
            continue
        if len(entry.values) != 1:
            raise UsageError(f"quant({key}=...): pytest.param takes one value, marks and an id")
        values.append(Value(entry.values[0], tuple(entry.marks), str(entry.id or "")))
    return values


def _check_source(key: str, value: object) -> None:
    wanted = 'a file or "package.module:function"'
    if key == "data":
        wanted = '"package.module:function", or a reader and its folder such as "images:train?size=96"'
    if not isinstance(value, str) or not value:
        raise UsageError(f"quant({key}={value!r}): allowed: {wanted}")
    if key == "data" and ":" not in value:
        raise UsageError(f"quant({key}={value!r}): allowed: {wanted}")


def _configurations(merged: Mapping[str, Any]) -> dict[str, list[Value]]:
    """The factors that make a configuration, each value checked on its own."""
    if "configs" in merged:
        configs = _values("configs", merged["configs"])
        for each in configs:
            if not isinstance(each.value, QuantConfig):
                raise UsageError(f"quant(configs=[{each.value!r}]): allowed: a list of QuantConfig")
        return {"configs": configs}
    factors = {key: _values(key, merged[key]) for key in (*CONFIG_KEYS, "seed") if key in merged}
    for key, values in factors.items():
        for each in values:
            _check_value(key, each.value)
    if "seed" in factors and any(
        isinstance(each.value, Calibration) for each in factors.get("calibration", [])
    ):
        raise UsageError("quant(seed=..., calibration=Calibration(...)): the Calibration has its own seed")
    return factors


def _check_value(key: str, value: object) -> None:
    """What is wrong with a value alone, whatever the other keys are; the quantizer judges combinations."""
    if key in ("scheme", "options"):
        return
    if key == "seed":
        Calibration(seed=value)  # type: ignore[arg-type]
    elif key == "calibration" and not isinstance(value, (str, Calibration)):
        raise UsageError(f"quant(calibration={value!r}): allowed: a text such as '10%', or a Calibration")
    else:
        with contextlib.suppress(CombinationError):  # with another value beside it, it may be possible
            QuantConfig(**{key: value})  # type: ignore[arg-type]


def _choices(factors: Mapping[str, list[Value]]) -> Iterable[dict[str, Value]]:
    for choice in product(*factors.values()):
        yield dict(zip(factors, choice, strict=True))


@dataclass(frozen=True)
class _Naming:
    """What models are called in ids, and several data of one model."""

    models: Mapping[str, str]
    data: Mapping[str, str]


def _combine_all(
    factors: Mapping[str, list[Value]], folder: str, naming: _Naming, *, strict: bool
) -> tuple[list[Parameter], Mapping[str, int]]:
    parameters, impossible = [], Counter[str]()
    for choice in _choices(factors):
        try:
            parameters.append(_combine(choice, folder, naming))
        except CombinationError as error:
            impossible[str(error)] += 1
    if impossible and (strict or not parameters):
        reasons = "; ".join(f"{reason} ({count})" for reason, count in impossible.items())
        raise UsageError(
            f"{sum(impossible.values())} of {_total(factors)} combinations cannot be made: {reasons}"
        )
    return parameters, impossible


def _total(factors: Mapping[str, list[Value]]) -> int:
    return prod(len(values) for values in factors.values())


def _combine(choice: Mapping[str, Value], folder: str, naming: _Naming) -> Parameter:
    plain = {key: each.value for key, each in choice.items()}
    marks = tuple(mark for each in choice.values() for mark in each.marks)
    words = {key: each.id for key, each in choice.items() if each.id}
    sources = {key: plain.pop(key, "") for key in SOURCE_KEYS}
    config = plain.pop("configs", None) or plain.pop("configuration", None)
    if config is None and not sources["artefact"]:
        calibration = plain.pop("calibration", "all" if "seed" in plain else None)
        if isinstance(calibration, str):
            calibration = Calibration.parse(calibration, plain.pop("seed", 0))
        config = QuantConfig(**plain, calibration=calibration)
    if "seed" in words:  # the seed stands behind the calibration
        words["calibration"] = "-".join(filter(None, (words.get("calibration"), words.pop("seed"))))
    model = "artefact" if sources["artefact"] else "model"
    name = words.pop(model, "") or naming.models[sources[model]]
    data_name = words.pop("data", "") or naming.data.get(sources["data"], "")
    case = Case(
        **sources, config=config, folder=folder, name=name, data_name=data_name, words=tuple(words.items())
    )
    return Parameter(case, marks)


def _collapse(parameters: Sequence[Parameter]) -> list[Parameter]:
    """One parameter per integer core, an unmarked one where there is a choice."""
    cores: dict[object, Parameter] = {}
    for parameter in parameters:
        case, config = parameter.case, parameter.case.config
        core = (case.model, case.data, case.artefact, config and _core(config))
        kept = cores.get(core)
        if kept is None or (kept.marks and not parameter.marks):
            cores[core] = parameter
    return list(cores.values())


def _core(config: QuantConfig) -> tuple[object, ...]:
    return tuple(getattr(config, key) for key in CONFIG_KEYS if key not in _EDGES)


def _unique(parameters: Sequence[Parameter]) -> Sequence[Parameter]:
    seen: dict[str, Case] = {}
    for parameter in parameters:
        case = parameter.case
        if case.id in seen:
            raise UsageError(
                f"two cases would be called {case.id!r}: {seen[case.id].artefact or seen[case.id].model} and "
                f"{case.artefact or case.model}; rename one, or leave out the value given twice"
            )
        seen[case.id] = case
    return parameters
