"""The manifest: what every quantizer writes down about how an artefact was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_quantcheck.finding import Finding
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.version import __version__


def manifest_of(
    model: FloatModel,
    config: QuantConfig,
    *,
    calibration: Mapping[str, Any],
    versions: Mapping[str, str],
    findings: Iterable[Finding],
) -> dict[str, Any]:
    """Plain values for JSON. ``versions``: of the packages that decided the artefact; our own is added."""
    return {
        "name": model.name,
        "source": {"file": Path(model.source).name, "sha256": model.source_sha256},
        "config": config.to_dict(),
        "calibration": dict(calibration),
        "versions": {**versions, "pytest-quantcheck": __version__},
        "findings": [finding.to_dict() for finding in findings],
    }
