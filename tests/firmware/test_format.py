"""Image and link have the same numbers and records in C and in Python: limits, opcodes, fields, sizes."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.graph.recurrent import GATES
from pytest_quantcheck.image import layout
from pytest_quantcheck.numerics import limits, tables
from pytest_quantcheck.rig import store
from pytest_quantcheck.rig.messages.answers import ANSWERS, NOTICES, BaudAnswer, Done
from pytest_quantcheck.rig.messages.fields import Fixed, OrNone, Padded
from pytest_quantcheck.rig.messages.message import Message, fields
from pytest_quantcheck.rig.messages.model import TensorInfo
from pytest_quantcheck.rig.messages.numbers import (
    DTYPES,
    PAYLOAD_MAX,
    PROTOCOL,
    REPLY,
    Capability,
    Kind,
    Place,
    Status,
)
from pytest_quantcheck.rig.messages.run import OperatorResult, ReadAnswer, RunAnswer
from pytest_quantcheck.rig.messages.store import StoreSlot
from tests.firmware.fuzz.build import FIRMWARE
from tests.firmware.fuzz.fields import BLOCKS, IMAGE, Field, size_of, structures

pytestmark = pytest.mark.host

LAYOUT = FIRMWARE / "engine" / "qc_layout.h"
MESSAGES = FIRMWARE / "harness" / "qc_messages.h"
INCLUDE = [f"-I{FIRMWARE / folder}" for folder in ("include", "engine", "harness")]
HEADERS = (
    IMAGE,
    LAYOUT,
    MESSAGES,
    FIRMWARE / "include" / "qc_status.h",
    FIRMWARE / "include" / "qc_runtime.h",
)

# what Python has, by the name that C gives it
CONSTANTS = {
    "QC_IMAGE_MAGIC": int.from_bytes(layout.MAGIC, "little"),
    "QC_IMAGE_VERSION": layout.VERSION,
    "QC_IMAGE_ALIGNMENT": layout.ALIGNMENT,
    "QC_MAX_RANK": layout.MAX_RANK,
    "QC_PLACE_ARENA": layout.ARENA,
    "QC_PLACE_CONSTANT": layout.CONSTANT,
    "QC_CONV_FAST": layout.FAST,
    "QC_CONV_WIDE": layout.WIDE,
    "QC_CONV_STAGED": layout.STAGED,
    "QC_RESCALE_MULTIPLY": layout.MULTIPLY,
    "QC_ARG_SMALLEST": layout.SMALLEST,
    "QC_ADJ_X": layout.ADJ_X,
    "QC_ADJ_Y": layout.ADJ_Y,
    "QC_LOGISTIC": layout.LOGISTIC,
    "QC_TANH": layout.TANH,
    "QC_FLOAT_SHIFT": layout.RULE_SHIFTS["float"],
    "QC_FLOAT_ODD_SHIFT": layout.RULE_SHIFTS["float_odd"],
    "QC_HALF_UP_SHIFT": layout.RULE_SHIFTS["half_up"],
    "QC_HALF_EVEN_SHIFT": layout.RULE_SHIFTS["half_even"],
    "QC_FLOOR_SHIFT": layout.RULE_SHIFTS["floor"],
    "QC_RATIO_SHIFT_MIN": limits.MIN_RATIO_SHIFT,
    "QC_FAST_SHIFT": layout.FAST_SHIFT,
    "QC_ADD_TABLE_ELEMENTS": layout.ADD_TABLE_ELEMENTS,
    "QC_ADD_TABLE_BYTES": layout.ADD_TABLE_BYTES,
    "QC_DEPTHWISE_GROUP": layout.DEPTHWISE_GROUP,
    "QC_STATES": layout.MAX_STATES,
    "QC_GATES": GATES,
    "QC_ADD_LEFT_SHIFT": max(limits.ADD_LEFT_SHIFT.values()),
    "QC_INTERPOLATED_ENTRIES": len(tables.exp_table()),
    "QC_SIGMOID_ENTRIES": len(tables.sigmoid_table()),
    "QC_SHIFT_MIN": limits.MIN_SHIFT,
    "QC_SHIFT_MAX": limits.MAX_SHIFT,
    "QC_WIDE_SHIFT_MIN": 15 - limits.MAX_REDUCED_SHIFT,  # 15 bits, and to the right
    "QC_WIDE_SHIFT_MAX": 15 - limits.MIN_REDUCED_SHIFT,
    "QC_WIDE_BIAS": limits.MAX_WIDE_BIAS,
    "QC_LONG_BIAS": limits.MAX_LONG_BIAS,
    "QC_FAST_SUM": limits.FAST_SUM_LIMIT,
    "QC_PAIRED_SUM": limits.PAIRED_SUM_LIMIT,
    "QC_PRODUCT_LIMIT": limits.INT8_PRODUCT,
    "QC_PRODUCTS": limits.PRODUCTS_LIMIT,
    "QC_INT16_PRODUCTS": limits.MAX_INT16_PRODUCTS,
    "QC_INT8_SUM": limits.INT8_SUM_LIMIT,
    "QC_INT16_SUM": limits.INT16_SUM_LIMIT,
    "QC_L2_VALUES": limits.L2_LIMIT,
    "QC_SOFTMAX_VALUES": limits.SOFTMAX_LIMIT,
    "QC_WIDE_SOFTMAX_VALUES": limits.INT16_SOFTMAX_LIMIT,
    "QC_PROTOCOL": PROTOCOL,
    "QC_PAYLOAD_MAX": PAYLOAD_MAX,
    "QC_NO_RUN": int.from_bytes(OrNone(4).pack(None), "little"),
    "QC_STORE_MAGIC": store.SLOT_MAGIC,
    "QC_REPLY": REPLY,
}
ENGINE_ONLY = {  # limits that no Python code needs, since what it makes lies well within them
    "QC_HALF_EVEN",
    "QC_RESIZE_STEPS",
    "QC_SIGMOID_SHIFT_MAX",
    "QC_SOFTMAX_LEFT_SHIFT",
    "QC_TABLE_BYTES",
    "QC_WIDE_PRODUCT_LIMIT",
    "QC_WINDOW_LIMIT",
}
NUMBERED = {  # names that C numbers one by one, by their prefix
    "QC_OP_": {name: number for number, name in enumerate(layout.OPCODES) if name},
    "QC_STATE_": {name.upper(): number for number, name in enumerate(layout.STATES)},
    "QC_TENSOR_": {name.upper(): number for number, name in enumerate(layout.STATE_TENSORS)},
    "QC_PACKING_": {name.upper(): number for number, name in enumerate(layout.PACKINGS) if name},
    "QC_REQ_": {kind.name: kind.value for kind in Kind if kind < Kind.BANNER},
    "QC_FRAME_": {kind.name: kind.value for kind in Kind if kind >= Kind.BANNER},
    "QC_ERR_": {status.name: status.value for status in Status if status},
    "QC_CAP_": {each.name: each.value for each in Capability},
}
C_DTYPES = ("QC_INT8", "QC_UINT8", "QC_INT16", "QC_INT32", "QC_FLOAT32")
RECORDS = {  # structure of the image -> the same in Python
    "image_header": layout.HEADER,
    "tensor": layout.TENSOR,
    "operator": layout.OPERATOR,
    "channel": layout.CHANNEL,
    "wide_channel": layout.WIDE_CHANNEL,
    "position": layout.POSITION,
    **{structure: layout.PARAMETERS[opcode] for opcode, structure in BLOCKS.items() if structure},
}
PAYLOADS: dict[str, type[Message] | struct.Struct] = {  # structure of the link -> the same in Python
    "hello": ANSWERS[Kind.HELLO],
    "committed": ANSWERS[Kind.COMMIT],
    "selected": ANSWERS[Kind.SELECT],
    "description": ANSWERS[Kind.DESCRIBE],
    "edge": TensorInfo,
    "run_answer": RunAnswer,
    "record": OperatorResult,
    "fault": ANSWERS[Kind.FAULT],
    "loop": ANSWERS[Kind.LOOP],
    "counter": ANSWERS[Kind.COUNTER],
    "listing": ANSWERS[Kind.STORE],
    "listed": StoreSlot,
    "banner": NOTICES[Kind.BANNER],
    "busy": NOTICES[Kind.BUSY],
    "error": NOTICES[Kind.ERROR],
    "store_header": store._HEADER,
}
ONE_NUMBER = {Done, BaudAnswer, ReadAnswer}  # answers too small for a structure


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What a program that includes the headers says of every name, structure and opcode in them."""
    folder = tmp_path_factory.mktemp("format")
    texts = [
        re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.DOTALL) for header in HEADERS
    ]
    names = {name for text in texts for name in re.findall(r"#define (QC_\w+) +\S", text)}
    names |= {
        name for text in texts for name in re.findall(r"^ *(?:enum \{ *)?(QC_\w+) =", text, re.MULTILINE)
    }
    names |= {name for text in texts for name in re.findall(r"[{,] (QC_\w+) =", text)}
    lines = [f'  printf("number {name} %lld\\n", (long long)({name}));' for name in sorted(names)]
    for header in (IMAGE, MESSAGES):
        for name, parts in structures(header).items():
            lines.append(f'  printf("size {name} %zu\\n", sizeof(qc_{name}_t));')
            lines += [
                f'  printf("field {name} {field.name} %zu %zu\\n", offsetof(qc_{name}_t, {field.name}), '
                f"sizeof(((qc_{name}_t *)0)->{field.name}));"
                for field in parts
            ]
    lines += [
        f'  printf("block {number} %d\\n", qc_opcode_facts({number})->params_bytes);'
        for number in range(1, len(layout.OPCODES))
    ]
    lines.append(f'  printf("known %d\\n", qc_opcode_facts({len(layout.OPCODES)}) != NULL);')
    text = "".join(f'#include "{name}"\n' for name in ("qc_check.h", "qc_layout.h", "qc_messages.h"))
    text += "#include <stdio.h>\nint main(void) {\n" + "\n".join(lines) + "\n  return 0;\n}\n"
    (folder / "format.c").write_text(text)
    checks = sorted((FIRMWARE / "engine").glob("qc_check*.c"))
    subprocess.run(
        ["cc", "-std=c11", *INCLUDE, folder / "format.c", *checks, "-o", folder / "format"], check=True
    )
    said = subprocess.run([folder / "format"], capture_output=True, text=True, check=True).stdout
    return [line.split() for line in said.splitlines()]


