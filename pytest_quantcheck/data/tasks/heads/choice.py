"""Which of the decoded boxes are predictions."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.data.tasks.predictions import best_boxes
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array


@dataclass(frozen=True)
class Choice:
    """A box counts for a class from the score ``least`` on; of boxes of one class that overlap by an IoU
    above ``threshold`` the best stays; of an image's boxes the ``most`` best. ``UsageError`` for other
    values.
    """

    least: float = 0.01
    threshold: float = 0.5
    most: int = 100

    def __post_init__(self) -> None:
        if not (0 <= self.least <= 1 and 0 <= self.threshold <= 1 and self.most >= 1):
            raise UsageError(
                f"least={self.least}, threshold={self.threshold}, most={self.most}: allowed: two fractions "
                "from 0 to 1, and one box or more"
            )

    def __call__(self, boxes: Array, scores: Array) -> Array:
        """Predictions (N, most, 6) from boxes (N, M, 4) and scores (N, M, classes); see ``best_boxes``."""
        return best_boxes(boxes, scores, least=self.least, threshold=self.threshold, most=self.most)
