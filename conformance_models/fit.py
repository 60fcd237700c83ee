"""What the trained models share: training with fixed seeds, and weights in a file of the model's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

SEED = 0


def fitted(
    model: keras.Model, x: Any, y: Any, *, loss: Any, epochs: int, batch: int = 32, rate: float = 3e-3
) -> keras.Model:
    """``model`` trained by Adam, whose rate falls to 0 along a cosine; deterministic on one machine."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    count = len(x[0] if isinstance(x, (tuple, list)) else x)
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * -(-count // batch))
    model.compile(keras.optimizers.Adam(schedule), loss)
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)
    return model


def save(model: keras.Model, path: Path) -> None:
    """Write ``get_weights()`` as ``w00``, ``w01``, ...: vectors in float32, all others in float16."""
    arrays = {
        f"w{i:02d}": w.astype(np.float16 if w.ndim > 1 else np.float32)
        for i, w in enumerate(model.get_weights())
    }
    np.savez_compressed(path, allow_pickle=False, **arrays)


def restored(model: keras.Model, path: Path) -> keras.Model:
    """Give ``model`` the weights that ``save`` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        model.set_weights([stored[f"w{i:02d}"].astype(np.float32) for i in range(len(stored.files))])
    return model
