"""``optimize_fp_model``: a simpler model in a new file beside the old one."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.files import read_whole, write_whole
from pytest_quantcheck.formats.onnx import MAX_FILE_BYTES, damage_told, parse
from pytest_quantcheck.quantizers.espdl.optimize import optimize


def optimize_fp_model(path: str | os.PathLike[str]) -> str:
    """Fuse batch norms and biases, name Gemm layers; returns the new file, ``NAME_optimized.onnx``.

    Raises ``UsageError`` for a file of another kind or none, ``ModelError`` for a damaged one.
    """
    source = Path(path)
    if source.suffix != ".onnx":
        raise UsageError(f"{source} is an unknown file format. Use the model ending with .onnx format")
    if not source.is_file():
        raise UsageError(f"there is no model {source}")
    with damage_told():
        content = optimize(parse(read_whole(source, MAX_FILE_BYTES))).SerializeToString()
    target = source.with_name(f"{source.stem}_optimized.onnx")
    write_whole(target, content)
    return str(target)
