"""Images with one field changed, on virtual boards: refused or run, and the firmware answers afterwards."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.link.device_error import DeviceError
from pytest_quantcheck.rig.messages.numbers import Status
from tests.firmware.fuzz.fields import Mutation, mutations
from tests.hw.esp32 import conftest as esp32
from tests.hw.stm32 import conftest as stm32

pytestmark = pytest.mark.hw

FAMILIES = [pytest.param(esp32, id="esp32c3"), pytest.param(stm32, id="stm32f405")]
REFUSALS = {
    *(Status.MAGIC, Status.VERSION, Status.SIZE, Status.CRC, Status.BOUNDS, Status.ALIGN, Status.TYPE),
    *(Status.SHAPE, Status.PARAM, Status.UNSUPPORTED, Status.NO_MEMORY),
}


def one_of_each(image: bytes) -> list[Mutation]:
    """One mutation of every structure, the same every time; all of them run on the host (test_fields.py)."""
    by_structure: dict[str, list[Mutation]] = defaultdict(list)
    for case in mutations(image):
        by_structure[case.structure].append(case)
    return [random.Random(name).choice(found) for name, found in by_structure.items()]


def status_of(device: RemoteDevice, image: bytes) -> int:
    """Load an image and run it on zeros; what the device refused it for, or 0."""
    try:
        device.load_ram(image)
    except DeviceError as error:
        return error.status
    inputs = device.describe().inputs
    device.infer([bytes(tensor.bytes) for tensor in inputs])
    return Status.OK


@pytest.mark.parametrize("family", FAMILIES)
def test_no_changed_field_crashes_the_firmware(family: ModuleType, image: bytes, tmp_path: Path) -> None:
    board = family.open_board(tmp_path)
    try:
        family.flash_firmware(board)
        with family.connected(board) as device:
            boots = device.hello().boot_count
            answers = []
            for case in one_of_each(image):
                answers.append(status_of(device, case.image))
                assert device.hello().boot_count == boots, case.name
                assert not device.crash().held, case.name
            assert set(answers) <= {Status.OK, *REFUSALS}
            assert Status.OK in answers
            assert len(set(answers)) > 5
            assert status_of(device, image) == Status.OK
    finally:
        board.close()
