"""The real firmware in a process of its own, with the look-up runtime, sanitizers on."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import FirmwareImage
from pytest_quantcheck.rig.link.link import Link
from rigs.posix.board import PosixBoard
from rigs.posix.firmware import build
from rigs.posix.line import FaultyLine


@dataclass(frozen=True)
class Lookup:
    """A model of the look-up runtime and what it should say."""

    elements: int
    tables: Sequence[bytes]

    @classmethod
    def random(cls, elements: int, operators: int, seed: int = 0) -> Lookup:
        luck = random.Random(seed)
        return cls(elements, [luck.randbytes(256) for _ in range(operators)])

    @property
    def artefact(self) -> bytes:
        return b"QLT1" + struct.pack("<II", self.elements, len(self.tables)) + b"".join(self.tables)

    def run(self, values: bytes, operators: int | None = None) -> bytes:
        for table in self.tables[:operators]:
            values = values.translate(table[128:] + table[:128])
        return values


@dataclass
class Bench:
    """A board on the table, with its power on; ``connect`` opens a link to it."""

    board: PosixBoard
    log: Path

    def connect(self, *, patience: float = 0.25, **faults: float) -> RemoteDevice:
        transport = self.board.open_port()
        if faults:
            seed = int(faults.pop("seed"))
            transport = FaultyLine(transport, seed=seed, **faults)
        self._open.append(transport)
        return RemoteDevice(Link(transport, log=self.log.open("a", encoding="utf-8"), patience=patience))

    def __post_init__(self) -> None:
        self._open: list[object] = []

    def close(self) -> None:
        for transport in self._open:
            transport.close()  # type: ignore[attr-defined]
        self.board.close()


@pytest.fixture(scope="session")
def lookup_firmware() -> FirmwareImage:
    return build("lookup", SANITIZE="1")


@pytest.fixture
def make_bench(tmp_path: Path, lookup_firmware: FirmwareImage) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(firmware: FirmwareImage = lookup_firmware, **settings: str) -> Bench:
        entry = BoardEntry(
            name="posix-1", family="posix", target="posix", firmware=str(firmware.path), settings=settings
        )
        benches.append(Bench(PosixBoard(entry, tmp_path), tmp_path / "serial.log"))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()
        errors = (tmp_path / "posix-1.process.log").read_text(encoding="utf-8")
        assert "Sanitizer" not in errors and "runtime error" not in errors, errors  # noqa: PT018


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def device(bench: Bench) -> RemoteDevice:
    connected = bench.connect()
    connected.hello()
    return connected
