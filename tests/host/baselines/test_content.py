"""The file of baselines: what is written is read again, what is damaged is refused, diffs are small."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.baselines.content import Content, Key
from pytest_quantcheck.baselines.source import Folder, Revision, source_of
from pytest_quantcheck.baselines.value import Value, pack_bits, pack_counts, unpack_bits, unpack_counts
from pytest_quantcheck.baselines.vector_set import VectorSet, fingerprints
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import UsageError

pytestmark = pytest.mark.host

texts = st.text(max_size=8)
vector_sets = st.integers(1, 6).map(
    lambda count: fingerprints(Samples(np.arange(count, dtype=np.float32)))[0]
)


@st.composite
def values(draw: st.DrawFn) -> Value:
    over = draw(st.none() | vector_sets)
    per_sample: dict[str, Any] = {}
    if over is not None:
        size = len(over)
        right = st.lists(st.booleans(), min_size=size, max_size=size).map(tuple)
        counts = st.lists(st.integers(0, 2**40), min_size=size, max_size=size).map(tuple)
        per_sample = {"right": draw(st.none() | right), "counts": draw(st.none() | counts)}
    number = draw(st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**50).map(float))
    facts = {key: draw(texts) for key in ("model", "firmware", "runtime")}
    return Value(number, **facts, clock_hz=draw(st.integers(0, 10**9)), vectors=over, **per_sample)


contents = st.dictionaries(
    st.builds(Key, texts, texts, texts), st.dictionaries(texts, values(), min_size=1, max_size=3), max_size=4
).map(Content)


@given(contents)
def test_what_is_written_is_read_again(content: Content) -> None:
    data = content.render()
    again = Content.parse(data, "file")
    assert again == content
    assert again.render() == data


@given(contents, contents)
def test_taking_over_replaces_or_leaves_what_is_there(mine: Content, other: Content) -> None:
    whole = Content.parse(mine.render(), "mine")
    whole.take(other)
    new = Content.parse(mine.render(), "mine")
    new.take(other, only_new=True)
    for key in {*mine.values, *other.values}:
        a, b = mine.find(key), other.find(key)
        assert whole.find(key) == {**a, **b}
        assert new.find(key) == {**b, **a}


@given(st.lists(st.booleans(), max_size=70).map(tuple))
def test_bits_take_a_digit_for_four_samples(right: tuple[bool, ...]) -> None:
    text = pack_bits(right)
    assert len(text) == -(-len(right) // 4)
    assert unpack_bits(text, len(right)) == right


@given(st.lists(st.integers(0, 2**60), min_size=1, max_size=20).map(tuple))
def test_counts_are_read_again(counts: tuple[int, ...]) -> None:
    assert unpack_counts(pack_counts(counts), len(counts)) == counts


@given(st.permutations(range(8)))
def test_another_order_of_samples_makes_the_same_file(order: list[int]) -> None:
    samples = Samples(np.arange(16.0).reshape(8, 2), np.arange(8), [f"{n} ü" for n in range(8)])
    whole, _ = fingerprints(samples)
    shuffled, where = fingerprints(samples.take(order))
    assert shuffled == whole
    assert [samples.take(order).names[at] for at in where] == list(shuffled.names) == list(whole.names)


def stored() -> Content:
    over = fingerprints(Samples(np.arange(20.0)))[0]
    right = tuple(n != 7 for n in range(20))
    key = Key("test_it", "net-i8", "host")
    return Content(
        {key: {"accuracy": Value(0.95, "a" * 64, vectors=over, right=right), "arena": Value(4096)}}
    )


def test_the_file_is_sorted_with_one_value_a_line() -> None:
    text = stored().render().decode()
    lines = [line.strip().rstrip(",") for line in text.splitlines()]
    assert '"value": 0.95' in lines
    assert '"value": 4096' in lines
    assert list(json.loads(text)) == ["schema", "tests", "vectors"]
    assert max(map(len, lines)) < 110


def test_one_sample_that_flips_changes_two_lines() -> None:
    one, other = stored(), stored()
    (values_,) = other.values.values()
    value = values_["accuracy"]
    assert value.right is not None
    values_["accuracy"] = Value(0.9, value.model, vectors=value.vectors, right=(False, *value.right[1:]))
    pairs = zip(one.render().splitlines(), other.render().splitlines(), strict=True)
    assert sum(a != b for a, b in pairs) == 2


def document(**changes: Any) -> dict[str, Any]:
    plain = stored().to_plain()
    plain.update(changes)
    return plain


def entry(**changes: Any) -> dict[str, Any]:
    plain = document()
    plain["tests"]["test_it"]["net-i8"]["host"]["accuracy"].update(changes)
    return plain


ROW = "0" * 28


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ([], "is no table of names"),
        (document(schema=2), "has the schema 2; this version reads 1"),
        ({}, "has the schema None"),
        (document(colour=1), "has the key 'colour'; allowed: schema, tests, vectors"),
        (document(tests=[]), "tests is no table"),
        (document(tests={"f": {"c": {"p": {"m": 3}}}}), "f .c. on p: m is no table"),
        (document(tests={"f": {"c": {"p": {"m": {}}}}}), "has the value None; allowed: a finite number"),
        (document(vectors={"x": "text"}), "vectors x are no fingerprints"),
        (document(vectors={"x": ["zz"]}), "vectors x are no fingerprints"),
        (document(vectors={"x": [ROW, ROW]}), "are not sorted, or name a sample twice"),
        (document(vectors={"x": ["1" * 28, ROW]}), "are not sorted, or name a sample twice"),
        (document(vectors={}), "which the file does not have"),
        (entry(value=True), "has the value True"),
        (entry(value="0.9"), "has the value '0.9'"),
        (entry(value=float("inf")), "has the value inf"),
        (entry(value=10**400), "has the value 1000"),
        (entry(model=3), "has model 3; allowed: a text"),
        (entry(clock_hz=-1), "has clock_hz -1"),
        (entry(clock_hz=1.5), "has clock_hz 1.5"),
        (entry(right="ff"), "right does not fit its vectors"),
        (entry(right="xxxxx"), "right does not fit its vectors"),
        (entry(right=3), "has right 3; allowed: a text"),
        (entry(counts="5+123"), "counts does not fit its vectors"),
        (entry(counts="five"), "counts does not fit its vectors"),
        (entry(shade="red"), "has the key 'shade'; allowed: clock_hz, counts"),
    ],
)  # fmt: skip
def test_what_nobody_wrote_is_refused_by_name(plain: Any, words: str) -> None:
    with pytest.raises(UsageError, match=f"file.*{words}"):
        Content.parse(json.dumps(plain).encode(), "file")


TWICE = b'{"schema": 1, "tests": {"test_it": {}, "test_it": {}}}'  # a merge that kept both sides


@pytest.mark.parametrize("data", [b"", b"\xff", b"<<<<<<< HEAD\n", b"[" * 100_000, b"{", TWICE])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"file is no JSON: .*marks of a merge conflict"):
        Content.parse(data, "file")


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
def test_no_damage_is_anything_but_an_error_or_another_content(where: int, put: bytes) -> None:
    data = bytearray(stored().render())
    data[where % len(data) : where % len(data) + 1] = put
    try:
        content = Content.parse(bytes(data), "file")
    except UsageError:
        return
    assert Content.parse(content.render(), "again") == content


def test_a_folder_without_the_file_has_no_baselines(tmp_path: Path) -> None:
    assert Folder(tmp_path).read("a/b.json") == Content()
    (tmp_path / "b.json").mkdir()
    with pytest.raises(
        UsageError, match=r"b.json cannot be read: .*is a folder; only regular files are read"
    ):
        Folder(tmp_path).read("b.json")


def git(folder: Path, *arguments: str) -> None:
    settings = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *settings, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_revision_is_read_from_below_the_top_of_the_repository(tmp_path: Path) -> None:
    root = tmp_path / "part"
    (root / "tests").mkdir(parents=True)
    (root / "tests" / "b.json").write_bytes(stored().render())
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "tag", "v1")
    (root / "tests" / "b.json").write_text("later")
    source = source_of("git:v1", root)
    source.check()
    assert source.read("tests/b.json") == stored()
    assert source.read("tests/none.json") == Content()
    with pytest.raises(UsageError, match="tests is no file in that commit"):
        source.read("tests")
    with pytest.raises(UsageError, match="is outside of rootdir"):
        source.read("../b.json")
    (root / "tests" / "[ab].json").write_text("later")
    assert source.read("tests/[ab].json") == Content()


@pytest.mark.parametrize("ref", ["none", "-h", "--output=x", "HEAD:x", "a b", ""])
def test_a_revision_that_is_not_there_is_refused(tmp_path: Path, ref: str) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(UsageError, match=r"no commit of .* is called so"):
        Revision(ref, tmp_path).check()
    assert not (tmp_path / "x").exists()


def test_outside_of_a_repository_git_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no commit of .* is called so"):
        Revision("HEAD", tmp_path).check()


def test_names_are_left_out_of_what_is_stored() -> None:
    (rows,) = stored().to_plain()["vectors"].values()
    assert rows == sorted(rows)
    assert VectorSet(tuple(rows)) == fingerprints(Samples(np.arange(20.0)))[0]
