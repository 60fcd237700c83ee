"""The Cortex-M4 around unicorn: exceptions, faults, WFI and the counter, by programs in machine code."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from mmap import mmap

import pytest

pytest.importorskip("unicorn", reason="needs the extra virtual")

from rigs.common.counting import COUNT, METERING
from rigs.stm32.virtual import exceptions as exc
from rigs.stm32.virtual import timing
from rigs.stm32.virtual.emulator import Emulator
from rigs.stm32.virtual.flash_controller import FLASH_BASE, FLASH_SIZE
from rigs.stm32.virtual.machine import D0, StubError, TargetLostError

pytestmark = pytest.mark.host

STACK, MAIN, HANDLER = 0x20001000, 0x100, 0x200
BKPT = "00be"
CPACR, CCR = 0xE000ED88, 0xE000ED14
FPU_ON, DIV_0_TRP = (0xF << 20).to_bytes(4, "little"), (1 << 4).to_bytes(4, "little")
NUMBER = "eff30583" + "fee7"  # a handler: mrs r3, ipsr; b .


@pytest.fixture
def start() -> Iterator[Callable[..., Emulator]]:
    """``start(main, handler, vectors)``: the program runs; a handler for every exception at 0x200."""
    running = []

    def begin(main: str, handler: str = "fee7", registers: dict[int, int] | None = None) -> Emulator:
        flash = mmap(-1, FLASH_SIZE)
        flash[0:8] = struct.pack("<2I", STACK, FLASH_BASE + MAIN + 1)
        flash[8:256] = struct.pack("<I", FLASH_BASE + HANDLER + 1) * 62
        for offset, code in ((MAIN, main), (HANDLER, handler)):
            data = bytes.fromhex(code)
            flash[offset : offset + len(data)] = data
        machine = Emulator(flash, 2)
        running.append(machine)
        machine.write(0xE000ED08, FLASH_BASE.to_bytes(4, "little"))  # VTOR
        for number, value in (registers or {}).items():
            machine.set_register(number, value)
        return machine

    yield begin
    for machine in running:
        machine.stop()


def run_until(machine: Emulator, offset: int) -> list[int]:
    machine.set_breakpoint(FLASH_BASE + offset)
    machine.resume()
    end = time.monotonic() + 10
    while not machine.stopped():
        assert time.monotonic() < end, hex(machine.register(15))
        time.sleep(0.001)
    machine.clear_breakpoint(FLASH_BASE + offset)
    return machine.registers()


@pytest.mark.parametrize(
    ("code", "count"),
    [("00bf", 1), ("aff30080", 1), ("00bfaff3008000bf", 3), ("fee7fee7", 2), ("00f000f800bf", 2)],
)
def test_instructions_are_two_or_four_bytes(code: str, count: int) -> None:
    assert timing.instructions(bytes.fromhex(code)) == count


def test_an_interrupt_comes_when_it_is_unmasked_and_returns_where_it_was(start) -> None:
    # cpsid i; ldr r0,=NVIC_ISER1 (in r0); str r1,[r0] (ISPR in r2); movs r3,#1; cpsie i; movs r4,#2; b .
    main = "72b6" + "0160" + "1160" + "0123" + "62b6" + "0224" + "fee7"
    handler = "1d46" + "0026" + "7047"  # mov r5,r3; movs r6,#0; bx lr
    machine = start(main, handler, {0: 0xE000E104, 1: 1 << 6, 2: 0xE000E204, 6: 9, 4: 7})
    registers = run_until(machine, MAIN + 12)
    assert registers[3:7] == [1, 2, 1, 0]
    assert registers[13] == STACK
    assert registers[16] & 0x1FF == 0


def test_a_register_of_the_counter_is_written_while_an_interrupt_is_held_back(start) -> None:
    # cpsid i; str r1,[r0] (ISER); str r1,[r2] (ISPR); str r3,[r5] (TIM2_PSC); movs r4,#2; b .
    main = "72b6" + "0160" + "1160" + "2b60" + "0224" + "fee7"
    machine = start(main, "fee7", {0: 0xE000E104, 1: 1 << 6, 2: 0xE000E204, 3: 5, 5: 0x40000028})
    run_until(machine, MAIN + 10)
    assert machine.read(0x40000028, 4) == bytes([5, 0, 0, 0])


def test_inside_the_handler_the_number_of_the_exception_is_there(start) -> None:
    machine = start("01df" + "fee7", "eff30580" + "7047")  # svc 1; handler: mrs r0, ipsr; bx lr
    assert run_until(machine, HANDLER + 4)[0] == exc.SV_CALL


def test_a_debugger_that_clears_the_active_exceptions_leaves_the_handler(start) -> None:
    """VECTCLRACTIVE, as in pyOCD's emulated reset: else no such interrupt would ever come again."""
    machine = start("01df" + "fee7", "eff30580" + "7047")  # svc 1; handler: mrs r0, ipsr; bx lr
    run_until(machine, HANDLER + 4)
    icsr, aircr = 0xE000ED04, 0xE000ED0C
    assert int.from_bytes(machine.read(icsr, 4), "little") & 0x1FF == exc.SV_CALL
    machine.write(aircr, (0x05FA0002).to_bytes(4, "little"))
    assert int.from_bytes(machine.read(icsr, 4), "little") & 0x1FF == 0


