"""Networks with power-of-two scales: the C engine computes the interpreter's integers, in both variants."""

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


def mixed(seed: int) -> bytes:
    """Every kind of operator that int16 has, on (3, 8, 6) and (4)."""
    net = nets.Net(seed)
    x, v = net.input("image", 1, 3, 8, 6), net.input("vector", 1, 4)
    a = net.op("LeakyRelu", net.conv(x, 8, 3), alpha=0.1)
    b = net.op("Sub", net.conv(a, 8, 8, group=8), net.op("Clip", a, net.constant(-0.5), net.constant(0.7)))
    c = net.op("Mul", b, net.op("Sigmoid", b))
    d = net.op("AveragePool", c, kernel_shape=[3, 2], strides=[2, 2])
    e = net.op("Pad", d, net.constant([0, 0, 1, 0, 0, 0, 0, 1], np.int64))
    slopes = net.constant(net.rng.uniform(-0.4, 0.9, (8, 1, 1)))
    f = net.op("Flatten", net.op("GlobalAveragePool", net.op("PRelu", e, slopes)))
    g = net.op("Tanh", net.op("Gemm", v, net.normal(4, 8), net.normal(8)))
    h = net.op("Concat", f, g, net.op("Relu", net.op("Mul", g, net.constant([0.7]))), axis=1)
    y = net.op("Add", net.op("MatMul", h, net.normal(24, 5)), net.normal(5))
    return net.model({net.op("Softmax", y, axis=1): (1, 5)})


NETWORKS = {
    "residual": (nets.residual, [(3, 12, 10)]),
    "flattened": (nets.flattened, [(2, 4, 6)]),
    "two inputs": (nets.two_inputs, [(2, 6, 6), (5,)]),
    "sequence": (nets.sequence, [(4, 30)]),
    "decoder": (nets.decoder, [(3, 6, 4)]),
    "mixed": (mixed, [(3, 8, 6), (4,)]),
}
HOW = {
    "c3": ("int8", "per_tensor", {"target": "esp32c3"}),
    "p4": ("int8", "per_channel", {"target": "esp32p4"}),
    "s3 of old": ("int8", "per_tensor", {"target": "esp32s3", "generation": 1}),
    "s3 in int16": ("int16", "per_tensor", {"target": "esp32s3"}),
    "p4 in int16": ("int16", "per_tensor", {"target": "esp32p4"}),
    "s3 of old in int16": ("int16", "per_tensor", {"target": "esp32s3", "generation": 1}),
}
INT8_ONLY = ("sequence", "decoder")  # ConvTranspose, linear Resize


CASES = [(name, how) for name in NETWORKS for how in HOW if not (name in INT8_ONLY and "int16" in how)]


@pytest.mark.parametrize(("name", "how"), CASES)
def test_a_network_gives_the_same_integers(engine: Engine, name: str, how: str, tmp_path: Path) -> None:
    scheme, granularity, options = HOW[how]
    build, shapes = NETWORKS[name]
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=(8, *shape)).astype(np.float32) for shape in shapes]
    data = Samples(tuple(arrays) if len(arrays) > 1 else arrays[0])
    config = QuantConfig(quantizer="espdl", scheme=scheme, granularity=granularity, options=options)
    graph = quantize(build(seed=4), config, data, cache=Cache(tmp_path)).graph
    image = compile_image(graph).data
    low, high = np.iinfo(scheme).min, np.iinfo(scheme).max
    for _ in range(4):
        inputs = [rng.integers(low, high, (1, *s), endpoint=True).astype(scheme) for s in shapes]
        answer = engine.run_graph(graph, image, inputs)
        assert answer.status == 0
        expected = execute.run(graph, inputs)[graph.outputs[0]]
        assert expected is not None
        assert answer.outputs == expected.tobytes()
