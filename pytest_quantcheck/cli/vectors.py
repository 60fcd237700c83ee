"""Tensors in and out of NumPy files: what ``--inputs`` and ``--outputs`` of the commands mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph.model import QuantGraph, Tensor

Array = npt.NDArray[Any]

FORMAT = (
    "X.npy holds N inputs in the model's own data type, N first; a model with several inputs takes an .npz "
    "with one array per input, named like the input or 0, 1, ... Outputs are written the same way."
)


def read_inputs(path: Path, graph: QuantGraph) -> tuple[Array, ...]:
    """The model's inputs from a ``.npy`` or ``.npz`` file: (N, *shape) each, dtypes checked.

    A model whose first axis is the sample axis of size 1 takes (N, *rest) as well as (N, 1, *rest);
    what is returned is always (N, *rest) for such a model. Raises ``UsageError``.
    """
    tensors = [graph.tensors[index] for index in graph.inputs]
    arrays = _read(path, tensors)
    checked = tuple(_check(path, array, tensor) for array, tensor in zip(arrays, tensors, strict=True))
    lengths = {len(array) for array in checked}
    if len(lengths) > 1:
        raise UsageError(f"{path}: the inputs hold different numbers of samples: {sorted(lengths)}")
    if lengths == {0}:
        raise UsageError(f"{path} holds no sample")
    return checked


def check_output_path(path: Path, graph: QuantGraph) -> None:
    """Refuse an output file that could not be written, before the long work begins."""
    wanted = ".npy" if len(graph.outputs) == 1 else ".npz"
    if path.suffix not in (wanted, ".npz"):
        raise UsageError(f"--outputs {path}: this model has {len(graph.outputs)} outputs; allowed: *{wanted}")
    if not path.parent.is_dir():
        raise UsageError(f"--outputs {path}: there is no folder {path.parent}")


def write_outputs(path: Path, outputs: Sequence[Array], graph: QuantGraph) -> None:
    """Raw outputs, (N, ...) each: one array as ``.npy``, or ``.npz`` with the outputs' names."""
    if path.suffix == ".npy":
        np.save(path, outputs[0], allow_pickle=False)
        return
    names = [graph.tensors[index].name or str(number) for number, index in enumerate(graph.outputs)]
    np.savez(path, **dict(zip(names, outputs, strict=True)))  # type: ignore[arg-type]


def _read(path: Path, tensors: Sequence[Tensor]) -> list[Array]:
    try:
        content = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UsageError(f"--inputs {path}: there is no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(
            f"--inputs {path} is not a .npy or .npz file of plain numbers ({error}). {FORMAT}"
        ) from error
    if isinstance(content, np.ndarray):
        if len(tensors) != 1:
            raise UsageError(f"{path} holds one array, the model has {len(tensors)} inputs. {FORMAT}")
        return [content]
    with content:
        return [_pick(path, content, number, tensor) for number, tensor in enumerate(tensors)]


def _pick(path: Path, content: Any, number: int, tensor: Tensor) -> Array:
    for key in (tensor.name, str(number), f"arr_{number}"):
        if key in content.files:
            try:
                return np.asarray(content[key])
            except ValueError as error:
                raise UsageError(f"{path}: array {key!r} cannot be read: {error}") from error
    raise UsageError(
        f"{path}: no array for input {number} ({tensor.name!r}); it has: {', '.join(content.files)}. {FORMAT}"
    )


def _check(path: Path, array: Array, tensor: Tensor) -> Array:
    shape = tensor.shape
    wanted = f"{tensor.dtype} (N, {', '.join(map(str, _sample_shape(shape)))})"
    if array.dtype != tensor.dtype:
        raise UsageError(
            f"{path}: input {tensor.name!r} has dtype {array.dtype}; the model wants {wanted}. Nothing is "
            f"quantized here: give the raw values"
        )
    if array.shape[1:] == _sample_shape(shape):
        return array
    if shape[:1] == (1,) and array.shape[1:] == shape:
        return array[:, 0]
    raise UsageError(f"{path}: input {tensor.name!r} has shape {array.shape}; the model wants {wanted}")


def _sample_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[1:] if shape[:1] == (1,) else shape
