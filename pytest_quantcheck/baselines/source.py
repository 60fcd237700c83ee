"""Where stored values are read from: a folder, or a commit of git, read without checking it out."""

from __future__ import annotations

import subprocess
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from pytest_quantcheck.baselines.content import Content
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole

GIT = "git:"
_GIT_SECONDS = 60


class Source(Protocol):
    """Somewhere that files of baselines can be read from."""

    def read(self, file: str) -> Content:
        """The content of a file, named relative to rootdir with slashes; empty where there is none.

        Raises ``UsageError`` for a file that cannot be read, or holds anything else.
        """

    def check(self) -> None:
        """Raises ``UsageError`` where nothing can ever be read."""


class Folder:
    """A folder that holds the files as rootdir does: rootdir itself, or another checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, file: str) -> Content:
        path = self.root / file
        try:
            return Content.parse(read_whole(path), str(path))
        except FileNotFoundError:
            return Content()
        except (OSError, ModelError) as error:
            raise UsageError(f"the baselines {path} cannot be read: {error}") from error

    def check(self) -> None:
        if not self.root.is_dir():
            raise UsageError(
                f"--qc-baseline {self.root}: there is no such folder; give one that is laid out as rootdir "
                f"is, such as another checkout, or {GIT}REF"
            )


class Revision:
    """The files as of a branch, tag or commit of the repository that ``root`` is in."""

    def __init__(self, ref: str, root: Path) -> None:
        self.ref, self.root = ref, root

    def read(self, file: str) -> Content:
        if PurePosixPath(file).parts[0] == "..":
            raise UsageError(f"--qc-baseline {GIT}{self.ref}: {file} is outside of rootdir")
        listed = (
            self._git("ls-tree", "-z", self._commit, "--", file).decode("utf-8", "replace").split("\0")[0]
        )
        facts = listed.partition("\t")[0].split()
        if not facts:
            return Content()
        if facts[1] != "blob":
            raise UsageError(f"--qc-baseline {GIT}{self.ref}: {file} is no file in that commit")
        return Content.parse(self._git("cat-file", "blob", facts[2]), f"{file} of {GIT}{self.ref}")

    def check(self) -> None:
        _ = self._commit

    @cached_property
    def _commit(self) -> str:
        try:
            if self.ref.startswith("-"):  # git would take it for an option
                raise UsageError("a name does not begin with -")
            found = self._git("rev-parse", "--verify", "--quiet", f"{self.ref}^{{commit}}")
        except UsageError as error:
            raise UsageError(
                f"--qc-baseline {GIT}{self.ref}: no commit of {self.root} is called so ({error}). A shallow "
                "clone lacks tags and older commits: fetch them first (git fetch --tags --unshallow)"
            ) from error
        return found.decode().strip()

    def _git(self, *arguments: str) -> bytes:
        try:
            done = subprocess.run(
                ["git", *arguments],
                cwd=self.root,
                capture_output=True,
                timeout=_GIT_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"git cannot be asked: {error}") from error
        if done.returncode:
            words = done.stderr.decode("utf-8", "replace").strip() or f"git ended with {done.returncode}"
            raise UsageError(words)
        return done.stdout


def source_of(given: str, root: Path) -> Source:
    """A folder, or ``git:REF``; rootdir (``root``) where nothing is given."""
    if not given:
        return Folder(root)
    if given.startswith(GIT):
        return Revision(given.removeprefix(GIT), root)
    return Folder(Path(given))
