"""The pyOCD debug-probe plug-in (entry point ``pyocd.probe``) that makes virtual boards look like boards.

It only passes DP and AP accesses on to the board's process. Where no virtual board runs it finds no probe.
Loading it also gives pyOCD our target names, so that its command line knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pyocd.core import exceptions
from pyocd.core.plugin import Plugin
from pyocd.probe.debug_probe import DebugProbe

from rigs.stm32.targets import register_targets
from rigs.stm32.virtual.client import BoardError, Channel, announced_probes


class VirtualProbe(DebugProbe):  # type: ignore[misc]  # pyOCD has no types
    """A probe wired to a virtual STM32F405; knows nothing of the chip behind it."""

    @classmethod
    def get_all_connected_probes(
        cls, unique_id: str | None = None, is_explicit: bool = False
    ) -> Sequence[VirtualProbe]:
        del unique_id, is_explicit  # pyOCD filters
        return [cls(name, path) for name, path in announced_probes().items()]

    @classmethod
    def get_probe_with_id(cls, unique_id: str, is_explicit: bool = False) -> VirtualProbe | None:
        del is_explicit
        path = announced_probes().get(unique_id)
        return cls(unique_id, path) if path is not None else None

    def __init__(self, unique_id: str, path: Path) -> None:
        super().__init__()
        self._unique_id = unique_id
        self._path = path
        self._channel: Channel | None = None
        self._protocol: DebugProbe.Protocol | None = None

    @property
    def vendor_name(self) -> str:
        return "quantcheck"

    @property
    def product_name(self) -> str:
        return "virtual STM32F405"

    @property
    def unique_id(self) -> str:
        return self._unique_id

    @property
    def supported_wire_protocols(self) -> Sequence[DebugProbe.Protocol]:
        return [DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD]

    @property
    def wire_protocol(self) -> DebugProbe.Protocol | None:
        return self._protocol

    @property
    def is_open(self) -> bool:
        return self._channel is not None

    @property
    def capabilities(self) -> set[DebugProbe.Capability]:
        return set()

    def open(self) -> None:
        try:
            self._channel = Channel(self._path)
        except BoardError as fault:
            raise exceptions.ProbeError(str(fault)) from fault
        self._call("attach")

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def connect(self, protocol: DebugProbe.Protocol | None = None) -> None:
        del protocol
        self._call("connect")
        self._protocol = DebugProbe.Protocol.SWD

    def disconnect(self) -> None:
        self._protocol = None

    def set_clock(self, frequency: float) -> None:
        del frequency

    def reset(self) -> None:
        self._call("nreset")

    def assert_reset(self, asserted: bool) -> None:
        self._call("hold_reset", asserted)

    def is_reset_asserted(self) -> bool:
        return bool(self._call("reset_held"))

    def read_dp(self, addr: int, now: bool = True) -> Any:
        return self._read(lambda: int(self._call("read_dp", addr)), now)

    def write_dp(self, addr: int, data: int) -> None:
        self._call("write_dp", addr, data)

    def read_ap(self, addr: int, now: bool = True) -> Any:
        return self._read(lambda: int(self._call("read_ap", addr, 1)[0]), now)

    def write_ap(self, addr: int, data: int) -> None:
        self._call("write_ap", addr, [data])

    def read_ap_multiple(self, addr: int, count: int = 1, now: bool = True) -> Any:
        return self._read(lambda: self._call("read_ap", addr, count), now)

    def write_ap_multiple(self, addr: int, values: Sequence[int]) -> None:
        self._call("write_ap", addr, list(values))

    def _read(self, access: Callable[[], Any], now: bool) -> Any:
        """The value, or for a deferred read a function that returns it or raises what it met."""
        if now:
            return access()
        try:
            value = access()
        except exceptions.Error as error:
            met = error

            def fail() -> Any:
                raise met

            return fail
        return lambda: value

    def _call(self, operation: str, *arguments: Any) -> Any:
        if self._channel is None:
            raise exceptions.ProbeError(f"probe {self._unique_id} is not open")
        try:
            return self._channel.call(operation, *arguments)
        except BoardError as fault:
            if fault.kind in ("bus", "lockup"):
                raise exceptions.TransferFaultError() from fault
            if fault.kind == "power":
                raise exceptions.TransferError(f"no ACK: {fault}") from fault
            raise exceptions.ProbeError(str(fault)) from fault


class VirtualProbePlugin(Plugin):  # type: ignore[misc]  # pyOCD has no types
    """What the entry point names."""

    def load(self) -> type[VirtualProbe]:
        register_targets()
        return VirtualProbe

    @property
    def name(self) -> str:
        return "quantcheck-virtual"

    @property
    def description(self) -> str:
        return "Virtual STM32 boards of pytest-quantcheck"
