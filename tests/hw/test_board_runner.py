"""A board as a runner: the same integers as the host, counted exactly, on every family's board."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.demo.artefacts import demo_samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.messages.numbers import Place
from pytest_quantcheck.rig.session import BoardArtefact, BoardSession
from pytest_quantcheck.runners.board import BoardRunner, board_artefact
from pytest_quantcheck.runners.integer import IntegerRunner

pytestmark = pytest.mark.hw

FAMILIES = ("posix", "virtual-stm32f405", "virtual-esp32c3")


@pytest.fixture(scope="module", params=FAMILIES)
def runner(request, entries, tmp_path_factory):
    """A runner on a healthy board; one board for all tests of a family."""
    with BoardSession(
        [entries[request.param]], log_dir=tmp_path_factory.mktemp("logs"), ledger=FaultLedger(retries=0)
    ) as session:
        yield BoardRunner(session)


def test_a_sound_line_brings_no_damaged_and_no_stray_frame(runner, digits):
    link = runner.run(digits[0], demo_samples().take(range(22))).effort.link
    assert (link["crc_errors"], link["stale"]) == (0, 0)
    assert link["banners"] <= 1
    assert link["repeated"] <= link["resent"]


@pytest.mark.parametrize("number", range(5), ids=["i8", "i8-pertensor", "u8", "u8-f32", "f32"])
def test_outputs_and_operator_checksums_are_those_of_the_interpreter(runner, digits, samples, number):
    run = runner.run(digits[number], samples, operators=True)
    right = IntegerRunner().run(digits[number], samples, operators=True)
    assert run.outputs[0].dtype == right.outputs[0].dtype
    assert run.outputs[0].tobytes() == right.outputs[0].tobytes()
    seen = [[(r.index, r.kind, r.crc32) for r in each] for each in run.operators]
    assert seen == [[(r.index, r.kind, r.crc32) for r in each] for each in right.operators]
    assert run.exact
    assert run.target == runner.target


def test_any_operators_tensor_can_be_fetched(runner, digits, samples):
    raw = runner.run(digits[0], samples.take([3])).inputs
    one = [each[0] for each in raw]
    for operator in digits[0].graph.operators[::3]:
        tensor = runner.tensor(digits[0], one, operator.index)
        assert np.array_equal(tensor, IntegerRunner().tensor(digits[0], one, operator.index))


def test_counts_repeat_and_add_up_with_and_without_records(runner, digits, samples):
    runs = [runner.run(digits[0], samples, operators=operators) for operators in (False, True, False)]
    if runs[0].unit == "instructions" and runner.target != "posix":
        assert runs[0].counters == runs[1].counters == runs[2].counters
    assert [sum(r.counter for r in each) for each in runs[1].operators] == [
        pytest.approx(total, rel=0.02) for total in runs[1].counters
    ]


def test_the_footprint_is_that_of_the_compiled_image(runner, digits, samples):
    image = compile_image(digits[0].graph)
    run = runner.run(digits[0], samples.take([0]))
    assert run.footprint.image == len(image.data)
    assert run.footprint.arena >= image.arena_bytes
    assert run.footprint.firmware == runner.session.board.firmware.size
    assert run.device.build_id == runner.session.board.firmware.build_id


def test_a_proven_firmware_and_a_stored_image_are_not_flashed_again(
    new_session, entries, tmp_path, digits, samples
):
    flashed = []
    entry = replace(entries["virtual-stm32f405"], settings={"flash": str(tmp_path / "flash.bin")})
    for _ in range(2):
        session = new_session(entry=entry, storage="flash")
        for model in (digits[0], digits[1], digits[0]):
            assert BoardRunner(session).run(model, samples.take([0])).device.storage == "store"
        flashed.append((session.statistics.firmware_flashes, session.statistics.image_flashes))
        session.close()
    assert flashed == [(1, 2), (0, 0)]


def test_a_model_that_is_to_run_from_flash_does_so_though_ram_holds_it(new_session, digits):
    session = new_session(storage="flash")
    image = compile_image(digits[0].graph)
    artefact = board_artefact(image)
    session.start()
    for _ in range(2):  # at first the store is empty, then it has the image
        session.device.load_ram(image.data)
        session.load(artefact)
        assert session.connection.refresh().place == Place.STORE
    assert session.statistics.image_flashes == 1


def test_an_image_that_does_not_fit_ram_with_its_arena_goes_to_flash(new_session, entries, digits, samples):
    entry = replace(entries["posix"], settings={"pool": "8192"})
    run = BoardRunner(new_session(entry=entry)).run(digits[0], samples)
    assert run.device.storage == "store"
    assert np.array_equal(run.outputs[0], IntegerRunner().run(digits[0], samples).outputs[0])


def test_a_full_store_is_cleared_and_filled_from_its_start(new_session, digits):
    session = new_session(storage="flash")
    half = session.start().store_bytes // 2
    image, small = (compile_image(model.graph).data for model in digits[:2])
    first, second = (BoardArtefact.of(image.ljust(half, fill)) for fill in (b"1", b"2"))
    stored = []
    for artefact in (first, second, BoardArtefact.of(small)):
        session.load(artefact)
        stored.append([slot.sha256 for slot in session.device.store().slots if slot.intact])
    assert stored == [[first.sha256], [second.sha256], [second.sha256, BoardArtefact.of(small).sha256]]
    assert session.statistics.image_flashes == 3


def test_a_line_that_loses_and_flips_bytes_costs_resends_never_a_result(new_session, digits, samples):
    session = new_session()
    session.start()
    session.board.misbehave("flip", rate=1e-4, seed=1)
    session.board.misbehave("drop", rate=1e-4, seed=2)
    session.connection.restart()
    run = BoardRunner(session).run(digits[0], samples, operators=True)
    assert np.array_equal(run.outputs[0], IntegerRunner().run(digits[0], samples).outputs[0])
    assert run.effort.link["resent"] > 0


@pytest.mark.parametrize(("limit", "reached"), [("", 460800), ("115200", 115200)])
def test_the_rate_is_raised_to_the_inventorys_and_stays_where_it_cannot_be(
    new_session, entries, digits, samples, limit, reached
):
    entry = replace(entries["posix"], baud=460800, settings={"max_baud": limit})
    session = new_session(entry=entry)
    run = BoardRunner(session).run(digits[0], samples)
    assert session.device.link.baudrate == reached
    assert np.array_equal(run.outputs[0], IntegerRunner().run(digits[0], samples).outputs[0])


def test_another_runtime_behind_the_same_link_is_served_by_a_maker_of_the_users(new_session, entries, digits):
    entry = replace(entries["posix"], settings={"runtime": "lookup"})
    session = new_session(entry=entry)
    with pytest.raises(UsageError, match="takes 'lookup' artefacts; known: qcm, tflite, builtin"):
        BoardRunner(session).run(digits[0], Raw(np.zeros((1, 8, 8, 1), np.int8)))
    table = struct.pack("<III", 0x31544C51, 64, 1) + bytes((255 - value) % 256 for value in range(256))
    artefact = BoardArtefact.of(table)
    values = np.arange(-32, 32, dtype=np.int8)
    (done,) = session.infer(artefact, [[values.tobytes()]])
    assert np.array_equal(np.frombuffer(done.outputs[0], np.int8), (127 - values).astype(np.int8))
