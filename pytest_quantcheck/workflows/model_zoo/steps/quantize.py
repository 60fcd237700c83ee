"""Quantization: the integer model, audited, in the run's folder."""

from __future__ import annotations

from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.wording import counted
from pytest_quantcheck.workflows.model_zoo.job import Job


def quantize(job: Job) -> None:
    """Convert, audit, write. What the audit calls an error is raised by the quantizer."""
    model = job.quantized
    job.folder.float_model(job.config.model)
    path = job.folder.model(model, ".onnx" if is_onnx(model.artefact) else ".tflite")
    config, count = model.config, model.manifest["calibration"]["samples"]
    assert config is not None, "it was just made"
    found = [Finding(**each) for each in model.manifest["findings"]]
    samples = f"{counted(count, 'random sample' if job.config.random else 'sample')}"
    job.folder.log(f"{path}: {model.id}, calibrated with {samples}, SHA-256 {model.sha256}")
    criteria = [
        Criterion(
            "artefact",
            True,
            f"{config.input_type} in, {config.output_type} out, calibrated with {samples}; audited",
        )
    ]
    if job.config.random:
        criteria.append(Criterion("accuracy", None, "the calibration was random"))
    job.tools.record(
        Row(
            name=model.id,
            model=model.id,
            model_sha256=model.sha256,
            runner=config.quantizer,
            criteria=tuple(criteria),
            outcome="pass",
            findings=tuple(
                f"{each.code}: {each.sentence} {each.remedy}".rstrip()
                for each in found
                if each.severity != "note"
            ),
        )
    )