def test_floats_survive_a_handler_that_uses_them(start) -> None:
    # vmov s0,r0; svc; vmov r1,s0; b . -- handler: vmov s0,r2; bx lr
    machine = start("00ee100a" + "01df" + "10ee101a" + "fee7", "00ee102a" + "7047", {0: 0x3F800000, 2: 5})
    machine.write(CPACR, FPU_ON)
    assert run_until(machine, MAIN + 10)[1] == 0x3F800000
    assert machine.register(D0) & 0xFFFFFFFF == 0x3F800000


@pytest.mark.parametrize(
    ("main", "enabled", "number", "status"),
    [
        ("ffde", False, exc.HARD_FAULT, exc.UNDEFINSTR),
        ("ffde", True, exc.USAGE_FAULT, exc.UNDEFINSTR),
        ("0768", True, exc.BUS_FAULT, exc.PRECISERR | exc.BFARVALID),  # ldr r7,[r0]
        ("0047", True, exc.USAGE_FAULT, exc.INVSTATE),  # bx r0: no Thumb code there
    ],
)
def test_a_fault_goes_to_its_handler_or_becomes_a_hard_fault(start, main, enabled, number, status) -> None:
    machine = start(main, "eff30583" + "fee7", {0: 0x60000000})  # handler: mrs r3, ipsr
    if enabled:
        machine.write(0xE000ED24, (7 << 16).to_bytes(4, "little"))
    assert run_until(machine, HANDLER + 4)[3] == number
    assert int.from_bytes(machine.read(0xE000ED28, 4), "little") == status
    frame = struct.unpack("<8I", machine.read(STACK - 32, 32))
    assert frame[6] == (0x60000000 if status == exc.INVSTATE else FLASH_BASE + MAIN)


@pytest.mark.parametrize(
    ("main", "offset", "register", "trapping", "status"),
    [
        ("0124" + "00ee100a" + "fee7", 2, CPACR, bytes(4), exc.NOCP),  # movs r4,#1; vmov s0,r0
        ("0124" + "90ed000a" + "fee7", 2, CPACR, bytes(4), exc.NOCP),  # movs r4,#1; vldr s0,[r0]
        ("0124" + "b4fbf0f5" + "fee7", 2, CCR, DIV_0_TRP, exc.DIVBYZERO),  # movs r4,#1; udiv r5,r4,r0
        ("0124" + "94fbf0f5" + "fee7", 2, CCR, DIV_0_TRP, exc.DIVBYZERO),  # movs r4,#1; sdiv r5,r4,r0
        # movs r4,#1; cmp r4,#1; ite ne; udivne r5,r4,r4; udiveq r5,r4,r0
        ("0124" + "012c" + "14bf" + "b4fbf4f5" + "b4fbf0f5" + "fee7", 10, CCR, DIV_0_TRP, exc.DIVBYZERO),
    ],
    ids=["vmov", "vldr", "udiv", "sdiv", "in an IT block"],
)
def test_what_the_firmware_has_not_enabled_or_has_asked_to_trap_is_a_usage_fault(
    start, main, offset, register, trapping, status
) -> None:
    machine = start(main, NUMBER, {0: 0})
    machine.write(0xE000ED24, (7 << 16).to_bytes(4, "little"))
    machine.write(register, trapping)
    registers = run_until(machine, HANDLER + 4)
    assert (registers[3], registers[4]) == (exc.USAGE_FAULT, 1)
    assert int.from_bytes(machine.read(0xE000ED28, 4), "little") == status
    assert struct.unpack("<8I", machine.read(STACK - 32, 32))[6] == FLASH_BASE + MAIN + offset


def test_floats_run_once_the_firmware_has_enabled_them_and_not_after_it_has_not(start) -> None:
    # str r1,[r0]; dsb; isb; vmov s0,r1; vmov r2,s0; str r5,[r0]; dsb; isb; vmov s0,r1
    on, off, barriers = "0160", "0560", "bff34f8f" + "bff36f8f"
    main = on + barriers + "00ee101a" + "10ee102a" + off + barriers + "00ee101a" + "fee7"
    machine = start(main, NUMBER, {0: CPACR, 1: 0xF << 20, 5: 0})
    registers = run_until(machine, HANDLER + 4)
    assert (registers[2], registers[3]) == (0xF << 20, exc.HARD_FAULT)
    assert struct.unpack("<26I", machine.read(STACK - 104, 104))[6] == FLASH_BASE + MAIN + 28


