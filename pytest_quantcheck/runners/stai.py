"""Runs a model on a board with ST's validation firmware (X-CUBE-AI, ST Edge AI).

The outputs are raw tensors. The device describes its inputs and outputs: type, size, scale and zero point
must be those of the model under test, or a fault says so before any number is compared. Its nodes are not
the model's operators (ST's tools fuse and split them), so their records name the node and have no checksum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.summary import TensorSummary
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.spoken import STAI
from pytest_quantcheck.rig.stai.device import Identity, StaiResult
from pytest_quantcheck.rig.stai.messages import Operator, TensorInfo
from pytest_quantcheck.rig.stai.session import StaiSession
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.device import MICROSECOND_CLOCK, Device
from pytest_quantcheck.runners.on_board import OnForeignBoard
from pytest_quantcheck.runners.run import Footprint, OperatorRecord, Run, Vectors
from pytest_quantcheck.wording import clipped

_PADDING = 3  # elements: the device counts those that fill up a word
_SCALE_TOLERANCE = 1e-5  # relative: scales pass through decimal digits in ST's tools


class StaiRunner(OnForeignBoard[StaiSession]):
    """A ``Runner`` on the board of ``session``. Raises ``RigFault``, and ``UsageError`` for records of a
    firmware that does not report its nodes.
    """

    PROTOCOL = STAI

    @property
    def runtime(self) -> str:
        """The runtime that the device names, its version and the network."""
        return _runtime(self.session.start())

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """One inference per vector. ``counters`` are microseconds; with ``operators`` a record for each of
        the device's nodes.
        """
        session = self.session
        identity = session.start()
        if operators and not identity.observes:
            raise UsageError(f"the firmware on {session.entry.name} was built without per-layer mode")
        self._check_layout(model, identity)
        inputs = prepare.quantize_inputs(model, vectors)
        results = session.infer(_rows(inputs), nodes=operators)
        network = identity.network
        return Run(
            runner=self.name,
            runtime=_runtime(identity),
            model=model,
            vectors=vectors,
            inputs=inputs,
            outputs=prepare.model_outputs(model, self._outputs(model, results)),
            operators=tuple(_records(each.nodes) for each in results) if operators else (),
            counters=_counters(results),
            footprint=Footprint(
                image=network.weight_bytes or None,
                arena=network.activation_bytes or None,
                stack=max((each.whole.stack_bytes for each in results), default=0) or None,
            ),
            device=Device(
                target=self.target,
                board=session.entry.name,
                chip=f"STM32, device id 0x{identity.system.device:03X}",
                runtime=_runtime(identity),
                build_id=network.signature,
                clock_hz=MICROSECOND_CLOCK,
                unit="microseconds",
            ),
            effort=self.effort(),
            log=str(session.log),
        )

    def _check_layout(self, model: QuantizedModel, identity: Identity) -> None:
        summary, network = prepare.summary_of(model.artefact), identity.network
        for what, wanted, seen in (
            ("input", summary.input_tensors, network.inputs),
            ("output", summary.output_tensors, network.outputs),
        ):
            if len(wanted) != len(seen):
                raise self.fault(
                    f"the model under test has {len(wanted)} {what}s, the device's network {len(seen)}: it "
                    "was made of another model"
                )
            for number, (tensor, info) in enumerate(zip(wanted, seen, strict=True)):
                if why := _difference(tensor, info):
                    raise self.fault(
                        f"{what} {number} ({clipped(tensor.name, 40)!r}) of the model under test is not the "
                        f"device's {clipped(info.name, 40)!r}: {why}\nwhat to do: generate the network from "
                        "the .tflite or .onnx under test, without --input-data-type and --output-data-type"
                    )

    def _outputs(self, model: QuantizedModel, results: Sequence[StaiResult]) -> tuple[Array, ...]:
        """Raw outputs (N, *shape)."""
        outputs = []
        for number, tensor in enumerate(prepare.summary_of(model.artefact).output_tensors):
            dtype, shape = np.dtype(tensor.dtype), tuple(tensor.shape)
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            rows = []
            for result in results:
                data = result.outputs[number]
                if not size <= len(data) <= size + _PADDING * dtype.itemsize:
                    raise self.fault(f"output {number} has {size} bytes, the device sent {len(data)}")
                rows.append(np.frombuffer(data[:size], dtype.newbyteorder("<")).astype(dtype).reshape(shape))
            outputs.append(np.stack(rows))
        return tuple(outputs)


def _difference(tensor: TensorSummary, info: TensorInfo) -> str:
    """What of the device's tensor is not the model's; empty where all that is known agrees."""
    elements = int(np.prod(tensor.shape, dtype=np.int64))
    if info.dtype != tensor.dtype:
        return f"its type is {info.dtype or 'none of ours'}, not {tensor.dtype}"
    if not elements <= info.elements <= elements + _PADDING:
        return f"it has {info.elements} elements, not {elements}"
    if not info.scale or not len(tensor.scales):
        return ""
    scale, zero_point = float(tensor.scales[0]), int(tensor.zero_points[0])
    if not math.isclose(info.scale, scale, rel_tol=_SCALE_TOLERANCE):
        return f"its scale is {info.scale:.8g}, not {scale:.8g}"
    return "" if info.zero_point == zero_point else f"its zero point is {info.zero_point}, not {zero_point}"


def _rows(inputs: Sequence[Array]) -> list[list[bytes]]:
    """The bytes of all inputs, per inference."""
    arrays = [np.asarray(x) for x in inputs]
    return [
        [x[row].astype(x.dtype.newbyteorder("<")).tobytes() for x in arrays] for row in range(len(arrays[0]))
    ]


def _runtime(identity: Identity) -> str:
    network = identity.network
    return f"{network.runtime} {network.version} ({network.name})"


def _microseconds(operator: Operator) -> int:
    return round(operator.milliseconds * 1000) if math.isfinite(operator.milliseconds) else 0


def _counters(results: Sequence[StaiResult]) -> tuple[int, ...]:
    """One per sample; none where a device has no clock, or one that stood still."""
    counters = tuple(_microseconds(each.whole) for each in results)
    return counters if all(each > 0 for each in counters) else ()


def _records(nodes: Sequence[Operator]) -> tuple[OperatorRecord, ...]:
    return tuple(
        OperatorRecord(number, f"node {node.name or node.number}", None, max(_microseconds(node), 0))
        for number, node in enumerate(nodes)
    )
