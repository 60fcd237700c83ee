"""HELLO's answer: who is there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Annotated

from pytest_quantcheck.rig.messages.fields import U16, U32, Choice, Counted, Fixed, Flags, Text
from pytest_quantcheck.rig.messages.message import Message
from pytest_quantcheck.rig.messages.numbers import Capability, Place


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
    clock_hz: Annotated[int, U32]
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
    window: Annotated[int, U16]
    chunk: Annotated[int, U16]
    bad_frames: Annotated[int, U32]
    overruns: Annotated[int, U32]
    unique_id: Annotated[bytes, Counted()]
    board: Annotated[str, Text()]
    chip: Annotated[str, Text()]
    runtime: Annotated[str, Text()]
    version: Annotated[str, Text()]
    artefact: Annotated[str, Text()]
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
