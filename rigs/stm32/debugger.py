"""Everything that needs pyOCD: finding probes, writing flash, resetting. The one module that imports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import MissingExtraError, QuantcheckError, RigFault
from rigs.stm32.targets import register_targets

try:
    from pyocd.core import exceptions
    from pyocd.core.helpers import ConnectHelper
    from pyocd.core.session import Session
    from pyocd.flash.flash import Flash
except ImportError as error:
    raise MissingExtraError("pyocd", "stm32", "flashing an STM32") from error

_WORD = 4  # the flash algorithm programs words


@dataclass(frozen=True)
class Probe:
    """A debug probe that is plugged in."""

    unique_id: str
    description: str


@dataclass(frozen=True)
class Access:
    """How to reach a chip: pyOCD's target name, the probe's unique id, options for pyOCD's session."""

    board: str
    target: str
    probe: str
    options: Mapping[str, str]


def connected_probes() -> list[Probe]:
    """All probes pyOCD sees; no target is touched."""
    found = ConnectHelper.get_all_connected_probes(blocking=False)
    return [Probe(each.unique_id, each.description) for each in found]


def write_flash(access: Access, segments: Sequence[tuple[int, bytes]]) -> int:
    """Write ``(address, bytes)``, verify by reading back, reset, let the chip run.

    What is there already is not written again; blank flash is programmed without an erase; a sector
    that holds something else is erased as a whole. Returns the number of erased sectors.
    Raises ``RigFault("flash")``.
    """
    with _session(access) as session:
        with _explained(access, "flash"):
            erased = sum(
                _write_sector(session, sector, parts) for sector, parts in _by_sector(session, segments)
            )
            _verify(access, session, segments)
        with _explained(access, "boot"):
            session.target.reset()
    return erased


def erase_flash(access: Access, address: int, size: int) -> int:
    """Erase every sector that has a byte in ``[address, address + size)``; returns how many."""
    with _session(access) as session, _explained(access, "flash"):
        sectors = [sector for sector, _ in _by_sector(session, [(address, bytes(size))])]
        for sector in sectors:
            _erase(sector)
        session.target.reset()
    return len(sectors)


def read_flash(access: Access, address: int, size: int) -> bytes:
    """``size`` bytes of memory at ``address``; the chip goes on running."""
    with _session(access, connect_mode="attach") as session, _explained(access, "flash"):
        return _read(session, address, size)


def reset_target(access: Access) -> None:
    """A system reset over SWD, which needs no reset line."""
    with _session(access, connect_mode="attach") as session, _explained(access, "boot"):
        session.target.reset()


@dataclass(frozen=True)
class _Sector:
    address: int
    size: int
    flash: Flash


@contextmanager
def _session(access: Access, **options: Any) -> Iterator[Session]:
    """An open pyOCD session; closing it lets the core run."""
    register_targets()
    with _explained(access, "flash"):
        session = Session(
            _find_probe(access),
            options={
                "target_override": access.target,
                "hide_programming_progress": True,
                "no_config": True,
                "project_dir": str(Path.cwd()),  # pyOCD changes into it
                **options,
                **access.options,
            },
        )
        try:
            session.open()
        except BaseException:
            session.close()
            raise
    try:
        yield session
    finally:
        with _explained(access, "flash"):
            session.close()


def _find_probe(access: Access) -> Any:
    found = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=access.probe or None)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.unique_id for each in found)
        raise RigFault(
            "flash",
            f"probe={access.probe!r} fits several debug probes ({names}); give the whole unique id",
            board=access.board,
        )
    present = ", ".join(f"{each.unique_id} ({each.description})" for each in connected_probes()) or "none"
    raise RigFault(
        "flash",
        f"there is no debug probe {access.probe!r}; connected: {present}. Check the USB cable and, on Linux, "
        "pyOCD's udev rules; `pyocd list` must show it",
        board=access.board,
    )


