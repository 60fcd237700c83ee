"""A device with ST's validation firmware, written from the protocol's specification: a TCP port that answers.

It holds a function from input tensors to output tensors. Messages are made by google.protobuf from the schema
below; it shares no code with our host.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Tensors = list[bytes]
Model = Callable[[Tensors], Tensors]
Spoil = Callable[[Any], Any]

FORMATS = {
    "q7": 0x840447,
    "int8": 0x840440,
    "uint8": 0x40440,
    "int16": 0x840840,
    "int32": 0x841040,
    "float32": 0x821040,
}
IDLE, WAITING, PROCESSING, DONE, ERROR = range(5)
INTERNAL, LAST_NODE, WITHOUT_TENSOR = 1, 2, 4  # in bits 24 to 31 of an operator's type
LAST, NO_DATA = 256, 512  # flags of a tensor
OBSERVER, PER_LAYER, RESET_STATES = 1, 2, 1
# number, name, type; r: required, *: repeated
SCHEMA = {
    "Request": "1 reqid r uint32, 2 cmd r uint32, 3 param r uint32, 4 name r string, 5 opt r uint32",
    "Ack": "1 param r uint32, 2 error r uint32",
    "Log": "1 level r uint32, 2 str r string",
    "Data": "1 type r uint32, 2 size r uint32, 3 addr r uint32, 4 datas r bytes",
    "Desc": "1 name r string, 2 format r uint32, 3 size r uint32, 4 n_dims r uint32, 5 dims * uint32,"
    " 6 scale r float, 7 zeropoint r int32, 8 addr r uint32, 9 flags r uint32",
    "Op": "1 name r string, 2 type r uint32, 3 id r uint32, 4 duration r float, 5 counter_type r uint32,"
    " 6 counters * uint32, 7 stack_used r int32, 8 heap_used r int32",
    "Tensor": "1 desc r Desc, 2 data r Data",
    "Model": "1 name r string, 2 rtid r uint32, 3 signature r string, 4 compile_datetime r string,"
    " 5 runtime_version r uint32, 6 tool_version r uint32, 7 n_macc r uint64, 8 n_nodes r uint32,"
    " 10 n_inputs r uint32, 11 inputs * Desc, 12 n_outputs r uint32, 13 outputs * Desc,"
    " 14 n_activations r uint32, 15 activations * Desc, 16 n_params r uint32, 17 params * Desc,"
    " 20 runtime_desc r string, 21 n_install_time r float, 22 n_init_time r float",
    "Sync": "1 version r uint32, 4 capability r uint32, 5 rtid r uint32",
    "System": "1 devid r uint32, 2 sclock r uint32, 3 hclock r uint32, 4 cache r uint32,"
    " 5 com_param r uint32, 6 extra * uint32",
    "Response": "1 reqid r uint32, 2 state r uint32, 10 sync o Sync, 11 sinfo o System, 12 ack o Ack,"
    " 13 log o Log, 15 data o Data, 16 op o Op, 17 tensor o Tensor, 22 minfo o Model",
}


def _schema() -> dict[str, Any]:
    field = descriptor_pb2.FieldDescriptorProto
    labels = {"r": field.LABEL_REQUIRED, "*": field.LABEL_REPEATED, "o": field.LABEL_OPTIONAL}
    file = descriptor_pb2.FileDescriptorProto(name="stm32msg.proto", package="t", syntax="proto2")
    for name, rows in SCHEMA.items():
        message = file.message_type.add(name=name)
        for row in rows.split(","):
            number, called, label, kind = row.split()
            made = message.field.add(name=called, number=int(number), label=labels[label])
            if kind in SCHEMA:
                made.type, made.type_name = field.TYPE_MESSAGE, f".t.{kind}"
            else:
                made.type = getattr(field, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"t.{name}")) for name in SCHEMA}


M = _schema()


@dataclass(frozen=True)
class Edge:
    """An input or output as the device describes it; ``dims`` in the ``order`` of the protocol's numbers."""

    name: str
    dtype: str
    dims: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0
    order: int = 5

    @property
    def size(self) -> int:
        return math.prod(self.dims)

    def desc(self, flags: int = 0) -> Any:
        return M["Desc"](
            name=self.name, format=FORMATS[self.dtype], size=self.size, dims=self.dims,
            n_dims=self.order << 24 | len(self.dims),
            scale=self.scale, zeropoint=self.zero_point, addr=0x20000000, flags=flags,
        )  # fmt: skip


