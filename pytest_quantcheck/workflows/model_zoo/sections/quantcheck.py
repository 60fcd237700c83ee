"""``quantcheck`` and ``mlflow``: what turns a run into a test, and where it is logged."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.workflows.model_zoo.section import key

TASKS = ("image_classification", "object_detection", "audio_event_detection")


@dataclass(frozen=True, kw_only=True)
class Quantcheck:
    """Ours: the Model Zoo has no such section."""

    max_drop: float | None = key("largest loss of score against the float model", None, low=0, high=1)
    budget: dict[str, object] | None = key("upper limits, as the marker budget takes them", None)
    board: str | None = key("a board or target of the rig, to benchmark and to deploy on", None)
    vectors: int = key("test samples that run on the board; the host runs all of them", 16, low=1)
    baseline: bool = key("compare with stored values (docs/baselines.md)", False)
    task: str | None = key(
        "what the model is for, where the other sections leave it open", None, choices=TASKS
    )
    integer_edges: bool = key(
        "Onnx_quantizer gives int8 to the edges that the section quantization wants int8 or uint8",
        False,
    )
    input_range: tuple[float, ...] | None = key("[low, high] that random calibration draws from", None)
    compat: str | None = key(
        "modelzoo: choose the files that the Model Zoo chooses", None, choices=("modelzoo",)
    )


@dataclass(frozen=True, kw_only=True)
class Mlflow:
    uri: str | None = key("folder or server that MLflow logs to", None)
