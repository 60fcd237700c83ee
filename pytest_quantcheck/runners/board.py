"""Runs a model on a board: makes the artefact its runtime takes, streams the vectors, reads the results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache

import numpy as np

from pytest_quantcheck.errors import QuantcheckError, RigFault, UsageError
from pytest_quantcheck.graph.model import QuantGraph, Tensor
from pytest_quantcheck.image.compile import DeviceImage, compile_image
from pytest_quantcheck.image.read import read_image
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.messages.hello import Hello
from pytest_quantcheck.rig.messages.model import ModelInfo
from pytest_quantcheck.rig.messages.numbers import Capability
from pytest_quantcheck.rig.messages.run import OperatorResult
from pytest_quantcheck.rig.protocols.metered import HIGH, INSTRUCTIONS, LOW, Metered
from pytest_quantcheck.rig.session import BoardArtefact, BoardSession, Inference
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.device import Device
from pytest_quantcheck.runners.estimate import Estimate, widened
from pytest_quantcheck.runners.on_board import OnBoard
from pytest_quantcheck.runners.rows import Rows
from pytest_quantcheck.runners.run import Footprint, OperatorRecord, Run, Vectors

EXACT_RUNTIMES = ("quantcheck", "tflm")
"""Runtimes that promise the integers of TFLM's kernels."""

_ESTIMATE_ATTEMPTS = 3

ArtefactMaker = Callable[[QuantizedModel], BoardArtefact]


