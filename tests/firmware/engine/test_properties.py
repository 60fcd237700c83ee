"""The public properties hold for the C engine: its QUANTIZE kernel through images of one operator, its
fixed-point functions through ctypes. SOFTMAX's functions are those of ``numerics``."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from filelock import FileLock

from pytest_quantcheck import properties
from pytest_quantcheck.graph.model import FloatEdge, Operator, QuantGraph, Tensor
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.numerics import fixed_point as numerics
from pytest_quantcheck.properties import QUANTIZER_PROPERTIES, Domain, QuantParams

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

Array = npt.NDArray[Any]
ENGINE = Path(__file__).parents[3] / "firmware" / "engine"
INCLUDE = ENGINE.parent / "include"
WIDTH = 8

SOURCE = """
#include "kernels/qc_softmax_s8.c"
int32_t requantize(int32_t x, int32_t multiplier, int32_t shift) {
  return qc_requantize(x, multiplier, shift);
}
int32_t divide_by_power(int32_t x, int32_t exponent) { return qc_divide_by_power(x, exponent); }
int32_t exponential(int32_t x) { return exp_q5(x); }
int32_t inverse(int32_t x) { return one_over_one_plus(x); }
"""


@lru_cache(maxsize=256)
def quantize_image(params: QuantParams) -> bytes:
    """A device image of one QUANTIZE with ``WIDTH`` float32 inputs."""
    source = Tensor(0, "x", (1, WIDTH), np.dtype("float32"))
    target = Tensor(1, "q", (1, WIDTH), np.dtype(params.dtype))
    op = Operator(0, "QUANTIZE", (0,), (1,), FloatEdge(params.scale, params.zero_point))
    return compile_image(QuantGraph((source, target), (op,), (0,), (1,), "0f" * 32)).data


@pytest.mark.parametrize("holds", QUANTIZER_PROPERTIES, ids=lambda holds: holds.__name__)
def test_the_quantize_kernel_holds(engine: Engine, holds: Callable[..., None]) -> None:
    def quantize(x: Array, params: QuantParams) -> Array:
        whole = np.zeros(WIDTH, np.float32)
        whole[: len(x)] = x
        answer = engine.run(quantize_image(params), [whole.tobytes()])
        assert answer.status == 0
        return np.frombuffer(answer.outputs, params.dtype)[: len(x)]

    holds(quantize, Domain(("int8", "uint8")))


@pytest.fixture(scope="session")
def fixed_point(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Functions of ``qc_fixed_point.h`` and SOFTMAX as a shared library, compiled once for all workers."""
    compiler = shutil.which("cc")
    assert compiler, "the engine's tests need a C compiler named cc (Debian: apt install gcc)"
    names = ("qc_softmax_s8.c", "qc_float_rule.c", "qc_ratio_rule.c")
    softmax, *rules = (ENGINE / "kernels" / name for name in names)
    content = b"".join(path.read_bytes() for path in (*sorted(ENGINE.glob("*.h")), softmax, *rules))
    key = hashlib.sha256(SOURCE.encode() + content).hexdigest()[:16]
    library = tmp_path_factory.getbasetemp().parent / f"quantcheck-fixed-point-{key}.so"
    with FileLock(f"{library}.lock"):
        if not library.exists():
            partial = library.with_suffix(".partial")
            command = [compiler, "-std=c11", "-O2", "-shared", "-fPIC", f"-I{ENGINE}", f"-I{INCLUDE}"]
            command += [*map(str, rules), "-x", "c", "-", "-o", str(partial)]
            subprocess.run(command, input=SOURCE.encode(), check=True)
            partial.replace(library)
    return ctypes.CDLL(str(library))


def elementwise(function: Callable[..., int]) -> Callable[..., Array]:
    """A C function of one value as a Python one of arrays."""

    def call(x: Array, *arguments: int) -> Array:
        return np.array([function(int(value), *arguments) for value in x], np.int64)

    return call


def test_requantization_in_c_rounds_twice(fixed_point: ctypes.CDLL) -> None:
    properties.requantizes_exactly(elementwise(fixed_point.requantize), "double")
    with pytest.raises(AssertionError, match=r"it should be -?\d+ \(half_up\)"):
        properties.requantizes_exactly(elementwise(fixed_point.requantize), "half_up")


def test_division_by_a_power_in_c_rounds_half_away(fixed_point: ctypes.CDLL) -> None:
    properties.shifts_exactly(
        elementwise(fixed_point.divide_by_power), "int32", rounding="half_away", bits=(0, 31)
    )


def test_the_exponential_in_c_is_that_of_numerics(fixed_point: ctypes.CDLL) -> None:
    quarters = np.arange(-(2**31), 0, 2**24)
    small = -np.geomspace(1, 2**31, 5000).astype(np.int64)
    x = np.concatenate([quarters, quarters + 1, quarters[1:] - 1, small, [0]])
    found = elementwise(fixed_point.exponential)(x)
    np.testing.assert_array_equal(found, numerics.exp_on_negative_values(x))


def test_the_reciprocal_in_c_is_that_of_numerics(fixed_point: ctypes.CDLL) -> None:
    x = np.concatenate([[0], np.geomspace(1, 2**30 - 1, 5000).astype(np.int64)]) * 2
    expected, _ = numerics.reciprocal(x // 2 + 2**30, 12)
    np.testing.assert_array_equal(elementwise(fixed_point.inverse)(x), expected)
