"""Post-training quantization to ``.tflite`` by TensorFlow's own quantizer, audited and cached."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.representative import Data, Representative
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.models.conversion import converter
from pytest_quantcheck.models.conversion.worker import shared_worker
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.load import Source, load
from pytest_quantcheck.quantizers.audit.audit import audit, require
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.manifest import manifest_of
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.quantizers.samples import calibration_samples
from pytest_quantcheck.quantizers.tflite import optimize
from pytest_quantcheck.quantizers.tflite.facts import facts_of


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
    """Quantize ``source`` (see ``models.load``) as ``config`` asks, with ``data`` to calibrate.

    The artefact is audited: one that is not what was asked for raises ``QuantizationError``. The manifest
    holds the hashes, the calibration ids, the versions and the findings that are not errors. Random
    calibration draws from ``input_range``, or the range that ``data`` state, or what the file says
    (``models.input_range``).
    """
    cache = cache or Cache()
    model = load(source, base=base, cache=cache, name=name)
    if not model.tflite:
        raise UsageError(f"quantizer='tflite' with {model.source}, an ONNX model; give quantizer='onnx'")
    calibrated = config.calibration.kind != "none"
    samples = calibration_samples(config, data, model, input_range) if calibrated else None
    network, report, said = _optimized(_form_for(model, config), config, samples, cache)
    artefact = _quantized(network, config, samples, cache)
    findings = [*(samples.findings if samples else ()), *said, *require(audit(artefact, config), model.name)]
    manifest = manifest_of(
        model,
        config,
        calibration=samples.to_dict() if samples else config.calibration.to_dict(),
        versions={"tensorflow": converter.tensorflow_version(), "keras": converter.keras_version()},
        findings=findings,
    )
    told = {**manifest, **report}
    return QuantizedModel(model.name, artefact, config, model.tflite, told, finish=model.finish)


def _form_for(model: FloatModel, config: QuantConfig) -> FloatModel:
    """With each LSTM as one operator where the scheme has it: one set of scales for all its steps."""
    if model.fused and config.scheme == "int8" and not config.optimize:
        return replace(model, tflite=model.fused)
    return model


def _optimized(
    model: FloatModel, config: QuantConfig, samples: Representative | None, cache: Cache
) -> tuple[FloatModel, dict[str, Any], list[Finding]]:
    """The network to quantize; with ``optimize`` another than the model, and what the manifest says of it."""
    if not config.optimize or samples is None:
        return model, {}, []
    network, report = optimize.optimize(model, samples, cache)
    edges = replace(config, input_type="float32", output_type="float32")
    report["rmse"] = optimize.measure(
        model, network, lambda source: _quantized(source, edges, samples, cache), samples, cache
    )
    report["spread"] = report["rmse"].pop("spread")
    return network, {"optimize": report}, [optimize.finding(report)]


def _quantized(model: FloatModel, config: QuantConfig, samples: Representative | None, cache: Cache) -> bytes:
    if config.scheme == "float32":
        return model.tflite
    facts = facts_of(
        "quantize_tflite",
        model,
        samples,
        scheme=config.scheme,
        input_type=config.input_type,
        output_type=config.output_type,
        granularity=config.granularity,
    )
    return cache.get_or_make(facts, lambda: _convert(model, config, samples, cache))


def _convert(model: FloatModel, config: QuantConfig, samples: Representative | None, cache: Cache) -> bytes:
    """Statistics are gathered once per model and samples, whatever is then made of them."""
    worker = shared_worker()
    if samples is None:
        return worker.call("weights_only", content=model.tflite, scheme=config.scheme)
    calibrated = cache.get_or_make(
        facts_of("calibrate_tflite", model, samples),
        lambda: worker.call("calibrate_tflite", content=model.tflite, arrays=samples.inputs),
    )
    return worker.call(
        "quantize_calibrated",
        content=calibrated,
        scheme=config.scheme,
        input_type=config.input_type,
        output_type=config.output_type,
        per_tensor=config.granularity == "per_tensor",
    )
