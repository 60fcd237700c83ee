"""Clock cycles of RV32IMC code on the ESP32-C3's core, its cache always hit: ``rv32imc.csv``.

Espressif documents the pipeline's stages, not the cycles: the interval is as wide as that leaves it.
Encodings: *The RISC-V Instruction Set Manual*, volume I, chapters 34 and 27 (C).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rigs.common.cycle_table import read_table

TABLE = read_table(Path(__file__).with_name("rv32imc.csv"))
_KINDS = {
    0x03: "load",
    0x23: "store",
    0x63: "branch",
    0x6F: "branch",
    0x67: "branch",
    0x73: "system",
    0x0F: "system",
}


@dataclass(frozen=True)
class Instruction:
    """``kind``: a class of the table; ``target``: the register a load writes; ``sources``: those read."""

    kind: str
    target: int = 0
    sources: tuple[int, ...] = ()


def cycles(code: bytes | bytearray, bound: str) -> int:
    """Of instructions one after the other, branches not taken; ``bound`` is ``low`` or ``high``."""
    table = TABLE[bound]
    total, loaded = 0, 0
    for now in decode(code):
        total += table[now.kind]
        if loaded and loaded in now.sources:
            total += table["load_use"]
        loaded = now.target if now.kind == "load" else 0
    return total


def decode(code: bytes | bytearray) -> Iterator[Instruction]:
    """The instructions in ``code``, which begins with one."""
    at = 0
    while at < len(code):
        if code[at] & 3 == 3:
            yield _decode_wide(int.from_bytes(code[at : at + 4], "little"))
            at += 4
        else:
            yield _decode_compressed(int.from_bytes(code[at : at + 2], "little"))
            at += 2


def _decode_wide(code: int) -> Instruction:
    opcode, target, function = code & 0x7F, code >> 7 & 31, code >> 12 & 7
    first, second = code >> 15 & 31, code >> 20 & 31
    if opcode == 0x33 and code >> 25 == 1:
        kind = "divide" if function >= 4 else "multiply_high" if function else "multiply"
        return Instruction(kind, sources=(first, second))
    kind = _KINDS.get(opcode, "data")
    if opcode in (0x37, 0x17, 0x6F):  # LUI, AUIPC, JAL
        return Instruction(kind)
    two = opcode in (0x33, 0x63, 0x23)
    return Instruction(kind, target if kind == "load" else 0, (first, second) if two else (first,))


def _decode_compressed(code: int) -> Instruction:
    quadrant, function = code & 3, code >> 13
    short, other, full, last = 8 + (code >> 7 & 7), 8 + (code >> 2 & 7), code >> 7 & 31, code >> 2 & 31
    if quadrant == 0:
        if function == 2:
            return Instruction("load", other, (short,))
        if function == 6:
            return Instruction("store", sources=(short, other))
        return Instruction("data", sources=(2,))
    if quadrant == 1:
        if function in (1, 5):
            return Instruction("branch")
        if function in (6, 7):
            return Instruction("branch", sources=(short,))
        if function == 4:
            register = code >> 10 & 3 == 3
            return Instruction("data", sources=(short, other) if register else (short,))
        return Instruction("data", sources=(full,) if function in (0, 3) else ())
    if function == 2:
        return Instruction("load", full, (2,))
    if function == 6:
        return Instruction("store", sources=(2, last))
    if function == 4:
        if not last:
            return Instruction("branch", sources=(full,))
        return Instruction("data", sources=(full, last) if code >> 12 & 1 else (last,))
    return Instruction("data", sources=(full,))
