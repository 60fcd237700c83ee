"""Files of a folder, in an order that does not depend on the file system."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.wording import counted, shortened

MOST_FILES = 2_000_000


@dataclass(frozen=True)
class Listing:
    """``files`` under ``folder``, sorted by ``names``, which are relative to it with forward slashes."""

    folder: Path
    names: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Where they are."""
        return tuple(self.folder / name for name in self.names)

    def classes(
        self, wanted: Sequence[str] | None, *, all_there: bool = True
    ) -> tuple[tuple[str, ...], list[int] | None]:
        """The names of the classes, which are the folders directly in ``folder``, and each file's label.

        No labels where the files lie in ``folder`` itself. ``wanted`` gives the order; unless ``all_there``,
        some of them may have no folder. Raises ``UsageError``.
        """
        tops = [name.partition("/")[0] if "/" in name else "" for name in self.names]
        if "" in tops and set(tops) != {""}:
            loose = self.names[tops.index("")]
            raise UsageError(
                f"{self.folder} holds both class folders and files of its own, such as {loose}; "
                "put each file into the folder of its class"
            )
        if set(tops) == {""}:
            return tuple(wanted or ()), None
        found = sorted(set(tops))
        names = tuple(wanted) if wanted else tuple(found)
        missing = set(names) - set(found) if all_there else set()
        if missing or set(found) - set(names) or len(set(names)) != len(names):
            raise UsageError(
                f"classes={shortened(names, 8)}, but the folders of {self.folder} are {shortened(found, 8)}; "
                "name each once, or leave classes out"
            )
        return names, [names.index(top) for top in tops]


def listed(folder: str | Path, endings: Collection[str]) -> Listing:
    """All files under ``folder`` whose name ends so (lower or upper case), but no hidden ones.

    Links to folders are followed, once. Raises ``UsageError`` where there is no folder or no such file.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"{root} is {'no folder' if root.exists() else 'not there'}; a folder is wanted")
    names: list[str] = []
    seen: set[str] = set()
    for here, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [] if real in seen else sorted(f for f in folders if not f.startswith("."))
        if real in seen:
            continue
        seen.add(real)
        names += [
            Path(here, file).relative_to(root).as_posix()
            for file in files
            if not file.startswith(".") and Path(file).suffix.lower() in endings
        ]
        if len(names) > MOST_FILES:
            raise ModelError(f"{root} holds more than {counted(MOST_FILES, 'file')}")
    if not names:
        raise UsageError(f"{root} holds no file that ends with {', '.join(sorted(endings))}")
    return Listing(root, tuple(sorted(names)))
