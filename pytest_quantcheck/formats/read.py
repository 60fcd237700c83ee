"""Read what a model file states, in either format."""

from __future__ import annotations

from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.formats.onnx import read_onnx_summary
from pytest_quantcheck.formats.summary import Summary
from pytest_quantcheck.formats.tflite import read_tflite_summary


def read_summary(data: bytes) -> Summary:
    """Tensors and operators of a ``.tflite`` or ``.onnx`` file, float or quantized. Raises ``ModelError``."""
    return read_onnx_summary(data) if is_onnx(data) else read_tflite_summary(data)
