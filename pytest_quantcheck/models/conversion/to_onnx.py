"""A float ``.tflite`` network as an ONNX model, by tf2onnx in a process of its own, and compared there."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.representative import drawn
from pytest_quantcheck.errors import MissingExtraError, ModelError
from pytest_quantcheck.formats.onnx import graph_inputs, parse
from pytest_quantcheck.models.conversion.worker import shared_worker
from pytest_quantcheck.models.files.onnx_file import float_onnx
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.input_range import input_ranges
from pytest_quantcheck.numerics.arrays import Array, Float32

MODULE = "pytest_quantcheck.models.conversion.to_onnx"
OPSET = 17
COMPARED = Calibration("random", 4)
TOLERANCE = 1e-3  # of an output's largest magnitude; both compute in float32, in another order


def as_onnx(model: FloatModel, cache: Cache) -> FloatModel:
    """The same network in ONNX, with the inputs of the ``.tflite`` file: NHWC stays NHWC.

    Raises ``MissingExtraError`` without tf2onnx, ``ModelError`` for what it cannot convert, and where the
    result computes something else than the source.
    """
    try:
        version = importlib.metadata.version("tf2onnx")
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtraError("tf2onnx", "espdl", "Quantizing Keras and TFLite models for ESP-DL") from None
    ranges, _ = input_ranges(model)
    samples = drawn(COMPARED, ranges, model.input_shapes)
    facts = {"make": "onnx_of_tflite", "source": model.semantic_sha256, "tf2onnx": version, "opset": OPSET}
    facts |= {"compared": samples.sha256, "tolerance": TOLERANCE}
    worker = shared_worker(MODULE, "tf2onnx")
    try:
        content = cache.get_or_make(
            facts, lambda: worker.call("onnx_of_tflite", content=model.tflite, arrays=samples.inputs)
        )
        return replace(model, tflite=b"", onnx=float_onnx(content, None))
    except ModelError as error:
        raise ModelError(f"{model.source}, converted by tf2onnx: {error}") from error


def onnx_of_tflite(content: bytes, samples: Sequence[Float32]) -> bytes:
    """In the worker: the bytes of the ONNX model, which gives what ``content`` gives for ``samples``."""
    from tf2onnx import convert

    from pytest_quantcheck.models.conversion.converter import run_float

    path = Path("network.tflite").absolute()
    path.write_bytes(content)
    try:
        made, _ = convert.from_tflite(str(path), opset=OPSET)
    finally:
        path.unlink()
    found = bytes(made.SerializeToString(deterministic=True))
    _require_same(run_float(content, samples), _run_onnx(float_onnx(found, None), samples))
    return found


def _run_onnx(content: bytes, samples: Sequence[Float32]) -> list[Array]:
    """One (N, ...) array for each output; batch 1."""
    import onnxruntime

    graph = parse(content).graph
    inputs = graph_inputs(graph)
    shapes = [[dim.dim_value for dim in info.type.tensor_type.shape.dim] for info in inputs]
    wanted = [[1, *x.shape[1:]] for x in samples]
    if shapes != wanted:
        raise ModelError(f"its inputs have the shapes {shapes}, those of the source {wanted}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    rows = [
        session.run(None, {info.name: x[i : i + 1] for info, x in zip(inputs, samples, strict=True)})
        for i in range(len(samples[0]))
    ]
    return [np.stack(values) for values in zip(*rows, strict=True)]


def _require_same(wanted: Sequence[Array], found: Sequence[Array]) -> None:
    shapes = [[each.shape[1:] for each in outputs] for outputs in (wanted, found)]
    if shapes[0] != shapes[1]:
        raise ModelError(f"its outputs have the shapes {shapes[1]}, those of the source {shapes[0]}")
    for number, (ours, its) in enumerate(zip(wanted, found, strict=True)):
        source, made = ours.astype(np.float64), its.astype(np.float64)
        largest = float(np.max(np.abs(source), initial=0))
        if not np.allclose(made, source, rtol=0, atol=TOLERANCE * largest + 1e-6, equal_nan=True):
            off = float(np.max(np.abs(made - source)))
            raise ModelError(
                f"it computes something else than the source: output {number} is off by up to {off:.3g}, "
                f"where the source's largest value is {largest:.3g}. Use another version of tf2onnx, or "
                "give an .onnx file that the training framework exported"
            )
