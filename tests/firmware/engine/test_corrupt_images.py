"""The loader trusts nothing: damaged images are refused, or run without leaving image and arena.

The engine runs under AddressSanitizer and UndefinedBehaviorSanitizer; whatever they object to ends its
process and fails the test.
"""

from __future__ import annotations

import random
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_quantcheck.graph.model import FullyConnected, Operator, QuantGraph, Requantize, Tensor
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.layout import OPCODES
from pytest_quantcheck.image.read import read_image

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

MAGIC, VERSION, SIZE, CRC, BOUNDS, ALIGN, TYPE, SHAPE, PARAM, UNSUPPORTED = range(1, 11)


@pytest.fixture(scope="module")
def image(network: QuantGraph) -> bytes:
    return compile_image(network).data


@pytest.fixture(scope="module")
def wide_image(wide_network: QuantGraph) -> bytes:
    return compile_image(wide_network).data


@pytest.fixture(params=["image", "wide_image"])
def any_image(request: pytest.FixtureRequest) -> bytes:
    data: bytes = request.getfixturevalue(request.param)
    return data


def with_crc(data: bytes | bytearray) -> bytes:
    """The image with a CRC that fits again, so that the checks behind it are reached."""
    body = bytearray(data)
    struct.pack_into("<I", body, 12, zlib.crc32(body[16:]))
    return bytes(body)


def changed(data: bytes, at: int, kind: str, value: int) -> bytes:
    body = bytearray(data)
    struct.pack_into(f"<{kind}", body, at, value)
    return with_crc(body)


@pytest.mark.parametrize(
    ("at", "kind", "value", "status"),
    [
        pytest.param(0, "I", 0x324D4351, MAGIC, id="magic"),
        pytest.param(4, "H", 2, VERSION, id="version"),
        pytest.param(6, "H", 100, SIZE, id="header bytes"),
        pytest.param(8, "I", 0x7FFFFFFF, SIZE, id="image bytes above the file"),
        pytest.param(8, "I", 16, SIZE, id="image bytes below the header"),
        pytest.param(48, "I", 8, ALIGN, id="arena not a multiple of 16"),
        pytest.param(48, "I", 16, BOUNDS, id="arena too small for its tensors"),
        pytest.param(52, "H", 0xFFFF, BOUNDS, id="more tensors than the file holds"),
        pytest.param(52, "H", 1, BOUNDS, id="lists that name missing tensors"),
        pytest.param(54, "H", 0xFFFF, BOUNDS, id="more operators than the file holds"),
        pytest.param(56, "H", 0xFFFF, BOUNDS, id="more inputs than list entries"),
        pytest.param(58, "H", 0xFFFF, BOUNDS, id="more outputs than list entries"),
        pytest.param(60, "I", 97, ALIGN, id="tensors not aligned"),
        pytest.param(60, "I", 0, BOUNDS, id="tensors over the header"),
        pytest.param(64, "I", 96, BOUNDS, id="operators over the tensors"),
        pytest.param(68, "I", 0xFFFFFFF0, BOUNDS, id="lists behind the file"),
        pytest.param(72, "I", 0xFFFFFFFF, BOUNDS, id="lists longer than the file"),
        pytest.param(76, "I", 0xFFFFFFFC, BOUNDS, id="parameters behind the file"),
        pytest.param(80, "I", 0xFFFFFFFF, BOUNDS, id="parameters longer than the file"),
        pytest.param(84, "I", 0xFFFFFFF0, BOUNDS, id="constants behind the file"),
        pytest.param(88, "I", 0xFFFFFFFF, BOUNDS, id="constants longer than the file"),
        pytest.param(92, "H", 257, UNSUPPORTED, id="more states than an engine takes"),
        pytest.param(92, "H", 256, BOUNDS, id="more states than list entries"),
        pytest.param(94, "H", 1, PARAM, id="reserved field"),
    ],
)
def test_header_fields_are_refused_with_their_status(
    engine: Engine, image: bytes, at: int, kind: str, value: int, status: int
) -> None:
    assert engine.run(changed(image, at, kind, value)).status == status


