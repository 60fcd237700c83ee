"""The quantizer's work, in a process of its own: a float ONNX model becomes integers for a chip."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import QuantizationError
from pytest_quantcheck.formats.onnx import kind_of, load_onnx, parse
from pytest_quantcheck.graph.from_onnx.rules import SUPPORTED
from pytest_quantcheck.numerics.arrays import Float32
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.espdl.calibration import exponent, observe
from pytest_quantcheck.quantizers.espdl.exponents import Plan
from pytest_quantcheck.quantizers.espdl.layers import Rules, with_quantized_weights
from pytest_quantcheck.quantizers.espdl.optimize import optimize
from pytest_quantcheck.quantizers.espdl.options import EspdlOptions
from pytest_quantcheck.quantizers.espdl.qdq import Builder, say
from pytest_quantcheck.quantizers.onnx.convert import OPSET, OPSET_INT16, prepared, short, silence
from pytest_quantcheck.quantizers.onnx.edges import fold_edges
from pytest_quantcheck.quantizers.onnx.rewrite import sort

IR_VERSION = 10  # the first with operator set 21
_FORMAT = ("Constant", "QuantizeLinear", "DequantizeLinear")


def quantize_espdl(content: bytes, samples: Sequence[Float32], *, config: dict[str, Any], name: str) -> bytes:
    """A float ONNX model in integers, as ``QuantConfig.to_dict`` says; ``samples``: (N, ...) per input.

    ``name`` is for messages. Raises ``QuantizationError``.
    """
    wanted = QuantConfig.from_dict(config)
    options = EspdlOptions.read(dict(wanted.options))
    rules = Rules.of(wanted.scheme, wanted.granularity == "per_channel", options)
    onnx = load_onnx()
    model = simplified(content, rules.dtype, name)
    plan = Plan(model.graph)
    rounded = with_quantized_weights(model, plan, rules) if rules.generation == 2 else model
    seen = observe(rounded, samples, plan.quantized, options.calibration_method != "minmax")
    chosen = {key: exponent(each, rules.dtype, rules.cover, options) for key, each in seen.items()}
    exponents = plan.shared(chosen)
    if rules.generation == 2:
        exponents = plan.aligned(exponents)
    Builder(model.graph, plan, exponents, rules).build()
    inputs, outputs = wanted.input_type != "float32", wanted.output_type != "float32"
    fold_edges(model.graph, inputs=inputs, outputs=outputs)
    sort(model.graph)
    say(model, rules, options)
    model.ir_version = max(model.ir_version, IR_VERSION) if rules.dtype == "int16" else model.ir_version
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # ValidationError has no public base
        raise QuantizationError(f"ONNX's checker refuses the quantized model: {short(error)}") from error
    return bytes(model.SerializeToString(deterministic=True))


def simplified(content: bytes, dtype: str, name: str) -> Any:
    """The float ``ModelProto`` whose tensors are quantized to ``dtype``. Raises ``QuantizationError``."""
    onnx = load_onnx()
    with tempfile.TemporaryDirectory(prefix="quantcheck-") as folder, silence():
        try:
            opset = OPSET_INT16 if dtype == "int16" else OPSET
            simple = optimize(parse(content)).SerializeToString()
            model = optimize(onnx.load(prepared(simple, opset, Path(folder))))
        except QuantizationError:
            raise
        except Exception as error:  # the packages raise whatever their steps raise
            raise QuantizationError(f"the model '{name}' cannot be prepared: {short(error)}") from error
    require_known(model.graph)
    return model


def require_known(graph: Any) -> None:
    """Raises ``QuantizationError`` that names the operators without an integer version."""
    known = set(SUPPORTED) - set(_FORMAT)
    for node in graph.node:
        kind = kind_of(node)
        if kind not in known and kind != "Constant":
            where = f" {node.name!r}" if node.name else ""
            allowed = ", ".join(sorted(known))
            raise QuantizationError(
                f"operator {kind}{where} is not supported for ESP-DL; supported: {allowed}"
            )
