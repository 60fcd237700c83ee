"""Every register the STM32F4 port touches is in its table, and the table agrees with what ST publishes."""

from __future__ import annotations

import csv
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from functools import cache
from pathlib import Path

import pytest

pyocd_svd = pytest.importorskip("pyocd.debug.svd", reason="ST's device descriptions come with pyOCD")

pytestmark = pytest.mark.host

PORT = Path(__file__).parents[4] / "firmware" / "ports" / "stm32f4"
CORE = ("DWT_", "SYST_", "NVIC_", "SCB_", "DCB_")  # Arm's, not in ST's files
SIGNATURE = ("UID_", "FLASH_SIZE_KB")  # electronic signature: not in ST's files either
DEVICES = ("STM32F41x.svd", "STM32F429x.svd")
# The table's names follow the reference manual; where ST's files say it differently:
PERIPHERALS = {"DBGMCU": "DBG"}
REGISTERS = {
    "AFRL": ("AFRL", "GPIOx_AFRL"),
    "IDCODE": ("DBGMCU_IDCODE",),
    "CNT": ("CNT",),
    "CR": ("DBGMCU_CR",),
}
FIELDS = {
    "PWR_CR_VOS": None,  # ST's F41x file knows one bit, the F429's two: RM0090 5.4.1 and 5.5.1
    "RCC_PLLCFGR_PLLM": ("PLLM0", 6),
    "RCC_PLLCFGR_PLLN": ("PLLN0", 9),
    "RCC_PLLCFGR_PLLP": ("PLLP0", 2),
    "RCC_PLLCFGR_PLLQ": ("PLLQ0", 4),
    "RCC_CFGR_SW": ("SW0", 2),
    "RCC_CFGR_SWS": ("SWS0", 2),
    "FLASH_ACR_LATENCY": ("LATENCY", 4),
}


@cache
def table() -> dict[str, dict[str, str]]:
    with (PORT / "registers.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


@cache
def header() -> dict[str, tuple[str, int]]:
    """Name -> ("address" | "bit" | "position" | "mask", value) of every define in registers.h."""
    found: dict[str, tuple[str, int]] = {}
    patterns = (
        ("address", r"#define (\w+) QC_REG(?:16)?\((0x[0-9A-F]+)u\)"),
        ("bit", r"#define (\w+) \(1u << (\d+)\)"),
        ("position", r"#define (\w+)_POS (\d+)u"),
        ("mask", r"#define (\w+) (0x[0-9A-F]+)u$"),
    )
    for line in (PORT / "registers.h").read_text(encoding="utf-8").splitlines():
        if line.startswith("#define") and not line.startswith(("#define QC_",)):
            hits = [(kind, m) for kind, pattern in patterns if (m := re.match(pattern, line))]
            assert hits, f"registers.h: a line this test cannot read: {line}"
            kind, match = hits[0]
            found[match[1]] = (kind, int(match[2], 0))
    return found


def bits(row: dict[str, str]) -> tuple[int, int]:
    """Lowest bit and width of a field in the table."""
    high, _, low = row["bits"].partition(":")
    return int(low or high), int(high) - int(low or high) + 1


@cache
def device(name: str) -> dict[str, tuple[int, dict[str, tuple[int, dict[str, tuple[int, int]]]]]]:
    """ST's description: peripheral -> (base, register -> (offset, field -> (bit, width)))."""
    archive = Path(pyocd_svd.__file__).with_name("svd_data.zip")
    root = ElementTree.fromstring(zipfile.ZipFile(archive).read(name))
    peripherals = {str(p.findtext("name")): p for p in root.iter("peripheral")}
    result = {}
    for peripheral_name, peripheral in peripherals.items():
        described = peripherals.get(peripheral.get("derivedFrom", ""), peripheral)
        registers = {}
        for register in described.iter("register"):
            fields = {
                str(f.findtext("name")): (int(f.findtext("bitOffset", "0")), int(f.findtext("bitWidth", "1")))
                for f in register.iter("field")
            }
            registers[str(register.findtext("name"))] = (
                int(register.findtext("addressOffset", "0"), 0),
                fields,
            )
        result[peripheral_name] = (int(peripheral.findtext("baseAddress", "0"), 0), registers)
    return result


def published(name: str, svd: str) -> tuple[int, dict[str, tuple[int, int]]] | None:
    """Address and fields that ST gives for PERIPHERAL_REGISTER, if its file knows it."""
    peripheral, _, register = name.partition("_")
    peripheral = PERIPHERALS.get(peripheral, peripheral)
    if peripheral not in device(svd):
        return None
    base, registers = device(svd)[peripheral]
    for spelling in (register, *REGISTERS.get(register, ())):
        if spelling in registers:
            offset, fields = registers[spelling]
            return base + offset, fields
    return None


def register_of(field: str) -> str:
    """The register a field belongs to: the longest name of a register that it begins with."""
    if field.startswith("USART_"):  # the fields of USART1 and USART2
        field = field.replace("USART_", "USART1_", 1)
        return "USART1_CR1" if field.startswith("USART1_CR1") else "USART1_SR"
    registers = [name for name, row in table().items() if row["address"] and field.startswith(name + "_")]
    return max(registers, key=len)


def from_st() -> list[str]:
    return [name for name in table() if not name.startswith((*CORE, *SIGNATURE))]


def test_the_table_names_exactly_what_the_header_defines() -> None:
    assert set(table()) == set(header())


@pytest.mark.parametrize("name", sorted(header()))
def test_the_table_gives_the_value_the_header_uses(name: str) -> None:
    kind, value = header()[name]
    row = table()[name]
    assert row["meaning"]
    assert row["source"]
    if kind == "address":
        assert int(row["address"], 16) == value
    elif kind == "mask":
        low, width = bits(row)
        assert value == ((1 << width) - 1) << low
    else:
        assert bits(row)[0] == value
        assert kind == "position" or bits(row)[1] == 1


@pytest.mark.parametrize("svd", DEVICES)
@pytest.mark.parametrize("name", [n for n in from_st() if table()[n]["address"]])
def test_an_address_is_the_one_st_publishes(name: str, svd: str) -> None:
    found = published(name, svd)
    assert found is not None, f"{svd} has no {name}"
    assert int(table()[name]["address"], 16) == found[0]


@pytest.mark.parametrize("svd", DEVICES)
@pytest.mark.parametrize(
    "name", [n for n in from_st() if table()[n]["bits"] and FIELDS.get(n, "") is not None]
)
def test_a_bit_is_where_st_publishes_it(name: str, svd: str) -> None:
    register = register_of(name)
    found = published(register, svd)
    assert found is not None, f"{svd} has no {register}"
    fields = found[1]
    own = name.replace("USART_", "USART1_", 1)[len(register) + 1 :]
    spelling, width = FIELDS.get(name) or (own, bits(table()[name])[1])
    assert spelling in fields, f"{svd}: {register} has no field {spelling}, only {sorted(fields)}"
    assert fields[spelling][0] == bits(table()[name])[0]
    assert width == bits(table()[name])[1]


def test_no_source_file_of_the_port_holds_an_address_of_its_own() -> None:
    peripheral = re.compile(r"\b0x(?:[45E][0-9A-F]{7}|1FFF[0-9A-F]{4})u?\b", re.IGNORECASE)
    for path in sorted(PORT.glob("*.[chS]")):
        if path.name != "registers.h":
            found = peripheral.findall(path.read_text(encoding="utf-8"))
            assert not found, f"{path.name}: {found}"
