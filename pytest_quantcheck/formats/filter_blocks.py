"""Filters in blocks of output channels, as ESP-DL has them on chips with registers of 16 bytes.

``[N/b][H][W][C][b]``; channels that fill no block lie behind, one by one, of depthwise filters side by side.
"""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.numerics.arrays import Array

BLOCK_BYTES = 16
Shape = tuple[int, ...]


def blocked(cells: Array, block: int, side_by_side: bool = False) -> Array:
    """Cells (outputs, height, width, inputs) as one row; ``block`` channels fill a block."""
    outputs, height, width, inputs = cells.shape
    whole = outputs // block * block
    blocks = cells[:whole].reshape(-1, block, height, width, inputs).transpose(0, 2, 3, 4, 1)
    rest = cells[whole:].transpose(1, 2, 3, 0) if side_by_side else cells[whole:]
    return np.concatenate([blocks.reshape(-1), rest.reshape(-1)])


def unblocked(flat: Array, shape: Shape, block: int, side_by_side: bool = False) -> Array:
    """The cells of such a row, in the shape (outputs, height, width, inputs)."""
    outputs, height, width, inputs = shape
    whole = outputs // block * block
    split = whole * height * width * inputs
    blocks = flat[:split].reshape(-1, height, width, inputs, block)
    full = blocks.transpose(0, 4, 1, 2, 3).reshape(whole, height, width, inputs)
    if side_by_side:
        rest = flat[split:].reshape(height, width, inputs, outputs - whole).transpose(3, 0, 1, 2)
    else:
        rest = flat[split:].reshape(outputs - whole, height, width, inputs)
    return np.concatenate([full, rest])
