"""Faults of data, calibration and model file: the integers are right, the score is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.demo.artefacts import CLASSES as DIGITS
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.verdict.causes.cause import UNKNOWN
from pytest_quantcheck.verdict.causes.upstream.upstream import upstream_causes
from tests.catalogue import curves
from tests.catalogue.curves import Curves
from tests.catalogue.variant import CLEAN, FOREIGN, Found, Variant

SEEDS = range(3)
Case = tuple[QuantizedModel, Dataset]


def variants() -> Iterator[Variant]:
    for code, name, make in (*_samples(), *_calibrations(), *_scales(), *_files(), *_foreign(), *_clean()):
        yield Variant(code, name, partial(_found, make))


def _found(make: Callable[[], Case]) -> Found:
    model, data = make()
    causes = upstream_causes(model, data, _floats())
    named = tuple(each.code for each in causes if each.code != UNKNOWN)
    return Found(bool(causes), named, "; ".join(f"{each.text} ({each.evidence})" for each in causes))


@lru_cache
def _floats() -> FloatOutputs:
    return FloatOutputs()


Entries = Iterator[tuple[str, str, Callable[[], Case]]]


def _samples() -> Entries:
    """The float model itself does not get what it was trained on."""
    changes: tuple[tuple[str, str, Callable[[Array], Array]], ...] = (
        ("preprocessing", "0..255", lambda x: x * 255),
        ("preprocessing", "-1..1", lambda x: x * 2 - 1),
        ("preprocessing", "divided twice", lambda x: x / 255),
        ("preprocessing", "standardised", lambda x: (x - 0.3) / 0.35),
        ("preprocessing", "inverted", lambda x: 1 - x),
        ("input_transposed", "digits", lambda x: np.swapaxes(x, 1, 2)),
        ("input_turned", "upside down", lambda x: x[:, ::-1]),
        ("input_turned", "mirrored", lambda x: x[:, :, ::-1]),
        ("input_turned", "to the left", lambda x: np.rot90(x, 1, (1, 2))),
    )
    for which, (code, name, change) in enumerate(changes):
        yield code, f"digits, {name}", partial(_digits, which % 5, change)
    orders = ([1, 0, 2, 3, 4, 5, 6, 7, 8, 9], [*range(1, 10), 0], [0, 1, 10 - 8, 9, 8, 7, 6, 5, 4, 3])
    for which, order in enumerate(orders):
        yield "label_order", f"digits, {order}", partial(_digits, which, labels=order)


def _digits(
    which: int, change: Callable[[Array], Array] | None = None, labels: list[int] | None = None
) -> Case:
    samples = demo_samples()
    x, y = samples.inputs[0], np.asarray(samples.labels)
    x = np.ascontiguousarray(change(x), np.float32) if change is not None else x
    y = np.asarray(labels)[y] if labels is not None else y
    made = Samples(x, y, samples.names)
    return demo_models()[which], Dataset(made.take([]), made, "classification", DIGITS)


def _quantized(
    content: bytes, data: Dataset, calibration: str = "all", reference: bytes = b"", **config: Any
) -> Case:
    """An artefact by TensorFlow's quantizer. ``reference``: another float model to be judged by."""
    settings = QuantConfig("int8", "int8", config.pop("granularity", "per_channel"), calibration, **config)
    model = quantize(content, settings, data, name="curves", input_range=data.input_range)
    return (replace(model, float_model=reference) if reference else model), data


def _calibrations() -> Entries:
    for seed in SEEDS:
        name = f"curves {seed}"
        yield "calibration_one_class", name, partial(_calibrated, seed, partial(_only, [seed % 2]))
        yield "calibration_range", name, partial(_calibrated, seed, partial(_times, (0.05, 100.0, 0.1)[seed]))
        yield "calibration_random", f"{name}, noise", partial(_calibrated, seed, partial(_noise, 0.05))
        yield "test_outside_range", f"{name}, no calibration set", partial(_unknown, seed)
        yield "activation_range", f"{name}, one outlier", partial(_calibrated, seed, partial(_outlier, 200.0))
    yield "calibration_random", "curves, as configured", _random
    yield "test_outside_range", "curves, louder tests", _louder


def _calibrated(seed: int, change: Callable[[Samples], Samples]) -> Case:
    made = Curves(seed)
    return _quantized(curves.plain(made), made.dataset(change))


def _only(classes: list[int], samples: Samples) -> Samples:
    return samples.take(np.flatnonzero(np.isin(np.asarray(samples.labels), classes)))


def _times(factor: float, samples: Samples) -> Samples:
    return Samples((samples.inputs[0] * factor).astype(np.float32), samples.y, samples.names)


def _noise(reach: float, samples: Samples) -> Samples:
    drawn = np.random.default_rng(5).uniform(-reach, reach, samples.inputs[0].shape)
    return Samples(drawn.astype(np.float32), samples.y, samples.names)


def _outlier(factor: float, samples: Samples) -> Samples:
    x = samples.inputs[0].copy()
    x[7] *= factor
    return Samples(x, samples.y, samples.names)


def _unknown(seed: int) -> Case:
    model, data = _calibrated(seed, partial(_times, 0.1))
    return replace(model, manifest={}), replace(data, calibration=data.calibration.take([]))


def _louder() -> Case:
    made = Curves(1)
    model, _ = _quantized(curves.plain(made), made.dataset(partial(_times, 0.1)))
    test = made.dataset().test
    return model, Dataset(_times(0.1, test).take(range(20)), test, "classification")


def _random() -> Case:
    made = Curves(0)
    data = replace(made.dataset(), input_range=(-0.05, 0.05))
    return _quantized(curves.plain(made), data, "random:50")