@pytest.mark.parametrize(
    ("field", "kind", "value", "status"),
    [
        pytest.param(0, "B", 0, TYPE, id="opcode 0"),
        pytest.param(0, "B", len(OPCODES), TYPE, id="opcode behind the last"),
        pytest.param(1, "B", 1, PARAM, id="elided though not RESHAPE"),
        pytest.param(1, "B", 2, UNSUPPORTED, id="fused"),
        pytest.param(1, "B", 3, TYPE, id="unknown state"),
        pytest.param(4, "B", 0, SIZE, id="no inputs"),
        pytest.param(5, "B", 2, SIZE, id="two outputs"),
        pytest.param(8, "I", 0xFFFFFFFF, BOUNDS, id="list behind the section"),
        pytest.param(12, "I", 2, ALIGN, id="parameters not aligned"),
        pytest.param(12, "I", 0xFFFFFFFC, BOUNDS, id="parameters behind the section"),
        pytest.param(16, "I", 0, SIZE, id="no parameters"),
        pytest.param(20, "I", 8, ALIGN, id="scratch not aligned"),
        pytest.param(20, "I", 0xFFFFFFF0, BOUNDS, id="scratch behind the arena"),
        pytest.param(24, "I", 0, SIZE, id="scratch too small"),
        pytest.param(28, "I", 1, PARAM, id="reserved"),
    ],
)
def test_operator_fields_are_refused_with_their_status(
    engine: Engine, image: bytes, field: int, kind: str, value: int, status: int
) -> None:
    operators = struct.unpack_from("<I", image, 64)[0]
    conv = operators + 2 * 32
    assert image[conv] == 1, "the third operator is CONV_2D"
    assert engine.run(changed(image, conv + field, kind, value)).status == status


@pytest.mark.parametrize(
    ("field", "kind", "value", "status"),
    [
        pytest.param(0, "H", 0, PARAM, id="kernel of height 0"),
        pytest.param(0, "H", 4, SIZE, id="kernel that its weights do not fill"),
        pytest.param(4, "H", 0, PARAM, id="stride 0"),
        pytest.param(8, "H", 0, PARAM, id="dilation 0"),
        pytest.param(16, "i", 128, PARAM, id="input zero point beyond int8"),
        pytest.param(20, "i", 1, PARAM, id="weight zero point"),
        pytest.param(24, "i", -129, PARAM, id="output zero point beyond int8"),
        pytest.param(28, "i", 128, PARAM, id="activation minimum above the maximum"),
        pytest.param(36, "I", 1, PARAM, id="depth multiplier"),
        pytest.param(40, "I", 2, TYPE, id="the other packing"),
        pytest.param(40, "I", 7, TYPE, id="unknown packing"),
        pytest.param(44, "I", 2, PARAM, id="flag of int16 sums"),
        pytest.param(44, "I", 4, PARAM, id="unknown flag"),
        pytest.param(48, "I", 8, ALIGN, id="weights not aligned"),
        pytest.param(48, "I", 0xFFFFFFF0, BOUNDS, id="weights behind the constants"),
        pytest.param(52, "I", 0, SIZE, id="no weights"),
        pytest.param(56, "I", 0xFFFFFFF0, BOUNDS, id="channels behind the constants"),
        pytest.param(60, "I", 6, SIZE, id="channels not rounded up"),
    ],
)
def test_convolution_fields_are_refused_with_their_status(
    engine: Engine, image: bytes, field: int, kind: str, value: int, status: int
) -> None:
    conv = read_image(image).operators[2]
    assert engine.run(changed(image, conv.params_offset + field, kind, value)).status == status


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(0, 1 << 30, id="bias too large for the fast flag"),
        pytest.param(4, -1, id="negative multiplier"),
        pytest.param(8, -32, id="shift too far right"),
        pytest.param(8, 31, id="shift too far left"),
        pytest.param(8, 0, id="shift that the fast flag excludes"),
        pytest.param(12, 0, id="offset that is not the shift's"),
    ],
)
def test_channel_records_are_refused(engine: Engine, image: bytes, field: int, value: int) -> None:
    description = read_image(image)
    conv = description.operators[2]
    channels = description.constants_offset + struct.unpack_from("<I", conv.params, 56)[0]
    assert engine.run(changed(image, channels + field, "i", value)).status == PARAM


