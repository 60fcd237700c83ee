"""Small data and models for Model-Zoo configurations: colours, red squares, low and high tones.

The weights are written down, not trained: each model looks at what its classes differ in.
"""

from __future__ import annotations

import csv
import wave
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = ("blue", "green", "red")
TONES = {"dog": 400.0, "rooster": 3000.0}
SIZE = 24
LOW_OR_HIGH = np.float32(
    [[1, -1], [0, 0], [-1, 1], [0, 0]]
)  # of four groups of mel bands: the first, the third
MIDDLE = np.float32([0.8, -0.8])  # between the two, as measured


def colours(folder: Path, per_class: int, seed: int = 0) -> None:
    """``folder/<colour>/NN.png``: noise in which one channel is stronger."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    for label, name in enumerate(COLOURS):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            pixels = rng.integers(0, 150, (40, 48, 3))
            pixels[..., 2 - label] += 60
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number:02d}.png")


def squares(folder: Path, count: int, seed: int = 0) -> None:
    """``folder/NN.jpg`` with ``NN.txt``: every second image has a red square in its middle, half as wide."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        pixels = rng.integers(0, 100, (48, 48, 3))
        lines = ""
        if number % 2 == 0:
            pixels[12:36, 12:36] = (250, 20, 20)
            lines = "0 0.5 0.5 0.5 0.5\n"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02d}.jpg", quality=95)
        (folder / f"{number:02d}.txt").write_text(lines)


HEADER = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]


