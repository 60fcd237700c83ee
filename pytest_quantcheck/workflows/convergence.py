"""How many calibration samples are enough: the same model quantized with more and more of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.models.load import Source, load
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.verdict.convergence import ConvergenceRow
from pytest_quantcheck.verdict.metrics.classification import accuracy


def convergence(
    source: Source,
    config: QuantConfig,
    data: Dataset | Samples | None,
    *,
    base: Path | None = None,
    cache: Cache | None = None,
    progress: Callable[[str], object] = str,
) -> tuple[ConvergenceRow, ...]:
    """Rows for 1, 2, 5, 10, 20, 50, ... and all calibration samples, with the configuration's seed.

    A smaller choice lies inside a larger one. The score is the accuracy on the test samples of a ``Dataset``
    with labels, run by the exact host reference of ``.tflite`` files. Raises ``UsageError`` without samples
    to choose from.
    """
    if data is None or config.calibration.kind in ("random", "none"):
        raise UsageError(
            f"calibration={config.calibration.text!r} has nothing to converge to; give a dataset, and as "
            "calibration a share of it"
        )
    samples = data.calibration if isinstance(data, Dataset) else data
    model = load(source, base=base, cache=cache)
    made = []
    for count in _sizes(len(samples)):
        progress(f"{count} of {len(samples)} samples")
        chosen = replace(config, calibration=Calibration("count", count, config.calibration.seed))
        made.append((count, quantize(model, chosen, data, cache=cache)))
    final = _scales(made[-1][1])
    return tuple(_row(count, artefact, final, data) for count, artefact in made)


def _sizes(most: int) -> list[int]:
    if most < 1:
        raise UsageError("the calibration set is empty; give at least one calibration sample")
    sizes = [step * 10**power for power in range(len(str(most))) for step in (1, 2, 5)]
    return [*(size for size in sizes if size < most), most]


def _scales(model: QuantizedModel) -> dict[str, float]:
    """The scale of every activation, by tensor; QUANTIZE and DEQUANTIZE share theirs with a neighbour."""
    tensors = read_summary(model.artefact).tensors
    return {
        f"{t.index} ({t.name})": float(t.scales[0]) for t in tensors if t.data is None and len(t.scales) == 1
    }


def _row(
    count: int, model: QuantizedModel, final: dict[str, float], data: Dataset | Samples
) -> ConvergenceRow:
    scales = _scales(model)
    moved = {name: abs(scales[name] / final[name] - 1) for name in final if name in scales}
    worst = max(moved, key=moved.__getitem__, default="")
    typical = float(np.median(list(moved.values()))) if moved else 0.0
    return ConvergenceRow(count, moved.get(worst, 0.0), typical, worst, _score(model, data))


def _score(model: QuantizedModel, data: Dataset | Samples) -> float | None:
    if not isinstance(data, Dataset) or not data.test.truths or is_onnx(model.artefact):
        return None
    outputs: npt.NDArray[np.generic] = exact_runner().run(model, data.test).outputs[0]
    return accuracy(outputs, data.test.truths[0])
