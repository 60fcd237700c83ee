"""Tensors in and out of NumPy files: what ``--inputs`` and ``--outputs`` of the commands mean."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.data.load import input_key
from pytest_quantcheck.data.numpy_file import NumpyFile
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import write_whole
from pytest_quantcheck.formats.c_array import read_model_file
from pytest_quantcheck.formats.espdl import is_espdl
from pytest_quantcheck.graph.from_espdl.qdq import qdq_of
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.prepare import quantize_inputs, summary_of

FORMAT = (
    "X.npy holds N inputs in the model's own data type, N first, or with --float real numbers after "
    "preprocessing; a model with several inputs takes an .npz with one array per input, named like the "
    "input's tensor or 0, 1, ...; without --float nothing is quantized."
)
FLOAT_HELP = "the inputs are real numbers: quantize them with the input's own scale and zero point"


def read_model(path: Path) -> QuantizedModel:
    """A quantized ``.tflite`` or ``.onnx`` model, or the QDQ model that an ``.espdl`` file stands for.

    Raises ``UsageError`` and ``ModelError``.
    """
    try:
        artefact = read_model_file(path)
    except OSError as error:
        raise UsageError(f"model {path} cannot be read: {error.strerror or error}") from error
    try:
        artefact = qdq_of(artefact) if is_espdl(artefact) else artefact
        summary_of(artefact)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return QuantizedModel(path.stem, artefact, path=path)


def read_inputs(path: Path, model: QuantizedModel, *, floats: bool = False) -> Raw | Samples:
    """The model's raw inputs from a ``.npy`` or ``.npz`` file, (N, ...) each; dtypes and shapes are checked.

    With ``floats`` they are real numbers. Nothing pickled is ever loaded. Raises ``UsageError``.
    """
    names = [tensor.name for tensor in summary_of(model.artefact).input_tensors]
    if not path.exists():
        raise UsageError(f"--inputs {path}: there is no such file")
    try:
        file = NumpyFile(path)
        keys = [""] if file.single else [_pick(file, number, name) for number, name in enumerate(names)]
        if floats:
            _refuse_integers([file.outline(key) for key in keys])
            return _checked(model, Samples(tuple(file[key] for key in keys)))
        quantize_inputs(model, Raw(tuple(file.outline(key) for key in keys)))
        return _checked(model, Raw(tuple(file[key] for key in keys)))
    except (UsageError, ModelError) as error:
        raise UsageError(f"--inputs {path}: {error}. {FORMAT}") from error


_Vectors = TypeVar("_Vectors", Raw, Samples)


def _checked(model: QuantizedModel, vectors: _Vectors) -> _Vectors:
    quantize_inputs(model, vectors)
    return vectors


def _refuse_integers(arrays: Sequence[Array]) -> None:
    for array in arrays:
        if array.dtype.kind != "f":
            raise UsageError(f"the file holds {array.dtype}, and --float takes real numbers (float32)")


def output_file(path: Path, model: QuantizedModel) -> Path:
    """Where the model's outputs go: ``path``, but an ``.npz`` beside it where a ``.npy`` cannot hold them."""
    count = len(summary_of(model.artefact).output_tensors)
    if path.suffix not in (".npy", ".npz"):
        raise UsageError(f"--outputs {path}: allowed: {'.npy, ' if count == 1 else ''}.npz")
    return path if count == 1 else path.with_suffix(".npz")


def write_outputs(path: Path, outputs: Sequence[Array], model: QuantizedModel) -> None:
    """Raw outputs, (N, ...) each: ``.npy`` for one, ``.npz`` with the names of the output tensors."""
    content = io.BytesIO()
    if path.suffix == ".npy":
        np.save(content, outputs[0], allow_pickle=False)
        write_whole(path, content.getvalue())
        return
    names = [tensor.name for tensor in summary_of(model.artefact).output_tensors]
    if len(set(names)) < len(names) or not all(names):
        names = [str(number) for number in range(len(names))]
    arrays: dict[str, Any] = dict(zip(names, outputs, strict=True))
    np.savez(content, **arrays)
    write_whole(path, content.getvalue())


def _pick(file: NumpyFile, number: int, name: str) -> str:
    """Which array of the file is the model's input ``number``."""
    if (key := input_key(file, number, name)) is not None:
        return key
    raise UsageError(f"the file has no array for input {number} ({name!r}); it has: {', '.join(file)}")
