"""A configuration is checked when it is made, and reads like a sentence."""

from __future__ import annotations

import json

import pytest

from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.config import QuantConfig

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input_type", "INT8"),
        ("input_type", "float"),
        ("input_type", "int16"),
        ("output_type", "unit8"),
        ("granularity", "per_axis"),
        ("quantizer", "TFlite_converter"),
    ],
)
def test_a_wrong_value_names_key_value_and_what_is_allowed(key, value):
    with pytest.raises(UsageError, match=rf"{key}='{value}' is not known; allowed: .*"):
        QuantConfig(**{key: value})


def test_the_id_reads_like_a_sentence_and_holds_no_hash():
    config = QuantConfig("uint8", "float32", "per_tensor", Calibration.parse("10%", seed=7))
    assert config.id == "tflite-u8-f32-pertensor-cal10pct-seed7"


def test_a_configuration_survives_json():
    config = QuantConfig("uint8", "int8", "per_tensor", Calibration.parse("count:12", seed=3))
    assert QuantConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_keys_are_errors():
    with pytest.raises(UsageError, match=r"unknown key 'granularty'; allowed: .*granularity"):
        QuantConfig.from_dict({"granularty": "per_tensor"})
