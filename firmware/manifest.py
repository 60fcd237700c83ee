"""The manifest beside each shipped firmware image: what it is, and which sources it was made from.

usage: manifest.py source-hash PATH... [--flags TEXT]     SHA-256 over names and contents of the sources
       manifest.py build-id TEXT...                       the name of a build: a hash over all that decides it
       manifest.py write IMAGE --port P --address A ...   IMAGE.json beside the image
       manifest.py check IMAGE --source-hash H            1 when image, manifest and sources do not agree

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

SOURCE_SUFFIXES = frozenset({".c", ".h", ".S", ".ld", ".mk"})


def manifest_path(image: Path) -> Path:
    """Where the manifest of ``image`` lives: ``<image>.json``."""
    return image.with_name(image.name + ".json")


def source_files(paths: Iterable[Path]) -> list[Path]:
    """The files among and below ``paths`` that decide what an image holds, sorted by name."""
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found.update(
                each for each in path.rglob("*") if each.suffix in SOURCE_SUFFIXES and each.is_file()
            )
        elif path.is_file():
            found.add(path)
        else:
            raise FileNotFoundError(f"no such source: {path}")
    return sorted(found, key=lambda each: each.as_posix())


def source_hash(paths: Iterable[Path], flags: str = "") -> str:
    """SHA-256 over compiler flags and the sources' names and contents; spaces and line ends do not count."""
    digest = hashlib.sha256(" ".join(flags.split()).encode())
    for path in source_files(paths):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def build_id(parts: Iterable[str]) -> str:
    """Sixteen hexadecimal digits that name a build; spaces do not count."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(" ".join(part.split()).encode() + b"\0")
    return digest.hexdigest()[:16]


def describe(
    image: bytes, *, port: str, address: int, build_id: str, sources: str, compiler: str, flags: str
) -> dict[str, str | int]:
    """The manifest's fields for the bytes of an image."""
    return {
        "port": port,
        "address": address,
        "size": len(image),
        "sha256": hashlib.sha256(image).hexdigest(),
        "crc32": zlib.crc32(image),
        "build_id": build_id,
        "source_hash": sources,
        "compiler": compiler,
        "flags": flags,
    }


def problems(image: Path, sources: str) -> list[str]:
    """Why image, manifest and sources do not belong together; empty when they do."""
    path = manifest_path(image)
    missing = [each for each in (image, path) if not each.is_file()]
    if missing:
        return [f"{each} is missing" for each in missing]
    manifest = json.loads(path.read_text(encoding="utf-8"))
    data = image.read_bytes()
    found = []
    if manifest.get("source_hash") != sources:
        found.append("the sources have changed since the image was built")
    for name, value in (
        ("sha256", hashlib.sha256(data).hexdigest()),
        ("crc32", zlib.crc32(data)),
        ("size", len(data)),
    ):
        if manifest.get(name) != value:
            found.append(f"its {name} is {value}, the manifest says {manifest.get(name)}")
    return found


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="manifest.py", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    commands = parser.add_subparsers(dest="command", required=True)
    hashing = commands.add_parser("source-hash")
    hashing.add_argument("paths", nargs="+", type=Path)
    hashing.add_argument("--flags", default="")
    commands.add_parser("build-id").add_argument("parts", nargs="+")
    write = commands.add_parser("write")
    write.add_argument("image", type=Path)
    write.add_argument("--address", required=True, type=lambda text: int(text, 0))
    for name in ("--port", "--build-id", "--source-hash", "--compiler", "--flags"):
        write.add_argument(name, required=True)
    check = commands.add_parser("check")
    check.add_argument("image", type=Path)
    check.add_argument("--source-hash", required=True)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _arguments(arguments)
    if options.command == "source-hash":
        print(source_hash(options.paths, options.flags))
        return 0
    if options.command == "build-id":
        print(build_id(options.parts))
        return 0
    if options.command == "write":
        manifest = describe(
            options.image.read_bytes(),
            port=options.port,
            address=options.address,
            build_id=options.build_id,
            sources=options.source_hash,
            compiler=options.compiler,
            flags=" ".join(options.flags.split()),
        )
        text = json.dumps(manifest, indent=2) + "\n"
        manifest_path(options.image).write_text(text, encoding="utf-8")
        return 0
    found = problems(options.image, options.source_hash)
    for problem in found:
        print(f"{options.image}: {problem}; rebuild with: make firmware", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