@pytest.mark.parametrize(
    ("field", "kind", "value", "status"),
    [
        pytest.param(0, "H", 0, PARAM, id="kernel of height 0"),
        pytest.param(0, "H", 4, SIZE, id="kernel that its weights do not fill"),
        pytest.param(16, "i", 1, PARAM, id="input zero point"),
        pytest.param(20, "i", 1, PARAM, id="weight zero point"),
        pytest.param(24, "i", 1, PARAM, id="output zero point"),
        pytest.param(28, "i", -32769, PARAM, id="activation minimum beyond int16"),
        pytest.param(32, "i", 32768, PARAM, id="activation maximum beyond int16"),
        pytest.param(36, "I", 1, PARAM, id="depth multiplier"),
        pytest.param(40, "I", 1, TYPE, id="a packing for int8"),
        pytest.param(44, "I", 1, PARAM, id="fast flag"),
        pytest.param(48, "I", 8, ALIGN, id="weights not aligned"),
        pytest.param(48, "I", 0xFFFFFFF0, BOUNDS, id="weights behind the constants"),
        pytest.param(52, "I", 6 * 9 * 3, SIZE, id="a depth that makes no groups"),
        pytest.param(52, "I", 6 * 9 * 8, SIZE, id="more depth than the input has"),
        pytest.param(52, "I", 0, SIZE, id="no weights"),
        pytest.param(56, "I", 0xFFFFFFF0, BOUNDS, id="channels behind the constants"),
        pytest.param(60, "I", 8, SIZE, id="channels rounded up"),
    ],
)
def test_wide_convolution_fields_are_refused_with_their_status(
    engine: Engine, wide_image: bytes, field: int, kind: str, value: int, status: int
) -> None:
    conv = read_image(wide_image).operators[2]
    assert engine.run(changed(wide_image, conv.params_offset + field, kind, value)).status == status


@pytest.mark.parametrize(
    ("operator", "field", "kind", "value"),
    [
        pytest.param(2, 0, "q", (1 << 46) + 1, id="bias beyond 2**46"),
        pytest.param(2, 0, "q", -(1 << 46) - 1, id="bias below -2**46"),
        pytest.param(2, 8, "i", -1, id="negative multiplier"),
        pytest.param(2, 8, "i", 0x8000, id="multiplier of 16 bits"),
        pytest.param(2, 12, "i", 7, id="shift too short"),
        pytest.param(2, 12, "i", 47, id="shift too long"),
        pytest.param(3, 0, "q", 1 << 31, id="bias beyond 32 bits"),
        pytest.param(3, 8, "i", -1, id="negative multiplier of 32-bit sums"),
        pytest.param(3, 12, "i", 31, id="shift of 32-bit sums too far left"),
    ],
)
def test_wide_channel_records_are_refused(
    engine: Engine, wide_image: bytes, operator: int, field: int, kind: str, value: int
) -> None:
    description = read_image(wide_image)
    conv = description.operators[operator]
    channels = description.constants_offset + struct.unpack_from("<I", conv.params, 56)[0]
    assert engine.run(changed(wide_image, channels + field, kind, value)).status == PARAM


@pytest.fixture(scope="module")
def long_image() -> bytes:
    """One dense layer with int16 weights."""
    tensors = (
        Tensor(0, "", (1, 4), np.dtype(np.int16)),
        Tensor(1, "", (2, 4), np.dtype(np.int16), data=np.ones((2, 4), np.int16)),
        Tensor(2, "", (1, 2), np.dtype(np.int16)),
    )
    rule = Requantize(np.ones(2, np.int64), np.full(2, -3), "half_up")
    params = FullyConnected(0, 0, 0, rule, -32768, 32767)
    op = Operator(0, "FULLY_CONNECTED", (0, 1), (2,), params)
    return compile_image(QuantGraph(tensors, (op,), (0,), (2,), "0f" * 32)).data


