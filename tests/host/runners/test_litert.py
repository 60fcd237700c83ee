"""LiteRT by name: its reference kernels differ from TFLM in known places only, its default ones more."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.tflite_writer import TfliteWriter, Value
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_tflite.read import read_tflite
from pytest_quantcheck.graph.model import (
    FullyConnected,
    Mul,
    Operator,
    Params,
    Prelu,
    QuantGraph,
    Requantize,
    SoftmaxInt16,
    Table,
    Tensor,
)
from pytest_quantcheck.numerics.affine import round_half_away
from pytest_quantcheck.numerics.fixed_point import multiply_by_quantized_multiplier, quantize_multiplier
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import litert, prepare
from pytest_quantcheck.runners.registry import HOST_RUNNERS, host_runner
from pytest_quantcheck.strategies import DTYPES, layers, small_models

pytestmark = pytest.mark.host


def as_litert(artefact: bytes) -> QuantGraph:
    """The same network by LiteRT's reference kernels, where they do not compute TFLM's integers."""
    graph, summary = read_tflite(artefact), read_summary(artefact)
    options = {op.index: op.options or {} for op in summary.operators}  # steps on the way have none
    operators = (replace(op, params=_litert(graph, op, options.get(op.source, {}))) for op in graph.operators)
    return replace(graph, operators=tuple(operators))


def _litert(graph: QuantGraph, op: Operator, options: Mapping[str, Any]) -> Params:
    """FULLY_CONNECTED rounds once; the factors of MUL, PRELU and LEAKY_RELU are float32; LOGISTIC and TANH of
    int8 are tables of floats.
    """
    if isinstance(op.params, FullyConnected):
        return replace(op.params, requantize=replace(op.params.requantize, rounding="single"))
    scales = [float32_scale(graph.tensors[i]) for i in (*op.inputs, *op.outputs)]
    if isinstance(op.params, Mul):
        return replace(op.params, requantize=_by(scales[0] * scales[1] / scales[2]))
    if isinstance(op.params, Prelu):
        identity, slope = _by(scales[0] / scales[2]), _by(scales[0] * scales[1] / scales[2])
        return replace(op.params, identity=identity, slope=slope)
    if isinstance(op.params, Table) and op.kind in ("LOGISTIC", "TANH", "LEAKY_RELU"):
        steps = np.arange(-128, 128) - zero_point(graph.tensors[op.inputs[0]])
        if op.kind == "LEAKY_RELU":
            alpha = np.float32(options["Alpha"])
            factors = (scales[0] / scales[1], scales[0] * alpha / scales[1])
            up, down = (multiply_by_quantized_multiplier(steps, *quantize_multiplier(f)) for f in factors)
            y = np.where(steps >= 0, up, down) + zero_point(graph.tensors[op.outputs[0]])
        elif op.kind == "TANH":
            y = round_half_away(np.tanh(scales[0] * steps.astype(np.float32)) * 128)
        else:
            with np.errstate(over="ignore"):
                y = round_half_away(256 / (1 + np.exp(-scales[0] * steps.astype(np.float32)))) - 128
        return Table(np.clip(y, -128, 127).astype(np.int64))
    return op.params


def _by(real: np.float32) -> Requantize:
    assert real.dtype == np.float32
    multiplier, shift = quantize_multiplier(real)
    return Requantize(np.atleast_1d(multiplier), np.atleast_1d(shift))


def float32_scale(tensor: Tensor) -> np.float32:
    return np.float32(0) if tensor.quantization is None else tensor.quantization.scale[0]


def zero_point(tensor: Tensor) -> int:
    assert tensor.quantization is not None
    return int(tensor.quantization.zero_point[0])


def litert_runs_it(artefact: bytes) -> bool:
    """LiteRT's integer convolutions insist on a bias, next to int16 on one of 64 bits; where a 48-bit
    sum times a 31-bit multiplier leaves 64 bits, its FULLY_CONNECTED overflows; its SUM of integers is
    another one altogether, its LSTM asks for tensors that TFLM does not need and rounds otherwise, and its
    reference kernels have no ELU and no SQUARED_DIFFERENCE of int16.
    """
    summary = read_summary(artefact)
    for op in summary.operators:
        bias = summary.tensors[op.inputs[2]] if len(op.inputs) == 3 and op.inputs[2] >= 0 else None
        if "CONV" in op.kind and (
            bias is None or (summary.tensors[op.inputs[0]].dtype, bias.dtype) == ("int16", "int32")
        ):
            return False
        if op.kind == "FULLY_CONNECTED" and bias is not None and np.abs(bias.values).max() > 2**31:
            return False
        if op.kind in ("SUM", "ELU", "UNIDIRECTIONAL_SEQUENCE_LSTM"):
            return False
        if op.kind == "SQUARED_DIFFERENCE" and summary.tensors[op.inputs[0]].dtype == "int16":
            return False
    return True


@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), seed=st.integers(0, 999))
def test_reference_kernels_equal_ours_but_for_the_known_differences(
    dtype: str, data: st.DataObject, seed: int
) -> None:
    case = data.draw(st.one_of(small_models(dtype), layers("FULLY_CONNECTED", dtype), layers(None, dtype)))
    assume(litert_runs_it(case.artefact))
    model = QuantizedModel("drawn", case.artefact)
    run = litert.LitertReferenceRunner().run(model, Raw(case.raw_inputs(3, seed)), operators=True)
    graph = as_litert(case.artefact)
    for sample in range(len(run)):
        values = execute.run(graph, [x[sample] for x in prepare.model_inputs(model, run.inputs)])
        recorded = {record.index: record for record in run.operators[sample]}
        assert recorded.keys() <= {op.index for op in graph.operators}
        for op in graph.operators:
            record = recorded.get(op.index)
            if record is None:
                continue  # a step on the way
            if isinstance(op.params, SoftmaxInt16):
                break  # a test of its own, below
            value = values[op.outputs[0]]
            assert value is not None
            assert (op.index, zlib.crc32(value.tobytes())) == (record.index, record.crc32), op.kind


def test_int16_softmax_is_one_step_apart_where_litert_has_tables_of_more_precise_floats() -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 1 << 16, 2), "int16", scale=3.0 / 65536)
    model = QuantizedModel("softmax", writer.finish([x], [writer.softmax(x)]))
    second = np.arange(-(1 << 15), 1 << 15)
    vectors = Raw(np.stack([np.full_like(second, 32767), second], axis=-1).astype(np.int16)[None])
    ours, theirs = (host_runner(n).run(model, vectors).outputs[0] for n in ("integer", "litert_reference"))
    apart = np.abs(ours.astype(int) - theirs)
    assert apart.max() == 1
    assert np.mean(apart) < 0.01


def test_an_int16_convolution_with_an_int32_bias_has_no_common_result() -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 1, 1, 4), "int16", scale=0.001)
    bias = np.asarray([1000, 2000], np.int32)
    y = writer.conv_2d(x, np.ones((2, 1, 1, 4), np.int8), bias, weight_scale=0.01, scale=0.001)
    model = QuantizedModel("convolution", writer.finish([x], [y]))
    vectors = Raw(np.zeros((1, 1, 1, 4), np.int16))
    ours, theirs = (host_runner(n).run(model, vectors).outputs[0] for n in ("tflm", "litert_reference"))
    assert np.array_equal(ours.reshape(-1), [10, 20])
    assert not np.array_equal(ours, theirs)


@pytest.mark.parametrize(("dtype", "scale"), [("int8", 1.0), ("int8", 0.77), ("int16", 1.0)])
def test_the_reference_sum_of_litert_is_no_sum_of_these_integers(dtype: str, scale: float) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 1, 4, 2), dtype, scale=1.0)
    y = writer.mean(x, (2,), keep=False, scale=scale, kind="SUM")
    model = QuantizedModel("sum", writer.finish([x], [y]))
    vectors = Raw(np.arange(8, dtype=dtype).reshape(1, 1, 4, 2) - 4)
    ours, theirs = (host_runner(n).run(model, vectors).outputs[0] for n in ("tflm", "litert_reference"))
    assert ours.reshape(-1).tolist() == [round(-4 / scale), 0]
    assert ours.tolist() != theirs.tolist()


def constant(writer: TfliteWriter, value: int, scale: float, zero_point: int = 0) -> Value:
    return writer.tensor((1, 1), scale=scale, zero_point=zero_point, data=np.asarray([[value]], np.int8))


@pytest.mark.parametrize(
    ("scale", "zero_point", "build", "apart"),
    [
        pytest.param(1 / 256, -128, lambda w, x: w.tanh(x), 1, id="TANH"),
        pytest.param(1 / 256, 0, lambda w, x: w.logistic(x), 2, id="LOGISTIC"),
        pytest.param(1.2345678, 127, lambda w, x: w.leaky_relu(x, 1.7, scale=1.2345678), 8, id="LEAKY_RELU"),
        pytest.param(
            *(1 + 2**-23, 0),
            lambda w, x: w.prelu(x, constant(w, 89, 1.2345678, -128), scale=2.4691358),
            *(1,),
            id="PRELU",
        ),
        pytest.param(0.7, 0, lambda w, x: w.mul(x, constant(w, 3, 0.1), scale=0.56), 16, id="MUL"),
    ],
)
def test_the_reference_kernel_is_one_step_apart_and_does_what_is_said_of_it(
    scale: float, zero_point: int, build: Callable[[TfliteWriter, Value], Value], apart: int
) -> None:
    """For some of all int8 inputs; ``_litert`` says of which operator why."""
    writer = TfliteWriter()
    x = writer.tensor((1, 256), scale=scale, zero_point=zero_point)
    artefact = writer.finish([x], [build(writer, x)])
    every = np.arange(-128, 128, dtype=np.int8)[None]
    model = QuantizedModel("every", artefact)
    ours, theirs = (host_runner(n).run(model, Raw(every)).outputs[0] for n in ("tflm", "litert_reference"))
    away = np.abs(ours.astype(int) - theirs)
    assert (int(away.max()), int(np.count_nonzero(away))) == (1, apart)
    graph = as_litert(artefact)
    np.testing.assert_array_equal(execute.run(graph, [every])[graph.outputs[0]], theirs)


@pytest.mark.parametrize("name", sorted({*HOST_RUNNERS} - {"onnxruntime"}))  # which runs ONNX models
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


@pytest.mark.parametrize("dtype", DTYPES)
def test_fully_connected_is_where_litert_and_tflm_part(dtype: str) -> None:
    rng = np.random.default_rng(0)
    info = np.iinfo(dtype)
    writer = TfliteWriter()
    x = writer.tensor((1, 64), dtype, scale=0.05)
    weights = rng.integers(-127, 128, (32, 64)).astype(np.int8)
    bias = rng.integers(-1000, 1000, 32).astype(np.int32 if dtype == "int8" else np.int64)
    y = writer.fully_connected(x, weights, bias, weight_scale=0.01, scale=0.3)
    model = QuantizedModel("dense", writer.finish([x], [y]))
    vectors = Raw(rng.integers(info.min, info.max, (50, 64), endpoint=True).astype(dtype))
    tflm = host_runner("tflm").run(model, vectors).outputs[0].astype(int)
    reference = host_runner("litert_reference").run(model, vectors).outputs[0].astype(int)
    assert np.abs(reference - tflm).max() == 1
