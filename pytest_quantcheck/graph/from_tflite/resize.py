"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator
from pytest_quantcheck.graph.model import Resize
from pytest_quantcheck.numerics.affine import round_half_away
from pytest_quantcheck.numerics.arrays import IntArray
from pytest_quantcheck.numerics.limits import RESIZED_LIMIT


def resize(op: TfliteOperator) -> Resize:
    """RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR: where each row and column of the output lies."""
    op.arity(2)
    source = op.input(0)
    op.require_one_scale((source,))
    for tensor in (source, op.output):
        op.require_rank(tensor, 4)
    if max(*source.shape[1:3], *op.output.shape[1:3]) >= RESIZED_LIMIT:
        sizes = f"from {source.shape} to {op.output.shape}"
        op.fail(f"{sizes} is too large; heights and widths below {RESIZED_LIMIT} are allowed")
    size = tuple(int(n) for n in op.constant(1, "int32").reshape(-1))
    op.require_shape(op.output, (source.shape[0], *size, source.shape[3]))
    nearest = op.summary.kind == "RESIZE_NEAREST_NEIGHBOR"
    if not nearest:
        op.require_dtype(source, "int8")
    align, centers = bool(op.option("AlignCorners")), bool(op.option("HalfPixelCenters"))
    if align and centers and not nearest:
        op.fail("AlignCorners and HalfPixelCenters exclude each other")
    positions = _nearest if nearest else _between
    rows, columns = (positions(source.shape[i], op.output.shape[i], align, centers) for i in (1, 2))
    if rows[-1, 0] >= source.shape[1] or columns[-1, 0] >= source.shape[2]:
        op.fail(f"from {source.shape} to {op.output.shape}, its steps of 1/1024 lead beyond its input")
    return Resize(rows, columns)


def _nearest(size: int, out: int, align: bool, centers: bool) -> IntArray:
    """Source: TFLM ``reference/resize_nearest_neighbor.h``, in float32."""
    one = np.float32(1)
    scale = (size - 1) / (one * (out - 1)) if align and out > 1 else size / (one * out)
    at = (np.arange(out).astype(np.float32) + np.float32(0.5 if centers else 0)) * scale
    lower = np.minimum(round_half_away(at) if align else np.floor(at), size - 1)
    return np.stack([lower.astype(np.int64), np.zeros(out, np.int64)], axis=1)


def _between(size: int, out: int, align: bool, centers: bool) -> IntArray:
    """Source: TFLM ``ResizeBilinearInteger``, positions in steps of 1 / 1024."""
    scale = (1024 * size + out // 2) // out
    if align and out > 1:
        scale = (1024 * (size - 1) + (out - 1) // 2) // (out - 1)
    at = np.arange(out, dtype=np.int64) * scale + (scale // 2 - 512 if centers else 0)
    at = np.maximum(at, 0)  # before the first position both neighbours are that one
    lower, weight = at >> 10, at & 1023
    return np.stack([lower, np.where(lower >= size - 1, 0, weight)], axis=1)
