"""LiteRT by name: its reference kernels differ from TFLM in FULLY_CONNECTED only, its default ones more."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pytest_quantcheck import strategies
from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import FullyConnected, QuantGraph
from pytest_quantcheck.graph.tflite import read_summary, read_tflite
from pytest_quantcheck.graph.write_tflite import TfliteWriter
from pytest_quantcheck.quantizers.model import QuantizedModel
from pytest_quantcheck.runners import HOST_RUNNERS, host_runner, litert, prepare

pytestmark = pytest.mark.host


def single_rounding(graph: QuantGraph) -> QuantGraph:
    """The same network with FULLY_CONNECTED rounded once."""
    operators = tuple(
        replace(op, params=replace(op.params, requantize=replace(op.params.requantize, rounding="single")))
        if isinstance(op.params, FullyConnected)
        else op
        for op in graph.operators
    )
    return replace(graph, operators=operators)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    case=st.one_of(strategies.small_models("int8"), strategies.layers("FULLY_CONNECTED", "int8")),
    seed=st.integers(0, 999),
)
def test_reference_kernels_equal_ours_but_round_fully_connected_once(
    case: strategies.ModelCase, seed: int
) -> None:
    # LiteRT's int8 convolutions insist on a bias, TFLM's do not
    assume(all(len(op.inputs) == 3 for op in read_summary(case.artefact).operators if "CONV" in op.kind))
    model = QuantizedModel("drawn", case.artefact)
    run = litert.LitertReferenceRunner().run(model, Raw(case.raw_inputs(3, seed)), operators=True)
    graph = single_rounding(read_tflite(case.artefact))
    for sample in range(len(run)):
        values = execute.run(graph, [x[sample] for x in prepare.model_inputs(model, run.inputs)])
        for op, record in zip(graph.operators, run.operators[sample], strict=True):
            value = values[op.outputs[0]]
            assert value is not None
            assert (op.index, zlib.crc32(value.tobytes())) == (record.index, record.crc32), op.kind


@pytest.mark.parametrize("name", HOST_RUNNERS)
def test_every_host_runner_gives_the_same_kind_of_run(name: str) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 5, 5, 2), scale=0.05)
    pooled = writer.pool("MAX_POOL_2D", x, (2, 2), stride=(2, 2))
    model = QuantizedModel("pool", writer.finish([x], [writer.dequantize(pooled)]))
    samples = Samples(np.linspace(-6, 6, 150, dtype=np.float32).reshape(3, 5, 5, 2))
    runner = host_runner(name)
    run = runner.run(model, samples, operators=True)
    assert (run.runner, len(run), run.inputs[0].dtype.name, run.outputs[0].dtype.name) == (
        name,
        3,
        "int8",
        "float32",
    )
    assert run.outputs[0].shape == (3, 2, 2, 2)
    assert run.exact == (name in ("tflm", "integer"))
    assert [(r.index, r.kind) for r in run.operators[2]] == [(0, "MAX_POOL_2D"), (1, "DEQUANTIZE")]
    raw = run.inputs[0].astype(np.int32)[:, :4, :4].reshape(3, 2, 2, 2, 2, 2).max(axis=(2, 4))
    assert np.array_equal(run.outputs[0], raw.astype(np.float32) * np.float32(0.05))
    assert np.array_equal(runner.tensor(model, [run.inputs[0][1]], 0)[0], raw[1])


def test_a_float_model_is_run_on_float_samples() -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 3), "float32")
    y = writer.tensor((1, 3), "float32")
    writer.operator("SOFTMAX", [x], [y], Beta=1.0)
    samples = Samples(np.asarray([[0, 1, 2], [3, 3, 3]], np.float32))
    (outputs,) = litert.float_outputs(writer.finish([x], [y]), samples)
    exact = np.exp(samples.inputs[0]) / np.exp(samples.inputs[0]).sum(axis=1, keepdims=True)
    assert outputs.dtype == np.float32
    assert np.allclose(outputs, exact, atol=1e-6)


def test_a_model_that_litert_refuses_is_a_model_error() -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 3), "int8", scale=0.1)
    y = writer.tensor((1, 3), "float32")
    writer.operator("SOFTMAX", [x], [y], Beta=1.0)
    model = QuantizedModel("odd", writer.finish([x], [y]))
    with pytest.raises(ModelError, match=r"LiteRT cannot run the model: .*got FLOAT32"):
        litert.LitertRunner().run(model, Raw(np.zeros((1, 3), np.int8)))


def test_fully_connected_is_where_litert_and_tflm_part() -> None:
    rng = np.random.default_rng(0)
    writer = TfliteWriter()
    x = writer.tensor((1, 64), scale=0.05)
    weights = rng.integers(-127, 128, (32, 64)).astype(np.int8)
    bias = rng.integers(-1000, 1000, 32).astype(np.int32)
    y = writer.fully_connected(x, weights, bias, weight_scale=0.01, scale=0.3)
    model = QuantizedModel("dense", writer.finish([x], [y]))
    vectors = Raw(rng.integers(-128, 128, (50, 64)).astype(np.int8))
    tflm = host_runner("tflm").run(model, vectors).outputs[0].astype(int)
    reference = host_runner("litert_reference").run(model, vectors).outputs[0].astype(int)
    assert np.abs(reference - tflm).max() == 1
