"""``Repository``: what git knows about the files of a folder. Commits are read, nothing is checked out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pytest_quantcheck.errors import UsageError

LAST_TAG = "last-tag"
"""Stands for the newest tag behind the commit that is checked out: the last release."""
_ENVIRONMENT = {
    "GIT_LITERAL_PATHSPECS": "1",  # no name of a file is a pattern
    "GIT_OPTIONAL_LOCKS": "0",  # asking writes nothing
}


class Repository:
    """The repository that the folder ``root`` is in. What git refuses is a ``UsageError`` in its own words;
    it is given ``seconds`` for each answer.
    """

    def __init__(self, root: Path, seconds: float = 60) -> None:
        self.root, self._seconds = root, seconds

    def commit(self, ref: str) -> str:
        """The full name of the commit that ``ref`` names: a branch, a tag, a commit, or ``last-tag``."""
        if ref == LAST_TAG:
            ref = self.last_tag()
        if ref.startswith("-"):  # git would take it for an option
            raise UsageError("a name does not begin with -")
        return self._git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").decode().strip()

    def last_tag(self) -> str:
        """The newest tag before the commit that is checked out; its own tags do not count, so that a
        release is compared with the one before it.
        """
        found = self._git("describe", "--tags", "--abbrev=0", "HEAD^")
        return f"refs/tags/{found.decode('utf-8', 'surrogateescape').strip()}"

    def read(self, commit: str, file: str) -> bytes | None:
        """A file, named relative to ``root``, as of ``commit``; None where that commit has none."""
        if PurePosixPath(file).parts[0] == "..":
            raise UsageError(f"{file} is outside of rootdir")
        listed = self._git("ls-tree", "-z", commit, "--", file).decode("utf-8", "replace").split("\0")[0]
        facts = listed.partition("\t")[0].split()
        if not facts:
            return None
        if facts[1] != "blob":
            raise UsageError(f"{file} is no file in that commit")
        return self._git("cat-file", "blob", facts[2])

    def commits(self, file: str, most: int) -> list[str]:
        """The newest ``most`` commits that changed a file, oldest first; none without a commit."""
        found = self._git("rev-list", f"--max-count={most}", "HEAD", "--", file)
        return found.decode().split()[::-1]

    def versions(self, file: str, commits: Sequence[str], most: int) -> list[tuple[str, bytes]]:
        """A file as of each commit that has it, in the order of ``commits``; of more than ``most`` bytes
        altogether the last ones.
        """
        if "\n" in file:  # ends a question to git
            return []
        asked = "".join(f"{commit}:./{file}\n" for commit in commits)
        told = self._git("cat-file", "--batch-check", given=asked).splitlines()
        chosen: list[tuple[str, str]] = []
        for commit, line in zip(reversed(commits), reversed(told), strict=True):
            name, *facts = line.decode("utf-8", "replace").rsplit(" ", 2)
            if facts[:1] == ["blob"] and (most := most - int(facts[1])) >= 0:
                chosen.insert(0, (commit, name))
        rest = self._git("cat-file", "--batch", given="".join(f"{name}\n" for _, name in chosen))
        found = []
        for commit, _ in chosen:
            head, _, rest = rest.partition(b"\n")
            size = int(head.split()[-1])
            found.append((commit, rest[:size]))
            rest = rest[size + 1 :]
        return found

    def _git(self, *arguments: str, given: str = "") -> bytes:
        try:
            done = subprocess.run(
                ["git", *arguments],
                cwd=self.root,
                env={**os.environ, **_ENVIRONMENT},
                capture_output=True,
                timeout=self._seconds,
                check=False,
                input=given.encode("utf-8", "surrogateescape"),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"git cannot be asked: {error}") from error
        if done.returncode:
            words = done.stderr.decode("utf-8", "replace").strip() or f"git ended with {done.returncode}"
            raise UsageError(words)
        return done.stdout
