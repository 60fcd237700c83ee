"""``load``: whatever a user calls a model, as a ``FloatModel``. Converted files are kept in the cache."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Union

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import check_regular, open_regular, read_whole
from pytest_quantcheck.formats.c_array import read_model_file
from pytest_quantcheck.formats.detect import is_onnx, is_tflite
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.formats.tflite_weights import has_float16_weights
from pytest_quantcheck.models.conversion import converter
from pytest_quantcheck.models.conversion.worker import shared_worker
from pytest_quantcheck.models.files.kind import ALLOWED, file_kind
from pytest_quantcheck.models.files.mltk_archive import network_of
from pytest_quantcheck.models.files.saved_model import MAX_BYTES, files_of
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.schema import semantic_sha256
from pytest_quantcheck.named_function import call_reference, is_reference
from pytest_quantcheck.temporary import OwnFolder

_RULES = 2  # counts up when a conversion here becomes another one
Source = Union[FloatModel, str, Path, bytes, Any]  # Any: a Keras model, whose type costs an import to name


def load(
    source: Source, *, base: Path | None = None, cache: Cache | None = None, name: str = ""
) -> FloatModel:
    """A file, a SavedModel folder, bytes of ``.tflite`` or ``.onnx``, a Keras model, or a function's name.

    A function is named ``package.module:function``. ``base`` is the folder that relative names start
    from. Raises ``UsageError`` or ``ModelError``.
    """
    if isinstance(source, FloatModel):
        return source
    if isinstance(source, bytes) and is_onnx(source):
        return FloatModel.from_onnx(source, name or "model", name or "the given bytes")
    if isinstance(source, bytes):
        return _from_bytes(source, name or "model", name or "the given bytes", cache or Cache())
    if isinstance(source, str) and is_reference(source) and not ((base or Path()) / source).exists():
        made = call_reference(source, base)
        if isinstance(made, str) and is_reference(made):
            raise UsageError(
                f"{source!r} returned another reference, {made!r}; return a model or a file name"
            )
        return load(made, base=base, cache=cache, name=name or source.partition(":")[0].rpartition(".")[2])
    if isinstance(source, (str, Path)):
        return _load_path((base or Path()) / source, cache or Cache(), name)
    if _is_keras_model(source):
        content = converter.keras_model_to_tflite(source)
        origin = f"Keras model '{source.name}'"
        model = FloatModel.from_tflite(content, name or str(source.name), origin, semantic_sha256(content))
        return replace(model, fused=converter.fused_keras_model(source)) if _may_fuse(model) else model
    raise UsageError(f"a {type(source).__name__} is not a model; allowed: {ALLOWED}")


def _is_keras_model(source: object) -> bool:
    kinds = [(kind.__module__.partition(".")[0], kind.__name__) for kind in type(source).__mro__]
    return ("keras", "Model") in kinds or ("tf_keras", "Model") in kinds


def _load_path(path: Path, cache: Cache, name: str) -> FloatModel:
    if not path.exists():
        raise UsageError(f"there is no model file {path}; allowed: {ALLOWED}")
    name, kind = name or path.stem, file_kind(path)
    if path.is_dir() and not kind:
        raise ModelError(f"{path} is a folder without saved_model.pb; allowed: {ALLOWED}")
    if kind == "saved_model":
        return _converted("saved_model_to_tflite", path, _folder_sha256(path), cache, name)
    if kind == "mltk":
        return _from_archive(path, cache, name)
    if kind == "keras":
        return _converted("keras_file_to_tflite", path, _file_sha256(path), cache, name)
    if kind == "onnx":
        return FloatModel.from_onnx(read_whole(path), name, str(path), path.parent)
    if kind in ("tflite", "c"):
        return _from_bytes(read_model_file(path), name, str(path), cache)
    raise UsageError(f"{path}: models of type {path.suffix or '(none)'} are not read; allowed: {ALLOWED}")


def _from_bytes(content: bytes, name: str, source: str, cache: Cache) -> FloatModel:
    """Of ``.tflite``, or of the ONNX model that C source held; float16 constants become float32."""
    if is_onnx(content):
        return FloatModel.from_onnx(content, name, source)
    try:
        half = is_tflite(content) and has_float16_weights(read_tflite_summary(content))
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
    if not half:
        return FloatModel.from_tflite(content, name, source)
    sha256 = hashlib.sha256(content).hexdigest()
    facts = {"make": "float32_weights", "source": sha256}
    wide = cache.get_or_make(facts, lambda: shared_worker().call("float32_weights", content=content))
    return FloatModel.from_tflite(wide, name, source, sha256)


def _from_archive(path: Path, cache: Cache, name: str) -> FloatModel:
    inner, content = network_of(path)
    origin = f"{path} ({inner})"
    with OwnFolder("archive") as folder:
        file = Path(folder) / inner
        file.write_bytes(content)
        try:
            model = _load_path(file, cache, name.removesuffix(".mltk"))
        except ModelError as error:
            raise ModelError(str(error).replace(str(file), origin)) from error
    return replace(model, source=origin)


def _converted(function: str, path: Path, sha256: str, cache: Cache, name: str) -> FloatModel:
    facts = {
        "make": function,
        "source": sha256,
        "tensorflow": converter.tensorflow_version(),
        "keras": converter.keras_version(),
        "legacy_keras": converter.legacy_keras_version(),
        "rules": _RULES,
    }

    def made(make: str) -> bytes:
        asked = {**facts, "make": make}
        return cache.get_or_make(asked, lambda: shared_worker().call(make, path=str(path.resolve())))

    model = FloatModel.from_tflite(made(function), name, str(path), sha256)
    if function == "keras_file_to_tflite" and _may_fuse(model):
        return replace(model, fused=made("fused_keras_file"))
    return model


def _may_fuse(model: FloatModel) -> bool:
    """Whether it has what an LSTM is made of when it is written out: looking for one costs seconds."""
    return {"LOGISTIC", "TANH", "MUL"} <= set(model.summary.kinds)


def _folder_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in files_of(folder):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        digest.update(bytes.fromhex(_file_sha256(file)))
    return digest.hexdigest()


def _file_sha256(path: Path) -> str:
    if (size := check_regular(path)) > MAX_BYTES:
        raise ModelError(f"{path} has {size} bytes; at most {MAX_BYTES} are read")
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
