"""Datasets from NumPy files and from the user's own functions."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.load import load_data
from pytest_quantcheck.errors import ModelError, QuantcheckError, UsageError

pytestmark = pytest.mark.host

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_an_npy_file_is_samples(tmp_path):
    np.save(tmp_path / "x.npy", X)
    data = load_data("x.npy", tmp_path)
    assert isinstance(data, Samples)
    assert np.array_equal(data.x, X)


def test_an_npz_file_may_hold_labels_and_ids(tmp_path):
    np.savez(tmp_path / "x.npz", x=X, y=[1, 2, 3], ids=["a", "b", "c"])
    data = load_data(tmp_path / "x.npz")
    assert data.names == ("a", "b", "c")
    assert data.y.tolist() == [1, 2, 3]


def test_several_inputs_are_numbered_and_keep_their_order(tmp_path):
    np.savez(tmp_path / "x.npz", **{f"x{i}": X + i for i in range(11)})
    inputs = load_data(tmp_path / "x.npz").inputs
    assert [a[0, 0] for a in inputs] == list(range(11))


def test_an_npz_file_may_hold_a_whole_dataset(tmp_path):
    np.savez(
        tmp_path / "d.npz",
        calibration_x=X,
        test_x=X + 1,
        test_y=[0, 1, 0],
        test_ids=["t0", "t1", "t2"],
        classes=["no", "yes"],
        input_range=[0, 12],
    )
    data = load_data(tmp_path / "d.npz")
    assert isinstance(data, Dataset)
    assert data.classes == ("no", "yes")
    assert data.input_range == (0.0, 12.0)
    assert data.test.names == ("t0", "t1", "t2")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"pictures": X}, "holds no x; it has: pictures"),
        ({"test_x": X}, "holds no calibration_x"),
        ({"calibration_x": X}, "holds no test_x"),
        ({"calibration_x": X, "test_x": X, "input_range": [0]}, "two numbers"),
    ],
)
def test_an_npz_file_without_the_right_arrays_is_an_error_that_names_them(tmp_path, content, words):
    np.savez(tmp_path / "d.npz", **content)
    with pytest.raises(ModelError, match=words):
        load_data(tmp_path / "d.npz")


@pytest.mark.parametrize("where", ["import", "call"])
def test_a_function_that_exits_is_a_usage_error(tmp_path, where):
    code = "raise SystemExit(0)"
    (tmp_path / f"leaves_{where}.py").write_text(
        f"{code if where == 'import' else ''}\ndef make():\n    {code}\n", encoding="utf-8"
    )
    with pytest.raises(UsageError, match="SystemExit: 0"):
        load_data(f"leaves_{where}:make", tmp_path)


def test_a_pickle_in_a_numpy_file_is_never_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    np.save(tmp_path / "x.npy", np.array([Harmful()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=np.array([Harmful()], dtype=object))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(ModelError, match="plain numbers"):
            load_data(tmp_path / name)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04garbage", b"hello"])
def test_a_damaged_file_is_an_error(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(QuantcheckError, match=r"x\.npy"):
        load_data("x.npy", tmp_path)


def test_a_function_may_return_the_dataset(tmp_path):
    (tmp_path / "quant_data_ok.py").write_text(
        "import numpy as np\n"
        "from pytest_quantcheck.data.dataset import Samples\n"
        "def samples(): return Samples(np.ones((2, 3), np.float32))\n"
        "def number(): return 3\n"
        "VALUE = 3\n"
        "def needs(argument): return argument\n"
        "def fails(): return 1 + 'a'\n"
        "import functools\n"
        "partly = functools.partial(needs, 1)\n"
        "partly_fails = functools.partial(np.ones, 'a')\n"
    )
    assert len(load_data("quant_data_ok:samples", tmp_path)) == 2
    for reference, words in (
        ("quant_data_ok:number", "returned a int"),
        ("quant_data_ok:VALUE", "is not a function"),
        ("quant_data_ok:needs", "without arguments"),
        ("quant_data_ok:fails", r"failed at quant_data_ok\.py:7: TypeError"),
        ("quant_data_ok:partly", "returned a int"),
        ("quant_data_ok:partly_fails", "'quant_data_ok:partly_fails' failed: TypeError"),
        ("quant_data_ok:absent", "has no 'absent'"),
        ("no_such_module_anywhere:f", "cannot be imported"),
        ("missing.npz", "no data file"),
    ):
        with pytest.raises(UsageError, match=words):
            load_data(reference, tmp_path)


def test_a_module_that_fails_on_import_is_an_error_and_leaves_the_search_path_alone(tmp_path):
    (tmp_path / "quant_data_bad.py").write_text("1 / 0\n")
    before = list(sys.path)
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        load_data("quant_data_bad:samples", tmp_path)
    assert sys.path == before


def test_a_function_is_also_found_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "quant_data_here.py").write_text(
        "import numpy as np\n"
        "from pytest_quantcheck.data.dataset import Samples\n"
        "def samples():\n"
        "    from quant_data_sibling import N\n"
        "    return Samples(np.ones((N, 3), np.float32))\n"
    )
    (tmp_path / "quant_data_sibling.py").write_text("N = 2\n")
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(load_data("quant_data_here:samples", tmp_path / "tests")) == 2
