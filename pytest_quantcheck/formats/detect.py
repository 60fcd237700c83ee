"""Which format a model's bytes are meant to have, told by content."""

from __future__ import annotations

TFLITE_IDENTIFIER = b"TFL3"  # of a flatbuffer, behind the offset of its first table


def is_tflite(data: bytes) -> bool:
    """Whether bytes are meant as a ``.tflite`` file."""
    return data[4:8] == TFLITE_IDENTIFIER


def is_onnx(data: bytes) -> bool:
    """Whether bytes are meant as an ONNX model: its first field is ``ir_version``, a small number."""
    return data[:1] == b"\x08" and not is_tflite(data)
