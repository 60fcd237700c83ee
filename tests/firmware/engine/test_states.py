"""States go from run to run on the device; a list of them that does not fit is refused."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_quantcheck.graph.execute import computed
from pytest_quantcheck.graph.sequence import run_steps
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.read import read_image
from pytest_quantcheck.runners.prepare import model_inputs, quantize_inputs
from tests.streaming import keyword_spotter, speech

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

BOUNDS, TYPE, SIZE = 5, 7, 3
BEFORE, AFTER, INITIAL = range(3)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_every_operator_of_every_step_is_that_of_the_interpreter(engine: Engine, dtype: str) -> None:
    model = keyword_spotter(dtype)
    (frames,) = model_inputs(model, quantize_inputs(model, speech(1, 8)))
    right = list(run_steps(model.graph, [frames]))
    answer = engine.run_graph(model.graph, compile_image(model.graph).data, [frames[0]])
    wanted = [
        (op.index, computed(values[op.outputs[0]])[0].tobytes())
        for values in right
        for op in model.graph.operators
    ]
    assert answer.operators == wanted
    assert answer.outputs == computed(right[-1][model.graph.outputs[0]])[0].tobytes()


def entry(image: bytes, state: int, which: int) -> int:
    """Where in the file the number of a state's tensor stands."""
    fields = layout.HEADER.unpack_from(image)
    inputs, outputs, lists = fields[9], fields[10], fields[13]
    return int(lists + 2 * (inputs + outputs + 3 * state + which))


def with_entry(image: bytes, state: int, which: int, tensor: int) -> bytes:
    body = bytearray(image)
    struct.pack_into("<H", body, entry(image, state, which), tensor)
    struct.pack_into("<I", body, 12, zlib.crc32(body[16:]))
    return bytes(body)


@pytest.fixture(scope="module")
def image() -> bytes:
    return compile_image(keyword_spotter().graph).data


def test_tensors_that_cannot_be_a_state_are_refused_with_their_status(engine: Engine, image: bytes) -> None:
    (frames, frames_after, constant), (hidden, hidden_after, other) = read_image(image).states
    for state, which, tensor, status in (
        (0, BEFORE, constant, TYPE),
        (0, AFTER, constant, TYPE),
        (0, INITIAL, frames, TYPE),
        (0, INITIAL, other, SIZE),
        (0, BEFORE, hidden, SIZE),
        (0, AFTER, hidden_after, SIZE),
        (1, BEFORE, 0xFFFF, BOUNDS),
    ):
        assert engine.run(with_entry(image, state, which, tensor)).status == status, (state, which, tensor)
    swapped = with_entry(with_entry(image, 0, BEFORE, frames_after), 0, AFTER, frames)
    assert engine.run(swapped).status == BOUNDS  # an operator writes over what the next run begins with
    both = with_entry(with_entry(image, 1, BEFORE, frames), 1, AFTER, frames)
    assert engine.run(with_entry(both, 1, INITIAL, constant)).status == BOUNDS


def test_any_tensor_in_place_of_a_states_is_refused_or_stays_within_bounds(
    engine: Engine, image: bytes
) -> None:
    tensors = len(read_image(image).tensors)
    seen = set()
    for state in range(2):
        for which in range(3):
            for tensor in (*range(tensors + 2), 0x7FFF, 0xFFFF):
                changed = with_entry(image, state, which, tensor)
                seen.add(engine.run(changed, [bytes(range(40))]).status)
    assert seen <= {0, BOUNDS, TYPE, SIZE}
    assert len(seen) == 4


def test_states_lie_apart_from_everything_else_all_the_time() -> None:
    """Or a repeated step would begin with something else."""
    for dtype in ("int8", "int16"):
        description = read_image(compile_image(keyword_spotter(dtype).graph).data)
        kept = {tensor for state in description.states for tensor in state[:1]}
        spans = [(description.tensors[t].offset, description.tensors[t].bytes) for t in kept]
        for op in description.operators:
            out = description.tensors[op.output]
            alias = op.opcode == "RESHAPE"
            for offset, size in spans:
                assert alias or out.offset >= offset + size or offset >= out.offset + out.bytes


def test_a_network_without_states_has_none_in_its_image(network) -> None:  # type: ignore[no-untyped-def]
    image = compile_image(network).data
    assert read_image(image).states == ()
    assert np.frombuffer(image[92:96], "<u4")[0] == 0
