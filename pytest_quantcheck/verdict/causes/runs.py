"""Causes that whole runs show: answers in another order, another model's, another runtime's, other inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import permutations

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.registry import host_runner
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.verdict.causes.case import Witness, has_exponents
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.causes.inputs import changes, never_written

_LAGS = (1, -1, 2, -2, 3, -3)
_FEWEST = 3  # samples that must change place, or differ
_MOST = 32  # samples that are run again on other kernels and with other models
_KERNELS = (
    ("litert", "optimised_kernels", "LiteRT's default kernels"),
    ("litert_reference", "reference_kernels", "LiteRT's reference kernels"),
)

Rows = npt.NDArray[np.uint8]


def run_causes(run: Run, reference: Run, others: Sequence[QuantizedModel] = ()) -> list[Cause]:
    """What explains the outputs of all samples at once, the most certain first; ``others`` are models that
    the device might hold instead.
    """
    found = [*_inputs(run, reference), *_places(run, reference), *_outputs(run, reference)]
    return [*found, *_other_models(run, reference, others), *_other_kernels(run, reference)]


def rows(array: Array) -> Rows:
    """The bytes of each of N samples, (N, bytes)."""
    return np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)


def _whole(run: Run) -> Rows:
    return np.concatenate([rows(each) for each in run.outputs], axis=1)


def _inputs(run: Run, reference: Run) -> Iterator[Cause]:
    """The runs were given other integers: the preparation differs, whatever came out."""
    for number, (ours, theirs) in enumerate(zip(run.inputs, reference.inputs, strict=True)):
        if ours.dtype != theirs.dtype or ours.shape != theirs.shape or np.array_equal(ours, theirs):
            continue
        tensor = run.model.graph.tensors[run.model.graph.inputs[number]]
        differing = int((rows(ours) != rows(theirs)).any(axis=1).sum())
        told = f"the inputs of {differing} of {len(run)} samples are not those of {reference.runner}"
        witnesses = [_witness(reference, i) for i in range(len(run))]
        others = changes(tensor, number, witnesses[0], exponents=has_exponents(run.model.graph))
        for code, text, change in (*others, never_written(number)):
            made = [np.ascontiguousarray(change(w)).tobytes() for w in witnesses]
            if made == [np.ascontiguousarray(each).tobytes() for each in ours]:
                yield Cause(code, text, f"{told}; all {len(run)} are so with {text}")
                return


def _witness(run: Run, index: int) -> Witness:
    """A sample's inputs only."""
    graph = run.model.graph
    shapes = [graph.tensors[i].shape for i in graph.inputs]
    pairs = list(zip(run.inputs, shapes, strict=True))
    raw = tuple(array[index].reshape(shape) for array, shape in pairs)
    before = tuple(array[index - 1].reshape(shape) for array, shape in pairs) if index else None
    floats = None
    if isinstance(run.vectors, Samples):
        floats = tuple(np.asarray(array[index]) for array in run.vectors.inputs)
    return Witness(raw, [], np.zeros(0), floats, before)


def _places(run: Run, reference: Run) -> Iterator[Cause]:
    """Answers that belong to other samples."""
    ours, theirs = _whole(run), _whole(reference)
    count = len(ours)
    if count <= _FEWEST:
        return
    for lag in _LAGS:
        if count <= abs(lag) + 1:
            continue
        mine = ours[lag:] if lag > 0 else ours[:lag]
        its = theirs[:-lag] if lag > 0 else theirs[-lag:]
        own = theirs[lag:] if lag > 0 else theirs[:lag]
        moved = int((its != own).any(axis=1).sum())
        if moved >= _FEWEST and np.array_equal(mine, its):
            word = "before" if lag > 0 else "behind"
            text = f"each answer is that of the sample {abs(lag)} {word} it"
            yield Cause("answers_late", text, f"so it is for all {len(mine)} samples that have one")
            return
    known = {row.tobytes(): place for place, row in enumerate(theirs)}
    if len(known) < count:
        yield from _stuck(ours, known)
        return
    places = [known.get(row.tobytes(), -1) for row in ours]
    moved = sum(place != i for i, place in enumerate(places))
    if sorted(places) == list(range(count)) and moved >= _FEWEST:
        text = f"the answers of {moved} samples stand in each other's places"
        yield Cause("answers_order", text, f"each of the {count} outputs is exactly that of one sample")
        return
    yield from _stuck(ours, known)


def _stuck(ours: Rows, known: dict[bytes, int]) -> Iterator[Cause]:
    if len(known) > _FEWEST and len(ours) > _FEWEST and (ours == ours[0]).all():
        place = known.get(ours[0].tobytes())
        if place is not None:
            text = f"every answer is that of sample number {place}"
            yield Cause("answers_stuck", text, f"all {len(ours)} outputs are equal, and exactly that one")


