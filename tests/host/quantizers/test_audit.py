"""Each way in which an artefact can differ from what was asked for is found in the flatbuffer."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pytest_quantcheck.errors import ModelError, QuantizationError
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.quantizers.audit.audit import audit, require
from pytest_quantcheck.quantizers.audit.tflite import granularity_of
from pytest_quantcheck.quantizers.config import QuantConfig

pytestmark = pytest.mark.host

CONV_2D, DEPTHWISE, FULLY_CONNECTED, ADD = 3, 4, 9, 0  # schema.fbs, BuiltinOperator


def operator(model, kind):
    """The first operator of a kind, and its subgraph."""
    graph = model.subgraphs[0]
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes]
    return next(op for op in graph.operators if codes[op.opcodeIndex] == kind), graph


def weights(model, kind):
    op, graph = operator(model, kind)
    return graph.tensors[op.inputs[1]]


def codes(artefact, config=None):
    return [finding.code for finding in audit(artefact, config) if finding.severity != "note"]


@pytest.fixture(scope="session")
def artefact(quantize_digits):
    return quantize_digits().artefact


def test_a_sound_artefact_has_a_note_about_its_dense_layer_and_nothing_else(artefact, quantize_digits):
    (note,) = audit(artefact, QuantConfig())
    assert (note.severity, note.code) == ("note", "per_channel_dense")
    assert "operator 8 (FULLY_CONNECTED) has 10 scales" in note.sentence
    per_tensor = quantize_digits(granularity="per_tensor").artefact
    assert audit(per_tensor, QuantConfig(granularity="per_tensor")) == ()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"input_type": "uint8"}, "input_type"),
        ({"input_type": "float32"}, "input_type"),
        ({"output_type": "uint8"}, "output_type"),
        ({"output_type": "float32"}, "output_type"),
        ({"granularity": "per_tensor"}, "granularity"),
    ],
)
def test_what_was_not_asked_for_is_an_error_with_a_remedy(artefact, asked, code):
    findings = [f for f in audit(artefact, QuantConfig(**asked)) if f.severity != "note"]
    assert {f.code for f in findings} == {code}
    assert all(f.severity == "error" and f.remedy for f in findings)
    with pytest.raises(QuantizationError, match=rf"\[{code}\]"):
        require(tuple(findings), "digits")


def test_one_scale_where_one_per_channel_was_asked_for(quantize_digits):
    artefact = quantize_digits(granularity="per_tensor").artefact
    findings = audit(artefact, QuantConfig(granularity="per_channel"))
    assert {f.code for f in findings} == {"granularity"}
    assert len(findings) == 4  # three convolutions and the depthwise one; rows of the dense layer may share


def test_granularity_is_read_from_the_file_and_not_from_an_interpreter(quantize_digits):
    """TensorFlow's interpreter expands a dense layer's one scale to one per row after allocation."""
    per_tensor = read_summary(quantize_digits(granularity="per_tensor").artefact)
    assert granularity_of(per_tensor) == "per_tensor"
    dense = next(op for op in per_tensor.operators if op.kind == "FULLY_CONNECTED")
    assert len(per_tensor.tensors[dense.inputs[1]].scales) == 1


def test_a_float_model_is_full_of_operators_left_in_float(float_digits):
    found = audit(float_digits.tflite, QuantConfig("float32", "float32"))
    assert {f.code for f in found} == {"float_operator"}
    assert len(found) >= len(float_digits.summary.operators)


def test_an_operator_left_in_float_between_integers_is_named(artefact, edited):
    """What TFLite makes when an operator has no integer kernel: DEQUANTIZE, float, QUANTIZE."""

    def leave_add_in_float(model):
        op, graph = operator(model, ADD)
        tensors = [graph.tensors[i] for i in (*op.inputs, *op.outputs)]
        for tensor in tensors[-1:]:
            tensor.type = schema.TensorType.FLOAT32
            tensor.quantization = None

    found = audit(edited(artefact, leave_add_in_float))
    assert {f.code for f in found} == {"float_operator"}
    assert any("(ADD) computes in float" in f.sentence for f in found)


def test_float_weights_under_integer_activations_are_found(artefact, edited):
    def change(model):
        weights(model, CONV_2D).type = schema.TensorType.FLOAT32

    assert "float_operator" in codes(edited(artefact, change))


@pytest.mark.parametrize("kind", [CONV_2D, DEPTHWISE])
def test_a_wrong_quantized_dimension_is_found(artefact, edited, kind):
    def change(model):
        weights(model, kind).quantization.quantizedDimension = 1

    assert codes(edited(artefact, change)) == ["quantized_dimension"]


def test_too_few_scales_are_found(artefact, edited):
    def change(model):
        quantization = weights(model, CONV_2D).quantization
        quantization.scale, quantization.zeroPoint = quantization.scale[:5], quantization.zeroPoint[:5]

    assert "quantized_dimension" in codes(edited(artefact, change))


@pytest.mark.parametrize("scale", [0.0, -0.5, float("nan"), float("inf")])
def test_impossible_scales_are_found(artefact, edited, scale):
    def change(model):
        tensor = model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]]
        tensor.quantization.scale = np.array([scale], "f4")

    assert codes(edited(artefact, change)) == ["scale"]


def test_a_zero_point_outside_its_type_is_found(artefact, edited):
    def change(model):
        tensor = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
        tensor.quantization.zeroPoint = np.array([200], "i8")

    assert codes(edited(artefact, change)) == ["zero_point"]


def test_asymmetric_weights_are_found(artefact, edited):
    def change(model):
        zero_point = weights(model, CONV_2D).quantization.zeroPoint
        weights(model, CONV_2D).quantization.zeroPoint = np.full(len(zero_point), 3, "i8")

    assert codes(edited(artefact, change)) == ["asymmetric_weights"]


def test_a_bias_of_another_scale_is_found(artefact, edited):
    def change(model):
        op, graph = operator(model, DEPTHWISE)
        bias = graph.tensors[op.inputs[2]]
        bias.quantization.scale = np.array(bias.quantization.scale, "f4") * np.float32(1.001)

    assert codes(edited(artefact, change)) == ["bias"]


def test_a_batch_is_found(artefact, edited):
    def change(model):
        model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].shape = np.array([4, 8, 8, 1], "i4")

    assert "batch" in codes(edited(artefact, change))


def test_a_custom_operator_is_found(artefact, edited):
    def change(model):
        op, _ = operator(model, ADD)
        code = model.operatorCodes[op.opcodeIndex]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"MyOp"
        op.builtinOptionsType, op.builtinOptions = 0, None

    found = audit(edited(artefact, change))
    assert [f.code for f in found] == ["custom_operator"]
    assert "CUSTOM:MyOp" in found[0].sentence


@pytest.mark.parametrize(
    ("made", "asked", "words"),
    [
        ({}, {"scheme": "int16x8", "input_type": "float32", "output_type": "float32"}, "computes in int8"),
        ({"scheme": "int16x8"}, {}, "computes in int16"),
        ({"scheme": "float16", "calibration": "none"}, {"scheme": "dynamic"}, "is float16"),
        ({}, {"scheme": "dynamic"}, "is int8"),
        ({}, {"scheme": "float16"}, "are int8"),
    ],
)
def test_another_scheme_than_the_one_asked_for_is_found(quantize_digits, made, asked, words):
    found = [f for f in audit(quantize_digits(**made).artefact, QuantConfig(**asked)) if f.code == "scheme"]
    assert [f.severity for f in found] == ["error"]
    assert words in found[0].sentence


def values_of(model, tensor, change):
    """Rewrite an int8 constant."""
    buffer = model.buffers[tensor.buffer]
    values = np.asarray(buffer.data, np.uint8).view(np.int8).reshape(tensor.shape).copy()
    change(values)
    buffer.data = values.reshape(-1).view(np.uint8)


def test_a_layer_whose_output_cannot_change_is_found(artefact, edited):
    def no_weights(model):
        values_of(model, weights(model, DEPTHWISE), lambda values: values.fill(0))

    def steps_too_wide(model):
        op, graph = operator(model, FULLY_CONNECTED)
        graph.tensors[op.outputs[0]].quantization.scale = np.array([1e4], "f4")

    for change in (no_weights, steps_too_wide):
        assert "constant_output" in codes(edited(artefact, change))


def test_channels_that_one_outlier_leaves_a_few_steps_are_counted(quantize_digits, edited):
    def stretch(model):
        values_of(model, weights(model, CONV_2D), lambda values: values.__setitem__(slice(1, 4), 2))

    artefact = quantize_digits(granularity="per_tensor").artefact
    (finding,) = audit(edited(artefact, stretch))
    assert (finding.severity, finding.code) == ("warning", "scale_outlier")
    assert "In 3 of 16 channels of operator 0 (CONV_2D)" in finding.sentence


def test_an_input_that_drowns_in_the_other_is_found(artefact, edited):
    def drown(model):
        op, graph = operator(model, ADD)
        graph.tensors[op.outputs[0]].quantization.scale = np.array([1e5], "f4")

    found = [f for f in audit(edited(artefact, drown)) if "(ADD)" in f.sentence]
    assert {f.code for f in found} == {"scale_outlier"}


def test_biases_cut_off_at_the_end_of_their_type_are_found(artefact, edited):
    def cut(model):
        op, graph = operator(model, CONV_2D)
        buffer = model.buffers[graph.tensors[op.inputs[2]].buffer]
        values = np.asarray(buffer.data, np.uint8).view(np.int32).copy()
        values[0] = 2**31 - 1
        buffer.data = values.view(np.uint8)

    assert "bias_saturated" in codes(edited(artefact, cut))


def test_what_is_no_flatbuffer_is_an_error():
    with pytest.raises(ModelError):
        audit(b"hello")


def test_warnings_pass_and_are_returned(artefact):
    findings = audit(artefact)
    assert require(findings, "digits") == findings
