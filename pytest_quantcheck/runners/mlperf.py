"""Runs a model on a board that speaks MLPerf Tiny's protocol, with whatever firmware it has.

The protocol gives scores to three decimals, so the integers of an output are known where its scale is above a
thousandth, as that of an int8 SOFTMAX is (1/256); of finer ones only to half a thousandth. A score that no
integer of the output means is a fault of the rig: the nearest one would be our invention.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.summary import TensorSummary
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.mlperf.device import Identity, Scores
from pytest_quantcheck.rig.mlperf.session import MlperfSession
from pytest_quantcheck.rig.mlperf.settings import FLOAT, PICTURE, MlperfSettings
from pytest_quantcheck.rig.spoken import MLPERF_TINY
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.device import MICROSECOND_CLOCK, Device
from pytest_quantcheck.runners.on_board import OnForeignBoard
from pytest_quantcheck.runners.run import Run, Vectors
from pytest_quantcheck.wording import clipped

_HALF_DIGIT = 0.0005  # of three decimals
_SLACK = 2.0**-22  # of a score: the device and this host compute it in float32


class MlperfRunner(OnForeignBoard[MlperfSession]):
    """A ``Runner`` on the board of ``session``. Raises ``RigFault``, and ``UsageError`` for a model that the
    protocol cannot feed or whose outputs it does not give.
    """

    PROTOCOL = MLPERF_TINY

    @property
    def runtime(self) -> str:
        """The protocol, and the model and vendor that the device names."""
        return _runtime(self.session.start())

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:  # noqa: ARG002
        """One sample per vector. ``counters`` are microseconds per inference; there are no records of
        operators.
        """
        session = self.session
        identity = session.start()
        self.refuse_state(model)
        inputs = prepare.quantize_inputs(model, vectors)
        samples = _samples(model, vectors, inputs, self._kind(identity))
        results = session.infer(samples, identity, outputs=sum(_sizes(model)))
        settings = MlperfSettings.of(session.entry)
        return Run(
            runner=self.name,
            runtime=_runtime(identity),
            model=model,
            vectors=vectors,
            inputs=inputs,
            outputs=prepare.model_outputs(model, self._outputs(model, results)),
            counters=_counters(results, settings.iterations),
            device=Device(
                target=self.target,
                board=session.entry.name,
                chip=identity.vendor,
                runtime=_runtime(identity),
                clock_hz=MICROSECOND_CLOCK,
                unit="microseconds",
            ),
            effort=self.effort(),
            log=str(session.log),
        )

    def _kind(self, identity: Identity) -> str:
        return MlperfSettings.of(self.session.entry).samples_of(identity.model)

    def _outputs(self, model: QuantizedModel, results: Sequence[Scores]) -> tuple[Array, ...]:
        """Raw outputs (N, *shape): the scores on the grid of each output's own scale."""
        tensors, sizes = prepare.summary_of(model.artefact).output_tensors, _sizes(model)
        for each in results:
            if len(each.results) != sum(sizes):
                raise self.fault(
                    f"the model under test has {sum(sizes)} output values, the device gave "
                    f"{len(each.results)}: it holds another model, or gives a score of its own (ad01 does)"
                )
        scores = np.asarray([each.results for each in results], np.float64)
        outputs, start = [], 0
        for number, (tensor, size) in enumerate(zip(tensors, sizes, strict=True)):
            part = scores[:, start : start + size]
            outputs.append(self._on_grid(model, number, tensor, part).reshape(len(scores), *tensor.shape))
            start += size
        return tuple(outputs)

    def _on_grid(self, model: QuantizedModel, number: int, tensor: TensorSummary, scores: Array) -> Array:
        """The integers (N, size) that ``scores`` are the printed values of; of a float output the scores."""
        if tensor.dtype == "float32":
            return scores.astype(np.float32)
        if not (finite := np.isfinite(scores)).all():
            sample, at = np.argwhere(~finite)[0]
            raise self.fault(
                f"result {at} is {scores[sample, at]}, which no {tensor.dtype} means: {_line(scores[sample])}"
            )
        raw = prepare.on_grid(tensor, scores)
        meant = prepare.dequantize_output(model, raw, number).astype(np.float64)
        far = np.abs(scores - meant) > _HALF_DIGIT + _SLACK * (1 + np.abs(scores))
        if far.any():
            sample, at = np.argwhere(far)[0]
            raise self.fault(
                f"result {at} is {scores[sample, at]:.6g}, which no {tensor.dtype} of the output "
                f"{clipped(tensor.name, 40)!r} means (scale {tensor.scales[0]:.6g}; the nearest means "
                f"{meant[sample, at]:.6g}): {_line(scores[sample])}\n"
                "what to do: the firmware holds a float model, or another quantization of it, or does not "
                "round real values to three decimals; give the .tflite that it was built from. Scores of a "
                "float model are compared with a model whose outputs are float32 (--output-type float32)"
            )
        return raw


def _sizes(model: QuantizedModel) -> list[int]:
    """How many values each output of ``model`` has."""
    tensors = prepare.summary_of(model.artefact).output_tensors
    return [int(np.prod(tensor.shape, dtype=np.int64)) for tensor in tensors]


def _line(scores: Array) -> str:
    return clipped(f"m-results-[{','.join(f'{each:.3f}' for each in scores)}]", 160)


def _runtime(identity: Identity) -> str:
    return f"mlperf_tiny {identity.model} ({identity.vendor})"


def _counters(results: Sequence[Scores], iterations: int) -> tuple[int, ...]:
    """One per sample; none where a device has no clock, or one that stood still."""
    times = [each.microseconds for each in results]
    if any(each is None for each in times):
        return ()
    counters = tuple(round(each / iterations) for each in times if each is not None)
    return counters if all(counters) else ()


def _samples(model: QuantizedModel, vectors: Vectors, inputs: Sequence[Array], kind: str) -> list[bytes]:
    """What is sent for each sample."""
    if len(inputs) != 1:
        raise UsageError(f"model {model.name} has {len(inputs)} inputs; the protocol mlperf_tiny sends one")
    x = np.asarray(inputs[0])
    if kind == PICTURE:
        if x.dtype.name not in ("int8", "uint8"):
            raise UsageError(
                f"model {model.name} takes {x.dtype.name}; as uint8 (a picture) the protocol mlperf_tiny "
                'sends int8 and uint8 models only. Give samples = "raw" or "float32" in '
                "[board.protocol_settings]"
            )
        x = x if x.dtype == np.uint8 else (x.view(np.uint8) ^ np.uint8(0x80))
    elif kind == FLOAT:
        x = _real(model, vectors, x)
    return [row.astype(row.dtype.newbyteorder("<")).tobytes() for row in x]


def _real(model: QuantizedModel, vectors: Vectors, raw: Array) -> Array:
    """The samples before they were quantized: the device does that itself."""
    if isinstance(vectors, Samples):
        return np.asarray(vectors.inputs[0], np.float32).reshape(raw.shape)
    return prepare.dequantize_input(model, raw)
