"""A board from lease to results: every stage is proven before the next, every failure names its stage.

    lease -> open -> HELLO -> firmware (flashed only when HELLO does not prove it) -> HELLO
          -> image (RAM or flash store) -> SELECT -> HELLO proves the image -> inferences

Nothing here knows a chip, and nothing compares numbers.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.errors import ImageError, RigFault, UsageError
from pytest_quantcheck.rig.connection import Connection
from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.lease import Lease
from pytest_quantcheck.rig.leased import LeasedBoard, LeaseOptions
from pytest_quantcheck.rig.link.device_error import DeviceError
from pytest_quantcheck.rig.messages.hello import Hello
from pytest_quantcheck.rig.messages.model import ModelInfo
from pytest_quantcheck.rig.messages.numbers import STATUS_TEXT, Place, Status
from pytest_quantcheck.rig.messages.run import OperatorResult
from pytest_quantcheck.rig.messages.store import StoreListing
from pytest_quantcheck.rig.model_firmware import ModelFirmware
from pytest_quantcheck.rig.store import StoreLayout, plan_slot

if TYPE_CHECKING:
    from typing_extensions import Unpack

STORAGES = ("auto", "ram", "flash")
_PLACES = {"auto": tuple(Place), "ram": (Place.RAM,), "flash": (Place.STORE,)}

_ARTEFACT_STATUSES = frozenset(
    {
        Status.MAGIC,
        Status.VERSION,
        Status.SIZE,
        Status.BOUNDS,
        Status.ALIGN,
        Status.TYPE,
        Status.SHAPE,
        Status.PARAM,
        Status.UNSUPPORTED,
    }
)


class TooBigError(ImageError):
    """The model needs more memory than the board has."""


@dataclass(frozen=True, eq=False)
class BoardArtefact:
    """What a runtime is given: bytes, their SHA-256, and the RAM it takes of the board's pool besides itself:
    arena, inputs, operator records (0: not known).

    ``data`` is empty for a model that is compiled into the firmware; ``sha256`` is then that of the
    artefact it was made from.
    """

    data: bytes
    sha256: bytes
    ram_bytes: int = 0

    @classmethod
    def of(cls, data: bytes, ram_bytes: int = 0) -> BoardArtefact:
        """The artefact that consists of ``data``."""
        return cls(data, hashlib.sha256(data).digest(), ram_bytes)


@dataclass(frozen=True, eq=False)
class Inference:
    """One inference as the board reported it: raw outputs, counter, operators where asked for."""

    outputs: tuple[bytes, ...]
    counter: int
    stack_bytes: int
    operators: tuple[OperatorResult, ...] = ()


class BoardSession(LeasedBoard[Connection]):
    """One board of a pool, from its lease to its release.

    ``pool``: boards of one target, of which any free one is taken. ``storage``: ``auto`` (RAM where image
    and arena fit, else flash), ``ram`` or ``flash``. ``firmware`` makes what is built for a model; the
    sessions of a run share it.
    Further arguments as of ``LeaseOptions``.

    All methods raise ``RigFault`` with kind, board, what was seen and the serial log's path, and
    ``ImageError`` for a model that does not fit the board. Not for two threads at once.
    """

    def __init__(
        self,
        pool: Sequence[BoardEntry],
        *,
        storage: str = "auto",
        firmware: ModelFirmware | None = None,
        **options: Unpack[LeaseOptions],
    ) -> None:
        if storage not in STORAGES:
            raise UsageError(f"storage={storage!r} is not known; allowed: {', '.join(STORAGES)}")
        super().__init__(pool, opened=self._open, **options)
        self._storage = storage
        self._model = b""
        self._firmware = firmware or ModelFirmware(self._log_dir / "firmware", Cache())

    @property
    def device(self) -> RemoteDevice:
        """The link's requests, for checks of the board itself."""
        return self.connection.device

    @property
    def hello(self) -> Hello:
        """The last answer to HELLO."""
        return self.connection.hello

    def start(self, model: bytes = b"") -> Hello:
        """Lease a board, have it prove its firmware, and return its HELLO. Harmless when repeated.

        ``model``: the artefact under test. A board whose inventory has a firmware for each model gets that
        one, from now on; before a model is known it may run any. It is free for others while its firmware
        is built.
        """
        if model and model != self._model:
            self._model = model
            if self._lease is not None and self._lease.entry.by_model:
                self.close()
        self._guarded(lambda: None)
        return self.hello

    def begin(self) -> None:
        """As ``LeasedBoard``; a board whose firmware depends on the model is leased when that is known."""
        if self.is_open or not any(entry.by_model for entry in self.pool):
            super().begin()

    def load(self, artefact: BoardArtefact) -> ModelInfo:
        """Make ``artefact`` the board's model and have the board prove it, now."""
        return self._guarded(lambda: self._load(artefact))

    def infer(
        self,
        artefact: BoardArtefact,
        vectors: Sequence[Sequence[bytes]],
        *,
        operators: bool = False,
        steps: int = 1,
    ) -> list[Inference]:
        """One inference for each of ``vectors`` (the bytes of all inputs); ``operators``: with records.

        The model's states begin anew every ``steps`` inferences. After a fault the board is restarted, has to
        prove firmware and model again, and goes on with the sequence it failed in.
        """
        done: list[Inference] = []

        def go_on() -> list[Inference]:
            self._load(artefact)
            del done[len(done) - len(done) % steps :]
            for inputs in vectors[len(done) :]:
                done.append(self._infer(inputs, operators, carry=len(done) % steps > 0))
                self.progress("inferences", len(done), len(vectors))
            return done

        return self._guarded(go_on)

    def tensor(
        self,
        artefact: BoardArtefact,
        inputs: Sequence[bytes],
        operator: int,
        size: int | None = None,
        *,
        before: Sequence[Sequence[bytes]] = (),
    ) -> bytes:
        """The output of the operator with source index ``operator``, in the source layout; ``size`` bytes.

        ``before`` are the inputs of the steps that lead to this inference.
        """

        def fetch() -> bytes:
            self._load(artefact)
            with self.connection.stage(f"run up to operator {operator}"):
                for number, step in enumerate(before):
                    self.device.infer(step, carry=number > 0)
                self.device.infer(inputs, stop_after=operator, carry=len(before) > 0)
                return self.device.tensor(size)

        return self._guarded(fetch)

    def _leased(self) -> Lease:
        """As ``LeasedBoard``. Nobody waits for a board that waits for a compiler: firmware is made before."""
        if self._lease is None and self._model:
            for entry in self.ledger.usable(self.pool):
                if entry.by_model:
                    self._firmware.path(entry, self._model)
        return super()._leased()

    def _open(self, entry: BoardEntry, **how: Any) -> Connection:
        """Another firmware is another opening: whoever flashes and proves it needs to know only one."""
        if entry.by_model:
            named = str(self._firmware.path(entry, self._model)) if self._model else "external"
            entry = replace(entry, firmware=named)
        return Connection(entry, **how)

    def _infer(self, inputs: Sequence[bytes], operators: bool, *, carry: bool) -> Inference:
        device = self.device
        with self.connection.stage("inference"):
            result = device.infer(inputs, operators=operators, carry=carry)
            records = device.operator_results() if operators else ()
        return Inference(result.outputs, result.counter, result.stack_bytes, records)

    def _load(self, artefact: BoardArtefact) -> ModelInfo:
        connection = self.connection
        hello = connection.refresh()
        if not artefact.data:
            _check_builtin(connection, hello, artefact)
        elif not (_holds(hello, artefact) and hello.place in _PLACES[self._storage]):
            if self._fits_ram(hello, artefact):
                self._load_ram(hello, artefact)
            else:
                self._load_store(hello, artefact)
            if not _holds(connection.refresh(), artefact):
                raise _wrong_image(connection, artefact)
        with connection.stage("DESCRIBE"):
            return connection.device.describe()

    def _fits_ram(self, hello: Hello, artefact: BoardArtefact) -> bool:
        if artefact.ram_bytes > hello.pool_bytes:
            raise self._too_big(artefact)
        fits = len(artefact.data) + artefact.ram_bytes <= hello.pool_bytes
        return {"auto": fits, "ram": True, "flash": False}[self._storage]

    def _load_ram(self, hello: Hello, artefact: BoardArtefact) -> None:
        """To RAM; a runtime that needs more than was known gets the model in flash."""
        self.progress("model to RAM", 0, len(artefact.data))
        try:
            with self._accepting(artefact, "load the model to RAM"):
                self.device.load_ram(artefact.data)
        except TooBigError:
            if self._storage == "ram" or not hello.store_bytes:
                raise
            self._load_store(hello, artefact)
        self.progress("model to RAM", len(artefact.data), len(artefact.data))

    def _load_store(self, hello: Hello, artefact: BoardArtefact) -> None:
        """From the flash store, written first unless an intact copy is there."""
        connection = self.connection
        if not hello.store_bytes:
            raise self._too_big(artefact)
        with connection.stage("list the flash store"):
            listing = connection.device.store()
        if not any(slot.intact and slot.sha256 == artefact.sha256 for slot in listing.slots):
            self._flash_image(hello, artefact, listing)
        if _holds(connection.refresh(), artefact):  # in RAM, where SELECT would leave it
            connection.restart()
            connection.bring_up()
        with self._accepting(artefact, "SELECT the model"):
            connection.device.select(artefact.sha256)

    @contextmanager
    def _accepting(self, artefact: BoardArtefact, doing: str) -> Iterator[None]:
        """What the board refuses for the artefact's sake is the artefact's fault, not the rig's."""
        try:
            with self.connection.stage(doing):
                yield
        except RigFault as fault:
            status = _refusal(fault)
            if status == Status.NO_MEMORY:
                raise self._too_big(artefact) from fault
            if status in _ARTEFACT_STATUSES:
                what = STATUS_TEXT[Status(status)] + self._age(status)
                raise ImageError(f"{self.entry.name} cannot load the image: {what}") from fault
            raise

    def _age(self, status: int) -> str:
        """What else explains a status where nobody knows whether the firmware belongs to this version."""
        firmware = self.entry.firmware
        if status != Status.TYPE or firmware == "quantcheck":
            return ""
        return (
            ", or the board's firmware is older than this image: build it again and flash it, or use ours, "
            f"without firmware = {firmware!r}"
        )

    def _too_big(self, artefact: BoardArtefact) -> TooBigError:
        hello = self.hello
        return TooBigError(
            f"model too big for {self.entry.name}: the image has {len(artefact.data)} bytes and needs "
            f"{artefact.ram_bytes or 'more'} bytes of RAM for arena, inputs and operator records; the board "
            f"has {hello.pool_bytes} bytes of RAM for models and {hello.store_bytes} bytes of flash store. "
            f"Make the largest layers smaller, or take a larger board (quantcheck check tells which)"
        )

    def _flash_image(self, hello: Hello, artefact: BoardArtefact, listing: StoreListing) -> None:
        layout = StoreLayout(hello.store_address, hello.store_bytes, hello.store_alignment)
        plan = plan_slot(
            artefact.data, layout, [(slot.offset, slot.size) for slot in listing.slots], listing.free
        )
        doing = f"flash the model's {len(artefact.data)} bytes"
        if plan.cleared:
            doing += f", giving up {plan.cleared} stored models"
        self.progress("model to flash", 0, len(plan.data))
        self.connection.flash([(plan.address, plan.data)], doing)
        self.statistics.image_flashes += 1
        self.connection.bring_up()
        self.progress("model to flash", len(plan.data), len(plan.data))


