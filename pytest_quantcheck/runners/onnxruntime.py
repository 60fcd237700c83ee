"""``onnxruntime``: ONNX models, float or QDQ, as onnxruntime's CPU provider runs them; a reference by name.

Quantized models run on its integer kernels: int8 activations are allowed to (by default x86 computes such
models in float), and uint8 ones take the kernels that cannot saturate on processors without VNNI.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pytest_quantcheck.errors import MissingExtraError, ModelError, UsageError
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.formats.onnx import load_onnx, parse
from pytest_quantcheck.formats.summary import TensorSummary
from pytest_quantcheck.graph.execute import crc32
from pytest_quantcheck.graph.from_onnx.read import origins
from pytest_quantcheck.graph.from_onnx.values import Origin
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.batches import Records, run_in_batches
from pytest_quantcheck.runners.run import OperatorRecord, Run, Vectors, installed
from pytest_quantcheck.wording import first_line

INT8_ALLOWED = "session.qdqisint8allowed"  # source: onnxruntime_session_options_config_keys.h
X64_PRECISE = "session.x64quantprecision"


class OnnxruntimeRunner:
    """onnxruntime on one thread, one sample at a time."""

    name = "onnxruntime"

    @property
    def runtime(self) -> str:
        """Implementation and version."""
        return f"onnxruntime {installed('onnxruntime')}"

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """See ``Runner``. Raises ``UsageError`` for other formats, ``ModelError`` for refused models."""
        _require_onnx(model)
        sources = origins(model.artefact) if operators else ()
        session = _session(model.artefact, _names(sources))
        tensors = prepare.summary_of(model.artefact).output_tensors

        def infer(inputs: list[Array]) -> tuple[list[Array], list[Records]]:
            values = _invoke(session, [x[0] for x in inputs])
            outputs = [
                _checked(value, tensor)
                for value, tensor in zip(list(values.values())[: len(tensors)], tensors, strict=True)
            ]
            found = tuple(
                OperatorRecord(each.operator, each.kind, crc32(_as_in_graph(values, each)))
                for each in sources
            )
            return outputs, [found] if operators else []

        return run_in_batches(model, vectors, infer, runner=self.name, runtime=self.runtime)

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        """See ``Runner``; the layout is that of the integer graph."""
        _require_onnx(model)
        sources = origins(model.artefact)
        for each in sources:
            if each.operator == operator:
                # the session of the checksums: which tensors are wanted decides what onnxruntime fuses
                session = _session(model.artefact, _names(sources))
                values = _invoke(session, [x[0] for x in prepare.one_inference(model, inputs)])
                return _as_in_graph(values, each)
        raise UsageError(f"model {model.name} has no operator {operator}")


def _require_onnx(model: QuantizedModel) -> None:
    if not is_onnx(model.artefact):
        raise UsageError(
            f"model {model.name} is a TFLite file, which onnxruntime does not run; "
            "use tflm, integer or litert"
        )


def _checked(value: Array, tensor: TensorSummary) -> Array:
    """One output, (1, *shape); the shape is the one that the file states."""
    if value.shape != tensor.shape:
        raise ModelError(f"output '{tensor.name}' is {tensor.shape} by the file, but {value.shape}")
    return value[np.newaxis]


def _names(sources: Sequence[Origin]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source.name for source in sources))


def _as_in_graph(values: dict[str, Array], origin: Origin) -> Array:
    return origin.in_graph(values[origin.name])


@lru_cache(maxsize=16)
def _session(artefact: bytes, more_outputs: tuple[str, ...] = ()) -> Any:
    """A session for an artefact, which also hands out the tensors called ``more_outputs``."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError("onnxruntime", "onnx", "the runner onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    signed = any(t.dtype == "int8" and t.data is None for t in prepare.summary_of(artefact).tensors)
    options.add_session_config_entry(INT8_ALLOWED if signed else X64_PRECISE, "1")
    content = _with_outputs(artefact, more_outputs) if more_outputs else artefact
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own types, which have no common public base
        raise ModelError(f"onnxruntime refuses the model: {first_line(error)}") from error


def _with_outputs(artefact: bytes, names: tuple[str, ...]) -> bytes:
    onnx = load_onnx()
    model = parse(artefact)
    known = {info.name for info in model.graph.output}
    for name in names:
        if name not in known:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    return bytes(model.SerializeToString())


def _invoke(session: Any, inputs: Sequence[Array]) -> dict[str, Array]:
    """All outputs by name, the model's own first."""
    feeds = {each.name: x for each, x in zip(session.get_inputs(), inputs, strict=True)}
    try:
        values = session.run(None, feeds)
    except Exception as error:  # as above
        raise ModelError(f"onnxruntime cannot run the model: {first_line(error)}") from error
    return {each.name: value for each, value in zip(session.get_outputs(), values, strict=True)}