def ram_bytes(image: DeviceImage) -> int:
    """What a board takes from its pool for an image in flash: arena, inputs at 16 bytes, operator records."""
    content = read_image(image.data)
    inputs = sum(-(-content.tensors[index].bytes // 16) * 16 for index in content.inputs)
    return image.arena_bytes + inputs + OperatorResult.packed_bytes() * len(content.operators)


def board_artefact(image: DeviceImage, patch: Callable[[bytes], bytes] = bytes) -> BoardArtefact:
    """What a board with our engine is given; ``patch`` may change the image's bytes."""
    return BoardArtefact.of(patch(image.data), ram_bytes(image))


def _flatbuffer(model: QuantizedModel) -> BoardArtefact:
    prepare.require_tflite(model.artefact, "this board's runtime")
    return BoardArtefact.of(model.artefact)


_DEVICE_IMAGE = "qcm"

_MAKERS: Mapping[str, ArtefactMaker] = {
    _DEVICE_IMAGE: lambda model: board_artefact(compile_image(model.folded)),
    "tflite": _flatbuffer,
    "builtin": lambda model: BoardArtefact(b"", bytes.fromhex(model.sha256)),
}


class BoardRunner(OnBoard[BoardSession]):
    """A ``Runner`` on the board of ``session``, which is leased and brought up where need be.

    ``makers`` adds ways to make what a runtime takes, by the artefact's name in HELLO: one of a
    user's own, or one that replaces ours to break a model on purpose. A device image (``qcm``) has the
    operators and shapes of ``model.folded``. Raises ``RigFault``,
    ``ImageError``, and ``UsageError`` for a runtime whose artefact none of them makes.
    """

    def __init__(self, session: BoardSession, *, makers: Mapping[str, ArtefactMaker] | None = None) -> None:
        super().__init__(session)
        self._makers = {**_MAKERS, **(makers or {})}
        self._made: tuple[str, BoardArtefact] | None = None

    @property
    def runtime(self) -> str:
        """Name and version of the runtime, as the board gives them."""
        return _runtime(self.session.start())

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """One inference per vector or step; ``operators`` records every operator's output CRC and counter.

        Of a runtime that can do neither, the run has no operator records.
        """
        session = self.session
        hello = session.start(model.artefact)
        inputs = prepare.quantize_inputs(model, vectors)
        artefact = self._artefact(model, hello)
        _check_states(model, hello)
        info = session.load(artefact)
        _check_layout(model.graph, info, session)
        steps = prepare.steps_of(model, prepare.model_inputs(model, inputs))
        recorded = operators and bool(hello.capabilities & (Capability.OPERATOR_CRC | Capability.PROFILE))
        results = session.infer(artefact, _rows(inputs, steps), operators=recorded, steps=math.prod(steps))
        hello = session.hello
        return Run(
            runner=self.name,
            runtime=_runtime(hello),
            model=model,
            vectors=vectors,
            inputs=inputs,
            outputs=prepare.model_outputs(model, _outputs(model.graph, results, len(inputs[0])), steps),
            exact=hello.runtime in EXACT_RUNTIMES,
            operators=_records(model.graph, results, math.prod(steps)) if recorded else (),
            counters=_counters(results),
            footprint=Footprint(
                image=len(artefact.data) or None,
                arena=info.arena_bytes or None,
                stack=max((each.stack_bytes for each in results), default=0) or None,
                firmware=hello.firmware_bytes or None,
            ),
            device=self._device(hello),
            effort=self.effort(session.device.link.statistics.summary()),
            log=str(session.log),
            folded=_is_folded(hello),
            estimate=cache(
                lambda: self._estimate_if_open(model, [each[(0,) * (1 + len(steps))] for each in inputs])
            ),
            steps=steps,
        )

    def _estimate_if_open(self, model: QuantizedModel, inputs: Sequence[Array]) -> Estimate | None:
        return self.estimate(model, inputs) if self.session.is_open else None

    def estimate(self, model: QuantizedModel, inputs: Sequence[Array], target: str = "") -> Estimate | None:
        """What one inference of ``inputs`` (raw tensors) takes on ``target`` by the board's cycle model.

        Empty: on the board's own chip. None for boards without a model, real ones among them. Raises
        ``RigFault``.
        """
        session = self.session
        hello = session.start(model.artefact)
        board = session.board
        if not isinstance(board, Metered):
            return None
        rows, artefact = Rows(prepare.one_inference(model, inputs)), self._artefact(model, hello)
        profile = bool(hello.capabilities & Capability.PROFILE)
        session.load(artefact)
        for _ in range(_ESTIMATE_ATTEMPTS):
            retries = session.statistics.retries
            clock = board.meter(LOW, target)
            if clock is None:
                return None
            try:
                (low,) = session.infer(artefact, rows, operators=profile)
                board.meter(HIGH, target)
                (high,) = session.infer(artefact, rows, operators=profile)
            except BaseException:
                with suppress(QuantcheckError, OSError):  # the board may be gone
                    board.meter(INSTRUCTIONS)
                raise
            board.meter(INSTRUCTIONS)
            if session.statistics.retries == retries:  # a restarted board would have counted instructions
                break
        else:
            return None
        if not 0 < (low.counter or 0) <= (high.counter or 0):
            return None  # nothing was counted: an empty interval would keep every limit
        return Estimate(
            target or self.target,
            clock.hz,
            widened(low.counter, high.counter, clock.margin),
            tuple(
                widened(one.counter or 0, other.counter or 0, clock.margin)
                for one, other in zip(low.operators, high.operators, strict=True)
            ),
        )

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        """One inference up to the operator with source index ``operator``; returns its output.

        ``inputs`` are raw tensors of exactly the model's input shapes, or sequences of such: then it is the
        last step's. ``UsageError`` when the runtime cannot hand out a tensor or the model has no such
        operator.
        """
        hello = self.session.start(model.artefact)
        if not hello.capabilities & Capability.TENSOR_FETCH:
            raise UsageError(f"the runtime {_runtime(hello)} cannot return the output of one operator")
        wanted = next((each for each in model.graph.operators if each.index == operator), None)
        if wanted is None:
            raise UsageError(
                f"the model has {len(model.graph.operators)} operators, none is number {operator}"
            )
        one = prepare.one_inference(model, inputs)
        *before, last = _rows(one, prepare.steps_of(model, one))
        output = (model.folded if _is_folded(hello) else model.graph).output_of(wanted)
        artefact = self._artefact(model, hello)
        data = self.session.tensor(artefact, last, operator, output.nbytes, before=before)
        return _array(data, output)

    def _artefact(self, model: QuantizedModel, hello: Hello) -> BoardArtefact:
        """What the board's runtime takes; the last one is kept."""
        kind = _kind(hello)
        if kind not in self._makers:
            raise UsageError(
                f"the runtime {_runtime(hello)} takes {kind!r} artefacts; known: {', '.join(self._makers)} "
                f"(BoardRunner(makers=...) adds others)"
            )
        key = f"{kind}:{model.sha256}"
        if self._made is None or self._made[0] != key:
            self._made = (key, self._makers[kind](model))
        return self._made[1]

    def _device(self, hello: Hello) -> Device:
        return Device(
            target=self.target,
            board=self.session.entry.name,
            chip=hello.chip,
            unique_id=hello.unique_id.hex(),
            runtime=_runtime(hello),
            build_id=hello.build_id,
            clock_hz=hello.clock_hz,
            unit=hello.unit,
            storage=hello.place.name.lower(),
        )


def _counters(results: Sequence[Inference]) -> tuple[int, ...]:
    """One per inference; none where the counter stood still, which no limit may take for fast."""
    counters = tuple(each.counter for each in results)
    return counters if all(counters) else ()


def _is_folded(hello: Hello) -> bool:
    """Whether the board takes device images."""
    return _kind(hello) == _DEVICE_IMAGE


def _kind(hello: Hello) -> str:
    return hello.artefact.partition(":")[0]


def _runtime(hello: Hello) -> str:
    return f"{hello.runtime} {hello.version}".strip()


def _rows(inputs: Sequence[Array], steps: tuple[int, ...] = ()) -> Rows:
    """One for each inference: sample after sample, step after step."""
    flat = [np.asarray(x[:]).reshape(-1, *x.shape[2:]) for x in inputs] if steps else inputs
    return Rows(flat)


def _array(data: bytes, tensor: Tensor) -> Array:
    if len(data) != tensor.nbytes:
        raise RigFault(
            "protocol", f"the board sent {len(data)} bytes for {tensor.name!r}, which has {tensor.nbytes}"
        )
    return np.frombuffer(data, tensor.dtype.newbyteorder("<")).astype(tensor.dtype).reshape(tensor.shape)


def _outputs(graph: QuantGraph, results: Sequence[Inference], samples: int) -> tuple[Array, ...]:
    """(N, ...) each, whatever the number of steps."""
    tensors = [graph.tensors[index] for index in graph.outputs]
    return tuple(
        np.stack([_array(each.outputs[number], tensor) for each in results]).reshape(samples, -1)
        for number, tensor in enumerate(tensors)
    )


def _records(
    graph: QuantGraph, results: Sequence[Inference], steps: int
) -> tuple[tuple[OperatorRecord, ...], ...]:
    """Those of each sample, step after step."""
    kinds = {operator.index: operator.kind for operator in graph.operators}

    def of_sample(inferences: Sequence[Inference]) -> tuple[OperatorRecord, ...]:
        return tuple(
            OperatorRecord(
                each.source_index, kinds.get(each.source_index, "?"), each.crc32, each.counter, step
            )
            for step, inference in enumerate(inferences)
            for each in inference.operators
        )

    return tuple(of_sample(results[at : at + steps]) for at in range(0, len(results), steps))


def _check_states(model: QuantizedModel, hello: Hello) -> None:
    """A state that nobody resets makes results depend on the order of samples."""
    if prepare.summary_of(model.artefact).has_state and not hello.capabilities & Capability.STATES:
        raise UsageError(
            f"the model keeps something from one inference to the next, and the runtime {_runtime(hello)} "
            "cannot be told to begin anew (it lacks QC_CAP_STATES, docs/porting.md): build its firmware "
            "again, or use ours"
        )


def _check_layout(graph: QuantGraph, info: ModelInfo, session: BoardSession) -> None:
    """The board's inputs and outputs must be those of the model under test."""
    for what, indices, described in (
        ("input", graph.inputs, info.inputs),
        ("output", graph.outputs, info.outputs),
    ):
        wanted = [(str(graph.tensors[i].dtype), graph.tensors[i].nbytes) for i in indices]
        seen = [(each.dtype, each.bytes) for each in described]
        if wanted != seen:
            raise session.connection.fault(
                "protocol",
                f"the model's {what}s are {wanted}, the board describes {seen}",
                "compare the layout",
                remedy=(
                    f"build your firmware again from the artefact under test; describe_{what}() of its "
                    "runtime must give data type and bytes of the raw tensors (docs/porting.md)"
                )
                * session.connection.own_firmware,
            )
