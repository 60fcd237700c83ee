"""Post-training quantization of ``.onnx`` models by onnxruntime's static QDQ quantizer, audited and cached.

The calibrators are made here, since ``quantize_static`` ignores how many bins are asked for; integer inputs
and outputs come from folding the QuantizeLinear and DequantizeLinear at the edges away.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.representative import Data, Representative, representative
from pytest_quantcheck.errors import MissingExtraError, QuantizationError, UsageError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.onnx import graph_inputs, load_onnx, opset, parse
from pytest_quantcheck.graph.from_onnx.rules import SUPPORTED
from pytest_quantcheck.graph.from_onnx.softmax import SOFTMAX_SCALE, SOFTMAX_ZERO_POINT
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.load import Source, load
from pytest_quantcheck.numerics.arrays import Float32
from pytest_quantcheck.quantizers.audit.audit import audit, require
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.onnx.edges import fold_edges
from pytest_quantcheck.quantizers.onnx.options import OnnxOptions
from pytest_quantcheck.quantizers.onnx.rewrite import rewrite, sort
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.version import __version__

OPSET = 17  # what older models are converted to: per-channel scales came with 13
OPSET_INT16 = 21  # the first whose own QuantizeLinear knows int16


def quantize(
    source: Source,
    config: QuantConfig,
    data: Data | None = None,
    *,
    name: str = "",
    base: Path | None = None,
    cache: Cache | None = None,
    input_range: tuple[float, float] | None = None,
) -> QuantizedModel:
    """Quantize an ONNX model as ``config`` asks, with ``data`` in the model's own layout to calibrate.

    As ``quantizers.tflite.quantize``. Raises ``UsageError`` for a model of another format,
    ``QuantizationError`` for an artefact that is not what was asked for: it names operators left in float.
    """
    cache = cache or Cache()
    model = load(source, base=base, cache=cache, name=name)
    if not model.onnx:
        raise UsageError(
            f"{model.source} is no ONNX model, and quantizer='onnx' takes no other; give "
            "quantizer='tflite', or export the model to ONNX (Keras: "
            "model.export('net.onnx', format='onnx'); TFLite: python -m tf2onnx.convert "
            "--tflite net.tflite --output net.onnx)"
        )
    samples = representative(config.calibration, data, model.input_shapes, input_range)
    artefact = cache.get_or_make(_facts(model, config, samples), lambda: _convert(model, config, samples))
    findings = [*samples.findings, *_layout(model), *require(audit(artefact, config), model.name)]
    manifest = {
        "name": model.name,
        "source": {"file": Path(model.source).name, "sha256": model.source_sha256},
        "config": config.to_dict(),
        "calibration": samples.to_dict(),
        "versions": versions(),
        "findings": [finding.to_dict() for finding in findings],
    }
    return QuantizedModel(model.name, artefact, config, model.onnx, manifest)


def _layout(model: FloatModel) -> Iterator[Finding]:
    """ONNX's convolutions want channels before pixels, most datasets have them behind."""
    for tensor in model.summary.input_tensors:
        if len(tensor.shape) == 4:
            yield Finding(
                "note",
                "layout",
                f"Input '{tensor.name}' keeps the file's layout, {tensor.shape}: NCHW in ONNX's terms.",
                "Give samples and vectors in this layout.",
            )


def versions() -> dict[str, str]:
    """What decided the artefact, apart from its inputs. Raises ``MissingExtraError``."""
    return {
        "onnx": _version("onnx"),
        "onnxruntime": _version("onnxruntime"),
        "pytest-quantcheck": __version__,
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtraError(package, "onnx", "Quantizing ONNX models") from None


def _facts(model: FloatModel, config: QuantConfig, samples: Representative) -> dict[str, Any]:
    """The cache key: everything the artefact depends on, and nothing else."""
    return {
        "make": "quantize_onnx",
        "source": model.semantic_sha256,
        "input_type": config.input_type,
        "output_type": config.output_type,
        "scheme": config.scheme,
        "granularity": config.granularity,
        "options": dict(config.options),
        "samples": samples.sha256,
        "onnx": _version("onnx"),
        "onnxruntime": _version("onnxruntime"),
    }


def _convert(model: FloatModel, config: QuantConfig, samples: Representative) -> bytes:
    options = OnnxOptions.read(dict(config.options))
    with tempfile.TemporaryDirectory(prefix="quantcheck-") as folder, _silence():
        try:
            quantized = _quantized(model.onnx, config, options, samples, Path(folder))
        except QuantizationError:
            raise
        except Exception as error:  # the quantizer raises whatever its steps raise
            raise QuantizationError(f"onnxruntime's quantizer refuses the model: {_short(error)}") from error
    require(audit(bytes(quantized.SerializeToString())), model.name)  # names operators left in float
    inputs, outputs = config.input_type != "float32", config.output_type != "float32"
    fold_edges(quantized.graph, inputs=inputs, outputs=outputs)
    sort(quantized.graph)
    try:
        load_onnx().checker.check_model(quantized)
    except Exception as error:  # ValidationError has no public base
        raise QuantizationError(f"ONNX's checker refuses the quantized model: {_short(error)}") from error
    return bytes(quantized.SerializeToString(deterministic=True))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The quantizer prints advice through the root logger, ``print`` and ``warnings``."""
    level = logging.root.level
    logging.root.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.setLevel(level)


def _short(error: Exception, limit: int = 400) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


class _Reader:
    """onnxruntime's ``CalibrationDataReader``: one sample after the other, batch 1."""

    def __init__(self, names: list[str], arrays: tuple[Float32, ...]) -> None:
        self._rows = (
            dict(zip(names, [array[i : i + 1] for array in arrays], strict=True))
            for i in range(len(arrays[0]))
        )

    def get_next(self) -> dict[str, Float32] | None:
        """The next sample by input name, None after the last."""
        return next(self._rows, None)


def _quantized(
    content: bytes, config: QuantConfig, options: OnnxOptions, samples: Representative, folder: Path
) -> Any:
    """The QDQ model with float edges, as a ``ModelProto``."""
    onnx = load_onnx()
    from onnxruntime.quantization import QuantType, calibrate
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    kinds = sorted({*QDQRegistry, *QLinearOpsRegistry, *SUPPORTED})
    path = _prepared(content, OPSET_INT16 if config.scheme == "int16x8" else OPSET, folder)
    names = [info.name for info in graph_inputs(parse(content).graph)]
    calibrator = calibrate.create_calibrator(
        path,
        kinds,
        str(folder / "augmented.onnx"),
        calibrate.CalibrationMethod[_METHODS[options.method]],
        extra_options=options.calibration,
    )
    calibrator.collect_data(_Reader(names, samples.inputs))
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


def _prepared(content: bytes, least_opset: int, folder: Path) -> Path:
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
                f"{_short(error)}. Export it with operator set {least_opset}"
            ) from error
    source, target = folder / "float.onnx", folder / "prepared.onnx"
    onnx.save(model, source)
    quant_pre_process(source, target, skip_symbolic_shape=True)
    model = onnx.load(target)
    if rewrite(model.graph):
        onnx.save(onnx.shape_inference.infer_shapes(model), target)
    return target
