"""Evaluation: the score of a model on the data that the configuration names."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.errors import MissingExtraError, UsageError
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.exact import runner_of
from pytest_quantcheck.runners.float_outputs import float_runner
from pytest_quantcheck.runners.registry import host_runner
from pytest_quantcheck.runners.run import Run, Runner
from pytest_quantcheck.verdict.metrics.detection import map_at
from pytest_quantcheck.verdict.metrics.metric import Metric
from pytest_quantcheck.workflows.model_zoo.configuration import DETECTION
from pytest_quantcheck.workflows.model_zoo.job import Job

FEW = 8
"""Random samples on which a model runs where no data are named: that it runs, and to the same integers."""


def evaluate(job: Job) -> None:
    """The given model, whatever it is."""
    if isinstance(job.given, QuantizedModel):
        evaluate_quantized(job)
    else:
        evaluate_float(job)


def evaluate_float(job: Job) -> None:
    """The float model: scored where there are data, run on random samples where there are none."""
    data, model = job.evaluation, job.float_model
    samples = data.test if data is not None else job.data.random_samples(FEW)
    run = float_run(model, _kept(job, samples))
    for output in run.outputs:
        bad = ~np.isfinite(output.reshape(len(output), -1)).all(axis=1)
        if bad.any():
            raise AssertionError(
                f"{model.name}: {int(bad.sum())} of {len(output)} outputs are no finite numbers"
            )
    _save(job, run)
    gate = job.tools.gate(data, None, None)
    gate.reference = None  # a float model has no exact integers
    gate.check(run, metric=score_metric(job, run.model), allow_unjudged=True)


def score_metric(job: Job, model: QuantizedModel) -> Metric | None:
    """Of detectors mAP at ``postprocessing.IoU_eval_thresh``, where the file says it and boxes are known."""
    data = job.evaluation
    said = job.config.composed.values.get("postprocessing") or {}
    if job.config.task != DETECTION or "IoU_eval_thresh" not in said or model.random_calibration:
        return None
    return (
        map_at(job.config.postprocessing.IoU_eval_thresh) if data is not None and data.test.truths else None
    )


def raw(model: QuantizedModel, samples: Samples) -> Raw:
    """Random samples as integers: what they are scored does not matter, and is not said."""
    return Raw(prepare.quantize_inputs(model, samples))


def evaluate_quantized(job: Job) -> None:
    """The integer model on the host's exact reference, with ``quantcheck.max_drop`` as its limit."""
    model, data, wanted = job.quantized, job.evaluation, job.config.quantcheck
    if wanted.max_drop is not None and (data is None or not model.float_model):
        lacking = "data to evaluate on" if data is None else "float model beside the integer one"
        raise job.config.error(f"there is no {lacking}, so no drop; leave it out", "quantcheck", "max_drop")
    if data is None:
        _same_integers(job, model)
        return
    run = job.tools.reference.run(model, _kept(job, data.test))
    _save(job, run)
    gate = job.tools.gate(data, None, None)
    gate.check(
        run,
        max_drop=wanted.max_drop,
        metric=score_metric(job, model),
        baseline=wanted.baseline or None,
        allow_unjudged=True,
    )


def float_run(model: FloatModel, samples: Samples) -> Run:
    """A float model on this machine. Raises ``MissingExtraError``."""
    runner = host_runner("onnxruntime") if is_onnx(model.content) else float_runner()
    if runner is None:
        raise MissingExtraError("ai-edge-litert", "virtual", "running a float model")
    return runner.run(QuantizedModel(f"{model.name} (float)", model.content, finish=model.finish), samples)


def _same_integers(job: Job, model: QuantizedModel) -> None:
    """Without data: our interpreter and the reference give the same integers for random samples."""
    samples = job.data.random_samples(FEW)
    runner: Runner = host_runner("integer")
    if runner_of(job.tools.reference, model).name == runner.name:
        runner = job.tools.reference
    gate = job.tools.gate(None, None, None)
    gate.check(runner.run(model, raw(model, samples)), allow_unjudged=True)


def _kept(job: Job, samples: Samples) -> Samples:
    """All samples; few under ``--qc-vectors``."""
    most = job.tools.vectors
    return samples if most is None else job.few(samples, most)


def _save(job: Job, run: Run) -> None:
    """``evaluation.gen_npy_input`` and ``gen_npy_output``: raw tensors of the first input and output."""
    wanted = job.config.evaluation
    for asked, name, arrays in (
        (wanted.gen_npy_input, wanted.npy_in_name, run.inputs),
        (wanted.gen_npy_output, wanted.npy_out_name, run.outputs),
    ):
        if not asked:
            continue
        if "/" in name or "\\" in name:
            raise UsageError(f"evaluation: {name!r} is no name of a file; allowed: a name without a folder")
        for number, array in enumerate(arrays):
            np.save(job.folder.file(f"{name}{number or ''}.npy"), np.asarray(array), allow_pickle=False)
