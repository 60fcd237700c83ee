"""The shipped image, started on each chip of the family: clocks, wait states and consoles fit the chip.

A Cortex-M4 in unicorn with just enough of RCC, PWR, FLASH and USART around it. The limits are the chips',
from their reference manuals; the clocks are computed here from the registers the firmware wrote.
"""

from __future__ import annotations

import itertools
import math
import struct
from dataclasses import dataclass, field

import pytest

unicorn = pytest.importorskip("unicorn", reason="needs the extra virtual")
from unicorn import arm_const  # noqa: E402

from rigs.stm32.firmware import IMAGE  # noqa: E402

pytestmark = pytest.mark.host

RCC_CR, RCC_PLLCFGR, RCC_CFGR = 0x40023800, 0x40023804, 0x40023808
PWR_CR, FLASH_ACR, GPIOA_MODER = 0x40007000, 0x40023C00, 0x40020000
USART1, USART2 = 0x40011000, 0x40004400
IDCODE, UID, FLASH_SIZE = 0xE0042000, 0x1FFF7A10, 0x1FFF7A22
DBGMCU_CR = 0xE0042004
DWT_CYCCNT = 0xE0001004
CACHES_ON, CACHES_RESET = 0x600, 0x1800  # FLASH_ACR: DCEN, ICEN; DCRST, ICRST
HSI_HZ = 16_000_000
INSTRUCTIONS = 3_000_000


@dataclass(frozen=True)
class Limits:
    """What a chip allows, in MHz: core, APB1, APB2 (RM0090, RM0368, RM0383, RM0390; no over-drive)."""

    device_id: int
    flash_kib: int
    ram_kib: int
    core: int
    apb1: int
    apb2: int


CHIPS = {
    "F405": Limits(0x413, 1024, 128, 168, 42, 84),
    "F405 revision A": Limits(0x411, 1024, 128, 168, 42, 84),
    "F401xC": Limits(0x423, 256, 64, 84, 42, 84),
    "F401xE": Limits(0x433, 512, 96, 84, 42, 84),
    "F411": Limits(0x431, 512, 128, 100, 50, 100),
    "F446": Limits(0x421, 512, 128, 168, 45, 90),
    "F429": Limits(0x419, 2048, 192, 168, 45, 90),
    "unknown": Limits(0x458, 128, 32, 16, 16, 16),  # STM32F410, which has the least RAM of all
}


