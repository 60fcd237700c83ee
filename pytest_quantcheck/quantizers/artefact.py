"""An artefact on disk: ``name.tflite`` and beside it ``name.tflite.json``, the manifest: how it was made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.data.tasks.heads.finish import Finish
from pytest_quantcheck.data.tasks.heads.post_process import NAME, PostProcess
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole, write_whole
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.c_array import read_model_file
from pytest_quantcheck.formats.detect import is_onnx, is_tflite
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel

MOST_MANIFEST_BYTES = 1 << 26
CONSTANTS = "constant_outputs"
POST = "detection_postprocess"
_PLACES = frozenset(map(str, range(256)))
_LARGEST = float(np.finfo(np.float32).max)


def manifest_path(path: Path) -> Path:
    """Where the manifest of an artefact lies; ``model.tflite`` and ``model.onnx`` have one each."""
    return path.with_name(f"{path.name}.json")


def write_artefact(model: QuantizedModel, path: Path) -> Path:
    """Write artefact and manifest (sorted JSON with the artefact's SHA-256); returns the manifest's path.

    What is cut off the artefact (``Finish``), constant outputs and the operator at the end of a detector, is
    kept in the manifest.
    """
    manifest = {**model.manifest, "artefact": {"bytes": len(model.artefact), "sha256": model.sha256}}
    if model.finish is not None and model.finish.constants:
        kept = {str(place): np.asarray(each).tolist() for place, each in model.finish.constants.items()}
        manifest[CONSTANTS] = kept
    if model.finish is not None and model.finish.post is not None:
        manifest[POST] = model.finish.post.to_dict()
    write_whole(path, model.artefact)
    write_whole(manifest_path(path), json.dumps(manifest, indent=2, sort_keys=True).encode() + b"\n")
    return manifest_path(path)


def read_artefact(path: Path, *, name: str = "", float_model: bytes = b"") -> QuantizedModel:
    """An artefact with its manifest, or without one: then its configuration is not known.

    Raises ``UsageError`` when there is no such file, ``ModelError`` when the manifest is not this artefact's.
    """
    if not path.is_file():
        raise UsageError(f"there is no artefact {path}")
    artefact = read_model_file(path)
    if not manifest_path(path).is_file():
        return QuantizedModel(name or path.stem, artefact, None, float_model, path=path)
    manifest = _read_manifest(manifest_path(path))
    if manifest["artefact"]["sha256"] != hashlib.sha256(artefact).hexdigest():
        raise ModelError(
            f"{manifest_path(path)} does not describe {path.name}: the SHA-256 differs. "
            "Quantize again, or remove the manifest"
        )
    config = QuantConfig.from_dict(manifest["config"])
    finish = _finish(manifest_path(path), manifest.get(CONSTANTS), manifest.get(POST))
    if finish is not None:
        _check_kept(finish, float_model, manifest_path(path))
        manifest = {**manifest, "findings": [*manifest.get("findings", ()), _kept_note(finish)]}
    return QuantizedModel(name or manifest["name"], artefact, config, float_model, manifest, path, finish)


def _finish(path: Path, kept: object, settings: object) -> Finish | None:
    """What does on the host what was cut off; None where that is nothing."""
    constants, post = _constants(path, {} if kept is None else kept), None
    if settings is not None:
        try:
            post = PostProcess.from_dict(dict(settings))  # type: ignore[call-overload]  # it checks what it is
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"{path} is not a manifest of an artefact: {POST}: {error}") from error
    return Finish(constants, post) if constants or post is not None else None


def _constants(path: Path, kept: object) -> dict[int, Array]:
    wrong = ModelError(f"{path} is not a manifest of an artefact: {CONSTANTS} are no arrays")
    if not isinstance(kept, dict):
        raise wrong
    constants: dict[int, Array] = {}
    for place, each in kept.items():
        if place not in _PLACES:
            raise wrong
        try:
            wide = np.asarray(each)
        except ValueError as error:
            raise wrong from error
        if wide.dtype.kind not in "if" or not wide.size or not (np.abs(wide) <= _LARGEST).all():
            raise wrong
        constants[int(place)] = wide.astype(np.float32)
    return constants


def _check_kept(finish: Finish, float_model: bytes, path: Path) -> None:
    """Constants that the float model does not have would stand in for the network in every score."""
    if not (is_tflite(float_model) or is_onnx(float_model)):
        return
    _, theirs = Finish.cut_off(float_model)
    known = theirs.constants if theirs is not None else {}
    posts = [None if each is None or each.post is None else each.post.to_dict() for each in (theirs, finish)]
    if posts[0] != posts[1]:
        raise ModelError(f"{path}: {POST} is not that of the float model. Quantize again")
    if known.keys() != finish.constants.keys() or not all(
        np.array_equal(known[place], kept) for place, kept in finish.constants.items()
    ):
        raise ModelError(f"{path}: {CONSTANTS} are not those of the float model. Quantize again")


def _kept_note(finish: Finish) -> dict[str, str]:
    places = ", ".join(map(str, sorted(finish.constants)))
    sentence = f"The network does not compute the outputs at {places}: the manifest keeps them as constants."
    if not places:
        sentence = f"The network ends before {NAME}: the manifest keeps its settings."
    return asdict(Finding("note", "constant_outputs", sentence, "Look at the float model's outputs."))


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(read_whole(path, MOST_MANIFEST_BYTES))
        parts = manifest["artefact"]["sha256"], manifest["config"]["quantizer"], manifest["name"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{path} is not a manifest of an artefact ({type(error).__name__}: {error})"
        ) from error
    if not all(isinstance(part, str) for part in parts):
        raise ModelError(f"{path} is not a manifest of an artefact")
    return manifest
