"""Which message answers which request. ECHO has none: its answer is what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pytest_quantcheck.rig.messages.counter import CounterReading, LoopResult
from pytest_quantcheck.rig.messages.crash import CrashRecord
from pytest_quantcheck.rig.messages.fields import U32
from pytest_quantcheck.rig.messages.hello import Hello
from pytest_quantcheck.rig.messages.message import Message
from pytest_quantcheck.rig.messages.model import CommitAnswer, ModelInfo, SelectAnswer
from pytest_quantcheck.rig.messages.notices import Banner, Busy, Refusal
from pytest_quantcheck.rig.messages.numbers import Kind
from pytest_quantcheck.rig.messages.run import ReadAnswer, RunAnswer
from pytest_quantcheck.rig.messages.store import StoreAnswer


@dataclass(frozen=True)
class Done(Message):
    """The answer of a request that is done and has nothing to tell."""


@dataclass(frozen=True)
class BaudAnswer(Message):
    """The rate that was asked for (LINK.md, BAUD)."""

    rate: Annotated[int, U32]


ANSWERS: Mapping[Kind, type[Message]] = {
    Kind.HELLO: Hello,
    Kind.BEGIN: Done,
    Kind.DATA: Done,
    Kind.COMMIT: CommitAnswer,
    Kind.SELECT: SelectAnswer,
    Kind.DESCRIBE: ModelInfo,
    Kind.RUN: RunAnswer,
    Kind.READ: ReadAnswer,
    Kind.BAUD: BaudAnswer,
    Kind.FAULT: CrashRecord,
    Kind.LOOP: LoopResult,
    Kind.COUNTER: CounterReading,
    Kind.STORE: StoreAnswer,
    Kind.REBOOT: Done,
}
NOTICES: Mapping[Kind, type[Message]] = {Kind.BANNER: Banner, Kind.BUSY: Busy, Kind.ERROR: Refusal}
