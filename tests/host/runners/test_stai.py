"""A board with ST's validation firmware: a ``Runner`` like any other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.boards import board_runner, own_board
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.stai import StaiRunner
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.verdict.gate import Gate
from tests.stai_device import Edge, M, StaiTestDevice

pytestmark = pytest.mark.host

MODEL = demo_models()[0]
SAMPLES = demo_samples().take(range(4))
QUICK = Deadlines(answer=1.0, operator=1.0, reset=1.0, boot=1.0)


def edges(model: QuantizedModel) -> tuple[list[Edge], list[Edge]]:
    """What a network that was generated from ``model`` says of its inputs and outputs."""
    summary = prepare.summary_of(model.artefact)
    return tuple(  # type: ignore[return-value]
        [
            Edge(
                f"{what}_{number}", tensor.dtype, tuple(tensor.shape),
                float(tensor.scales[0]) if len(tensor.scales) else 0.0,
                int(tensor.zero_points[0]) if len(tensor.zero_points) else 0,
            )
            for number, tensor in enumerate(tensors)
        ]
        for what, tensors in (("in", summary.input_tensors), ("out", summary.output_tensors))
    )  # fmt: skip


def runs(model: QuantizedModel) -> Callable[[list[bytes]], list[bytes]]:
    """A device's network that computes ``model``."""
    tensors = prepare.summary_of(model.artefact).input_tensors

    def infer(given: list[bytes]) -> list[bytes]:
        x = [
            np.frombuffer(data, tensor.dtype).reshape(tensor.shape)
            for data, tensor in zip(given, tensors, strict=True)
        ]
        outputs = IntegerRunner().run(model, Raw(x[0] if len(x) == 1 else tuple(x))).outputs
        return [each.tobytes() for each in outputs]

    return infer


@pytest.fixture
def make() -> Iterator[Callable[..., StaiTestDevice]]:
    """``make(model=MODEL, **how)``: a device that holds it."""
    made = []

    def device(model: QuantizedModel = MODEL, **how) -> StaiTestDevice:
        inputs, outputs = edges(model)
        how = {"inputs": inputs, "outputs": outputs, **how}
        made.append(
            StaiTestDevice(how.pop("infer", runs(model)), how.pop("inputs"), how.pop("outputs"), **how)
        )
        return made[-1]

    yield device
    for each in made:
        each.close()


@pytest.fixture
def drive(tmp_path) -> Iterator[Callable[..., StaiRunner]]:
    """``drive(device, retries=0, **protocol_settings)``: a runner on it."""
    opened = []

    def runner(device: StaiTestDevice, *, retries=0, deadlines=QUICK, **settings: str) -> StaiRunner:
        settings = {"version": f"3.{device.minor}", **settings}
        entry = BoardEntry(
            "theirs", "serial", "theirs", port=device.url, firmware="external", protocol="stai",
            protocol_settings=settings,
        )  # fmt: skip
        ledger = FaultLedger(retries=retries)
        opened.append(board_runner([entry], log_dir=tmp_path, ledger=ledger, deadlines=deadlines))
        return opened[-1]

    yield runner
    for each in opened:
        each.session.close()


@pytest.mark.parametrize(("minor", "packet"), [(1, 0), (2, 0), (2, 512), (2, 4094)])
def test_a_board_of_st_gives_the_integers_of_the_interpreter(make, drive, minor, packet):
    device = make(minor=minor, packet=packet)
    run = drive(device).run(MODEL, SAMPLES)
    right = IntegerRunner().run(MODEL, SAMPLES)
    assert run.outputs[0].dtype == right.outputs[0].dtype
    assert run.outputs[0].tobytes() == right.outputs[0].tobytes()
    assert run.runtime == "X-CUBE-AI 10.2.0 (network)"
    assert (run.counters, run.unit, run.clock_hz) == ((1250,) * 4, "microseconds", 1_000_000)
    assert (run.footprint.arena, run.footprint.image, run.footprint.stack) == (4096, 12_288, 904)
    assert (run.device.chip, run.device.build_id) == ("STM32, device id 0x450", "0x1f2e3d")
    assert run.operators == ()
    identity = [(0, 0, ""), (1, 0, ""), (10, 0, ""), (10, 1, "")]
    assert device.commands == [*identity * 2, *[(11, 1, "network")] * 4]


