"""Post-training quantization of float models with power-of-two scales for ESP-DL, audited and cached."""

from __future__ import annotations

from pathlib import Path

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.representative import Data
from pytest_quantcheck.errors import CombinationError, QuantizationError, UnsupportedOperatorError
from pytest_quantcheck.graph.from_onnx.read import read_onnx
from pytest_quantcheck.models.conversion.to_onnx import as_onnx
from pytest_quantcheck.models.conversion.worker import shared_worker
from pytest_quantcheck.models.load import Source, load
from pytest_quantcheck.quantizers.audit.audit import audit, require
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.espdl.options import EspdlOptions
from pytest_quantcheck.quantizers.manifest import manifest_of
from pytest_quantcheck.quantizers.onnx.quantize import cache_facts, convert, layout_findings, versions
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.quantizers.samples import calibration_samples

CONVERT = "pytest_quantcheck.quantizers.espdl.convert"  # in the worker process; nothing of it is needed here
RULES = 1  # counts up when an artefact would become another one


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
    """Quantize a float model as ``config`` asks, with ``data`` in the model's own layout to calibrate.

    As ``quantizers.onnx.quantize``, but Keras and TFLite models are converted first (``to_onnx``). Raises
    ``CombinationError`` for int16 with another calibration than minmax, in generation 1 also per channel,
    ``QuantizationError`` for a model with an operator that has no integer version.
    """
    options = EspdlOptions.read(dict(config.options))
    if config.scheme == "int16" and options.calibration_method != "minmax":
        raise CombinationError(
            f"calibration_method={options.calibration_method!r} is impossible with scheme='int16'; "
            "allowed: minmax, or scheme='int8'"
        )
    if config.scheme == "int16" and options.generation == 1 and config.granularity != "per_tensor":
        raise CombinationError(
            f"granularity={config.granularity!r} is impossible with scheme='int16' of generation 1; allowed: "
            "per_tensor, or generation=2"
        )
    cache = cache or Cache()
    model = load(source, base=base, cache=cache, name=name)
    model = model if model.onnx else as_onnx(model, cache)
    samples = calibration_samples(config, data, model, input_range)
    facts = cache_facts("quantize_espdl", model, config, samples, rules=RULES)
    worker = shared_worker(CONVERT, "the espdl quantizer")
    artefact = cache.get_or_make(facts, lambda: convert(worker, "quantize_espdl", model, config, samples))
    _require_integers(artefact, model.name)
    findings = [*samples.findings, *layout_findings(model), *require(audit(artefact, config), model.name)]
    manifest = manifest_of(
        model, config, calibration=samples.to_dict(), versions=versions(), findings=findings
    )
    return QuantizedModel(model.name, artefact, config, model.onnx, manifest, finish=model.finish)


def _require_integers(artefact: bytes, name: str) -> None:
    """The artefact is of use only where it runs in integers."""
    try:
        read_onnx(artefact)
    except UnsupportedOperatorError as error:
        raise QuantizationError(f"the model '{name}' cannot be quantized for ESP-DL: {error}") from error
