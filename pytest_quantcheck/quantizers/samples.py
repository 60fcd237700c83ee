"""The calibration samples of a model, random ones also where nobody gave a range."""

from __future__ import annotations

from dataclasses import replace

from pytest_quantcheck.data.dataset import Dataset
from pytest_quantcheck.data.representative import Data, Representative, drawn, representative
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.input_range import input_ranges
from pytest_quantcheck.quantizers.config import QuantConfig


def calibration_samples(
    config: QuantConfig,
    data: Data | None,
    model: FloatModel,
    input_range: tuple[float, float] | None,
) -> Representative:
    """As ``data.representative``; random samples without a range are drawn from ``input_ranges``.

    Its findings say which range that was. Raises ``UsageError``.
    """
    known = input_range or (data.input_range if isinstance(data, Dataset) else None)
    if config.calibration.kind != "random" or known is not None:
        return representative(config.calibration, data, model.input_shapes, input_range)
    ranges, findings = input_ranges(model)
    samples = drawn(config.calibration, ranges, model.input_shapes)
    return replace(samples, findings=(*findings, *samples.findings))
