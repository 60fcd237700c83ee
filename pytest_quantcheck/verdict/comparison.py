"""A run beside the exact reference on the same vectors: equal or not, how far apart, and how often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.run import Run, Runner
from pytest_quantcheck.verdict.criteria import Limits
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.differing import differing_samples
from pytest_quantcheck.verdict.divergence import Divergence
from pytest_quantcheck.verdict.metrics.integers import differing_elements, max_lsb


@dataclass(frozen=True)
class Comparison:
    """``same`` is None where nothing was compared; ``divergence`` is located where equality was promised."""

    same: bool | None = None
    criteria: tuple[Criterion, ...] = ()
    divergence: Divergence | None = None


def compare(
    run: Run,
    reference: Runner,
    limits: Limits,
    device: Runner | None,
    others: Sequence[QuantizedModel] = (),
) -> Comparison:
    """Judge what ``limits`` asks of ``run`` against ``reference``; ``device`` made the run, and
    might hold one of the ``others`` instead of the model.

    Equality is judged where it is asked for, or where both promise the same integers; else *not judged*.
    """
    name = reference.name
    promised = run.exact if limits.exact is None else limits.exact
    criteria: list[Criterion] = []
    if limits.exact is None and not promised:
        reason = f"the runtime {run.runtime} does not promise the integers of {name}"
        criteria.append(Criterion("exact", None, reason))
    if not promised and not limits.of_reference:
        return Comparison(None, tuple(criteria))
    expected = reference.run(run.model, run.vectors)
    differing = len(differing_samples(run, expected))
    divergence = None
    if promised:
        if differing and device is not None:
            from pytest_quantcheck.verdict.locate import locate  # few runs differ

            divergence = locate(run, expected, device, reference_runner=reference, others=others)
        criteria.append(_judge_exact(run, expected, differing, divergence))
    criteria += _judge_distance(run, expected, differing, limits)
    return Comparison(not differing, tuple(criteria), divergence)


def _judge_exact(run: Run, expected: Run, differing: int, divergence: Divergence | None) -> Criterion:
    if not differing:
        return Criterion(
            "exact", True, f"{len(run)} outputs are those of {expected.runtime or expected.runner}"
        )
    if divergence is not None:
        return Criterion("exact", False, f"not the integers of {expected.runner}\n{divergence}")
    return Criterion("exact", False, f"{differing} of {len(run)} outputs are not those of {expected.runner}")


def _judge_distance(run: Run, expected: Run, differing: int, limits: Limits) -> Iterator[Criterion]:
    """``max_lsb`` and ``max_differing``; both say how far, in how many samples and in how many elements."""
    pairs = list(zip(run.outputs, expected.outputs, strict=True))
    size = sum(ours.size for ours, _ in pairs)
    elements = sum(differing_elements(ours, theirs) * ours.size for ours, theirs in pairs) / size
    share = f"{differing} of {len(run)} samples differ, {elements:.2%} of the elements"
    if limits.max_lsb is not None:
        _refuse_any_distance(run, limits.max_lsb)
        found = max(max_lsb(ours, theirs) for ours, theirs in pairs)
        text = f"{found} LSB from {expected.runner}, limit {limits.max_lsb}; {share}"
        yield Criterion("max_lsb", found <= limits.max_lsb, text)
    if limits.max_differing is not None:
        text = f"{share}; limit {limits.max_differing:.2%} of the samples"
        yield Criterion("max_differing", differing <= limits.max_differing * len(run) + 1e-9, text)


def _refuse_any_distance(run: Run, limit: int) -> None:
    """No two integers of a type are further apart than its range."""
    for name in (each.dtype.name for each in run.outputs if each.dtype.kind in "iu"):
        largest = 256 ** np.dtype(name).itemsize - 1
        if limit >= largest:
            raise UsageError(
                f"max_lsb={limit} lets every {name} pass; allowed: 0 to below {largest}, such as 1"
            )
