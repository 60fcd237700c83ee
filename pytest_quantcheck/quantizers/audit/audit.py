"""Is an artefact what was asked for? ``audit`` looks, by the file's format; ``require`` stops at errors.

Every finding has a stable code, a sentence and a remedy; an error means that the artefact must not be used.
"""

from __future__ import annotations

from pytest_quantcheck.errors import QuantizationError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.quantizers.audit.onnx import audit_onnx
from pytest_quantcheck.quantizers.audit.tflite import audit_tflite
from pytest_quantcheck.quantizers.config import QuantConfig


def audit(artefact: bytes, config: QuantConfig | None = None) -> tuple[Finding, ...]:
    """Everything worth knowing about an artefact; with ``config`` also what differs from it.

    Raises ``ModelError`` when the bytes are neither a ``.tflite`` nor an ``.onnx`` file.
    """
    return audit_onnx(artefact, config) if is_onnx(artefact) else audit_tflite(artefact, config)


def require(findings: tuple[Finding, ...], name: str) -> tuple[Finding, ...]:
    """The findings that are no errors. Raises ``QuantizationError`` that lists the errors."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        lines = "\n".join(f"  [{finding.code}] {finding.sentence} {finding.remedy}" for finding in errors)
        raise QuantizationError(f"the quantized model '{name}' is not what was asked for:\n{lines}")
    return findings
