"""MLTK's converter settings: as in its documentation, and nothing else."""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.workflows.mltk.settings import Settings, from_text
from pytest_quantcheck.workflows.mltk.specification import read

pytestmark = pytest.mark.host


class Optimize(Enum):
    """As ``tf.lite.Optimize``."""

    DEFAULT = "DEFAULT"


def test_the_documented_example_is_understood() -> None:
    settings = Settings.of(
        {
            "optimizations": [Optimize.DEFAULT],
            "supported_ops": ["TFLITE_BUILTINS_INT8"],
            "inference_input_type": SimpleNamespace(name="int8"),  # as tf.int8
            "inference_output_type": np.int8,
            "representative_dataset": "generate",
        }
    )
    assert settings.config.id == "tflite-i8-i8-perchannel-cal100pct"
    assert (settings.max_samples, settings.unquantized, settings.generator) == (1000, True, None)


def test_what_is_left_out_is_as_in_mltk() -> None:
    assert Settings.of({}).config.id == "tflite-f32-f32-perchannel-cal100pct"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("inference_input_type=int8", "int8"),
        ("inference_input_type=tf.int8", "int8"),
        ("optimizations=[tf.lite.Optimize.DEFAULT]", ["DEFAULT"]),
        ("optimizations=[DEFAULT]", ["DEFAULT"]),
        ("generate_unquantized=False", False),
        ("representative_dataset_max_samples=100", 100),
        ("representative_dataset=generate", "generate"),
    ],
)
def test_the_command_line_takes_what_scripts_take(text: str, value: object) -> None:
    key, found = from_text(text)
    assert (key, found) == (text.partition("=")[0], value)
    Settings.of({key: found})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"inference_inputtype": "int8"},
            "tflite_converter['inference_inputtype'] is not known; allowed: optimi",
        ),
        ({"inference_input_type": "int16"}, "= 'int16': allowed: float32, int8, uint8"),
        ({"optimizations": ["OPTIMIZE_FOR_SIZE"]}, "allowed: ['DEFAULT']"),
        ({"optimizations": []}, "allowed: ['DEFAULT']"),
        ({"supported_ops": ["TFLITE_BUILTINS"]}, "allowed: ['TFLITE_BUILTINS_INT8']"),
        ({"representative_dataset": "random"}, "allowed: generate, or (from Python) a function"),
        ({"representative_dataset_max_samples": 0}, "a whole number from 1"),
        ({"representative_dataset_max_samples": True}, "a whole number from 1"),
        ({"allow_custom_ops": True}, "allowed: False"),
        ({"experimental_new_converter": 1}, "allowed: True"),
        ({"generate_quantization_report": True}, "allowed: False"),
    ],
)
def test_unknown_settings_and_values_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Settings.of(values)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["inference_input_type", "=int8", "inference_input_type="])
def test_a_pair_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="allowed: KEY=VALUE"):
        from_text(text)


def test_plain_assignments_are_read_and_nothing_is_run() -> None:
    found = read(
        b"raise SystemExit('this must not run')\n"
        b"my_model.tflite_converter['inference_input_type'] = tf.int8\n"
        b"my_model.tflite_converter['optimizations'] = [tf.lite.Optimize.DEFAULT]\n",
        "net.py",
    )
    assert (found.settings, found.unread) == (
        {"inference_input_type": "int8", "optimizations": ["DEFAULT"]},
        (),
    )


@pytest.mark.parametrize(
    "line",
    [
        "my_model.tflite_converter['representative_dataset'] = my_generator",
        "my_model.tflite_converter[key] = 'int8'",
        "my_model.tflite_converter.update(x=1)",
        "if fast: my_model.tflite_converter['inference_input_type'] = 'int8'",
        "my_model.tflite_converter = dict(inference_input_type='int8')",
        "settings = my_model.tflite_converter",
    ],
)
def test_what_only_running_can_tell_is_said_to_be_unread(line: str) -> None:
    assert read(f"# first\n{line}\n".encode(), "net.py").unread == (2,)


@pytest.mark.parametrize(
    "source", [b"def f(:", b"\0", b"(" * 5000, b"x = " + b"-" * 100_000 + b"1", bytes(2 << 20)]
)
def test_what_is_no_script_is_refused(source: bytes) -> None:
    with pytest.raises(ModelError, match=r"net\.py"):
        read(source, "net.py")
