"""A line that breaks: resends are allowed, a wrong answer or a hang is not."""

from __future__ import annotations

import random
import time
import zlib

import pytest

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.deadlines import Deadlines
from tests.firmware.harness.conftest import Bench, Lookup

pytestmark = pytest.mark.host

MODEL = Lookup.random(elements=900, operators=3)
LARGE = Lookup.random(elements=4000, operators=2, seed=1)
RATES = [
    {"flip": 3e-4},
    {"drop": 3e-4},
    {"duplicate": 3e-4},
    {"delay": 3e-4},
    {"flip": 1e-4, "drop": 1e-4, "duplicate": 1e-4, "delay": 1e-4},
]


@pytest.mark.parametrize(
    ("seed", "rates"),
    list(enumerate(RATES)),
    ids=lambda each: "+".join(each) if isinstance(each, dict) else "",
)
def test_every_answer_is_right(bench: Bench, rates: dict[str, float], seed: int) -> None:
    device = bench.connect(patience=0.03, seed=seed, **rates)
    luck = random.Random(seed)
    for model in (MODEL, LARGE, MODEL):
        device.load_ram(model.artefact)
        for _ in range(3):
            given = luck.randbytes(model.elements)
            assert device.infer([given], operators=True).outputs == (model.run(given),)
            crcs = [each.crc32 for each in device.operator_results()]
            assert crcs == [zlib.crc32(model.run(given, n + 1)) for n in range(len(model.tables))]
            device.infer([given], stop_after=1)
            assert device.tensor() == model.run(given, 2)
    line = device.link.line.transport
    assert sum(line.faults.values()) > 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_line_that_loses_too_much_ends_as_a_link_fault_in_time(bench: Bench, seed: int) -> None:
    device = bench.connect(patience=0.02, seed=seed, drop=0.2)
    device.deadlines = Deadlines(answer=0.5)
    start = time.monotonic()

    def load_often() -> None:
        for _ in range(50):
            device.hello()
            device.load_ram(LARGE.artefact)

    with pytest.raises(RigFault) as caught:
        load_often()
    assert caught.value.kind == "link"
    assert time.monotonic() - start < 30


def test_junk_before_during_and_after_a_session_does_no_harm(bench: Bench) -> None:
    luck = random.Random(0)
    device = bench.connect(patience=0.03)
    transport = device.link.line.transport
    for size in (1, 100, 2000):
        transport.write(luck.randbytes(size))
        assert device.echo(bytes(range(256)) * 3) == bytes(range(256)) * 3
    device.load_ram(MODEL.artefact)
    transport.write(luck.randbytes(500))
    given = luck.randbytes(MODEL.elements)
    assert device.infer([given]).outputs == (MODEL.run(given),)
    assert device.counter().bad_frames > 0