@dataclass
class Chip:
    """Runs the image until it sleeps for the first time."""

    limits: Limits
    pll_locks: bool = True
    registers: dict[int, int] = field(default_factory=dict)
    sent: dict[int, bytearray] = field(default_factory=lambda: {USART1: bytearray(), USART2: bytearray()})
    flash_access: list[int] = field(default_factory=list)  # what FLASH_ACR was set to, in order
    ram: bytes = b""
    asleep: bool = False
    cycles: int = 0

    def run(self) -> Chip:
        core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        core.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        image = IMAGE.read_bytes()
        core.mem_map(0x08000000, self.limits.flash_kib * 1024)
        core.mem_write(0x08000000, image.ljust(self.limits.flash_kib * 1024, b"\xff"))
        core.mem_map(0x20000000, self.limits.ram_kib * 1024)
        for base, size in ((0x40000000, 0x30000), (0x1FFF7000, 0x1000), (0xE0000000, 0x50000)):
            core.mmio_map(base, size, self._read, base, self._write, base)
        core.hook_add(unicorn.UC_HOOK_INTR, lambda *_: core.emu_stop())
        core.reg_write(arm_const.UC_ARM_REG_SP, int.from_bytes(image[:4], "little"))
        start = int.from_bytes(image[4:8], "little")
        core.hook_add(unicorn.UC_HOOK_BLOCK, self._stop_when_asleep)
        core.emu_start(start, 0xFFFFFFFE, count=INSTRUCTIONS)
        self.ram = bytes(core.mem_read(0x20000000, self.limits.ram_kib * 1024))
        return self

    def _stop_when_asleep(self, core: unicorn.Uc, *_: object) -> None:
        if self.asleep:
            core.emu_stop()

    def _read(self, _core: unicorn.Uc, offset: int, size: int, base: int) -> int:
        address = base + offset
        value = self.registers.get(address & ~3, 0)
        if address == IDCODE:
            value = 0x10000000 | self.limits.device_id
        elif address == FLASH_SIZE and size == 2:
            return self.limits.flash_kib
        elif address in (UID, UID + 4, UID + 8):
            value = 0x11111111 * (1 + (address - UID) // 4)
        elif address == RCC_CR:
            value |= 2 if value & 1 else 0
            value |= 1 << 25 if value >> 24 & 1 and self.pll_locks else 0
        elif address == RCC_CFGR:
            value = value & ~0xC | (value & 3) << 2
        elif address in (USART1, USART2):
            value = 0xC0
        elif address == DWT_CYCCNT:
            self.cycles += 7
            value = self.cycles
        return value

    def _write(self, _core: unicorn.Uc, offset: int, _size: int, value: int, base: int) -> None:
        address = base + offset
        self.registers[address] = value
        if address == FLASH_ACR:
            self.flash_access.append(value)
        if address in (USART1 + 4, USART2 + 4):
            self.sent[address - 4].append(value & 0xFF)
        if address == 0xE000E014:  # SysTick reload: only before it sleeps
            self.asleep = True

    @property
    def core_hz(self) -> float:
        """RM0090 figure 16 and 7.3.2: what the PLL makes of HSI, when it was chosen."""
        if self.registers.get(RCC_CFGR, 0) & 3 != 2:
            return HSI_HZ
        pll = self.registers[RCC_PLLCFGR]
        assert not pll >> 22 & 1, "the PLL must run from HSI: no crystal is assumed"
        return self.vco_hz / (2 * (1 + (pll >> 16 & 3)))

    @property
    def vco_in_hz(self) -> float:
        return HSI_HZ / (self.registers[RCC_PLLCFGR] & 0x3F)

    @property
    def vco_hz(self) -> float:
        return self.vco_in_hz * (self.registers[RCC_PLLCFGR] >> 6 & 0x1FF)

    def bus_hz(self, position: int) -> float:
        """APB1 at bit 10 of CFGR, APB2 at bit 13: 0xx undivided, 100 by 2, 101 by 4 ..."""
        code = self.registers.get(RCC_CFGR, 0) >> position & 7
        return self.core_hz / (1 if code < 4 else 2 ** (code - 3))

    def baud(self, usart: int) -> float:
        return self.bus_hz(13 if usart == USART1 else 10) / self.registers[usart + 8]


@pytest.fixture(scope="module", params=CHIPS)
def chip(request: pytest.FixtureRequest) -> Chip:
    return Chip(CHIPS[request.param]).run()


def test_it_comes_up_and_waits_for_a_request(chip: Chip) -> None:
    assert chip.asleep


def test_no_clock_is_above_what_the_chip_allows(chip: Chip) -> None:
    assert chip.core_hz <= chip.limits.core * 1e6
    assert chip.bus_hz(10) <= chip.limits.apb1 * 1e6
    assert chip.bus_hz(13) <= chip.limits.apb2 * 1e6


def test_a_known_chip_runs_near_its_full_speed(chip: Chip) -> None:
    assert chip.core_hz >= 0.95 * chip.limits.core * 1e6
    if chip.core_hz != HSI_HZ:
        assert 1e6 <= chip.vco_in_hz <= 2e6
        assert 192e6 <= chip.vco_hz <= 432e6


def test_the_flash_has_the_wait_states_that_the_clock_needs(chip: Chip) -> None:
    """One per started 30 MHz at 2.7 to 3.6 V: RM0090 table 10, RM0368 and RM0383 3.4.1, RM0390 3.4.1."""
    needed = math.ceil(chip.core_hz / 30e6) - 1
    assert chip.registers.get(FLASH_ACR, 0) & 0xF == needed


def test_revision_a_does_not_prefetch(chip: Chip) -> None:
    prefetch = bool(chip.registers.get(FLASH_ACR, 0) >> 8 & 1)
    assert prefetch == (chip.limits.device_id not in (0x411, 0x458))


def test_caches_are_reset_while_they_are_off_before_they_are_used(chip: Chip) -> None:
    used = [bool(value & CACHES_ON) for value in chip.flash_access]
    reset = [value & CACHES_RESET == CACHES_RESET for value in chip.flash_access]
    if any(used):
        assert any(reset[: used.index(True)])
        assert not any(each and on for each, on in zip(reset, used, strict=True))


def test_a_probe_can_attach_while_the_core_sleeps(chip: Chip) -> None:
    assert chip.registers[DBGMCU_CR] & 1  # DBG_SLEEP


def test_the_pool_for_models_ends_where_ram_ends(chip: Chip) -> None:
    """qc_port_info_t holds its address and, next to it, its size."""
    end = 0x20000000 + chip.limits.ram_kib * 1024
    words = struct.unpack(f"<{len(chip.ram) // 4}I", chip.ram)
    assert any(0x20000000 < at < end and at + size == end for at, size in itertools.pairwise(words))


@pytest.mark.parametrize("usart", [USART1, USART2], ids=["USART1", "USART2"])
def test_both_consoles_listen_at_115200_baud_within_2_percent(chip: Chip, usart: int) -> None:
    assert chip.baud(usart) == pytest.approx(115200, rel=0.02)
    assert chip.registers[usart + 12] & 0x202C == 0x202C  # UE, RXNEIE, TE, RE
    assert chip.registers[0xE000E104] & 0x60 == 0x60  # interrupts 37 and 38


def test_the_other_consoles_tx_pin_stays_an_input(chip: Chip) -> None:
    modes = chip.registers[GPIOA_MODER]
    assert [modes >> 2 * pin & 3 for pin in (3, 10)] == [2, 2]  # RX pins: alternate function
    assert modes >> 18 & 3 == 0
    assert not chip.sent[USART1]


def test_a_pll_that_never_locks_leaves_16_mhz_and_a_console() -> None:
    chip = Chip(CHIPS["F405"], pll_locks=False).run()
    assert chip.asleep
    assert chip.core_hz == HSI_HZ
    assert chip.baud(USART2) == pytest.approx(115200, rel=0.02)
