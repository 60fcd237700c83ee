"""HELLO's answer: who is there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from math import inf
from typing import Annotated

from pytest_quantcheck.rig.messages.fields import U16, U32, Choice, Counted, Fixed, Flags, Number, Text
from pytest_quantcheck.rig.messages.message import Message
from pytest_quantcheck.rig.messages.numbers import PAYLOAD_MAX, SLOT_HEADER_BYTES, Capability, Place


class HelloFlag(IntFlag):
    """Yes or no."""

    COUNTS_INSTRUCTIONS = 1
    CRASHED = 2


@dataclass(frozen=True)
class Hello(Message):
    """Who is there and what it holds (LINK.md, HELLO). All CRCs were computed for this answer."""

    protocol: Annotated[int, U16]
    flags: Annotated[HelloFlag, Flags(1, HelloFlag)]
    place: Annotated[Place, Choice(1, Place)]
    nonce: Annotated[int, U32]
    clock_hz: Annotated[int, Number(4, 1_000_000, 4_000_000_000, or_zero=True)]
    firmware_bytes: Annotated[int, U32]
    firmware_crc32: Annotated[int, U32]
    boot_count: Annotated[int, U32]
    capabilities: Annotated[Capability, Flags(4, Capability)]
    pool_bytes: Annotated[int, U32]
    store_bytes: Annotated[int, U32]
    store_address: Annotated[int, U32]
    store_alignment: Annotated[int, U32]
    image_bytes: Annotated[int, U32]
    image_crc32: Annotated[int, U32]
    image_sha256: Annotated[bytes, Fixed(32)]
    window: Annotated[int, Number(2, 1, 128)]  # half of all sequence numbers
    chunk: Annotated[int, Number(2, 16, PAYLOAD_MAX - 4)]
    bad_frames: Annotated[int, U32]
    overruns: Annotated[int, U32]
    unique_id: Annotated[bytes, Counted(16)]
    board: Annotated[str, Text()]
    chip: Annotated[str, Text()]
    runtime: Annotated[str, Text()]
    version: Annotated[str, Text()]
    artefact: Annotated[str, Text("[A-Za-z0-9_.-]+(:[0-9a-f]{64})?")]
    build_id: Annotated[str, Text()]

    @property
    def counts_instructions(self) -> bool:
        """Whether the counter counts executed instructions."""
        return HelloFlag.COUNTS_INSTRUCTIONS in self.flags

    @property
    def crashed(self) -> bool:
        """Whether a crash record is held."""
        return HelloFlag.CRASHED in self.flags

    @property
    def unit(self) -> str:
        """What the counter counts."""
        return "instructions" if self.counts_instructions else "cycles"

    @property
    def counter_period_s(self) -> float:
        """Seconds after which a counter of 32 bits begins anew; infinite where it does not count cycles."""
        return 2**32 / self.clock_hz if self.clock_hz and not self.counts_instructions else inf

    def contradiction(self) -> str:
        return self._about_the_store() or self._about_the_image()

    def _about_the_store(self) -> str:
        size, unit = self.store_bytes, self.store_alignment
        if not size:
            return ""
        if unit < SLOT_HEADER_BYTES or unit > size or unit & (unit - 1):
            return (
                f"store_alignment is {unit}; allowed for a store of {size} bytes: a power of two from "
                f"{SLOT_HEADER_BYTES}"
            )
        end = self.store_address + size
        return f"its store ends at {end:#x}, behind the last address" if end > 2**32 else ""

    def _about_the_image(self) -> str:
        size, named, place = self.image_bytes, any(self.image_sha256), self.place
        if place == Place.NONE:
            return "it holds no model, but names one" if size or named else ""
        if not named and place != Place.BUILTIN:  # the session says what such a firmware lacks
            return f"it holds a model in {place.name}, but does not name it"
        room = {Place.RAM: self.pool_bytes, Place.STORE: self.store_bytes, Place.BUILTIN: 2**32}[place]
        if place != Place.BUILTIN and not 0 < size <= room:
            return f"image_bytes is {size}; allowed for a model in {place.name}: 1 to {room}"
        return ""
