"""Audio events: a clip is cut into patches, a model names the class of each, and the patches vote.

The ids of the samples are ``clip#patch``. All patches of a clip carry the clip's label.
"""

from __future__ import annotations

from pytest_quantcheck.data.tasks.task import CLIP, Task

TASK = Task(
    "audio_events",
    metrics=("clip_accuracy", "patch_accuracy"),
    unlabelled=("agreement",),
    paired=CLIP,
    labels=True,
)