@pytest.fixture(scope="module")
def numbers(program: list[list[str]]) -> dict[str, int]:
    """The constants of C, by name."""
    return {words[1]: int(words[2]) for words in program if words[0] == "number"}


def cells(record: struct.Struct | np.dtype[np.void]) -> list[tuple[int, int, bool]]:
    """Offset, width and sign of every field of a Python record, arrays cell by cell."""
    if isinstance(record, np.dtype):
        fields = record.fields or {}
        return [(at, kind.itemsize, kind.kind == "i") for kind, at, *_ in fields.values()]
    found: list[tuple[int, int, bool]] = []
    at = 0
    for count, code in re.findall(r"(\d*)([a-zA-Z])", record.format):
        width = 1 if code == "s" else struct.calcsize(f"<{code}")
        for _ in range(int(count or 1)):
            found.append((at, width, code in "bhiq"))
            at += width
    return found


def as_cells(fields: tuple[Field, ...]) -> list[tuple[int, int, bool]]:
    return [(field.offset, field.width, field.signed) for field in fields]


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_number_is_the_same_in_both(name: str, numbers: dict[str, int]) -> None:
    assert numbers[name] == CONSTANTS[name]


def test_no_number_of_the_image_is_left_out(numbers: dict[str, int]) -> None:
    header = IMAGE.read_text(encoding="utf-8")
    named = {name for name in numbers if re.search(rf"\b{name}\b", header)}
    counted = {name for name in named if name.startswith(tuple(NUMBERED))}
    assert named - counted - set(C_DTYPES) == (CONSTANTS.keys() & named) | ENGINE_ONLY


