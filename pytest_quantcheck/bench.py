"""The one board that this process holds: taken for a test, kept while the next test wants the same."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.options import Settings
from pytest_quantcheck.rig.board import BoardEntry
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.inventory import Inventory
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.runners.board import BoardRunner


class Bench:
    """Hands out boards of an inventory, one at a time. Faults and quarantine last for the whole run."""

    def __init__(self, inventory: Inventory | None, settings: Settings) -> None:
        self._inventory = inventory
        self._settings = settings
        self._wanted = ""
        self._runner: BoardRunner | None = None
        self.ledger = FaultLedger(retries=settings.infra_retries)

    def take(self, wanted: str, *, test: str) -> BoardRunner:
        """A board of the target (or the board of the name) ``wanted``, up and proven. Raises ``RigFault``."""
        if self._wanted != wanted:
            self.release()
        if self._runner is None:
            self._runner = BoardRunner(
                BoardSession(
                    self._pool(wanted),
                    log_dir=self._settings.log_dir,
                    lease_timeout=self._settings.lease_timeout,
                    ledger=self.ledger,
                )
            )
            self._wanted = wanted
        session = self._runner.session
        session.who = test
        log = self.log_path(test)
        log.unlink(missing_ok=True)
        session.log_to(log)
        session.start()
        return self._runner

    def release(self, *, unless: str = "") -> None:
        """Give the board back, unless it is of the target (or has the name) ``unless``."""
        if self._runner is None or (unless and unless == self._wanted):
            return
        runner, self._runner, self._wanted = self._runner, None, ""
        runner.session.close()

    def log_path(self, test: str) -> Path:
        """The serial log of a test, by its id: one file per test, written anew in every run."""
        module, _, name = test.partition("::")
        folder = re.sub(r"[^A-Za-z0-9._-]+", "-", module.removesuffix(".py"))
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")
        return self._settings.log_dir / folder / f"{readable[:200]}.log"

    def _pool(self, wanted: str) -> tuple[BoardEntry, ...]:
        if self._inventory is None:
            raise UsageError("there is no rig; give --qc-rig virtual or --qc-rig FILE")
        if self._settings.each_board:
            return (self._inventory.board(wanted),)
        return self._inventory.pool(wanted)
