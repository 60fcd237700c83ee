"""``quantcheck cache``: where, how many, how large, and fewer."""

from __future__ import annotations

import pytest

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.cli import main

pytestmark = pytest.mark.host


@pytest.fixture
def full(tmp_path, monkeypatch):
    """Three entries of a MiB each, in the folder that QC_CACHE names."""
    monkeypatch.setenv("QC_CACHE", str(tmp_path))
    for number in range(3):
        Cache().get_or_make({"number": number}, lambda: bytes(1 << 20))
    return tmp_path


@pytest.mark.parametrize(
    ("options", "said", "left"),
    [
        ([], ["3 entries, 3.0 MiB"], 3),
        (["--prune"], ["removed 0 entries", "3 entries"], 3),
        (["--prune", "--max-mib", "2.5"], ["removed 1 entries, 1.0 MiB", "2 entries, 2.0 MiB"], 2),
        (["--prune", "--max-mib", "0"], ["removed 3 entries", "0 entries, 0.0 MiB"], 0),
        (["--prune", "--max-age-days", "1"], ["removed 0 entries"], 3),
    ],
)
def test_it_says_what_there_is_and_removes_what_is_too_much(full, capsys, options, said, left):
    assert main(["cache", *options]) == 0
    told = capsys.readouterr().out
    assert str(full) in told
    assert not [words for words in said if words not in told]
    assert Cache().size()[0] == left


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--max-mib", "5"], "--max-mib 5 has no meaning without --prune"),
        (["--prune", "--max-mib", "-1"], "--max-mib -1: allowed: a number from 0"),
        (["--prune", "--max-age-days", "nan"], "allowed: a number from 0"),
    ],
)
def test_limits_that_mean_nothing_are_refused(full, capsys, options, words):
    assert main(["cache", *options]) == 2
    assert words in capsys.readouterr().err
    assert Cache().size()[0] == 3


@pytest.mark.parametrize("options", [[], ["--prune"]])
@pytest.mark.parametrize("by", ["--cache", "QC_CACHE"])
def test_a_cache_that_is_no_folder_is_a_usage_error(tmp_path, capsys, monkeypatch, options, by):
    if by == "QC_CACHE":
        monkeypatch.setenv("QC_CACHE", "/dev/null")
    else:
        options = [*options, "--cache", "/dev/null"]
    assert main(["cache", *options]) == 2
    assert f"{by} /dev/null: this is not a folder" in capsys.readouterr().err


def test_a_cache_that_is_not_made_yet_is_an_empty_one(tmp_path, capsys):
    assert main(["cache", "--cache", str(tmp_path / "none")]) == 0
    assert "0 entries" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()
