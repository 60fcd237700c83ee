"""Files without an end and files that unpack without an end: a clear error within 10 s and 1 GiB.

Each runs in a process of its own, whose memory is limited, through the command that a user types. The seconds
are the processor's, so that other work on the machine does not count.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL

pytestmark = pytest.mark.host
MODEL = str(DATA / FLOAT_MODEL)
QUANTIZED = str(DATA / "digits-tflite-i8-i8-perchannel-cal10pct.tflite")
PROGRAM = "import sys; from pytest_quantcheck.cli import main; sys.exit(main())"
HUGE = 13 << 30


def cpu_seconds() -> float:
    """Of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sparse(path: Path, start: bytes = b"", size: int = HUGE) -> Path:
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def device(path: Path) -> Path:
    path.symlink_to("/dev/zero")
    return path


def npy_header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def packed(path: Path, member: str, start: bytes, size: int) -> Path:
    """An archive with one member that unpacks to ``size`` bytes, nearly all of them zero."""
    piece = bytes(1 << 24)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(member, "w", force_zip64=True) as file,
    ):
        file.write(start)
        for _ in range((size - len(start)) // len(piece)):
            file.write(piece)
        file.write(bytes((size - len(start)) % len(piece)))
    return path


def data_bomb(path: Path) -> Path:
    samples, each = 3 << 20, 8 * 8 * 4  # 768 MiB, which pack to a thousandth
    header = npy_header((samples, 8, 8, 1))
    return packed(path, "x.npy", header, len(header) + samples * each)


def sparse_data(path: Path) -> Path:
    samples = HUGE // 256
    header = npy_header((samples, 8, 8, 1))
    return sparse(path, header, len(header) + samples * 256)


def many_members(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(60_000):
            archive.writestr(f"{'n' * 100}{number}", b"")
    return path


def dotted(path: Path) -> Path:
    path.write_text("a." * 120_000 + "a = 1")
    return path


QUANTIZE = ["quantize", "{}", "-o", "out.tflite", "--calibration", "random", "--input-range", "0", "1"]
ARCHIVE = ["quantize", "{}", "-o", "out.tflite"]  # with settings of its own
DATA_OF = ["quantize", MODEL, "-o", "out.tflite", "--data", "{}"]
CHECK = ["check", "{}", "--target", "esp32c3"]
RUN = ["compare", QUANTIZED, "--a", "integer", "--b", "tflm", "--inputs", "{}"]
BOARDS = ["boards", "--rig", "{}"]


@pytest.mark.parametrize(
    ("make", "name", "command"),
    [
        *((make, name, QUANTIZE) for make in (sparse, pipe, device)
          for name in ("a.tflite", "a.onnx", "a.keras", "a.h5")),
        *((make, "a.mltk.zip", ARCHIVE) for make in (sparse, pipe, device)),
        *((make, name, CHECK) for make in (sparse, pipe, device) for name in ("a.tflite", "a.onnx")),
        *((make, name, DATA_OF) for make in (sparse, pipe, device) for name in ("a.npy", "a.npz")),
        *((make, "a.npy", RUN) for make in (sparse, pipe, device)),
        *((make, "boards.toml", BOARDS) for make in (sparse, pipe, device, dotted)),
        (data_bomb, "a.npz", DATA_OF),
        (sparse_data, "a.npy", DATA_OF),
        (many_members, "a.npz", DATA_OF),
        (many_members, "a.mltk.zip", ARCHIVE),
        (lambda path: packed(path, "a.h5", b"", 300 << 20), "a.mltk.zip", ARCHIVE),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", None) or value[0],
)  # fmt: skip
def test_it_is_an_error_within_ten_seconds_and_a_gibibyte(tmp_path, make, name, command):
    path = make(tmp_path / name)
    suffix = ".onnx" if name.endswith(".onnx") else ".tflite"  # of the artefact that would be made
    words = [word.format(path).replace("out.tflite", f"out{suffix}") for word in command]

    def limits():
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))

    before = cpu_seconds()
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=tmp_path,
        env={**os.environ, "QC_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=300,  # a wait without an end takes no processor
        preexec_fn=limits,
    )
    assert run.returncode == 2, run.stderr
    assert "bug" not in run.stderr
    assert "out of memory" not in run.stderr
    told = run.stderr.partition(f"quantcheck {command[0]}: ")[2]
    assert name in told  # by the error, not only by the line that says what is begun
    if make is many_members:
        assert "its list of members is longer than 4 MiB" in told  # and no more of it was read
    assert cpu_seconds() - before < 10
