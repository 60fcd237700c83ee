"""A configuration is checked when it is made, and reads like a sentence."""

from __future__ import annotations

import json

import pytest

from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.errors import CombinationError, UsageError
from pytest_quantcheck.quantizers.config import QuantConfig

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input_type", "INT8"),
        ("input_type", "float"),
        ("output_type", "unit8"),
        ("scheme", "int4"),
        ("granularity", "per_axis"),
        ("quantizer", "TFlite_converter"),
    ],
)
def test_a_wrong_value_names_key_value_and_what_is_allowed(key, value):
    with pytest.raises(UsageError, match=rf"{key}='{value}' is not known; (allowed|installed): .*") as caught:
        QuantConfig(**{key: value})
    assert not isinstance(caught.value, CombinationError)


@pytest.mark.parametrize(
    ("together", "words"),
    [
        ({"input_type": "int16"}, "input_type='int16' is impossible with scheme='int8'; .* scheme='int16x8'"),
        ({"scheme": "int16x8", "input_type": "uint8"}, "allowed: int16, float32, or scheme='int8'"),
        ({"scheme": "int16x8", "output_type": "int8"}, "output_type='int8' is impossible"),
        ({"scheme": "dynamic", "input_type": "int8"}, "allowed: float32, or scheme='int8'"),
        ({"scheme": "dynamic", "granularity": "per_tensor"}, "allowed: per_channel, or scheme='int8'"),
        ({"scheme": "float16", "granularity": "per_channel"}, "leave granularity out, or scheme='int8'"),
        (
            {"scheme": "float16", "calibration": "10%"},
            "calibration='10%' is impossible .* leave calibration out",
        ),
        ({"calibration": "none"}, "calibration='none' is impossible with scheme='int8'"),
        ({"options": {"bins": 5}}, "options={'bins': 5} is impossible with quantizer='tflite'"),
    ],
)
def test_values_that_cannot_go_together_are_refused_when_the_configuration_is_made(together, words):
    with pytest.raises(CombinationError, match=words):
        QuantConfig(**together)


@pytest.mark.parametrize(
    ("scheme", "identifier"),
    [
        ("int8", "tflite-i8-i8-perchannel-cal100pct"),
        ("int16x8", "tflite-int16x8-i16-i16-perchannel-cal100pct"),
        ("dynamic", "tflite-dynamic-f32-f32-perchannel"),
        ("float16", "tflite-float16-f32-f32"),
        ("float32", "tflite-float32-f32-f32"),
    ],
)
def test_a_scheme_brings_its_usual_values_and_reads_like_a_sentence(scheme, identifier):
    assert QuantConfig(scheme=scheme).id == identifier


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"calibration": 10}, "calibration=10: allowed: a text"),
        ({"options": "bins=5"}, "options='bins=5': allowed: a mapping"),
        ({"quantizer": 5}, "quantizer=5: allowed: the name"),
    ],
)
def test_values_of_another_type_are_refused(values, words):
    with pytest.raises(UsageError, match=words):
        QuantConfig(**values)


def test_the_id_reads_like_a_sentence_and_holds_no_hash():
    config = QuantConfig("uint8", "float32", "per_tensor", Calibration.parse("10%", seed=7))
    assert config.id == "tflite-u8-f32-pertensor-cal10pct-seed7"


@pytest.mark.parametrize(
    "config",
    [
        QuantConfig("uint8", "int8", "per_tensor", Calibration.parse("count:12", seed=3)),
        QuantConfig(calibration="classes:5,7"),
        QuantConfig(scheme="int16x8", calibration="ids:b,a"),
        QuantConfig(scheme="float16"),
    ],
)
def test_a_configuration_survives_json(config):
    assert QuantConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_keys_are_errors():
    with pytest.raises(UsageError, match=r"unknown key 'granularty'; allowed: .*granularity"):
        QuantConfig.from_dict({"granularty": "per_tensor"})


def test_an_option_given_twice_is_an_error():
    with pytest.raises(UsageError, match="given twice"):
        QuantConfig(quantizer="onnx", options=(("method", "entropy"), ("method", "percentile")))
