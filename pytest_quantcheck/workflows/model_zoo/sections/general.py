"""``general``: the project, its model, and where things go."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.workflows.model_zoo.section import key

_CPU = "conversions and reference runs use the CPU of this machine"


@dataclass(frozen=True, kw_only=True)
class General:
    project_name: str = key("name of the project, and of the MLflow experiment", "<unnamed>")
    model_path: str | None = key("the model: .h5, .keras, SavedModel, .tflite, .onnx", None)
    model_type: str | None = key("architecture of a detector, such as st_ssd_mobilenet_v1", None)
    logs_dir: str = key("folder for results and logs, within the run's folder", "logs")
    saved_models_dir: str = key("folder for models, within the run's folder", "saved_models")
    global_seed: int = key("seed of random calibration", 123, low=0)
    deterministic_ops: bool = key("", False, ignored="every step is deterministic")
    display_figures: bool = key("", True, ignored="no window is opened; --qc-report=html has figures")
    gpu_memory_limit: float | None = key("", None, low=0, ignored=_CPU)
    num_threads_tflite: int = key("", 1, low=1, ignored=_CPU)
    batch_size: int = key("", 32, low=1, ignored="no result depends on it")


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model, in files of the Model Zoo's version 4: what ``general`` held before."""

    model_path: str | None = key("as general.model_path", None)
    model_type: str | None = key("as general.model_type", None)
    model_name: str | None = key("", None, ignored="the file at model_path is the model")
    input_shape: tuple[int, ...] | None = key("", None, ignored="the model has its own")
    pretrained: bool = key("", False, ignored="nothing is downloaded or trained here")
    framework: str | None = key("", None, ignored="the file at model_path says it")
