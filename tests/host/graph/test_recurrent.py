"""UNIDIRECTIONAL_SEQUENCE_LSTM: what TFLM does not have is refused by name, and samples are alone."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError, UsageError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.graph.from_tflite.read import read_tflite
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.tflm import TflmRunner

pytestmark = pytest.mark.host

STEPS, FEATURES, UNITS = 6, 3, 4
INPUTS = slice(1, 9)  # the weights
PEEPHOLE, PROJECTION, NORM, HIDDEN, CELL = 9, 16, 20, 18, 19


class Layer:
    """An LSTM under construction; ``operator`` is what the test may spoil."""

    def __init__(self, dtype: str = "int8", **how):
        rng = np.random.default_rng(1)
        self.writer = TfliteWriter()
        zero_point = 5 if dtype == "int8" else 0
        scale = 0.02 if dtype == "int8" else 0.0001
        self.x = self.writer.tensor((1, STEPS, FEATURES), dtype, scale=scale, zero_point=zero_point)

        def weights(size):
            return [rng.integers(-127, 128, (UNITS, size)).astype(np.int8) for _ in range(4)]

        biases = [rng.integers(-99, 99, UNITS).astype("i4" if dtype == "int8" else "i8") for _ in range(4)]
        self.y = self.writer.lstm(
            self.x,
            weights(FEATURES),
            weights(UNITS),
            biases,
            **{
                "weight_scales": [0.01] * 4,
                "recurrent_scales": [0.008] * 4,
                "scale": 1 / 128 if dtype == "int8" else 2.0**-15,
                "zero_point": -3 if dtype == "int8" else 0,
                **how,
            },
        )
        self.operator = self.writer._operators[-1]

    def without(self, place: int) -> None:
        self.replaced(place, -1)

    def replaced(self, place: int, tensor: int) -> None:
        inputs = list(self.operator.inputs)
        inputs[place] = tensor
        self.operator.inputs = tuple(inputs)

    def finish(self) -> bytes:
        return self.writer.finish([self.x], [self.y])


def vectors(dtype: str, samples: int) -> Raw:
    info = np.iinfo(dtype)
    return Raw(
        np.random.default_rng(2).integers(info.min, info.max, (samples, STEPS, FEATURES)).astype(dtype)
    )


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("clip", [0.0, 0.4, 2.0**-13])  # the last one is less than a step
def test_a_sample_has_tflms_integers_whatever_came_before_it(dtype, clip):
    model = QuantizedModel("lstm", Layer(dtype, cell_clip=clip).finish())
    whole = vectors(dtype, 5)
    ours = IntegerRunner().run(model, whole).outputs[0]
    assert len(np.unique(ours)) > 20 or 0 < clip < 2.0**-12
    for order in ([0, 1, 2, 3, 4], [3, 3, 0]):
        run = TflmRunner().run(model, Raw(whole.inputs[0][order]))
        assert np.array_equal(run.outputs[0], ours[order])


def test_a_limit_of_the_cell_state_is_heeded():
    free, limited = (QuantizedModel("lstm", Layer(cell_clip=clip).finish()) for clip in (0.0, 0.1))
    outputs = [IntegerRunner().run(each, vectors("int8", 3)).outputs[0] for each in (free, limited)]
    assert not np.array_equal(*outputs)


def test_sequences_of_windows_are_refused():
    model = QuantizedModel("lstm", Layer().finish())
    with pytest.raises(UsageError, match=r"takes \(N, 6, 3\), given: \(2, 4, 6, 3\)"):
        IntegerRunner().run(model, Raw(np.zeros((2, 4, STEPS, FEATURES), np.int8)))


@pytest.mark.parametrize(
    ("place", "what"), [(PEEPHOLE, "peepholes"), (PROJECTION, "a projection"), (NORM, "layer norms")]
)
def test_parts_that_tflm_does_not_have_are_named(place, what):
    layer = Layer()
    layer.replaced(place, layer.operator.inputs[1])
    with pytest.raises(UnsupportedOperatorError, match=f"has {what}, which TFLM does not have"):
        read_tflite(layer.finish())


@pytest.mark.parametrize("place", [1, 5, 12, HIDDEN, CELL])
def test_parts_that_are_left_out_are_named(place):
    layer = Layer()
    layer.without(place)
    with pytest.raises(UnsupportedOperatorError, match=f"input {place} is absent"):
        read_tflite(layer.finish())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"FusedActivationFunction": 1}, "its activation is not TANH"),
        ({"ProjClip": 1.0}, "limits a projection"),
        ({"CellClip": -1.0}, "limited to -1; 0 or more"),
        ({"TimeMajor": True}, r"takes \(1, 6, 3\); one sequence at a time"),
    ],
)
def test_settings_that_it_cannot_have_are_refused(options, said):
    layer = Layer()
    layer.operator.options.update(options)
    with pytest.raises(UnsupportedOperatorError, match=said):
        read_tflite(layer.finish())


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"cell_scale": 0.0003}, "its cell state has scale 0.0003; powers of two"),
        ({"cell_scale": 2.0**-40}, "powers of two from"),
        ({"weight_scales": [1e30] * 4}, "does not fit its arithmetic"),
    ],
)
def test_scales_that_do_not_fit_are_refused(how, said):
    with pytest.raises(UnsupportedOperatorError, match=said):
        read_tflite(Layer(**how).finish())


def test_a_state_of_two_layers_is_refused():
    layer = Layer()
    layer.writer._operators.append(layer.operator)
    with pytest.raises(ModelError, match="is the state of another operator, too"):
        read_tflite(layer.finish())


def test_a_state_that_others_read_is_refused():
    for spoil in ("operator", "output"):
        layer = Layer()
        hidden = layer.operator.inputs[HIDDEN]
        value = next(each.value for each in layer.writer._tensors if each.value.index == hidden)
        layer.y = layer.writer.add(value, value, scale=0.1) if spoil == "operator" else value
        with pytest.raises(UnsupportedOperatorError, match="which only that operator can read"):
            read_tflite(layer.finish())


def test_that_other_runtimes_do_not_begin_anew_is_said():
    assert "go on with those of the last inference" in read_tflite(Layer().finish()).notes[0]
