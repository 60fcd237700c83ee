"""Segmentation: a class per pixel. Outputs are (N, H, W, classes) scores, or one value per pixel."""

from __future__ import annotations

from pytest_quantcheck.data.tasks.task import Task

TASK = Task(
    "segmentation", metrics=("miou", "pixel_accuracy"), unlabelled=("pixel_agreement",), paired="image"
)
