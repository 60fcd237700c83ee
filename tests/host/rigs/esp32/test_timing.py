"""Cycles of short RISC-V programs by the table, and what the cache adds on the virtual core."""

from __future__ import annotations

import pytest

pytest.importorskip("unicorn", reason="needs the extra virtual")

from rigs.common.cycle_table import HIGH, LOW
from rigs.esp32.virtual import core as cpu
from rigs.esp32.virtual import timing
from rigs.esp32.virtual.flash import NorFlash

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("name", "code", "low", "high"),
    [
        ("lw a0,0(a1); addi a0,a0,1: the sum waits", "03a50500 13051500", 3, 3),
        ("lw a0,0(a1); addi a2,a2,1", "03a50500 13061600", 2, 2),
        ("c.lw a0,0(a1); c.addi a0,1", "8841 0505", 3, 3),
        ("c.lw a0,0(a1); c.beqz a0", "8841 01c1", 3, 3),
        ("c.lw a0,0(a1); c.mv a2,a0", "8841 2a86", 3, 3),
        ("c.lwsp a0,0(sp); c.add a1,a0", "0245 aa95", 3, 3),
        ("lb a0,0(a1); sw a0,0(a1)", "03850500 23a0a500", 3, 3),
        ("mul a0,a1,a2", "3385c502", 1, 1),
        ("mulh a0,a1,a2", "3395c502", 1, 2),
        ("div a0,a1,a2", "33c5c502", 2, 33),
        ("bne a0,a1", "6310b500", 1, 1),
        ("c.jr ra", "8280", 1, 1),
        ("csrr a0,mcycle", "732500b0", 1, 4),
    ],
)
def test_sequences_take_what_the_table_says(name: str, code: str, low: int, high: int) -> None:
    program = bytes.fromhex(code)
    assert (timing.cycles(program, LOW), timing.cycles(program, HIGH)) == (low, high), name


class Bus:
    """Nothing but a register that ends the run."""

    core: cpu.Core
    ended = False

    def read(self, _address: int) -> int:
        return 0

    def write(self, _address: int, _value: int) -> None:
        self.ended = True
        self.core.stop()

    def interrupt_line(self) -> int:
        return 0

    def stopping(self) -> bool:
        return self.ended


def measure(code: str, bound: str) -> int:
    """Cycles of ``code``; then a store to a peripheral ends the run."""
    flash = NorFlash(4 << 20)
    flash.program(0x100, bytes.fromhex(code + "37030060 23200300" + "01a0"))  # lui t1; sw; c.j .
    bus = Bus()
    core = cpu.Core(bus, flash.host_address, cpu.Memory(cpu.RAM_BYTES), cpu.Memory(cpu.RTC_BYTES))
    bus.core = core
    core.request_meter(bound)
    core.run(cpu.FLASH_CODE + 0x100, lambda: 0)
    return core._counter.counted


def test_a_taken_branch_empties_the_pipeline() -> None:
    loop = "9143 2965" + "7d15" + "7dfd"  # li t2 (unused); lui a0,10; addi a0,-1; bnez a0
    assert measure(loop, LOW) == pytest.approx(40960 * 3, rel=0.02)  # 1 + 1 + 1
    assert measure(loop, HIGH) == pytest.approx(40960 * 5, rel=0.02)  # 1 + 1 + 3, its line read once


def test_code_in_flash_is_read_by_lines_of_32_bytes() -> None:
    straight = "0100" * 16 * 100  # nops, 100 lines
    assert measure(straight, HIGH) - measure(straight, LOW) == pytest.approx(100 * cpu.CACHE_MISS, rel=0.02)
