"""``FloatModel``: a float network with batch 1 as one ``.tflite`` flatbuffer or one ``.onnx`` model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pytest_quantcheck.data.tasks.heads.finish import Finish
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.summary import Summary, TensorSummary
from pytest_quantcheck.models.files.onnx_file import float_onnx
from pytest_quantcheck.models.schema import semantic_sha256, signatures


@dataclass(frozen=True, eq=False)
class FloatModel:
    """``source`` says where it came from; ``source_sha256`` is the hash of that file.

    For a model that exists as an object only, it is the hash of what the network computes, so that
    the names Keras happened to give its layers do not matter. ``onnx`` holds the model where ``tflite``
    is empty; its inputs and outputs keep the file's own layout, NCHW as a rule. ``finish``: as in
    ``QuantizedModel``. ``fused``: the same network as ``tflite`` with each LSTM as one operator, which int8
    has; empty where it has none.
    """

    name: str
    tflite: bytes
    source: str
    source_sha256: str
    onnx: bytes = b""
    finish: Finish | None = None
    fused: bytes = b""

    @classmethod
    def from_tflite(
        cls, content: bytes, name: str, source: str, source_sha256: str | None = None
    ) -> FloatModel:
        """Check that the flatbuffer is a float network with fixed shapes; raises ``ModelError``."""
        whole = source_sha256 or hashlib.sha256(content).hexdigest()
        try:
            content, finish = Finish.cut_off(content)
            model = cls(name, content, source, whole, finish=finish)
            summary = model.summary
            _check_types(summary)
            for tensor, signature in zip(summary.input_tensors, signatures(content), strict=True):
                _check_shape(tensor, signature or tensor.shape)
        except ModelError as error:
            raise ModelError(f"{source}: {error}") from error
        return model

    @classmethod
    def from_onnx(cls, content: bytes, name: str, source: str, folder: Path | None = None) -> FloatModel:
        """The model of an ``.onnx`` file (see ``onnx_file.float_onnx``); raises ``ModelError``."""
        try:
            ready, finish = Finish.cut_off(float_onnx(content, folder))
        except ModelError as error:
            raise ModelError(f"{source}: {error}") from error
        return cls(name, b"", source, hashlib.sha256(content).hexdigest(), ready, finish)

    @property
    def content(self) -> bytes:
        """The model's bytes, in either format."""
        return self.onnx or self.tflite

    @cached_property
    def summary(self) -> Summary:
        """Tensors and operators of the model."""
        return read_summary(self.content)

    @cached_property
    def semantic_sha256(self) -> str:
        """The hash of what the network computes (``schema.semantic_sha256``); of ONNX, of its bytes."""
        return hashlib.sha256(self.onnx).hexdigest() if self.onnx else semantic_sha256(self.tflite)

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """One shape per input, without the sample axis."""
        return tuple(t.shape[1:] for t in self.summary.input_tensors)

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """One shape per output, without the sample axis."""
        return tuple(t.shape[1:] for t in self.summary.output_tensors)


def _check_types(summary: Summary) -> None:
    if "VAR_HANDLE" in summary.kinds:
        raise ModelError(
            "the network keeps variables between its inferences; such networks are taken as quantized files: "
            "convert it with TensorFlow (docs/streaming.md has the settings), give the result as the artefact"
        )
    if summary.has_control_flow:
        raise ModelError(
            f"{summary.subgraphs} subgraphs; networks with control flow are not supported. LSTM, GRU and "
            "other recurrent layers work with unroll=True, loops of your own written out"
        )
    if not summary.inputs or not summary.outputs:
        raise ModelError("the network has no input or no output")
    for kind in summary.kinds:
        if kind.startswith(("CUSTOM:", "OPERATOR_")):
            raise ModelError(f"the operator {kind} is not part of TFLite; build the layer from TFLite's own")
    first = summary.input_tensors[0]
    integers = ("int8", "uint8", "int16", "int4")
    quantized = [
        t for t in summary.tensors if len(t.scales) or (t.dtype in integers and t.index not in summary.inputs)
    ]
    if quantized and first.dtype != "float32":
        raise ModelError(
            f"the model is already quantized (its input is {first.dtype}). Quantizing needs the float model; "
            "to test this file as it is, give it as the artefact"
        )
    if quantized:
        raise ModelError(
            f"not a float model: {len(quantized)} of its tensors are quantized, for example "
            f"'{quantized[0].name}' ({quantized[0].dtype}). Files named 'float' are often made with "
            "dynamic-range quantization, or are integers with float inputs; convert without optimizations"
        )
    for tensor in summary.input_tensors:
        if tensor.dtype != "float32":
            raise ModelError(
                f"input '{tensor.name}' is {tensor.dtype}; only float32 inputs can be quantized. Give the "
                "model float32 inputs; look up embeddings and convert integers before it"
            )
    for tensor in summary.tensors:
        if tensor.dtype == "float32" and tensor.data is not None and np.isnan(tensor.values).any():
            raise ModelError(
                f"the constant '{tensor.name}' holds NaN. Look at the training: its loss has become NaN, "
                "or the variance of a batch norm is negative"
            )


def _check_shape(tensor: TensorSummary, signature: tuple[int, ...]) -> None:
    if not tensor.shape or tensor.shape[0] != 1 or any(n < 1 for n in (*signature[1:], *tensor.shape)):
        raise ModelError(
            f"input '{tensor.name}' has the shape {signature}; a microcontroller needs batch 1 and "
            "fixed sizes. Convert it again with a fixed input shape"
        )