@pytest.mark.parametrize("prefix", NUMBERED)
def test_names_have_the_same_numbers(prefix: str, numbers: dict[str, int]) -> None:
    in_c = {name.removeprefix(prefix): n for name, n in numbers.items() if name.startswith(prefix)}
    assert in_c == NUMBERED[prefix]


def test_data_types_have_the_same_numbers(numbers: dict[str, int]) -> None:
    assert [numbers[name] for name in C_DTYPES] == list(range(len(C_DTYPES)))
    assert tuple(name.removeprefix("QC_").lower() for name in C_DTYPES) == layout.DTYPES == DTYPES


def test_places_of_a_model_have_the_same_numbers(numbers: dict[str, int]) -> None:
    for place in Place:
        assert numbers[f"QC_PLACE_{place.name}"] == place


def test_the_compiler_lays_out_every_structure_as_the_headers_say(program: list[list[str]]) -> None:
    fields = {
        (words[1], words[2]): (int(words[3]), int(words[4])) for words in program if words[0] == "field"
    }
    sizes = {words[1]: int(words[2]) for words in program if words[0] == "size"}
    for header in (IMAGE, MESSAGES):
        for name, parsed in structures(header).items():
            assert sizes[name] == size_of(parsed), name
            for field in parsed:
                assert fields[name, field.name] == (field.offset, field.width), (name, field.name)


