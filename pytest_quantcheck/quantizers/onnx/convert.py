"""onnxruntime's static QDQ quantizer with calibrators made here, and integer edges; a process of its own.

``quantize_static`` ignores how many bins are asked for. Integer inputs and outputs come from folding the
QuantizeLinear and DequantizeLinear at the edges away.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.errors import QuantizationError
from pytest_quantcheck.formats.onnx import graph_inputs, load_onnx, opset, parse
from pytest_quantcheck.graph.from_onnx.rules import SUPPORTED
from pytest_quantcheck.graph.from_onnx.softmax import SOFTMAX_SCALE, SOFTMAX_ZERO_POINT
from pytest_quantcheck.numerics.arrays import Float32
from pytest_quantcheck.quantizers.audit.audit import audit, require
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.onnx.edges import fold_edges
from pytest_quantcheck.quantizers.onnx.options import OnnxOptions
from pytest_quantcheck.quantizers.onnx.rewrite import rewrite, sort

OPSET = 17  # what older models are converted to: per-channel scales came with 13
OPSET_INT16 = 21  # the first whose own QuantizeLinear knows int16


def quantize_onnx(content: bytes, samples: Sequence[Float32], *, config: dict[str, Any], name: str) -> bytes:
    """A float ONNX model in integers, as ``QuantConfig.to_dict`` says; ``samples``: (N, ...) per input.

    ``name`` is for messages. Raises ``QuantizationError``.
    """
    wanted = QuantConfig.from_dict(config)
    options = OnnxOptions.read(dict(wanted.options))
    with tempfile.TemporaryDirectory(prefix="quantcheck-") as folder, silence():
        try:
            quantized = _quantized(content, wanted, options, samples, Path(folder))
        except QuantizationError:
            raise
        except Exception as error:  # the quantizer raises whatever its steps raise
            raise QuantizationError(f"onnxruntime's quantizer refuses the model: {short(error)}") from error
    require(audit(bytes(quantized.SerializeToString())), name)  # names operators left in float
    inputs, outputs = wanted.input_type != "float32", wanted.output_type != "float32"
    fold_edges(quantized.graph, inputs=inputs, outputs=outputs)
    sort(quantized.graph)
    try:
        load_onnx().checker.check_model(quantized)
    except Exception as error:  # ValidationError has no public base
        raise QuantizationError(f"ONNX's checker refuses the quantized model: {short(error)}") from error
    return bytes(quantized.SerializeToString(deterministic=True))


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """The quantizer prints advice through the root logger, ``print`` and ``warnings``."""
    level = logging.root.level
    logging.root.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.setLevel(level)


def short(error: Exception, limit: int = 400) -> str:
    """An error of another package in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


class _Reader:
    """onnxruntime's ``CalibrationDataReader``: one sample after the other, batch 1."""

    def __init__(self, names: list[str], arrays: Sequence[Float32]) -> None:
        self._rows = (
            dict(zip(names, [array[i : i + 1] for array in arrays], strict=True))
            for i in range(len(arrays[0]))
        )

    def get_next(self) -> dict[str, Float32] | None:
        """The next sample by input name, None after the last."""
        return next(self._rows, None)


def _quantized(
    content: bytes, config: QuantConfig, options: OnnxOptions, samples: Sequence[Float32], folder: Path
) -> Any:
    """The QDQ model with float edges, as a ``ModelProto``."""
    onnx = load_onnx()
    from onnxruntime.quantization import QuantType, calibrate
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    kinds = sorted({*QDQRegistry, *QLinearOpsRegistry, *SUPPORTED})
    path = prepared(content, OPSET_INT16 if config.scheme == "int16x8" else OPSET, folder)
    names = [info.name for info in graph_inputs(parse(content).graph)]
    calibrator = calibrate.create_calibrator(
        path,
        kinds,
        str(folder / "augmented.onnx"),
        calibrate.CalibrationMethod[_METHODS[options.method]],
        extra_options=options.calibration,
    )
    calibrator.collect_data(_Reader(names, samples))
    activations = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8, "int16x8": QuantType.QInt16}
    per_channel, ranges = config.granularity == "per_channel", calibrator.compute_data()
    quantizer = QDQQuantizer(
        onnx.load(path),
        per_channel,
        options.reduce_range,
        QuantType.QInt8,
        activations[config.scheme],
        ranges,
        [],
        [],
        kinds,
        {
            "WeightSymmetric": True,
            "ActivationSymmetric": config.scheme == "int16x8",
            "QDQOpTypePerChannelSupportToAxis": {"MatMul": 1},
            "TensorQuantOverrides": _softmax_outputs(path, config.scheme),
        },
    )
    for name in names:  # else it leaves in float what it finds no quantized input of
        if name in ranges:  # not where no integer operator reads it, which the audit names
            quantizer.quantize_activation_tensor(name)
    quantizer.quantize_model()
    return quantizer.model.model


def _softmax_outputs(path: Path, scheme: str) -> dict[str, Any]:
    """Softmax ends at 1: 256 steps of 1/256 as in the TFLite specification, not 255 of 1/255."""
    if scheme == "int16x8":
        return {}
    zero = np.int8(SOFTMAX_ZERO_POINT) if scheme == "int8" else np.uint8(SOFTMAX_ZERO_POINT + 128)
    chosen = {"scale": np.array(SOFTMAX_SCALE), "zero_point": np.array(zero)}
    graph = load_onnx().load(path).graph
    return {node.output[0]: [dict(chosen)] for node in graph.node if node.op_type == "Softmax"}


_METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}


def prepared(content: bytes, least_opset: int, folder: Path) -> Path:
    """The model with a sufficient operator set, batch norms folded and all shapes inferred."""
    onnx = load_onnx()
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = parse(content)
    if opset(model) < (OPSET_INT16 if least_opset == OPSET_INT16 else 13):
        try:
            model = onnx.version_converter.convert_version(model, least_opset)
        except Exception as error:  # ConvertError has no public home
            raise QuantizationError(
                f"the model has operator set {opset(model)} and cannot be converted to {least_opset}: "
                f"{short(error)}. Export it with operator set {least_opset}"
            ) from error
    source, target = folder / "float.onnx", folder / "prepared.onnx"
    onnx.save(model, source)
    quant_pre_process(source, target, skip_symbolic_shape=True)
    model = onnx.load(target)
    if rewrite(model.graph, opset(model)):
        onnx.save(onnx.shape_inference.infer_shapes(model), target)
    return target
