"""Constant outputs of ONNX files: an exporter leaves the anchors of a detector in many ways."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from conformance_models.onnx_nets import Net
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.tasks.heads.finish import Finish
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.onnx_cut import MOST_VALUES, cut_constant_outputs
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.quantizers.artefact import read_artefact, write_artefact
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize

pytestmark = pytest.mark.host

ANCHORS = np.arange(12, dtype=np.float32).reshape(1, 3, 4) / 8


def network(make, shape=(1, 3, 4)):
    """Offsets (1, 3, 4), what ``make`` leaves, and offsets again."""
    net = Net()
    x = net.input("x", 1, 12)
    offsets = net.op("Reshape", net.op("Gemm", x, net.normal(12, 12)), net.constant([1, 3, 4], np.int64))
    twice = net.op("Add", offsets, offsets)
    return net.model({offsets: (1, 3, 4), make(net, offsets): shape, twice: (1, 3, 4)})


def integers(net, *values):
    return net.constant(values, np.int64)


def tiled(net, offsets):
    """A repetition for each sample of the batch."""
    batch = net.op("Gather", net.op("Shape", offsets), integers(net, 0), axis=0)
    return net.op("Tile", net.constant(ANCHORS), net.op("Concat", batch, integers(net, 1, 1), axis=0))


WAYS = {
    "a copy": lambda net, offsets: net.op("Identity", net.constant(ANCHORS)),
    "the constant itself": lambda net, offsets: net.constant(ANCHORS),
    "repeated for each sample": tiled,
    "added to zeros of the shape of another": lambda net, offsets: net.op(
        "Add", net.op("ConstantOfShape", net.op("Shape", offsets)), net.constant(ANCHORS)
    ),
    "computed": lambda net, offsets: net.op("Mul", net.constant(2 * ANCHORS), net.constant(0.5)),
}


def test_a_size_that_a_file_only_declares_is_not_believed():
    """What is one value by the file, and more than any anchors by its operator, is not computed."""
    more = MOST_VALUES + 1
    content = network(lambda net, offsets: net.op("ConstantOfShape", integers(net, more)), shape=(1,))
    with pytest.raises(
        ModelError, match=r"\(ConstantOfShape\) has 4,194,305 values, and the file declares fewer"
    ):
        cut_constant_outputs(content)


@pytest.mark.parametrize("way", WAYS)
def test_what_follows_from_no_input_is_a_constant(way):
    content = network(WAYS[way])
    left, values = cut_constant_outputs(content)
    assert list(values) == [1]
    np.testing.assert_array_equal(values[1], ANCHORS)
    before, after = (onnx.load_from_string(each).graph for each in (content, left))
    assert [info.name for info in after.output] == [before.output[0].name, before.output[2].name]
    assert cut_constant_outputs(left) == (left, {}), "once is enough"
    whole = Finish.cut_off(content)[1]((np.zeros((2, 3, 4)), np.ones((2, 3, 4))))
    np.testing.assert_array_equal(whole[1], np.repeat(ANCHORS, 2, axis=0))
    assert whole[2].all()


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda net, offsets: net.op("Add", offsets, net.constant(ANCHORS)), (1, 3, 4)),
        (lambda net, offsets: net.op("RandomNormal", shape=[1, 3, 4]), (1, 3, 4)),
        (lambda net, offsets: net.op("ConstantOfShape", integers(net, MOST_VALUES, 2)), (MOST_VALUES, 2)),
    ],
    ids=["of an input", "random", "larger than anchors are"],
)
def test_other_outputs_stay(make, shape):
    content = network(make, shape)
    assert cut_constant_outputs(content) == (content, {})


def test_a_file_of_constants_alone_stays():
    net = Net()
    net.op("Relu", net.input("x", 1, 4))
    content = net.model({net.op("Identity", net.constant(ANCHORS)): ANCHORS.shape})
    assert cut_constant_outputs(content) == (content, {})


def test_what_goes_round_in_a_circle_is_damaged():
    model = onnx.load_from_string(network(tiled))
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]
    with pytest.raises(ModelError, match="cycle"):
        cut_constant_outputs(model.SerializeToString())


def test_the_manifest_keeps_them_for_an_artefact_alone(tmp_path):
    model = FloatModel.from_onnx(network(tiled), "boxes", "boxes.onnx")
    x = np.random.default_rng(0).normal(size=(8, 12)).astype(np.float32)
    made = quantize(model, QuantConfig(quantizer="onnx"), Dataset(Samples(x), Samples(x), "agreement"))
    write_artefact(made, tmp_path / "boxes.onnx")
    again = read_artefact(tmp_path / "boxes.onnx")
    np.testing.assert_array_equal(again.finish.constants[1], ANCHORS[0])
    assert len(again.graph.outputs) == 2, "the board computes what is left"
