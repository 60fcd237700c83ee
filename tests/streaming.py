"""A streaming keyword spotter: a frame a step, earlier frames and a hidden state kept as variables."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel

FEATURES, PAST, HIDDEN, WORDS = 10, 3, 12, 4
SCALES = {"int8": 0.02, "int16": 0.0001}


def keyword_spotter(dtype: str = "int8", seed: int = 0) -> QuantizedModel:
    """(1, 1, 10) to (1, 4): the last three frames in ``frames``, a recurrent layer's state in ``hidden``.

    Both variables begin with numbers that are neither zero nor equal.
    """
    rng = np.random.default_rng(seed)
    scale, zero_point = SCALES[dtype], -5 if dtype == "int8" else 0
    how = {"scale": scale, "zero_point": zero_point}
    writer = TfliteWriter()

    def dense(x, outputs, factor, **more):
        weights = rng.integers(-127, 128, (outputs, int(np.prod(x.shape)))).astype(np.int8)
        bias = rng.integers(-99, 99, outputs).astype(np.int32 if dtype == "int8" else np.int64)
        return writer.fully_connected(x, weights, bias, weight_scale=factor, **how, **more)

    def first(shape):
        return rng.integers(-99, 99, shape)

    frame = writer.tensor((1, 1, FEATURES), dtype, name="frame", **how)
    frames = writer.variable("frames", first((1, PAST, FEATURES)), dtype, **how)
    hidden = writer.variable("hidden", first((1, HIDDEN)), dtype, **how)
    before = writer.read_variable(frames, (1, PAST, FEATURES), dtype, **how)
    window = writer.concatenation([before, frame], 1)
    writer.assign_variable(frames, writer.strided_slice(window, (slice(None), slice(1, None), slice(None))))
    seen = dense(writer.reshape(window, (1, (PAST + 1) * FEATURES)), HIDDEN, 0.004)
    kept = dense(writer.read_variable(hidden, (1, HIDDEN), dtype, **how), HIDDEN, 0.006)
    state = writer.add(seen, kept, activation="RELU6", **how)
    writer.assign_variable(hidden, state)
    words = writer.softmax(dense(state, WORDS, 0.02))
    return QuantizedModel(f"keywords-{dtype}", writer.finish([frame], [words]))


def speech(samples: int, steps: int, seed: int = 0) -> Samples:
    """(samples, steps, 1, 10): each a sequence of frames, with the number of a word."""
    rng = np.random.default_rng(seed)
    frames = np.cumsum(rng.normal(0, 0.6, (samples, steps, 1, FEATURES)), axis=1)
    return Samples(np.clip(frames, -2, 2).astype(np.float32), rng.integers(0, WORDS, samples))
