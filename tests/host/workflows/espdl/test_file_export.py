"""``.espdl`` files of our own making: read back as the same values, with all vectors reproduced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from conformance_models import onnx_nets as nets
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.cli import main
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError
from pytest_quantcheck.formats import espdl
from pytest_quantcheck.formats.espdl import EspdlModel, EspdlValue, parse, stacked
from pytest_quantcheck.formats.espdl_writer import serialize
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_espdl.qdq import qdq_of
from pytest_quantcheck.graph.from_onnx.read import read_onnx
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.prepare import quantize_inputs
from pytest_quantcheck.workflows.espdl.file_export import with_vectors
from tests.espdl_networks import network, samples

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FILES = Path(__file__).parents[2] / "graph" / "espdl_files"
NAMES = sorted(path.stem for path in FILES.glob("*.espdl"))
SEED = 5


def told(model: EspdlModel) -> tuple[Any, ...]:
    tensors = [*model.constants.values(), *model.test_inputs, *model.test_outputs]
    plain = [(t.name, t.shape, t.data.tolist(), t.exponents, t.layout) for t in tensors]
    return repr(model.nodes), model.inputs, model.outputs, model.values, plain


def quantized(tmp_path: Path, scheme: str, target: str, source: bytes = b"", **how: Any) -> QuantizedModel:
    config = QuantConfig(
        quantizer="espdl",
        scheme=scheme,
        granularity="per_channel" if target == "esp32p4" else "per_tensor",
        options={"target": target, **how},
    )
    return quantize(source or network(SEED), config, samples(SEED), cache=Cache(tmp_path / "cache"))


def raw(model: QuantizedModel, count: int) -> list[npt.NDArray[Any]]:
    (x,) = quantize_inputs(model, Samples(np.asarray(samples(SEED).inputs[0])[:count]))
    return [x[:, None]]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_esp_ppq_is_written_again_as_the_same_values(name: str) -> None:
    model = parse((FILES / f"{name}.espdl").read_bytes())
    made = serialize(model)
    assert told(parse(made)) == told(model)
    for tensor in model.constants.values():
        if tensor.data.size > 64:
            assert made.index(tensor.data.tobytes()) % 16 == 0, "chips read filters in units of 16 bytes"


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4", "esp32c3"])
@pytest.mark.parametrize("scheme", ["int8", "int16"])
def test_a_model_of_ours_is_written_with_many_vectors(tmp_path: Path, scheme: str, target: str) -> None:
    model = quantized(tmp_path, scheme, target)
    inputs = raw(model, 7)
    content = with_vectors(model.artefact, inputs)
    file = parse(content)
    (x,) = stacked(file.test_inputs, [value.name for value in file.inputs])
    (y,) = stacked(file.test_outputs, [value.name for value in file.outputs])
    assert x.shape == (7, 1, 16, 16, 3)
    np.testing.assert_array_equal(x, inputs[0].transpose(0, 1, 3, 4, 2))
    wanted = execute.run_batch(model.graph, inputs)[model.graph.outputs[0]]
    read = read_onnx(qdq_of(content))
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(execute.run_batch(read, [x])[read.outputs[0]], wanted)
    layouts = {t.layout for t in file.constants.values() if len(t.shape) == 4}
    block = 16 if scheme == "int8" else 8
    names = {f"(N/{block})HWC{block}", f"(N/{block})HWC{block}_UNALIGNED"}
    assert layouts <= ({"NHWC", "HWCN"} if target == "esp32c3" else names)
    assert len(np.unique(y)) > 10


def test_the_vectors_of_a_file_are_replaced_and_all_of_them_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = FILES / "esp32p4_int8.espdl", tmp_path / "more.espdl"
    x = np.random.default_rng(3).integers(-128, 128, (5, 1, 16, 16, 3)).astype(np.int8)
    np.save(tmp_path / "x.npy", x)
    assert main(["write-espdl", str(path), "--inputs", str(tmp_path / "x.npy"), "-o", str(out)]) == 0
    assert "5 test vectors, read back and equal" in capsys.readouterr().out
    before, after = parse(path.read_bytes()), parse(out.read_bytes())
    assert repr(after.nodes) == repr(before.nodes)
    assert main(["compare", str(out), "--a", "file", "--b", "integer"]) == 0
    assert "5 test vectors in more.espdl" in capsys.readouterr().out
    wrong = list(after.test_outputs)
    data = wrong[3].data.copy()
    data[2] ^= 1
    wrong[3] = replace(wrong[3], data=data)
    out.write_bytes(serialize(replace(after, test_outputs=tuple(wrong))))
    assert main(["compare", str(out), "--a", "file", "--b", "integer"]) == 1
    assert "1 of 50 values differ; in vector 3 value 2 is " in capsys.readouterr().out
    out.write_bytes(serialize(replace(after, test_outputs=after.test_outputs[:4])))
    assert main(["compare", str(out), "--a", "file", "--b", "integer"]) == 2
    assert "holds 5 inputs and 4 outputs" in capsys.readouterr().err


def test_what_the_format_cannot_say_is_refused(tmp_path: Path) -> None:
    old = quantized(tmp_path, "int8", "esp32s3", generation=1)
    with pytest.raises(UnsupportedOperatorError, match=r"follows version 1\.1; quantize with generation=2"):
        with_vectors(old.artefact, raw(old, 1))
    net = nets.Net(1)
    x = net.input("x", 1, 3, 16, 16)
    gate = net.op("Sigmoid", net.conv(x, 4, 3))
    source = net.model({gate: (1, 4, 16, 16)})
    gated = quantized(tmp_path, "int8", "esp32s3", source)
    with pytest.raises(UnsupportedOperatorError, match=r"operator LOGISTIC that makes .* it is not written"):
        with_vectors(gated.artefact, raw(gated, 1))


def mean() -> bytes:
    net = nets.Net()
    return net.model({net.op("GlobalAveragePool", net.input("x", 1, 3, 16, 16)): (1, 3, 1, 1)})


def added() -> bytes:
    net = nets.Net()
    x = net.input("x", 1, 3, 16, 16)
    return net.model({net.op("Add", x, net.constant(net.rng.normal(size=(1, 3, 1, 1)))): (1, 3, 16, 16)})


def dense() -> bytes:
    net = nets.Net()
    flat = net.op("Flatten", net.input("x", 1, 3, 16, 16))
    weights = net.rng.normal(size=(768, 3)) * [1, 9, 99]
    return net.model({net.op("Gemm", flat, net.constant(weights), net.constant(np.zeros(3))): (1, 3)})


@pytest.mark.parametrize(
    ("source", "target", "granularity", "advice"),
    [
        (mean, "esp32p4", "per_tensor", "rounded half_even, .* as half_up: only a Conv or Gemm with several"),
        (added, "esp32p4", "per_channel", "or quantize for another chip"),
        (mean, "esp32s31", "per_tensor", "sums of esp32s31 are rounded half_even"),
        (dense, "esp32c3", "per_channel", "rounded half_up, .* as half_even: .* granularity='per_tensor'"),
        (dense, "esp32s3", "per_channel", "granularity='per_tensor'"),
        (lambda: network(SEED), "esp32c3", "per_channel", "granularity='per_tensor'"),
    ],
)
def test_a_rounding_that_the_file_does_not_tell_is_refused_whatever_the_vectors(
    tmp_path: Path, source: Any, target: str, granularity: str, advice: str
) -> None:
    config = QuantConfig(quantizer="espdl", granularity=granularity, options={"target": target})
    model = quantize(source(), config, samples(SEED), cache=Cache(tmp_path))
    no_halves = [np.zeros((1, 1, 3, 16, 16), np.int8)]
    with pytest.raises(ModelError, match=f"does not tell the rounding of this model's chip: .*{advice}"):
        with_vectors(model.artefact, no_halves)


@pytest.mark.parametrize(("source", "target"), [(mean, "esp32c3"), (dense, "esp32p4")])
def test_a_small_network_whose_rounding_the_file_tells_is_written(
    tmp_path: Path, source: Any, target: str
) -> None:
    model = quantized(tmp_path, "int8", target, source())
    assert parse(with_vectors(model.artefact, raw(model, 9))).test_inputs


def test_only_a_mean_over_all_pixels_of_an_image_is_a_global_average_pool(tmp_path: Path) -> None:
    def reduced(axes: list[int], keep: int, *shape: int) -> bytes:
        net = nets.Net()
        x = net.conv(net.input("x", 1, 3, 16, 16), 3, 3)
        return net.model({net.op("ReduceMean", x, axes=axes, keepdims=keep): shape})

    good = quantized(tmp_path, "int8", "esp32s3", reduced([2, 3], 1, 1, 3, 1, 1))
    nodes = parse(with_vectors(good.artefact, raw(good, 9))).nodes
    assert [node.kind for node in nodes] == ["Conv", "GlobalAveragePool", "Reshape"]
    for axes, keep, *shape in ([2, 3], 0, 1, 3), ([1], 1, 1, 1, 16, 16), ([3], 1, 1, 3, 16, 1):
        other = quantized(tmp_path, "int8", "esp32s3", reduced(axes, keep, *shape))  # type: ignore[arg-type]
        with pytest.raises(
            UnsupportedOperatorError, match=r"operator MEAN that makes .*: it takes the mean over"
        ):
            with_vectors(other.artefact, raw(other, 9))


def test_a_spare_tensor_of_an_unknown_type_is_an_error_by_name() -> None:
    model = parse((FILES / "c_int8.espdl").read_bytes())
    spare = EspdlValue("spare", (1,), "", (0,))
    with pytest.raises(ModelError, match=r"tensor 'spare' is of an unknown type; allowed: float32, int8"):
        serialize(replace(model, values={**model.values, "spare": spare}))


def test_the_operator_sets_of_a_file_are_kept() -> None:
    model = parse((FILES / "c_int8.espdl").read_bytes())
    sets = (("", 18), ("of.somebody", 1 << 40))
    made = serialize(replace(model, opsets=sets))
    assert parse(made).opsets == parse(serialize(parse(made))).opsets == sets
    for content in (serialize(model), (FILES / "c_int8.espdl").read_bytes()):
        assert espdl._root(content[espdl.HEADER_BYTES :])._place(1), "an empty list is written as one"


def test_vectors_that_do_not_fit_together_are_refused() -> None:
    file = parse((FILES / "c_int8.espdl").read_bytes())
    (x,) = file.test_inputs
    assert stacked([x, x], ["x"])[0].shape == (2, 1, 16, 16, 3)
    with pytest.raises(ModelError, match="nothing for 'y'"):
        stacked([x], ["y"])
    with pytest.raises(ModelError, match="several shapes or types"):
        stacked([x, replace(x, shape=(1, 16, 3, 16))], ["x"])
    with pytest.raises(ModelError, match="2, 1 test vectors"):
        stacked([x, x, replace(x, name="z")], ["x", "z"])
