"""Requests and bulk data: what is lost is sent again; every wait ends."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.link.device_error import DeviceError
from pytest_quantcheck.rig.link.frame import Frame
from pytest_quantcheck.rig.link.link import Link
from pytest_quantcheck.rig.messages.numbers import PAYLOAD_MAX, Kind

pytestmark = pytest.mark.host

blocks = st.sampled_from([b"", b"\0", b"\xff", b"a" * 253, b"a" * 254, b"a" * 255, b"\0" * 300])
contents = st.lists(st.binary(max_size=300) | blocks, max_size=5).map(b"".join)
payloads = contents.map(lambda content: content[:PAYLOAD_MAX])

Answering = Callable[[Frame], list[Frame]]


class Peer:
    """The far end of a line, in this process: ``answer`` says which frames come back for one."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.frames: list[Frame] = []
        self.ready = b""

    def write(self, data: bytes) -> int:
        for coded in data.split(b"\0"):
            frame = Frame.decode(coded) if coded else None
            if frame is not None:
                self.frames.append(frame)
                answers = self.answer(frame)
                self.ready += b"".join(each.encode() for each in answers)
        return len(data)

    def read(self, size: int = 1) -> bytes:
        if not self.ready:
            time.sleep(0.001)
        taken, self.ready = self.ready[:size], self.ready[size:]
        return taken

    @property
    def in_waiting(self) -> int:
        return len(self.ready)

    def close(self) -> None:
        self.ready = b""


def reply(frame: Frame, payload: bytes = b"") -> Frame:
    return Frame(frame.type | 0x80, frame.sequence, payload)


@given(payloads, st.lists(st.binary(max_size=40), max_size=3))
def test_what_a_boot_rom_prints_is_passed_over(payload: bytes, texts: list[bytes]) -> None:
    def answer(frame: Frame) -> list[Frame]:
        peer.ready += b"".join(texts)
        return [reply(frame, payload)]

    peer = Peer(answer)
    assert Link(peer).request(Kind.ECHO, payload, deadline=2.0) == payload


def test_a_lost_request_is_sent_again_with_the_same_number() -> None:
    peer = Peer(lambda frame: [reply(frame)] if len(peer.frames) == 3 else [])
    link = Link(peer, patience=0.01)
    link.request(Kind.ECHO, b"x", deadline=5.0)
    assert len(peer.frames) == 3
    assert len(set(peer.frames)) == 1
    assert link.statistics.resent == 2


def test_an_answer_to_an_older_request_is_not_taken() -> None:
    def answer(frame: Frame) -> list[Frame]:
        old = Frame(frame.type | 0x80, (frame.sequence - 1) % 256, b"old")
        return [old, Frame(Kind.HELLO | 0x80, frame.sequence, b"other"), reply(frame, b"new")]

    link = Link(Peer(answer))
    assert link.request(Kind.ECHO) == b"new"
    assert link.statistics.stale == 2


def test_a_silent_device_is_a_fault_of_the_link_in_time() -> None:
    link = Link(Peer(lambda frame: []), patience=0.05)
    start = time.monotonic()
    with pytest.raises(RigFault, match=r"no answer to HELLO for 0\.3 s") as caught:
        link.request(Kind.HELLO, deadline=0.3)
    assert caught.value.kind == "link"
    assert time.monotonic() - start < 2.0


def test_busy_extends_the_deadline_and_stops_the_resending() -> None:
    start = time.monotonic()

    def read(size: int = 1) -> bytes:
        if time.monotonic() - start > 0.5 and not peer.ready:
            peer.ready = reply(peer.frames[0], b"done").encode()
        return Peer.read(peer, size)

    peer = Peer(lambda frame: [Frame(Kind.BUSY, frame.sequence, bytes(4))])
    peer.read = read  # type: ignore[method-assign]
    link = Link(peer, patience=0.01)
    assert link.request(Kind.RUN, deadline=0.6, quiet=True) == b"done"
    assert len(peer.frames) == 1


def test_a_device_that_is_busy_for_ever_ends_at_the_limit() -> None:
    def read(size: int = 1) -> bytes:
        if not peer.ready:
            peer.ready = Frame(Kind.BUSY, peer.frames[0].sequence, bytes(4)).encode()
            time.sleep(0.02)
        return Peer.read(peer, size)

    peer = Peer(lambda frame: [])
    peer.read = read  # type: ignore[method-assign]
    start = time.monotonic()
    with pytest.raises(RigFault, match=r"RUN is not done .* says BUSY or .*--qc-run-timeout"):
        Link(peer).request(Kind.RUN, deadline=0.2, limit=0.5)
    assert 0.5 <= time.monotonic() - start < 5


class Flood(Peer):
    """A device that sends ``unit`` again and again, as fast as it is read."""

    def __init__(self, unit: bytes) -> None:
        super().__init__(lambda frame: [])
        self.unit = unit

    def read(self, size: int = 1) -> bytes:
        return (self.unit * (1 << 12))[: max(size, 1 << 12)]


