"""Sensor recordings in CSV files, cut into windows."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data import load_data, windows
from pytest_quantcheck.errors import ModelError, UsageError

pytestmark = pytest.mark.host


def recording(path, kinds, *, separator=","):
    """One row per entry of ``kinds``: t, x, y and the kind; x is the number of the row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [separator.join(map(str, (i * 0.01, i, -i, kind))) for i, kind in enumerate(kinds)]
    path.write_text("\n".join([separator.join(("t", "x", "y", "act")), *rows]) + "\n")
    return path


def test_a_window_holds_the_rows_from_its_number_on(tmp_path):
    for name in "abcde":
        recording(tmp_path / f"{name}.csv", ["walk"] * 10)
    data = windows(tmp_path, columns=["y", "x"], length=4, step=3, rescale=(0.5, 1))
    whole = data.calibration.names + data.test.names
    assert sorted(whole) == [f"{n}.csv#{start:07d}" for n in "abcde" for start in (0, 3, 6)]
    at = data.test.names.index(next(n for n in data.test.names if n.endswith("3")))
    assert data.test.x[at].tolist() == [[-i / 2 + 1, i / 2 + 1] for i in range(3, 7)]
    assert data.test.x.dtype == np.float32


def test_recordings_stay_together(tmp_path):
    for i in range(10):
        recording(tmp_path / "walk" / f"{i}.csv", ["-"] * 30)
        recording(tmp_path / "run" / f"{i}.csv", ["-"] * 30)
    data = windows(tmp_path, columns=["x"], length=5, split=0.3)
    of = [{name.partition("#")[0] for name in part.names} for part in (data.calibration, data.test)]
    assert not of[0] & of[1]
    assert len(of[1]) == 6
    assert data.classes == ("run", "walk")
    assert np.bincount(data.test.y).tolist() == [18, 18]


def test_windows_in_which_the_label_changes_are_dropped(tmp_path):
    file = recording(tmp_path / "a.csv", ["walk"] * 10 + ["run"] * 10, separator=";")
    data = windows(file, columns=["x"], length=4, step=1, label="act", split=0)
    assert len(data.test) == 14
    assert {int(x[0, 0]) for x, y in zip(data.test.x, data.test.y, strict=True) if y == 0} == set(
        range(10, 17)
    )


def test_of_one_recording_the_end_tests_and_shares_no_row(tmp_path):
    file = recording(tmp_path / "a.csv", ["walk"] * 100)
    data = windows(file, columns=["x"], length=8, step=2, split=0.25)
    assert data.calibration.x.max() < data.test.x.min()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda t: t.replace("\n0.05,5,", "\n0.05,five,"), ModelError, r"a\.csv, line 7: .*'five'"),
        (lambda t: t.replace("\n0.05,5,", "\n0.05,nan,"), ModelError, r"a\.csv, line 7: .*not finite"),
        (lambda t: t.replace("\n0.05,5,-5,walk", "\n0.05"), ModelError, r"a\.csv, line 7: 1 values"),
        (lambda t: t.replace("x,y", "u,y"), UsageError, "no column 'x'; it has t, u, y, act"),
        (lambda t: "", UsageError, "no column 'x'"),
        (lambda t: "\n".join(t.splitlines()[:3]), UsageError, "no recording holds 4 rows of one act"),
        (lambda t: "\udcff" + t, ModelError, "no text in UTF-8"),
        (lambda t: t.replace("5", "5" * 140000), ModelError, "a.csv, line 7: field larger"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path, change, error, words):
    file = recording(tmp_path / "a.csv", ["walk"] * 12)
    file.write_bytes(change(file.read_text()).encode("utf-8", "surrogateescape"))
    with pytest.raises(error, match=words):
        windows(file, columns=["x"], length=4, label="act")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("length=4", "needs the key columns"),
        ("columns=x&length=0", "length=0"),
        ("columns=x&length=4&step=0", "step=0"),
        ("columns=x&length=4&steps=2", "unknown key steps; allowed: columns, length, step, label"),
        ("columns=x&length=four", "length='four'"),
        ("columns=x&length=4&length=5", "length is given twice"),
        ("columns=x&length", "'length' is no key=value"),
        ("columns=x&length=4&split=1", "split=1"),
        ("columns=x&length=4&label=act&classes=run", "has the class 'walk'"),
    ],
)
def test_wrong_values_are_named(tmp_path, query, words):
    recording(tmp_path / "a.csv", ["walk"] * 12)
    with pytest.raises(UsageError, match=words):
        load_data(f"windows:a.csv?{query}", tmp_path)
