"""Files whose flatbuffer is sound but whose network is not: each is refused by name."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError, UsageError
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.graph.from_tflite.fold import folded_operators
from pytest_quantcheck.graph.from_tflite.read import read_tflite
from pytest_quantcheck.quantizers.audit.audit import audit
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare

pytestmark = pytest.mark.host

WINDOW = {"Padding": 0, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}


def without_outputs(kind: str, **options: int) -> bytes:
    """An operator that writes nothing, beside one that is sound."""
    writer = TfliteWriter()
    x = writer.tensor((1, 2, 2, 3), scale=0.1, name="input")
    inputs = [x, x]
    if kind == "CONV_2D":
        inputs[1] = writer.tensor((3, 1, 1, 3), scale=0.1, axis=0, data=np.ones((3, 1, 1, 3)))
    writer.operator(kind, inputs, [], **options)
    return writer.finish([x], [writer.relu(x, scale=0.1, zero_point=0)])


ADD = {"FusedActivationFunction": 0}


@pytest.mark.parametrize(
    ("kind", "options"),
    [("ADD", ADD), ("MINIMUM", {}), ("CONV_2D", {**WINDOW, **ADD}), ("RELU", {}), ("SHAPE", {})],
)
def test_an_operator_without_outputs_is_refused_by_name(kind: str, options: dict[str, int]) -> None:
    artefact = without_outputs(kind, **options)
    assert folded_operators(read_summary(artefact)) == frozenset()
    with pytest.raises(UnsupportedOperatorError, match=rf"operator 0 \({kind}\): "):
        read_tflite(artefact)


@pytest.mark.parametrize(("kind", "options"), [("MINIMUM", {}), ("CONV_2D", {**WINDOW, **ADD})])
def test_the_audit_finds_an_operator_without_outputs(kind: str, options: dict[str, int]) -> None:
    codes = {finding.code: finding for finding in audit(without_outputs(kind, **options))}
    assert codes["incomplete_operator"].severity == "error"
    assert f"operator 0 ({kind})" in codes["incomplete_operator"].sentence


def test_inputs_are_prepared_beside_a_quantize_without_output() -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 4), "float32", name="input")
    writer.operator("QUANTIZE", [x], [])
    y = writer.quantize(x, scale=0.1, zero_point=0, dtype="int8")
    model = QuantizedModel("damaged", writer.finish([x], [y]))
    with pytest.raises(UsageError, match=r"sample 0 holds inf .*allowed: -"):
        prepare.quantize_inputs(model, Raw(np.full((2, 4), np.inf, np.float32)))


def test_scales_without_zero_points_are_refused() -> None:
    """TFLM reads what lies behind them, LiteRT takes the tensor for one that is not quantized."""
    writer = TfliteWriter()
    x = writer.tensor((1, 4), scale=0.1, name="input")
    file = schema.ModelT.InitFromPackedBuf(
        bytearray(writer.finish([x], [writer.relu(x, scale=0.2, zero_point=0)])), 0
    )
    file.subgraphs[0].tensors[0].quantization.zeroPoint = None
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    with pytest.raises(ModelError, match=r"tensor 0 \(input\) has 1 scales, but 0 zero points; convert"):
        read_tflite(bytes(builder.Output()))


@pytest.mark.parametrize("number", [-1, 1, 3])
def test_an_unpack_that_counts_wrongly_is_refused(number: int) -> None:
    """TFLM goes by the count, and leaves outputs unwritten."""
    writer = TfliteWriter()
    x = writer.tensor((1, 2), scale=0.1, name="input")
    parts = [writer.tensor((1,), scale=0.1) for _ in range(2)]
    writer.operator("UNPACK", [x], parts, Axis=1, Num=number)
    with pytest.raises(UnsupportedOperatorError, match=rf"\(UNPACK\): Num {number} is not the 2 of axis 1"):
        read_tflite(writer.finish([x], parts))
