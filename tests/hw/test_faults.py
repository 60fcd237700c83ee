"""Everything that can break on a bench ends as a fault with its stage, never as a result or a hang."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import struct
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.errors import ImageError, RigFault
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.read import read_image
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.messages.model import ModelInfo, TensorInfo
from pytest_quantcheck.rig.messages.numbers import Place
from pytest_quantcheck.rig.session import BoardArtefact
from pytest_quantcheck.runners.board import BoardRunner, board_artefact
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.temporary import OwnFolder
from rigs.posix.firmware import build

pytestmark = pytest.mark.hw


def rows(count):
    """Raw int8 digits, all different."""
    return [[bytes([value]) * 64] for value in range(count)]


@pytest.fixture
def image(digits):
    compiled = compile_image(digits[0].graph)
    return board_artefact(compiled)


def fault_in(work, *kinds):
    """The fault that ``work`` ends with: complete, and within bounded time."""
    began = time.monotonic()
    with pytest.raises(RigFault) as caught:
        work()
    fault = caught.value
    assert fault.kind in kinds, str(fault)
    assert time.monotonic() - began < 40
    assert fault.board
    assert fault.log
    return fault


def test_a_busy_port_is_named_with_what_to_do(new_session):
    import serial

    primary, secondary = os.openpty()
    port = os.ttyname(secondary)
    try:
        with serial.Serial(port, exclusive=True):
            entry = BoardEntry("nucleo", "stm32", "stm32f405xg", port=port)
            fault = fault_in(new_session(entry=entry).start, "link")
    finally:
        os.close(primary)
        os.close(secondary)
    assert port in fault.reason
    assert "Close whatever else uses it" in fault.reason


def test_a_missing_port_is_a_fault_of_the_link(new_session, tmp_path):
    entry = BoardEntry("nucleo", "stm32", "stm32f405xg", port=str(tmp_path / "ttyACM9"))
    assert "ttyACM9 cannot be opened" in fault_in(new_session(entry=entry).start, "link").reason


def test_another_protocol_version_is_a_protocol_fault(new_session, entries):
    other = build(PROTOCOL="2")
    entry = replace(entries["posix"], firmware=str(other.path))
    fault = fault_in(new_session(entry=entry).start, "protocol")
    assert "the firmware speaks protocol 2, this host speaks 1" in fault.reason


def test_a_board_that_holds_another_model_is_a_fault_before_any_result(new_session, image):
    impostor = BoardArtefact(image.data, BoardArtefact.of(b"another model").sha256)
    fault = fault_in(lambda: new_session().infer(impostor, rows(1)), "protocol")
    assert "does not hold the model under test" in fault.reason
    assert image.sha256.hex()[:16] in fault.reason


def test_a_model_that_should_be_built_in_is_asked_for(new_session, image):
    builtin = BoardArtefact(b"", image.sha256)
    assert "built without a model" in fault_in(lambda: new_session().load(builtin), "protocol").reason


def test_a_full_disk_is_no_matter_of_power_and_wiring(new_session, monkeypatch):
    def full(self, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/quantcheck-posix-1")

    monkeypatch.setattr(OwnFolder, "__init__", full)
    reason = fault_in(new_session().start, "boot").reason
    assert "No space left on device: '/tmp/quantcheck-posix-1'" in reason
    assert "what to do: make room on that disk, or name another folder: TMPDIR" in reason


OURS = "the firmware that belongs to this version"


@pytest.mark.parametrize(
    ("place", "sha256", "seen", "remedy"),
    [
        (Place.NONE, bytes(32), "built without a model", "build your firmware with this model in it"),
        (Place.BUILTIN, bytes(32), "does not say from which artefact", "if it was made from this one, say"),
        (Place.BUILTIN, b"\1" * 32, "made from the artefact 0101", "again from the artefact under test"),
    ],
    ids=["no model", "no hash", "another model"],
)
def test_the_remedy_for_a_built_in_model_is_about_the_users_own_firmware(
    new_session, monkeypatch, digits, place, sha256, seen, remedy
):
    hello = RemoteDevice.hello
    own = {"runtime": "mine", "artefact": "builtin", "place": place, "image_sha256": sha256}
    monkeypatch.setattr(RemoteDevice, "hello", lambda self, **how: replace(hello(self, **how), **own))
    session = new_session()
    fault = fault_in(
        lambda: BoardRunner(session).run(digits[0], Raw(np.zeros((1, 8, 8, 1), np.int8))), "protocol"
    )
    assert seen in fault.reason
    assert remedy in fault.reason
    assert f'artefact = "builtin:{digits[0].sha256}" in its qc_runtime_t' in fault.reason
    assert OURS not in fault.reason


def test_the_remedy_for_a_wrong_data_type_is_about_the_users_own_firmware(new_session, monkeypatch, digits):
    hello, describe = RemoteDevice.hello, RemoteDevice.describe
    monkeypatch.setattr(
        RemoteDevice, "hello", lambda self, **how: replace(hello(self, **how), runtime="mine")
    )
    wrong = [TensorInfo("uint8", 64)], [TensorInfo("int8", 10)]
    monkeypatch.setattr(RemoteDevice, "describe", lambda self: describe(self) and ModelInfo.of(0, 0, *wrong))
    session = new_session()
    fault = fault_in(
        lambda: BoardRunner(session).run(digits[0], Raw(np.zeros((1, 8, 8, 1), np.int8))), "protocol"
    )
    assert "the model's inputs are [('int8', 64)], the board describes [('uint8', 64)]" in fault.reason
    assert "build your firmware again from the artefact under test; describe_input()" in fault.reason
    assert OURS not in fault.reason


def test_the_remedy_for_another_protocol_depends_on_whose_firmware_it_is(new_session, entries):
    path = str(build(PROTOCOL="2").path)
    own = fault_in(new_session(entry=replace(entries["posix"], firmware=path)).start, "protocol")
    assert "not the one of pytest-quantcheck: build it again with the harness of this version" in own.reason
    assert OURS not in own.reason


@pytest.mark.parametrize("name", ["posix", "virtual-stm32f405", "virtual-esp32c3"])
def test_a_bit_stuck_in_the_images_flash_is_a_flash_fault(new_session, image, name):
    session = new_session(name, storage="flash")
    hello = session.start()
    place = next(at for at in range(len(image.data) // 2, len(image.data)) if not image.data[at] & 1)
    session.board.misbehave("stick", address=hello.store_address + 64 + place, bit=0, value=1)
    fault = fault_in(lambda: session.infer(image, rows(1)), "flash")
    assert "flash the model" in fault.reason


@pytest.mark.parametrize("name", ["posix", "virtual-stm32f405", "virtual-esp32c3"])
@pytest.mark.parametrize("retries", [0, 1])
def test_a_bit_lost_in_the_firmwares_flash_is_a_flash_fault(new_session, image, name, retries):
    session = new_session(name, retries=retries)
    session.start()
    firmware = session.board.firmware
    data = firmware.path.read_bytes()
    place = data.rindex(firmware.build_id.encode())  # a byte that no instruction depends on
    session.board.misbehave("stick", address=firmware.address + place, bit=0, value=1 - (data[place] & 1))
    fault = fault_in(lambda: session.infer(image, rows(1)), "flash")
    assert (
        "the board's firmware is not the one expected" in fault.reason or "flash the firmware" in fault.reason
    )


def test_flash_with_a_bit_that_is_stuck_before_anything_is_written_is_passed_over(new_session, image):
    session = new_session(storage="flash")
    address = session.start().store_address + 100
    session.board.misbehave("stick", address=address, bit=0, value=0)
    assert len(session.infer(image, rows(2))) == 2
    assert session.device.store().slots[0].offset == session.hello.store_alignment


def test_an_image_whose_flash_loses_a_bit_later_is_written_again_elsewhere(new_session, image):
    session = new_session(storage="flash")
    expected = [each.outputs for each in session.infer(image, rows(2))]
    address = session.hello.store_address + 64 + 200
    session.board.misbehave("stick", address=address, bit=0, value=1 - (image.data[200] & 1))
    assert [each.outputs for each in session.infer(image, rows(2))] == expected
    assert session.statistics.image_flashes == 2


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("posix", "hang"),
        ("posix", "crash"),
        ("posix", "die"),
        ("virtual-stm32f405", "crash"),
        ("virtual-esp32c3", "crash"),
    ],
)
def test_a_board_lost_in_mid_run_is_a_fault_without_retries(new_session, image, name, fault):
    session = new_session(name)
    session.progress = lambda stage, done, total: (
        session.board.misbehave(fault) if (stage, done) == ("inferences", 2) else None
    )
    fault_in(lambda: session.infer(image, rows(5)), "link", "boot", "crash", "protocol", "board")


def process_of(board):
    """What a virtual board is for the operating system; of an STM32 the machine's.

    0 and negative numbers would mean whole groups of processes, this one's own among them.
    """
    if board.entry.family == "stm32":
        pid = board.machine.call("status")["pid"]
    else:
        pid = board.pid if board.entry.family == "posix" else board.process.pid
    assert pid > 1, f"{board.entry.name} has no process: {pid}"
    return pid


def test_a_board_without_a_process_has_no_number_to_kill():
    machine = SimpleNamespace(call=lambda word: {"pid": 0})
    with pytest.raises(AssertionError, match="bench has no process: 0"):
        process_of(SimpleNamespace(entry=BoardEntry("bench", "stm32", "x"), machine=machine))


NEEDS_QEMU = pytest.mark.skipif(
    shutil.which("qemu-system-arm") is None, reason="needs QEMU: apt-get install qemu-system-arm"
)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("posix", {}),
        ("virtual-stm32f405", {}),
        pytest.param("virtual-stm32f405", {"engine": "qemu"}, marks=NEEDS_QEMU),
        ("virtual-esp32c3", {}),
    ],
    ids=["posix", "virtual-stm32f405", "virtual-stm32f405-qemu", "virtual-esp32c3"],
)
def test_the_death_of_its_process_is_seen_at_once_and_is_a_fault_of_the_board(
    new_session, entries, image, name, settings
):
    entry = replace(entries[name], settings={**entries[name].settings, **settings})
    session = new_session(entry=entry, deadlines=Deadlines())
    killed = []

    def kill(stage, done, total):
        if (stage, done) == ("inferences", 2):
            os.kill(process_of(session.board), signal.SIGKILL)
            killed.append(time.monotonic())

    session.progress = kill
    fault = fault_in(lambda: session.infer(image, rows(5)), "board")
    assert time.monotonic() - killed[0] < 5.0
    assert "has ended (SIGKILL)" in fault.reason
    assert "what to do:" in fault.reason


@pytest.mark.parametrize("name", ["posix", "virtual-stm32f405", "virtual-esp32c3"])
@pytest.mark.parametrize("fault", ["hang", "crash", "die"])
def test_a_board_lost_in_mid_run_goes_on_with_the_vector_it_failed_at(new_session, image, name, fault):
    session = new_session(name, retries=1)
    expected = [each.outputs for each in session.infer(image, rows(5))]
    done = []

    def break_once(stage, count, total):
        if stage == "inferences":
            done.append(count)
            if done == [1, 2]:
                session.board.misbehave(fault)

    session.progress = break_once
    assert [each.outputs for each in session.infer(image, rows(5))] == expected
    assert done == [1, 2, 3, 4, 5]
    assert (session.statistics.retries, session.ledger.count(), session.ledger.quarantined) == (1, 1, {})


def test_a_dead_board_is_quarantined_and_the_next_one_of_the_pool_is_taken(new_session, entries, image):
    broken = replace(entries["posix"], name="broken", firmware="external")
    sound = replace(entries["posix"], name="sound")
    session = new_session(entry=broken)
    session.pool = (broken, sound)
    session.start()
    session.board.misbehave("die")
    session.board.power_cycle = session.board.reset = lambda: None
    fault_in(lambda: session.infer(image, rows(1)), "board")
    assert list(session.ledger.quarantined) == ["broken"]
    assert len(session.infer(image, rows(1))) == 1
    assert session.entry.name == "sound"


def test_a_model_too_big_for_ram_says_how_much_there_is(new_session, entries, image):
    small = replace(entries["posix"], settings={"pool": "2048"})
    with pytest.raises(ImageError, match=rf"model too big.*{image.ram_bytes} bytes of RAM.*2048"):
        new_session(entry=small).infer(image, rows(1))


def test_a_model_too_big_for_the_store_says_how_much_there_is(new_session, image):
    session = new_session(storage="flash")
    huge = BoardArtefact.of(image.data.ljust(session.start().store_bytes + 1, b"\0"))
    with pytest.raises(ImageError, match=r"model too big: the image has .* image store holds"):
        session.load(huge)


def test_a_model_the_board_cannot_read_is_not_the_rigs_fault(new_session, image):
    with pytest.raises(ImageError, match="cannot load the image"):
        new_session().load(BoardArtefact.of(b"QCM0" + image.data[4:]))


def test_where_firmware_is_not_ours_an_unknown_value_may_be_its_age_and_the_message_says_what_to_do(
    new_session, entries, image
):
    newer = bytearray(image.data)
    operator = next(op for op in read_image(image.data).operators if op.opcode == "FULLY_CONNECTED")
    struct.pack_into("<I", newer, operator.params_offset + 40, len(layout.PACKINGS))
    newer = BoardArtefact.of(layout.with_crc(newer))
    ours = r"cannot load the image: an unknown value of an enumeration$"
    age = r"enumeration, or the board's firmware is older than this image: build it again "
    for firmware, message in (
        ("quantcheck", ours),
        ("external", age + r"and flash it, or use ours, without firmware = 'external'"),
        (str(build().path), age + r"and flash it, or use ours, without firmware = '/.*quantcheck-posix.bin'"),
    ):
        with pytest.raises(ImageError, match=message):
            new_session(entry=replace(entries["posix"], firmware=firmware)).load(newer)


def test_the_serial_log_can_be_switched_per_test_and_holds_frames_and_notes(
    new_session, tmp_path, digits, samples
):
    session = new_session()
    session.start()
    session.log_to(tmp_path / "tests" / "one.log")
    run = BoardRunner(session).run(digits[0], samples)
    assert run.log == str(tmp_path / "tests" / "one.log")
    assert " -> RUN" in (tmp_path / "tests" / "one.log").read_text()
    assert np.array_equal(run.outputs[0], IntegerRunner().run(digits[0], samples).outputs[0])
