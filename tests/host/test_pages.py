"""What carries out a page notices when the page is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.pages import Shell, blocks, carry_out, difference, like

pytestmark = pytest.mark.host

PRINTED = ["start", "a  b     3 of 600 samples, 35.17%", "", "======= end in 2.31 s ======="]


@pytest.mark.parametrize(
    "shown",
    [
        [],
        ["start", "..."],
        ["...", "a b 3 of 600 samples, 35.17%", "..."],
        ["start", "a b 3 of 590 samples, 44.0%", "", "= end in 2 s ="],
        ["...", "= end in 77 s ="],
        ["...", "a ... samples, ...", "...", "..."],
    ],
)
def test_lines_that_were_printed_are_found(shown: list[str]) -> None:
    assert not difference(shown, PRINTED)


@pytest.mark.parametrize(
    "shown",
    [
        ["end", "..."],
        ["start"],
        ["a b 3 of 600 samples, 35.17%", "..."],
        ["start", "= end in 2 s ="],
        ["...", "= end in 2 s =", "...", "start"],
        ["...", "a b 4 of 600 samples, 35.17%", "..."],
        ["...", "a b 3 of 600 samples, 64.00%", "..."],
        ["...", "a b 3 of 600 vectors, 35.17%", "..."],
        ["...", "= end in 2 s =", "more"],
    ],
)
def test_lines_that_were_not_printed_are_noticed(shown: list[str]) -> None:
    assert difference(shown, PRINTED)


def test_numbers_in_words_are_exact() -> None:
    assert like("int8 at 0x1234", "int8 at 0x1234")
    assert not like("int8", "int16")
    assert like("168,496 instructions", "170,000 instructions")
    assert not like("168,496 instructions", "95,879 instructions")


PAGE = """
Text.

```python title="a.py"
print(1)
```

```diff title="a.py"
-print(1)
+print("two")
```

```console
$ mkdir -p new && cd new && export WORD=three
$ echo $WORD; python3 ../a.py
three
two
```

```console exit=4
$ echo four; exit 4
four
```
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "here").mkdir()
    return Shell(tmp_path / "here", dict(os.environ), tmp_path)


def test_a_page_is_carried_out(tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    assert carry_out(tmp_path / "page.md", shell) == 3
    assert shell.folder.name == "new"


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("three\ntwo", "three\n2", "does not follow 'three'"),
        ("three\ntwo", "three", "'two' is not shown"),
        ("exit=4", "exit=1", "returned 4, not 1"),
        ("exit 4", "true", "returned 0, not 4"),
        ("-print(1)", "-print(2)", "holds these lines 0 times"),
        ("$ echo four; exit 4\n", "", "output stands before any command"),
        ("```console exit=4", "```console with=4", "is no block that a test can carry out"),
        ("exit 4\nfour\n```", "exit 4\nfour\n", "the block has no end"),
        ('```python title="a.py"', "```python", "without a title"),
    ],
)
def test_a_wrong_page_is_noticed(tmp_path: Path, shell: Shell, right: str, wrong: str, message: str) -> None:
    assert PAGE.count(right) == 1
    (tmp_path / "page.md").write_text(PAGE.replace(right, wrong))
    with pytest.raises(AssertionError, match=message.replace("'", ".")):
        carry_out(tmp_path / "page.md", shell)


def test_a_block_says_where_it_begins(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    first = next(blocks(tmp_path / "page.md"))
    assert (first.kind, first.line) == ("python", 4)
