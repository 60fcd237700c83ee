"""Pickles: arrays come out as they went in, everything else is refused and nothing is run."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from pytest_quantcheck.data.load import load_data
from pytest_quantcheck.errors import ModelError

pytestmark = pytest.mark.host
X, Y = np.arange(12, dtype=np.float32).reshape(3, 4), np.array([0, 1, 2])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("x", [X, np.asfortranarray(X), X[:, ::2], X.astype(">i2"), X.astype(np.int8)])
def test_a_pair_is_samples_and_labels(tmp_path, protocol, x):
    (tmp_path / "a.pickle").write_bytes(pickle.dumps((x, Y), protocol=protocol))
    data = load_data("a.pickle", tmp_path)
    assert np.array_equal(data.x, x)
    assert data.x.dtype.newbyteorder("=") == x.dtype.newbyteorder("=")
    assert data.y.tolist() == [0, 1, 2]


def test_one_array_is_samples_and_a_dict_is_what_an_npz_file_is(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(X))
    assert np.array_equal(load_data("a.pkl", tmp_path).x, X)
    whole = OrderedDict(calibration_x=X, test_x=X[:2], test_y=Y[:2], classes=np.array(["a", "b"]))
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(whole))
    data = load_data("b.pkl", tmp_path)
    assert (len(data.calibration), len(data.test), data.classes) == (3, 2, ("a", "b"))


class Calls:
    """A pickle that calls ``function(*arguments)`` when it is loaded."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


def empty(shape):
    return Calls(np._core.multiarray._reconstruct, np.ndarray, shape, b"b")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (Calls(os.system, "touch executed"), r"posix\.system"),
        (Calls(eval, "open('executed', 'w')"), r"builtins\.eval"),
        (Calls(np.load, "executed"), r"numpy"),
        (Calls(getattr, X, "tofile"), r"builtins\.getattr"),
        (empty((1 << 40,)), "in another way than NumPy does"),
        (np.array([{}, os.system], dtype=object), "no plain number|something else|asks for"),
        ({"x": [1, 2, 3]}, "something else than an array"),
        ({1: X}, "something else than an array"),
        ((X, Y, X), "something else than an array"),
        ([], "something else than an array"),
    ],
)
def test_everything_else_is_refused(tmp_path, monkeypatch, content, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(content))
    with pytest.raises(ModelError, match=words):
        load_data("a.pickle", tmp_path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("keep", range(0, 160, 7))
def test_a_pickle_that_is_cut_off_is_refused(tmp_path, keep):
    content = pickle.dumps(X)
    assert keep < len(content)
    (tmp_path / "a.pickle").write_bytes(content[:keep])
    with pytest.raises(ModelError, match="not a valid pickle"):
        load_data("a.pickle", tmp_path)


def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path):
    content = pickle.dumps(X, protocol=2).replace(b"K\x03K\x04", b"K\xffK\x04")
    (tmp_path / "a.pickle").write_bytes(content)
    with pytest.raises(ModelError, match="not a valid pickle"):
        load_data("a.pickle", tmp_path)