def test_per_layer_mode_names_each_node_and_its_time(make, drive):
    device = make()
    run = drive(device).run(MODEL, SAMPLES, operators=True)
    assert [[(r.index, r.kind, r.crc32, r.counter) for r in each] for each in run.operators] == [
        [(0, "node conv", None, 750), (1, "node dense", None, 500)]
    ] * 4
    assert run.outputs[0].tobytes() == IntegerRunner().run(MODEL, SAMPLES).outputs[0].tobytes()
    assert device.commands[-1] == (11, 3, "network")


def test_a_firmware_without_per_layer_mode_is_named(make, drive):
    with pytest.raises(UsageError, match="theirs was built without per-layer mode"):
        drive(make(capability=0)).run(MODEL, SAMPLES, operators=True)


def test_the_gate_judges_it_as_any_board(make, drive):
    runner = drive(make())
    assert Gate(reference=IntegerRunner()).check(runner.run(MODEL, SAMPLES), exact=True).passed
    late, cycles = Budget({"latency_ms": 1.2, "cycles": 10_000}).judge(runner.run(MODEL, SAMPLES))
    assert (late.passed, cycles.passed) == (False, None)
    assert runner.estimate(MODEL, []) is None
    with pytest.raises(UsageError, match="stai cannot return the output of one operator"):
        runner.tensor(MODEL, [], 0)
    with pytest.raises(UsageError, match="speaks stai, which cannot do this: echo"):
        own_board(runner, "echo")


def test_a_wrong_integer_fails_the_gate(make, drive):
    wrong = make(infer=lambda given: [bytes(reversed(each)) for each in runs(MODEL)(given)])
    with pytest.raises(AssertionError, match="not those of integer"):
        Gate(reference=IntegerRunner()).check(drive(wrong).run(MODEL, SAMPLES), exact=True)


def test_several_inputs_and_outputs_each_have_their_own_type(make, drive):
    writer = TfliteWriter()
    x, y = writer.tensor((1, 50), "int8", scale=0.5), writer.tensor((1, 7), "int16", scale=0.25)
    outputs = [writer.quantize(x, scale=0.25, zero_point=3), writer.dequantize(y)]
    model = QuantizedModel("two", writer.finish([x, y], outputs))
    luck = np.random.default_rng(3)
    vectors = Raw(
        (luck.integers(-128, 128, (3, 50)).astype(np.int8), luck.integers(-999, 999, (3, 7)).astype(np.int16))
    )
    run = drive(make(model)).run(model, vectors)
    right = IntegerRunner().run(model, vectors)
    assert [each.dtype.name for each in run.outputs] == ["int8", "float32"]
    assert [each.tobytes() for each in run.outputs] == [each.tobytes() for each in right.outputs]


def test_what_the_device_logs_between_its_messages_is_acknowledged_and_written_down(make, drive):
    runner = drive(make(logs=["s:node:evt", "hello \x1b[31m"]))
    assert len(runner.run(MODEL, SAMPLES)) == 4
    assert "device: hello \\x1b[31m" in runner.session.log.read_text()


INPUT, OUTPUT = (each[0] for each in edges(MODEL))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": [INPUT, INPUT]}, "1 inputs, the device's network 2"),
        ({"outputs": [Edge("o", "uint8", OUTPUT.dims)]}, "its type is uint8, not int8"),
        (
            {"outputs": [replace(OUTPUT, dtype="q7")]},
            r"fixed point of 8 bits, 7 of them fraction \(Qm.n\), not int8",
        ),
        ({"inputs": [replace(INPUT, dims=(1, 67))]}, "it has 67 elements, not 64"),
        ({"outputs": [replace(OUTPUT, dims=(1, 13))]}, "it has 13 elements, not 10"),
        (
            {"inputs": [replace(INPUT, dims=(1, 4, 16, 1))]},
            r"its shape is \(1, 4, 16, 1\), not \(1, 8, 8, 1\)",
        ),
        ({"inputs": [replace(INPUT, scale=INPUT.scale * 1.001)]}, "its scale is"),
        ({"inputs": [replace(INPUT, scale=0.0)]}, r"it has no scale \(0\), so that nothing shows"),
        ({"outputs": [replace(OUTPUT, zero_point=5)]}, "its zero point is 5, not -128"),
    ],
)
def test_a_network_of_another_model_is_a_fault_before_anything_runs(make, drive, change, words):
    device = make(**change)
    with pytest.raises(RigFault, match=words) as caught:
        drive(device).run(MODEL, SAMPLES)
    assert caught.value.kind == "protocol"
    assert 11 not in [command for command, _, _ in device.commands]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"network": "kws"}, "these networks: 'network', the inventory expects 'kws'"),
        ({"signature": "0xff"}, "has the signature '0x1f2e3d', the inventory expects '0xff'"),
    ],
)
def test_the_inventory_may_say_which_network_it_must_be(make, drive, settings, words):
    with pytest.raises(RigFault, match=words):
        drive(make(), **settings).run(MODEL, SAMPLES)
    right = {"network": "network", "signature": "0x1f2e3d"}
    assert len(drive(make(), **right).run(MODEL, SAMPLES)) == 4


