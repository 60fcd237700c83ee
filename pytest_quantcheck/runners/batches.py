"""The loop that the host runners share: some samples at a time, then outputs and operator records joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pytest_quantcheck.data.lazy import Lazy
from pytest_quantcheck.data.progress import tracked
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.run import OperatorRecord, Run, Vectors

Records = tuple[OperatorRecord, ...]
Infer = Callable[[list[Array]], tuple[Sequence[Array], Sequence[Records]]]


def run_in_batches(
    model: QuantizedModel,
    vectors: Vectors,
    infer: Infer,
    *,
    runner: str,
    runtime: str,
    size: int = 1,
    exact: bool = False,
) -> Run:
    """A ``Run`` of all ``vectors``, ``size`` at a time.

    ``infer`` takes the raw inputs of up to ``size`` samples, (n, *shape) each, and returns the outputs,
    (n, ...) each, and the operator records of each sample (nothing where none were asked for). Of sequences
    the inputs are (n, T, *shape), and so are the outputs.
    """
    inputs = prepare.quantize_inputs(model, vectors)
    shaped = prepare.model_inputs(model, inputs)
    steps = prepare.steps_of(model, shaped)
    parts: list[list[Array]] = []
    records: list[Records] = []
    starts = range(0, len(inputs[0]), size)
    lazy = any(isinstance(x, Lazy) for x in inputs)
    for start in tracked(starts, len(starts), f"running {model.name}") if lazy else starts:
        outputs, found = infer([x[start : start + size] for x in shaped])
        parts = parts or [[] for _ in outputs]
        for part, output in zip(parts, outputs, strict=True):
            part.append(output)
        records.extend(found)
    return Run(
        runner,
        runtime,
        model,
        vectors,
        inputs,
        prepare.model_outputs(model, [np.concatenate(part) for part in parts], steps),
        exact=exact,
        operators=tuple(records),
        steps=steps,
    )
