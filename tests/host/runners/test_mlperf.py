"""A board of another maker behind MLPerf Tiny's protocol: a ``Runner`` like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import sleep

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.deadlines import USUAL, Deadlines
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.boards import board_runner
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.mlperf import MlperfRunner
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.verdict.gate import Gate
from tests.mlperf_device import MlperfTinyDevice

pytestmark = pytest.mark.host

MODEL = demo_models()[0]
SAMPLES = demo_samples().take(range(4))


def honest(sample: bytes) -> list[float]:
    """What a device that holds ``MODEL`` answers to its raw input."""
    x = np.frombuffer(sample, np.int8).reshape(1, 8, 8, 1)
    outputs = IntegerRunner().run(MODEL, Raw(x)).outputs[0]
    return [float(each) for each in prepare.dequantize_output(MODEL, outputs)[0]]


@pytest.fixture
def device() -> Iterator[MlperfTinyDevice]:
    made = MlperfTinyDevice(honest)
    yield made
    made.close()


@pytest.fixture
def drive(tmp_path) -> Iterator[Callable[..., MlperfRunner]]:
    """``drive(device, retries=0, **protocol_settings)``: a runner on it."""
    opened = []

    def make(device: MlperfTinyDevice, *, retries=0, deadlines=USUAL, **settings: str) -> MlperfRunner:
        entry = BoardEntry(
            "theirs", "serial", "theirs", port=device.url, firmware="external", protocol="mlperf_tiny",
            protocol_settings=settings,
        )  # fmt: skip
        ledger = FaultLedger(retries=retries)
        opened.append(board_runner([entry], log_dir=tmp_path, ledger=ledger, deadlines=deadlines))
        return opened[-1]

    yield make
    for each in opened:
        each.session.close()


def test_a_foreign_board_gives_the_integers_of_the_interpreter(device, drive):
    run = drive(device).run(MODEL, SAMPLES)
    right = IntegerRunner().run(MODEL, SAMPLES)
    assert run.outputs[0].dtype == right.outputs[0].dtype
    assert run.outputs[0].tobytes() == right.outputs[0].tobytes()
    assert run.runtime == "mlperf_tiny kws01 (unit test)"
    assert (run.counters, run.unit, run.clock_hz) == ((1500,) * 4, "microseconds", 1_000_000)
    assert device.commands[:5] == ["name", "profile", "name", "profile", "db load 64"]
    assert device.commands[5:8] == [f"db {run.inputs[0][0].tobytes()[i : i + 31].hex()}" for i in (0, 31, 62)]


def test_the_gate_judges_it_as_any_board(device, drive):
    verdict = Gate(reference=IntegerRunner()).check(drive(device).run(MODEL, SAMPLES), exact=True)
    assert verdict.passed


def test_time_stamps_are_milliseconds_and_no_cycles(device, drive):
    late, cycles = Budget({"latency_ms": 1.4, "cycles": 10_000}).judge(drive(device).run(MODEL, SAMPLES))
    assert (late.passed, cycles.passed) == (False, None)
    assert cycles.text == "theirs counts microseconds"


def test_a_wrong_score_fails_the_gate(drive):
    device = MlperfTinyDevice(lambda sample: honest(sample)[::-1])
    try:
        run = drive(device).run(MODEL, SAMPLES)
        with pytest.raises(AssertionError, match="not those of integer") as caught:
            Gate(reference=IntegerRunner()).check(run, exact=True)
        assert "microseconds are no cycles" not in str(caught.value)
    finally:
        device.close()


def identity(dtype: str, scale: float, zero_point: int, size: int = 10) -> QuantizedModel:
    """An int8 input in another scale, or of another type."""
    writer = TfliteWriter()
    x = writer.tensor((1, size), "int8", scale=0.5)
    y = writer.quantize(x, scale=scale, zero_point=zero_point, dtype=dtype)
    return QuantizedModel(f"to-{dtype}", writer.finish([x], [y]))


ZEROS = Raw(np.zeros((1, 10), np.int8))


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([-7.0] + [0.0] * 9, "result 0 is -7, .*the nearest means 0\\)"),
        ([0.0] * 9 + [1.0], "result 9 is 1, .*the nearest means 0.996094"),
        (
            [0.0, 0.5 + 0.0014] + [0.0] * 8,
            "result 1 is 0.501, .*do: the firmware holds a float model",
        ),
        ([0.0, 0.5 - 0.0014] + [0.0] * 8, "result 1 is 0.499, .*scale 0.00390625"),
    ],
)
def test_a_score_that_no_integer_means_is_a_fault(drive, scores, words):
    device = MlperfTinyDevice(lambda sample: scores)
    with pytest.raises(RigFault, match=f"(?s){words}") as caught:
        drive(device).run(identity("int8", 1 / 256, -128), ZEROS)
    assert caught.value.kind == "protocol"
    device.close()


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point"),
    [("int8", 1 / 256, -128), ("int8", 0.1, 3), ("int8", 7.3, -5), ("int16", 1.7, 0), ("int16", 2.0**-15, 0)],
)
def test_every_integer_is_known_by_three_decimals_or_to_half_a_thousandth(drive, dtype, scale, zero_point):
    info = np.iinfo(dtype)
    raw = np.unique(np.linspace(info.min, info.max, 300).astype(dtype))
    device = MlperfTinyDevice(lambda sample: (raw.astype(np.float32) - zero_point) * np.float32(scale))
    run = drive(device).run(
        identity(dtype, scale, zero_point, len(raw)), Raw(np.zeros((1, len(raw)), np.int8))
    )
    most = 0 if scale > 0.001 else 0.0005 / scale + 1
    assert np.abs(run.outputs[0][0].astype(int) - raw.astype(int)).max() <= most
    device.close()


def test_scores_of_several_outputs_are_each_on_its_own_grid(drive):
    writer = TfliteWriter()
    x = writer.tensor((1, 2), "int8", scale=0.5)
    outputs = [writer.quantize(x, scale=0.1, zero_point=3), writer.quantize(x, scale=2.0, zero_point=0)]
    device = MlperfTinyDevice(lambda sample: [0.1, -0.3, 4.0, -8.0])
    run = drive(device).run(
        QuantizedModel("two", writer.finish([x], outputs)), Raw(np.zeros((1, 2), np.int8))
    )
    assert [each.tolist() for each in run.outputs] == [[[4, 0]], [[2, -4]]]
    device.close()


def test_scores_of_a_float_output_are_taken_as_they_are(drive):
    writer = TfliteWriter()
    x = writer.tensor((1, 2), "int8", scale=0.5)
    device = MlperfTinyDevice(lambda sample: [0.1234, float("nan")])
    run = drive(device).run(
        QuantizedModel("real", writer.finish([x], [writer.dequantize(x)])), Raw(np.zeros((1, 2), np.int8))
    )
    assert run.outputs[0].tolist()[0][0] == np.float32(0.123)
    assert np.isnan(run.outputs[0][0, 1])
    device.close()


def test_iterations_and_warmups_come_from_the_inventory(device, drive):
    run = drive(device, iterations="20", warmups="3").run(MODEL, SAMPLES.take([0]))
    assert "infer 20 3" in device.commands
    assert run.counters == (1500,)


def test_pictures_and_floats_travel_as_the_benchmark_sends_them(drive):
    for samples, wanted in (
        ("uint8", lambda x, q: (q.view(np.uint8) ^ 0x80).tobytes()),
        ("float32", lambda x, q: x.astype("<f4").tobytes()),
    ):
        seen: list[bytes] = []
        device = MlperfTinyDevice(lambda sample, seen=seen: seen.append(sample) or [0.0] * 10)
        run = drive(device, samples=samples).run(MODEL, SAMPLES.take([1]))
        assert seen == [wanted(SAMPLES.take([1]).inputs[0], np.asarray(run.inputs[0]))]
        device.close()


def test_a_device_is_silent_for_as_many_inferences_as_it_was_asked_for(device, drive):
    device.spoil = lambda command, lines: (sleep(1.0) if command.startswith("infer") else None) or lines
    runner = drive(device, deadlines=Deadlines(operator=0.3), iterations="150", warmups="50")  # 60 s together
    assert len(runner.run(MODEL, SAMPLES.take([0]))) == 1


def test_a_model_may_have_more_outputs_than_64_kib_of_text(drive):
    right = np.arange(12_000) % 256
    device = MlperfTinyDevice(lambda sample: right / 256)
    run = drive(device).run(identity("int8", 1 / 256, -128, 12_000), Raw(np.zeros((1, 12_000), np.int8)))
    assert (run.outputs[0][0] == right - 128).all()
    device.close()


def test_a_counter_of_32_bits_may_turn_over(drive):
    device = MlperfTinyDevice(honest, start=2**32 - 100, microseconds=250)
    assert drive(device).run(MODEL, SAMPLES.take([0])).counters == (250,)
    device.close()


def test_energy_mode_has_no_time_and_so_no_counters(device, drive):
    device.spoil = lambda command, lines: [each for each in lines if "lap" not in each]
    assert drive(device).run(MODEL, SAMPLES.take([0])).counters == ()


def test_a_board_that_starts_when_its_port_is_opened_is_waited_for(drive):
    banner = "ROM text\r\nm-timestamp-mode-performance\r\nm-lap-us-0\r\nm-init-done\r\nm-ready\r\n"
    device = MlperfTinyDevice(honest, greeting=banner)
    assert len(drive(device).run(MODEL, SAMPLES)) == 4
    device.close()


HEX = tuple(f"db {digit:x}" for digit in range(16))


def instead(word: str, said: list[str] | bytes):
    """An answer in place of that to the commands that begin with ``word``."""
    return lambda command, lines: said if command.startswith(word) else lines


def results(text: str):
    """Scores that are ``text``."""
    return instead("infer", ["m-infer-start-1", "m-infer-done", f"m-results-[{text}]", "m-ready"])


def without(part: str):
    return lambda command, lines: [each for each in lines if part not in each]


# Hasty only with the one command that is not answered: a busy machine may take its time for all others.
SILENCES = {  # what the device says -> how long the host waits, and words of the fault
    "silent": (instead("infer", b""), {"operator": 0.4}, "no m-ready to 'infer 1 0' in time; nothing came"),
    "never ready": (instead("infer", b"m-lap-us-0\r\n"), {"operator": 0.4}, "last line was 'm-lap-us-0'"),
    "half a line": (instead("profile", b"m-prof"), {"answer": 0.4}, "the last line was 'm-prof'"),
}


@pytest.mark.parametrize("silence", SILENCES)
def test_a_device_that_says_no_more_is_a_fault_of_the_rig(device, drive, silence):
    device.spoil, hasty, words = SILENCES[silence]
    with pytest.raises(RigFault, match=words) as caught:
        drive(device, deadlines=Deadlines(**hasty)).run(MODEL, SAMPLES)
    assert caught.value.kind == "link"
    assert "serial log" in str(caught.value)


LIES = {  # what the device says -> kind of the fault, and words of it
    "no ASCII": (instead("profile", b"\xff\xfe\r\nm-ready\r\n"), "protocol", "0xff, which is no ASCII"),
    "refused": (instead("infer", ["e-[Unknown command: infer]", "m-ready"]), "protocol", "refused"),
    "lost a byte": (instead("infer", ["Input db has 63 elemented", "m-ready"]), "protocol", "63"),
    "no name": (instead("name", ["m-ready"]), "protocol", "should have one line m-name-dut-"),
    "no model": (without("m-model"), "protocol", "should have one line m-model-"),
    "never done": (without("m-load-done"), "protocol", "should have m-load-done"),
    "other size": (instead("db load", ["m-[Expecting 65 bytes]", "m-ready"]), "protocol", "g 64 bytes"),
    "no results": (without("m-results"), "protocol", "one line m-results"),
    "no numbers": (results("1,two"), "protocol", "with numbers"),
    "infinity with an exponent": (results("1,infe5"), "protocol", "with numbers"),
    "beyond float32": (results("1,1e39"), "protocol", "with numbers of float32"),
    "not a number": (results("0," * 9 + "nan"), "protocol", r"result 9 is nan, .*m-results-\[0.*nan\]"),
    "infinite": (results("-inf" + ",0" * 9), "protocol", "result 0 is -inf"),
    "one stamp": (without("m-lap-us-1000"), "protocol", "two lines m-lap-us-N"),
    "other count": (lambda command, lines: [x.replace("start-1", "start-2") for x in lines], "protocol",
                    "should have m-infer-start-1"),
    "restarted": (instead("infer", ["m-warmup-start-0", "m-init-done", "m-ready"]), "crash", "restarted"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_device_that_lies_is_a_fault_of_the_rig(device, drive, lie):
    device.spoil, kind, words = LIES[lie]
    with pytest.raises(RigFault, match=words) as caught:
        drive(device).run(MODEL, SAMPLES)
    assert caught.value.kind == kind
    assert "serial log" in str(caught.value)


def test_a_device_that_never_ends_a_line_is_a_fault(device, drive):
    device.spoil = instead("profile", b"x" * (1 << 17))
    with pytest.raises(RigFault, match="the answer to 'profile' never ends"):
        drive(device, deadlines=Deadlines(answer=60.0)).run(MODEL, SAMPLES)


def test_a_device_that_has_the_sample_too_early_is_a_fault(device, drive):
    device.spoil = lambda command, lines: ["m-load-done", "m-ready"] if command.startswith(HEX) else lines
    with pytest.raises(RigFault, match="should have nothing before the sample's last byte"):
        drive(device).run(MODEL, SAMPLES)


def test_a_device_that_holds_another_model_is_a_fault(drive):
    device = MlperfTinyDevice(lambda sample: [0.5, 0.5], name="vww01")
    with pytest.raises(RigFault, match="holds 'vww01', the inventory expects model = 'kws01'"):
        drive(device, model="kws01").run(MODEL, SAMPLES)
    with pytest.raises(RigFault, match="has 10 output values, the device gave 2"):
        drive(device, samples="raw").run(MODEL, SAMPLES)
    device.close()


def test_a_fault_that_a_retry_overcomes_is_told(device, drive):
    broken = [True]

    def once(command, lines):
        return [broken.clear() or "e-[no]", "m-ready"] if broken and command.startswith("infer") else lines

    device.spoil = once
    run = drive(device, retries=1).run(MODEL, SAMPLES)
    assert run.effort.retries == 1
    assert run.effort.faults[0].startswith("protocol fault on theirs")


@pytest.mark.parametrize("retries", [0, 1])
def test_a_board_that_is_flashed_meanwhile_is_asked_anew(drive, retries):
    asked = []

    def exchanged(command, lines):
        asked.append(command)
        flashed = asked.count("profile") > 2 - retries
        if command == "profile" and flashed:
            return ["m-profile-[another]", "m-model-[vww01]", "m-ready"]
        return ["e-[no]", "m-ready"] if command.startswith("infer") and retries else lines

    device = MlperfTinyDevice(lambda sample: [0.5] * 10, name="kws01", spoil=exchanged)
    runner = drive(device, retries=retries, samples="raw")
    words = "not the one that was checked: profile was 'ULPMark.*; model was 'kws01', is 'vww01'"
    if retries:
        with pytest.raises(RigFault, match=words):
            runner.run(MODEL, SAMPLES)
    else:
        first = runner.run(MODEL, SAMPLES).runtime
        assert [first, runner.run(MODEL, SAMPLES).runtime] == [
            "mlperf_tiny kws01 (unit test)", "mlperf_tiny vww01 (unit test)"
        ]  # fmt: skip
    device.close()


def test_operators_cannot_be_asked_for(device, drive):
    with pytest.raises(UsageError, match="cannot return the output of one operator"):
        drive(device).tensor(MODEL, [], 0)
    assert drive(device).run(MODEL, SAMPLES, operators=True).operators == ()
