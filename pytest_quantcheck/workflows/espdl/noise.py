"""How much of each layer's result is quantization noise, by the rules of every chip at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.onnx import graph_inputs
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_onnx.read import read_onnx
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.numerics.arrays import Array, Float32
from pytest_quantcheck.numerics.power_of_two import dequantize, quantize
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.espdl.calibration import float_values
from pytest_quantcheck.quantizers.espdl.convert import quantize_espdl, simplified
from pytest_quantcheck.quantizers.espdl.exponents import Plan
from pytest_quantcheck.quantizers.espdl.options import TARGETS
from pytest_quantcheck.wording import counted

INTEGER = "_q"  # how the quantizer calls the integers of a tensor


@dataclass(frozen=True)
class LayerNoise:
    """A tensor of the float model, the operator that makes it, and by target its noise-to-signal ratio.

    ``sum (q - f)^2 / sum f^2`` over all samples, f the float model's values, q those of the whole quantized
    network; 0 is none. Infinite where the float model has zeros only, and the quantized one has not.
    """

    name: str
    kind: str
    ratios: dict[str, float]


def layer_noise(
    source: bytes,
    calibration: Sequence[Float32],
    samples: Sequence[Float32],
    *,
    targets: Sequence[str] = TARGETS,
    scheme: str = "int8",
    granularity: str = "per_tensor",
    **options: Any,
) -> tuple[LayerNoise, ...]:
    """Of a float ``.onnx`` model, layer by layer in the order in which they run.

    ``calibration`` and ``samples``: arrays (N, ...), one for each input. ``options`` are those of the
    quantizer espdl, but for ``target``. Raises ``UsageError`` and ``QuantizationError``.
    """
    if not targets:
        raise UsageError("noise is measured for one target or more")
    model = simplified(source, scheme, "the model")
    calibration = _fitting(model.graph, calibration, "calibration samples")
    samples = _fitting(model.graph, samples, "test samples")
    graphs = {
        target: read_onnx(
            quantize_espdl(
                source,
                calibration,
                config=QuantConfig(
                    quantizer="espdl",
                    scheme=scheme,
                    granularity=granularity,
                    options={"target": target, **options},
                ).to_dict(),
                name="the model",
            )
        )
        for target in targets
    }
    plan = Plan(model.graph)
    makers: dict[str, str] = {}
    for node in plan.nodes:  # a clamp behind a layer is a part of it
        makers.setdefault(plan.quantized_output(node), node.op_type)
    names = [plan.quantized_output(node) for node in plan.nodes if node.op_type != "Constant"]
    names = [name for name in dict.fromkeys(names) if name in plan.quantized]
    floats = float_values(model, samples, names)
    found = {target: _ratios(graph, samples, floats) for target, graph in graphs.items()}
    return tuple(
        LayerNoise(name, makers[name], {target: found[target][name] for target in targets})
        for name in names
        if all(name in found[target] for target in targets)
    )


def _fitting(graph: Any, given: Sequence[Array], what: str) -> list[Float32]:
    """As float32, a copy where need be. Raises ``UsageError`` for what does not fit the inputs."""
    infos, arrays = graph_inputs(graph), [np.asarray(each) for each in given]
    if not arrays or any(each.ndim and not len(each) for each in arrays):
        raise UsageError("noise is measured with calibration and test samples")
    if len(arrays) != len(infos):
        names = ", ".join(info.name for info in infos)
        raise UsageError(
            f"{what}: {len(arrays)} arrays; the model has {counted(len(infos), 'input')}: {names}. Give one "
            "array (N, ...) for each"
        )
    for info, each in zip(infos, arrays, strict=True):
        shape = tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)[1:]
        if not each.ndim or each.shape[1:] != shape:
            raise UsageError(
                f"{what} for '{info.name}' have the shape {each.shape[1:]} each; the model takes {shape}"
            )
        if each.dtype.kind not in "fiu":
            raise UsageError(f"{what} for '{info.name}' are no real numbers, but {each.dtype}")
        if not np.isfinite(each).all():
            raise UsageError(f"{what} for '{info.name}' hold NaN or infinity; repair or drop them")
    if len({len(each) for each in arrays}) > 1:
        counts = ", ".join(str(len(each)) for each in arrays)
        raise UsageError(f"{what}: {counts} of them for the inputs; equally many are needed")
    return [np.ascontiguousarray(each, np.float32) for each in arrays]


def _ratios(graph: QuantGraph, samples: Sequence[Float32], floats: dict[str, Array]) -> dict[str, float]:
    """By the float tensor's name."""
    inputs = []
    for index, x in zip(graph.inputs, samples, strict=True):
        tensor = graph.tensors[index]
        inputs.append(quantize(x, _exponent(graph, index), tensor.dtype).reshape(len(x), *tensor.shape))
    values = execute.run_batch(graph, inputs)
    ratios: dict[str, float] = {}
    for tensor, value in zip(graph.tensors, values, strict=True):
        name = tensor.name if tensor.name in floats else tensor.name.removesuffix(INTEGER)
        if name not in floats or value is None or tensor.data is not None:
            continue
        real = dequantize(value, _exponent(graph, tensor.index)).astype(np.float64)
        # an image is NHWC here and NCHW there; where sizes do not tell, it is the nearer of both
        orders = [real, np.moveaxis(real, -1, 2)] if value.ndim == 5 else [real]
        wanted = floats[name].astype(np.float64)
        fitting = [each.reshape(wanted.shape) for each in orders if each.size == wanted.size]
        ratio = min((_ratio(each, wanted) for each in fitting), default=float("inf"))
        ratios[name] = min(ratio, ratios.get(name, float("inf")))
    return ratios


def _ratio(found: Array, wanted: Array) -> float:
    noise, signal = float(np.sum((found - wanted) ** 2)), float(np.sum(wanted**2))
    return noise / signal if signal else (0.0 if not noise else float("inf"))


def _exponent(graph: QuantGraph, index: int) -> int:
    quantization = graph.tensors[index].quantization
    exponents = quantization.exponents if quantization is not None else None
    if exponents is None:
        raise UsageError(f"tensor '{graph.tensors[index].name}' has no scale that is a power of two")
    return int(exponents[0])


def noise_table(layers: Sequence[LayerNoise]) -> str:
    """Lines of Markdown: a layer each, a column for each target, in percent."""
    targets = list(layers[0].ratios) if layers else []
    lines = [f"| layer | operator | {' | '.join(targets)} |", f"|---|---|{'---:|' * len(targets)}"]
    for each in layers:
        cells = " | ".join(f"{100 * each.ratios[target]:.3g} %" for target in targets)
        lines.append(f"| {each.name} | {each.kind} | {cells} |")
    return "\n".join(lines)
