"""Digits drawn with a pen, 28 x 28, and three dense layers: the shape of ESP-DL's MNIST example.

784 -> 128 -> 64 -> 10, as ESP-DL's tutorial quantizes it for the ESP32-S3.
``python -m conformance_models mnist_gemm`` trains the weights in this folder again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conformance_models import fit
from conformance_models.synthesis.drawing import Canvas, Random
from pytest_quantcheck.data.dataset import Dataset, Samples

if TYPE_CHECKING:
    import keras

WEIGHTS = Path(__file__).with_name("weights.npz")
CLASSES = tuple("0123456789")
TRAIN, CALIBRATION, TEST = range(0, 4000), range(0, 200), range(90000, 90600)
METRIC = "accuracy"
SIDE = 28
_STROKES: dict[int, tuple[tuple[float, float, float, float], ...]] = {  # lines (y, x, y, x) in a unit square
    0: ((0.1, 0.5, 0.3, 0.2), (0.3, 0.2, 0.7, 0.2), (0.7, 0.2, 0.9, 0.5), (0.9, 0.5, 0.7, 0.8),
        (0.7, 0.8, 0.3, 0.8), (0.3, 0.8, 0.1, 0.5)),
    1: ((0.25, 0.3, 0.1, 0.5), (0.1, 0.5, 0.9, 0.5)),
    2: ((0.3, 0.2, 0.1, 0.5), (0.1, 0.5, 0.3, 0.8), (0.3, 0.8, 0.9, 0.2), (0.9, 0.2, 0.9, 0.8)),
    3: ((0.1, 0.2, 0.1, 0.75), (0.1, 0.75, 0.45, 0.45), (0.45, 0.45, 0.65, 0.8), (0.65, 0.8, 0.9, 0.5),
        (0.9, 0.5, 0.8, 0.2)),
    4: ((0.1, 0.55, 0.6, 0.15), (0.6, 0.15, 0.6, 0.85), (0.3, 0.65, 0.95, 0.65)),
    5: ((0.1, 0.8, 0.1, 0.25), (0.1, 0.25, 0.45, 0.25), (0.45, 0.25, 0.55, 0.75), (0.55, 0.75, 0.85, 0.6),
        (0.85, 0.6, 0.85, 0.2)),
    6: ((0.1, 0.65, 0.5, 0.2), (0.5, 0.2, 0.85, 0.3), (0.85, 0.3, 0.8, 0.75), (0.8, 0.75, 0.5, 0.7),
        (0.5, 0.7, 0.55, 0.22)),
    7: ((0.1, 0.2, 0.1, 0.8), (0.1, 0.8, 0.9, 0.4)),
    8: ((0.3, 0.5, 0.15, 0.25), (0.15, 0.25, 0.1, 0.6), (0.1, 0.6, 0.3, 0.75), (0.3, 0.75, 0.85, 0.25),
        (0.85, 0.25, 0.9, 0.65), (0.9, 0.65, 0.3, 0.25)),
    9: ((0.45, 0.7, 0.4, 0.25), (0.4, 0.25, 0.12, 0.35), (0.12, 0.35, 0.15, 0.72), (0.15, 0.72, 0.45, 0.7),
        (0.3, 0.72, 0.9, 0.55)),
}  # fmt: skip


def build() -> keras.Model:
    """The untrained network: (28, 28, 1) in 0..1 to ten probabilities."""
    import keras
    from keras import layers

    keras.backend.clear_session()  # layer names count from one, so the converted bytes repeat
    image = layers.Input((SIDE, SIDE, 1), name="image")
    x = layers.Flatten()(image)
    x = layers.Dense(128, activation="relu", name="fc1")(x)
    x = layers.Dense(64, activation="relu", name="fc2")(x)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="fc3")(x), name="mnist_gemm")


def digit(number: int) -> tuple[npt.NDArray[np.uint8], int]:
    """Picture ``number``, uint8 (28, 28), and the digit that it shows: a shaky hand, a pen, a poor scan."""
    random = Random(number)
    label = int(random.randint(10))
    canvas = Canvas(SIDE, random)
    turn, shear = random.uniform(-0.3, 0.3), random.uniform(-0.35, 0.35)
    size, width = random.uniform(0.55, 0.85, 2), random.uniform(0.05, 0.13)
    middle = 0.5 + random.uniform(-0.1, 0.1, 2)
    shake = random.normal(0, 0.035, (16, 2))
    for at, (y0, x0, y1, x1) in enumerate(_STROKES[label]):
        ends = np.asarray([[y0, x0], [y1, x1]]) - 0.5 + shake[at : at + 2]
        ends[:, 1] += shear * ends[:, 0]
        cosine, sine = np.cos(turn), np.sin(turn)
        ends = ends @ np.asarray([[cosine, sine], [-sine, cosine]]) * size + middle
        canvas.fill(canvas.line(*ends[0], *ends[1], width), np.ones(3))
    dust = canvas.clouds(5) > random.uniform(0.82, 1.0)
    canvas.fill(0.5 * dust, np.ones(3))
    return canvas.lit(random.uniform(0.5, 1.0), random.uniform(0.02, 0.12))[..., 0], label


@cache
def samples(numbers: range) -> Samples:
    """These pictures in 0..1 with their labels."""
    pictures, labels = zip(*(digit(number) for number in numbers), strict=True)
    x = np.stack(pictures)[..., np.newaxis].astype(np.float32) / np.float32(255)
    return Samples(x, np.asarray(labels, dtype=np.int64), [f"digit-{n:05d}" for n in numbers])


def dataset() -> Dataset:
    """200 pictures to calibrate with, of those that train, and 600 others to test."""
    return Dataset(samples(CALIBRATION), samples(TEST), "classification", CLASSES, (0.0, 1.0))


def train() -> keras.Model:
    """The network trained from scratch with fixed seeds."""
    data = samples(TRAIN)
    return fit.fitted(build(), data.x, data.y, loss="sparse_categorical_crossentropy", epochs=15, rate=2e-3)


def float_model() -> keras.Model:
    """The network with the weights of this folder."""
    return fit.restored(build(), WEIGHTS)


def onnx_model() -> bytes:
    """The network without its softmax as an ``.onnx`` file, with tf2onnx's operators and names."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    with np.load(WEIGHTS) as file:
        weights = [file[f"w{i:02d}"].astype(np.float32) for i in range(6)]
    shape = numpy_helper.from_array(np.asarray([-1, SIDE * SIDE], np.int64), "const_fold_opt__8")
    nodes, constants = [], [shape]
    nodes.append(helper.make_node("Reshape", ["input", shape.name], ["flat"], "sequential/flatten/Reshape"))
    last = "flat"
    for number, (matrix, bias) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
        name = f"sequential/dense_{number}"
        constants.append(numpy_helper.from_array(matrix, f"{name}/MatMul/ReadVariableOp:0"))
        constants.append(numpy_helper.from_array(bias, f"{name}/BiasAdd/ReadVariableOp:0"))
        product, total = f"{name}/MatMul:0", f"{name}/BiasAdd:0" if number < 2 else "output"
        nodes.append(helper.make_node("MatMul", [last, constants[-2].name], [product], f"{name}/MatMul"))
        nodes.append(helper.make_node("Add", [product, constants[-1].name], [total], f"{name}/BiasAdd"))
        last = total
        if number < 2:
            last = f"{name}/Relu:0"
            nodes.append(helper.make_node("Relu", [total], [last], f"{name}/Relu"))
    graph = helper.make_graph(
        nodes,
        "mnist",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", SIDE, SIDE, 1])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["N", len(CLASSES)])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
