"""Compiles the fuzz targets with sanitizers: for libFuzzer where clang is, else for replay with gcc."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parents[3]
FIRMWARE = ROOT / "firmware"
BUILD = ROOT / "build" / "fuzz"
TARGETS = ("image", "link")

# Fuzzing wants thousands of executions a second, so the engine is given a smaller limit of work.
WORK_LIMIT = 1 << 19
SANITIZE = "-fsanitize=address,undefined"
FLAGS = [
    *("-std=c11", "-O2", "-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"),
    *("-Wall", "-Wextra", "-Werror", "-Wno-unknown-attributes", "-Wno-ignored-attributes"),
    *("-D_POSIX_C_SOURCE=200809L", f"-DQC_WORK_LIMIT={WORK_LIMIT}", '-DQC_BUILD_ID="fuzz"'),
    *(f"-I{FIRMWARE / folder}" for folder in ("include", "harness", "engine")),
]
PACKED = "packed_"  # prefix of the second engine's symbols, instead of qc_


def has_libfuzzer() -> bool:
    """Whether clang and its fuzzing runtime (Debian: clang, libclang-rt-dev) are installed."""
    clang = shutil.which("clang")
    if clang is None:
        return False
    return any(Path(_run([clang, "-print-resource-dir"]).strip()).rglob("libclang_rt.fuzzer*.a"))


def build(target: str, *, libfuzzer: bool) -> Path:
    """The program of a target, compiled when a source has changed since."""
    here = Path(__file__).parent
    compiler = ["clang" if libfuzzer else "cc", *FLAGS]
    instrument = (
        [f"{SANITIZE},fuzzer-no-link", "-fno-sanitize-coverage=trace-cmp"] if libfuzzer else [SANITIZE]
    )
    engine = sorted((FIRMWARE / "engine").rglob("*.c"))
    harness = [path for path in sorted((FIRMWARE / "harness").glob("*.c")) if path.name != "qc_mem.c"]
    crc = FIRMWARE / "harness" / "qc_crc32.c"
    sources = [here / f"fuzz_{target}.c", here / "mutate_image.c"]
    sources += [crc] if target == "image" else harness
    sources += [] if libfuzzer else [here / "replay.c"]
    name = f"{'libfuzzer' if libfuzzer else 'replay'}-{_digest(compiler)}"
    program = BUILD / f"{target}-{name}"
    BUILD.mkdir(parents=True, exist_ok=True)
    with FileLock(BUILD / f"{name}.lock"):  # one for all targets: they share the engine's objects
        if not program.exists():
            work = program.with_suffix(".objects")
            shared = BUILD / f"engine-{name}"
            if not shared.exists():
                _compile([*compiler, *instrument], engine, work / "portable")
                (work / "portable").replace(shared)
            objects = [shared / path.with_suffix(".o").name for path in engine]
            objects += _compile([*compiler, *instrument], sources, work / "own")
            if target == "image":
                packed = _compile([*compiler, *instrument, "-DQC_SIMULATE_DSP"], engine, work / "packed")
                objects += _renamed(packed, work)
            link = f"{SANITIZE},fuzzer" if libfuzzer else SANITIZE
            partial = program.with_suffix(".partial")
            _run([compiler[0], link, *map(str, objects), "-o", str(partial)])
            shutil.rmtree(work)
            partial.replace(program)
    return program


def _digest(compiler: list[str]) -> str:
    content = hashlib.sha256((repr(compiler) + _run([compiler[0], "--version"])).encode())
    folders = [FIRMWARE / name for name in ("engine", "harness", "include")] + [Path(__file__).parent]
    for path in sorted(path for folder in folders for path in folder.rglob("*.[ch]")):
        content.update(path.read_bytes())
    return content.hexdigest()[:16]


def _compile(command: list[str], sources: list[Path], folder: Path) -> list[Path]:
    """Objects of these sources in a folder, compiled side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source: _run([*command, "-c", str(source)], folder), sources))
    return [folder / path.with_suffix(".o").name for path in sources]


def _renamed(objects: list[Path], work: Path) -> list[Path]:
    """Objects of the engine with names of their own, so that two engines fit one program."""
    listing = _run(["nm", "-g", "--defined-only", "--format=posix", *map(str, objects)])
    names = sorted({line.split()[0] for line in listing.splitlines() if line.startswith("qc_")})
    table = work / "names.txt"
    table.write_text("".join(f"{name} {PACKED}{name[3:]}\n" for name in names), encoding="utf-8")
    for path in objects:
        _run(["objcopy", f"--redefine-syms={table}", str(path)])
    return objects


def _run(command: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    return done.stdout