def _scales() -> Entries:
    for seed in SEEDS:
        made, name = Curves(seed), f"curves {seed}"
        yield "concat_scale", name, partial(_joined, made, (320.0, 640.0, 200.0)[seed])
        yield "pad_constant", name, partial(_padded, made, (-1e4, -3000.0, -1e5)[seed])
        yield "per_tensor_channels", name, partial(_unlike, made, (300.0, 1000.0, 100.0)[seed])
        yield "weights_precision", name, partial(_other_weights, made, (0.1, 0.2, 0.15)[seed])
        yield "argmax_tie", name, partial(_flat, made, (0.002, 0.001, 0.0015)[seed])


def _joined(made: Curves, pixels: float) -> Case:
    data = made.dataset()
    bare = Dataset(_unlabelled(data.calibration), _unlabelled(data.test), "regression")
    return _quantized(curves.detector(made, pixels), bare)


def _unlabelled(samples: Samples) -> Samples:
    return Samples(samples.inputs[0], None, samples.names)


def _padded(made: Curves, value: float) -> Case:
    return _quantized(curves.padded(made, value), made.dataset())


def _unlike(made: Curves, factor: float) -> Case:
    return _quantized(curves.plain(made, unlike=factor), made.dataset(), granularity="per_tensor")


def _other_weights(made: Curves, noise: float) -> Case:
    return _quantized(curves.plain(made, noise=noise), made.dataset(), reference=curves.plain(made))


def _flat(made: Curves, logits: float) -> Case:
    return _quantized(curves.plain(made, logits=logits), made.dataset())


def _files() -> Entries:
    for scheme in ("dynamic", "float16"):
        yield "float_model_quantized", f"digits, {scheme}", partial(_quantized_float, scheme)
    yield "float_model_quantized", "digits, int8 with float edges", partial(_quantized_float, "")
    for seed in SEEDS:
        yield "shared_bias", f"two layers {seed}", partial(_shared, seed)
        yield "open_batch", f"dilated {seed}", partial(_batched, seed)


def _quantized_float(scheme: str) -> Case:
    model, data = demo_models()[0], demo_samples()
    whole = Dataset(data.take([]), data, "classification", DIGITS)
    if not scheme:
        return replace(model, float_model=demo_models()[4].artefact), whole
    made = quantize(model.float_model, QuantConfig(scheme=scheme), name="digits")
    return replace(model, float_model=made.artefact), whole


def _shared(seed: int) -> Case:
    """Two layers of different scales with one bias."""
    rng, writer = np.random.default_rng(seed), TfliteWriter()
    first = x = writer.tensor((1, 12), scale=1 / 64, name="input")
    bias = writer.tensor((12,), "int32", scale=x.scale * 0.01, data=rng.integers(-900, 900, 12))
    for step in range(2):
        drawn = rng.integers(-127, 128, (12, 12)).astype(np.int8)
        weights = writer.tensor(drawn.shape, scale=0.01 * (1 + step * (seed + 1)), data=drawn)
        out = writer.tensor((1, 12), scale=1 / 32, zero_point=step)
        writer.operator("FULLY_CONNECTED", [x, weights, bias], [out], FusedActivationFunction=0)
        x = out
    return _bare(writer.finish([first], [x]), (12,), seed)


def _batched(seed: int) -> Case:
    """A dilated convolution between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND."""
    rng, writer, rate = np.random.default_rng(seed), TfliteWriter(), 2 + seed % 2
    size = 4 * rate
    first = writer.tensor((1, size, size, 2), scale=1 / 64, name="input")
    block, none = writer.constant([rate, rate]), writer.constant([[0, 0], [0, 0]])
    split = writer.tensor((rate * rate, 4, 4, 2), scale=1 / 64)
    writer.operator("SPACE_TO_BATCH_ND", [first, block, none], [split])
    weights = rng.integers(-127, 128, (3, 3, 3, 2)).astype(np.int8)
    y = writer.conv_2d(split, weights, np.zeros(3, np.int32), weight_scale=0.01, scale=1 / 16)
    out = writer.tensor((1, size, size, 3), scale=1 / 16)
    writer.operator("BATCH_TO_SPACE_ND", [y, block, none], [out])
    return _bare(writer.finish([first], [out]), (size, size, 2), seed)


def _bare(content: bytes, shape: tuple[int, ...], seed: int) -> Case:
    """An artefact without a float model, samples without labels."""
    samples = Samples(np.random.default_rng(seed).normal(0, 0.5, (24, *shape)).astype(np.float32))
    return QuantizedModel("bare", content), Dataset(samples.take([]), samples)


def _foreign() -> Entries:
    """Drops that no entry describes: a part of the network is another than the float model's."""
    for seed in SEEDS:
        yield FOREIGN, f"curves {seed}, bias lost", partial(_damaged, seed, "bias")
        yield FOREIGN, f"curves {seed}, no RELU", partial(_damaged, seed, "relu")


def _damaged(seed: int, part: str) -> Case:
    made = Curves(seed)
    return _quantized(curves.plain(made, without=part), made.dataset(), reference=curves.plain(made))


def _clean() -> Entries:
    for which in range(5):
        yield CLEAN, f"digits {which}", partial(_digits, which)
    for seed in SEEDS:
        yield CLEAN, f"curves {seed}", partial(_calibrated, seed, lambda samples: samples)
        yield (
            CLEAN,
            f"curves {seed}, fewer",
            partial(_calibrated, seed, lambda samples: samples.take(range(40))),
        )
        yield CLEAN, f"curves {seed}, softmax", partial(_flat, Curves(seed), 1.0)
