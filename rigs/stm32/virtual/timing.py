"""Clock cycles of Thumb code on a Cortex-M4 without wait states: ``cortex_m4.csv``, and neighbours.

Encodings: DDI 0403 (ARMv7-M ARM), chapter A5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rigs.common.cycle_table import read_table

TABLE = read_table(Path(__file__).with_name("cortex_m4.csv"))
_PC = 15


@dataclass(frozen=True)
class Instruction:
    """``kind`` is a class of the table. ``extra``: registers that are moved. ``target``: the register that
    data processing or a single load writes, -1 for none; ``address``: those that an address is made of."""

    kind: str
    extra: int = 0
    target: int = -1
    address: tuple[int, ...] = ()


def instructions(code: bytes | bytearray) -> int:
    """How many instructions lie in ``code``: 4 bytes where the first half-word says so (DDI 0403 A5.1)."""
    count = at = 0
    while at < len(code):
        at += 4 if code[at + 1] >= 0xE8 else 2
        count += 1
    return count


def cycles(code: bytes | bytearray, bound: str) -> int:
    """Of instructions one after the other, branches not taken; ``bound`` is ``low`` or ``high``."""
    table = TABLE[bound]
    total, before = 0, Instruction("none")
    for now in decode(code):
        cost = table[now.kind] + now.extra
        single = now.kind in ("load", "load_literal", "store", "store_register")
        if single and before.kind in ("load", "load_literal") and before.target not in now.address:
            cost = max(cost - 1, 1)
        elif now.address and before.kind in ("data", "multiply") and before.target in now.address:
            cost += table["address_stall"]
        total, before = total + cost, now
    return total


def decode(code: bytes | bytearray) -> Iterator[Instruction]:
    """The instructions in ``code``, which begins with one."""
    at = 0
    while at < len(code):
        first = code[at] | code[at + 1] << 8
        if first >= 0xE800:
            yield _decode_wide(first, code[at + 2] | code[at + 3] << 8)
            at += 4
        else:
            yield _decode_narrow(first)
            at += 2


def _decode_narrow(code: int) -> Instruction:
    top, low, middle = code >> 11, code & 7, code >> 3 & 7
    if code < 0x4000:
        if top < 4:
            return Instruction("data", target=low)
        return Instruction("data", target=-1 if top == 5 else code >> 8 & 7)
    if code < 0x4400:
        kind = "multiply" if code & 0xFFC0 == 0x4340 else "data"
        return Instruction(kind, target=-1 if code >> 6 & 15 in (8, 10, 11) else low)
    if code < 0x4800:
        if code >= 0x4700:
            return Instruction("branch")
        return Instruction("data", target=-1 if code & 0xFF00 == 0x4500 else code >> 4 & 8 | low)
    if code < 0x5000:
        return Instruction("load_literal", target=code >> 8 & 7)
    if code < 0x6000:
        address = (middle, code >> 6 & 7)
        if code >> 9 & 7 < 3:
            return Instruction("store_register", address=address)
        return Instruction("load", target=low, address=address)
    if code < 0x9000:
        return _single(top & 1, low, middle)
    if code < 0xA000:
        return _single(top & 1, code >> 8 & 7, 13)
    if code < 0xB000:
        return Instruction("data", target=code >> 8 & 7)
    if code < 0xC000:
        return _decode_miscellaneous(code)
    if code < 0xD000:
        return Instruction("multiple", (code & 0xFF).bit_count(), address=(code >> 8 & 7,))
    return Instruction("branch")


def _single(load: int, register: int, base: int) -> Instruction:
    if load:
        return Instruction("load", target=register, address=(base,))
    return Instruction("store", address=(base,))


def _decode_miscellaneous(code: int) -> Instruction:
    if code & 0xF600 == 0xB400:  # PUSH, POP
        return Instruction("multiple", (code & 0x1FF).bit_count())
    if code & 0xF500 == 0xB100:  # CBZ, CBNZ
        return Instruction("branch")
    if code & 0xFF00 == 0xBF00:
        return Instruction("it" if code & 15 else "data")
    if code & 0xFFE0 == 0xB660:
        return Instruction("system")
    return Instruction("data", target=13 if code & 0xFF00 == 0xB000 else code & 7)


def _decode_wide(first: int, second: int) -> Instruction:
    group = first >> 9
    if group == 0x74:
        return _decode_several(first, second)
    if first & 0xEC00 == 0xEC00:
        return _decode_float(first, second)
    if first & 0xF800 == 0xF000 and second & 0x8000:
        return _decode_control(first)
    if group == 0x7C:  # 0xF800: single loads and stores
        return _decode_single(first, second)
    if first & 0xFF80 == 0xFB80 and first >> 4 & 7 in (1, 3):
        return Instruction("divide")
    if first & 0xFF00 == 0xFB00:
        return Instruction("multiply", target=second >> 8 & 15)
    compares = first & 0x10 and second >> 8 & 15 == 15
    return Instruction("data", target=-1 if compares else second >> 8 & 15)


def _decode_several(first: int, second: int) -> Instruction:
    base = (first & 15,)
    if not first & 0x40:
        return Instruction("multiple", second.bit_count(), address=base)
    if first & 0xFFF0 == 0xE8D0 and second & 0xFFE0 == 0xF000:
        return Instruction("table_branch", address=base)
    if first & 0xFF60 == 0xE840:  # exclusive
        return _single(first >> 4 & 1, second >> 12, base[0])
    return Instruction("pair", address=base)


def _decode_single(first: int, second: int) -> Instruction:
    base, register = first & 15, second >> 12
    if base == _PC:
        return Instruction("load_literal", target=register)
    if first & 0x80 or second & 0x800:  # a number is added to the base
        return _single(first >> 4 & 1, register, base)
    address = (base, second & 15)
    if first & 0x10:
        return Instruction("load", target=register, address=address)
    return Instruction("store_register", address=address)


def _decode_control(first: int) -> Instruction:
    if first & 0xFFE0 == 0xF380 or first & 0xFFE0 == 0xF3E0 or first & 0xFFF0 in (0xF3A0, 0xF3B0):
        return Instruction("system")
    return Instruction("branch")


def _decode_float(first: int, second: int) -> Instruction:
    if first & 0xFE00 != 0xEC00 and first & 0xFF00 == 0xEE00:
        if second & 0x10:
            return Instruction("float")
        operation = first >> 4 & 0xB
        if operation == 8 or (first & 0xBF == 0xB1 and second & 0xC0 == 0xC0):  # VDIV, VSQRT
            return Instruction("float_divide")
        accumulates = operation in (0, 1, 9, 10)
        return Instruction("float_accumulate" if accumulates else "float")
    if first & 0xFFE0 == 0xEC40:
        return Instruction("float_pair")
    if first & 0xFF20 == 0xED00:
        return Instruction("float_load", address=(first & 15,))
    return Instruction("multiple", second & 0xFF, address=(first & 15,))