@contextmanager
def _explained(access: Access, kind: str) -> Iterator[None]:
    """Whatever pyOCD or a probe's driver raises becomes a fault of the rig."""
    try:
        yield
    except QuantcheckError:
        raise
    except exceptions.Error as error:
        raise RigFault(
            kind, f"{_advice(error)} ({type(error).__name__}: {error})", board=access.board
        ) from error
    except Exception as error:  # USB back ends raise their own classes
        raise RigFault(
            kind,
            f"the debug probe {access.probe!r} failed: {type(error).__name__}: {error}. Unplug and replug it",
            board=access.board,
        ) from error


def _advice(error: Exception) -> str:
    if isinstance(error, exceptions.FlashFailure):
        return "the flash could not be erased or programmed; it may be write-protected or worn out"
    if isinstance(error, exceptions.TargetSupportError):
        return "pyOCD does not know this target; `pyocd list --targets` shows what it knows"
    if isinstance(error, exceptions.ProbeError):
        return "the debug probe reported a failure; unplug and replug it"
    return (
        "the chip does not answer on SWD; check its supply, SWDIO, SWCLK and GND, "
        "or set connect_mode = 'under-reset' in the board's settings"
    )


def _by_sector(
    session: Session, segments: Sequence[tuple[int, bytes]]
) -> list[tuple[_Sector, list[tuple[int, bytes]]]]:
    """The segments, cut at sector boundaries."""
    found: dict[int, tuple[_Sector, list[tuple[int, bytes]]]] = {}
    for start, data in segments:
        done = 0
        while done < len(data):
            sector = _sector_at(session, start + done)
            room = sector.address + sector.size - (start + done)
            part = (start + done, data[done : done + room])
            found.setdefault(sector.address, (sector, []))[1].append(part)
            done += len(part[1])
    return [found[address] for address in sorted(found)]


def _sector_at(session: Session, address: int) -> _Sector:
    region = session.target.memory_map.get_region_for_address(address)
    if region is None or not region.is_flash:
        raise RigFault("flash", f"{address:#010x} is not in the flash of {session.target.part_number}")
    info = region.flash.get_sector_info(address)
    return _Sector(info.base_addr, info.size, region.flash)


def _write_sector(session: Session, sector: _Sector, parts: list[tuple[int, bytes]]) -> int:
    """Bring ``parts`` into one sector; returns 1 when it had to be erased."""
    present = [_read(session, address, len(data)) for address, data in parts]
    wrong = [part for part, old in zip(parts, present, strict=True) if old != part[1]]
    blank = all(
        old.count(0xFF) == len(old) for part, old in zip(parts, present, strict=True) if part in wrong
    )
    if not wrong:
        return 0
    if not blank:
        _erase(sector)
        wrong = parts
    sector.flash.init(Flash.Operation.PROGRAM)
    for address, data in wrong:
        _program(sector, address, data)
    sector.flash.cleanup()
    return 0 if blank else 1


def _erase(sector: _Sector) -> None:
    sector.flash.init(Flash.Operation.ERASE)
    sector.flash.erase_sector(sector.address)
    sector.flash.cleanup()


def _program(sector: _Sector, address: int, data: bytes) -> None:
    """Program page by page; whole words, filled up with ones, which change nothing."""
    page_size = sector.flash.get_page_info(address).size
    front = address % _WORD
    padded = b"\xff" * front + data
    padded += b"\xff" * (-len(padded) % _WORD)
    position, address = 0, address - front
    while position < len(padded):
        count = min(page_size - (address + position) % page_size, len(padded) - position)
        page = padded[position : position + count]
        if page.count(0xFF) != len(page):
            sector.flash.program_page(address + position, list(page))
        position += count


def _read(session: Session, address: int, size: int) -> bytes:
    return bytes(session.target.read_memory_block8(address, size))


def _verify(access: Access, session: Session, segments: Sequence[tuple[int, bytes]]) -> None:
    for address, data in segments:
        held = _read(session, address, len(data))
        if held != data:
            wrong = [i for i, (a, b) in enumerate(zip(held, data, strict=True)) if a != b]
            first = wrong[0]
            raise RigFault(
                "flash",
                f"verify failed: {len(wrong)} of {len(data)} bytes differ, the first at "
                f"{address + first:#010x} ({held[first]:#04x} instead of {data[first]:#04x}). "
                "The flash keeps a wrong bit; if the same address fails again, the chip is worn out",
                board=access.board,
            )
