"""Every field of the device image, read from ``qc_image.h``, and images with one field changed.

The header file is the format in C (SPEC.md has it in words), so a field that is added there is mutated here
without anybody thinking of it.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_quantcheck.image import layout
from pytest_quantcheck.image.read import ImageDescription, read_image
from tests.firmware.fuzz.build import FIRMWARE

IMAGE = FIRMWARE / "engine" / "qc_image.h"
HEADER, TENSOR, OPERATOR = "image_header", "tensor", "operator"
CHANNEL, WIDE_CHANNEL, POSITION = "channel", "wide_channel", "position"
BLOCKS = {
    "CONV_2D": "conv_params",
    "DEPTHWISE_CONV_2D": "conv_params",
    "FULLY_CONNECTED": "conv_params",
    "ADD": "add_params",
    "AVERAGE_POOL_2D": "pool_params",
    "MAX_POOL_2D": "pool_params",
    "MEAN": "mean_params",
    "PAD": "pad_params",
    "RESHAPE": "",  # no parameters
    "CONCATENATION": "concatenation_params",
    "SOFTMAX": "softmax_params",
    "RESCALE": "rescale_params",
    "QUANTIZE": "float_edge_params",
    "DEQUANTIZE": "float_edge_params",
    "MUL": "mul_params",
    "TABLE": "table_params",
    "SOFTMAX_INT16": "wide_softmax_params",
    "SIGMOID_INT16": "sigmoid_params",
    "SUB": "add_params",
    "MINIMUM": "",
    "MAXIMUM": "",
    "PRELU": "prelu_params",
    "SLICE": "slice_params",
    "RESIZE": "resize_params",
    "BATCH_MATMUL": "matmul_params",
    "TRANSPOSE_CONV": "conv_params",
    "SQUARED_DIFFERENCE": "add_params",
    "ARG_MAX": "arg_max_params",
    "L2_NORMALIZATION": "l2_params",
    "LSTM": "lstm_params",
}
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_CRC = _WORD = struct.Struct("<I")
_EDGES = (
    *(0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000),
    *(0xFFFFFF, 0x1000000, 0x3FFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFF80, 0xFFFFFFF0, 0xFFFFFFFF),
    *((1 << 46) + 1, 1 << 47, 1 << 63, -(1 << 47), -1),  # of fields of 8 bytes
)


@dataclass(frozen=True)
class Field:
    """A field of a structure: where it starts and how many bytes it has."""

    name: str
    offset: int
    width: int
    signed: bool = False


@dataclass(frozen=True)
class Mutation:
    """One field of one record set to one value; the CRC fits unless the field is the CRC."""

    structure: str  # with the opcode where it belongs to an operator
    field: str
    record: int
    value: int
    image: bytes

    @property
    def name(self) -> str:
        return f"{self.structure}[{self.record}].{self.field}={self.value:#x}"


def structures(header: Path = IMAGE) -> dict[str, tuple[Field, ...]]:
    """The structures of a header by name (``tensor``, ``conv_params``, ...), arrays cell by cell."""
    source = header.read_text(encoding="utf-8")
    source = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
    constants = {name: int(value) for name, value in re.findall(r"#define (\w+) (\d+)u?\b", source)}
    sizes = {"uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "uint64_t": 8, "int32_t": 4, "int64_t": 8}
    found: dict[str, tuple[Field, ...]] = {}
    for body, name in re.findall(r"typedef struct \{(.*?)\} qc_(\w+)_t;", source, re.DOTALL):
        fields: list[Field] = []
        for kind, names in re.findall(r"(\w+)\s+([^;]+);", body):
            for declared in names.split(","):
                fields += _fields(kind, declared.strip(), _end(fields), sizes, constants, found)
        found[name] = tuple(fields)
    return found


def _fields(
    kind: str,
    declared: str,
    at: int,
    sizes: dict[str, int],
    constants: dict[str, int],
    known: dict[str, tuple[Field, ...]],
) -> list[Field]:
    match = re.fullmatch(r"(\w+)(?:\[(\w+)\])?", declared)
    assert match, f"qc_image.h: {declared!r} is no declaration this parser knows"
    name, count = match.groups()
    inner = known.get(kind.removeprefix("qc_").removesuffix("_t"))
    if inner:
        return [replace(field, name=f"{name}.{field.name}", offset=at + field.offset) for field in inner]
    width, signed = sizes[kind], kind.startswith("int")
    if count is None:
        return [Field(name, at, width, signed)]
    length = constants[count] if count in constants else int(count)
    return [Field(f"{name}[{i}]", at + i * width, width, signed) for i in range(length)]


def _end(fields: list[Field]) -> int:
    return fields[-1].offset + fields[-1].width if fields else 0


def size_of(fields: tuple[Field, ...]) -> int:
    """Bytes of a structure."""
    return _end(list(fields))


def with_crc(image: bytes | bytearray) -> bytes:
    """The image with a CRC-32 that fits its declared size, as far as it has one."""
    body = bytearray(image)
    size = struct.unpack_from("<I", body, 8)[0]
    end = min(size, len(body))
    _CRC.pack_into(body, layout.CRC_OFFSET, zlib.crc32(body[layout.CRC_START : end]))
    return bytes(body)


def records(image: bytes) -> Iterator[tuple[str, str, int, int]]:
    """What an image holds: structure, its name in a report, which one, and where it starts in the file."""
    description = read_image(image)
    tensors, operators = struct.unpack_from("<II", image, 60)
    yield HEADER, HEADER, 0, 0
    for i in range(len(description.tensors)):
        yield TENSOR, TENSOR, i, tensors + layout.TENSOR.size * i
    for i, op in enumerate(description.operators):
        yield OPERATOR, f"{OPERATOR} {op.opcode}", i, operators + layout.OPERATOR.size * i
        if block := BLOCKS[op.opcode]:
            yield block, f"{block} {op.opcode}", i, op.params_offset
        if op.opcode in _CONVOLUTIONS:
            wide = description.tensors[op.inputs[0]].dtype == "int16"
            channel = WIDE_CHANNEL if wide else CHANNEL
            yield channel, f"{channel} {op.opcode}", i, _constant(description, i, "channels_offset")
        if op.opcode == "RESIZE":
            yield POSITION, f"{POSITION} {op.opcode}", i, _constant(description, i, "rows_offset")


def _constant(description: ImageDescription, operator: int, field: str) -> int:
    """Where the table lies in the file that a field of an operator's parameters names."""
    op = description.operators[operator]
    fields = {each.name: each for each in structures()[BLOCKS[op.opcode]]}
    return description.constants_offset + int(_WORD.unpack_from(op.params, fields[field].offset)[0])


def mutations(image: bytes) -> Iterator[Mutation]:
    """Every field of every record with the values at which checks break."""
    fields_of = structures()
    for structure, name, record, start in records(image):
        for field in fields_of[structure]:
            at = start + field.offset
            old = int.from_bytes(image[at : at + field.width], "little")
            near = {old + 1, old - 1, old * 2, old // 2, old ^ 1, old + 16, old - 16}
            limit = 1 << 8 * field.width
            for value in sorted({value % limit for value in near.union(_EDGES)} - {old}):
                body = bytearray(image)
                body[at : at + field.width] = value.to_bytes(field.width, "little")
                whole = bytes(body) if (structure, field.name) == (HEADER, "crc32") else with_crc(body)
                yield Mutation(name, field.name, record, value, whole)