def test_a_division_that_is_not_executed_or_not_by_zero_does_not_trap(start) -> None:
    # movs r4,#1; cmp r4,#1; it ne; udivne r5,r4,r0; udiv r6,r4,r4; b .
    machine = start("0124" + "012c" + "18bf" + "b4fbf0f5" + "b4fbf4f6" + "fee7", NUMBER, {0: 0, 5: 9})
    machine.write(CCR, DIV_0_TRP)
    assert run_until(machine, MAIN + 14)[5:7] == [9, 1]


def test_a_breakpoint_inside_an_it_block_stops_there(start) -> None:
    # movs r4,#1; cmp r4,#1; ite ne; movne r5,#2; moveq r5,#3; b .
    assert (
        run_until(start("0124" + "012c" + "14bf" + "0225" + "0325" + "fee7"), MAIN + 8)[15]
        == FLASH_BASE + MAIN + 8
    )


def test_a_reset_counts_instructions_again(start) -> None:
    machine = start("0124" + "fee7")
    machine.meter("high", 5)
    assert machine._state[METERING]
    machine.system_reset()
    assert not machine._state[METERING]


def test_a_division_by_zero_gives_zero_where_nothing_traps(start) -> None:
    assert run_until(start("b4fbf0f5" + "fee7", NUMBER, {0: 0, 4: 7}), MAIN + 4)[5] == 0


def test_an_instruction_that_may_trap_is_counted_once(start) -> None:
    # movs r4,#1; udiv r5,r4,r4; nop; bkpt
    counts = []
    for trapping in (bytes(4), DIV_0_TRP):
        machine = start("0124" + "b4fbf4f5" + "00bf" + BKPT, NUMBER, {})
        machine.write(CCR, trapping)
        run_until(machine, HANDLER + 4)
        counts.append(int(machine._state[COUNT]))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("link", [0xFFFFFFF5, 0xFFFFFFF1], ids=["unknown", "to a handler, where none waits"])
def test_a_return_that_does_not_fit_what_is_active_is_a_usage_fault(start, link) -> None:
    # svc 1 -- handler: mrs r3, ipsr; cmp r3,#11; it eq; bxeq r2; b .
    machine = start("01df" + "fee7", "eff30583" + "0b2b" + "08bf" + "1047" + "fee7", {2: link})
    machine.write(0xE000ED24, (7 << 16).to_bytes(4, "little"))
    assert run_until(machine, HANDLER + 10)[3] == exc.USAGE_FAULT
    assert int.from_bytes(machine.read(0xE000ED28, 4), "little") == exc.INVPC
    assert machine.register(14) == link


def test_a_fault_in_the_hard_fault_handler_is_a_lockup(start) -> None:
    machine = start("ffde", "ffde")
    machine.resume()
    end = time.monotonic() + 10
    while not machine._lost and time.monotonic() < end:
        time.sleep(0.005)
    with pytest.raises(TargetLostError):
        machine.stopped()


def test_systick_ends_a_wait_in_time(start) -> None:
    # str r1,[r0,#4] (reload); str r2,[r0] (enable, interrupt, core clock); wfi; movs r3,#1; b .
    machine = start("4160" + "0260" + "30bf" + "0123" + "fee7", "7047", {0: 0xE000E010, 1: 8_400_000, 2: 7})
    begin = time.monotonic()
    run_until(machine, MAIN + 8)
    assert 0.045 < time.monotonic() - begin < 5  # 8.4 million clocks at 168 MHz


@pytest.mark.parametrize("load", ["0368", "d0f80030"])  # ldr r3,[r0]: 2 and 4 bytes long
def test_the_counter_is_exact_inside_a_block(start, load: str) -> None:
    size = len(load) // 2
    # str r1,[r2] (CR1.CEN); ldr r3,[r0]; mov r4,r3; 4 nops; ldr r3,[r0]; subs r5,r3,r4; b .
    main = "1160" + load + "1c46" + "00bf" * 4 + load + "1d1b" + "fee7"
    machine = start(main, registers={0: 0x40000024, 1: 1, 2: 0x40000000})
    assert run_until(machine, MAIN + 2 + size + 2 + 8 + size + 2)[5] == 6


def test_where_nothing_is_a_debugger_is_refused(start) -> None:
    with pytest.raises(StubError):
        start("fee7").read(0x30000000, 4)


def test_a_step_is_one_instruction(start) -> None:
    machine = start("0120" + "aff30080" + "fee7")
    places = []
    for _ in range(3):
        machine.step()
        places.append(machine.register(15) - FLASH_BASE - MAIN)
    assert places == [2, 6, 6]
