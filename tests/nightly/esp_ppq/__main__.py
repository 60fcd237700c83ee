"""``python -m tests.nightly.esp_ppq``: our power-of-two integers beside esp-ppq's, on eight drawn networks.

esp-ppq and torch go into a virtual environment of their own, which this command makes (Python below 3.13, a
package index, 1.3 GB) in ``--venv`` or, without it, in a temporary folder. Compared are: the outputs of
esp-ppq's executor, of int16 in its float64 mode; the test vector of each ``.espdl`` file that it exports,
read by our reader; what our quantizer ``esp_ppq`` makes of the first network; and what esp-ppq's own classes
read from the file that we write of our model.

One difference is known and looked for by name: its executor rounds biases as ``floor(v + 0.5)`` in float32,
which takes odd integers from 2^23 to 2^24 to the next even one. Its files hold the right integer; so do we.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.formats.espdl import parse
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_espdl.qdq import qdq_of
from pytest_quantcheck.graph.from_onnx.read import read_onnx
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.esp_ppq.environment import VARIABLE
from pytest_quantcheck.quantizers.espdl.convert import quantize_espdl
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.workflows.espdl.file_export import with_vectors
from tests.espdl_networks import network, samples
from tests.nightly.esp_ppq.biases import with_float32_biases

SEEDS = 8
TARGETS = {"esp32s3": "esp32s3", "esp32p4": "esp32p4", "c": "esp32c3"}
PACKAGES = ("torch==2.13.0", "esp-ppq==1.3.12")
HERE = Path(__file__).parent

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Job:
    seed: int
    target: str
    bits: int

    @property
    def name(self) -> str:
        return f"{self.target}-int{self.bits}-{self.seed}"

    def to_dict(self) -> dict[str, Any]:
        files = {"model": f"net{self.seed}.onnx", "samples": f"samples{self.seed}.npy"}
        return {"name": self.name, "target": self.target, "bits": self.bits, **files}


def environment(folder: Path) -> Path:
    """Its interpreter; made where it is not there yet."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing {' and '.join(PACKAGES)} into {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def theirs(python: Path, folder: Path, jobs: list[Job]) -> None:
    for seed in {job.seed for job in jobs}:
        (folder / f"net{seed}.onnx").write_bytes(network(seed))
        np.save(folder / f"samples{seed}.npy", np.asarray(samples(seed).inputs[0]))
    (folder / "jobs.json").write_text(json.dumps([job.to_dict() for job in jobs]))
    done = subprocess.run(
        [str(python), str(HERE / "quantize.py"), str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"esp-ppq failed:\n{done.stderr[-3000:]}")


def ours(job: Job) -> bytes:
    """The artefact."""
    config = QuantConfig(
        quantizer="espdl",
        scheme=f"int{job.bits}",
        granularity="per_channel" if job.target == "esp32p4" else "per_tensor",
        options={"target": TARGETS[job.target]},
    )
    x = np.asarray(samples(job.seed).inputs[0])
    return quantize_espdl(network(job.seed), [x], config=config.to_dict(), name=job.name)


def output(graph: QuantGraph, inputs: Array) -> Array:
    """(N, 10) integers."""
    (index,) = graph.outputs
    found = execute.run_batch(graph, [inputs[:, None]])[index]
    assert found is not None
    return found.reshape(len(inputs), -1)


def quantized_input(job: Job, graph: QuantGraph) -> Array:
    """As its executor does it: in float32, by the chip's rule."""
    tensor = graph.tensors[graph.inputs[0]]
    assert tensor.quantization is not None
    steps = np.asarray(samples(job.seed).inputs[0]) / tensor.quantization.scale[0]
    rounded = np.rint(steps) if job.target == "esp32p4" else np.floor(steps + np.float32(0.5))
    limits = np.iinfo(tensor.dtype.name)
    integers: Array = np.clip(rounded, limits.min, limits.max).astype(tensor.dtype)
    return integers


def problems(job: Job, folder: Path, python: Path) -> Iterator[str]:
    """What is not the same; a line that starts with ``explained`` is a known exception."""
    artefact = ours(job)
    graph = read_onnx(artefact)
    result = np.load(folder / f"{job.name}.npy").astype(np.float64)
    quantization = graph.tensors[graph.outputs[0]].quantization
    assert quantization is not None
    wanted = result.reshape(len(result), -1) / quantization.scale[0]
    x = quantized_input(job, graph)
    found = output(graph, x)
    if not np.array_equal(found, wanted):
        differing = int((found != wanted).sum())
        told = f"{differing} of {wanted.size} outputs of its executor"
        half_up = job.target != "esp32p4"
        changed, biases = with_float32_biases(graph) if half_up else (graph, 0)
        if biases and np.array_equal(output(changed, x), wanted):
            yield f"explained: {told} differ, all by {biases} biases that it rounds in float32"
        else:
            yield f"{told} differ"
    if job.seed == 0:
        yield from _quantizer_problems(job, folder, python, x, found)
    yield from _file_problems(folder / f"{job.name}.espdl", graph)
    yield from _reading_problems(with_vectors(artefact, [x[:, None]]), folder, python)


def _quantizer_problems(job: Job, folder: Path, python: Path, x: Array, wanted: Array) -> Iterator[str]:
    """What ``quantizer="esp_ppq"`` makes, in the same environment."""
    os.environ[VARIABLE] = str(python)
    config = QuantConfig(
        quantizer="esp_ppq",
        scheme=f"int{job.bits}",
        calibration=Calibration.parse("all"),
        options={"target": job.target},
    )
    model = quantize(network(job.seed), config, samples(job.seed), cache=Cache(folder / "cache"), name="net")
    if not np.array_equal(output(model.graph, x), wanted):
        yield "the quantizer esp_ppq makes other integers"


def _file_problems(path: Path, graph: QuantGraph) -> Iterator[str]:
    """Its file: the vector in it, and our outputs for that vector."""
    content = path.read_bytes()
    file = parse(content)
    (x,), (y,) = file.test_inputs, file.test_outputs
    given, wanted = (each.data[: int(np.prod(each.shape))].reshape(each.shape) for each in (x, y))
    read = read_onnx(qdq_of(content))
    turned = np.ascontiguousarray(given.transpose(0, 3, 1, 2))
    for words, mine, inputs in (("read from its file", read, given), ("quantized by us", graph, turned)):
        found = execute.run(mine, [inputs])[mine.outputs[0]]
        assert found is not None
        if not np.array_equal(found.reshape(-1), wanted.reshape(-1)):
            differing = int((found.reshape(-1) != wanted.reshape(-1)).sum())
            yield f"{differing} of {wanted.size} values of the vector in its file differ, {words}"


def _reading_problems(content: bytes, folder: Path, python: Path) -> Iterator[str]:
    """Our file, with all samples as vectors, by its classes."""
    path = folder / "ours.espdl"
    path.write_bytes(content)
    done = subprocess.run([str(python), str(HERE / "read.py"), str(path)], capture_output=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    file = parse(content)
    if found["nodes"] != [[each.kind, list(each.inputs), list(each.outputs)] for each in file.nodes]:
        yield "it reads other operators from our file"
    tensors = (*file.constants.values(), *file.test_inputs, *file.test_outputs)
    held = [[t.name, list(t.shape), list(t.exponents), t.data.tobytes().hex()] for t in tensors]
    if found["tensors"] != held:
        yield "it reads other tensors from our file"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.nightly.esp_ppq", description=__doc__)
    parser.add_argument("--venv", type=Path, help="made where it does not exist, and kept")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    args = parser.parse_args(arguments)
    jobs = [Job(s, t, bits) for s in range(args.seeds) for t in TARGETS for bits in (8, 16)]
    failed = explained = 0
    with tempfile.TemporaryDirectory(prefix="quantcheck-esp-ppq-") as name:
        folder = Path(name)
        python = environment((args.venv or folder / "venv").absolute())
        theirs(python, folder, jobs)
        for job in jobs:
            found = list(problems(job, folder, python))
            wrong = [each for each in found if not each.startswith("explained")]
            failed, explained = failed + bool(wrong), explained + len(found) - len(wrong)
            print(f"{job.name:<20} {'; '.join(found) or 'the same integers'}", flush=True)
    print(f"{len(jobs)} models: {failed} differ, {explained} differ by what is explained")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
