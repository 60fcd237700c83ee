"""Each extra alone in an empty virtual environment, from the wheel, and the first thing that its reader does.

``make extras``, or ``python -m tests.nightly.extras [EXTRA ...]``; needs a package index. An extra must do
what it is for, and what it does not bring must be said by the name of the extra that does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MINUTES = 30


@dataclass(frozen=True)
class Step:
    """A command, its exit code, and a pattern that its output has."""

    command: str
    code: int
    output: str


QUANTIZE = "quantcheck quantize {model} -o out.tflite --data {data} --calibration count:20"
RUN_TFLM = "quantcheck compare {integers} --a integer --b tflm --inputs x.npy"
RUN_LITERT = "quantcheck compare {integers} --a integer --b litert --inputs x.npy"
NO_TENSORFLOW = Step(QUANTIZE, 2, r'pip install "pytest-quantcheck\[tensorflow\]"')
CHECK = Step("quantcheck check {integers} --target esp32c3", 0, "will run on esp32c3")
DEMO_NEEDS = Step("quantcheck demo", 2, r"pytest-quantcheck\[virtual\]|pip install")
STEPS: dict[str, tuple[Step, ...]] = {
    "": (CHECK, NO_TENSORFLOW, Step(RUN_TFLM, 2, r"\[tflm\]"), DEMO_NEEDS),
    "stm32": (CHECK, NO_TENSORFLOW, Step("pyocd --version", 0, r"\d")),
    "esp32": (CHECK, NO_TENSORFLOW, Step("esptool version", 0, r"\d")),
    "tflm": (CHECK, Step(RUN_TFLM, 0, "equal|same|no difference"), NO_TENSORFLOW),
    "onnx": (
        CHECK,
        Step(
            "quantcheck quantize net.onnx -o out.onnx --calibration random:4 --input-range 0 1",
            0,
            r"out\.onnx: \d+ bytes",
        ),
    ),
    "espdl": (Step(QUANTIZE.replace(".tflite", ".onnx") + " --quantizer espdl", 0, r"out\.onnx: \d+ bytes"),),
    "properties": (CHECK, Step("python -c 'import pytest_quantcheck.properties'", 0, "")),
    "mlflow": (CHECK, Step("python -c 'import mlflow.tracking'", 0, "")),
    "zoo": (CHECK, Step("python -c 'import hydra, librosa, soundfile'", 0, "")),
    "report": (CHECK, Step("python -c 'import matplotlib'", 0, "")),
    "tensorflow": (CHECK, Step(QUANTIZE, 0, r"out\.tflite: \d+ bytes")),
    "keras2": (
        CHECK,
        Step(QUANTIZE, 0, r"out\.tflite: \d+ bytes"),
        Step("python -c 'import tf_keras'", 0, ""),
    ),
    "virtual": (Step("quantcheck demo", 0, "10 of 10 bit-exact"), Step(RUN_LITERT, 0, "equal")),
}
FILES = """
import numpy as np
np.save("x.npy", np.zeros((2, 8, 8, 1), np.int8))
try:
    import onnx
    from onnx import TensorProto as T, helper as h, numpy_helper as n
    sides = [h.make_tensor_value_info("x", T.FLOAT, [1, 4])], [h.make_tensor_value_info("y", T.FLOAT, [1, 2])]
    weights = n.from_array(np.ones((4, 2), np.float32), "w")
    graph = h.make_graph([h.make_node("MatMul", ["x", "w"], ["y"])], "g", *sides, [weights])
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), "net.onnx")
except ImportError:
    pass
"""


def wheel(folder: Path) -> Path:
    """Built from this tree; isolated, so that the build needs nothing here."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    return next(folder.glob("pytest_quantcheck-*.whl"))


def problems_of(extra: str, made: Path, folder: Path) -> list[str]:
    """Install ``extra`` alone and take its steps; what went otherwise than it should."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    binaries = folder / "venv" / "bin"
    wanted = f"{made}[{extra}]" if extra else str(made)
    subprocess.run([str(binaries / "pip"), "install", "-q", wanted], check=True, timeout=60 * MINUTES)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("QC_", "PYTHON"))},
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "QC_CACHE": str(folder / "cache"),
    }
    subprocess.run([str(binaries / "python"), "-c", FILES], check=True, cwd=folder, env=environment)
    data = next((folder / "venv").glob("lib/python3*/site-packages/pytest_quantcheck/demo/data"))
    names = {
        "model": data / "digits.tflite",
        "data": "pytest_quantcheck.demo.artefacts:demo_samples",
        "integers": data / "digits-tflite-i8-i8-perchannel-cal10pct.tflite",
    }
    found = []
    for step in STEPS[extra]:
        run = subprocess.run(
            step.command.format(**names),
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60 * MINUTES,
        )
        told = run.stdout + run.stderr
        if run.returncode != step.code or not re.search(step.output, told) or "Traceback" in told:
            found.append(f"{step.command}: exit code {run.returncode}, wanted {step.code}: {told[-600:]}")
    return found


def main(extras: list[str]) -> int:
    """A line per extra; 1 when any step went wrong."""
    failed = False
    with tempfile.TemporaryDirectory(prefix="quantcheck-extras-") as name:
        made = wheel(Path(name))
        for extra in extras or list(STEPS):
            folder = Path(name) / (extra or "none")
            folder.mkdir()
            start = time.monotonic()
            found = problems_of("" if extra == "none" else extra, made, folder)
            print(
                f"{extra or 'none':<12} {time.monotonic() - start:6.0f} s  {'FAILED' if found else 'right'}"
            )
            print("".join(f"  {line}\n" for line in found), end="", flush=True)
            failed |= bool(found)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
