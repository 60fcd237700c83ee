"""YAML of strangers: what is refused before anything is made of it, and that the error says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workflows.model_zoo.yaml_file import MOST_BYTES, Place, read_yaml

pytestmark = pytest.mark.host

LAUGHS = "\n".join(
    [
        f"a0: &a0 [{', '.join(['x'] * 10)}]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)),
    ]
)
REFUSED = {
    "python object": (
        "general:\n  a: !!python/object/apply:os.system [touch pwned]\n",
        "c.yaml:2: the tag !!python/",
    ),
    "python name": ("a: !!python/name:os.system\n", "c.yaml:1: the tag !!python/name:os.system is refused"),
    "own tag": ("general: !Secret\n  a: 1\n", "c.yaml:1: the tag !Secret is refused"),
    "binary": ("a: !!binary aGVsbG8=\n", "c.yaml:1: the tag !!binary is refused"),
    "set": ("a: !!set {b, c}\n", "c.yaml:1: the tag !!set is refused"),
    "billion laughs": (LAUGHS, "with its aliases the file stands for more than 20000 values"),
    "alias in itself": ("a: &a\n  b: *a\n", "c.yaml:2: *a stands inside of itself"),
    "deep": (f"a: {'[' * 100}{']' * 100}\n", "c.yaml:1: values nest deeper than 32 levels"),
    "deeper than Python": (f"a: {'[' * 90_000}", "c.yaml:1: values nest deeper than 32 levels"),
    "many": ("a:\n" + "- x\n" * 20_001, "more than 20000 values"),
    "two documents": ("a: 1\n---\nb: 2\n", "c.yaml:2: a second document begins"),
    "twice": (
        "general:\n  a: 1\n  b: 2\n  a: 3\n",
        "c.yaml:4: the key general.a is given twice, first in line 2",
    ),
    "list as key": ("? [a, b]\n: 1\n", "c.yaml:1: a key is a list or a mapping"),
    "no mapping": ("- a\n- b\n", "c.yaml: the file is no mapping of sections"),
    "empty": ("# nothing\n", "c.yaml: the file is empty"),
    "tab": ("a:\n\tb: 1\n", "c.yaml:2: this is no YAML: found character '\\t'"),
    "open": ("a: [1, 2\nb: 3\n", "c.yaml:2: this is no YAML"),
    "control character": ("a: \x07\n", "c.yaml: this is no YAML"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_where(tmp_path: Path, name: str) -> None:
    text, expected = REFUSED[name]
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_yaml(tmp_path / "c.yaml", "c.yaml")
    assert expected in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"], "something was executed"


def test_files_that_are_no_text(tmp_path: Path) -> None:
    for content, expected in (
        (b"a: \xff\xfe\n", "byte 3 is not UTF-8"),
        (b"#" * (MOST_BYTES + 1), f"at most {MOST_BYTES} are read"),
    ):
        (tmp_path / "c.yaml").write_bytes(content)
        with pytest.raises(UsageError, match=expected):
            read_yaml(tmp_path / "c.yaml")
    with pytest.raises(UsageError, match="there is no such file"):
        read_yaml(tmp_path / "none.yaml")


def test_every_key_knows_its_line(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("general:\n  # words\n  a: {b: 1,\n    c: 2}\nlist:\n- x: 1\n- y\n")
    found = read_yaml(tmp_path / "c.yaml", "c.yaml").places
    lines = {".".join(keys): place.line for keys, place in found.items()}
    assert lines == {
        "general": 1, "general.a": 3, "general.a.b": 3, "general.a.c": 4,
        "list": 5, "list.0": 6, "list.0.x": 6, "list.1": 7,
    }  # fmt: skip
    assert str(found["general", "a"]) == "c.yaml:3"
    assert str(Place("c.yaml")) == "c.yaml"


def test_aliases_of_ordinary_size_are_fine(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n")
    assert read_yaml(tmp_path / "c.yaml").text.startswith("a:")
