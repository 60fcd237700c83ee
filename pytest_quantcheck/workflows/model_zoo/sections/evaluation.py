"""``evaluation``, ``postprocessing`` and ``prediction``: what becomes of a model's outputs."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.workflows.model_zoo.section import key


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    target: str = key("where models are evaluated; quantcheck.board names a board", "host", choices=("host",))
    gen_npy_input: bool = key("write the inputs of the evaluation as .npy", False)
    gen_npy_output: bool = key("write its outputs as .npy", False)
    npy_in_name: str = key("name of that file, without .npy", "test_inputs")
    npy_out_name: str = key("name of that file, without .npy", "test_outputs")


@dataclass(frozen=True, kw_only=True)
class Postprocessing:
    """How boxes are read from the outputs of a detector."""

    confidence_thresh: float = key("least score of a box that counts", 0.001, low=0, high=1)
    NMS_thresh: float = key("boxes of a class that overlap by a larger IoU are one", 0.5, low=0, high=1)
    IoU_eval_thresh: float = key(
        "least IoU of a box that is found with a box that is there", 0.5, low=0, high=1, above=True
    )
    max_detection_boxes: int = key("boxes of an image that count", 100, low=1)
    yolo_anchors: tuple[float, ...] | None = key(
        "anchors of a YOLO head, width and height in turn, in cells of the grid", None
    )
    network_stride: int | None = key("pixels of an image to one cell of a YOLO head", None, low=1)
    plot_metrics: bool = key("", False, ignored="no window is opened; --qc-report=html has figures")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    test_files_path: str | None = key("the files to predict: a folder or one file", None)
