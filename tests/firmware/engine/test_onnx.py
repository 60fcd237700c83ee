"""Quantized ONNX networks: the C engine computes the interpreter's integers, in both variants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from conformance_models import onnx_nets as nets
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.graph import execute
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

NETWORKS = {
    "residual": (nets.residual, [(3, 12, 10)]),
    "flattened": (nets.flattened, [(2, 4, 6)]),
    "two inputs": (nets.two_inputs, [(2, 6, 6), (5,)]),
    "sequence": (nets.sequence, [(4, 30)]),
    "decoder": (nets.decoder, [(3, 6, 4)]),
    "attention": (nets.attention, [(6, 8)]),
}


@pytest.mark.parametrize("scheme", ["int8", "uint8"])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("edge", ["integer", "float32"])
def test_a_network_gives_the_same_integers(
    engine: Engine, name: str, scheme: str, edge: str, tmp_path: Path
) -> None:
    build, shapes = NETWORKS[name]
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=(8, *shape)).astype(np.float32) for shape in shapes]
    data = Samples(tuple(arrays) if len(arrays) > 1 else arrays[0])
    kind = scheme if edge == "integer" else "float32"
    config = QuantConfig(quantizer="onnx", scheme=scheme, input_type=kind, output_type=kind)
    graph = quantize(build(seed=4), config, data, cache=Cache(tmp_path)).graph
    image = compile_image(graph).data
    for sample in range(4):
        inputs = [x[sample : sample + 1] for x in arrays]
        if edge == "integer":
            low = int(np.iinfo(scheme).min)
            inputs = [rng.integers(low, low + 256, x.shape).astype(scheme) for x in inputs]
        answer = engine.run_graph(graph, image, inputs)
        assert answer.status == 0
        expected = execute.run(graph, inputs)[graph.outputs[0]]
        assert expected is not None
        assert answer.outputs == expected.tobytes()
