"""Commands of text between the frames (LINK.md, section 7), on the firmware with sanitizers on."""

from __future__ import annotations

import hashlib
import random
import re
import string
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.link.device_error import DeviceError
from pytest_quantcheck.rig.link.link import Link
from pytest_quantcheck.rig.messages.numbers import Kind, Status
from pytest_quantcheck.rig.store import slot_bytes
from tests.firmware.harness.conftest import Bench, Lookup
from tests.mlperf_runner import MlperfRunner

pytestmark = pytest.mark.host

ELEMENTS = 20
MODEL = Lookup.random(ELEMENTS, 2)
SAMPLE = random.Random(1).randbytes(ELEMENTS)
TRANSCRIPT = [  # command -> lines before m-ready, in this order on one device
    ("name", ["m-name-dut-[quantcheck]"]),
    ("  name", ["m-name-dut-[quantcheck]"]),
    ("NAME", ["e-[Unknown command: NAME]"]),
    ("results", ["e-[There are no results: infer comes first]"]),
    ("db", ["e-[Command 'db' requires a subcommand]"]),
    ("db load", ["e-[Command 'db load' requires the # of bytes]"]),
    ("db load 0", ["e-[Command 'db load' must be >0 bytes]"]),
    ("db load -3", ["e-[Command 'db load' must be >0 bytes]"]),
    ("db load x", ["e-[Command 'db load' must be >0 bytes]"]),
    ("db load 99999999999999999999", ["Supplied buffer size 2147483647 exceeds maximum of 20"]),
    ("db 00", ["e-[Command 'db load' comes first]"]),
    ("db load  12", ["m-[Expecting 12 bytes]"]),
    ("db 0", ["e-[Insufficent number of hex digits]"]),
    ("db 0g", ["e-[Invalid hex digit '0g']"]),
    ("db 00017fAbFF", []),
    ("db print", ["m-buffer-00-01-7f-ab-ff"]),
    ("db 0102030405060708", ["m-load-done"]),
    ("db ff", []),
    ("db print", ["m-buffer-00-01-7f-ab-ff-01-02-03", "m-buffer-04-05-06-07"]),
    ("infer 0", ["e-[Inference iterations must be >0]"]),
    ("infer 1 -1", ["e-[Inference warmup must be >=0]"]),
    ("infer x", ["e-[Inference iterations must be >0]"]),
]


@pytest.fixture
def port(bench: Bench) -> Iterator[Any]:
    """One port for frames and text."""
    opened = bench.board.open_port()
    yield opened
    opened.close()


@pytest.fixture
def device(port: Any) -> RemoteDevice:
    """The host of frames; the device holds ``MODEL``."""
    device = RemoteDevice(Link(port))
    device.hello()
    device.load_ram(MODEL.artefact)
    return device


@pytest.fixture
def runner(device: RemoteDevice, port: Any) -> MlperfRunner:
    """The host of text, on a device with a model."""
    return MlperfRunner(port)


def shown(values: bytes) -> list[float]:
    """int8 values as the protocol shows them, to three decimals, halves to even."""
    signed = [each - 256 if each > 127 else each for each in values]
    return [float(f"{(each + 128) / 256:.3f}") for each in signed]


def test_every_command_and_every_error_reads_as_in_the_benchmark(runner: MlperfRunner) -> None:
    seen = [(command, runner.command(command)) for command, _ in TRANSCRIPT]
    assert seen == [(command, [*lines, "m-ready"]) for command, lines in TRANSCRIPT]


def test_profile_names_a_model_that_is_no_benchmark_by_its_hash(runner: MlperfRunner) -> None:
    name = "qc-" + hashlib.sha256(MODEL.artefact).hexdigest()[:8]
    wanted = ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", f"m-model-[{name}]", "m-ready"]
    assert runner.command("profile") == wanted


def test_results_are_those_of_the_last_inference(runner: MlperfRunner) -> None:
    runner.download(SAMPLE)
    results, microseconds = runner.infer(3, 2)
    assert results == shown(MODEL.run(SAMPLE))
    assert microseconds >= 0
    again = runner.command("results")
    assert [float(each) for each in re.findall(r"[\d.]+", again[0])] == results


