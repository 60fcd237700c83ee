"""A board with somebody else's firmware that speaks MLPerf Tiny's protocol, from its lease to its release.

Nothing is flashed, and the protocol has no proof of the model: what the device says it holds is compared with
what the inventory expects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.foreign_board import ForeignBoard
from pytest_quantcheck.rig.leased import LeasedBoard, LeaseOptions
from pytest_quantcheck.rig.mlperf.device import Identity, MlperfDevice, Scores
from pytest_quantcheck.rig.mlperf.settings import MlperfSettings
from pytest_quantcheck.rig.open_board import OpenBoard
from pytest_quantcheck.rig.protocols.transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack


class MlperfBoard(ForeignBoard[MlperfDevice, Identity]):
    """A board whose firmware answers ``name%`` and ``profile%``."""

    ASKING = "ask name and profile"
    REMEDIES: ClassVar[Mapping[str, str]] = {
        **OpenBoard.REMEDIES,
        "link": "look at console wiring, ground and baud (the inventory's: this protocol agrees on none)",
        "protocol": "the board must run a firmware for MLPerf Tiny's runner, and hold the model under test; "
        "try the commands in a terminal (docs/mlperf-tiny.md)",
        "crash": "its power may be weak, or opening the port resets it; the serial log has what went before",
    }

    def device_on(self, transport: Transport) -> MlperfDevice:
        """As ``ForeignBoard``."""
        return MlperfDevice(transport, self.log, self.deadlines)

    def asked(self, device: MlperfDevice, seconds: float) -> Identity:
        """As ``ForeignBoard``; the model it names must be the inventory's."""
        identity = device.identify(silence=seconds)
        wanted = MlperfSettings.of(self.entry).model
        if wanted and identity.model != wanted:
            raise RigFault(
                "protocol",
                f"the device says it holds {identity.model!r}, the inventory expects model = {wanted!r}",
            )
        return identity


class MlperfSession(LeasedBoard[MlperfBoard]):
    """One board of a pool. Arguments as of ``LeaseOptions``; methods raise ``RigFault``."""

    def __init__(self, pool: Sequence[BoardEntry], **options: Unpack[LeaseOptions]) -> None:
        super().__init__(pool, opened=MlperfBoard, **options)

    def start(self) -> Identity:
        """Lease a board and ask who is there; asked anew each time."""
        self.begin()
        return self.connection.identity

    def infer(self, samples: Sequence[bytes], checked: Identity, *, outputs: int) -> list[Scores]:
        """Scores of each sample, after as many iterations and warm-ups as the inventory says; ``outputs`` is
        how many the model under test has.

        After a fault the board is restarted and goes on with the sample it failed at. Whoever answers, now
        and after a restart, must be the one that was ``checked``.
        """
        done: list[Scores] = []

        def go_on() -> list[Scores]:
            self.connection.require(checked)
            settings = MlperfSettings.of(self.entry)
            for sample in samples[len(done) :]:
                device = self.connection.device
                with self.connection.stage("inference"):
                    device.load(sample)
                    done.append(device.infer(settings.iterations, settings.warmups, outputs=outputs))
                self.progress("inferences", len(done), len(samples))
            return done

        return self._guarded(go_on)
