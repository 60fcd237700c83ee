"""``TFLite_Detection_PostProcess``: the operator at the end of TensorFlow's detection models, on the host."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.data.tasks.heads.anchors import from_centres
from pytest_quantcheck.data.tasks.heads.ssd import moved_centres
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.formats.tflite_cut import Cut, cut_custom_operator
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.boxes import suppress

NAME = "TFLite_Detection_PostProcess"
MOST = 10_000  # detections or classes


@dataclass(frozen=True, eq=False)
class PostProcess:
    """The operator's settings, under its own names, and ``anchors`` (M, 4) ``y, x, height, width``.

    Source: tensorflow/lite/kernels/detection_postprocess.cc.
    """

    anchors: npt.NDArray[np.float32]
    max_detections: int
    num_classes: int
    nms_score_threshold: float
    nms_iou_threshold: float
    scales: tuple[float, float, float, float]
    max_classes_per_detection: int = 1
    detections_per_class: int = 100
    use_regular_nms: bool = False

    def __call__(self, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Boxes (N, D, 4), classes (N, D), scores (N, D) and count (N,) from the operator's two inputs.

        These are offsets (N, M, 4) and scores (N, M, background + classes). The count is of the places that
        are used; the operator itself counts boxes, also where each of them has several classes.
        """
        offsets, scores = (each.reshape(len(each), -1, each.shape[-1]) for each in outputs)
        if offsets.shape[1:] != self.anchors.shape or scores.shape[1] != len(self.anchors):
            raise UsageError(
                f"outputs {[list(each.shape[1:]) for each in outputs]} do not fit the "
                f"{len(self.anchors)} anchors of {NAME}"
            )
        boxes = moved_centres(offsets, from_centres(self.anchors), self.scales)
        values = scores[..., scores.shape[2] - self.num_classes :]
        places = self.max_detections * (1 if self.use_regular_nms else self.max_classes_per_detection)
        found = np.zeros((len(boxes), places, 6), np.float32)
        count = np.zeros(len(boxes), np.float32)
        pick = self._per_class if self.use_regular_nms else self._over_classes
        for image, (places_of, of_image) in enumerate(zip(boxes, values, strict=True)):
            box, kind = pick(places_of, of_image)
            found[image, : len(box)] = np.column_stack([places_of[box], of_image[box, kind], kind])
            count[image] = len(box)
        return found[..., :4], found[..., 5], found[..., 4], count

    @classmethod
    def cut_off(cls, content: bytes) -> tuple[bytes, PostProcess | None]:
        """A ``.tflite`` file without the operator, whose two inputs are the outputs then, and its settings.

        The file as it is, and None, where it does not end so. Raises ``ModelError`` for damaged files.
        """
        cut = cut_custom_operator(content, NAME, outputs=2)
        if cut is None:
            return content, None
        try:
            return cut.content, cls._of(cut)
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"the settings of {NAME} are damaged or missing: {error}") from error

    @classmethod
    def _of(cls, cut: Cut) -> PostProcess:
        options: dict[str, Any] = cut.options
        given = cut.inputs[2]
        values = given.values.reshape(-1, 4)
        if len(given.scales):
            values = given.scales[0] * (values.astype(np.float32) - given.zero_points[0])
        return cls(
            values.astype(np.float32),
            int(options["max_detections"]),
            int(options["num_classes"]),
            float(options["nms_score_threshold"]),
            float(options["nms_iou_threshold"]),
            (options["y_scale"], options["x_scale"], options["h_scale"], options["w_scale"]),
            int(options.get("max_classes_per_detection", 1)),
            int(options.get("detections_per_class", 100)),
            bool(options.get("use_regular_nms", False)),
        )

    def to_dict(self) -> dict[str, Any]:
        """For a manifest: the settings, under the operator's names where it has one."""
        return {each.name: np.asarray(getattr(self, each.name)).tolist() for each in fields(self)}

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> PostProcess:
        """What ``to_dict`` gave. Raises ``ValueError`` or ``TypeError`` for anything else."""
        anchors = np.asarray(settings["anchors"], dtype=np.float32).reshape(-1, 4)
        scales = tuple(float(each) for each in settings["scales"])
        if len(scales) != 4 or settings.keys() != {each.name for each in fields(cls)}:
            raise ValueError(f"the settings are {', '.join(settings)}, and {len(scales)} scales")
        counts = {
            key: int(settings[key])
            for key in ("max_detections", "num_classes", "max_classes_per_detection", "detections_per_class")
        }
        return cls(
            anchors,
            nms_score_threshold=float(settings["nms_score_threshold"]),
            nms_iou_threshold=float(settings["nms_iou_threshold"]),
            scales=(scales[0], scales[1], scales[2], scales[3]),
            use_regular_nms=bool(settings["use_regular_nms"]),
            **counts,
        )

    def __post_init__(self) -> None:
        counts = (
            self.max_detections,
            self.num_classes,
            self.max_classes_per_detection,
            self.detections_per_class,
        )
        if not all(1 <= count <= MOST for count in counts) or not all(self.scales):
            raise ValueError(f"counts {counts} and scales {self.scales}; allowed: 1 to {MOST}, and not 0")
        if not np.isfinite(self.anchors).all() or not np.isfinite(self.scales).all():
            raise ValueError("anchors or scales are not finite")

    def _per_class(self, boxes: Array, scores: Array) -> tuple[Array, Array]:
        """Each class on its own, then the best of all."""
        chosen: list[tuple[int, int]] = []
        for kind in range(scores.shape[1]):
            near = np.flatnonzero(scores[:, kind] >= self.nms_score_threshold)
            stay = suppress(boxes[near], scores[near, kind], np.zeros(len(near)), self.nms_iou_threshold)
            chosen += [(int(at), kind) for at in near[stay][: self.detections_per_class]]
        box, kinds = np.asarray(chosen, dtype=np.int64).reshape(-1, 2).T
        best = np.argsort(-scores[box, kinds], kind="stable")[: self.max_detections]
        return box[best], kinds[best]

    def _over_classes(self, boxes: Array, scores: Array) -> tuple[Array, Array]:
        """Boxes by their best class, whatever it is; each that stays has its best classes."""
        best = scores.max(axis=1)
        near = np.flatnonzero(best >= self.nms_score_threshold)
        stay = suppress(boxes[near], best[near], np.zeros(len(near)), self.nms_iou_threshold)
        box = near[stay][: self.max_detections]
        width = min(self.max_classes_per_detection, scores.shape[1])
        kinds = np.argsort(-scores[box], axis=1, kind="stable")[:, :width]
        return np.repeat(box, width), kinds.reshape(-1)
