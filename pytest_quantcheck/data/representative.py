"""The representative dataset: the arrays that calibrate a model, checked, hashed and on record."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Union, cast

import numpy as np

from pytest_quantcheck.data.calibration import Calibration, choose
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.lazy import BLOCK, Lazy
from pytest_quantcheck.data.subset import at_hand
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.numerics.arrays import Array, Float32

Shape = tuple[int, ...]
Data = Union[Dataset, Samples]
NARROW = 0.1  # calibration samples that use less of the input range than this are worth a warning


@dataclass(frozen=True, eq=False)
class Representative:
    """``inputs``: one float32 array (N, ...) per model input, or a ``Lazy`` one. ``ids`` is empty when they
    are random.
    """

    calibration: Calibration
    inputs: tuple[Float32, ...]
    ids: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs[0])

    @cached_property
    def sha256(self) -> str:
        """Over shapes and little-endian float32 bytes, input by input; of ``Lazy`` rows over their
        digests."""
        digest = hashlib.sha256()
        for array in self.inputs:
            digest.update(repr(array.shape).encode())
            if isinstance(array, Lazy):
                digest.update(b"".join(array.digest(row) for row in range(len(array))))
            else:
                digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
        return digest.hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """For manifests: how many, which, and the hash of what the quantizer saw."""
        return {
            **self.calibration.to_dict(),
            "samples": len(self),
            "ids": list(self.ids),
            "sha256": self.sha256,
        }


def representative(
    calibration: Calibration,
    data: Data | None,
    shapes: Sequence[Shape],
    input_range: tuple[float, float] | None = None,
) -> Representative:
    """The samples for a model whose inputs have ``shapes`` (without the sample axis).

    ``input_range`` is the range of the input where ``data`` is no ``Dataset`` that knows it. Raises
    ``UsageError`` for no samples, wrong shapes, NaN, infinity, or values outside the input range.
    """
    limits = data.input_range if isinstance(data, Dataset) else None
    limits = limits or input_range
    if limits is not None and not (np.isfinite(limits).all() and limits[0] < limits[1]):
        raise UsageError(
            f"input range {limits[0]:g} to {limits[1]:g}: two finite numbers, the lower one first"
        )
    if calibration.kind == "random":
        if limits is None:
            raise UsageError(
                "random calibration draws from the input range of the model, and none is known. "
                "Give a Dataset with input_range=(low, high), or --input-range LOW HIGH on the command line"
            )
        return drawn(calibration, [limits] * len(shapes), shapes)
    if data is None:
        raise UsageError(
            f"calibration={calibration.text!r} needs calibration samples, and no data was given. "
            "Give a dataset, or ask for calibration=random, which is good for sizes and exactness only"
        )
    samples = data.calibration if isinstance(data, Dataset) else data
    _check_shapes(samples, shapes)
    chosen = _chosen(calibration, samples, data.classes if isinstance(data, Dataset) else ())
    few = at_hand(chosen)
    seen = tuple(np.ascontiguousarray(a, dtype=np.float32) for a in few.inputs)
    _check_finite(seen, few.names)
    findings = _check_range(seen, limits) if limits is not None else []
    inputs = seen if few is chosen else tuple(_checked(array, limits) for array in chosen.inputs)
    if isinstance(data, Dataset):
        findings += leaks(chosen, data.test, by_id=samples.named and data.test.named)
    return Representative(calibration, inputs, chosen.names, tuple(findings))


def _chosen(calibration: Calibration, samples: Samples, classes: Sequence[str]) -> Samples:
    """Raises ``UsageError`` where nothing can be chosen so."""
    labels = samples.labels
    return samples.take(choose(calibration, samples.names, labels, classes))


def drawn(
    calibration: Calibration, ranges: Sequence[tuple[float, float]], shapes: Sequence[Shape]
) -> Representative:
    """Random samples: float32 (N, *shape) per input, uniform over its range (low, high).

    They come from PCG64's raw stream, which NumPy keeps the same for ever.
    """
    generator = np.random.PCG64(calibration.seed)
    inputs = []
    for (low, high), shape in zip(ranges, shapes, strict=True):
        full = (calibration.size(0), *shape)
        words = np.asarray(generator.random_raw(int(np.prod(full))), dtype=np.uint64)
        unit = (words >> np.uint64(40)).astype(np.float64) / 2**24
        inputs.append((low + (high - low) * unit).astype(np.float32).reshape(full))
    finding = Finding(
        "note",
        "random_calibration",
        "The artefact was calibrated with random samples.",
        "Sizes and exactness can be judged with it, accuracy cannot.",
    )
    return Representative(calibration, tuple(inputs), (), (finding,))


def _check_shapes(samples: Samples, shapes: Sequence[Shape]) -> None:
    given = [a.shape[1:] for a in samples.inputs]
    if given != [tuple(s) for s in shapes]:
        raise UsageError(
            f"calibration samples have the shape {_listed(given)} each, the model expects {_listed(shapes)}. "
            "Samples are preprocessed arrays with the sample axis first; several inputs are a tuple of arrays"
        )
    for array in samples.inputs:
        if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
            raise UsageError(f"calibration samples are of type {array.dtype}; they have to be real numbers")


def _listed(shapes: Sequence[Shape]) -> str:
    return " and ".join(str(tuple(int(n) for n in shape)) for shape in shapes)


def _checked(array: Array, limits: tuple[float, float] | None) -> Float32:
    """An array whose rows are checked when they are made, as those at hand are at once."""
    if not isinstance(array, Lazy):
        return np.ascontiguousarray(array, dtype=np.float32)

    def check(block: Array) -> Float32:
        real = np.ascontiguousarray(block, dtype=np.float32)
        _check_finite((real,), ["one of them"] * len(real))
        if limits is not None:
            _check_range((real,), limits)
        return real

    return cast(Float32, array.map(check, dtype=np.float32))


def _check_finite(inputs: Sequence[Float32], ids: Sequence[str]) -> None:
    for array in inputs:
        bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if bad.any():
            which = [ids[i] for i in np.flatnonzero(bad)[:3]]
            raise UsageError(
                f"{int(bad.sum())} of {len(array)} calibration samples hold NaN or infinity "
                f"(for example {', '.join(which)}); one is enough to ruin every scale. Repair or drop them"
            )


def _check_range(inputs: Sequence[Float32], limits: tuple[float, float]) -> list[Finding]:
    """Values outside the input range are an error, values in a small corner of it a warning."""
    low, high = limits
    least, most = min(float(a.min()) for a in inputs), max(float(a.max()) for a in inputs)
    slack = 1e-3 * (high - low)
    if least < low - slack or most > high + slack:
        raise UsageError(
            f"calibration samples reach from {least:g} to {most:g}, but input_range is {low:g} to {high:g}. "
            "One of them is wrong; often a rescaling step is missing or applied twice"
        )
    if most - least >= NARROW * (high - low):
        return []
    return [
        Finding(
            "warning",
            "narrow_calibration_range",
            f"Calibration samples reach from {least:g} to {most:g}, a small part of the input range "
            f"{low:g} to {high:g}.",
            "Values outside will be clipped; check the preprocessing, or calibrate with more samples.",
        )
    ]


def leaks(chosen: Samples, test: Samples, *, by_id: bool) -> list[Finding]:
    """Test samples among the calibration samples: by id, or by content where samples have no names.

    Of two sets that are read from files the files are compared: two folders may hold different ones of one
    name. With one such set beside arrays it is the values, which are then read.
    """
    files = [any(isinstance(a, Lazy) for a in each.inputs) for each in (chosen, test)]
    if by_id and not all(files):
        shared = sorted(set(chosen.names) & set(test.names))
    else:
        held_out = set(_fingerprints(test, files=all(files)))
        prints = zip(chosen.names, _fingerprints(chosen, files=all(files)), strict=True)
        shared = [name for name, fingerprint in prints if fingerprint in held_out]
    if not shared:
        return []
    return [
        Finding(
            "warning",
            "test_samples_in_calibration",
            f"{len(shared)} of {len(chosen)} calibration samples are test samples too, "
            f"for example {', '.join(shared[:3])}.",
            "Accuracy measured on them is too good; take them out of one of the two sets.",
        )
    ]


def _fingerprints(samples: Samples, *, files: bool) -> Sequence[bytes]:
    if files:
        return samples.input_digests
    found = []
    for start in range(0, len(samples), BLOCK):
        block = [np.asarray(a[start : start + BLOCK], dtype=np.float32) for a in samples.inputs]
        found += [
            hashlib.sha256(b"".join(a[i].tobytes() for a in block)).digest() for i in range(len(block[0]))
        ]
    return found
