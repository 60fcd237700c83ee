"""The formula for C gives the rounded integers of all bytes; what mistakes cost is counted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance_models import onnx_nets as nets
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.cli import main
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.workflows.espdl.input_help import Preprocessing, conversion, help_lines

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

BYTES = np.arange(256)


def test_a_255th_in_int8() -> None:
    """1.0 is 128 steps, one more than int8 has: the tutorial's input saturates."""
    found = conversion(1 / 255, 0, -7, "int8")
    expected = np.clip(np.rint(BYTES / 255 * 128), -128, 127)
    np.testing.assert_array_equal(found.table, expected)
    assert (found.saturated, found.lowest, found.highest) == (1, 0.0, 1.0)
    assert found.truncated == np.sum(np.minimum(np.floor(BYTES / 255 * 128), 127) != expected)
    assert found.unscaled == np.sum(np.minimum(BYTES, 127) != expected)


@given(st.floats(1 / 300, 4), st.floats(-3, 3), st.integers(-15, 2), st.sampled_from(["int8", "int16"]))
def test_a_formula_gives_the_whole_table(factor: float, summand: float, exponent: int, dtype: str) -> None:
    found = conversion(factor, summand, exponent, dtype)
    info = np.iinfo(dtype)
    real = np.ldexp(BYTES * factor + summand, -exponent)
    np.testing.assert_array_equal(found.table, np.clip(np.rint(real), info.min, info.max))
    if found.fixed is not None:
        multiplier, added, shift = found.fixed
        values = BYTES * multiplier + added
        assert np.all(np.abs(values) < 1 << 31)
        np.testing.assert_array_equal(np.clip(values >> shift, info.min, info.max), found.table)


@pytest.mark.parametrize("exponent", [-7, -6, -5])
@pytest.mark.parametrize(
    ("factor", "summand"), [(1 / 255, 0), (1 / 127.5, -1), (1 / 255 / 0.229, -0.485 / 0.229)]
)
def test_usual_preprocessing_has_a_formula(factor: float, summand: float, exponent: int) -> None:
    assert conversion(factor, summand, exponent, "int8").fixed is not None


def test_the_printed_formula_is_c(tmp_path: Path) -> None:
    lines = help_lines(Preprocessing(1 / 127.5, -1), "x", -7, "int8")
    formula = next(line for line in lines if "in C: " in line).partition("in C: ")[2]
    program = f"""#include <stdint.h>
#include <stdio.h>
#define DL_CLIP(x, low, high) ((x) < (low) ? (low) : (x) > (high) ? (high) : (x))
int main(void) {{ for (int byte = 0; byte < 256; byte++) printf("%d\\n", {formula}); }}
"""
    (tmp_path / "a.c").write_text(program)
    subprocess.run(["cc", "-Wall", "-Werror", "a.c", "-o", "a"], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "a"], capture_output=True, text=True, check=True).stdout.split()
    expected = np.clip(np.rint((BYTES / 127.5 - 1) * 128), -128, 127).astype(int)
    assert [int(word) for word in printed] == expected.tolist()


def test_exponents_that_c_cannot_shift_by_are_told() -> None:
    assert "divide by 4; `1 << -exponent` has no meaning in C" in "\n".join(
        help_lines(Preprocessing(), "x", 2, "int8")
    )
    assert "does not fit an int" in "\n".join(help_lines(Preprocessing(1e-9), "x", -31, "int16"))


def test_wrong_preprocessing_is_refused() -> None:
    for wrong in (
        {"std": (0.0,)},
        {"scale": 0.0},
        {"mean": (1.0, 2.0), "std": (1.0,) * 3},
        {"scale": float("nan")},
    ):
        with pytest.raises(UsageError):
            Preprocessing(**wrong)  # type: ignore[arg-type]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = Cache(tmp_path / "cache")
    data = Samples(np.random.default_rng(0).uniform(-1, 1, (8, 3, 12, 10)).astype(np.float32))
    for quantizer in ("espdl", "onnx"):
        config = QuantConfig(quantizer=quantizer, granularity="per_tensor")
        model = quantize(nets.residual(), config, data, cache=cache)
        (tmp_path / f"{quantizer}.onnx").write_bytes(model.artefact)
    words = ["--scale", "1/255", "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]
    assert main(["input-espdl", str(tmp_path / "espdl.onnx"), *words]) == 0
    printed = capsys.readouterr().out
    assert "input 'image': int8, exponent -6; one step is 0.015625" in printed
    assert "channel 2: bytes 0 to 255 are -1.80444 to 2.64" in printed
    assert main(["input-espdl", str(tmp_path / "onnx.onnx")]) == 2
    assert "powers of two are ESP-DL's" in capsys.readouterr().err
    assert main(["input-espdl", str(tmp_path / "espdl.onnx"), "--scale", "1/0"]) == 2
    assert "--scale: " in capsys.readouterr().err
