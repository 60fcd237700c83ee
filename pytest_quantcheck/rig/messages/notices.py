"""What a device sends without being asked, or instead of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pytest_quantcheck.rig.messages.fields import U8, U16, U32, Padded, Truth
from pytest_quantcheck.rig.messages.message import Message


@dataclass(frozen=True)
class Banner(Message):
    """Once after every start."""

    protocol: Annotated[int, U16]
    crashed: Annotated[bool, Padded(Truth(1), 1)]
    boot_count: Annotated[int, U32]


@dataclass(frozen=True)
class Busy(Message):
    """Still at work; so many operators of this run are finished."""

    operators: Annotated[int, U32]


@dataclass(frozen=True)
class Refusal(Message):
    """ERROR: ``status`` says why the request of kind ``request`` is refused, ``detail`` depends on both."""

    status: Annotated[int, U16]
    request: Annotated[int, Padded(U8, 1)]
    detail: Annotated[int, U32]
