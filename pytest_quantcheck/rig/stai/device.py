"""A device with ST's validation firmware: its commands as methods with values, each answer checked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.deadlines import USUAL, Deadlines
from pytest_quantcheck.rig.link.frame_log import LogStream
from pytest_quantcheck.rig.protocols.transport import Transport
from pytest_quantcheck.rig.stai.messages import (
    ACK,
    MAJOR,
    OBSERVER,
    RESET_STATES,
    Command,
    Mode,
    Network,
    Operator,
    Response,
    State,
    Sync,
    System,
    data_message,
    log_text,
    refusal,
    request,
)
from pytest_quantcheck.rig.stai.packets import PacketLine
from pytest_quantcheck.rig.stai.settings import StaiSettings
from pytest_quantcheck.rig.stai.tensors import INTERNAL, TensorMessage
from pytest_quantcheck.wording import clipped

_MOST_NETWORKS = 32
_MOST_OPERATORS = 1 << 16
_MOST_TENSORS = 1 << 10  # of one node
_MOST_LOGS = 1 << 16  # between two other messages
_MESSAGE_BYTES = 1 << 14  # without the data of outputs: a network's description has some 100 for each tensor
_MOST_PACKET = 4094


@dataclass(frozen=True)
class Identity:
    """Who answered: the protocol's version, the chip with its clock, and the network that is to run."""

    sync: Sync
    system: System
    network: Network

    @property
    def introduction(self) -> str:
        """For people."""
        system = self.system
        return (
            f"an STM32 (device id 0x{system.device:03X}, {system.clock_hz / 1e6:g} MHz) answers stai "
            f"{self.sync.major}.{self.sync.minor}, holds {self.network.name} ({self.network.runtime} "
            f"{self.network.version}, signature {self.network.signature})"
        )

    @property
    def observes(self) -> bool:
        """Whether it can run layer by layer."""
        return bool(self.sync.capabilities & OBSERVER)


@dataclass(frozen=True)
class StaiResult:
    """One inference: raw outputs, the network as a whole, and its nodes where they were asked for."""

    outputs: tuple[bytes, ...]
    whole: Operator
    nodes: tuple[Operator, ...]


