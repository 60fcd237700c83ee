"""Pages that a test carries out: their files are written, their commands run, what is printed is compared.

A page says what to do in fenced blocks:

- ``python title="NAME"``: a file; when it is there already, the block is added at its end;
- ``diff title="NAME"``: lines of that file taken out (``-``) and put in (``+``);
- ``console``, ``console exit=1``: commands behind ``$``, and below each what it prints, unless the page does
  not say. A line ``...`` stands for any lines, ``...`` within a line for any text. Numbers may differ a
  little (``NEAR``): a model trained elsewhere is not the same to the last bit. A duration may be any;
- ``text``: only to be read.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?(?: exit=(\d+))?$')
NUMBER = re.compile(r"(?<![0-9a-f])\d[\d,]*(?:\.\d+)?(?![0-9a-f]*[a-f])")
NEAR = {"%": 10.0, " pp": 10.0}  # percentages: so many points; all other numbers: a tenth of themselves
DURATION = re.compile(r"\s?(s|ms|seconds)\b")
COMMAND_SECONDS = 600
OURS = (
    "QC_",
    "PYTEST_",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "FORCE_COLOR",
    "PY_COLORS",
)  # a reader has none of these


def reader_environment(**changes: str) -> dict[str, str]:
    """The variables of somebody who reads the page at a terminal without colours."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    return {**kept, "COLUMNS": "80", "NO_COLOR": "1", **changes}


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is where it begins in the page, ``exit`` what its last command returns."""

    kind: str
    title: str
    exit: int
    line: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order; ``AssertionError`` for a block of no known form."""
    start, opened, content = 0, None, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if opened is None and line.startswith("```"):
            opened, start, content = FENCE.match(line), number, []
            assert opened, f"{page}:{number}: {line} is no block that a test can carry out"
        elif opened is not None and line == "```":
            yield Block(opened[1], opened[2] or "", int(opened[3] or 0), start, tuple(content))
            opened = None
        elif opened is not None:
            content.append(line)
    assert opened is None, f"{page}:{start}: the block has no end"


@dataclass
class Shell:
    """Runs commands one after the other, as one terminal does: folder and environment are kept."""

    folder: Path
    environment: Mapping[str, str]
    private: Path = field(repr=False)

    def run(self, command: str) -> tuple[int, list[str]]:
        """Exit code and the lines printed on stdout and stderr."""
        state = self.private / "state"
        script = f"{command}\ncode=$?; {{ pwd; env -0; }} > {shlex.quote(str(state))}; exit $code"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
        folder, _, variables = state.read_text().partition("\n")
        self.folder = Path(folder)
        self.environment = dict(pair.partition("=")[::2] for pair in variables.split("\0") if pair)
        return done.returncode, done.stdout.splitlines()


def carry_out(page: Path, shell: Shell) -> int:
    """Do what the page says, in the shell's folder; ``AssertionError`` says where the page is wrong.

    Returns how many commands ran.
    """
    count = 0
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.kind == "console":
            count += _run(block, shell, where)
        elif block.kind == "diff" and block.title:
            _edit(shell.folder / block.title, block, where)
        elif block.kind != "text":
            assert block.title, f"{where}: a block of {block.kind} without a title"
            file = shell.folder / block.title
            before = file.read_text() + "\n\n" if file.exists() else ""
            file.write_text(before + block.text)
    return count


def _run(block: Block, shell: Shell, where: str) -> int:
    commands: list[tuple[str, list[str]]] = []
    for line in block.lines:
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            assert commands, f"{where}: output stands before any command"
            commands[-1][1].append(line)
    for number, (command, shown) in enumerate(commands, 1):
        code, printed = shell.run(command)
        wanted = block.exit if number == len(commands) else 0
        whole = "\n".join(printed)
        assert code == wanted, f"{where}: {command} returned {code}, not {wanted}:\n{whole}"
        missing = difference(shown, printed)
        assert not missing, f"{where}: {command}: {missing}. It printed:\n{whole}"
    return len(commands)


def _edit(file: Path, block: Block, where: str) -> None:
    old = "".join(f"{line[1:]}\n" for line in block.lines if not line.startswith("+"))
    new = "".join(f"{line[1:]}\n" for line in block.lines if not line.startswith("-"))
    text = file.read_text()
    assert text.count(old) == 1, f"{where}: {file.name} holds these lines {text.count(old)} times:\n{old}"
    file.write_text(text.replace(old, new))


def difference(shown: Sequence[str], printed: Sequence[str]) -> str:
    """Where what was printed is not what is shown; empty when it is."""
    lines = [_even(line) for line in printed]
    position, free = 0, not shown  # free: other lines may come first
    for line in shown:
        if line.strip() == "...":
            free = True
            continue
        reach = range(position, len(lines)) if free else range(position, min(position + 1, len(lines)))
        found = next((n for n in reach if like(_even(line), lines[n])), None)
        if found is None:
            behind = printed[position - 1] if position else "the beginning"
            return f"{line!r} does not follow {behind!r}"
        position, free = found + 1, False
    return "" if free or position == len(lines) else f"{printed[position]!r} is not shown"


def like(shown: str, printed: str) -> bool:
    """Whether a printed line is the one shown: the same words, the numbers near, ``...`` for any text."""
    pattern, numbers, end = "", [], 0
    for match in NUMBER.finditer(shown):
        pattern += _literal(shown[end : match.start()]) + rf"({NUMBER.pattern})"
        numbers.append((match[0], shown[match.end() :]))
        end = match.end()
    found = re.fullmatch(pattern + _literal(shown[end:]), printed)
    return found is not None and all(
        _near(want, got, rest) for (want, rest), got in zip(numbers, found.groups(), strict=True)
    )


def _literal(text: str) -> str:
    return ".*".join(re.escape(piece) for piece in text.split("..."))


def _near(wanted: str, got: str, behind: str) -> bool:
    if DURATION.match(behind):
        return True
    one, other = (float(text.replace(",", "")) for text in (wanted, got))
    points = next((points for unit, points in NEAR.items() if behind.startswith(unit)), None)
    return abs(one - other) <= (abs(one) / 10 if points is None else points)


def _even(line: str) -> str:
    """Without what depends on widths: one space, one ruler character for several."""
    return re.sub(r"([ =_-])\1+", r"\1", line).strip()
