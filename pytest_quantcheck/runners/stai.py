"""Runs a model on a board with ST's validation firmware (X-CUBE-AI, ST Edge AI).

The outputs are raw tensors. The device describes its inputs and outputs: type, shape, scale and zero point
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
from pytest_quantcheck.rig.stai.messages import Operator
from pytest_quantcheck.rig.stai.session import StaiSession
from pytest_quantcheck.rig.stai.settings import StaiSettings
from pytest_quantcheck.rig.stai.tensors import TensorInfo
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.device import MICROSECOND_CLOCK, Device
from pytest_quantcheck.runners.on_board import OnForeignBoard
from pytest_quantcheck.runners.rows import Rows
from pytest_quantcheck.runners.run import Footprint, OperatorRecord, Run, Vectors
from pytest_quantcheck.wording import clipped

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
        settings = StaiSettings.of(session.entry)
        self._check_signature(model, settings, identity)
        self._check_layout(model, identity)
        self.refuse_state(model)
        inputs = prepare.quantize_inputs(model, vectors)
        results = session.infer(Rows(inputs), identity, nodes=operators)
        network = identity.network
        return Run(
            runner=self.name,
            runtime=_runtime(identity),
            model=model,
            vectors=vectors,
            inputs=inputs,
            outputs=prepare.model_outputs(model, _outputs(model, results)),
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
                unproven=_unproven(model, settings, identity),
            ),
            effort=self.effort(),
            log=str(session.log),
        )

    def _check_signature(self, model: QuantizedModel, settings: StaiSettings, identity: Identity) -> None:
        if not settings.signatures:
            return
        network = identity.network
        if model.sha256 not in settings.signatures:
            raise UsageError(
                f"the board {self.session.entry.name} has no signature for this model; add to its "
                f'[board.protocol_settings], with the network of this model on the board: "{model.sha256}" = '
                f'"{network.signature}" (what the device says now)'
            )
        if network.signature != (wanted := settings.signatures[model.sha256]):
            raise self.fault(
                f"the device's network {network.name!r} has the signature {network.signature!r}, the "
                f"inventory expects {wanted!r} for this model\n"
                "what to do: flash the network that was made of it"
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
                        "the .tflite or .onnx under test, without --input-data-type and --output-data-type, "
                        "of an .onnx with --inputs-ch-position chfirst --outputs-ch-position chfirst"
                    )


def _outputs(model: QuantizedModel, results: Sequence[StaiResult]) -> tuple[Array, ...]:
    """Raw outputs (N, *shape)."""
    outputs = []
    for number, tensor in enumerate(prepare.summary_of(model.artefact).output_tensors):
        dtype = np.dtype(tensor.dtype)
        rows = [np.frombuffer(each.outputs[number], dtype.newbyteorder("<")) for each in results]
        outputs.append(np.stack(rows).astype(dtype).reshape(len(rows), *tensor.shape))
    return tuple(outputs)


def _difference(tensor: TensorSummary, info: TensorInfo) -> str:
    """What of the device's tensor is not the model's; empty where it is the same. Axes of size 1 (the batch,
    and those that ST's tools add) do not count.
    """
    if info.dtype != tensor.dtype:
        return f"its type is {info.dtype}, not {tensor.dtype}"
    if info.elements != tensor.elements:
        return f"it has {info.elements} elements, not {tensor.elements}"
    if [axis for axis in info.shape if axis != 1] != [axis for axis in tensor.shape if axis != 1]:
        return f"its shape is {info.shape}, not {tuple(tensor.shape)}"
    if tensor.dtype == "float32":
        return ""
    if not len(tensor.scales):
        return f"it is quantized (scale {info.scale:.8g})" if info.scale else ""
    scale, zero_point = float(tensor.scales[0]), int(tensor.zero_points[0]) if len(tensor.zero_points) else 0
    if not info.scale:
        return f"it has no scale (0), so that nothing shows whether it is {scale:.8g}"
    if not math.isclose(info.scale, scale, rel_tol=_SCALE_TOLERANCE):
        return f"its scale is {info.scale:.8g}, not {scale:.8g}"
    return "" if info.zero_point == zero_point else f"its zero point is {info.zero_point}, not {zero_point}"


def _unproven(model: QuantizedModel, settings: StaiSettings, identity: Identity) -> str:
    """What would prove the model; empty where the inventory says which signature the network must have."""
    if settings.signature or settings.signatures:
        return ""
    return (
        f'Flash the network that was made of it, and write "{model.sha256}" = "{identity.network.signature}" '
        "(its SHA-256, and what the device says now) into [board.protocol_settings]: docs/stai.md."
    )


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
