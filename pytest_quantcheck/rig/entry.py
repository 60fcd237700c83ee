"""One board of an inventory, as its lab describes it."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from pytest_quantcheck.errors import UsageError


@dataclass(frozen=True)
class BoardEntry:
    """One ``[[board]]`` of an inventory: what a lab says about a board it owns."""

    name: str
    family: str
    target: str
    port: str = ""
    probe: str = ""
    baud: int = 115200
    tags: tuple[str, ...] = ()
    firmware: str = "quantcheck"
    protocol: str = "quantcheck"
    reset: str = ""
    power_cycle: str = ""
    place: str = ""  # of a labgrid farm, which then names the port
    console: str = "uart"
    virtual: bool = False
    source: str = ""  # where it was read, for error messages
    settings: Mapping[str, str] = field(default_factory=dict)
    protocol_settings: Mapping[str, str] = field(default_factory=dict)
    firmwares: Mapping[str, str] = field(default_factory=dict)  # artefact or its SHA-256 -> firmware file
    build: str = ""  # the command that makes ``firmware`` of an artefact
    build_sources: tuple[str, ...] = ()  # what else it reads

    @classmethod
    def built_in(cls, name: str, family: str, core: str) -> BoardEntry:
        """The virtual board of a family that needs no inventory; ``core`` is a tag, such as ``riscv``."""
        return cls(name, family, name, tags=("virtual", core), virtual=True, source="built in")

    @property
    def where(self) -> str:
        """The file it was read from, else its name: how an error message begins."""
        return self.source or self.name

    @property
    def own_firmware(self) -> str:
        """The user's firmware file; empty for our firmware and for one that is flashed by others."""
        return "" if self.firmware in ("quantcheck", "external") else self.firmware

    @property
    def by_model(self) -> bool:
        """Whether every model has a firmware of its own, which has it compiled in."""
        return bool(self.firmwares or self.build)

    @property
    def physical_ids(self) -> tuple[str, ...]:
        """What a lease locks, in order: the probe, the port and where its link leads now; else the name.

        A link may be gone while its board resets, and lead elsewhere afterwards: ask once, then keep them.
        """
        if self.place:
            return (f"labgrid:{self.place}",)
        port = os.path.realpath(self.port) if self.port.startswith("/") else self.port
        return tuple(sorted({self.probe, self.port, port} - {""} or {self.name}))

    def check_settings(self, known: Container[str], named: str) -> None:
        """``UsageError`` for a key of ``[board.settings]`` that nobody reads; ``named``: what is allowed."""
        if unknown := sorted(key for key in self.settings if key not in known):
            raise UsageError(
                f"{self.where}: board {self.name!r}: [board.settings] {unknown[0]} = "
                f"{self.settings[unknown[0]]!r} is not known to the family {self.family}; allowed: {named}"
            )
