"""Model files written by hand, as old and as hostile as needed, and the float digits of the demo."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL


@pytest.fixture(scope="session")
def keras_is_here() -> None:
    """TensorFlow is imported by the tests, not by their collection: every worker collects all modules."""
    pytest.importorskip("keras", reason="Keras is not installed: extra tensorflow")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def digits_tflite() -> bytes:
    return (DATA / FLOAT_MODEL).read_bytes()


@pytest.fixture
def write_h5(tmp_path: Path) -> Callable[..., Path]:
    """Write an .h5 model as Keras 2 did: architecture as JSON, weights by layer."""

    def write(config: Any, weights: dict[str, dict[str, np.ndarray]], name: str = "old.h5") -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            if config is not None:
                file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
            file.attrs["keras_version"] = "2.9.0"
            file.attrs["backend"] = "tensorflow"
            group = file.create_group("model_weights")
            group.attrs["layer_names"] = [layer.encode() for layer in weights]
            for layer, arrays in weights.items():
                inner = group.create_group(layer)
                inner.attrs["weight_names"] = [key.encode() for key in arrays]
                for key, array in arrays.items():
                    inner[key] = array
        return path

    return write


@pytest.fixture
def write_keras(tmp_path: Path) -> Callable[..., Path]:
    """Write a .keras archive with any architecture and no weights."""
    weights = io.BytesIO()
    h5py.File(weights, "w").close()

    def write(
        config: Any, name: str = "model.keras", members: tuple[str, ...] = ("model.weights.h5",)
    ) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
            for member in members:
                archive.writestr(member, weights.getvalue())
        return path

    return write
