"""``quantcheck compare`` between runners of this machine."""

from __future__ import annotations

import numpy as np
import pytest

from conformance_models.shapes import model
from pytest_quantcheck.cli import main
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.runners.tflm import TflmRunner
from tests import documents

pytestmark = pytest.mark.host


@pytest.fixture
def keyword_spotting(tmp_path):
    """The DS-CNN shape and 20 random inputs, as files."""
    shape = model("ds-cnn")
    (tmp_path / "m.tflite").write_bytes(shape.artefact)
    inputs = np.random.default_rng(0).integers(-128, 128, (20, 49, 10, 1)).astype(np.int8)
    np.save(tmp_path / "x.npy", inputs)
    return tmp_path


def compare(folder, a: str, b: str, *options: str) -> int:
    files = [str(folder / "m.tflite"), "--inputs", str(folder / "x.npy")]
    return main(["compare", *files, "--a", a, "--b", b, *options])


def test_runners_with_the_same_integers_are_equal(keyword_spotting, capsys) -> None:
    assert compare(keyword_spotting, "tflm", "integer") == 0
    assert "all 20 outputs are equal, bit for bit" in capsys.readouterr().out


def test_floats_are_quantized_by_the_inputs_own_scale(keyword_spotting, capsys) -> None:
    tensor = read_summary((keyword_spotting / "m.tflite").read_bytes()).input_tensors[0]
    raw = np.load(keyword_spotting / "x.npy")
    real = (raw.astype(np.float32) - np.float32(tensor.zero_points[0])) * tensor.scales[0]
    assert compare(keyword_spotting, "litert", "integer") == 1
    as_integers = capsys.readouterr().out
    assert compare(keyword_spotting, "litert", "integer", "--float") == 2
    assert "the file holds int8, and --float takes real numbers" in capsys.readouterr().err
    np.save(keyword_spotting / "x.npy", real)
    assert compare(keyword_spotting, "litert", "integer") == 2
    assert "or with --float real numbers" in capsys.readouterr().err
    assert compare(keyword_spotting, "litert", "integer", "--float") == 1
    told = capsys.readouterr().out
    assert told.replace("sample 000000", "sample 0") == as_integers


def test_a_reference_with_another_rounding_is_followed_to_the_first_operator(
    keyword_spotting, capsys
) -> None:
    report = keyword_spotting / "r.json"
    assert compare(keyword_spotting, "litert", "integer", "--json", str(report)) == 1
    printed = capsys.readouterr().out
    assert "first diverging: operator 0 (CONV_2D)" in printed
    assert "b has the exact integers: what follows is how a differs from them" in printed
    content = documents.read(report.read_text(encoding="utf-8"))
    assert (content["equal"], content["inexact"]) == (False, "a")
    assert content["divergence"]


def test_what_the_interpreter_refuses_no_other_runner_gets(tmp_path, capsys, monkeypatch) -> None:
    """TFLM may work on a damaged model for ever."""
    writer = TfliteWriter()
    x = writer.tensor((1, 4), "float32", scale=None, name="input")
    y = writer.tensor((1, 4), "float32", scale=None)
    writer.operator("ABS", [x], [y])
    (tmp_path / "m.tflite").write_bytes(writer.finish([x], [y]))
    np.save(tmp_path / "x.npy", np.zeros((2, 4), np.float32))
    monkeypatch.setattr(TflmRunner, "run", lambda *_: pytest.fail("TFLM was asked"))
    assert compare(tmp_path, "tflm", "integer") == 2
    assert "operator 0 (ABS): tensor 0 (input) is float32" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("a", "b", "inexact", "words"),
    [
        ("tflm", "litert", "b", "a has the exact integers: what follows is how b differs from them"),
        ("litert", "litert_reference", None, "neither has the exact integers"),
    ],
)
def test_the_side_that_departs_is_named(keyword_spotting, capsys, a, b, inexact, words) -> None:
    report = keyword_spotting / "r.json"
    assert compare(keyword_spotting, a, b, "--json", str(report)) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(f"a: {a} (")
    assert f"\nb: {b} (" in printed
    assert words in printed
    assert documents.read(report.read_text(encoding="utf-8"))["inexact"] == inexact
