"""Post-training quantization by esp-ppq itself; its file is read, and must give what its executor gave."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.representative import Data, Representative
from pytest_quantcheck.errors import QuantizationError, UnsupportedOperatorError, UsageError
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_espdl.qdq import qdq_of
from pytest_quantcheck.graph.from_onnx.read import DTYPE, ROUNDING, read_onnx
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.models.conversion.to_onnx import as_onnx
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.load import Source, load
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.power_of_two import quantize as to_integers
from pytest_quantcheck.numerics.rounding import Rounding
from pytest_quantcheck.quantizers.audit.audit import audit, require
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.esp_ppq import environment
from pytest_quantcheck.quantizers.esp_ppq.layout import as_source
from pytest_quantcheck.quantizers.esp_ppq.options import TARGETS, EspPpqOptions
from pytest_quantcheck.quantizers.manifest import manifest_of
from pytest_quantcheck.quantizers.onnx.quantize import layout_findings
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.quantizers.samples import calibration_samples
from pytest_quantcheck.temporary import OwnFolder

BITS = {"int8": 8, "int16": 16}
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

    As ``quantizers.espdl.quantize``. The artefact has integers at its edges. Raises ``PluginError`` where
    there is no environment with esp-ppq, ``QuantizationError`` where esp-ppq refuses the model, or what it
    exports does not give its executor's outputs by our integers, up to one step.
    """
    options = EspPpqOptions.read(dict(config.options))
    interpreter = environment.python()
    used = environment.versions(interpreter)
    cache = cache or Cache()
    model = load(source, base=base, cache=cache, name=name)
    model = model if model.onnx else as_onnx(model, cache)
    if len(model.input_shapes) != 1:
        raise UsageError(f"{model.name} has {len(model.input_shapes)} inputs; quantizer='esp_ppq' takes one")
    samples = calibration_samples(config, data, model, input_range)
    facts = {
        "make": "quantize_esp_ppq",
        "source": model.semantic_sha256,
        "scheme": config.scheme,
        "options": dict(config.options),
        "samples": samples.sha256,
        "rules": RULES,
        **used,
    }
    artefact = cache.get_or_make(facts, lambda: _made(interpreter, model, config, options, samples))
    findings = [*samples.findings, *layout_findings(model), *require(audit(artefact, config), model.name)]
    manifest = manifest_of(model, config, calibration=samples.to_dict(), versions=used, findings=findings)
    return QuantizedModel(model.name, artefact, config, model.onnx, manifest, finish=model.finish)


def _made(
    interpreter: Path, model: FloatModel, config: QuantConfig, options: EspPpqOptions, samples: Representative
) -> bytes:
    x = np.asarray(samples.inputs[0], np.float32)
    job = {"target": options.target, "bits": BITS[config.scheme], "method": options.calibration_method}
    with OwnFolder("esp-ppq") as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(job))
        (folder / "model.onnx").write_bytes(model.onnx)  # esp-ppq writes over it
        np.save(folder / "samples.npy", x, allow_pickle=False)
        environment.run(interpreter, folder, model.name)
        file = (folder / "model.espdl").read_bytes()
        with np.load(folder / "outputs.npz", allow_pickle=False) as kept:
            expected = [kept[key] for key in sorted(kept, key=lambda key: int(key.rpartition("_")[2]))]
    rounding: Rounding = "half_even" if TARGETS[options.target] == "esp32p4" else "half_up"
    told = {
        ROUNDING: rounding,
        DTYPE: config.scheme,
        "quantcheck.target": TARGETS[options.target],
        "quantcheck.generation": "2",
        "quantcheck.espdl_sha256": hashlib.sha256(file).hexdigest(),
    }
    summary = model.summary
    inputs, outputs = (
        [tuple(t.shape) for t in side] for side in (summary.input_tensors, summary.output_tensors)
    )
    try:
        artefact = as_source(qdq_of(file), inputs, outputs, told)
        _check(artefact, x, expected, rounding, model.name)
    except UnsupportedOperatorError as error:
        raise QuantizationError(f"esp-ppq's file of the model '{model.name}' is not read: {error}") from error
    return artefact


def _check(artefact: bytes, x: Array, expected: list[Array], rounding: Rounding, name: str) -> None:
    """Our integers for the first samples are those of esp-ppq's executor, up to one step: it rounds in
    floats."""
    graph = read_onnx(artefact)
    scale = _scale(graph, graph.inputs[0])
    exponent = int(np.log2(scale))
    few = x[: len(expected[0])]
    integers = to_integers(few, exponent, graph.tensors[graph.inputs[0]].dtype, rounding=rounding)
    found = execute.run_batch(graph, [integers.reshape(len(few), *graph.tensors[graph.inputs[0]].shape)])
    for index, wanted in zip(graph.outputs, expected, strict=True):
        values = found[index]
        assert values is not None, "outputs are computed"
        steps = np.abs(values.reshape(wanted.shape) - wanted / _scale(graph, index)).max()
        if not steps <= 1:  # NaN, too
            raise QuantizationError(
                f"esp-ppq's file of the model '{name}' gives other outputs than its executor, by up to "
                f"{steps:g} steps of '{graph.tensors[index].name}': the file is not read as it is meant"
            )


def _scale(graph: QuantGraph, index: int) -> float:
    quantization = graph.tensors[index].quantization
    assert quantization is not None, "integers have a scale"
    return float(quantization.scale[0])