@pytest.mark.parametrize(
    ("field", "kind", "value", "status"),
    [
        pytest.param(40, "I", 3, SIZE, id="weights of 8 bits"),
        pytest.param(40, "I", 5, TYPE, id="a packing that nobody knows"),
        pytest.param(44, "I", 2, PARAM, id="wide flag"),
        pytest.param(52, "I", 8, SIZE, id="half of its weights"),
    ],
)
def test_fields_of_layers_with_int16_weights_are_refused(
    engine: Engine, long_image: bytes, field: int, kind: str, value: int, status: int
) -> None:
    layer = read_image(long_image).operators[0]
    assert engine.run(changed(long_image, layer.params_offset + field, kind, value)).status == status


@pytest.mark.parametrize(
    ("field", "kind", "value"),
    [
        pytest.param(0, "q", (1 << 60) + 1, id="bias beyond 2**60"),
        pytest.param(0, "q", -(1 << 60) - 1, id="bias below -2**60"),
        pytest.param(8, "i", 0, id="no divisor"),
        pytest.param(8, "i", 2, id="a divisor of 64-bit sums"),
        pytest.param(12, "i", -3, id="another rule"),
        pytest.param(12, "i", 321, id="shift too far right"),
        pytest.param(12, "i", 415, id="shift too far left"),
        pytest.param(12, "i", 671, id="behind the last rule"),
    ],
)
def test_channel_records_of_int16_weights_are_refused(
    engine: Engine, long_image: bytes, field: int, kind: str, value: int
) -> None:
    description = read_image(long_image)
    channels = description.constants_offset + struct.unpack_from("<I", description.operators[0].params, 56)[0]
    assert engine.run(changed(long_image, channels + field, kind, value)).status == PARAM


@pytest.mark.parametrize(
    ("divisor", "shift", "taken"),
    [(1, 322, True), (35, 353, True), (35, 352, False), (0, 384, False), (-1, 384, False), (1, 670, True)],
)
def test_divisors_and_their_shifts(
    engine: Engine, image: bytes, divisor: int, shift: int, taken: bool
) -> None:
    at = parameters_of(image, "MEAN") + 12
    answer = engine.run(changed(changed(image, at, "i", divisor), at + 4, "i", shift))
    assert (answer.status == PARAM) is not taken


def parameters_of(data: bytes, opcode: str) -> int:
    """Where the parameters of an opcode's only operator lie in the file."""
    return next(op.params_offset for op in read_image(data).operators if op.opcode == opcode)


@pytest.mark.parametrize(
    ("opcode", "field", "value", "status"),
    [
        pytest.param("SOFTMAX_INT16", 0, -1, PARAM, id="softmax: negative multiplier"),
        pytest.param("SOFTMAX_INT16", 4, 31, PARAM, id="softmax: shift too far left"),
        pytest.param("SOFTMAX_INT16", 8, 8, ALIGN, id="softmax: first table not aligned"),
        pytest.param("SOFTMAX_INT16", 8, 0x7FFFFFF0, BOUNDS, id="softmax: first table outside"),
        pytest.param("SOFTMAX_INT16", 12, 0x7FFFFFF0, BOUNDS, id="softmax: second table outside"),
        pytest.param("SIGMOID_INT16", 0, 1 << 15, PARAM, id="sigmoid: multiplier of 16 bits"),
        pytest.param("SIGMOID_INT16", 4, 32, PARAM, id="sigmoid: shift too long"),
        pytest.param("SIGMOID_INT16", 4, -1, PARAM, id="sigmoid: negative shift"),
        pytest.param("SIGMOID_INT16", 8, 2, PARAM, id="sigmoid: unknown function"),
        pytest.param("SIGMOID_INT16", 12, 0x7FFFFFF0, BOUNDS, id="sigmoid: table outside"),
        pytest.param("MUL", 0, 1, PARAM, id="mul: zero point of int16"),
        pytest.param("MUL", 16, -32, PARAM, id="mul: shift too far right"),
        pytest.param("MUL", 24, -32769, PARAM, id="mul: activation maximum below the minimum"),
        pytest.param("MEAN", 4, 1, PARAM, id="mean: zero point of int16"),
        pytest.param("BATCH_MATMUL", 0, 1, PARAM, id="matmul: zero point of int16"),
        pytest.param("BATCH_MATMUL", 12, 1 << 15, PARAM, id="matmul: multiplier of 16 bits"),
        pytest.param("BATCH_MATMUL", 16, 7, PARAM, id="matmul: shift too short"),
        pytest.param("BATCH_MATMUL", 16, 47, PARAM, id="matmul: shift too long"),
        pytest.param("BATCH_MATMUL", 20, 2, SHAPE, id="matmul: axes of int16 that do not fit when swapped"),
    ],
)
def test_parameters_of_int16_operators_are_refused(
    engine: Engine, wide_image: bytes, opcode: str, field: int, value: int, status: int
) -> None:
    at = parameters_of(wide_image, opcode) + field
    assert engine.run(changed(wide_image, at, "i", value)).status == status