@pytest.mark.parametrize(
    "unit",
    [
        b"E (1234) wifi: no such network\n",
        b"\xa5",
        b"\0",
        b"\0\x01\x02\0",
        Frame(Kind.ECHO | 0x80, 0, b"x").encode(),
    ],
    ids=["text", "junk", "zeros", "damaged frames", "frames"],
)
def test_a_device_that_sends_without_end_ends_in_time_and_fills_no_memory(unit: bytes) -> None:
    log = io.StringIO()
    link = Link(Flood(unit), log=log)
    link.line.sequence = 7
    tracemalloc.start()
    start = time.monotonic()
    with pytest.raises(RigFault, match="no answer to COUNTER") as caught:
        link.request(Kind.COUNTER, deadline=0.5)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.kind == "link"
    assert time.monotonic() - start < 5
    assert most - 8 * len(log.getvalue()) < 4 << 20


def test_what_a_sound_line_brings_is_counted_by_name() -> None:
    def answer(frame: Frame) -> list[Frame]:
        peer.ready += b"ESP-ROM:esp32c3-api1-20210207\r\nrst:0x1 (POWERON)\r\n"
        again = [reply(peer.frames[0])] * 2 if len(peer.frames) == 2 else []  # the second one comes late
        return [Frame(Kind.BANNER, 0, bytes(8)), *again] if frame.type == Kind.HELLO else [reply(frame)]

    peer = Peer(answer)
    link = Link(peer, patience=0.01)
    link.request(Kind.HELLO, restart_expected=True)
    link.request(Kind.ECHO)
    counts = link.statistics
    assert (counts.texts, counts.banners, counts.repeated) == (3, 2, 1)
    assert (counts.crc_errors, counts.stale) == (0, 0)


def test_a_refusal_names_request_status_and_detail() -> None:
    payload = (12).to_bytes(2, "little") + bytes([Kind.RUN, 0]) + (77).to_bytes(4, "little")
    link = Link(Peer(lambda frame: [Frame(Kind.ERROR, frame.sequence, payload)]))
    with pytest.raises(
        DeviceError, match=r"refused RUN: no such image is on the board \(detail 77\)"
    ) as caught:
        link.request(Kind.RUN)
    assert (caught.value.kind, caught.value.status, caught.value.detail) == ("protocol", 12, 77)


def test_a_restart_in_mid_request_is_a_crash() -> None:
    link = Link(Peer(lambda frame: [Frame(Kind.BANNER, 0, bytes(8))]))
    with pytest.raises(RigFault, match="restarted by itself while RUN was running") as caught:
        link.request(Kind.RUN)
    assert caught.value.kind == "crash"


def test_a_port_that_breaks_is_a_fault_of_the_link() -> None:
    class Unplugged(Peer):
        def write(self, data: bytes) -> int:
            raise OSError("device disconnected")

    with pytest.raises(RigFault, match="device disconnected") as caught:
        Link(Unplugged(lambda frame: [])).request(Kind.HELLO)
    assert caught.value.kind == "link"


def test_a_port_that_is_gone_before_it_is_used_is_a_fault_of_the_link() -> None:
    class Gone(Peer):
        write_timeout = property(lambda self: None, lambda self, value: self.refuse())

        def refuse(self) -> None:
            raise OSError("could not configure port")

    with pytest.raises(RigFault, match="could not configure port") as caught:
        Link(Gone(lambda frame: []))
    assert caught.value.kind == "link"


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=5000), st.integers(1, 1020), st.integers(1, 16), st.integers(0, 2**32))
def test_bulk_data_arrive_whole_whatever_is_lost(data: bytes, chunk: int, window: int, seed: int) -> None:
    arrived = bytearray(len(data))
    luck = random.Random(seed)

    def answer(frame: Frame) -> list[Frame]:
        if luck.random() < 0.1:  # the frame is lost
            return []
        offset = int.from_bytes(frame.payload[:4], "little")
        arrived[offset : offset + len(frame.payload) - 4] = frame.payload[4:]
        return [] if luck.random() < 0.1 else [reply(frame)]  # the acknowledgement is lost

    link = Link(Peer(answer), patience=0.0)
    link.send_bulk(data, chunk=max(chunk, len(data) // 40), window=window)
    assert bytes(arrived) == data


def test_no_more_than_a_window_is_under_way() -> None:
    waiting: list[Frame] = []
    most = 0

    def answer(frame: Frame) -> list[Frame]:
        nonlocal most
        waiting.append(frame)
        most = max(most, len(waiting))
        return []

    class Slow(Peer):
        def read(self, size: int = 1) -> bytes:
            if not self.ready and waiting:
                self.ready = reply(waiting.pop(0)).encode()
            return super().read(size)

    Link(Slow(answer)).send_bulk(bytes(1000), chunk=10, window=4)
    assert most == 4


def test_the_log_has_a_line_per_frame_that_a_person_can_read() -> None:
    log = io.StringIO()

    def answer(frame: Frame) -> list[Frame]:
        peer.ready += b"ESP-ROM:esp32c3\r\n"
        return [reply(frame, b"\x01\x02")]

    peer = Peer(answer)
    Link(peer, log=log).request(Kind.ECHO, b"\xab\xcd")
    lines = log.getvalue().splitlines()
    assert [line.split()[1:3] for line in lines] == [["->", "ECHO"], ["<-", "noise"], ["<-", "ECHO"]]
    assert "ab cd" in lines[0]
    assert "ESP-ROM:esp32c3" in lines[1]


def test_the_link_knows_neither_numpy_nor_serial() -> None:
    code = "import sys, pytest_quantcheck.rig.device; print({'numpy', 'serial'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stderr
