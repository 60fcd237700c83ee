"""Benchmarking and deployment: what a model takes, and that it computes the same on a board."""

from __future__ import annotations

from dataclasses import replace

from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.families import memories
from pytest_quantcheck.runners.board import ram_bytes
from pytest_quantcheck.runners.run import Footprint
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.workflows.model_zoo.job import Job
from pytest_quantcheck.workflows.model_zoo.steps.evaluate import raw, score_metric

KIB = 1024
BENCHMARK_SAMPLES = 2


def benchmark(job: Job) -> None:
    """Sizes of the integer model for every target, and counters where ``quantcheck.board`` names a board."""
    if not job.has_quantized:
        _float_sizes(job)
        return
    model, wanted = job.quantized, job.config.quantcheck
    image = compile_image(model.graph)
    fits = [
        name
        for name, memory in memories().items()
        if len(image.data) <= memory.store_kib * KIB and ram_bytes(image) <= memory.pool_kib * KIB
    ]
    job.folder.log(
        f"benchmark: image {len(image.data)} bytes, arena {image.arena_bytes} bytes; fits {', '.join(fits)}"
    )
    vectors = raw(model, job.data.random_samples(BENCHMARK_SAMPLES))
    budget = Budget(wanted.budget) if wanted.budget else None  # type: ignore[arg-type]  # it checks its values
    if wanted.board:
        device = job.tools.board(wanted.board)
        run = device.run(model, vectors)
        job.tools.gate(None, budget, device).check(run, baseline=wanted.baseline or None, allow_unjudged=True)
        return
    run = job.tools.reference.run(model, vectors)
    run = replace(run, footprint=Footprint(image=len(image.data), arena=image.arena_bytes))
    job.tools.gate(None, budget, None).check(run, baseline=wanted.baseline or None, allow_unjudged=True)


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
            "general",
            "model_path",
        )
    return job.quantized


def _float_sizes(job: Job) -> None:
    """Of a float model: its bytes. Boards run integer models only, so it has no arena here."""
    model = job.float_model
    job.tools.record(
        Row(
            name=model.name,
            model=model.name,
            image=len(model.content),
            criteria=(Criterion("arena", None, "boards compute in integers; chain_qb quantizes first"),),
        )
    )
