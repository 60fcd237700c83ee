"""A float ``.tflite`` network as an ONNX model, by tf2onnx in a process of its own."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from pathlib import Path

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.errors import MissingExtraError, ModelError
from pytest_quantcheck.models.conversion.worker import shared_worker
from pytest_quantcheck.models.files.onnx_file import float_onnx
from pytest_quantcheck.models.float_model import FloatModel

MODULE = "pytest_quantcheck.models.conversion.to_onnx"
OPSET = 17


def as_onnx(model: FloatModel, cache: Cache) -> FloatModel:
    """The same network in ONNX, with the inputs of the ``.tflite`` file: NHWC stays NHWC.

    Raises ``MissingExtraError`` without tf2onnx, ``ModelError`` for what it cannot convert.
    """
    try:
        version = importlib.metadata.version("tf2onnx")
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtraError("tf2onnx", "espdl", "Quantizing Keras and TFLite models for ESP-DL") from None
    facts = {"make": "onnx_of_tflite", "source": model.semantic_sha256, "tf2onnx": version, "opset": OPSET}
    worker = shared_worker(MODULE, "tf2onnx")
    content = cache.get_or_make(facts, lambda: worker.call("onnx_of_tflite", content=model.tflite))
    try:
        return replace(model, tflite=b"", onnx=float_onnx(content, None))
    except ModelError as error:
        raise ModelError(f"{model.source}, converted by tf2onnx: {error}") from error


def onnx_of_tflite(content: bytes) -> bytes:
    """In the worker: the bytes of the ONNX model."""
    from tf2onnx import convert

    path = Path("network.tflite").absolute()
    path.write_bytes(content)
    try:
        made, _ = convert.from_tflite(str(path), opset=OPSET)
    finally:
        path.unlink()
    return bytes(made.SerializeToString(deterministic=True))