class StaiTestDevice:
    """Answers on ``url`` until ``close``. ``spoil(response)`` may change a response before it is sent, or
    give bytes that are sent as they are (None: nothing). ``nodes``: name and milliseconds of each.
    ``forget()`` resets the network's states; ``info`` changes what NETWORK_INFO says.
    """

    def __init__(
        self,
        model: Model,
        inputs: Sequence[Edge],
        outputs: Sequence[Edge],
        *,
        name: str = "network",
        minor: int = 2,
        packet: int = 0,
        nodes: Sequence[tuple[str, float]] = (("conv", 0.75), ("dense", 0.5)),
        capability: int = OBSERVER,
        logs: Sequence[str] = (),
        spoil: Spoil = lambda response: response,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self.commands: list[tuple[int, int, str]] = []
        self.spoil, self.minor = spoil, minor
        self.info: dict[str, Any] = {}
        self.hold(model, inputs, outputs)
        self._name, self._forget = name, forget
        self._nodes, self._capability, self._logs, self._packet = nodes, capability, logs, packet
        self._header, self._payload = (2 if minor >= 2 else 1), 32
        self._client: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def hold(self, model: Model, inputs: Sequence[Edge], outputs: Sequence[Edge]) -> None:
        """Have this network from now on, as after flashing."""
        self._model, self._inputs, self._outputs = model, list(inputs), list(outputs)

    @property
    def url(self) -> str:
        """What ``serial_for_url`` takes."""
        return f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Hang up."""
        for each in (self._listener, self._client):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        while True:
            try:
                self._client, _ = self._listener.accept()
            except OSError:
                return
            self._payload = 32
            with self._client, contextlib.suppress(OSError, EOFError):
                while True:
                    self._answer(self._read(M["Request"]))

    def _exactly(self, count: int) -> bytes:
        made = b""
        assert self._client is not None
        while len(made) < count:
            data = self._client.recv(count - len(made))
            if not data:
                raise EOFError
            made += data
        return made

    def _read(self, kind: Any) -> Any:
        """A message of the host: its size in front, a byte of ours after each packet but the last."""
        made, size, start = b"", None, 0
        assert self._client is not None
        while size is None or len(made) < start + size:
            if made:
                self._client.sendall(b"\xaa")
            packet = self._exactly(self._header + self._payload)
            length = int.from_bytes(packet[: self._header], "big")
            made += packet[self._header : self._header + length]
            if size is None:
                size = 0
                for start, byte in enumerate(made, start=1):
                    size |= (byte & 0x7F) << 7 * (start - 1)
                    if byte < 0x80:
                        break
        return kind.FromString(made[start : start + size])

    def _send(self, request: Any, state: int, **payload: Any) -> None:
        response = self.spoil(M["Response"](reqid=request.reqid, state=state, **payload))
        assert self._client is not None
        if response is None or isinstance(response, bytes):
            self._client.sendall(response or b"")
            return
        data = response.SerializeToString()
        flag = 1 << (8 * self._header - 1)
        for at in range(0, len(data), self._payload):
            part = data[at : at + self._payload]
            head = len(part) | flag * (at + self._payload >= len(data))
            self._client.sendall(head.to_bytes(self._header, "big") + part.ljust(self._payload, b"\0"))

    def _ack(self, request: Any, state: int, error: int = 0) -> None:
        self._send(request, state, ack=M["Ack"](param=0, error=error))

    def _answer(self, request: Any) -> None:
        self.commands.append((request.cmd, request.param, request.name))
        for text in self._logs:
            self._send(request, IDLE, log=M["Log"](level=1, str=text))
            self._read(M["Ack"])
        if request.cmd == 0:
            version = 3 << 8 | self.minor
            sync = M["Sync"](version=version, capability=self._capability, rtid=1 | 1 << 8 | 1 << 16)
            self._send(request, IDLE, sync=sync)
        elif request.cmd == 1:
            system = M["System"](
                devid=0x450, sclock=480_000_000, hclock=240_000_000, cache=0, com_param=self._packet
            )
            self._send(request, IDLE, sinfo=system)
            self._payload = self._packet or self._payload
        elif request.cmd == 10 and request.param == 0:
            self._send(request, IDLE, minfo=self._info())
        elif request.cmd == 11 and request.name == self._name:
            self._run(request)
        else:
            self._ack(request, ERROR, error=6 if request.cmd not in (10, 11) else 4)

    def _info(self) -> Any:
        memory = [Edge("m", "int8", (size,)).desc() for size in (4096, 12_288)]
        said = M["Model"](
            name=self._name, rtid=1, signature="0x1f2e3d", compile_datetime="now", runtime_version=0x0A020000,
            tool_version=0x02020000, n_macc=1, n_nodes=len(self._nodes), n_inputs=len(self._inputs),
            inputs=[each.desc(1) for each in self._inputs], n_outputs=len(self._outputs),
            outputs=[each.desc(2) for each in self._outputs], n_activations=1, activations=memory[:1],
            n_params=1, params=memory[1:], runtime_desc="rt", n_install_time=0, n_init_time=0,
        )  # fmt: skip
        for key, value in self.info.items():
            setattr(said, key, value)
        return said

    def _run(self, request: Any) -> None:
        self._ack(request, WAITING)
        given = []
        for number in range(1, len(self._inputs) + 1):
            given.append(self._read(M["Data"]).datas)
            self._ack(request, PROCESSING if number == len(self._inputs) else WAITING)
            self._read(M["Ack"])
        if request.opt & RESET_STATES:
            self._forget()
        results = self._model(given)
        if request.param & PER_LAYER:
            self._tell_nodes(request)
        whole = sum(duration for _, duration in self._nodes)
        self._op(request, self._name, 0, 0, whole)
        for number, (edge, data) in enumerate(zip(self._outputs, results, strict=True), start=1):
            last = number == len(self._outputs)
            tensor = M["Tensor"](
                desc=edge.desc(2 | LAST * last), data=M["Data"](type=0, size=len(data), addr=0, datas=data)
            )
            self._send(request, DONE if last else PROCESSING, tensor=tensor)

    def _op(self, request: Any, name: str, flags: int, number: int, milliseconds: float) -> None:
        op = M["Op"](
            name=name, type=flags << 24 | 7, id=number, duration=milliseconds, counter_type=0,
            counters=[1, 2], stack_used=-1 if flags else 904, heap_used=-1,
        )  # fmt: skip
        self._send(request, PROCESSING, op=op)

    def _tell_nodes(self, request: Any) -> None:
        """The first node has no buffers and says so, the others have two tensors."""
        for number, (name, milliseconds) in enumerate(self._nodes):
            last = number + 1 == len(self._nodes)
            without = WITHOUT_TENSOR * (number == 0)
            self._op(request, name, INTERNAL | LAST_NODE * last | without, number, milliseconds)
            for end in (False, True) if number else ():
                self._tensor(request, LAST * end)

    def _tensor(self, request: Any, flags: int) -> None:
        """One of a node, without its data."""
        desc = Edge("t", "int8", (4,)).desc(4 | NO_DATA | flags)
        data = M["Data"](type=0, size=0, addr=0, datas=b"")
        self._send(request, PROCESSING, tensor=M["Tensor"](desc=desc, data=data))
