"""Datasets and test vectors: float, preprocessed, samples first, each with a stable name."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Union, cast

import numpy as np

from pytest_quantcheck.data.lazy import Lazy
from pytest_quantcheck.data.tasks.registry import task
from pytest_quantcheck.data.tasks.task import Task
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.wording import counted

Arrays = Union[Array, tuple[Array, ...]]
Inputs = Union[Arrays, Lazy]


@dataclass(frozen=True, eq=False)
class Samples:
    """``x``: one array (N, ...) or a tuple of arrays for several inputs; ``y``: the truth (N, ...), a
    tuple of such arrays for several outputs, or None. An array of inputs may be ``Lazy``.

    ``ids`` are N stable names: sampling, pairing and baselines go by them. ``named`` says whether they
    were given, or are positions because none were. The arrays become read-only: what was judged once must
    not change afterwards.
    """

    x: Inputs
    y: Arrays | None = None
    ids: Sequence[str] | None = None
    named: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        arrays = self.inputs
        if not arrays or any(not isinstance(a, (np.ndarray, Lazy)) or a.ndim < 1 for a in arrays):
            raise UsageError("samples are NumPy arrays with the sample axis first, or a tuple of such arrays")
        for array in arrays:
            _refuse_kind(array, "biuf", "an input")
        n = len(arrays[0])
        object.__setattr__(self, "named", self.ids is not None)
        if any(len(a) != n for a in arrays):
            raise UsageError(f"inputs have different numbers of samples: {[len(a) for a in arrays]}")
        self._check_truth(n)
        ids = [str(i) for i in self.ids] if self.ids is not None else [f"{i:06d}" for i in range(n)]
        if len(ids) != n:
            raise UsageError(f"{counted(n, 'sample')}, but {counted(len(ids), 'id')}")
        if len(set(ids)) != n:
            raise UsageError("sample ids are not unique")
        object.__setattr__(self, "ids", tuple(ids))
        for array in (*self.inputs, *self.truths):
            _freeze(array)

    def _check_truth(self, n: int) -> None:
        """Truth of any array-like kind becomes arrays with as many entries as there are samples."""
        if self.y is None:
            return
        if isinstance(self.y, tuple) and not self.y:
            raise UsageError("y=() is no truth; allowed: an array, a tuple of arrays, or None for no labels")
        several = isinstance(self.y, tuple) and all(isinstance(each, np.ndarray) for each in self.y)
        given = self.y if several else (self.y,)
        for each in given:
            _refuse_mask(each)
        truths = tuple(map(np.asarray, given))
        for truth in truths:
            found = len(truth) if truth.ndim else 0
            if found != n:
                raise UsageError(f"{counted(n, 'sample')}, but {counted(found, 'label')}")
        object.__setattr__(self, "y", truths if several else truths[0])

    def __repr__(self) -> str:
        arrays = ", ".join(f"{a.dtype}{list(a.shape)}" for a in self.inputs)
        return f"Samples({arrays}, {'no' if self.y is None else len(self)} labels)"

    @property
    def inputs(self) -> tuple[Array, ...]:
        """The inputs as a tuple, also when there is one. A ``Lazy`` one passes for the array it becomes."""
        return self.x if isinstance(self.x, tuple) else (cast(Array, self.x),)

    @property
    def truths(self) -> tuple[Array, ...]:
        """The truth of each output as a tuple; empty when there is none."""
        if self.y is None:
            return ()
        return self.y if isinstance(self.y, tuple) else (self.y,)

    @property
    def labels(self) -> list[int] | None:
        """The number of each sample's class, where the truth of the first output is whole numbers (N,)."""
        first = self.truths[0] if self.truths else None
        if first is None or first.ndim != 1 or not np.issubdtype(first.dtype, np.integer):
            return None
        return [int(label) for label in first]

    @cached_property
    def input_digests(self) -> tuple[bytes, ...]:
        """What each sample's inputs are, by content."""
        return _digests(self.inputs)

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """What each sample is, by content: its inputs and its truth, not its name."""
        return _digests((*self.inputs, *self.truths))

    @cached_property
    def digest(self) -> bytes:
        """What these samples are, by content and by name, in this order."""
        whole = hashlib.sha256(repr(self.names).encode("utf-8", "surrogatepass"))
        for array in (*self.inputs, *self.truths):
            whole.update(f"{array.dtype.str}{array.shape}".encode())
        for each in self.digests:
            whole.update(each)
        self._seal  # noqa: B018 - from now on the samples stand for this content
        return whole.digest()

    @cached_property
    def _seal(self) -> int:
        return _checksum((*self.inputs, *self.truths))

    def check_unchanged(self) -> None:
        """Raises ``UsageError`` where the samples are no longer what ``digest`` was made of."""
        _refuse_change(self, _checksum((*self.inputs, *self.truths)))

    @property
    def names(self) -> tuple[str, ...]:
        """The ids, never None."""
        assert self.ids is not None
        return tuple(self.ids)

    def __len__(self) -> int:
        return len(self.inputs[0])

    def take(self, indices: Sequence[int] | IntArray) -> Samples:
        """The samples at ``indices``, in that order."""
        index = np.asarray(indices, dtype=np.int64)
        arrays = tuple(_taken(a, index) for a in self.inputs)
        names = self.names
        truths = tuple(a[index] for a in self.truths)
        taken = Samples(
            arrays if isinstance(self.x, tuple) else arrays[0],
            truths if isinstance(self.y, tuple) else truths[0] if truths else None,
            [names[i] for i in index],
        )
        object.__setattr__(taken, "named", self.named)
        return taken


