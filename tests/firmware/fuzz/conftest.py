"""The two networks with every opcode that the engine's tests use, and the fuzz targets as programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.image.compile import compile_image
from tests.firmware.engine.conftest import network, wide_network  # noqa: F401
from tests.firmware.fuzz.build import build, has_libfuzzer


@pytest.fixture(scope="session")
def image(network: QuantGraph) -> bytes:  # noqa: F811
    """The device image of the int8 network."""
    return compile_image(network).data


@pytest.fixture(scope="session")
def wide_image(wide_network: QuantGraph) -> bytes:  # noqa: F811
    """The device image of the int16 network."""
    return compile_image(wide_network).data


@pytest.fixture(scope="session")
def image_target() -> Path:
    """The image target; given files, it runs them one after the other."""
    return build("image", libfuzzer=has_libfuzzer())