def _refusal(fault: RigFault) -> int:
    """The status of the ERROR reply behind a fault; ``Status.OK`` when there was none."""
    return fault.__cause__.status if isinstance(fault.__cause__, DeviceError) else Status.OK


def _holds(hello: Hello, artefact: BoardArtefact) -> bool:
    """Whether the board has just computed that its model is ``artefact``, byte for byte."""
    return (
        hello.place != Place.NONE
        and hello.image_sha256 == artefact.sha256
        and hello.image_bytes == len(artefact.data)
        and hello.image_crc32 == zlib.crc32(artefact.data)
    )


def _wrong_image(connection: Connection, artefact: BoardArtefact) -> RigFault:
    hello = connection.hello
    return connection.fault(
        "protocol" if hello.place == Place.RAM else "flash",
        f"the board does not hold the model under test: wanted SHA-256 {artefact.sha256.hex()[:16]}..., "
        f"{len(artefact.data)} bytes, CRC-32 0x{zlib.crc32(artefact.data):08x}; it has "
        f"{hello.image_sha256.hex()[:16]}..., {hello.image_bytes} bytes, CRC-32 computed now "
        f"0x{hello.image_crc32:08x}",
        "prove the model",
    )


def _check_builtin(connection: Connection, hello: Hello, artefact: BoardArtefact) -> None:
    """The model was compiled into the firmware: it must be made from the artefact under test."""
    if hello.place == Place.BUILTIN and hello.image_sha256 == artefact.sha256:
        return
    wanted = f'say artefact = "builtin:{artefact.sha256.hex()}" in its qc_runtime_t (docs/porting.md)'
    if hello.place != Place.BUILTIN:
        seen = "the firmware was built without a model in it, or the runtime's load() refused it"
        remedy = f"build your firmware with this model in it; {wanted}, and let its load() return QC_OK"
    elif not any(hello.image_sha256):
        seen = "the firmware holds a model of its own, but does not say from which artefact it was made"
        remedy = f"if it was made from this one, {wanted}; the digits are the SHA-256 of the .tflite or .onnx"
    else:
        seen = (
            "the firmware holds a model of its own, made from the artefact "
            f"{hello.image_sha256.hex()[:16]}..., not from the one under test, "
            f"{artefact.sha256.hex()[:16]}..."
        )
        remedy = f"build your firmware again from the artefact under test and {wanted}; or test the other one"
    raise connection.fault("protocol", seen, "prove the model", remedy=remedy)
