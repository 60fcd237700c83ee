"""``python -m tests.nightly.mlflow_page [FILE.png]``: the runs of Model-Zoo files in MLflow's own web page.

Makes a virtual environment with all of MLflow, which needs a package index; ``MLFLOW=PROGRAM`` names one that
is there. Two configurations are run, MLflow's client reads their runs, and its page is opened in a browser:
both must say the same.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from PIL import Image

from pytest_quantcheck.report.mlflow import USUAL
from tests.browser import Browser, browser
from tests.plugin.test_yaml import ONNX, TEST, prepare, run, variant

SECONDS = 180
WIDTH, HEIGHT = 1280, 760
STORE = "experiments_outputs/mlruns"
PROJECT = "project_name: myproject"


def program(folder: Path) -> str:
    """The ``mlflow`` of the version whose client is here."""
    if given := os.environ.get("MLFLOW"):
        return given
    version = importlib.metadata.version("mlflow-skinny")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin" / "pip"), "install", "-q", f"mlflow=={version}"], check=True)
    return str(folder / "bin" / "mlflow")


def logged(folder: Path) -> list[Run]:
    """The runs of both configurations as MLflow's client reads them: one of each file, others below it."""
    texts = {
        name: variant("sounds", "chain_eqe", ONNX, TEST["sounds"]) for name in ("per_channel", "per_tensor")
    }
    texts["per_tensor"] = texts["per_tensor"].replace(
        "quantization_type:", "granularity: per_tensor\n   quantization_type:", 1
    )
    done = run(folder, *prepare(folder, "onnx_sounds", texts))
    assert done.code == 0, done.text
    client = MlflowClient(str(folder / STORE))
    (project,) = [each for each in client.search_experiments() if each.name != "Default"]
    return client.search_runs([project.experiment_id])


@contextlib.contextmanager
def served(mlflow: str, store: Path) -> Iterator[str]:
    """The address of MLflow's page of a folder of runs, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        mlflow,
        "ui",
        "--backend-store-uri",
        str(store),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    with (store.parent / "server.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                told = (store.parent / "server.log").read_text()
                assert process.poll() is None, told
                assert time.monotonic() < deadline, told
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=30)


def shown(window: Browser, address: str, *words: str) -> str:
    """What the page says, once it says these words."""
    window.open("about:blank")  # a page that changes what stands behind its # only is not loaded again
    window.open(address, width=WIDTH, height=HEIGHT)
    deadline = time.monotonic() + SECONDS
    while True:
        text = str(window.evaluate("document.body.innerText"))
        if all(word in text for word in words):
            return text
        assert time.monotonic() < deadline, f"{address} does not say {words}: {text[:2000]}"
        time.sleep(0.5)


def main(target: str = "mlflow.png") -> None:
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="quantcheck-mlflow-") as name:
        folder = Path(name)
        os.environ.update(USUAL)
        mlflow = program(folder / "venv")
        runs = logged(folder)
        wholes = [each for each in runs if "mlflow.parentRunId" not in each.data.tags]
        steps = [each for each in runs if each not in wholes and "clip_accuracy" in each.data.metrics]
        assert len(wholes) == 2, [each.info.run_name for each in runs]
        assert len(steps) == 4, "each file evaluates its float model and its integers"
        experiment = f"/#/experiments/{wholes[0].info.experiment_id}"
        with served(mlflow, folder / STORE) as address, browser(folder / "profile") as window:
            for each in steps:
                score = f"{each.data.metrics['clip_accuracy']:g}"
                text = shown(
                    window,
                    f"{address}{experiment}/runs/{each.info.run_id}",
                    "clip_accuracy",
                    each.info.run_name,
                )
                assert re.search(rf"clip_accuracy\s+{re.escape(score)}\b", text), text
            shown(window, f"{address}{experiment}/runs", *(each.info.run_name for each in wholes))
            whole = wholes[0]
            shown(
                window,
                f"{address}{experiment}/runs/{whole.info.run_id}",
                "quantization.quantizer",
                "Onnx_quantizer",
            )
            time.sleep(2)  # what moves has come to rest
            window.screenshot(Path(target))
    with Image.open(target) as drawn:  # a quarter of the size, and the eye sees no difference
        drawn.convert("RGB").quantize(128).save(target, optimize=True)
    print(f"{target}: {len(runs)} runs, the same by MLflow's client and in its page")


if __name__ == "__main__":
    main(*sys.argv[1:])
