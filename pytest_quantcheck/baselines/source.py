"""Where stored values are read from: a folder, or a commit of git, read without checking it out."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Protocol

from pytest_quantcheck.baselines.content import Content
from pytest_quantcheck.baselines.repository import LAST_TAG, Repository
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole

GIT = "git:"


class Source(Protocol):
    """Somewhere that files of baselines can be read from; ``name`` is what messages call it."""

    @property
    def name(self) -> str: ...

    def read(self, file: str) -> Content:
        """The content of a file, named relative to rootdir with slashes; empty where there is none.

        Raises ``UsageError`` for a file that cannot be read, or holds anything else.
        """

    def check(self) -> None:
        """Raises ``UsageError`` where nothing can ever be read."""


class Folder:
    """A folder that holds the files as rootdir does: rootdir itself, or another checkout."""

    def __init__(self, root: Path) -> None:
        self.root, self.name = root, str(root)

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
        self.name = f"{GIT}{ref}"
        self._ref, self._repository = ref, Repository(root)

    def read(self, file: str) -> Content:
        try:
            data = self._repository.read(self._commit, file)
        except UsageError as error:
            raise UsageError(f"--qc-baseline {self.name}: {error}") from error
        return Content() if data is None else Content.parse(data, f"{file} of {self.name}")

    def check(self) -> None:
        _ = self._commit

    @cached_property
    def _commit(self) -> str:
        try:
            return self._repository.commit(self._ref)
        except UsageError as error:
            where = self._repository.root
            what = f"no commit of {where} is called so"
            if self._ref == LAST_TAG:
                what = (
                    f"{where} has no tag before this commit (its own do not count). A first release has "
                    "nothing to be compared with: leave --qc-baseline out"
                )
            raise UsageError(
                f"--qc-baseline {self.name}: {what} ({error}). A shallow clone "
                "lacks tags and older commits: fetch them (git fetch --tags --unshallow; fetch-depth: 0 of "
                "actions/checkout)"
            ) from error


def source_of(given: str, root: Path) -> Source:
    """A folder, or ``git:REF``; rootdir (``root``) where nothing is given."""
    if not given:
        return Folder(root)
    if given.startswith(GIT):
        return Revision(given.removeprefix(GIT), root)
    return Folder(Path(given))