def test_a_signature_may_belong_to_one_model(make, drive):
    mine, other = {MODEL.sha256: "0x1f2e3d"}, {MODEL.sha256: "0xff"}
    assert len(drive(make(), **mine).run(MODEL, SAMPLES)) == 4
    with pytest.raises(RigFault, match="'0x1f2e3d', the inventory expects '0xff' for this model"):
        drive(make(), **other).run(MODEL, SAMPLES)
    with pytest.raises(UsageError, match=f'no signature for this model; add .*"{MODEL.sha256}" = "0x1f2e3d"'):
        drive(make(), **{"0" * 64: "0x1f2e3d"}).run(MODEL, SAMPLES)


def test_a_run_without_a_signature_says_that_nothing_proves_the_model(make, drive):
    def findings(**settings) -> list[str]:
        run = drive(make(), **settings).run(MODEL, SAMPLES)
        found = Gate(reference=IntegerRunner()).check(run, exact=True).findings
        return [each.remedy for each in found if each.code == "model_unproven"]

    (remedy,) = findings()
    assert f'write "{MODEL.sha256}" = "0x1f2e3d"' in remedy
    assert findings(signature="0x1f2e3d") == findings(**{MODEL.sha256: "0x1f2e3d"}) == []


def other_network(device: StaiTestDevice, **info) -> None:
    """Flash one with a finer output, which gives zeros."""
    device.hold(lambda given: [bytes(10)], [INPUT], [replace(OUTPUT, scale=OUTPUT.scale / 2)])
    device.info = info


def test_a_board_that_is_flashed_between_runs_is_asked_anew(make, drive):
    device = make()
    runner = drive(device)
    assert runner.run(MODEL, SAMPLES).device.build_id == "0x1f2e3d"
    device.info = {"signature": "0xdead"}
    assert runner.run(MODEL, SAMPLES).device.build_id == "0xdead"
    other_network(device)
    with pytest.raises(RigFault, match="its scale is"):
        runner.run(MODEL, SAMPLES)


def test_a_board_that_is_flashed_between_runs_loses_its_signature(make, drive):
    device = make()
    runner = drive(device, signature="0x1f2e3d")
    runner.run(MODEL, SAMPLES)
    device.info = {"signature": "0xdead"}
    with pytest.raises(RigFault, match="'0xdead', the inventory expects '0x1f2e3d'"):
        runner.run(MODEL, SAMPLES)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({}, r"not the one that was checked: network.outputs\[0\].scale was 0.0039"),
        ({"signature": "0xdead"}, "network.signature was '0x1f2e3d', is '0xdead'"),
        ({"compile_datetime": "later"}, "network.compiled was 'now', is 'later'"),
    ],
)
def test_one_run_never_holds_rows_of_two_networks(make, drive, info, words):
    seen = []

    def exchanged(response):
        seen.append(response.HasField("op"))
        if sum(seen) == 2 and seen[-1]:
            other_network(device, **info)
            return None
        return response

    device = make(spoil=exchanged)
    with pytest.raises(RigFault, match=words):
        drive(device, retries=1).run(MODEL, SAMPLES)


def test_samples_do_not_see_the_states_of_those_before(make, drive):
    states = [0]

    def infer(given):
        states[0] += 1
        (right,) = runs(MODEL)(given)
        return [right] if states[0] == 1 else [bytes(reversed(right))]

    run = drive(make(infer=infer, forget=lambda: states.__setitem__(0, 0))).run(MODEL, SAMPLES)
    assert run.outputs[0].tobytes() == IntegerRunner().run(MODEL, SAMPLES).outputs[0].tobytes()


