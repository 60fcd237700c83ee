"""STORE's answer: the images in a board's flash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pytest_quantcheck.rig.messages.fields import U32, Fixed
from pytest_quantcheck.rig.messages.message import Message, Repeated

_MORE = 1 << 31


@dataclass(frozen=True)
class StoreSlot(Message):
    """An image in the board's flash store; ``offset`` is from the store's start."""

    offset: Annotated[int, U32]
    size: Annotated[int, U32]
    crc32: Annotated[int, U32]
    crc32_now: Annotated[int, U32]
    sha256: Annotated[bytes, Fixed(32)]

    @property
    def intact(self) -> bool:
        """The flash still holds what was written."""
        return self.crc32 == self.crc32_now


@dataclass(frozen=True)
class StoreAnswer(Message):
    """A part of the listing (LINK.md, STORE): ``following`` is where to go on, at the end where blank
    flash begins.
    """

    following: Annotated[int, U32]
    count: Annotated[int, U32]
    slots: Annotated[tuple[StoreSlot, ...], Repeated(StoreSlot)]

    @property
    def more(self) -> bool:
        """There may be more slots behind these."""
        return bool(self.count & _MORE)

    def contradiction(self) -> str:
        count = self.count & ~_MORE
        if count != len(self.slots):
            return f"{count} slots announced, {len(self.slots)} sent"
        return "more slots announced behind none" if self.more and not count else ""


@dataclass(frozen=True)
class StoreListing:
    """All slots of the store, and the offset from which on it is blank."""

    slots: tuple[StoreSlot, ...]
    free: int
