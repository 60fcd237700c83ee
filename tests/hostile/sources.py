"""Sound model files to be damaged: the demo's, published shapes, drawn layers and networks, ONNX networks."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from conformance_models import onnx_nets
from conformance_models.shapes import model
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.demo.artefacts import demo_models
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.strategies import LAYER_KINDS, ModelCase, layers, small_models

LARGEST = 20_000  # bytes of a drawn file
ONNX_NETWORKS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "residual": (onnx_nets.residual, [(3, 12, 10)]),
    "two-inputs": (onnx_nets.two_inputs, [(2, 6, 6), (5,)]),
    "sequence": (onnx_nets.sequence, [(4, 30)]),
    "decoder": (onnx_nets.decoder, [(3, 6, 4)]),
}


def sources(
    *, layers_each: int = 1, networks: int = 12, onnx: Sequence[str] = tuple(ONNX_NETWORKS)
) -> dict[str, bytes]:
    """Artefacts by name: how many drawn for each kind of layer, how many drawn networks, which of ONNX."""
    found = {f"demo {m.id}": m.artefact for m in demo_models()[2:4]}
    found["ds-cnn"] = model("ds-cnn").artefact
    for kind in LAYER_KINDS if layers_each else ():
        found |= {f"{kind} {i}": data for i, data in enumerate(drawn(layers(kind), layers_each))}
    found |= {f"network {i}": data for i, data in enumerate(drawn(small_models(), networks))}
    with tempfile.TemporaryDirectory(prefix="quantcheck-hostile-") as temporary:
        cache = Cache(Path(temporary))
        for name in onnx:
            for scheme in ("int8", "uint8"):
                found[f"onnx {name} {scheme}"] = onnx_artefact(name, scheme, cache)
    return found


def drawn(strategy: SearchStrategy[ModelCase], count: int) -> list[bytes]:
    """``count`` different files that a strategy draws, of all sizes; the same ones every time."""
    found: dict[bytes, None] = {}

    @settings(
        max_examples=6 * count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def draw(case: ModelCase) -> None:
        if len(case.artefact) <= LARGEST:
            found[case.artefact] = None

    draw()
    files = sorted(found, key=len)
    return files[:: max(1, len(files) // count)][-count:]


def onnx_artefact(name: str, scheme: str, cache: Cache) -> bytes:
    """A quantized ONNX network; integer edges next to int8, float ones next to uint8."""
    build, shapes = ONNX_NETWORKS[name]
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=(8, *shape)).astype(np.float32) for shape in shapes]
    edge = scheme if scheme == "int8" else "float32"
    config = QuantConfig(quantizer="onnx", scheme=scheme, input_type=edge, output_type=edge)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = Samples(tuple(arrays) if len(arrays) > 1 else arrays[0])
        return quantize(build(seed=4), config, data, cache=cache).artefact
