"""``quantize_model``: what MLTK's function of that name does, with its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Union

import numpy as np

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.representative import Data
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.models.files.mltk_archive import SUFFIX
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.artefact import write_artefact
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.workflows.mltk import specification
from pytest_quantcheck.workflows.mltk.archive import Archive
from pytest_quantcheck.workflows.mltk.embed import STALE, embed_parameters, hashes, read_parameters
from pytest_quantcheck.workflows.mltk.samples import stacked
from pytest_quantcheck.workflows.mltk.settings import NAMES, Settings
from pytest_quantcheck.workflows.mltk.specification import Specification

OBJECT = "tflite_model"
MOST_LINES = 5  # that a message names
_WHAT = "an MLTK model's name, its archive (.mltk.zip) or its specification script (.py)"


@dataclass(frozen=True)
class Made:
    """``model`` with its parameters in it, the float ``unquantized`` one where the settings want it, and the
    ``archive`` that it came from, if any.
    """

    model: QuantizedModel
    unquantized: bytes
    archive: Archive | None

    def write_archive(self, target: Path) -> tuple[str, ...]:
        """The archive, or a copy, with the new models; returns what was left out (``Archive.write``)."""
        if self.archive is None:
            raise UsageError("there is no archive to write: the model came from a specification script")
        put = {f"{self.archive.name}.tflite": self.model.artefact}
        if self.unquantized:
            put[f"{self.archive.name}.float32.tflite"] = self.unquantized
        return self.archive.write(target, put)


def quantize_model(
    model: str | Path,
    keras_model: Any = None,
    output: str | Path | None = None,
    weights: str | None = None,
    build: bool = False,
    update_archive: bool | None = None,
    tflite_converter_override: Mapping[str, Any] | None = None,
    post_process: bool = False,
    *,
    data: Data | None = None,
    trust: bool = False,
    cache: Cache | None = None,
) -> Union[str, QuantizedModel]:
    """Quantize a model of MLTK; returns the path of the ``.tflite`` file, or the ``QuantizedModel`` with
    ``output="tflite_model"``.

    ``model``: name, archive or script. ``output``: a ``.tflite`` file or a folder (default: the present one).
    ``update_archive=True`` writes the archive, too; unlike in MLTK that is never the default.
    ``tflite_converter_override``: settings instead of those of the script (``Settings``). ``data``: the
    validation data, of which calibration samples are generated. ``trust``: run the script, to get settings
    and validation data from it; else its settings are read without running it. ``weights``, ``build`` and
    ``post_process`` load, train and run other code: they are refused. Raises ``UsageError`` and
    ``ModelError``.
    """
    for key, value, instead in (
        ("weights", weights, "load them into a model and give that as keras_model"),
        ("build", build, "train the model with MLTK, or give an untrained one as keras_model"),
        ("post_process", post_process, "do it with what is returned"),
    ):
        if value:
            raise UsageError(f"quantize_model({key}={value!r}) is not supported; {instead}")
    path = _found(model)
    made = make(
        path, tflite_converter_override or {}, data=data, trust=trust, keras_model=keras_model, cache=cache
    )
    if update_archive:
        made.write_archive(path)
    if output == OBJECT:
        return made.model
    target = Path(output or ".")
    if target.suffix != ".tflite":
        target.mkdir(parents=True, exist_ok=True)
        target /= f"{made.model.name}.tflite"
    write_artefact(made.model, target)
    return str(target)


def make(
    path: Path,
    override: Mapping[str, Any],
    *,
    data: Data | None = None,
    trust: bool = False,
    keras_model: Any = None,
    cache: Cache | None = None,
) -> Made:
    """Quantize an archive or script; nothing is written. Raises ``UsageError`` and ``ModelError``."""
    is_archive = path.name.lower().endswith(SUFFIX)
    archive = Archive.read(path) if is_archive else None
    name = archive.name if archive else path.stem
    source = archive.script if archive else read_whole(path, specification.MAX_BYTES)
    if archive is None and keras_model is None:
        raise UsageError(f"{path} makes an untrained model; give the archive {name}{SUFFIX}, or keras_model=")
    asked = Settings.of({**override})
    given = _specification(source, f"{name}.py", override, trust, asked.max_samples)
    settings = Settings.of({**given.settings, **override})
    floats = load(path if keras_model is None else keras_model, cache=cache, name=name)
    chosen = _calibration(settings, given, data, f"{name}.py")
    model = quantize(floats, settings.config, chosen, name=name, cache=cache)
    known = {k: v for k, v in _known(archive).items() if k not in STALE}
    parameters = {"name": name, **known, **given.parameters}
    if isinstance(data, Dataset) and data.classes:
        parameters["classes"] = list(data.classes)
    artefact = embed_parameters(model.artefact, parameters)
    manifest = {
        **model.manifest,
        "findings": [*model.manifest["findings"], *_unread(given, override, f"{name}.py")],
        "mltk": {**{f"{k}_sha256": v for k, v in asdict(hashes(artefact)).items()}, "trusted": trust},
    }
    made = replace(model, artefact=artefact, manifest=manifest)
    unquantized = embed_parameters(floats.tflite, parameters) if settings.unquantized else b""
    return Made(made, unquantized, archive)


def _found(model: str | Path) -> Path:
    """The file that a name stands for."""
    if not isinstance(model, (str, Path)):
        raise UsageError(f"a {type(model).__name__} is given; allowed: {_WHAT}")
    path = Path(model)
    if path.suffix in (".tflite", ".h5"):
        raise UsageError(f"{path}: must provide {_WHAT}")
    if path.suffix not in (".zip", ".py"):
        path = path.with_name(f"{path.name}{SUFFIX}")
    if not path.is_file():
        raise UsageError(f"there is no {path}; allowed: {_WHAT}")
    if path.suffix == ".zip" and not path.name.lower().endswith(SUFFIX):
        raise UsageError(f"{path}: an archive of MLTK is called NAME{SUFFIX}")
    return path


def _specification(
    source: bytes, name: str, override: Mapping[str, Any], trust: bool, most: int
) -> Specification:
    """What the script sets. Raises ``UsageError`` where that can be known by running it only."""
    if not source:
        if trust:
            raise UsageError(f"there is no {name} in the archive, so nothing to trust")
        return Specification()
    if trust:
        return specification.run(source, name, most)
    given = specification.read(source, name)
    if given.unread and not override:
        lines = ", ".join(map(str, given.unread[:MOST_LINES]))
        raise UsageError(
            f"{name} sets converter settings in a way that only running it can tell (line {lines}). "
            "It was not run. Give the settings (--converter KEY=VALUE, tflite_converter_override), or trust "
            "it (--trust)"
        )
    return given


def _unread(given: Specification, override: Mapping[str, Any], name: str) -> list[dict[str, str]]:
    """The finding that a script sets more than could be read; none where all of it was."""
    usual = [key for key in NAMES if key not in given.settings and key not in override]
    if not given.unread or not usual:
        return []
    lines = ", ".join(map(str, given.unread[:MOST_LINES]))
    finding = Finding(
        "warning",
        "settings_not_read",
        f"{name} sets converter settings in line {lines}, which was not run: {', '.join(usual)} have MLTK's "
        "defaults.",
        "Give those that the script sets (--converter KEY=VALUE), or let it be run (--trust).",
    )
    return [finding.to_dict()]


def _calibration(settings: Settings, given: Specification, data: Data | None, name: str) -> Data:
    """The first samples of the validation data, in their order, as MLTK's ``generate`` takes them."""
    if settings.generator is not None:
        arrays = stacked(settings.generator(), settings.max_samples)
        if not arrays:
            raise UsageError("the representative_dataset function gives no sample")
        return Samples(arrays[0] if len(arrays) == 1 else tuple(arrays))
    found = data if data is not None else given.samples
    if found is None:
        raise UsageError(
            "representative_dataset='generate' needs the validation data. Give them (--data, data=)"
            + ("" if given.parameters or given.unread else f", or let {name} load them (--trust)")
        )
    samples = found.calibration if isinstance(found, Dataset) else found
    first = samples.take(np.arange(min(len(samples), settings.max_samples)))
    return replace(found, calibration=first) if isinstance(found, Dataset) else first


def _known(archive: Archive | None) -> dict[str, Any]:
    """The parameters of the archive's present model; a damaged one has none that are worth keeping."""
    if archive is None or not archive.tflite:
        return {}
    try:
        return read_parameters(archive.tflite)
    except ModelError as error:
        raise ModelError(f"{archive.path}: the model in it: {error}") from error
