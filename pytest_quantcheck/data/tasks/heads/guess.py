"""Which head a detector has, by the shapes of its outputs, where they leave no doubt."""

from __future__ import annotations

from pytest_quantcheck.data.tasks.heads.choice import Choice
from pytest_quantcheck.data.tasks.heads.ssd import CORNERS, Ssd
from pytest_quantcheck.data.tasks.heads.yolo import AnchoredYolo, DecodedYolo
from pytest_quantcheck.data.tasks.task import Decode
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array


def guessed(choice: Choice, anchors: tuple[tuple[float, float], ...] = ()) -> Decode:
    """The head of the outputs at hand: scores, offsets and anchors are the STM32 model zoo's SSD; one output
    of 4 + classes values for each of more boxes is a decoded YOLO; with ``anchors`` one grid is YOLO's.

    Raises ``UsageError`` for other outputs.
    """

    def decode(outputs: tuple[Array, ...], inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        shapes = [each.shape[1:] for each in outputs]
        if (
            len(shapes) == 3
            and len({shape[:-1] for shape in shapes}) == 1
            and [s[-1] for s in shapes].count(4) > 1
        ):
            return Ssd(offsets=CORNERS, choice=choice)(outputs, inputs)
        if len(shapes) == 1 and len(shapes[0]) == 2 and 4 < min(shapes[0]) < max(shapes[0]):
            return DecodedYolo(min(shapes[0]) - 4, choice=choice)(outputs, inputs)
        if len(shapes) == 1 and len(shapes[0]) == 3 and anchors and shapes[0][2] % len(anchors) == 0:
            return AnchoredYolo(shapes[0][2] // len(anchors) - 5, anchors, choice=choice)(outputs, inputs)
        raise UsageError(
            f"task='detection' cannot read outputs {[list(shape) for shape in shapes]}; allowed: one output "
            "[boxes, 6] of ymin, xmin, ymax, xmax, score, class, the four of TFLite_Detection_PostProcess, "
            "scores, offsets and anchors of an SSD, or one [4 + classes, boxes]; "
            "else give the task of another head, such as detector(Fomo())"
        )

    return decode