@pytest.mark.parametrize(
    ("opcode", "field", "value"),
    [
        pytest.param("SLICE", 0, 1, id="slice: one element behind the input"),
        pytest.param("SLICE", 0, -1, id="slice: offset beyond 31 bits"),
        pytest.param("SLICE", 8, -1, id="slice: before the input"),
        pytest.param("SLICE", 8, 13, id="slice: stride behind the input"),
        pytest.param("SLICE", 12, 0x7FFFFFFF, id="slice: stride beyond 32 bits"),
        pytest.param("SLICE", 20, 1, id="slice: a stride without an axis"),
        pytest.param("PRELU", 0, 128, id="prelu: input zero point beyond int8"),
        pytest.param("PRELU", 4, -129, id="prelu: slope zero point beyond int8"),
        pytest.param("PRELU", 12, -1, id="prelu: negative multiplier"),
        pytest.param("PRELU", 24, 31, id="prelu: shift too far left"),
        pytest.param("SUB", 0, 21, id="sub: left shift"),
        pytest.param("SQUARED_DIFFERENCE", 0, 21, id="squared difference: left shift"),
        pytest.param("ARG_MAX", 0, 2, id="arg max: unknown flag"),
        pytest.param("L2_NORMALIZATION", 0, 128, id="norm: zero point beyond int8"),
        pytest.param("BATCH_MATMUL", 0, 128, id="matmul: zero point beyond int8"),
        pytest.param("BATCH_MATMUL", 12, -1, id="matmul: negative multiplier"),
        pytest.param("BATCH_MATMUL", 20, 4, id="matmul: unknown flag"),
        pytest.param("TRANSPOSE_CONV", 4, 0, id="transposed convolution: stride 0"),
        pytest.param("TRANSPOSE_CONV", 8, 2, id="transposed convolution: dilation"),
        pytest.param("TRANSPOSE_CONV", 20, 1, id="transposed convolution: weight zero point"),
        pytest.param("TRANSPOSE_CONV", 44, 1, id="transposed convolution: fast flag"),
    ],
)
def test_parameters_of_int8_operators_are_refused(
    engine: Engine, image: bytes, opcode: str, field: int, value: int
) -> None:
    at = parameters_of(image, opcode) + field
    assert engine.run(changed(image, at, "i", value)).status == PARAM


@pytest.mark.parametrize("value", [1, -1, 0x7FFFFFFF, -0x80000000])
def test_a_stride_of_an_axis_with_one_position_is_never_taken(
    engine: Engine, any_image: bytes, value: int
) -> None:
    at = parameters_of(any_image, "SLICE") + 4
    ran = engine.run(changed(any_image, at, "i", value))
    assert ran.status == 0
    assert ran.outputs == engine.run(any_image).outputs


