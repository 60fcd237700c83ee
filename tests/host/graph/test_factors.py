"""Factors are quotients of scales in float64, as in TFLM: float32 gives another integer here and there."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.tflm import TflmRunner

pytestmark = pytest.mark.host

INT8 = np.arange(-128, 128, dtype=np.int8)
JUST_BELOW_2 = float(np.nextafter(np.float32(2), np.float32(0)))


def differing(writer: TfliteWriter, inputs: list, output, raw: tuple) -> int:
    model = QuantizedModel("factors", writer.finish(inputs, [output]))
    ours, tflm = (runner.run(model, Raw(raw)).outputs[0] for runner in (IntegerRunner(), TflmRunner()))
    return int((ours != tflm).sum())


@pytest.mark.parametrize("kind", ["ADD", "SUB"])
@pytest.mark.parametrize(("first", "second", "out"), [(JUST_BELOW_2, 0.5, JUST_BELOW_2), (0.3, 0.7, 1.1)])
def test_every_pair_of_int8_is_added_and_subtracted_as_in_tflm(kind, first, second, out):
    writer = TfliteWriter()
    a = writer.tensor((1, 65536), scale=first, zero_point=0)
    b = writer.tensor((1, 65536), scale=second, zero_point=1)
    total = writer.add(a, b, scale=out, zero_point=0, kind=kind)
    assert differing(writer, [a, b], total, (np.repeat(INT8, 256)[None], np.tile(INT8, 256)[None])) == 0


@pytest.mark.parametrize("seed", range(20))
def test_every_int8_is_leaked_as_in_tflm(seed):
    """The output's scale puts many products on ties."""
    rng = np.random.default_rng(seed)
    scale, alpha = np.float32(rng.uniform(1, 2)), np.float32(rng.uniform(0, 1))
    writer = TfliteWriter()
    x = writer.tensor((1, 256), scale=float(scale), zero_point=127)
    y = writer.leaky_relu(x, alpha=float(alpha), scale=float(2 * scale * alpha), zero_point=0)
    assert differing(writer, [x], y, (INT8[None],)) == 0
