"""The ``quant`` and ``hw`` markers: merged, checked, multiplied into cases with readable ids.

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
from pytest_quantcheck.rig.families import family_names
from pytest_quantcheck.verdict.budget import QUANTITIES, Budget

CONFIG_KEYS = tuple(field.name for field in fields(QuantConfig))
SOURCE_KEYS = ("model", "data", "artefact")
QUANT_KEYS = (*SOURCE_KEYS, *CONFIG_KEYS, "seed", "configs", "strict")
HW_KEYS = ("family", "target", "tags", "io")
_EDGES = ("input_type", "output_type")
_NOT_TEXT = ("configs", "options", "strict")  # keys that --qc-set cannot say
Value = tuple[Any, tuple[Any, ...]]  # with its marks
_Parameter = type(pytest.param(None))  # what pytest.param returns has no public name


@dataclass(frozen=True)
class Case:
    """One model under one configuration, all of it as written in the marker.

    ``model`` and ``artefact`` are files relative to ``folder`` or ``package.module:function``;
    empty where not given. ``name`` is the model's in ids: the file's stem, or the last part of the
    module's name.
    """

    model: str
    data: str
    artefact: str
    config: QuantConfig | None
    folder: str
    name: str

    @property
    def id(self) -> str:
        """``kws-tflite-i8-i8-perchannel-cal10pct``."""
        return "-".join(part for part in (self.name, self.config.id if self.config else "") if part)


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


def _names(sources: Mapping[str, Sequence[Value]]) -> dict[str, str]:
    """A name for each model of a marker, as short as keeps them apart."""
    references = dict.fromkeys(
        value for value, _ in sources.get("artefact") or sources.get("model") or [("", ())]
    )
    short = [model_name(reference) for reference in references]
    return {
        reference: model_name(reference, long=short.count(name) > 1)
        for reference, name in zip(references, short, strict=True)
    }


def marks(node: pytest.Item, name: str) -> list[pytest.Mark]:
    """The markers of that name, nearest first; those of a class before those of its base classes, which
    ``iter_markers`` gives the other way round.
    """
    found: list[pytest.Mark] = []
    for each in reversed(node.listchain()):
        own = [mark for mark in each.own_markers if mark.name == name]
        if isinstance(each, pytest.Class):
            bases = reversed([*enumerate(each.obj.__mro__)])  # the nearest class counts for a shared marker
            rank = {id(mark): at for at, base in bases for mark in _written(base)}
            own.sort(key=lambda mark: rank.get(id(mark), -1))
        found += own
    return found


def _written(base: type) -> list[pytest.Mark]:
    """The markers on a class itself."""
    given: Any = base.__dict__.get("pytestmark", [])
    written: list[Any] = given if isinstance(given, list) else [given]
    return [getattr(mark, "mark", mark) for mark in written]


def merge(name: str, marks: Sequence[pytest.Mark], allowed: Sequence[str]) -> dict[str, Any]:
    """One dict from the markers called ``name``, given nearest first: the nearest wins, key by key."""
    merged: dict[str, Any] = {}
    for mark in reversed(marks):
        if mark.args:
            raise UsageError(f"{name}({mark.args[0]!r}): keys only, such as {name}({allowed[0]}=...)")
        for key, value in mark.kwargs.items():
            if key not in allowed:
                raise UsageError(
                    f"{name}({key}={value!r}): unknown key {key!r}; allowed: {', '.join(allowed)}"
                )
        if name == "quant":
            _replace_configs(merged, mark.kwargs)
        merged.update(mark.kwargs)
    return merged


def _replace_configs(merged: dict[str, Any], nearer: Mapping[str, Any]) -> None:
    """``configs=`` and single keys are two ways to say the same: the nearer marker's way holds."""
    single = [key for key in nearer if key in (*CONFIG_KEYS, "seed")]
    if "configs" in nearer and single:
        raise UsageError(f"quant(configs=..., {single[0]}=...): give either configs or single keys, not both")
    if "configs" in nearer:
        for key in (*CONFIG_KEYS, "seed"):
            merged.pop(key, None)
    elif single:
        merged.pop("configs", None)


