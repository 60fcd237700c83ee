"""The limit of work (SPEC.md, "Work"): what it counts, and that the loader keeps it to the step."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.graph.model import Operator, Pool, QuantGraph, Tensor, Window
from pytest_quantcheck.image.compile import compile_image
from tests.firmware.fuzz.build import WORK_LIMIT
from tests.firmware.fuzz.fields import with_crc
from tests.firmware.fuzz.test_fields import ACCEPTED, statuses

pytestmark = pytest.mark.host

UNSUPPORTED = 10
RECORD = 32
OPERATORS_AT, LATER_SECTIONS, IMAGE_BYTES = 64, (68, 76, 84), 8


def pool_image(kernel: int) -> bytes:
    """MAX_POOL_2D from (1, 8, 8, 6) to (1, 4, 4, 6)."""
    shapes = [(1, 8, 8, 6), (1, 4, 4, 6)]
    tensors = tuple(Tensor(i, "", shape, np.dtype("int8")) for i, shape in enumerate(shapes))
    pool = Operator(0, "MAX_POOL_2D", (0,), (1,), Pool(Window(kernel, kernel, 2, 2), -128, 127))
    return compile_image(QuantGraph(tensors, (pool,), (0,), (1,), "00" * 32)).data


def repeated(image: bytes, count: int) -> bytes:
    """The image's one operator ``count`` times."""
    start = struct.unpack_from("<I", image, OPERATORS_AT)[0]
    end = start + RECORD
    more = RECORD * (count - 1)
    body = bytearray(image[:end] + image[start:end] * (count - 1) + image[end:])
    struct.pack_into("<H", body, 54, count)
    for at in (IMAGE_BYTES, *LATER_SECTIONS):
        struct.pack_into("<I", body, at, struct.unpack_from("<I", image, at)[0] + more)
    return with_crc(body)


@pytest.mark.parametrize(
    ("kernel", "cells"),
    [pytest.param(2, 4, id="window inside"), pytest.param(60, 64, id="window beyond the input")],
)
def test_the_limit_of_work_is_kept_to_the_step(
    kernel: int, cells: int, image_target: Path, tmp_path: Path
) -> None:
    most = WORK_LIMIT // (4 * 4 * 6 * (cells + 32))
    images = [repeated(pool_image(kernel), count) for count in (1, most, most + 1)]
    assert statuses(image_target, images, tmp_path) == [ACCEPTED, ACCEPTED, UNSUPPORTED]
