"""A watch over folders: what was made, changed or removed there, by whichever process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import watchfiles

_STEP_MS = 50


class Watch:
    """Between ``with`` and its end: ``changes`` are the paths below ``folders`` that were touched, but
    not below ``allowed``. The operating system reports them, so what was made and removed counts too.
    """

    def __init__(self, folders: Sequence[Path], allowed: Sequence[Path]) -> None:
        self._folders = [folder for folder in folders if folder.is_dir()]
        self._allowed = [folder.resolve() for folder in allowed]
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.changes: set[str] = set()

    def __enter__(self) -> Watch:
        self._thread.start()
        self._ready.wait(timeout=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.wait(timeout=4 * _STEP_MS / 1000)  # let the last changes arrive
        self._stop.set()
        self._thread.join(timeout=60)

    def _follow(self) -> None:
        found = watchfiles.watch(
            *self._folders,
            watch_filter=None,
            stop_event=self._stop,
            step=_STEP_MS,
            debounce=_STEP_MS,
            rust_timeout=_STEP_MS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )
        for changes in found:
            self._ready.set()
            self.changes |= {path for _, path in changes if not self._is_allowed(Path(path))}

    def _is_allowed(self, path: Path) -> bool:
        return any(folder == path or folder in path.parents for folder in self._allowed)