def spoiled(kind: str, change: Callable):
    """Changes every response of this kind."""
    return lambda response: change(response) if response.HasField(kind) else response


def test_a_silent_device_is_a_fault_of_the_link_that_names_the_version(make, drive):
    with pytest.raises(RigFault, match=r'(?s)0 of 34 bytes came.*"3.1" or "3.2"') as caught:
        drive(make(spoil=lambda response: None)).run(MODEL, SAMPLES)
    assert caught.value.kind == "link"


def test_a_firmware_of_the_other_version_is_a_fault(make, drive):
    for minor, other in ((1, "3.2"), (2, "3.1")):
        with pytest.raises(RigFault) as caught:
            drive(make(minor=minor), version=other).run(MODEL, SAMPLES)
        assert caught.value.kind in ("link", "protocol")
        assert 'version = "3.1" or "3.2"' in caught.value.reason


def with_(response, **payload):
    return M["Response"](reqid=response.reqid, state=response.state, **payload)


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("sync", lambda r: with_(r, sync=M["Sync"](version=512, capability=0, rtid=1)), "speaks version 2.0"),
        ("sync", lambda r: b"\x80\x28" + b"\xff" * 32, "a packet says that it has 40 bytes, and holds 32"),
        ("sync", lambda r: b"\x80\x03\x0b\0\0" + bytes(29), "damaged: wire type 3"),
        ("sync", lambda r: b"\x80\x0c" + b"\xff" * 12 + bytes(20), "damaged: a number without an end"),
        ("sync", lambda r: b"\x80\x02\x52\x7f" + bytes(30), "damaged: 127 bytes, of which 0 are there"),
        ("sync", lambda r: b"\x80\x04\x08\x01\x10\x00" + bytes(28), "it has 0 of the known contents"),
        ("sync", lambda r: M["Response"](reqid=77, state=0, sync=r.sync), "answers request 77; 1 was asked"),
        ("op", lambda r: with_(r, ack=M["Ack"](param=0, error=8)), r"refused \(run\): no memory"),
        ("op", lambda r: with_(r, tensor=M["Tensor"](desc=INPUT.desc(), data=M["Data"](
            type=0, size=0, addr=0, datas=b""))), "sent tensor in the state PROCESSING; operator"),
        ("tensor", lambda r: M["Response"](reqid=r.reqid, state=9, tensor=r.tensor), "the state 9; tensor"),
        ("tensor", lambda r: with_(r, tensor=M["Tensor"](desc=r.tensor.desc, data=M["Data"](
            type=0, size=9, addr=0, datas=bytes(9)))), "output 0 has 10 bytes, the device sent 9"),
    ],
)  # fmt: skip
def test_what_is_not_in_the_protocols_words_is_a_fault_of_the_rig(make, drive, kind, change, words):
    with pytest.raises(RigFault, match=words) as caught:
        drive(make(spoil=spoiled(kind, change))).run(MODEL, SAMPLES)
    assert caught.value.kind == "protocol"


def test_after_a_fault_it_goes_on_with_the_sample_it_failed_at(make, drive):
    seen = []

    def once(response):
        seen.append(response.HasField("op"))
        return None if seen[-1] and sum(seen) == 2 else response

    run = drive(make(spoil=once), retries=1).run(MODEL, SAMPLES)
    assert run.outputs[0].tobytes() == IntegerRunner().run(MODEL, SAMPLES).outputs[0].tobytes()
    assert run.effort.retries == 1
    assert "operator in the state PROCESSING is due" in run.effort.faults[0]
    assert sum(seen) == 5


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_a_clock_that_stands_still_is_no_time(make, drive, value):
    device = make(nodes=[("n", value)])
    assert drive(device).run(MODEL, SAMPLES).counters == ()


