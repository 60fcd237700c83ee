"""A board with ST's validation firmware, from its lease to its release.

Nothing is flashed, and the protocol has no proof of the model: what the device says of its network is
compared with what the inventory and the model under test say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.foreign_board import ForeignBoard
from pytest_quantcheck.rig.leased import LeasedBoard, LeaseOptions
from pytest_quantcheck.rig.open_board import OpenBoard
from pytest_quantcheck.rig.protocols.transport import Transport
from pytest_quantcheck.rig.stai.device import Identity, StaiDevice, StaiResult
from pytest_quantcheck.rig.stai.settings import StaiSettings

if TYPE_CHECKING:
    from typing_extensions import Unpack


class StaiBoard(ForeignBoard[StaiDevice, Identity]):
    """A board whose firmware answers SYNC."""

    ASKING = "ask for system and networks"
    REMEDIES: ClassVar[Mapping[str, str]] = {
        **OpenBoard.REMEDIES,
        "link": "look at console wiring, ground and baud (the inventory's), and at the protocol's version "
        '(version = "3.1" or "3.2" in [board.protocol_settings]); a board that lost a byte waits for it '
        "until it is restarted (reset = ... in the inventory)",
        "protocol": "the board must run ST's validation application, made of the model under test "
        "(docs/stai.md)",
    }

    def device_on(self, transport: Transport) -> StaiDevice:
        """As ``ForeignBoard``."""
        return StaiDevice(transport, StaiSettings.of(self.entry), self.log, self.deadlines)

    def asked(self, device: StaiDevice, seconds: float) -> Identity:
        """As ``ForeignBoard``."""
        return device.identify(silence=seconds)


class StaiSession(LeasedBoard[StaiBoard]):
    """One board of a pool. Arguments as of ``LeaseOptions``; methods raise ``RigFault``."""

    def __init__(self, pool: Sequence[BoardEntry], **options: Unpack[LeaseOptions]) -> None:
        super().__init__(pool, opened=StaiBoard, **options)

    def start(self) -> Identity:
        """Lease a board and ask who is there; asked anew each time."""
        self.begin()
        return self.connection.identity

    def infer(
        self, samples: Sequence[Sequence[bytes]], checked: Identity, *, nodes: bool
    ) -> list[StaiResult]:
        """One inference for each of ``samples`` (the bytes of all inputs); ``nodes``: with each node's time.

        After a fault the board is restarted and goes on with the sample it failed at. Whoever answers, now
        and after a restart, must be the one that was ``checked``.
        """
        done: list[StaiResult] = []

        def go_on() -> list[StaiResult]:
            self.connection.require(checked)
            for inputs in samples[len(done) :]:
                with self.connection.stage("inference"):
                    done.append(self.connection.device.run(checked.network, inputs, nodes=nodes))
                self.progress("inferences", len(done), len(samples))
            return done

        return self._guarded(go_on)
