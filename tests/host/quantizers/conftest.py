"""The digits, a cache of their own for the session, and a way to falsify an artefact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from conformance_models import digits
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.dataset import Dataset
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.quantizers.tflite.quantize import quantize


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def float_digits() -> FloatModel:
    return load(DATA / FLOAT_MODEL)


@pytest.fixture(scope="session")
def digits_data() -> Dataset:
    return digits.dataset()


@pytest.fixture(scope="session")
def quantize_digits(
    cache: Cache, float_digits: FloatModel, digits_data: Dataset
) -> Callable[..., QuantizedModel]:
    """Quantize the digits as the keywords of ``QuantConfig`` say; 10% calibration unless told otherwise."""

    def make(calibration: str = "10%", seed: int = 0, **how: Any) -> QuantizedModel:
        config = QuantConfig(calibration=Calibration.parse(calibration, seed), **how)
        return quantize(float_digits, config, digits_data, cache=cache)

    return make


@pytest.fixture(scope="session")
def edited() -> Callable[[bytes, Callable[[Any], None]], bytes]:
    """Rewrite a flatbuffer after a function has changed its object tree."""

    def edit(artefact: bytes, change: Callable[[Any], None]) -> bytes:
        model = schema.ModelT.InitFromPackedBuf(artefact, 0)
        change(model)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    return edit