def _taken(array: Array | Lazy, index: IntArray) -> Array:
    return cast(Array, array.take(index)) if isinstance(array, Lazy) else array[index]


def _freeze(array: object) -> None:
    """Make an array read-only, and what it is a view of: a later write is NumPy's own error."""
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner.setflags(write=False)
        owner = owner.base


def _refuse_kind(array: Array | Lazy, kinds: str, what: str) -> None:
    _refuse_mask(array)
    if array.dtype.kind not in kinds:
        raise UsageError(f"{what} is {array.dtype}; samples are real numbers, such as float32")


def _refuse_mask(array: object) -> None:
    """Everything behind this would see the values under the mask."""
    if isinstance(array, np.ma.MaskedArray):
        raise UsageError(
            "a masked array was given as samples; leave those out, or fill them: array.filled(0)"
        )


def _checksum(arrays: Sequence[Array]) -> int:
    """A quick sum over the bytes; a ``Lazy`` array and objects have none of their own."""
    found = 0
    for array in arrays:
        if isinstance(array, np.ndarray) and array.dtype.kind != "O":
            found = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, found)
    return found


def _refuse_change(vectors: Samples | Raw, now: int) -> None:
    """An array that is read-only can change all the same: through a view or a buffer made before."""
    if vars(vectors).get("_seal", now) != now:
        raise UsageError(
            "the arrays of these samples were changed after a run with them: runs and scores no longer fit "
            "together. Make new Samples of a copy: Samples(x.copy(), y)"
        )


def _digests(arrays: Sequence[Array]) -> tuple[bytes, ...]:
    """The SHA-256 of each sample over all of the arrays."""
    columns = [_rows(array) for array in arrays]
    return tuple(hashlib.sha256(b"".join(row)).digest() for row in zip(*columns, strict=True))


def _rows(array: Array | Lazy) -> Iterator[bytes]:
    """The bytes of each sample, with its type and shape, so that no two values are written alike; of a
    ``Lazy`` sample the digest of what it is made of.
    """
    head = f"{array.dtype.str}{array.shape[1:]}:".encode()
    if isinstance(array, Lazy):
        return (head + array.digest(row) for row in range(len(array)))
    if array.dtype.kind == "O":
        return (head + repr(value).encode("utf-8", "surrogatepass") for value in array)
    whole = np.ascontiguousarray(array)
    return (head + whole[row].tobytes() for row in range(len(whole)))


@dataclass(frozen=True, eq=False)
class Raw:
    """Marks inputs that are already integers in the model's own input type, (N, ...) each; read-only too."""

    x: Inputs

    def __post_init__(self) -> None:
        for array in self.inputs:
            _freeze(array)

    @property
    def inputs(self) -> tuple[Array, ...]:
        """The inputs as a tuple, also when there is one."""
        return self.x if isinstance(self.x, tuple) else (cast(Array, self.x),)

    @cached_property
    def digest(self) -> bytes:
        """What the inputs are, by content, in this order."""
        whole = hashlib.sha256()
        for array in self.inputs:
            for row in _rows(array):
                whole.update(row)
        self._seal  # noqa: B018 - as in Samples
        return whole.digest()

    @cached_property
    def _seal(self) -> int:
        return _checksum(self.inputs)

    def check_unchanged(self) -> None:
        """As that of ``Samples``."""
        _refuse_change(self, _checksum(self.inputs))


@dataclass(frozen=True, eq=False)
class Dataset:
    """What the data are: calibration and test samples, the task, the classes, the input range.

    ``task`` is the name of one (``data/tasks/``) or a ``Task``, and becomes a ``Task``; ``classes`` names the
    labels 0, 1, ... of a classification. ``UsageError`` for another task, for labels without a name where
    there are names, and for an empty test set.
    """

    calibration: Samples
    test: Samples
    task: str | Task = "classification"
    classes: tuple[str, ...] = ()
    input_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not len(self.test):
            raise UsageError("the test set has no samples; give the Dataset at least one")
        object.__setattr__(self, "task", task(self.task))
        if isinstance(self.classes, str) or not isinstance(self.classes, Iterable):
            raise UsageError(
                f"classes={self.classes!r}; allowed: the names of the classes in a list or tuple"
            )
        object.__setattr__(self, "classes", tuple(str(name) for name in self.classes))
        if self.classes and self.purpose.labels:
            self._check_labels()
        if self.input_range is None:
            return
        try:
            low, high = map(float, self.input_range)
        except (TypeError, ValueError):
            low = high = np.nan
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise UsageError(f"input_range={self.input_range!r}: two finite numbers, the lower one first")

    @property
    def purpose(self) -> Task:
        """``task`` as a ``Task``, which it always is once the dataset is made."""
        return task(self.task)

    def _check_labels(self) -> None:
        for words, samples in (("calibration", self.calibration), ("test", self.test)):
            labels, names = np.asarray(samples.truths[0] if samples.truths else []), len(self.classes)
            largest = labels.max() if labels.size and labels.dtype.kind in "biuf" else 0
            if largest >= names:
                raise UsageError(
                    f"the largest label of the {words} samples is {largest}, and classes= names "
                    f"{counted(names, 'label')}: labels count from 0"
                )
