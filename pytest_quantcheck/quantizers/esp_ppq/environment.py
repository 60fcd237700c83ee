"""The Python environment in which esp-ppq is installed, and what is run there.

It has one of its own because it asks for an older ``onnx`` than this package allows.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path

from pytest_quantcheck.errors import ModelError, PluginError, ProcessEndedError, QuantizationError
from pytest_quantcheck.models.conversion.watch import Watch, memory_limit_mib, time_limit_s

VARIABLE = "QC_ESP_PPQ"
"""Names the environment's folder, or the Python in it."""
TESTED = "1.3.12"
SCRIPT = Path(__file__).with_name("inside.py")
_MAKE_IT = (
    f"make one: python3 -m venv ppq && ppq/bin/pip install esp-ppq=={TESTED} torch, "
    f"then set {VARIABLE}=$PWD/ppq"
)


def python() -> Path:
    """The interpreter. Raises ``PluginError``, which says how to make the environment."""
    given = os.environ.get(VARIABLE, "")
    if not given:
        raise PluginError(
            f"quantizer='esp_ppq' runs esp-ppq in an environment of its own, and {VARIABLE} names none; "
            f"{_MAKE_IT}"
        )
    path = Path(given).expanduser().absolute()
    places = (path / "bin" / "python", path / "Scripts" / "python.exe") if path.is_dir() else (path,)
    for place in places:
        if place.is_file():
            return place
    raise PluginError(f"{VARIABLE}={given!r}: there is no Python in it; {_MAKE_IT}")


@cache
def versions(interpreter: Path) -> dict[str, str]:
    """Of the packages that decide the artefact. Raises ``PluginError`` where they are not installed."""
    done = _run([str(interpreter), str(SCRIPT)], "esp-ppq")
    if done.returncode:
        raise PluginError(f"{interpreter} does not import esp-ppq: {_last_line(done.stderr)}; {_MAKE_IT}")
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(interpreter: Path, folder: Path, name: str) -> None:
    """Quantize what lies in ``folder`` (see ``inside``). Raises ``QuantizationError`` in its own words."""
    done = _run([str(interpreter), str(SCRIPT), str(folder)], "esp-ppq", folder)
    if done.returncode:
        raise QuantizationError(f"esp-ppq does not quantize the model '{name}': {_last_line(done.stderr)}")


def _run(command: list[str], title: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Under the limits of conversions. Raises ``ModelError`` where one is exceeded."""
    environment = {**os.environ, "PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        cwd=folder,
        env=environment,
    )
    watch = Watch(process, time_limit_s(), memory_limit_mib())
    try:
        with watch:
            out, err = process.communicate()
    finally:
        process.kill()
        process.wait()
    if watch.exceeded:
        raise ModelError(f"{title} did not finish within {watch.exceeded}")
    if ProcessEndedError.applies_to(process.returncode):
        raise ProcessEndedError(title, -process.returncode)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:500] if lines else "it says nothing"