def sounds(folder: Path, per_class: int, seed: int = 0) -> None:
    """``folder/audio/*.wav`` and ``folder/esc.csv`` as in ESC-10: a low or a high tone in noise."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rng, rows = np.random.default_rng(seed), []
    time = np.arange(16000) / 16000
    for label, (name, hertz) in enumerate(TONES.items()):
        for number in range(per_class):
            tone = 0.4 * np.sin(2 * np.pi * hertz * time) + 0.02 * rng.standard_normal(16000)
            file = f"{name}-{number:02d}.wav"
            with wave.open(str(folder / "audio" / file), "wb") as sound:
                sound.setnchannels(1)
                sound.setsampwidth(2)
                sound.setframerate(16000)
                sound.writeframes((tone * 20000).astype("<i2").tobytes())
            rows.append([file, 1, label, name, "True", number, "A"])
    with (folder / "esc.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])


def colour_model() -> Any:
    """Keras: the mean of each channel decides."""
    import keras

    image = keras.layers.Input((SIZE, SIZE, 3))
    features = keras.layers.Conv2D(3, 3, strides=2, activation="relu")(image)
    scores = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(features))
    model = keras.Model(image, scores)
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    kernel[1, 1] = np.eye(3)
    model.layers[1].set_weights([kernel, np.ones(3, np.float32)])
    model.layers[-1].set_weights([20 * np.eye(3, dtype=np.float32)[::-1], np.zeros(3, np.float32)])
    return model


def square_model() -> Any:
    """Keras: one box (1, 6), always in the middle; its score is how red the image is."""
    import keras

    image = keras.layers.Input((SIZE, SIZE, 3))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    box = keras.layers.Dense(6)(mean)
    model = keras.Model(image, keras.layers.Reshape((1, 6))(box))
    weights = np.zeros((3, 6), np.float32)
    weights[:, 4] = (0.7, -0.35, -0.35)
    model.layers[2].set_weights([weights, np.float32([0.25, 0.25, 0.75, 0.75, 0.3, 0.0])])
    return model


def anchored_model() -> Any:
    """Keras, as the Model Zoo's SSD: scores (1, 2), the background first, offsets and the anchor (1, 4).

    How red the image is tells a square from the background; the anchor is where squares are.
    """
    import keras

    image = keras.layers.Input((SIZE, SIZE, 3))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    kind, place = keras.layers.Dense(2, activation="softmax"), keras.layers.Dense(4)
    scores = keras.layers.Reshape((1, 2))(kind(mean))
    offsets = keras.layers.Reshape((1, 4))(place(mean))
    anchor = keras.ops.zeros_like(offsets) + np.float32([[[0.25, 0.25, 0.75, 0.75]]])
    model = keras.Model(image, [scores, offsets, anchor])
    kind.set_weights([np.float32([[-10, 10], [5, -5], [5, -5]]), np.float32([2, -2])])
    place.set_weights([np.full((3, 4), 1e-3, np.float32), np.zeros(4, np.float32)])
    return model


def single_output_model() -> Any:
    """The same with one output (1, 10), all three side by side: what the Model Zoo trains."""
    import keras

    whole = anchored_model()
    return keras.Model(whole.input, keras.layers.Concatenate(axis=2)(whole.outputs))


def tone_model(bands: int = 64, frames: int = 96) -> Any:
    """Keras: low mel bands against high ones."""
    import keras

    patch = keras.layers.Input((bands, frames, 1))
    pooled = keras.layers.AveragePooling2D((bands // 4, frames))(patch)
    scores = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(pooled))
    model = keras.Model(patch, scores)
    model.layers[-1].set_weights([LOW_OR_HIGH, MIDDLE])
    return model


def onnx_colour_model() -> bytes:
    """The colour model as ONNX: NCHW in, the mean of each channel decides."""
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.zeros((3, 3, 3, 3), np.float32)
    kernel[:, :, 1, 1] = np.eye(3)
    constants = {
        "kernel": kernel,
        "bias": np.ones(3, np.float32),
        "dense": 20 * np.eye(3, dtype=np.float32)[::-1],
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel", "bias"], ["c"], kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "dense"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()


def onnx_square_model() -> bytes:
    """``anchored_model`` as ONNX: NCHW in; the anchor is repeated for each sample, as exporters write it."""
    from conformance_models.onnx_nets import Net

    net = Net()
    mean = net.op("Flatten", net.op("GlobalAveragePool", net.input("image", 1, 3, SIZE, SIZE)))
    kind = [net.constant([[-10, 10], [5, -5], [5, -5]]), net.constant([2, -2])]
    place = [net.constant(np.full((3, 4), 1e-3)), net.constant(np.zeros(4))]
    scores = net.op("Reshape", net.op("Gemm", mean, *kind), net.constant([1, 1, 2], np.int64))
    offsets = net.op("Reshape", net.op("Gemm", mean, *place), net.constant([1, 1, 4], np.int64))
    samples = net.op("Slice", net.op("Shape", offsets), *(net.constant([n], np.int64) for n in (0, 1)))
    times = net.op("Concat", samples, net.constant([1, 1], np.int64), axis=0)
    anchor = net.op("Tile", net.constant([[[0.25, 0.25, 0.75, 0.75]]]), times)
    shapes = {net.op("Softmax", scores, axis=-1): (1, 1, 2), offsets: (1, 1, 4), anchor: (1, 1, 4)}
    return net.model(shapes)


def onnx_tone_model(bands: int = 64, frames: int = 96) -> bytes:
    """The tone model as ONNX: patches (1, bands, frames) in."""
    from onnx import TensorProto, helper, numpy_helper

    constants = {"dense": LOW_OR_HIGH, "bias": MIDDLE}
    nodes = [
        helper.make_node(
            "AveragePool", ["patch"], ["p"], kernel_shape=[bands // 4, frames], strides=[bands // 4, frames]
        ),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "dense", "bias"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tones",
        [helper.make_tensor_value_info("patch", TensorProto.FLOAT, [1, 1, bands, frames])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()


def onnx_sounds(folder: Path) -> None:
    """What needs no TensorFlow: sounds, and the model of them as ONNX."""
    sounds(folder / "sounds", 5)
    sounds(folder / "test_sounds", 3, seed=1)
    (folder / "tones.onnx").write_bytes(onnx_tone_model())


def onnx_colours(folder: Path) -> None:
    """The colour model as ONNX, and no images."""
    (folder / "colours.onnx").write_bytes(onnx_colour_model())


def for_failures(folder: Path) -> None:
    """Images too dark to calibrate with, and a recording that is cut off."""
    from PIL import Image

    onnx_sounds(folder)
    sounds(folder / "damaged", 5)
    cut = folder / "damaged" / "audio" / "dog-00.wav"
    cut.write_bytes(cut.read_bytes()[:1000])
    colours(folder / "colours" / "train", 12)
    for name in COLOURS:
        (folder / "dark" / name).mkdir(parents=True)
        Image.fromarray(np.full((40, 48, 3), 2, np.uint8)).save(folder / "dark" / name / "0.png")
    (folder / "colours.onnx").write_bytes(onnx_colour_model())


def everything(folder: Path) -> None:
    """All data and models, where the configurations look for them. Imports Keras."""
    (folder / "colours.txt").write_text("\n".join(COLOURS) + "\n")
    colours(folder / "colours" / "train", 12)
    colours(folder / "colours" / "test", 8, seed=1)
    squares(folder / "squares" / "train", 16)
    squares(folder / "squares" / "test", 10, seed=1)
    (folder / "squares.onnx").write_bytes(onnx_square_model())
    onnx_sounds(folder)
    (folder / "colours.onnx").write_bytes(onnx_colour_model())
    colour_model().save(folder / "colours.h5")
    square_model().save(folder / "squares.h5")
    anchored_model().save(folder / "anchored.keras")
    single_output_model().save(folder / "single.keras")
    tone_model().save(folder / "tones.h5")
