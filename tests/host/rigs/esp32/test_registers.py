"""Every register and bit that the ESP32-C3 port uses is in its table, with its source."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import pytest

from rigs.esp32.virtual import registers

pytestmark = pytest.mark.host

PORT = Path(__file__).parents[4] / "firmware" / "ports" / "esp32c3"
ADDRESS = re.compile(r"#define (\w+_REG|CSR_\w+) (0x[0-9A-F]+)u?\b")
FIELD = re.compile(r"#define (\w+) \(?(0x[0-9A-Fa-f]+|\d+)u?(?: << (\d+)\))?(?:\s|$)")
# esptool's own facts of the chip (targets/esp32c3.py), read independently of ours.
ESPTOOL = {
    "UART_CLKDIV_REG": "UART_CLKDIV_REG",
    "EFUSE_RD_MAC_SPI_SYS_0_REG": "MAC_EFUSE_REG",
    "RTC_CNTL_WDTCONFIG0_REG": "RTC_CNTL_WDTCONFIG0_REG",
    "RTC_CNTL_WDTCONFIG1_REG": "RTC_CNTL_WDTCONFIG1_REG",
    "RTC_CNTL_WDTWPROTECT_REG": "RTC_CNTL_WDTWPROTECT_REG",
    "RTC_CNTL_SWD_CONF_REG": "RTC_CNTL_SWD_CONF_REG",
    "RTC_CNTL_SWD_WPROTECT_REG": "RTC_CNTL_SWD_WPROTECT_REG",
}
ESPTOOL_VALUES = {
    "RTC_CNTL_WDT_WKEY": "RTC_CNTL_WDT_WKEY",
    "RTC_CNTL_SWD_WKEY": "RTC_CNTL_SWD_WKEY",
    "RTC_CNTL_SWD_AUTO_FEED_EN": "RTC_CNTL_SWD_AUTO_FEED_EN",
}


@cache
def table() -> dict[str, dict[str, str]]:
    with (PORT / "registers.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


@cache
def header() -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    """Addresses by name, and (value, shift) of every bit, mask and position by name."""
    addresses, fields = {}, {}
    for line in (PORT / "chip.h").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#define") or "QC_" in line:
            continue
        if match := ADDRESS.match(line):
            addresses[match[1]] = int(match[2], 0)
        else:
            match = FIELD.match(line)
            assert match, f"chip.h: a line this test cannot read: {line}"
            fields[match[1]] = (int(match[2], 0), int(match[3] or 0))
    return addresses, fields


def test_the_table_names_exactly_what_the_header_defines() -> None:
    addresses, fields = header()
    assert set(table()) == {*addresses, *fields}


@pytest.mark.parametrize("name", sorted(header()[0]))
def test_the_table_gives_the_address_the_header_uses(name: str) -> None:
    row = table()[name]
    assert int(row["address"], 16) == header()[0][name]
    assert row["meaning"]
    assert row["source"]


@pytest.mark.parametrize("name", sorted(header()[1]))
def test_a_bit_of_the_header_lies_inside_the_field_of_the_table(name: str) -> None:
    row = table()[name]
    high, _, low = row["bits"].partition(":")
    last, first = int(high), int(low or high)
    value, shift = header()[1][name]
    assert row["meaning"]
    assert row["source"]
    if name.endswith("_S"):
        assert value == first
    elif name.endswith("_M"):
        assert value << shift == ((1 << (last - first + 1)) - 1) << first
    else:
        assert shift == first
        assert value.bit_length() <= last - first + 1


@pytest.mark.parametrize("name", sorted(ESPTOOL))
def test_an_address_is_the_one_esptool_uses(name: str) -> None:
    chip = pytest.importorskip("esptool").targets.ESP32C3ROM
    assert int(table()[name]["address"], 16) == getattr(chip, ESPTOOL[name])


@pytest.mark.parametrize("name", sorted(ESPTOOL_VALUES))
def test_a_key_or_bit_is_the_one_esptool_uses(name: str) -> None:
    chip = pytest.importorskip("esptool").targets.ESP32C3ROM
    value, shift = header()[1][name]
    assert value << shift == getattr(chip, ESPTOOL_VALUES[name])


def test_the_virtual_chip_knows_every_register_of_the_port() -> None:
    modelled = {value for value in vars(registers).values() if isinstance(value, int)} | registers.PLAIN
    modelled |= {registers.INTERRUPT_MATRIX + 4 * n for n in (registers.UART_SOURCE, registers.USB_SOURCE)}
    used = {value for name, value in header()[0].items() if not name.startswith("CSR_")}
    assert {f"0x{address:08X}" for address in used - modelled} == set()


def test_no_source_file_of_the_port_holds_a_peripheral_address_of_its_own() -> None:
    for path in (*PORT.glob("*.c"), *PORT.glob("*.S")):
        assert not re.findall(r"\b0x60[0-9A-Fa-f]{6}", path.read_text(encoding="utf-8")), path.name
