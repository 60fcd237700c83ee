"""``python -m tests.hostile.lying_boards``: boards that lie, one at a time, in every field of every message.

Whatever a board says, a session ends with a fault of the rig within its deadlines, or with the results
that an honest board gives where the lie changes none. The board is the real firmware in a process; the
lie is in the line (``lies.py``).
"""

from __future__ import annotations

import random
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from unittest.mock import patch

from pytest_quantcheck.errors import ImageError, QuantcheckError, RigFault
from pytest_quantcheck.rig import open_board
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.link.device_error import DeviceError
from pytest_quantcheck.rig.protocols.transport import Transport
from pytest_quantcheck.rig.session import BoardArtefact, BoardSession
from rigs.posix.board import PosixBoard
from rigs.posix.firmware import build
from tests.hostile.lies import MESSAGES, Lie, LyingLine, Recorder, Told, all_lies
from tests.hostile.result import Result, table

SHORT = Deadlines(answer=0.3, operator=0.3, request=0.9, hello=0.9, awake=0.3, reset=0.3, boot=0.4)
SECONDS = 60.0  # several of these deadlines, the fall-back from a rate that failed, a busy machine
_HONEST = Deadlines(answer=20.0)  # on a machine that is busy with other things
_OPERATORS = 3
_ELEMENTS = {"ram": 1200, "flash": 64}  # more than a frame takes, and few enough for RUN to carry them

# What a board reports of its own work: nobody but the board knows it, and the verdict gets it as it is.
_REPORTED = {
    "RUN": {"counter", "stack_bytes", "operators", "data"},
    "READ": {"data"},
    "READ of records": {"index", "source_index", "crc32", "nbytes", "counter"},
    "DESCRIBE": {"arena_bytes", "operators", "dtype"},
    "HELLO": {"capabilities"},
}


class HangError(BaseException):
    """Over its deadline. No ``Exception``, so that nothing on the way takes it for one of its own."""


@dataclass(frozen=True)
class Model:
    """An element-wise model of the look-up runtime, and two inputs."""

    artefact: BoardArtefact
    vectors: list[list[bytes]]

    @classmethod
    def drawn(cls, elements: int) -> Model:
        luck = random.Random(0)
        tables = b"".join(luck.randbytes(256) for _ in range(_OPERATORS))
        data = b"QLT1" + struct.pack("<II", elements, _OPERATORS) + tables
        return cls(BoardArtefact.of(data, elements), [[luck.randbytes(elements)] for _ in range(2)])


class LyingBoard(PosixBoard):
    """The posix board behind a lying line."""

    recorder: Recorder
    lie: Lie | None = None
    told: Told
    times = 0
    _lines: list[LyingLine]

    def open_port(self) -> Transport:
        line = LyingLine(super().open_port(), self.recorder, self.lie, self.told)
        self._lines = [*getattr(self, "_lines", ()), line]
        return line

    def count(self) -> int:
        """How often the lie was told."""
        return sum(line.times for line in self._lines)


class Liars:
    """Opens lying boards, with the look-up runtime, in place of the family's."""

    def __init__(self, folder: Path) -> None:
        self.entry = BoardEntry("liar", "posix", "posix", firmware=str(build("lookup").path))
        self.folder = folder
        self.models = {storage: Model.drawn(elements) for storage, elements in _ELEMENTS.items()}
        self.recorder = Recorder()
        self.told: Told = {}
        self.honest: list[object] = []
        self.lie: Lie | None = None
        self.times = 0
        self._boards: list[LyingBoard] = []

    def open(self, entry: BoardEntry, log_dir: Path) -> LyingBoard:
        board = LyingBoard(entry, log_dir)
        board.recorder, board.lie, board.told = self.recorder, self.lie, self.told
        self._boards.append(board)
        return board

    def learn(self) -> None:
        """What an honest board says and brings; each message of the link must be among it."""
        self.honest = self.tour(None, _HONEST)
        self.told = dict(self.recorder.told)
        silent = set(MESSAGES) - set(self.told)
        assert not silent, f"no example of {', '.join(sorted(silent))}: let the tour ask for it"

    def tour(self, lie: Lie | None, deadlines: Deadlines) -> list[object]:
        """Every request of the link, with a board that tells ``lie``: what a user would get.

        A process does not count the same twice, so counters are left out.
        """
        self.lie, self._boards = lie, []
        with patch.object(open_board, "family", lambda name: self):
            try:
                return [self._session(storage, deadlines) for storage in self.models]
            finally:
                self.times = sum(board.count() for board in self._boards if hasattr(board, "_lines"))

    def _session(self, storage: str, deadlines: Deadlines) -> object:
        artefact, vectors = self.models[storage].artefact, self.models[storage].vectors
        ledger = FaultLedger(retries=0)
        with BoardSession(
            [self.entry], log_dir=self.folder, ledger=ledger, storage=storage, deadlines=deadlines
        ) as session:
            results = session.infer(artefact, vectors, operators=True)
            tensor = session.tensor(artefact, vectors[0], 1, _ELEMENTS[storage])
            info = session.load(artefact)
            session.device.store()
            if storage == "ram":
                _check_up(session)
            outputs = [each.outputs for each in results]
            records = [[replace(each, counter=0) for each in one.operators] for one in results]
            return outputs, records, tensor, info.inputs, info.outputs, info.arena_bytes


def _check_up(session: BoardSession) -> None:
    """What ``boards --check`` and the fault paths ask, and a restart."""
    device = session.device
    device.counter()
    device.loop(100)
    if device.echo(b"there and back") != b"there and back":
        raise RigFault("link", "ECHO brought back other bytes")
    device.set_baud(230400)
    with suppress(DeviceError):
        device.select(b"\1" * 32)
    device.crash()
    device.reboot()
    device.hello()


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def tell(liars: Liars, lies: Iterable[Lie], result: Result) -> None:
    """Try ``lies``, one after the other, and note in ``result`` what came of them."""
    for lie in lies:
        began = time.monotonic()
        try:
            with _deadline(SECONDS):
                seen = liars.tour(lie, SHORT)
        except (RigFault, ImageError):
            result.refused += 1
        except QuantcheckError as error:
            result.fault("traceback", f"{lie}: {type(error).__name__} is no fault of the rig: {error}")
        except HangError:
            result.fault("hang", f"{lie}: not done after {time.monotonic() - began:.0f} s")
        except Exception as error:
            result.fault("traceback", f"{lie}: {type(error).__name__}: {error}")
        else:
            result.ran += 1
            if seen != liars.honest and lie.field not in _REPORTED.get(lie.message, ()):
                result.fault("wrong pass", f"{lie}: other results, and no fault")
        result.tried += bool(liars.times)


def attack(part: slice = slice(None)) -> Result:
    """Every lie there is, or a part of them."""
    with tempfile.TemporaryDirectory(prefix="quantcheck-liars-") as folder:
        liars = Liars(Path(folder))
        liars.learn()
        result = Result("lying boards")
        tell(liars, list(all_lies(liars.told))[part], result)
        return result


if __name__ == "__main__":
    outcome = attack()
    print(*table([outcome]), *(f"{k}: {each}" for k, e in outcome.faults.items() for each in e), sep="\n")
    sys.exit(bool(outcome.count))
