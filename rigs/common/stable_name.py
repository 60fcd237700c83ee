"""Names of serial devices that survive replugging."""

from __future__ import annotations

from pathlib import Path


def stable_name(device: str) -> str:
    """The /dev/serial/by-id name of a device; elsewhere the device itself."""
    folder = Path("/dev/serial/by-id")
    if folder.is_dir():
        for link in sorted(folder.iterdir()):
            if link.resolve() == Path(device).resolve():
                return str(link)
    return device