class StaiDevice:
    """The commands of one device. All methods raise ``RigFault``, as ``PacketLine`` and ``protocol`` for an
    answer that cannot be right or that refuses.
    """

    def __init__(
        self,
        transport: Transport,
        settings: StaiSettings,
        log: LogStream | None = None,
        deadlines: Deadlines = USUAL,
    ) -> None:
        self._line = PacketLine(transport, header=settings.header_bytes, log=log)
        self._settings = settings
        self._deadlines = deadlines
        self._log = log
        self._request = 0
        self._end = 0.0  # of the request: the monotonic clock

    def identify(self, *, silence: float) -> Identity:
        """Synchronize, and ask for the system and its networks; what came before is dropped. May be asked
        again between runs: the device may have been flashed.
        """
        self._line.drain()
        sync = Sync.of(self._ask(Command.SYNC, "sync", silence))
        if sync.major != MAJOR:
            raise RigFault(
                "protocol", f"the firmware speaks version {sync.major}.{sync.minor}; version {MAJOR} is known"
            )
        system = System.of(self._ask(Command.SYSTEM, "system", silence), sync.minor)
        if system.packet:
            if system.packet > _MOST_PACKET:
                raise RigFault("protocol", f"the device asks for packets of {system.packet} bytes")
            self._line.payload = system.packet
        return Identity(sync, system, self._network())

    def run(self, network: Network, inputs: Sequence[bytes], *, nodes: bool = False) -> StaiResult:
        """One inference of ``network``; with ``nodes`` the device reports each of its nodes."""
        given = [len(data) for data in inputs]
        if given != (wanted := [each.nbytes for each in network.inputs]):
            raise RigFault("protocol", f"the device's inputs have {wanted} bytes, those of the model {given}")
        mode = Mode.OUTPUTS | (Mode.PER_LAYER if nodes else Mode(0))
        self._send(Command.RUN, param=mode, name=network.name, option=RESET_STATES)
        self._expect("ack", State.WAITING, "run")
        for number, data in enumerate(inputs):
            last = number + 1 == len(inputs)
            self._line.send(data_message(data), end=self._end)
            self._expect("ack", State.PROCESSING if last else State.WAITING, f"input {number}")
            self._line.send(ACK, end=self._end)
        told, whole = self._operators(nodes=nodes)
        return StaiResult(self._outputs(network), whole, told)

    def _network(self) -> Network:
        found: list[Network] = []
        while len(found) < _MOST_NETWORKS:
            self._send(Command.NETWORK, param=len(found))
            response = self._receive(self._deadlines.answer)
            if response.kind != "network":
                break
            found.append(Network.of(response.content))
        wanted = self._settings
        for network in found:
            if wanted.network in ("", network.name):
                if wanted.signature not in ("", network.signature):
                    raise RigFault(
                        "protocol",
                        f"the device's network {network.name!r} has the signature {network.signature!r}, the "
                        f"inventory expects {wanted.signature!r}",
                    )
                return network
        names = ", ".join(repr(network.name) for network in found) or "none"
        asked = f", the inventory expects {wanted.network!r}" * bool(wanted.network)
        raise RigFault("protocol", f"the device has these networks: {names}{asked}")

    def _operators(self, *, nodes: bool) -> tuple[tuple[Operator, ...], Operator]:
        """The nodes, each with any number of tensors of which the last one says so, and the whole network,
        which comes last.
        """
        told: list[Operator] = []
        tensors, ended = 0, True  # of the last node; whether no more are due, and whether none may follow
        for _ in range(_MOST_OPERATORS):
            may_be = ("operator", "tensor") if told and not (tensors and ended) else ("operator",)
            response = self._due(may_be, State.PROCESSING, "run", self._deadlines.operator)
            if response.kind == "tensor":
                tensors, ended = tensors + 1, self._of_node(response.content, told[-1])
                if tensors > _MOST_TENSORS:
                    raise RigFault(
                        "protocol", f"node {told[-1].number} has more than {_MOST_TENSORS} tensors"
                    )
                continue
            operator = Operator.of(response.content)
            if not ended:
                raise RigFault("protocol", f"node {told[-1].number} has no last tensor")
            if not operator.node:
                return tuple(told), operator
            if not nodes:
                raise RigFault(
                    "protocol", f"the device reports node {operator.number}, which was not asked for"
                )
            told.append(operator)
            tensors = 0
        raise RigFault("protocol", f"the run never ends: {_MOST_OPERATORS} nodes and tensors came")

    @staticmethod
    def _of_node(content: bytes, node: Operator) -> bool:
        """Whether a tensor of ``node`` is its last one."""
        tensor = TensorMessage.of(content)
        if tensor.kind != INTERNAL:
            raise RigFault(
                "protocol",
                f"a tensor after node {node.number} has the flags 0x{tensor.flags:X}: it is none of its",
            )
        return tensor.last

    def _outputs(self, network: Network) -> tuple[bytes, ...]:
        made = []
        for number, promised in enumerate(network.outputs):
            last, what = number + 1 == len(network.outputs), f"output {number}"
            content = self._expect(
                "tensor", State.DONE if last else State.PROCESSING, what, more_bytes=promised.nbytes
            )
            made.append(TensorMessage.of(content).output(what, promised, last=last))
        return tuple(made)

    def _ask(self, command: Command, kind: str, seconds: float) -> bytes:
        self._send(command)
        return self._expect(kind, State.IDLE, command.name.lower(), seconds)

    def _send(self, command: Command, *, param: int = 0, name: str = "", option: int = 0) -> None:
        self._request += 1
        self._end = time.monotonic() + self._deadlines.request
        self._line.send(request(self._request, command, param=param, name=name, option=option), end=self._end)

    def _expect(
        self, kind: str, state: State, doing: str, seconds: float = 0, *, more_bytes: int = 0
    ) -> bytes:
        """The content of the next message, which must be of this kind, in this state."""
        return self._due((kind,), state, doing, seconds, more_bytes).content

    def _due(
        self, kinds: Sequence[str], state: State, doing: str, seconds: float = 0, more_bytes: int = 0
    ) -> Response:
        """The next message, which must be of one of these kinds, in this state."""
        response = self._receive(seconds or self._deadlines.answer, more_bytes)
        if response.kind == "ack" and (why := refusal(response.content)):
            raise RigFault("protocol", f"the device refused ({doing}): {why}")
        if response.kind not in kinds or response.state != state:
            seen = State(response.state).name if response.state in list(State) else str(response.state)
            raise RigFault(
                "protocol",
                f"{doing}: the device sent {response.kind} in the state {seen}; {' or '.join(kinds)} in the "
                f"state {state.name} is due",
            )
        return response

    def _receive(self, seconds: float, more_bytes: int = 0) -> Response:
        """The next message that is no log."""
        for _ in range(_MOST_LOGS):
            response = Response.of(
                self._line.receive(seconds, end=self._end, most=_MESSAGE_BYTES + more_bytes)
            )
            if response.request != self._request:
                raise RigFault(
                    "protocol", f"the device answers request {response.request}; {self._request} was asked"
                )
            if response.kind != "log":
                return response
            if self._log is not None:
                self._log.write(f"device: {clipped(log_text(response.content), 200)}\n")
            self._line.send(ACK, end=self._end)
        raise RigFault("protocol", "the device sends logs without end")