def told(**changes: object) -> Callable:
    """The output's tensor with other words in its description."""

    def change(response):
        for key, value in changes.items():
            setattr(response.tensor.data if key == "length" else response.tensor.desc,
                    "size" if key == "length" else key, value)  # fmt: skip
        return response

    return change


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 0x40440}, "output 0 comes as .*uint8.*; NETWORK_INFO describes .*'int8'"),
        ({"scale": 99.0}, r"output 0 comes as .*scale=99\.0"),
        ({"zeropoint": 3}, "output 0 comes as .*zero_point=3"),
        ({"name": "other"}, "output 0 comes as .*name='other'"),
        ({"size": 1}, r"'out_0' has 1 elements and the dimensions \(1, 10\)"),
        ({"n_dims": 5 << 24 | 3}, r"'out_0' has 10 elements and the dimensions \(1, 10\)"),
        ({"flags": 1 | 256}, "output 0: its flags 0x101 say that it is no output"),
        ({"flags": 2}, "output 0: the device calls it not the last"),
        ({"length": 9}, "output 0 has 10 bytes, the device sent 10 and says 9"),
    ],
)
def test_an_output_that_is_not_the_one_that_was_promised_is_a_fault(make, drive, changes, words):
    with pytest.raises(RigFault, match=words):
        drive(make(spoil=spoiled("tensor", told(**changes)))).run(MODEL, SAMPLES)


def test_an_output_longer_than_promised_is_a_fault(make, drive):
    longer = make(infer=lambda given: [runs(MODEL)(given)[0] + b"\x7f" * 3])
    with pytest.raises(RigFault, match="output 0 has 10 bytes, the device sent 13 and says 13"):
        drive(longer).run(MODEL, SAMPLES)


def test_a_count_of_tensors_that_is_not_their_number_is_a_fault(make, drive):
    device = make()
    device.info = {"n_outputs": 2}
    with pytest.raises(RigFault, match="field 12 counts 2 tensors, 1 are described"):
        drive(device).run(MODEL, SAMPLES)


def nodes_of(device: StaiTestDevice, *steps: tuple[int, int]) -> StaiTestDevice:
    """Nodes of a device: flags of each beside INTERNAL, and how many tensors follow it."""

    def tell(request):
        for number, (flags, tensors) in enumerate(steps):
            device._op(request, f"n{number}", 1 | flags, number, 1.0)
            for each in range(tensors):
                device._tensor(request, 256 * (each + 1 == tensors))

    device._tell_nodes = tell
    return device


def test_a_node_may_have_no_buffers_and_send_tensors_that_it_says_it_has_not(make, drive):
    device = nodes_of(make(), (0, 0), (4, 2), (4, 0), (2, 1))
    run = drive(device).run(MODEL, SAMPLES, operators=True)
    assert [each.kind for each in run.operators[0]] == ["node n0", "node n1", "node n2", "node n3"]
    assert run.outputs[0].tobytes() == IntegerRunner().run(MODEL, SAMPLES).outputs[0].tobytes()


@pytest.mark.parametrize(
    ("flags", "words"),
    [([0] * 2000, "node 0 has more than 1024 tensors"), ([256, 256], "sent tensor .* operator in the"),
     ([0], "node 0 has no last tensor"), ([2], "a tensor after node 0 has the flags 0x206")],
)  # fmt: skip
def test_tensors_of_a_node_end_where_it_says_so(make, drive, flags, words):
    device = make()

    def tell(request):
        device._op(request, "n", 1, 0, 1.0)
        for each in flags:
            device._tensor(request, each)

    device._tell_nodes = tell
    with pytest.raises(RigFault, match=words):
        drive(device).run(MODEL, SAMPLES, operators=True)


def test_a_node_that_nobody_asked_for_is_a_fault(make, drive):
    device = make()
    spoil = spoiled("op", lambda r: (setattr(r.op, "type", 1 << 24), r)[1])
    device.spoil = spoil
    with pytest.raises(RigFault, match="the device reports node 0, which was not asked for"):
        drive(device).run(MODEL, SAMPLES)


def test_all_of_a_request_has_one_deadline_whatever_comes_meanwhile(make, drive):
    device = make()

    def tell(request):
        for number in range(400):
            device._op(request, "n", 1, number, 1.0)
            time.sleep(0.05)

    device._tell_nodes = tell
    began = time.monotonic()
    with pytest.raises(RigFault, match="the request takes longer than it may"):
        drive(device, deadlines=replace(QUICK, request=1.0)).run(MODEL, SAMPLES, operators=True)
    assert time.monotonic() - began < 15


def test_a_message_is_no_longer_than_what_was_announced(make, drive):
    def longer(response):
        response.tensor.data.datas += bytes(1 << 15)
        return response

    with pytest.raises(RigFault, match=r"a message never ends: 16,4\d\d bytes came, 16,394 may"):
        drive(make(spoil=spoiled("tensor", longer))).run(MODEL, SAMPLES)