@pytest.mark.parametrize(
    ("opcode", "field", "value", "status"),
    [
        pytest.param("TRANSPOSE_CONV", 52, 12, SIZE, id="transposed convolution: fewer weights"),
        pytest.param("TRANSPOSE_CONV", 40, 1, TYPE, id="transposed convolution: another packing"),
        pytest.param("BATCH_MATMUL", 20, 1, SHAPE, id="matmul: axes that do not fit when swapped"),
        pytest.param("RESIZE", 0, 8, ALIGN, id="resize: rows not aligned"),
        pytest.param("RESIZE", 4, 0x7FFFFFF0, BOUNDS, id="resize: columns outside"),
    ],
)
def test_other_mistakes_of_int8_operators_have_their_status(
    engine: Engine, image: bytes, opcode: str, field: int, value: int, status: int
) -> None:
    at = parameters_of(image, opcode) + field
    assert engine.run(changed(image, at, "i", value)).status == status


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        pytest.param(0, 4, id="a row behind the last"),
        pytest.param(1, 1024, id="a whole step"),
        pytest.param(3, 1, id="between the last row and none"),
    ],
)
def test_a_resized_position_outside_the_input_is_refused(
    engine: Engine, image: bytes, entry: int, value: int
) -> None:
    """The table of rows is (0, 512), (3, 0), (2, 1023), of four."""
    description = read_image(image)
    table = struct.unpack_from("<I", image, parameters_of(image, "RESIZE"))[0]
    at = description.constants_offset + table + 2 * entry
    assert engine.run(changed(image, at, "H", value)).status == PARAM


@pytest.mark.parametrize(("entry", "value"), [(0, -1), (300, -5), (511, 1), (512, 1), (512, -9)])
def test_a_softmax_without_a_sum_to_divide_by_is_refused(
    engine: Engine, wide_image: bytes, entry: int, value: int
) -> None:
    description = read_image(wide_image)
    table = struct.unpack_from("<I", wide_image, parameters_of(wide_image, "SOFTMAX_INT16") + 8)[0]
    at = description.constants_offset + table + 2 * entry
    assert engine.run(changed(wide_image, at, "h", value)).status == PARAM


def test_no_single_word_makes_the_engine_leave_its_memory(engine: Engine, any_image: bytes) -> None:
    """Every aligned word of tables, parameters and channel records, with values that break size sums."""
    values = (0, 1, 2, 0x10, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)
    for at in range(16, read_image(any_image).constants_offset + 512, 4):
        old = struct.unpack_from("<I", any_image, at)[0]
        for value in (*values, old ^ 1, old + 1 & 0xFFFFFFFF, old - 1 & 0xFFFFFFFF, old << 1 & 0xFFFFFFFF):
            engine.run(changed(any_image, at, "I", value))


def test_no_single_half_word_makes_the_engine_leave_its_memory(engine: Engine, any_image: bytes) -> None:
    for at in range(48, read_image(any_image).constants_offset, 2):
        for value in (0, 1, 3, 16, 255, 0x7FFF, 0xFFFF):
            engine.run(changed(any_image, at, "H", value))


def test_several_wrong_words_do_not_make_the_engine_leave_its_memory(
    engine: Engine, any_image: bytes
) -> None:
    """What one check lets through because another one stops it must not pass when both are fooled."""
    rng = random.Random(5)
    end = read_image(any_image).constants_offset + 512
    for _ in range(3000):
        body = bytearray(any_image)
        for at in rng.sample(range(48, end, 2), rng.randint(2, 5)):
            old = struct.unpack_from("<H", body, at)[0]
            value = rng.choice([0, 1, 2, 3, 8, 0xFFFF, old + 1, old + 16, old * 2, old * 4]) & 0xFFFF
            struct.pack_into("<H", body, at, value)
        engine.run(with_crc(body))


def test_weights_of_another_size_than_the_window_are_refused(engine: Engine, any_image: bytes) -> None:
    for op in read_image(any_image).operators:
        if op.opcode in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            size = struct.unpack_from("<I", op.params, 52)[0]
            assert engine.run(changed(any_image, op.params_offset + 52, "I", size - 1)).status == SIZE


def test_any_flipped_bit_is_refused(engine: Engine, any_image: bytes) -> None:
    for at in range(0, len(any_image), 3):
        body = bytearray(any_image)
        body[at] ^= 1 << at % 8
        assert engine.run(bytes(body)).status != 0, at


def test_an_image_that_was_cut_off_is_refused(engine: Engine, any_image: bytes) -> None:
    for size in (0, 1, 15, 16, 95, 96, 200, len(any_image) // 2, len(any_image) - 1):
        assert engine.run(any_image[:size]).status != 0, size