def test_infer_has_the_lines_of_the_specification_and_ten_warmups(runner: MlperfRunner) -> None:
    runner.download(SAMPLE)
    lines = [re.sub(r"(?<=lap-us-)\d+", "T", each) for each in runner.command("infer 2")]
    assert lines[:6] == [
        "m-warmup-start-10", "m-warmup-done", "m-infer-start-2", "m-lap-us-T", "m-lap-us-T", "m-infer-done",
    ]  # fmt: skip
    assert lines[6].startswith("m-results-[")
    assert lines[7:] == ["m-ready"]


def test_a_sample_that_is_cut_short_is_complained_of(runner: MlperfRunner) -> None:
    runner.command("db load 5")
    runner.command("db 0102")
    assert "Input db has 2 elemented, expected 20" in runner.command("infer 1 0")


def test_a_device_without_a_model_says_so(port: Any) -> None:
    runner = MlperfRunner(port)
    for command in ("profile", "db load 4", "infer", "results"):
        said = runner.command(command)
        assert said[0].startswith("e-[No model is loaded")
        assert said[1:] == ["m-ready"]


def test_two_writes_line_ends_and_long_commands_are_taken(port: Any) -> None:
    runner = MlperfRunner(port)
    port.write(b"na")
    assert runner.command("me")[0] == "m-name-dut-[quantcheck]"
    port.write(b"\r\n")
    assert runner.command("x" * 200)[0] == f"e-[Unknown command: {'x' * 80}]"


def test_frames_and_text_take_turns(device: RemoteDevice, port: Any) -> None:
    for number in range(3):
        assert MlperfRunner(port).command("name")[0] == "m-name-dut-[quantcheck]"
        data = f"%name%infer 1 0%{number}%".encode() * 40  # text in a frame is data
        assert device.echo(data) == data
    assert device.link.statistics.crc_errors == 0
    assert device.infer([SAMPLE]).outputs == (MODEL.run(SAMPLE),)


def test_a_transfer_ends_where_text_loads_a_model(bench: Bench) -> None:
    """Else its bytes would be written over the model that is there now."""
    bench.board.flash([(0x200000, slot_bytes(MODEL.artefact))])
    port = bench.board.open_port()
    device = RemoteDevice(Link(port))
    device.hello()
    begin = bytes([1, 0, 0, 0]) + (64).to_bytes(4, "little") + bytes(4) + bytes(32)
    device.link.request(Kind.BEGIN, begin)
    assert MlperfRunner(port).command("profile")[1].startswith("m-model-[qc-")
    with pytest.raises(DeviceError) as caught:
        device.link.request(Kind.DATA, bytes(4 + 64))
    assert Status(caught.value.status) is Status.STATE
    port.close()


def test_no_frame_is_taken_for_text_whatever_it_holds(device: RemoteDevice) -> None:
    """Each length puts another code in front of the type; two types have the values of LF and CR."""
    for size in range(130):
        data = (b"x%name%" * 20)[:size] + bytes(3)
        assert device.echo(data) == data
        device.counter()
    counts = device.link.statistics
    assert (counts.resent, counts.crc_errors, counts.stale) == (0, 0, 0)
    assert device.counter().bad_frames == 0


def test_noise_spoils_the_text_behind_it_until_silence(port: Any) -> None:
    port.write(b"\xff\xfename%")
    for _ in range(5):  # a read waits 50 ms
        assert port.read(1) == b""
    MlperfRunner(port).wake()


def test_any_text_is_answered_and_the_firmware_stays_whole(device: RemoteDevice, port: Any) -> None:
    luck = random.Random(7)
    runner = MlperfRunner(port)
    words = ["db", "load", "print", "infer", "results", "profile", "-1", "2147483648", "20", "1", "00", "zz"]
    printable = string.printable[:95].replace("%", "")
    for _ in range(300):
        text = " ".join(luck.choices(words, k=luck.randrange(1, 5)))
        if luck.random() < 0.3:
            text += "".join(luck.choices(printable, k=luck.randrange(90)))
        if text.startswith("infer 2"):
            continue  # 2147483647 inferences
        assert runner.command(f"x{text}" if not text.strip() else text)[-1] == "m-ready"
    device.load_ram(MODEL.artefact)
    assert device.infer([SAMPLE]).outputs == (MODEL.run(SAMPLE),)
