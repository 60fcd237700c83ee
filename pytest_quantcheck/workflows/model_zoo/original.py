"""``compat: modelzoo``: the files that the Model Zoo itself would choose, with its defects.

Source: stm32ai-modelzoo-services 3.0, ``get_quantization_data_loader`` of object detection and ``quantize``
of audio event detection.
"""

from __future__ import annotations

import glob
import random
from collections.abc import Sequence

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration
from pytest_quantcheck.workflows.model_zoo.sections.dataset import AudioDataset, ImageDataset

SEED = 123
"""What the Model Zoo takes where the seed is missing, or 0."""
COLUMNS = {  # of a CSV file: the recording, its class
    "esc10": ("filename", "category"),
    "custom": ("filename", "category"),
    "fsd50k": ("fname", "labels"),
}


def choice(config: Configuration, names: Sequence[str]) -> tuple[str, ...]:
    """Which of ``names`` calibrate. ``UsageError`` where it would be none."""
    data = config.dataset
    share = 1.0 if data.quantization_split is None else data.quantization_split
    chosen = _patches(data, names, share) if isinstance(data, AudioDataset) else _images(config, data, share)
    if not chosen:
        raise config.error(
            f"{share:g} of so few is none: the Model Zoo rounds down", "dataset", "quantization_split"
        )
    return chosen


def _images(config: Configuration, data: ImageDataset, share: float) -> tuple[str, ...]:
    """The ``.jpg`` files of the folder itself in the order of this file system, shuffled, the first ones."""
    folder = config.path(data.quantization_path or data.training_path or "")
    found = glob.glob("*.jpg", root_dir=folder)  # noqa: PTH207  # in its order
    if not found:
        raise UsageError(f"{folder} holds no .jpg: the Model Zoo looks for no other, and in no folder below")
    random.Random(data.seed or SEED).shuffle(found)
    return tuple(found[: int(len(found) * share)])


def _patches(data: AudioDataset, names: Sequence[str], share: float) -> tuple[str, ...]:
    """Whole batches of patches, in their order."""
    batches = -(-len(names) // data.batch_size)
    return tuple(names[: int(batches * share) * data.batch_size])
