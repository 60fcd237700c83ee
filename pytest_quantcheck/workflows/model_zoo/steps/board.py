"""Benchmarking and deployment: what a model takes, and that it computes the same on a board."""

from __future__ import annotations

from dataclasses import replace

from pytest_quantcheck.files import write_whole
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.report.benchmark import benchmark_table
from pytest_quantcheck.runners.benchmark import benchmark as measure
from pytest_quantcheck.runners.run import Footprint, Runner
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.workflows.model_zoo.job import Job
from pytest_quantcheck.workflows.model_zoo.steps.evaluate import raw, score_metric

BENCHMARK_SAMPLES = 2
FILE = "benchmark.txt"
ASSUMED = (-1.0, 1.0)
"""What random samples are drawn from where the file does not say it; sizes do not depend on it."""


def benchmark(job: Job) -> None:
    """Sizes of the integer model by layer and target, and counters where ``quantcheck.board`` names a board.

    A float model is quantized with random samples: that is enough for all of them.
    """
    model, wanted = job.quantized if job.has_quantized else _random(job), job.config.quantcheck
    vectors = raw(model, job.data.random_samples(BENCHMARK_SAMPLES))
    budget = Budget(wanted.budget) if wanted.budget else None  # type: ignore[arg-type]  # it checks its values
    if wanted.board:
        device: Runner | None = job.tools.board(wanted.board)
        assert device is not None, "a board, or an error"
        run = device.run(model, vectors, operators=True)
        found = measure(model, profile=run)
    else:
        device, run, found = None, job.tools.reference.run(model, vectors), measure(model)
        run = replace(run, footprint=Footprint(image=found.flash, arena=found.arena))
    lines = [f"{model.id}: {len(model.artefact):,} bytes", *benchmark_table(found, run if device else None)]
    write_whole(job.folder.file(FILE), "".join(f"{line}\n" for line in lines).encode())
    fits = ", ".join(use.target for use in found.targets if use.fits) or "no target"
    job.folder.log(
        f"benchmark: {found.macs} MACs, image {found.flash} bytes, arena {found.arena} bytes; fits {fits}"
    )
    gate = job.tools.gate(None, budget, device)
    gate.check(run, baseline=wanted.baseline or None, allow_unjudged=True)


def deploy(job: Job) -> None:
    """The integer model in a board's flash, and proof that it computes there what it computes here."""
    model, wanted = _integer_model(job), job.config.quantcheck
    device = job.tools.board(wanted.board or "")
    budget = Budget(wanted.budget) if wanted.budget else None  # type: ignore[arg-type]  # it checks its values
    run = device.run(model, job.samples())
    data = job.evaluation
    scored = data is not None and bool(model.float_model) and not model.random_calibration
    job.folder.log(f"deploy: {model.id} is stored on {run.device.board} ({run.device.storage})")
    job.tools.gate(data, budget, device).check(
        run,
        max_drop=wanted.max_drop if scored else None,
        metric=score_metric(job, model),
        baseline=wanted.baseline or None,
    )


def _integer_model(job: Job) -> QuantizedModel:
    if not job.has_quantized:
        raise job.config.error(
            f"{job.config.model.name} is a float model, and boards compute in integers; operation_mode: "
            "chain_qd quantizes it first",
            *job.config.model_key,
        )
    return job.quantized


def _random(job: Job) -> QuantizedModel:
    """The float model, int8 per channel, quantized with random samples."""
    model = job.float_model
    quantizer = "onnx" if is_onnx(model.content) else "tflite"
    config = QuantConfig(granularity="per_channel", calibration="random", quantizer=quantizer)
    span = job.data.input_range or ASSUMED
    return quantize(model, config, cache=job.tools.cache, input_range=span)
