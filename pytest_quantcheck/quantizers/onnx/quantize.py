"""Post-training quantization of ``.onnx`` models by onnxruntime's QDQ quantizer, audited and cached."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.representative import Data, Representative
from pytest_quantcheck.errors import MissingExtraError, UsageError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.models.conversion.worker import Worker, shared_worker
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.load import Source, load
from pytest_quantcheck.quantizers.audit.audit import audit, require
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.manifest import manifest_of
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.quantizers.samples import calibration_samples

CONVERT = "pytest_quantcheck.quantizers.onnx.convert"  # in the worker process; nothing of it is needed here


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
    samples = calibration_samples(config, data, model, input_range)
    facts = cache_facts("quantize_onnx", model, config, samples)
    worker = shared_worker(CONVERT, "onnxruntime's quantizer")
    artefact = cache.get_or_make(facts, lambda: convert(worker, "quantize_onnx", model, config, samples))
    findings = [*samples.findings, *layout_findings(model), *require(audit(artefact, config), model.name)]
    manifest = manifest_of(
        model, config, calibration=samples.to_dict(), versions=versions(), findings=findings
    )
    return QuantizedModel(model.name, artefact, config, model.onnx, manifest, finish=model.finish)


def layout_findings(model: FloatModel) -> Iterator[Finding]:
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
    """Of the packages that decide the artefact. Raises ``MissingExtraError``."""
    return {package: _version(package) for package in ("onnx", "onnxruntime")}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtraError(package, "onnx", "Quantizing ONNX models") from None


def cache_facts(
    make: str, model: FloatModel, config: QuantConfig, samples: Representative, **more: object
) -> dict[str, Any]:
    """The cache key of what ``make`` makes: everything the artefact depends on, and nothing else."""
    return {
        "make": make,
        "source": model.semantic_sha256,
        "input_type": config.input_type,
        "output_type": config.output_type,
        "scheme": config.scheme,
        "granularity": config.granularity,
        "options": dict(config.options),
        "samples": samples.sha256,
        **versions(),
        **more,
    }


def convert(
    worker: Worker, function: str, model: FloatModel, config: QuantConfig, samples: Representative
) -> bytes:
    """In a process of its own: onnxruntime takes as long and as much as a stranger's model wants."""
    return worker.call(
        function, content=model.onnx, arrays=samples.inputs, name=model.name, config=config.to_dict()
    )