@pytest.mark.parametrize("header", [IMAGE, MESSAGES], ids=lambda header: header.name)
def test_every_structure_has_its_size_asserted(header: Path) -> None:
    asserted = re.findall(
        r"_Static_assert\(sizeof\(qc_(\w+)_t\) == (\d+)", header.read_text(encoding="utf-8")
    )
    assert len(asserted) == len(dict(asserted))
    assert {name: int(size) for name, size in asserted} == {
        name: size_of(fields) for name, fields in structures(header).items()
    }


def test_every_structure_of_the_image_has_its_record() -> None:
    assert RECORDS.keys() == structures().keys() - {"window"}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_the_image_has_the_same_fields(name: str) -> None:
    record = RECORDS[name]
    if record is layout.HEADER:
        record = struct.Struct(record.format.replace("4s", "I", 1))  # the magic, as a number
    assert cells(record) == as_cells(structures()[name])


def fixed_part(message: type[Message]) -> list[tuple[int, int, bool]]:
    """The cells of a message up to its first field of no fixed size, without those that are always zero."""
    found: list[tuple[int, int, bool]] = []
    at = 0
    for _, kind in fields(message):
        size = getattr(kind, "size", None)
        if size is None:
            break
        width = 1 if isinstance(kind, Fixed) else kind.kind.size if isinstance(kind, Padded) else size
        found += [(at + i, width, False) for i in range(0, size if isinstance(kind, Fixed) else 1)]
        at += size
    return found


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_of_the_link_has_the_same_fields(name: str) -> None:
    payload, in_c = PAYLOADS[name], structures(MESSAGES)[name]
    if isinstance(payload, struct.Struct):
        assert cells(payload) == as_cells(in_c)
    else:
        meant = tuple(field for field in in_c if not field.name.startswith("zero"))
        assert fixed_part(payload) == as_cells(meant)


def test_every_answer_and_notice_has_its_structure() -> None:
    assert set(PAYLOADS.values()) >= {*ANSWERS.values(), *NOTICES.values()} - ONE_NUMBER


def test_sizes_that_are_given_apart_are_those_of_the_payloads() -> None:
    sizes = {name: size_of(parts) for name, parts in structures(MESSAGES).items()}
    assert OperatorResult.packed_bytes() == sizes["record"]
    assert StoreSlot.packed_bytes() == sizes["listed"]
    assert sizes["run_answer"] == RunAnswer.HEADER_BYTES
    assert sizes["store_header"] == store.SLOT_HEADER_BYTES


def test_every_opcode_has_a_parameter_block_of_the_same_size(program: list[list[str]]) -> None:
    blocks = {int(words[1]): int(words[2]) for words in program if words[0] == "block"}
    assert blocks == {layout.OPCODES.index(name): record.size for name, record in layout.PARAMETERS.items()}
    assert ["known", "0"] in program


def test_the_crc_is_over_what_follows_its_field() -> None:
    fields = {field.name: field for field in structures()["image_header"]}
    assert fields["crc32"].offset == layout.CRC_OFFSET
    assert fields["crc32"].offset + fields["crc32"].width == layout.CRC_START