def _outputs(run: Run, reference: Run) -> Iterator[Cause]:
    """Outputs exchanged, or every byte of them read in another way."""
    count = len(run.outputs)
    told = f"so are the outputs of all {len(run)} samples those of {reference.runner}"
    shapes = [(each.shape, each.dtype) for each in run.outputs]
    for order in permutations(range(count)) if 1 < count <= 4 else ():
        fits = all(shapes[i] == shapes[k] for i, k in enumerate(order))
        if fits and order != tuple(range(count)):
            pairs = zip(order, reference.outputs, strict=True)
            if all(run.outputs[k].tobytes() == right.tobytes() for k, right in pairs):
                yield Cause("outputs_order", f"outputs in the order {', '.join(map(str, order))}", told)
    for code, text, change in _readings():
        same = [
            _reads(change, ours, right) for ours, right in zip(run.outputs, reference.outputs, strict=True)
        ]
        if all(same) and any(
            ours.tobytes() != right.tobytes()
            for ours, right in zip(run.outputs, reference.outputs, strict=True)
        ):
            yield Cause(code, text, told)


def _readings() -> Iterator[tuple[str, str, object]]:
    yield "output_int8_uint8", "the output shifted by 128 (int8 and uint8 mistaken)", _other_sign
    yield "output_byte_order", "the bytes of each output value in reverse order", _byte_order
    yield "output_layout", "the output as NCHW where NHWC is wanted", _channels_first
    yield "output_layout", "the output's values in reverse order", _backwards


def _reads(change: object, ours: Array, right: Array) -> bool:
    assert callable(change), "a function on one output"
    made = change(right)
    return made is not None and np.ascontiguousarray(made).tobytes() == ours.tobytes()


def _other_sign(x: Array) -> Array | None:
    return (x.view(np.uint8) ^ np.uint8(128)).view(x.dtype) if x.dtype.itemsize == 1 else None


def _byte_order(x: Array) -> Array | None:
    return x.byteswap() if x.dtype.itemsize > 1 else None


def _channels_first(x: Array) -> Array | None:
    return np.moveaxis(x, -1, 1) if x.ndim == 4 else None


def _backwards(x: Array) -> Array | None:
    return x.reshape(len(x), -1)[:, ::-1] if x[0].size > 1 else None


def _other_models(run: Run, reference: Run, others: Sequence[QuantizedModel]) -> Iterator[Cause]:
    """A model that the device may still hold: an older one, or that of another test."""
    if not others:
        return
    chosen = _chosen(run, reference)
    integer = host_runner("integer")
    for other in others:
        if other.sha256 == run.model.sha256:
            continue
        with suppress(QuantcheckError):
            again = integer.run(other, Raw(tuple(array[chosen] for array in run.inputs)))
            if _same_outputs(again, run, chosen):
                text = f"the device computes another model: {other.id}"
                told = (
                    f"its outputs are those of {other.id} ({other.sha256[:12]}) for all {len(chosen)} samples"
                )
                yield Cause("stale_model", text, f"{told} that were tried, bit for bit")
                return


def _other_kernels(run: Run, reference: Run) -> Iterator[Cause]:
    """The integers of LiteRT, whose kernels round otherwise than those of microcontrollers."""
    if find_spec("ai_edge_litert") is None or is_onnx(run.model.artefact):
        return
    chosen = _chosen(run, reference)
    for name, code, words in _KERNELS:
        if name in (run.runner, reference.runner):
            continue
        with suppress(QuantcheckError):
            again = host_runner(name).run(run.model, Raw(tuple(array[chosen] for array in run.inputs)))
            if _same_outputs(again, run, chosen):
                told = f"all {len(chosen)} samples that were tried have the outputs of {again.runtime}"
                yield Cause(
                    code, f"the runtime computes with the rounding of {words}", f"{told}, bit for bit"
                )
                return


def _chosen(run: Run, reference: Run) -> npt.NDArray[np.int64]:
    """Samples to run again: those that differ, then others."""
    differing = (_whole(run) != _whole(reference)).any(axis=1)
    return np.argsort(~differing, kind="stable")[:_MOST]


def _same_outputs(again: Run, run: Run, chosen: npt.NDArray[np.int64]) -> bool:
    if len(again.outputs) != len(run.outputs):
        return False
    return all(
        mine.dtype == its.dtype
        and mine.shape[1:] == its.shape[1:]
        and mine.tobytes() == its[chosen].tobytes()
        for mine, its in zip(again.outputs, run.outputs, strict=True)
    )