def override(merged: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    """``--qc-set KEY=VALUE[,VALUE]``: as if the nearest marker of all said so."""
    nearest: dict[str, Any] = {}
    for key, text in overrides.items():
        if key not in QUANT_KEYS or key in _NOT_TEXT:
            allowed = ", ".join(k for k in QUANT_KEYS if k not in _NOT_TEXT)
            raise UsageError(f"--qc-set {key}={text}: unknown key {key!r}; allowed: {allowed}")
        values = text.split(",")
        nearest[key] = [_plain(key, value) for value in values]
    result = dict(merged)
    _replace_configs(result, nearest)
    result.update(nearest)
    return result


def _plain(key: str, text: str) -> object:
    """A number or truth value where the key wants one; what is none stays a text, which is refused later."""
    if key == "optimize":
        return {"true": True, "false": False}.get(text.lower(), text)
    return int(text) if key == "seed" and text.isdigit() else text


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
        for value, _ in values:
            _check_source(key, value)
    settings = _configurations(merged)
    if settings and "artefact" in sources:
        key = next(k for k in merged if k not in SOURCE_KEYS)
        raise UsageError(f"quant(artefact=..., {key}=...): an artefact is quantized already; leave {key} out")
    if not settings and "artefact" not in sources:
        settings = {"configuration": [(QuantConfig(), ())]}
    factors = {**sources, **settings}
    names = _names(sources)
    parameters, impossible = _combine_all(factors, folder, names, strict=strict)
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
            values.append((entry, ()))
            continue
        if len(entry.values) != 1 or entry.id is not None:
            raise UsageError(
                f"quant({key}=...): pytest.param takes one value and marks; ids follow from the keys"
            )
        values.append((entry.values[0], tuple(entry.marks)))
    return values


def _check_source(key: str, value: object) -> None:
    wanted = '"package.module:function"' if key == "data" else 'a file or "package.module:function"'
    if not isinstance(value, str) or not value:
        raise UsageError(f"quant({key}={value!r}): allowed: {wanted}")
    if key == "data" and ":" not in value:
        raise UsageError(f"quant({key}={value!r}): allowed: {wanted}")


def _configurations(merged: Mapping[str, Any]) -> dict[str, list[Value]]:
    """The factors that make a configuration, each value checked on its own."""
    if "configs" in merged:
        configs = _values("configs", merged["configs"])
        for value, _ in configs:
            if not isinstance(value, QuantConfig):
                raise UsageError(f"quant(configs=[{value!r}]): allowed: a list of QuantConfig")
        return {"configs": configs}
    factors = {key: _values(key, merged[key]) for key in (*CONFIG_KEYS, "seed") if key in merged}
    for key, values in factors.items():
        for value, _ in values:
            _check_value(key, value)
    if "seed" in factors and any(isinstance(v, Calibration) for v, _ in factors.get("calibration", [])):
        raise UsageError("quant(seed=..., calibration=Calibration(...)): the Calibration has its own seed")
    return factors


def _check_value(key: str, value: object) -> None:
    """What is wrong with a value whatever stands beside it; the quantizer decides about the other keys."""
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


def _combine_all(
    factors: Mapping[str, list[Value]], folder: str, names: Mapping[str, str], *, strict: bool
) -> tuple[list[Parameter], Mapping[str, int]]:
    parameters, impossible = [], Counter[str]()
    for choice in _choices(factors):
        try:
            parameters.append(_combine(choice, folder, names))
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


def _combine(choice: Mapping[str, Value], folder: str, names: Mapping[str, str]) -> Parameter:
    plain = {key: value for key, (value, _) in choice.items()}
    marks = tuple(mark for _, marks in choice.values() for mark in marks)
    sources = {key: plain.pop(key, "") for key in SOURCE_KEYS}
    config = plain.pop("configs", None) or plain.pop("configuration", None)
    if config is None and not sources["artefact"]:
        calibration = plain.pop("calibration", "all" if "seed" in plain else None)
        if isinstance(calibration, str):
            calibration = Calibration.parse(calibration, plain.pop("seed", 0))
        config = QuantConfig(**plain, calibration=calibration)
    name = names[sources["artefact"] or sources["model"]]
    return Parameter(Case(**sources, config=config, folder=folder, name=name), marks)


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


def hardware(marks: Sequence[pytest.Mark]) -> dict[str, Any]:
    """The merged ``hw`` marker, checked: ``family``, ``target``, ``tags`` (a tuple), ``io``."""
    merged = merge("hw", marks, HW_KEYS)
    for key in ("family", "target"):
        if not isinstance(merged.setdefault(key, ""), str):
            raise UsageError(f"hw({key}={merged[key]!r}): allowed: a name")
    if merged["family"] and merged["family"] not in family_names():
        installed = ", ".join(family_names()) or "none"
        raise UsageError(f"hw(family={merged['family']!r}) is not known; installed: {installed}")
    tags = merged.get("tags", ())
    tags = (tags,) if isinstance(tags, str) else tuple(tags)
    if not all(isinstance(tag, str) for tag in tags):
        raise UsageError(f"hw(tags={merged['tags']!r}): allowed: a tag or a list of tags")
    if merged.setdefault("io", "core") not in ("core", "all"):
        raise UsageError(f"hw(io={merged['io']!r}): allowed: 'core' (one case per integer core), 'all'")
    return {**merged, "tags": tags}


def budget(marks: Sequence[pytest.Mark]) -> Budget | None:
    """The merged ``budget`` marker, checked; None when there is none."""
    merged = merge("budget", marks, tuple(QUANTITIES))
    return Budget(merged) if marks else None
