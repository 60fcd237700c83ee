"""Reading ONNX QDQ models: layouts, types at the edges, what is refused by name, and damage."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from conformance_models import onnx_nets as nets
from conformance_models.onnx_nets import Q
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.errors import ModelError, QuantcheckError, UnsupportedOperatorError
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.graph.execute import run_batch
from pytest_quantcheck.graph.from_onnx.read import origins, read_onnx
from pytest_quantcheck.graph.model import Convolution, FloatEdge, FullyConnected, QuantGraph
from pytest_quantcheck.graph.read import read_graph
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.onnxruntime import OnnxruntimeRunner

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

RNG = np.random.default_rng(3)
IMAGES = Samples(RNG.normal(size=(8, 3, 12, 10)).astype(np.float32))


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    cache = Cache(tmp_path_factory.mktemp("cache"))

    def one(content: bytes = b"", data: Samples = IMAGES, **how: Any) -> bytes:
        config = QuantConfig(quantizer="onnx", **how)
        return quantize(content or nets.residual(), config, data, cache=cache).artefact

    return one


def kinds(graph: QuantGraph) -> list[str]:
    return [op.kind for op in graph.operators]


def edges(graph: QuantGraph) -> list[tuple[str, tuple[int, ...]]]:
    tensors = [graph.tensors[i] for i in (*graph.inputs, *graph.outputs)]
    return [(tensor.dtype.name, tensor.shape) for tensor in tensors]


def test_inputs_keep_the_models_layout_and_convolutions_have_channels_last(
    make: Callable[..., bytes],
) -> None:
    graph = read_onnx(make())
    assert edges(graph) == [("int8", (1, 3, 12, 10)), ("int8", (1, 5))]
    assert kinds(graph)[0] == "TRANSPOSE"
    assert kinds(graph).count("TRANSPOSE") == 1  # once, at the edge
    first = next(op for op in graph.operators if op.kind == "CONV_2D")
    assert graph.tensors[first.inputs[1]].shape == (8, 3, 3, 3)
    assert graph.output_of(first).shape == (1, 6, 5, 8)
    assert len(compile_image(graph).data) > 1000


def test_batch_norms_relus_and_qdq_pairs_leave_no_operator(make: Callable[..., bytes]) -> None:
    found = kinds(read_onnx(make()))
    assert found.count("CONV_2D") == 2
    assert found.count("DEPTHWISE_CONV_2D") == 2  # one of them is the average pool
    assert "RELU" not in found


def test_a_relu_is_a_clamp_at_the_zero_point(make: Callable[..., bytes]) -> None:
    graph = read_onnx(make())
    for op in graph.operators:
        if isinstance(op.params, Convolution) and op.kind == "CONV_2D":
            assert op.params.act_min == op.params.output_zero_point or op.params.act_min == -128
            assert op.params.requantize.rounding == "float"


def test_uint8_becomes_int8_inside_and_stays_uint8_outside(make: Callable[..., bytes]) -> None:
    graph = read_onnx(make(scheme="uint8"))
    assert edges(graph) == [("uint8", (1, 3, 12, 10)), ("uint8", (1, 5))]
    assert kinds(graph)[0] == kinds(graph)[-1] == "QUANTIZE"
    inside = {graph.output_of(op).dtype.name for op in graph.operators[:-1]}
    assert inside == {"int8"}


def test_float_edges_round_half_to_even(make: Callable[..., bytes]) -> None:
    graph = read_onnx(make(input_type="float32", output_type="float32"))
    first, last = graph.operators[0].params, graph.operators[-1].params
    assert isinstance(first, FloatEdge)
    assert isinstance(last, FloatEdge)
    assert first.rounding == "half_even"
    assert edges(graph) == [("float32", (1, 3, 12, 10)), ("float32", (1, 5))]


def test_a_flatten_of_channels_goes_back_to_the_models_order(make: Callable[..., bytes]) -> None:
    data = Samples(RNG.normal(size=(8, 2, 4, 6)).astype(np.float32))
    graph = read_onnx(make(nets.flattened(), data))
    assert kinds(graph) == ["TRANSPOSE", "CONV_2D", "TRANSPOSE", "RESHAPE", "FULLY_CONNECTED"]


def test_axes_of_length_one_are_not_moved() -> None:
    content = nets.between(
        "MaxPool",
        [(1, 1, 6, 6)],
        [Q(0.1, 0)],
        Q(0.1, 0),
        (1, 1, 3, 3),
        attributes={"kernel_shape": [2, 2], "strides": [2, 2]},
    )
    assert kinds(read_onnx(content)) == ["RESHAPE", "MAX_POOL_2D", "RESHAPE"]


def test_operators_keep_the_models_index_and_inserted_ones_count_behind(make: Callable[..., bytes]) -> None:
    content = make()
    graph, nodes = read_onnx(content), onnx.load_from_string(content).graph.node
    known = {"Conv": "CONV_2D", "Add": "ADD", "Gemm": "FULLY_CONNECTED", "GlobalAveragePool": "MEAN"}
    for op in graph.operators:
        if op.index < len(nodes) and nodes[op.index].op_type in known and op.kind != "DEPTHWISE_CONV_2D":
            assert known[nodes[op.index].op_type] == op.kind
    indices = [op.index for op in graph.operators]
    assert len(set(indices)) == len(indices)
    assert all(op.index >= len(nodes) for op in graph.operators if op.kind == "TRANSPOSE")
    assert {origin.operator for origin in origins(content)} <= set(indices)


def test_nodes_may_stand_in_any_order(make: Callable[..., bytes]) -> None:
    content = make()
    model = onnx.load_from_string(content)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    x = RNG.integers(-128, 128, (2, 1, 3, 12, 10)).astype(np.int8)
    one, other = read_onnx(content), read_onnx(model.SerializeToString())
    np.testing.assert_array_equal(
        run_batch(one, [x])[one.outputs[0]],
        run_batch(other, [x])[other.outputs[0]],  # type: ignore[arg-type]
    )


def test_uint8_weights_are_int8_with_another_zero_point() -> None:
    values = RNG.integers(0, 256, (6, 3)).astype(np.uint8)
    net = nets.Net()
    x = net.op(
        "DequantizeLinear", net.input("x", 1, 6, dtype="int8"), net.constant(0.1), net.constant(3, np.int8)
    )
    w = net.op(
        "DequantizeLinear", net.constant(values, np.uint8), net.constant(0.02), net.constant(120, np.uint8)
    )
    y = net.op("QuantizeLinear", net.op("MatMul", x, w), net.constant(0.3), net.constant(0, np.int8))
    params = read_onnx(net.model({y: (1, 3)}, "int8")).operators[0].params
    assert isinstance(params, FullyConnected)
    assert params.weight_zero_point == 120 - 128


@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_and_biases_that_the_file_holds_as_floats_are_rounded_as_onnxruntime_does(
    per_channel: bool,
) -> None:
    """As training frameworks export them: QuantizeLinear of a float constant, and a plain float bias."""
    net, rng = nets.Net(), np.random.default_rng(1)
    scales = rng.uniform(0.01, 0.02, 4) if per_channel else np.asarray(0.015)
    parts = net.constant(scales), net.constant(np.zeros(scales.shape), np.int8)
    x = net.op(
        "DequantizeLinear",
        net.input("x", 1, 3, 6, 6, dtype="int8"),
        net.constant(0.1),
        net.constant(3, np.int8),
    )
    axis = {"axis": 0} if per_channel else {}
    w = net.op(
        "DequantizeLinear", net.op("QuantizeLinear", net.normal(4, 3, 3, 3), *parts, **axis), *parts, **axis
    )
    y = net.op("Conv", x, w, net.normal(4))
    y = net.op("QuantizeLinear", y, net.constant(0.2), net.constant(-5, np.int8))
    model = QuantizedModel("trained", net.model({y: (1, 4, 4, 4)}, "int8"))
    vectors = Raw(rng.integers(-128, 128, (20, 3, 6, 6)).astype(np.int8))
    ours, theirs = (
        runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), OnnxruntimeRunner())
    )
    np.testing.assert_array_equal(ours, theirs)


def test_a_zero_point_that_is_left_out_is_zero_of_the_tensors_type() -> None:
    net = nets.Net()
    x = net.op("DequantizeLinear", net.input("x", 1, 4, dtype="int8"), net.constant(0.1))
    y = net.op("QuantizeLinear", net.op("Relu", x), net.constant(0.1), net.constant(0, np.int8))
    graph = read_onnx(net.model({y: (1, 4)}, "int8"))
    x = np.asarray([[[-3, 0, 5, 127]]], np.int8)
    assert run_batch(graph, [x])[graph.outputs[0]].tolist() == [[[0, 0, 5, 127]]]  # type: ignore[union-attr]


def test_an_artefact_is_told_by_its_content(make: Callable[..., bytes]) -> None:
    content = make()
    assert is_onnx(content)
    assert not is_onnx(b"\x1c\x00\x00\x00TFL3")
    assert read_graph(content).source_sha256 == read_onnx(content).source_sha256
    summary = read_summary(content)
    assert summary.rounding == "half_even"
    assert summary.kinds[0] == "DequantizeLinear"


def integer(kind: str, *shape: int, out: tuple[int, ...] = (), scale: Any = 0.1, **how: Any) -> bytes:
    return nets.between(kind, [(1, *shape)], [Q(scale, 0)], Q(0.1, 0), (1, *(out or shape)), **how)


def bounds(*each: list[int]) -> list[Any]:
    return [np.asarray(values, np.int64) for values in each]


def resize(sizes: list[int], **attributes: Any) -> bytes:
    parameters = [None, None, *bounds(sizes)]
    return integer("Resize", 1, 4, 4, out=(1, 8, 8), parameters=parameters, attributes=attributes)


WEIGHTS = [(np.ones((2, 3, 3, 3), np.int8), np.full(2, 0.1), 0)]
TURNED = [(np.ones((2, 3, 3, 3), np.int8), np.full(3, 0.1), 1)]
POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            integer("Sign", 4),
            r"operator 1 \(Sign 'Sign_1'\): this operator is not supported; supported: Conv",
        ),
        (integer("AveragePool", 2, 5, 5, out=(2, 3, 3), attributes={**POOL, "ceil_mode": 1}), "ceil_mode=1"),
        (
            integer("AveragePool", 2, 4, 4, out=(2, 3, 3), attributes={**POOL, "pads": [1, 1, 1, 1]}),
            "count_include_pad=0",
        ),
        (integer("Conv", 4, 5, 5, out=(2, 3, 3), weights=WEIGHTS), "do not fit 4 input channels"),
        (
            integer("Conv", 3, 5, out=(2, 3), weights=WEIGHTS),
            r"do not fit an input of \(1, 3, 5\)",
        ),
        (integer("MaxPool", 2, 4, 4, 4, out=(2, 3, 3, 3), attributes=POOL), "3 spatial axes; 1 and 2 are"),
        (
            integer("ConvTranspose", 2, 5, 5, out=(3, 7, 7), weights=WEIGHTS, attributes={"group": 2}),
            "groups and dilations other than 1",
        ),
        (
            integer(
                "ConvTranspose", 2, 5, 5, out=(3, 5, 5), weights=TURNED, attributes={"auto_pad": "SAME_UPPER"}
            ),
            "export it with pads",
        ),
        (
            integer("ConvTranspose", 2, 5, 5, out=(3, 1, 1), weights=TURNED, attributes={"pads": [4] * 4}),
            "leave nothing of an input",
        ),
        (integer("Slice", 4, parameters=bounds([1], [1], [1])), r"nothing is left of \(1, 4\)"),
        (integer("Slice", 4, parameters=bounds([1], [2], [5])), "axis 5 of 2 dimensions"),
        (integer("Slice", 4, parameters=bounds([1, 1], [2], [1])), "do not fit"),
        (resize([1, 1, 8, 8], mode="cubic"), "mode='cubic' is not supported"),
        (resize([1, 1, 8, 8], antialias=1), "antialias=1 is not supported"),
        (resize([1, 2, 8, 8]), "only spatial axes may change"),
        (resize([1, 1, 40000, 8]), "heights and widths below 32768"),
        (resize([8, 8]), "one for each axis"),
        (
            integer("Conv", 3, 5, 5, out=(2, 3, 3), weights=[(WEIGHTS[0][0], np.full(3, 0.1), 1)]),
            "3 weight scales for 2 output channels",
        ),
        (
            integer(
                "Gemm", 3, out=(2,), weights=[(np.ones((3, 2), np.int8), 0.1, 0)], attributes={"alpha": 2.0}
            ),
            "alpha and beta",
        ),
        (
            nets.between("MatMul", [(1, 3), (4, 2)], [Q(0.1, 0)] * 2, Q(0.1, 0), (1, 2)),
            r"\(1, 3\) and \(4, 2\) are no product of matrices",
        ),
        (
            nets.between("MatMul", [(1, 3), (3,)], [Q(0.1, 0)] * 2, Q(0.1, 0), (1,)),
            r"input 1 has the shape \(3,\); two axes or more are supported",
        ),
        (
            nets.between("Max", [(1, 3)] * 3, [Q(0.1, 0)] * 3, Q(0.1, 0), (1, 3)),
            "it has 3 inputs; two are supported: write it as several",
        ),
        (integer("Relu", 4, scale=float("inf")), "its scale is inf"),
        (nets.flattened(), "is not quantized"),
        (
            nets.between("Relu", [(1, 4)], [Q(0.1, 0)], Q(0.1, 0), (1, 4), clamp=("Tanh",)),
            "goes to Tanh unquantized",
        ),
    ],
)
def test_what_cannot_run_is_refused_by_name(content: bytes, told: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=told):
        read_onnx(content)


def dense(bias: tuple[int, ...], *, float_bias: bool) -> bytes:
    """Two rows of three values to two units, with a bias of the given shape."""
    net = nets.Net()
    x = net.op(
        "DequantizeLinear", net.input("x", 2, 3, dtype="int8"), net.constant(0.1), net.constant(0, np.int8)
    )
    w = net.op(
        "DequantizeLinear",
        net.constant(np.ones((3, 2)), np.int8),
        net.constant(0.5),
        net.constant(0, np.int8),
    )
    values = np.arange(np.prod(bias, dtype=int)).reshape(bias)
    if float_bias:
        b = net.constant(values)
    else:
        scale = net.constant(np.float32(0.1) * np.float32(0.5))
        b = net.op("DequantizeLinear", net.constant(values, np.int32), scale)
    y = net.op("QuantizeLinear", net.op("Gemm", x, w, b), net.constant(0.1), net.constant(0, np.int8))
    return net.model({y: (2, 2)}, "int8")


@pytest.mark.parametrize("float_bias", [True, False])
def test_a_bias_per_row_is_refused_and_not_taken_for_one_per_unit(float_bias: bool) -> None:
    for shape in ((2, 1), (2, 2), (3,)):
        with pytest.raises(UnsupportedOperatorError, match="its bias has the shape"):
            read_onnx(dense(shape, float_bias=float_bias))
    for shape in ((2,), (1, 2), (1,), (1, 1), ()):
        assert kinds(read_onnx(dense(shape, float_bias=float_bias))) == ["FULLY_CONNECTED"]


def with_attribute(content: bytes, kind: str, **attribute: Any) -> bytes:
    model = onnx.load_from_string(content)
    node = next(node for node in model.graph.node if node.op_type == kind)
    node.attribute.append(onnx.helper.make_attribute(*next(iter(attribute.items()))))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("kind", "attribute", "told"),
    [
        ("DequantizeLinear", {"block_size": 2}, r"\(DequantizeLinear.*attribute block_size=2.*: axis"),
        (
            "Relu",
            {"slope": 0.5},
            r"operator 1 \(Relu 'Relu_1'\): its attribute slope=0\.5 is not supp.*: none",
        ),
        ("QuantizeLinear", {"output_dtype": 2}, r"\(QuantizeLinear.*attribute output_dtype=2"),
    ],
)
def test_an_attribute_that_is_not_read_is_refused_by_name(
    kind: str, attribute: dict[str, Any], told: str
) -> None:
    with pytest.raises(UnsupportedOperatorError, match=told):
        read_onnx(with_attribute(integer("Relu", 4), kind, **attribute))


def test_an_attribute_without_effect_is_read() -> None:
    content = with_attribute(integer("Relu", 4), "DequantizeLinear", block_size=0)
    assert kinds(read_onnx(content)) == ["RELU"]


def test_a_clamp_that_is_fused_has_its_attributes_checked_too() -> None:
    content = nets.between("Neg", [(1, 4)], [Q(0.1, 0)], Q(0.1, 0), (1, 4), clamp=("Relu",))
    with pytest.raises(UnsupportedOperatorError, match=r"\(Relu.*attribute slope"):
        read_onnx(with_attribute(content, "Relu", slope=0.5))


@pytest.mark.parametrize(
    ("size", "told"),
    [(8192, r"has the shape \(1, 8192, 8192, 24\); from 1 to"), (70_000, "no size above 65535")],
)
def test_a_huge_pool_is_refused_before_anything_is_allocated(size: int, told: str) -> None:
    pool = {"kernel_shape": [size] * 2, "pads": [size - 1] * 4, "count_include_pad": 1}
    content = integer("AveragePool", 24, 2, 2, out=(24, size, size), attributes=pool)
    tracemalloc.start()
    with pytest.raises(QuantcheckError, match=told):
        read_onnx(content)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10 << 20


def test_a_kernel_shape_that_contradicts_the_weights_is_refused() -> None:
    content = integer("Conv", 3, 5, 5, out=(2, 3, 3), weights=WEIGHTS, attributes={"kernel_shape": [1, 1]})
    with pytest.raises(UnsupportedOperatorError, match=r"kernel_shape \[1, 1\] is not that of its weights"):
        read_onnx(content)


@pytest.mark.parametrize("out", [(3, 2), (6,), (2, 4), (1, 2, 3)])
def test_an_output_of_another_shape_than_the_file_says_is_damage(out: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="by the file, but its operators give int8"):
        read_onnx(integer("Relu", 2, 3, out=out))


def test_an_output_of_another_type_than_the_file_says_is_damage() -> None:
    model = onnx.load_from_string(integer("Relu", 4))
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    with pytest.raises(ModelError, match=r"is uint8 \(1, 4\) by the file, but its operators give int8"):
        read_onnx(model.SerializeToString())


def test_a_tensor_that_is_written_twice_is_damage() -> None:
    model = onnx.load_from_string(integer("Relu", 4))
    twice = model.graph.node[1]
    model.graph.node.append(twice)
    with pytest.raises(ModelError, match=f"writes the tensor '{twice.output[0]}' twice"):
        read_onnx(model.SerializeToString())


def test_int16_activations_are_refused_since_onnxruntime_computes_them_in_float(
    make: Callable[..., bytes],
) -> None:
    for edge in ("int16", "float32"):
        with pytest.raises(UnsupportedOperatorError, match="int16"):
            read_onnx(make(scheme="int16x8", input_type=edge, output_type=edge))


def test_a_bias_of_another_scale_is_refused(make: Callable[..., bytes]) -> None:
    model = onnx.load_from_string(make())
    biases = {t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT32}
    name = next(node.input[1] for node in model.graph.node if node.input[0] in biases)
    scale = next(t for t in model.graph.initializer if t.name == name)
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(1.01), name))
    with pytest.raises(UnsupportedOperatorError, match="bias scale is not the product"):
        read_onnx(model.SerializeToString())


@pytest.mark.parametrize("version", [10, 12])
def test_older_operator_sets_are_refused_with_what_to_do(version: int) -> None:
    """Softmax without an axis flattened all behind axis 1; the fill of Pad was an attribute."""
    model = onnx.load_from_string(integer("Softmax", 3, 4))
    model.opset_import[0].version = version
    told = f"operator set {version}.*sets from 13 on are read.*version_converter"
    with pytest.raises(UnsupportedOperatorError, match=told):
        read_onnx(model.SerializeToString())
    model.opset_import[0].version = 13
    assert kinds(read_onnx(model.SerializeToString()))[-1] == "QUANTIZE"


def test_a_cycle_is_damage() -> None:
    model = onnx.load_from_string(integer("Relu", 4))
    model.graph.node[0].input[0] = model.graph.node[1].output[0]
    with pytest.raises(ModelError, match="cycle"):
        read_onnx(model.SerializeToString())


def test_damaged_bytes_are_told_and_never_crash(make: Callable[..., bytes]) -> None:
    content = make()
    rng, outcomes = np.random.default_rng(0), set()
    for _ in range(150):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        for read in (read_onnx, read_summary):
            try:
                read(bytes(damaged))
                outcomes.add("read")
            except QuantcheckError as error:
                outcomes.add(type(error).__name__)
    assert outcomes == {"read", "ModelError", "UnsupportedOperatorError"}
