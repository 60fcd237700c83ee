"""Is a ``Run`` whole? Runners of a user's own may give anything, and a part of a run must not pass for it."""

from __future__ import annotations

from math import prod
from numbers import Integral

import numpy as np

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.wording import counted


def check_run(run: object) -> None:
    """Raises ``UsageError`` unless every output has a value for each vector, in number and type as the
    model's file says, and counters and sizes, where they are given, are positive whole numbers.
    """
    if not isinstance(run, Run):
        raise UsageError(
            f"gate.check was given a {type(run).__name__}; allowed: what a runner's run() returns, such as "
            "reference.run(quantized_model, test_vectors)"
        )
    if not isinstance(run.vectors, (Samples, Raw)):
        raise _broken(run, f"vectors are a {type(run.vectors).__name__}", "Samples or Raw")
    _check_outputs(run, len(run.vectors.inputs[0]))
    inferences = len(run) * prod(run.steps)
    if run.counters and len(run.counters) != inferences:
        raise _broken(
            run, f"{len(run.counters)} counters for {counted(inferences, 'inference')}", "one each, or none"
        )
    for what, values in (("counter", run.counters), ("size", vars(run.footprint).values())):
        for value in values:
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, Integral) or value <= 0
            ):
                raise _broken(run, f"{value!r} as a {what}", "whole numbers from 1, or none at all")


def _check_outputs(run: Run, samples: int) -> None:
    tensors = prepare.summary_of(run.model.artefact).output_tensors
    if len(run.outputs) != len(tensors):
        raise _broken(run, counted(len(run.outputs), "output"), f"{len(tensors)}, as the model has")
    for tensor, output in zip(tensors, run.outputs, strict=True):
        shape = (*run.steps, *prepare.sample_shape(tensor.shape))
        wanted = f"{tensor.dtype}{[samples, *shape]}"
        if not isinstance(output, np.ndarray):
            raise _broken(run, f"a {type(output).__name__} for output {tensor.name!r}", wanted)
        whole = output.ndim > 0 and len(output) == samples and output.size == samples * prod(shape)
        if not whole or output.dtype.name != tensor.dtype:
            raise _broken(run, f"{output.dtype}{list(output.shape)} for output {tensor.name!r}", wanted)


def _broken(run: Run, found: str, allowed: str) -> UsageError:
    return UsageError(f"the run of {run.runner} has {found}; allowed: {allowed}")
