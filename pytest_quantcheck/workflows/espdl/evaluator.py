"""``Evaluator``: what the quantized model computes on the host, in integers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_onnx.read import read_onnx
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.power_of_two import dequantize, quantize
from pytest_quantcheck.quantizers.espdl.exponents import Plan
from pytest_quantcheck.quantizers.espdl.qdq import Builder, say
from pytest_quantcheck.quantizers.onnx.edges import fold_edges
from pytest_quantcheck.quantizers.onnx.rewrite import sort
from pytest_quantcheck.workflows.espdl.calibrator import require_cpu
from pytest_quantcheck.workflows.espdl.setting import Setting, check, checked
from pytest_quantcheck.workflows.espdl.table import read_table


class Evaluator:
    """Runs a model by a quantization table as a chip with ESP-DL 1.1 computes it.

    ``quantization_bit``, ``granularity`` and ``target_chip`` as of ``Calibrator``.
    """

    def __init__(
        self, quantization_bit: str, granularity: str = "per-tensor", target_chip: str = "esp32s3"
    ) -> None:
        self._setting = Setting(quantization_bit, granularity, target=target_chip)
        self._graph: QuantGraph | None = None
        self._artefact = b""

    def set_target_chip(self, target_chip: str) -> None:
        """Choose another chip; the quantized model must be generated again."""
        self._setting = self._setting.but(target=target_chip)
        self._graph = None

    def set_providers(self, providers: Sequence[str]) -> None:
        """onnxruntime's providers; ``CPUExecutionProvider`` is the only one that is taken."""
        require_cpu(providers)

    def check_model(self, model_proto: Any) -> int:
        """0 for a model that can be quantized, -1 for another, of which it prints why."""
        return check(model_proto)

    def generate_quantized_model(self, model_proto: Any, pickle_file_path: str | os.PathLike[str]) -> None:
        """The integer model that a table makes of a float one."""
        model = checked(model_proto)
        plan = Plan(model.graph)
        table = read_table(pickle_file_path, set(plan.quantized))
        exponents = {name: table.of(name) for name in plan.quantized}
        Builder(model.graph, plan, exponents, self._setting.rules, table.constants).build()
        fold_edges(model.graph, inputs=True, outputs=True)
        sort(model.graph)
        say(model, self._setting.rules, self._setting.options)
        self._artefact = bytes(model.SerializeToString(deterministic=True))
        self._graph = read_onnx(self._artefact)

    @property
    def artefact(self) -> bytes:
        """The quantized model as a ``.onnx`` file: ``quantcheck run`` takes it to a board."""
        self._require()
        return self._artefact

    def _require(self) -> QuantGraph:
        if self._graph is None:
            raise UsageError("there is no quantized model yet; call generate_quantized_model first")
        return self._graph

    def evaluate_quantized_model(
        self, batch_fp_input: npt.ArrayLike, to_float: bool = False
    ) -> tuple[list[Array], list[str]]:
        """Outputs (N, ...) and their names of float samples (N, ...); integers, unless ``to_float``."""
        graph = self._require()
        if len(graph.inputs) != 1:
            raise UsageError(f"the model has {len(graph.inputs)} inputs; one is supported here")
        source = graph.tensors[graph.inputs[0]]
        batch = np.asarray(batch_fp_input, np.float32)
        if batch.shape[1:] != source.shape[1:] or not len(batch):
            raise UsageError(f"samples of shape {batch.shape[1:]}; the model takes {source.shape[1:]}")
        integers = quantize(batch, _exponent(graph, source.index), source.dtype)
        values = execute.run_batch(graph, [integers[:, None]])
        outputs = []
        for index in graph.outputs:
            found = values[index]
            assert found is not None
            rows = found.reshape(len(batch), *found.shape[2:])
            outputs.append(dequantize(rows, _exponent(graph, index)) if to_float else rows)
        return outputs, [graph.tensors[index].name for index in graph.outputs]

    evalute_quantized_model = evaluate_quantized_model  # as the toolkit spells it


def _exponent(graph: QuantGraph, index: int) -> int:
    quantization = graph.tensors[index].quantization
    assert quantization is not None
    return int(np.frexp(quantization.scale[0])[1]) - 1
