"""What a device does for its host, on the real firmware with a runtime that is not our engine."""

from __future__ import annotations

import hashlib
import random
import time
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig import device as device_module
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.link.device_error import DeviceError
from pytest_quantcheck.rig.messages.numbers import PROTOCOL, Kind, Place, Status
from pytest_quantcheck.rig.store import slot_bytes
from rigs.posix.firmware import build
from tests.firmware.harness.conftest import Bench, Lookup

pytestmark = pytest.mark.host

MODEL = Lookup.random(elements=700, operators=3)
LARGE = Lookup.random(elements=5000, operators=2, seed=1)


def values(model: Lookup, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(model.elements)


def store(bench: Bench, *images: bytes) -> None:
    """Write images into the flash store, one slot behind the other."""
    address = 0x200000
    for image in images:
        bench.board.flash([(address, slot_bytes(image))])
        address += -(-len(slot_bytes(image)) // 4096) * 4096


def refused(status: Status, call: Callable[[], object]) -> DeviceError:
    with pytest.raises(DeviceError) as caught:
        call()
    assert Status(caught.value.status) is status
    return caught.value


# ---- HELLO


def test_hello_names_board_runtime_and_memory(bench: Bench) -> None:
    hello = bench.connect().hello()
    assert (hello.board, hello.chip, hello.runtime, hello.artefact) == ("posix", "host", "lookup", "lookup")
    assert hello.unique_id == b"posix-1"
    assert (hello.clock_hz, hello.unit) == (1_000_000_000, "cycles")
    assert (hello.pool_bytes, hello.store_bytes, hello.store_address) == (4 << 20, 4 << 20, 0x200000)
    assert (hello.place, hello.image_bytes, hello.image_sha256) == (Place.NONE, 0, bytes(32))
    assert hello.window >= 1
    assert hello.chunk == 1020


def test_hello_proves_the_firmware_of_the_manifest(bench: Bench) -> None:
    hello, firmware = bench.connect().hello(), bench.board.firmware
    assert (hello.build_id, hello.firmware_bytes) == (firmware.build_id, firmware.size)
    assert hello.firmware_crc32 == firmware.crc32


def test_hello_shows_a_bit_of_the_firmware_that_is_stuck(bench: Bench) -> None:
    device = bench.connect()
    device.hello()
    bench.board.misbehave("stick", address=bench.board.firmware.size - 1, bit=3, value=1)
    bench.board.misbehave("stick", address=bench.board.firmware.size - 2, bit=3, value=1)
    assert device.hello().firmware_crc32 != bench.board.firmware.crc32


def test_hello_proves_the_model_in_ram(device: RemoteDevice) -> None:
    device.load_ram(MODEL.artefact)
    hello = device.hello()
    assert (hello.place, hello.image_bytes) == (Place.RAM, len(MODEL.artefact))
    assert hello.image_sha256 == hashlib.sha256(MODEL.artefact).digest()
    assert hello.image_crc32 == zlib.crc32(MODEL.artefact)


def test_another_version_at_the_host_is_a_protocol_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "PROTOCOL", PROTOCOL + 1)
    with pytest.raises(RigFault, match="the firmware speaks protocol 1, this host speaks 2") as caught:
        bench.connect().hello()
    assert caught.value.kind == "protocol"


def test_another_version_at_the_device_is_a_protocol_fault(make_bench: Callable[..., Bench]) -> None:
    other = make_bench(build("lookup", PROTOCOL="2"))
    with pytest.raises(RigFault, match="the firmware speaks protocol 2, this host speaks 1") as caught:
        other.connect().hello()
    assert caught.value.kind == "protocol"


# ---- inference


@pytest.mark.parametrize("model", [MODEL, LARGE], ids=["inline", "bulk"])
def test_outputs_are_those_of_the_tables(device: RemoteDevice, model: Lookup) -> None:
    device.load_ram(model.artefact)
    for seed in range(5):
        given = values(model, seed)
        assert device.infer([given]).outputs == (model.run(given),)
        assert device.output(0) == model.run(given)


def test_inputs_stay_though_the_runtime_works_in_place(device: RemoteDevice) -> None:
    device.load_ram(LARGE.artefact)
    device.set_input(0, values(LARGE))
    assert device.run().outputs == device.run().outputs == (LARGE.run(values(LARGE)),)


def test_records_hold_the_crc_of_every_operator(device: RemoteDevice) -> None:
    device.load_ram(MODEL.artefact)
    given = values(MODEL)
    result = device.infer([given], operators=True)
    records = device.operator_results()
    assert [each.crc32 for each in records] == [zlib.crc32(MODEL.run(given, n)) for n in (1, 2, 3)]
    assert [(each.index, each.source_index, each.nbytes) for each in records] == [
        (n, n, MODEL.elements) for n in range(3)
    ]
    counters = [each.counter for each in records]
    assert None not in counters
    assert 0 < sum(each or 0 for each in counters) <= result.counter


def test_a_run_without_records_leaves_none(device: RemoteDevice) -> None:
    device.load_ram(MODEL.artefact)
    device.infer([values(MODEL)], operators=True)
    device.infer([values(MODEL)])
    assert device.operator_results() == ()


@pytest.mark.parametrize("operator", range(3))
def test_a_run_stops_after_an_operator_and_its_tensor_can_be_fetched(
    device: RemoteDevice, operator: int
) -> None:
    device.load_ram(MODEL.artefact)
    result = device.infer([values(MODEL)], stop_after=operator)
    assert (result.stopped, result.operators, result.outputs) == (True, operator + 1, ())
    assert device.tensor() == MODEL.run(values(MODEL), operator + 1)


def test_an_operator_that_is_not_there_cannot_be_stopped_after(device: RemoteDevice) -> None:
    device.load_ram(MODEL.artefact)
    refused(Status.ARGUMENT, lambda: device.infer([values(MODEL)], stop_after=3))


def test_describe_says_what_the_runtime_says(device: RemoteDevice) -> None:
    device.load_ram(MODEL.artefact)
    info = device.describe()
    assert (info.operators, info.arena_bytes) == (3, 700)
    assert [(each.dtype, each.bytes) for each in (*info.inputs, *info.outputs)] == [("int8", 700)] * 2


# ---- refusals


def test_nothing_runs_without_a_model(device: RemoteDevice) -> None:
    refused(Status.NO_MODEL, device.run)
    refused(Status.NO_MODEL, device.describe)
    refused(Status.NO_MODEL, lambda: device.set_input(0, b""))
    refused(Status.NO_MODEL, lambda: device.select(bytes(32)))
    refused(Status.STATE, lambda: device.output(0))


def test_an_input_that_was_not_set_is_named(device: RemoteDevice) -> None:
    device.load_ram(MODEL.artefact)
    assert refused(Status.STATE, device.run).detail == 0


def test_an_input_of_the_wrong_size_is_refused(device: RemoteDevice) -> None:
    device.load_ram(MODEL.artefact)
    assert refused(Status.SIZE, lambda: device.set_input(0, bytes(701))).detail == 700
    refused(Status.SIZE, lambda: device.infer([bytes(699)]))
    refused(Status.ARGUMENT, lambda: device.set_input(1, bytes(700)))


def test_a_damaged_artefact_is_refused_and_leaves_no_model(device: RemoteDevice) -> None:
    device.load_ram(MODEL.artefact)
    refused(Status.MAGIC, lambda: device.load_ram(b"x" + MODEL.artefact[1:]))
    refused(Status.NO_MODEL, device.describe)


def test_a_model_that_does_not_fit_is_refused(make_bench: Callable[..., Bench]) -> None:
    """The pool holds image, values, the copy of the input, and a record of 24 bytes per operator."""
    model = Lookup.random(elements=1600, operators=4)
    image, records = -(-len(model.artefact) // 16) * 16, 4 * 24
    needed = image + 1600 + 1600 + records
    small = make_bench(pool=str(needed - 16)).connect()
    refused(Status.NO_MEMORY, lambda: small.load_ram(model.artefact))
    refused(Status.NO_MEMORY, lambda: small.load_ram(bytes(needed)))
    enough = make_bench(pool=str(needed)).connect()
    enough.load_ram(model.artefact)
    assert enough.infer([bytes(1600)]).outputs == (model.run(bytes(1600)),)


REQUESTS = [kind for kind in Kind if kind < Kind.BANNER]


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.name)
def test_payloads_of_any_length_are_refused_or_answered(device: RemoteDevice, kind: Kind) -> None:
    luck = random.Random(kind)
    device.load_ram(MODEL.artefact)
    for size in (*range(14), 44, 45, 1024):
        payload = luck.randbytes(size)
        if kind in (Kind.BAUD, Kind.LOOP, Kind.REBOOT):
            payload += b"\0" * 9  # not a valid one: that would take the line or a while
        with suppress(DeviceError):
            device.link.request(kind, payload[:1024])
    assert device.echo(b"alive") == b"alive"


@pytest.mark.parametrize("kind", [0x00, 0x10, 0x7F])
def test_an_unknown_request_is_refused(device: RemoteDevice, kind: int) -> None:
    refused(Status.UNKNOWN, lambda: device.link.request(kind))


def test_data_outside_the_transfer_are_refused(device: RemoteDevice) -> None:
    data = (0).to_bytes(4, "little") + b"xyz"
    refused(Status.STATE, lambda: device.link.request(Kind.DATA, data))
    begin = bytes([1, 0, 0, 0]) + (2).to_bytes(4, "little") + bytes(4) + bytes(32)
    device.link.request(Kind.BEGIN, begin)
    refused(Status.BOUNDS, lambda: device.link.request(Kind.DATA, data))
    refused(Status.BOUNDS, lambda: device.link.request(Kind.DATA, b"\xff" * 5))
    refused(Status.CRC, lambda: device.link.request(Kind.COMMIT))


def test_any_payload_comes_back_as_it_went(device: RemoteDevice) -> None:
    """The firmware's own COBS and CRC against ours, around the block size of 254 and with zeros."""
    luck = random.Random(0)
    sizes = [*range(4), 253, 254, 255, 507, 508, 509, 762, 1023, 1024]
    for size in sizes:
        for content in (bytes(size), b"\xff" * size, luck.randbytes(size), luck.randbytes(size // 2) * 2):
            assert device.echo(content) == content
        for zero in range(0, size, 127):
            sparse = b"a" * zero + b"\0" + b"b" * (size - zero - 1)
            assert device.echo(sparse) == sparse
    assert device.counter().bad_frames == 0


# ---- requests that come twice


def test_a_repeated_request_gets_the_stored_answer_and_has_no_second_effect(bench: Bench) -> None:
    """Two frames that are equal, then one that only differs in its number."""
    device = bench.connect()
    device.load_ram(MODEL.artefact)
    device.infer([values(MODEL)])
    answers = []
    for _ in range(2):
        device.link.line.sequence = 99
        answers.append(device.link.request(Kind.RUN, bytes(8)))
    assert answers[0] == answers[1]  # the counter of a second run would differ
    assert device.link.request(Kind.RUN, bytes(8)) != answers[0]


def test_a_stored_answer_is_gone_after_any_other_request(device: RemoteDevice) -> None:
    device.link.line.sequence = 7
    first = device.link.request(Kind.COUNTER)
    device.echo(b"")
    device.link.line.sequence = 7
    assert device.link.request(Kind.COUNTER) != first


# ---- the store


def test_images_in_the_store_are_found_by_their_hash(bench: Bench) -> None:
    store(bench, MODEL.artefact, LARGE.artefact)
    device = bench.connect()
    for model in (LARGE, MODEL):
        digest = hashlib.sha256(model.artefact).digest()
        device.select(digest)
        hello = device.hello()
        assert (hello.place, hello.image_sha256) == (Place.STORE, digest)
        assert hello.image_crc32 == zlib.crc32(model.artefact)
        assert device.infer([values(model)]).outputs == (model.run(values(model)),)


def test_the_store_lists_its_slots_and_where_blank_flash_begins(bench: Bench) -> None:
    images = [Lookup.random(8, 1, seed).artefact for seed in range(35)]
    store(bench, *images)
    listing = bench.connect().store()
    assert [slot.offset for slot in listing.slots] == [number * 4096 for number in range(35)]
    assert [slot.sha256 for slot in listing.slots] == [hashlib.sha256(each).digest() for each in images]
    assert all(slot.intact for slot in listing.slots)
    assert listing.free == 35 * 4096


def test_a_flash_bit_that_is_lost_is_seen_and_its_image_refused(bench: Bench) -> None:
    store(bench, MODEL.artefact)
    device = bench.connect()
    device.select(hashlib.sha256(MODEL.artefact).digest())
    intact = device.hello().image_crc32
    at = 0x200000 + 64 + 500
    old = bench.board._flash.read(at, 1)[0]
    bench.board.misbehave("stick", address=at, bit=0, value=1 - (old & 1))
    assert device.hello().image_crc32 != intact
    assert [slot.intact for slot in device.store().slots] == [False]
    refused(Status.CRC, lambda: device.select(hashlib.sha256(MODEL.artefact).digest()))


def test_half_a_write_is_passed_over(bench: Bench) -> None:
    slot = slot_bytes(MODEL.artefact)
    bench.board.flash([(0x200000, b"\xff" * 64 + slot[64:300])])  # the header is missing
    bench.board.flash([(0x201000, slot)])
    device = bench.connect()
    assert [each.offset for each in device.store().slots] == [4096]
    device.select(hashlib.sha256(MODEL.artefact).digest())
    assert device.hello().place is Place.STORE


def test_a_slot_that_claims_more_than_the_store_is_none(bench: Bench) -> None:
    slot = bytearray(slot_bytes(MODEL.artefact))
    slot[4:8] = b"\xf0\xff\xff\xff"
    bench.board.flash([(0x200000, bytes(slot))])
    listing = bench.connect().store()
    assert listing.slots == ()
    assert listing.free == 4096


# ---- rates


def test_a_rate_that_works_is_kept(bench: Bench) -> None:
    device = bench.connect()
    device.load_ram(MODEL.artefact)
    assert device.set_baud(921600) == 921600
    assert device.link.baudrate == 921600
    assert device.infer([values(MODEL)]).outputs == (MODEL.run(values(MODEL)),)


def test_a_self_test_waits_for_as_long_as_the_line_takes(bench: Bench) -> None:
    """9600 baud and 256 bytes, there and back: 0.53 s. The posix line is as fast as its delays."""
    device = bench.connect(patience=5.0, seed=1, delay=0.0332)
    assert device.set_baud(9600) == 9600


def test_a_rate_that_fails_its_self_test_is_given_up_by_both(make_bench: Callable[..., Bench]) -> None:
    device = make_bench(max_baud="500000").connect(patience=0.05)
    assert device.set_baud(921600) == 115200
    assert device.link.baudrate == 115200
    assert device.echo(b"back again") == b"back again"


def test_a_rate_the_device_cannot_make_is_refused_at_once(device: RemoteDevice) -> None:
    start = time.monotonic()
    assert device.set_baud(12_000_000) == 115200
    assert time.monotonic() - start < 3.0
    assert device.echo(b"here") == b"here"


# ---- counter, restart and crash


def test_the_counter_goes_on_and_the_loop_is_counted(device: RemoteDevice) -> None:
    first, second = device.counter(), device.counter()
    assert second.counter > first.counter
    assert device.loop(1_000_000).counted > device.loop(1000).counted > 0
    assert device.loop(10).expected(10) is None


def test_a_reboot_forgets_the_model_and_counts_the_boot(device: RemoteDevice) -> None:
    device.load_ram(MODEL.artefact)
    device.reboot()
    hello = device.hello()
    assert (hello.boot_count, hello.place, hello.crashed) == (2, Place.NONE, False)


def test_a_crash_is_a_fault_that_shows_the_registers(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(build("lookup"))  # the sanitizer would take the signal
    device = bench.connect()
    device.hello()
    bench.board.misbehave("crash")
    time.sleep(0.2)
    with pytest.raises(RigFault, match=r"cause 0xb, pc 0x") as caught:
        device.counter()
    assert caught.value.kind == "crash"
    hello = device.hello()
    assert (hello.crashed, hello.boot_count) == (True, 2)
    record = device.crash(clear=True)
    assert (record.held, record.cause, record.operators) == (True, 11, None)
    assert not device.crash().held


def test_a_crash_whose_banner_was_lost_is_noticed_by_the_boot_count(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(build("lookup"))
    device = bench.connect()
    device.hello()
    device.load_ram(MODEL.artefact)
    bench.board.misbehave("crash")
    time.sleep(0.3)
    device.link.line.transport.read(10_000)
    with pytest.raises(RigFault) as caught:
        device.infer([values(MODEL)])
    assert caught.value.kind == "crash"


def test_a_device_that_hangs_is_a_fault_of_the_link(bench: Bench) -> None:
    device = bench.connect()
    device.hello()
    bench.board.misbehave("hang")
    device.deadlines = Deadlines(answer=0.5)
    with pytest.raises(RigFault, match="no answer to COUNTER") as caught:
        device.counter()
    assert caught.value.kind == "link"


def test_bulk_data_pass_at_300_kilobytes_a_second_or_more(make_bench: Callable[..., Bench]) -> None:
    device = make_bench(build("lookup")).connect()
    device.hello()
    model = Lookup.random(elements=16, operators=2000)

    def bytes_a_second() -> float:
        start = time.monotonic()
        device.load_ram(model.artefact)
        return len(model.artefact) / (time.monotonic() - start)

    assert max(bytes_a_second() for _ in range(3)) >= 300_000  # the best of three: the machine may be busy


def test_a_rate_the_host_cannot_make_is_given_up_by_both(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = bench.connect(patience=0.05)
    device.hello()
    serial_class = type(device.link.line.transport)
    plain = serial_class.baudrate

    def refuse(port: object, rate: int) -> None:
        if rate > 500_000:
            raise ValueError(f"Invalid baud rate: {rate}")
        plain.fset(port, rate)

    monkeypatch.setattr(serial_class, "baudrate", property(plain.fget, refuse))
    assert device.set_baud(921600) == 115200
    assert device.echo(b"back again") == b"back again"
