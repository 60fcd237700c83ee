"""A run that is kept for reuse is the same for the same bytes, and bears the name of who asked."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.demo.artefacts import DATA
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.remembering import Remembering

pytestmark = pytest.mark.host


def test_two_files_of_equal_content_keep_their_names():
    content = next(iter(sorted(DATA.glob("*i8-i8*.tflite")))).read_bytes()
    runner = Remembering(IntegerRunner())
    samples = Samples(np.zeros((2, 8, 8, 1), np.float32))
    first, second = (runner.run(QuantizedModel(name, content), samples) for name in ("first", "second"))
    assert (first.model.name, second.model.name) == ("first", "second")
    assert first.outputs is second.outputs
