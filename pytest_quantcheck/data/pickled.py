"""Arrays from a stranger's pickle: NumPy arrays in lists, tuples and dicts, and nothing that could run."""

from __future__ import annotations

import codecs
import io
import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from pytest_quantcheck.data.numpy_file import largest_bytes
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.wording import visible

_KINDS = "biufcSU"  # no objects


def read_pickle(path: Path, *, numbers: bool = False) -> dict[str, Array]:
    """The arrays of a pickle by name: of a dict its keys, of a pair ``x`` and ``y``, of one array ``""``.

    With ``numbers`` a dict may hold plain numbers, too, which become arrays without axes.
    Raises ``ModelError`` for whatever else is in it; nothing of it is imported or called. ``OSError`` passes.
    """
    content = read_whole(path, largest_bytes())
    try:
        found = _Arrays(io.BytesIO(content), encoding="latin1").load()
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except Exception as error:  # damaged pickles raise a dozen kinds of errors
        raise ModelError(f"{path} is not a valid pickle ({type(error).__name__}: {error})") from error
    if isinstance(found, np.ndarray):
        named: dict[Any, Any] = {"": found}
    elif isinstance(found, (tuple, list)) and len(found) == 2:
        named = dict(zip("xy", found, strict=True))
    else:
        named = found if isinstance(found, dict) else {}
    if numbers:
        plain = (int, float, np.generic)
        named = {key: np.asarray(v) if isinstance(v, plain) else v for key, v in named.items()}
    for name, array in named.items():
        if not isinstance(name, str) or not isinstance(array, np.ndarray) or array.dtype.kind not in _KINDS:
            named = {}
            break
    if not named:
        raise ModelError(f"{path} holds something else than an array, a pair x and y, or a dict of arrays")
    return named


class _Arrays(pickle.Unpickler):
    """Knows what pickles of arrays call, by our own functions, which take no memory that the file lacks."""

    def find_class(self, module: str, name: str) -> Any:
        """What ``module.name`` stands for. ``ModelError`` for all but a few."""
        numpy_parts = ("numpy.core.multiarray", "numpy._core.multiarray")
        numeric = ("numpy.core.numeric", "numpy._core.numeric")
        known: dict[tuple[tuple[str, ...], str], Any] = {
            (numpy_parts, "_reconstruct"): _empty,
            (numpy_parts, "scalar"): _scalar,
            (numeric, "_frombuffer"): _from_buffer,
            (("numpy",), "ndarray"): np.ndarray,
            (("numpy",), "dtype"): _dtype,
            (("_codecs",), "encode"): _encode,
            (("collections",), "OrderedDict"): OrderedDict,
        }
        for (modules, wanted), stands_for in known.items():
            if module in modules and name == wanted:
                return stands_for
        raise ModelError(
            f"it asks for {visible(module)}.{visible(name)}; only pickles of plain NumPy arrays are "
            "read, because a pickle can run any program. Save the arrays with numpy.savez instead"
        )

    def persistent_load(self, pid: object) -> NoReturn:
        raise ModelError(f"it refers to something outside of it ({pid!r})")


def _empty(kind: object, shape: object, _typecode: object) -> Array:
    if kind is not np.ndarray or shape != (0,):
        raise ModelError("it makes an array in another way than NumPy does")
    return np.ndarray((0,), np.int8)


def _dtype(text: object, *_: object) -> np.dtype[Any]:
    # a copy, for pickles go on to set its byte order
    kind = np.dtype(text, copy=True) if isinstance(text, str) and len(text) < 32 else None
    if kind is None or kind.kind not in _KINDS:
        raise ModelError(f"it holds {str(text)[:40]}, which is no plain number or text")
    return kind


def _scalar(kind: np.dtype[Any], content: bytes) -> Any:
    return np.frombuffer(content, kind, count=1)[0]


def _from_buffer(content: bytes, kind: np.dtype[Any], shape: tuple[int, ...], order: str) -> Array:
    flat = np.frombuffer(content, kind)
    if math.prod(shape) != flat.size:
        raise ModelError("it makes an array of another size than it holds")
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _encode(text: str, encoding: str = "latin1", *_: object) -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise ModelError(f"it encodes text as {str(encoding)[:40]}")
    return codecs.encode(text, "latin1")
