"""Cycles of short programs whose length on a Cortex-M4 is documented, and what wait states add to them.

Sources: Arm DDI 0337 3.3.3 (the pairs of loads and stores, LDRD, LDR from the program counter), DDI 0439
table 3-1 (N + 1 of multiple transfers, products, quotients, the refill of 1 to 3) and table 7-1 (floats);
RM0090 3.5.2 (lines of 128 bits, 64 for code and 8 for data).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from mmap import mmap

import pytest

pytest.importorskip("unicorn", reason="needs the extra virtual")

from rigs.common.cycle_table import HIGH, LOW
from rigs.stm32.virtual import timing
from rigs.stm32.virtual.counter_page import CYCLES
from rigs.stm32.virtual.emulator import Emulator
from rigs.stm32.virtual.flash_controller import FLASH_BASE, FLASH_SIZE

pytestmark = pytest.mark.host

MAIN = 0x100


@pytest.mark.parametrize(
    ("name", "code", "low", "high"),
    [
        ("LDR R0,[R1]; LDR R1,[R2]", "0868 1168", 3, 3),
        ("LDR R0,[R1,R2]; STR R0,[R3,#20]", "8858 5861", 3, 3),
        ("LDR R0,[R1,R2]; STR R1,[R3,R2]", "8858 9950", 3, 3),
        ("LDR R0,[R1,R5]; LDR R1,[R2]; LDR R2,[R3,#4]", "4859 1168 5a68", 4, 4),
        ("LDR R0,[R1]; LDR R2,[R0]: the address is not there yet", "0868 0268", 4, 4),
        ("STR R0,[R1,#4]", "4860", 1, 1),
        ("LDR.W R0,[R1,#4]; LDR.W R2,[R3,#8]", "d1f80400 d3f80820", 3, 3),
        ("LDRSB R0,[R1,R2]; LDRH R3,[R4]", "8856 2388", 3, 3),
        ("ADDS R0,R1,R2; LDR R3,[R0]: an address just made", "8818 0368", 4, 4),
        ("ADDS R0,R1,R2; LDR R3,[R4]", "8818 2368", 3, 3),
        ("LDRD R0,R1,[R2]", "d2e90001", 3, 3),
        ("STRD R0,R1,[R2]", "c2e90001", 3, 3),
        ("LDMIA R0!,{R1-R4}", "1ec8", 5, 5),
        ("PUSH {R4-R7,LR}", "f0b5", 6, 6),
        ("LDM.W R0,{R1-R8}", "90e8fe01", 9, 9),
        ("MULS R0,R1", "4843", 1, 1),
        ("SMLAD R0,R1,R2,R3", "21fb0230", 1, 1),
        ("SXTB16 R0,R1", "2ffa81f0", 1, 1),
        ("SMULL R0,R1,R2,R3", "82fb0301", 1, 1),
        ("UDIV R0,R1,R2", "b1fbf2f0", 2, 12),
        ("SSAT R0,#8,R1", "01f30700", 1, 1),
        ("MRS R0,PRIMASK", "eff31080", 1, 2),
        ("VADD.F32 S0,S1,S2", "30ee810a", 1, 1),
        ("VMLA.F32 S0,S1,S2", "00ee810a", 3, 3),
        ("VDIV.F32 S0,S1,S2", "80ee810a", 14, 14),
        ("VSQRT.F32 S0,S1", "b1eee00a", 14, 14),
        ("VLDR S0,[R0]", "90ed000a", 2, 2),
        ("VPUSH {S16-S19}", "2ded048a", 5, 5),
        ("LDR R0,[PC,#4]", "0148", 2, 3),
        ("IT EQ; MOVEQ R0,#1", "08bf 0120", 1, 2),
    ],
)
def test_documented_sequences_take_the_documented_cycles(name: str, code: str, low: int, high: int) -> None:
    program = bytes.fromhex(code)
    assert (timing.cycles(program, LOW), timing.cycles(program, HIGH)) == (low, high), name


@pytest.fixture
def measure() -> Iterator[Callable[..., int]]:
    """``measure(code, bound, wait_states, registers)``: cycles until BKPT."""
    running = []

    def run(code: str, bound: str, wait_states: int = 0, registers: dict[int, int] | None = None) -> int:
        flash = mmap(-1, FLASH_SIZE)
        flash[0:8] = struct.pack("<2I", 0x20001000, FLASH_BASE + MAIN + 1)
        program = bytes.fromhex(code)
        flash[MAIN : MAIN + len(program) + 2] = program + b"\x00\xbe"
        machine = Emulator(flash, 2)
        running.append(machine)
        for number, value in (registers or {}).items():
            machine.set_register(number, value)
        machine.meter(bound, wait_states)
        for _ in range(100):
            if machine.register(15) == FLASH_BASE + MAIN + len(program):
                break
            machine._advance()
        return int(machine._state[CYCLES])

    yield run
    for machine in running:
        machine.stop()


def within(found: int, documented: int) -> bool:
    return abs(found - documented) <= 0.02 * documented


def test_a_loop_of_two_takes_three_to_five_cycles_a_round(measure) -> None:
    loop = "0138 fdd1"  # subs r0,#1; bne: 1 + 1 + P
    assert within(measure(loop, LOW, registers={0: 10_000}), 30_000)
    assert within(measure(loop, HIGH, registers={0: 10_000}), 50_000)


def test_a_branch_that_is_not_taken_takes_one(measure) -> None:
    code = "0028 00d0 " * 1000 + "00bf"  # cmp r0,#0; beq to the next but one, never
    assert within(measure(code, HIGH, registers={0: 1}), 2000)


def test_a_loop_of_products_takes_what_its_parts_take(measure) -> None:
    loads = "0d68 5668"  # ldr r5,[r1]; ldr r6,[r2,#4]: 3 together
    products = "2ffa85f5 2ffa86f6 25fb0633"  # sxtb16 twice, smlad: 3
    loop = loads + products + "0138 f5d1"  # subs, bne: 2 + P
    assert within(measure(loop, LOW, registers={0: 10_000, 1: 0x20000000, 2: 0x20000000}), 90_000)


def test_a_loop_that_fits_the_cache_pays_for_its_lines_once(measure) -> None:
    code = "00bf " * 400 + "0138 " + "7ff46eae"  # 800 bytes of nops, subs, bne.w to the first
    quiet = measure(code, HIGH, 0, {0: 100})
    waiting = measure(code, HIGH, 5, {0: 100})
    assert waiting - quiet == 51 * 5  # lines of 16 bytes, from 0x100 to 0x425


def test_a_loop_that_does_not_fit_pays_in_every_round(measure) -> None:
    code = "00bf " * 800 + "0138 " + "7ff4ddac"  # 1600 bytes: more than 64 lines
    lines = measure(code, HIGH, 5, {0: 50}) - measure(code, HIGH, 0, {0: 50})
    assert within(lines, 50 * 101 * 5)


def test_data_in_flash_wait_for_each_line_and_data_in_ram_for_none(measure) -> None:
    loop = "0a68 0431 0138 fbd1"  # ldr r2,[r1]; adds r1,#4; subs; bne
    ram, flash = ({0: 4000, 1: first} for first in (0x20000000, FLASH_BASE + 0x10000))
    quiet = measure(loop, HIGH, 5, ram)
    assert within(measure(loop, HIGH, 5, flash) - quiet, 1000 * 5)  # four words a line
    assert measure(loop, LOW, 5, flash) == measure(loop, LOW, 5, ram)
