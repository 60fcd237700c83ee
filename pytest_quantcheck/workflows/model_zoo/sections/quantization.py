"""``quantization``: how the float model becomes an integer one."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.workflows.model_zoo.section import key

EDGES = {"int8": "int8", "uint8": "uint8", "float": "float32"}
"""The words of the file, and the data types of ``QuantConfig``."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    quantizer: str = key(
        "TFlite_converter for Keras models, Onnx_quantizer for .onnx",
        choices=("TFlite_converter", "Onnx_quantizer"),
        fold=True,
    )
    quantization_type: str = key("post-training quantization", choices=("PTQ",), fold=True)
    quantization_input_type: str = key(
        "type of the input; Onnx_quantizer keeps float", "float", choices=tuple(EDGES)
    )
    quantization_output_type: str = key(
        "type of the output; Onnx_quantizer keeps float", "float", choices=tuple(EDGES)
    )
    granularity: str = key(
        "one scale for each channel, or for each tensor", "per_channel", choices=("per_channel", "per_tensor")
    )
    optimize: bool = key("even out weights across layers first; with per_tensor only", False)
    target_opset: int = key(
        "", 17, low=7, high=21, ignored="the model's own opset stays, where onnxruntime can quantize it"
    )
    extra_options: str | None = key("", None, refused="ranges are plain minima and maxima")
    op_types_to_quantize: tuple[str, ...] | None = key(
        "", None, refused="every operator that can be quantized is"
    )
    export_dir: str = key(
        "folder for quantized_model.tflite or .onnx, within the run's folder", "quantized_models"
    )
