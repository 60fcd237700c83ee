"""What a device may go on with for ever has an end."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.link.frame import Frame
from pytest_quantcheck.rig.link.link import Link
from pytest_quantcheck.rig.messages.answers import ANSWERS
from pytest_quantcheck.rig.messages.hello import Hello, HelloFlag
from pytest_quantcheck.rig.messages.message import Message
from pytest_quantcheck.rig.messages.model import ModelInfo, TensorInfo
from pytest_quantcheck.rig.messages.numbers import Capability, Kind, Place
from pytest_quantcheck.rig.messages.run import ReadAnswer, RunAnswer, RunFlag
from pytest_quantcheck.rig.messages.store import StoreAnswer, StoreSlot
from tests.host.rig.test_link import Peer, reply

pytestmark = pytest.mark.host

STORE_BYTES = 1 << 31


def hello(request: Frame, clock_hz: int = 0) -> Hello:
    nonce = int.from_bytes(request.payload[4:], "little")
    store = 0, STORE_BYTES, 0, 4096, 0, 0, bytes(32)
    numbers = (nonce, clock_hz, 0, 0, 1, Capability(0), *store, 4, 1020, 0, 0)
    texts = ("posix", "chip", "runtime", "1", "qcm", "build")
    return Hello(1, HelloFlag(0), Place.NONE, *numbers, b"", *texts)


def device_that(answer, clock_hz: int = 0) -> RemoteDevice:
    """A device that says HELLO, and else what ``answer`` makes of a request."""

    def say(frame: Frame) -> list[Frame]:
        said = hello(frame, clock_hz) if frame.type == Kind.HELLO else answer(frame)
        assert isinstance(said, ANSWERS[Kind(frame.type)])
        assert isinstance(said, Message)
        return [reply(frame, said.pack())]

    return RemoteDevice(Link(Peer(say)), Deadlines(answer=5.0, request=0.5))


def test_a_listing_of_the_store_without_end_ends_in_time() -> None:
    def another_slot(request: Frame) -> StoreAnswer:
        at = int.from_bytes(request.payload, "little")
        return StoreAnswer(at + 128, 1 | 1 << 31, (StoreSlot(at, 64, 0, 0, bytes(32)),))

    began = time.monotonic()
    with pytest.raises(RigFault, match="STORE lists slots without end") as caught:
        device_that(another_slot).store()
    assert caught.value.kind == "protocol"
    assert time.monotonic() - began < 5


def run_with_an_output_of(size: int, read) -> RemoteDevice:
    """A device whose model has one output of ``size`` bytes, which ``read`` hands out."""
    info = ModelInfo.of(0, 1, (), (TensorInfo("int8", size),))
    run = RunAnswer(RunFlag(0), 1, 1, 0, 0, b"")
    answers = {Kind.DESCRIBE: lambda _: info, Kind.RUN: lambda _: run, Kind.READ: read}
    return device_that(lambda request: answers[Kind(request.type)](request))


def test_an_output_larger_than_any_boards_memory_is_not_read() -> None:
    with pytest.raises(RigFault, match="an object of 4294967295 bytes is announced") as caught:
        run_with_an_output_of(2**32 - 1, lambda _: ReadAnswer(2**32 - 1, b"")).run()
    assert caught.value.kind == "protocol"


def test_an_output_that_comes_too_slowly_ends_in_time() -> None:
    def slowly(request: Frame) -> ReadAnswer:
        time.sleep(0.1)
        return ReadAnswer(40_000, bytes(int.from_bytes(request.payload[2:4], "little")))

    device = run_with_an_output_of(40_000, slowly)
    device.link.baudrate = 115200
    device.link.line.transport.baudrate = 10_000_000  # type: ignore[attr-defined]
    began = time.monotonic()
    with pytest.raises(RigFault, match="of 40000 bytes could be read in time"):
        device.run()
    assert time.monotonic() - began < 5


def busy(frame: Frame) -> list[Frame]:
    return [Frame(Kind.BUSY, frame.sequence, bytes(4))]


def test_hello_has_an_end_of_its_own_that_long_runs_do_not_move() -> None:
    device = RemoteDevice(Link(Peer(busy)), replace(Deadlines.of_runs(3600.0), hello=0.5))
    began = time.monotonic()
    with pytest.raises(RigFault, match=r"HELLO is not done after 0\.[5-9] s") as caught:
        device.hello(deadline=0.4)
    assert "--run-timeout" not in caught.value.reason
    assert time.monotonic() - began < 5
    assert Deadlines.of_runs(3600.0).hello == Deadlines().hello <= 30


def test_runs_that_are_disturbed_again_and_again_take_no_longer_than_one_may() -> None:
    def disturbed(_: Frame) -> RunAnswer:
        time.sleep(0.2)
        return RunAnswer(RunFlag.DISTURBED, 0, 1, 0, 0, b"")

    with pytest.raises(RigFault, match=r"bytes came in during each of [1-4] runs"):  # eight are the most
        device_that(disturbed).run()


def test_bytes_that_are_taken_too_slowly_end_in_time() -> None:
    def slowly(request: Frame) -> list[Frame]:
        if request.type == Kind.DATA:
            time.sleep(0.1)
        return [reply(request)]

    peer = Peer(slowly)
    peer.baudrate = 10_000_000  # type: ignore[attr-defined]
    began = time.monotonic()
    with pytest.raises(RigFault, match=r"DATA is not done after 0\.\d s: .*--run-timeout"):
        Link(peer).send_bulk(bytes(4000), chunk=64, window=1, deadline=5.0, limit=0.5)
    assert time.monotonic() - began < 5  # 63 answers would take 6.3 s


@pytest.mark.parametrize(("counted_s", "known"), [(1.2, True), (0.4, True), (0.05, False)])
def test_a_counter_that_lost_a_turn_is_not_known(counted_s: float, known: bool) -> None:
    """At 4 GHz 32 bits of cycles are 1.07 s."""
    clock, counter = 4_000_000_000, round(counted_s * 4_000_000_000)

    def slow(request: Frame) -> RunAnswer | ModelInfo:
        if request.type == Kind.DESCRIBE:
            return ModelInfo.of(0, 1, (), (TensorInfo("int8", 4),))
        time.sleep(1.2)
        return RunAnswer(
            RunFlag.INLINED, operators=1, counter=counter, stack_bytes=0, records=0, data=bytes(4)
        )

    device = device_that(slow, clock)
    device.hello()
    device.deadlines = Deadlines(answer=5.0, request=5.0)
    assert device.run().counter == (counter if known else 0)
