"""The one board that this process holds: taken for a test, kept while the next test wants the same."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin.settings import Settings
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.inventory import Inventory
from pytest_quantcheck.rig.serial_log import log_folder

if TYPE_CHECKING:
    from pytest_quantcheck.rig.model_firmware import ModelFirmware
    from pytest_quantcheck.runners.boards import AnyBoard

_LONGEST_NAME = 200
_HAND_OVER_SECONDS = 0.3  # somebody who waits for a lease looks every 0.1 s


class BoardPool:
    """Hands out boards of an inventory, one at a time. Faults and quarantine last for the whole run.

    The inventory is read when the first board is wanted: host tests need no rig, not even a sound one.
    With ``shared`` other workers of this run may wait for the same boards: a board is then handed on
    after a quarter of the time that they are willing to wait.
    """

    def __init__(
        self, inventory: Callable[[], Inventory | None], settings: Settings, *, shared: bool = False
    ) -> None:
        self._inventory = inventory
        self._settings = settings
        self._shared = shared
        self._since = 0.0
        self._wanted, self._storage = "", "auto"
        self._runner: AnyBoard | None = None
        self.ledger = FaultLedger(retries=settings.infra_retries)

    def take(self, wanted: str, *, test: str, storage: str = "auto") -> AnyBoard:
        """A board of the target (or the board of the name) ``wanted``, running and proven. ``RigFault``.

        ``storage`` is where models go on it (see ``BoardSession``).
        """
        if (self._wanted, self._storage) != (wanted, storage):
            self.release()
        if self._runner is None:
            from pytest_quantcheck.runners.boards import board_runner  # most runs have no board

            self._runner = board_runner(
                self._pool(wanted),
                log_dir=self._logs,
                lease_timeout=self._settings.lease_timeout,
                ledger=self.ledger,
                storage=storage,
                firmware=self._firmware,
                deadlines=Deadlines.of_runs(self._settings.run_timeout),
            )
            self._wanted, self._storage = wanted, storage
            self._since = 0.0
        session = self._runner.session
        session.who = test
        log = self.log_path(test)
        log.unlink(missing_ok=True)
        session.log_to(log)
        session.begin()
        self._since = self._since or time.monotonic()
        return self._runner

    @cached_property
    def _logs(self) -> Path:
        return log_folder(self._settings.log_dir)

    @cached_property
    def _firmware(self) -> ModelFirmware:
        from pytest_quantcheck.cache import Cache  # most runs have no board
        from pytest_quantcheck.rig.model_firmware import ModelFirmware

        return ModelFirmware(self._logs / "firmware", Cache(self._settings.cache))

    def release(self, *, unless: str = "") -> None:
        """Give the board back, unless it is of the target (or has the name) ``unless``."""
        if self._runner is None:
            return
        wanted_again = bool(unless) and unless == self._wanted
        if wanted_again and not self._is_others_turn():
            return
        runner, self._runner, self._wanted = self._runner, None, ""
        runner.session.close()
        if wanted_again:
            time.sleep(_HAND_OVER_SECONDS)

    def _is_others_turn(self) -> bool:
        """Nobody waits for a virtual board; a real one is handed on before the others' waiting time ends."""
        if not self._shared or all(entry.virtual for entry in self._pool(self._wanted)):
            return False
        return time.monotonic() - self._since > self._settings.lease_timeout / 4

    def log_path(self, test: str) -> Path:
        """The serial log of a test, by its id: one file per test, written anew in every run.

        A name that two tests could share once it is cleaned ends in eight digits of the id's SHA-256.
        """
        module, _, name = test.partition("::")
        folder = re.sub(r"[^A-Za-z0-9._-]+", "-", module.removesuffix(".py"))
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")
        plain = name.replace("::", "-").replace("[", "-").removesuffix("]")
        odd = not re.fullmatch(r"[A-Za-z0-9._/]+", module)
        if readable != plain or len(readable) > _LONGEST_NAME or odd:
            digest = hashlib.sha256(test.encode("utf-8", "surrogatepass")).hexdigest()[:8]
            readable = f"{readable[:_LONGEST_NAME]}-{digest}"
        return self._logs / folder / f"{readable}.log"

    def _pool(self, wanted: str) -> tuple[BoardEntry, ...]:
        inventory = self._inventory()
        if inventory is None:
            raise UsageError("there is no rig; give --qc-rig virtual or --qc-rig FILE")
        return (inventory.board(wanted),) if self._settings.each_board else inventory.choice(wanted)
