"""Networks of moved, padded and broadcast values: quantized, read, compiled, and equal to onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from conformance_models.onnx_nets import Net
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import QuantizationError, UnsupportedOperatorError
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.onnxruntime import OnnxruntimeRunner
from pytest_quantcheck.runners.prepare import dequantize_output

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

Outputs = dict[str, tuple[Any, ...]]
Build = Callable[[Net], Outputs]


def ints(net: Net, *values: int) -> str:
    return net.constant(values, np.int64)


def pointwise(net: Net, x: str, outputs: int, inputs: int) -> str:
    return net.op("Conv", x, net.normal(outputs, inputs, 1, 1))


def padded(net: Net) -> Outputs:
    x = net.op("Pad", net.input("x", 1, 3, 6, 5), ints(net, 0, 0, 1, 2, 0, 0, 0, 1), net.constant(0.0))
    return {net.op("Conv", x, net.normal(4, 3, 3, 3)): (1, 4, 5, 6)}


def padded_with_a_value(net: Net) -> Outputs:
    x = pointwise(net, net.input("x", 1, 3, 6, 5), 4, 3)
    return {net.op("Pad", x, ints(net, 0, 0, 1, 2, 0, 0, 0, 1), net.constant(0.5)): (1, 4, 7, 8)}


def constants_per_channel(net: Net) -> Outputs:
    x = pointwise(net, net.input("x", 1, 3, 6, 5), 4, 3)
    return {net.op("Add", net.op("Mul", x, net.normal(4, 1, 1)), net.normal(1, 4, 1, 1)): (1, 4, 6, 5)}


def squeeze_and_excite(net: Net) -> Outputs:
    x = net.op("Relu", pointwise(net, net.input("x", 1, 3, 6, 6), 4, 3))
    gate = net.op("HardSigmoid", pointwise(net, net.op("GlobalAveragePool", x), 4, 4))
    return {net.op("ReduceMean", net.op("Mul", x, gate), axes=[2, 3], keepdims=0): (1, 4)}


def squeezed_and_unsqueezed(net: Net) -> Outputs:
    x = net.op("Conv", net.input("x", 1, 3, 6, 6), net.normal(4, 3, 6, 6))
    return {net.op("Unsqueeze", net.op("Squeeze", x, ints(net, 2, 3)), ints(net, 1)): (1, 1, 4)}


def relu6_and_leaky(net: Net) -> Outputs:
    x = net.op("Conv", net.input("x", 1, 3, 6, 6), net.normal(4, 3, 3, 3))
    x = net.op("Clip", x, net.constant(0.0), net.constant(6.0))
    x = net.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    return {net.op("LeakyRelu", pointwise(net, x, 4, 4), alpha=0.1): (1, 4, 2, 2)}


def shuffled_channels(net: Net) -> Outputs:
    x = net.op("Reshape", pointwise(net, net.input("x", 1, 4, 4, 6), 4, 4), ints(net, 1, 2, 2, 4, 6))
    x = net.op("Transpose", x, perm=[0, 2, 1, 3, 4])
    return {pointwise(net, net.op("Reshape", x, ints(net, 1, 4, 4, 6)), 3, 4): (1, 3, 4, 6)}


def other_axes(net: Net) -> Outputs:
    x = net.op("Reshape", pointwise(net, net.input("x", 1, 4, 4, 6), 4, 4), ints(net, 0, 2, 8, -1))
    return {pointwise(net, net.op("Transpose", x, perm=[0, 2, 1, 3]), 3, 8): (1, 3, 2, 6)}


def hard_swish(net: Net) -> Outputs:
    x = net.op("HardSwish", pointwise(net, net.input("x", 1, 4, 4, 6), 4, 4))
    return {net.op("Flatten", net.op("GlobalAveragePool", x)): (1, 4)}


def softmax_over_channels(net: Net) -> Outputs:
    return {net.op("Softmax", pointwise(net, net.input("x", 1, 4, 4, 6), 5, 4), axis=1): (1, 5, 4, 6)}


def input_moved_twice(net: Net) -> Outputs:
    x = net.input("x", 1, 3, 4)
    flat = ints(net, 1, 12)
    turned = net.op("Reshape", net.op("Transpose", x, perm=[0, 2, 1]), flat)
    return {net.op("MatMul", net.op("Add", net.op("Reshape", x, flat), turned), net.normal(12, 4)): (1, 4)}


def input_moved_and_used(net: Net) -> Outputs:
    x = net.input("x", 1, 4, 4)
    turned = net.op("Transpose", x, perm=[0, 2, 1])
    return {net.op("Add", net.op("MatMul", x, net.normal(4, 4)), turned): (1, 4, 4)}


def sum_of_two_products(net: Net) -> Outputs:
    """onnxruntime fuses the Add with the second MatMul: a Gemm whose bias is computed."""
    x = net.input("x", 1, 12)
    one = net.op("Tanh", net.op("MatMul", x, net.normal(12, 4)))
    return {net.op("Add", net.op("MatMul", net.op("Sigmoid", x), net.normal(12, 4)), one): (1, 4)}


def activation_at_the_input(net: Net) -> Outputs:
    return {pointwise(net, net.op("Relu", net.input("x", 1, 3, 6, 5)), 4, 3): (1, 4, 6, 5)}


def pool_at_the_input(net: Net) -> Outputs:
    x = net.op("MaxPool", net.input("x", 1, 3, 6, 6), kernel_shape=[2, 2], strides=[2, 2])
    return {pointwise(net, net.op("Concat", x, x, axis=1), 4, 6): (1, 4, 3, 3)}


def input_clipped_and_used(net: Net) -> Outputs:
    x = net.input("x", 1, 4, 6, 5)
    clipped = net.op("Clip", x, net.constant(-1.0), net.constant(1.0))
    return {net.op("Add", clipped, pointwise(net, x, 4, 4)): (1, 4, 6, 5)}


def nothing_but_an_activation(net: Net) -> Outputs:
    return {net.op("Relu", net.input("x", 1, 7)): (1, 7)}


def normalized_at_the_input(net: Net) -> Outputs:
    x = net.op("Sub", net.input("x", 1, 3, 6, 5), net.normal(1, 3, 1, 1))
    return {pointwise(net, net.op("Div", x, net.constant([[[0.5]], [[2.0]], [[1.5]]])), 4, 3): (1, 4, 6, 5)}


def batch_norm_before_the_convolution(net: Net) -> Outputs:
    x = pointwise(net, net.input("x", 1, 3, 6, 5), 4, 3)
    parts = net.normal(4), net.normal(4), net.normal(4), net.constant([0.5, 1.0, 1.5, 2.0])
    y = pointwise(net, net.op("Relu", net.op("BatchNormalization", x, *parts)), 4, 4)
    return {net.op("Add", x, y): (1, 4, 6, 5)}


def slopes_per_channel(net: Net) -> Outputs:
    x = net.op("PRelu", pointwise(net, net.input("x", 1, 3, 6, 5), 4, 3), net.constant(0.3))
    return {
        net.op("PRelu", pointwise(net, x, 4, 4), net.constant([[[0.1]], [[0.2]], [[0.5]], [[0]]])): (
            1,
            4,
            6,
            5,
        )
    }


def pixels_shuffled_both_ways(net: Net) -> Outputs:
    x = pointwise(net, net.op("SpaceToDepth", net.input("x", 1, 3, 6, 4), blocksize=2), 8, 12)
    x = net.op("DepthToSpace", net.op("DepthToSpace", x, blocksize=2, mode="CRD"), blocksize=1)
    return {net.op("DepthToSpace", pointwise(net, x, 8, 2), blocksize=2): (1, 2, 12, 8)}


def largest_of_each_channel(net: Net) -> Outputs:
    x = net.op("GlobalMaxPool", pointwise(net, net.input("x", 1, 3, 6, 5), 4, 3))
    return {net.op("Flatten", x): (1, 4)}


def last_step_and_some_others(net: Net) -> Outputs:
    x = net.op("MatMul", net.input("x", 1, 7, 4), net.normal(4, 5))
    last = net.op("Gather", x, net.constant(-1, np.int64), axis=1)
    others = net.op("Gather", x, ints(net, 4, 2, 0), axis=1)
    return {net.op("Add", last, net.op("ReduceMean", others, axes=[1], keepdims=0)): (1, 5)}


def halves_that_gate_each_other(net: Net) -> Outputs:
    one, other = net.ops("Split", 2, pointwise(net, net.input("x", 1, 3, 6, 5), 8, 3), axis=1)
    return {net.op("Mul", one, net.op("Sigmoid", other)): (1, 4, 6, 5)}


def part_of_a_split(net: Net) -> Outputs:
    parts = net.ops("Split", 3, net.input("x", 1, 6, 5), ints(net, 1, 2, 3), axis=1)
    return {net.op("MatMul", parts[1], net.normal(5, 3)): (1, 2, 3)}


def flattened_by_its_shape(net: Net) -> Outputs:
    """``x.view(x.size(0), -1)`` as exporters write it."""
    x = pointwise(net, net.input("x", "N", 3, 4, 5), 4, 3)
    size = net.op("Gather", net.op("Shape", x), net.constant(0, np.int64), axis=0)
    wanted = net.op("Concat", net.op("Unsqueeze", size, ints(net, 0)), ints(net, -1), axis=0)
    return {net.op("Gemm", net.op("Reshape", x, wanted), net.normal(80, 5)): ("N", 5)}


def half_precision_inside(net: Net) -> Outputs:
    """As converters to float16 write it that leave the edges in float32."""
    x = net.op("Cast", net.input("x", 1, 3, 6, 5), to=onnx.TensorProto.FLOAT16)
    w = net.constant(net.rng.normal(size=(4, 3, 3, 3)), np.float16)
    y = net.op("Relu", net.op("Conv", x, w, net.constant(net.rng.normal(size=4), np.float16)))
    return {net.op("Cast", y, to=onnx.TensorProto.FLOAT): (1, 4, 4, 3)}


def output_that_is_read_again(net: Net) -> Outputs:
    x = net.op("Relu", pointwise(net, net.input("x", 1, 3, 6, 5), 4, 3))
    return {x: (1, 4, 6, 5), net.op("Sigmoid", x): (1, 4, 6, 5)}


NETWORKS: tuple[Build, ...] = (
    padded,
    padded_with_a_value,
    constants_per_channel,
    squeeze_and_excite,
    squeezed_and_unsqueezed,
    relu6_and_leaky,
    shuffled_channels,
    other_axes,
    hard_swish,
    softmax_over_channels,
    input_moved_twice,
    input_moved_and_used,
    sum_of_two_products,
    activation_at_the_input,
    pool_at_the_input,
    input_clipped_and_used,
    nothing_but_an_activation,
    normalized_at_the_input,
    batch_norm_before_the_convolution,
    slopes_per_channel,
    pixels_shuffled_both_ways,
    largest_of_each_channel,
    last_step_and_some_others,
    halves_that_gate_each_other,
    part_of_a_split,
    flattened_by_its_shape,
    output_that_is_read_again,
    half_precision_inside,
)


@pytest.mark.parametrize("scheme", ["int8", "uint8"])
@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_a_network_is_equal_to_onnxruntime_and_near_the_float_one(
    build: Build, scheme: str, tmp_path: Path
) -> None:
    net = Net(1)
    content = net.model(build(net))
    shape = [dim.dim_value for dim in net.inputs[0].type.tensor_type.shape.dim]
    x = Samples(np.random.default_rng(5).normal(size=(20, *shape[1:])).astype(np.float32))
    model = quantize(content, QuantConfig(quantizer="onnx", scheme=scheme), x, cache=Cache(tmp_path))
    theirs = OnnxruntimeRunner().run(model, x).outputs[0].astype(int)
    run = IntegerRunner().run(model, x)
    away = np.abs(theirs - run.outputs[0].astype(int))
    assert (away.max(), (away > 0).mean() < 0.01) in ((0, True), (1, True))
    floats = OnnxruntimeRunner().run(QuantizedModel("float", model.float_model), x).outputs[0]
    assert np.abs(dequantize_output(model, run.outputs[0]) - floats).max() < 0.2 * floats.std()
    assert compile_image(model.graph).arena_bytes > 0


def test_constants_that_older_files_list_among_the_inputs_are_constants(tmp_path: Path) -> None:
    net = Net(1)
    content = net.model(batch_norm_before_the_convolution(net))
    older = onnx.load_from_string(content)
    older.ir_version = 3
    listed = (onnx.helper.make_tensor_value_info(c.name, c.data_type, c.dims) for c in net.constants)
    older.graph.input.extend(listed)
    data = Samples(np.random.default_rng(5).normal(size=(20, 3, 6, 5)).astype(np.float32))
    outputs = [
        IntegerRunner().run(quantize(each, QuantConfig(quantizer="onnx"), data, cache=Cache(tmp_path)), data)
        for each in (content, older.SerializeToString())
    ]
    np.testing.assert_array_equal(outputs[0].outputs[0], outputs[1].outputs[0])


def test_an_operator_at_the_input_that_has_no_integer_version_is_named(tmp_path: Path) -> None:
    net = Net(1)
    content = net.model({pointwise(net, net.op("Sin", net.input("x", 1, 3, 6, 5)), 4, 3): (1, 4, 6, 5)})
    data = Samples(np.random.default_rng(5).normal(size=(20, 3, 6, 5)).astype(np.float32))
    with pytest.raises(QuantizationError, match=r"operator 0 \(Sin.*\) computes in float"):
        quantize(content, QuantConfig(quantizer="onnx"), data, cache=Cache(tmp_path))


def test_a_clamp_right_behind_a_linear_resize_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """The quantizer gives the enlarged values the clamp's scale, which the kernel cannot change."""
    net = Net(1)
    x = net.op("Resize", net.input("x", 1, 3, 6, 5), "", net.constant([1, 1, 2, 2]), mode="linear")
    content = net.model({net.op("Relu", x): (1, 3, 12, 10)})
    data = Samples(np.random.default_rng(5).normal(size=(20, 3, 6, 5)).astype(np.float32))
    model = quantize(content, QuantConfig(quantizer="onnx"), data, cache=Cache(tmp_path))
    with pytest.raises(UnsupportedOperatorError, match="put a Relu or Clip that follows it before it"):
        IntegerRunner().run(model, data)


def test_an_input_that_is_moved_twice_is_quantized_once(tmp_path: Path) -> None:
    net = Net(1)
    content = net.model(input_moved_twice(net))
    x = Samples(np.random.default_rng(5).normal(size=(20, 3, 4)).astype(np.float32))
    config = QuantConfig(quantizer="onnx", input_type="float32", output_type="float32")
    model = quantize(content, config, x, cache=Cache(tmp_path))
    assert [op.kind for op in model.graph.operators].count("QUANTIZE") == 1
    theirs, ours = (runner.run(model, x).outputs[0] for runner in (OnnxruntimeRunner(), IntegerRunner()))
    np.testing.assert_array_equal(theirs, ours)
