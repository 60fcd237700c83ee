"""The engine is plain C11: compilers of different houses take it without a warning, for any target."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

FIRMWARE = Path(__file__).parents[3] / "firmware"
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Werror",
]
# gcc follows values only where it optimizes, clang warns before it does; -O2 is what images are compiled with
OPTIMIZE = {"gcc": "-Og", "clang": "-O0"}
TARGETS = {
    "gcc": ["gcc"],
    "gcc-packed": ["gcc", "-DQC_SIMULATE_DSP"],
    "clang": ["clang"],
    "clang-packed": ["clang", "-DQC_SIMULATE_DSP"],
    "clang-cortex-m4": ["clang", "--target=arm-none-eabi", "-mcpu=cortex-m4", "-mfloat-abi=hard"],
    "clang-cortex-m0": ["clang", "--target=arm-none-eabi", "-mcpu=cortex-m0"],
    "clang-rv32imc": ["clang", "--target=riscv32-unknown-elf", "-march=rv32imc", "-mabi=ilp32"],
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_engine_compiles_without_a_warning(target: str, tmp_path: Path) -> None:
    compiler, *flags = TARGETS[target]
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    sources = [str(path) for path in sorted((FIRMWARE / "engine").rglob("*.c"))]
    command = [compiler, *flags, "-std=c11", OPTIMIZE[compiler], "-ffreestanding", *WARNINGS]
    command += [f"-I{FIRMWARE / 'engine'}", f"-I{FIRMWARE / 'include'}", "-c", *sources]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.o"))) == len(sources)
