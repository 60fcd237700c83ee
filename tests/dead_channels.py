"""Networks with channels whose weights are all zero, as training leaves them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.formats.tflite_writer import TfliteWriter, Value

ZEROS = (-128, 3)  # zero points: where a RELU's zero lies, and another one


def network(seed: int) -> bytes:
    """Convolutions, depthwise ones, pools and dense layers, an ADD now and then: an int8 .tflite file."""
    random, writer = np.random.default_rng(seed), TfliteWriter()
    image = writer.tensor((1, 6, 5, int(random.integers(1, 10))), scale=0.02, zero_point=3)
    x = _mixed(writer, random, image)
    for _ in range(random.integers(1, 5)):
        x = _LAYERS[random.integers(len(_LAYERS))](writer, random, x)
    if random.random() < 0.5:
        x = writer.pool("AVERAGE_POOL_2D", x, (x.shape[1], x.shape[2]))
        x = writer.reshape(x, (1, x.shape[3]))
    else:
        x = writer.mean(x, (1, 2), keep=False, scale=0.02, zero_point=5)
    for width in (int(random.integers(1, 20)), 5):
        x = _dense(writer, random, x, width)
    return writer.finish([image], [x])


def _weights(
    random: np.random.Generator, shape: tuple[int, ...], axis: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Weights, biases and scales; of about half of the outputs along ``axis`` all weights are zero."""
    weights = np.moveaxis(random.integers(-127, 128, shape), axis, 0)
    weights[random.random(len(weights)) < random.choice([0.2, 0.6, 1.0])] = 0
    bias = random.integers(-9000, 9000, shape[axis])
    bias[random.random(len(bias)) < 0.4] = 0
    scales = random.uniform(0.001, 0.004, shape[axis])
    return np.moveaxis(weights, 0, axis).astype(np.int8), bias.astype(np.int32), scales


def _window(
    writer: TfliteWriter, random: np.random.Generator, x: Value, weights: tuple[int, ...], depthwise: bool
) -> Value:
    values, bias, scales = _weights(random, weights, 3 if depthwise else 0)
    return writer.conv_2d(
        x,
        values,
        bias if random.random() < 0.8 else None,
        weight_scale=scales,
        scale=0.02,
        zero_point=int(random.choice(ZEROS)),
        stride=(1, int(random.integers(1, 3))),
        padding=str(random.choice(["SAME", "VALID"])) if min(x.shape[1:3]) > 2 else "SAME",
        activation=str(random.choice(["RELU", "NONE"])),
        depthwise=depthwise,
    )


def _mixed(writer: TfliteWriter, random: np.random.Generator, x: Value) -> Value:
    kernel = (1, 1) if random.random() < 0.5 else (3, 3)
    return _window(writer, random, x, (int(random.integers(1, 14)), *kernel, x.shape[3]), False)


def _depthwise(writer: TfliteWriter, random: np.random.Generator, x: Value) -> Value:
    return _window(writer, random, x, (1, 3, 3, x.shape[3] * int(random.choice([1, 1, 1, 2]))), True)


def _pool(writer: TfliteWriter, random: np.random.Generator, x: Value) -> Value:
    return writer.pool(str(random.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])), x, (2, 2), padding="SAME")


def _add(writer: TfliteWriter, random: np.random.Generator, x: Value) -> Value:
    return writer.add(x, _depthwise_alike(writer, random, x), scale=0.03, zero_point=-3)


def _depthwise_alike(writer: TfliteWriter, random: np.random.Generator, x: Value) -> Value:
    values, bias, scales = _weights(random, (1, 3, 3, x.shape[3]), 3)
    return writer.conv_2d(x, values, bias, weight_scale=scales, scale=0.02, depthwise=True)


def _dense(writer: TfliteWriter, random: np.random.Generator, x: Value, width: int) -> Value:
    values, bias, scales = _weights(random, (width, x.shape[1]), 0)
    return writer.fully_connected(
        x,
        values,
        bias,
        weight_scale=float(scales[0]),
        weight_zero_point=int(random.choice([0, 0, 7])),
        scale=0.05,
        zero_point=int(random.choice(ZEROS)),
    )


_LAYERS = (_mixed, _mixed, _depthwise, _depthwise, _pool, _add)
