"""Which reader an artefact's bytes are for: TFLite flatbuffers and ONNX models, told apart by content."""

from __future__ import annotations

from pytest_quantcheck.formats.onnx import is_onnx, read_onnx_summary
from pytest_quantcheck.formats.tflite import Summary, read_summary
from pytest_quantcheck.graph.model import QuantGraph

__all__ = ["is_onnx", "read_artefact_graph", "read_artefact_summary", "supported_kinds"]


def read_artefact_summary(data: bytes) -> Summary:
    """Tensors and operators of an artefact, float or quantized. Raises ``ModelError``."""
    return read_onnx_summary(data) if is_onnx(data) else read_summary(data)


def read_artefact_graph(data: bytes) -> QuantGraph:
    """The integer graph of a quantized artefact. Raises ``ModelError``."""
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
