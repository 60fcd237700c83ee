"""Read the integer graph of a quantized artefact, in either format."""

from __future__ import annotations

from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.graph.model import QuantGraph


def read_graph(data: bytes) -> QuantGraph:
    """The integer graph of a ``.tflite`` or ``.onnx`` file. Raises ``ModelError``."""
    if is_onnx(data):
        from pytest_quantcheck.graph.from_onnx.read import read_onnx

        return read_onnx(data)
    from pytest_quantcheck.graph.from_tflite.read import read_tflite

    return read_tflite(data)


def supported_kinds(data: bytes) -> tuple[str, ...]:
    """The operator kinds of the artefact's format that the integer graph knows."""
    if is_onnx(data):
        from pytest_quantcheck.graph.from_onnx.rules import SUPPORTED

        return SUPPORTED
    from pytest_quantcheck.graph.from_tflite.rules import SUPPORTED as TFLITE

    return TFLITE
