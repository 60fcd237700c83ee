"""The core's instruction counter against a callback for every instruction, undisturbed and disturbed."""

from __future__ import annotations

import random
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

unicorn = pytest.importorskip("unicorn", reason="needs the extra virtual")
numba = pytest.importorskip("numba")

from rigs.common import counting  # noqa: E402
from rigs.esp32.virtual import core as cpu  # noqa: E402
from rigs.esp32.virtual.flash import NorFlash  # noqa: E402

pytestmark = pytest.mark.host

SINGLE = counting.TAGS - 1  # a word of the state that the block callback leaves alone
ENTRY = cpu.FLASH_CODE + 8
STOP_REGISTER = cpu.PERIPHERALS
# Blocks of all kinds: nested loops, 2- and 4-byte instructions, calls, loads and stores, then a store
# to a peripheral that ends the run. Made with:
#   riscv64-unknown-elf-gcc -march=rv32imc_zicsr -mabi=ilp32 -nostdlib -Wl,-Ttext=0x42000008 \
#     mixed.S -o mixed.elf
#   riscv64-unknown-elf-objcopy -O binary mixed.elf mixed.bin
PROGRAM = Path(__file__).with_name("mixed.bin")


@numba.cfunc("void(uint64, uint64, uint32, CPointer(uint64))")
def on_instruction(_engine: int, _address: int, _size: int, pointer: int) -> None:
    state = numba.carray(pointer, (counting.WORDS,), numba.types.uint64)
    state[SINGLE] += 1


class Bus:
    """Nothing but a register that ends the run."""

    def __init__(self) -> None:
        self.ended = False
        self.core: cpu.Core | None = None
        self.interrupts = 0

    def read(self, _address: int) -> int:
        return 0

    def write(self, address: int, _value: int) -> None:
        if address == STOP_REGISTER:
            self.ended = True
            assert self.core is not None
            self.core.stop()

    def interrupt_line(self) -> int:
        return 0

    def stopping(self) -> bool:
        return self.ended


def run(disturb: Callable[[cpu.Core], None] | None = None) -> tuple[int, int]:
    """Counted by blocks, and one by one."""
    flash = NorFlash(4 << 20)
    flash.program(0, struct.pack("<II", 0xAEDB041D, 0xAEDB041D) + PROGRAM.read_bytes())
    bus = Bus()
    core = cpu.Core(bus, flash.host_address, cpu.Memory(cpu.RAM_BYTES), cpu.Memory(cpu.RTC_BYTES))
    bus.core = core
    core.add_native_hook(unicorn.UC_HOOK_CODE, on_instruction.address)
    if disturb is not None:
        threading.Thread(target=_repeat, args=(disturb, core, bus), daemon=True).start()
    core.run(ENTRY, lambda: 0)
    return core.instructions, int(core._state[SINGLE])


def _repeat(disturb: Callable[[cpu.Core], None], core: cpu.Core, bus: Bus) -> None:
    chance = random.Random(1)
    while not bus.ended:
        time.sleep(chance.random() * 0.001)
        disturb(core)


def test_counting_by_blocks_equals_counting_one_by_one() -> None:
    by_blocks, one_by_one = run()
    assert by_blocks == one_by_one > 1_000_000


def test_stops_at_any_time_leave_no_trace_in_the_count() -> None:
    stops = 0

    def stop(core: cpu.Core) -> None:
        nonlocal stops
        stops += 1
        core.stop()

    undisturbed = run()
    assert run(stop) == undisturbed
    assert stops > 10
