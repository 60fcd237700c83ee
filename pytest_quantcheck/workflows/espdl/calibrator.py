"""``Calibrator``: exponents from samples, and coefficients as C++."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.onnx import graph_inputs
from pytest_quantcheck.quantizers.espdl.calibration import exponent, observe
from pytest_quantcheck.quantizers.espdl.exponents import Plan
from pytest_quantcheck.quantizers.espdl.qdq import Builder
from pytest_quantcheck.workflows.espdl.coefficients import write_coefficients
from pytest_quantcheck.workflows.espdl.model_class import write_model_class
from pytest_quantcheck.workflows.espdl.setting import Setting, check, checked
from pytest_quantcheck.workflows.espdl.table import Table, read_table, write_table


class Calibrator:
    """Quantizes an optimized float model for the layers of ESP-DL 1.1.

    ``quantization_bit`` is ``int8`` or ``int16``, ``granularity`` ``per-tensor`` or ``per-channel`` (int8
    only), ``calib_method`` ``minmax`` or ``entropy`` (int8 only). Raises ``UsageError`` for others.
    """

    def __init__(
        self, quantization_bit: str, granularity: str = "per-tensor", calib_method: str = "minmax"
    ) -> None:
        self._setting = Setting(quantization_bit, granularity, calib_method)

    def set_method(self, granularity: str, calib_method: str) -> None:
        """Choose another granularity and calibration method."""
        self._setting = self._setting.but(granularity=granularity, method=calib_method)

    def set_providers(self, providers: Sequence[str]) -> None:
        """onnxruntime's providers; calibration runs on ``CPUExecutionProvider``, and no other is taken."""
        require_cpu(providers)

    def check_model(self, model_proto: Any) -> int:
        """0 for a model that can be quantized, -1 for another, of which it prints why."""
        return check(model_proto)

    def generate_quantization_table(
        self, model_proto: Any, calib_dataset: npt.ArrayLike, pickle_file_path: str | os.PathLike[str]
    ) -> None:
        """Write the exponents of all tensors: a pickle as the toolkit's, or JSON where the path ends so.

        ``calib_dataset``: float samples (N, ...) of a model with one input, normalized as in training.
        """
        model = checked(model_proto)
        samples = _samples(model, calib_dataset)
        plan, rules, options = Plan(model.graph), self._setting.rules, self._setting.options
        seen = observe(model, [samples], plan.quantized, options.calibration_method != "minmax")
        chosen = {key: exponent(each, rules.dtype, rules.cover, options) for key, each in seen.items()}
        exponents = plan.shared(chosen)
        builder = Builder(model.graph, plan, exponents, rules)
        builder.build()
        write_table(Table(exponents, builder.chosen), pickle_file_path)

    def export_coefficient_to_cpp(
        self,
        model_proto: Any,
        pickle_file_path: str | os.PathLike[str],
        target_chip: str,
        output_path: str | os.PathLike[str],
        file_name: str,
        print_model_info: bool = False,
    ) -> None:
        """Write ``file_name.cpp`` and ``.hpp`` with the integers of all layers, and print where they are."""
        setting = self._setting.but(target=target_chip)
        graph = checked(model_proto).graph
        plan = Plan(graph)
        table = read_table(pickle_file_path, set(plan.quantized))
        what = f"{setting.bit} {setting.granularity} quantization for {target_chip}"
        print(f"Converting coefficient to {what}")
        files = write_coefficients(graph, plan, table, setting, Path(output_path), file_name)
        shown = ", ".join(f"{os.fspath(output_path)}/{path.name}" for path in files)
        print(f"Exporting finish, the output files are: {shown}")
        if print_model_info:
            _print_info(graph, plan, table)

    def export_model_class(
        self,
        model_proto: Any,
        pickle_file_path: str | os.PathLike[str],
        target_chip: str,
        output_path: str | os.PathLike[str],
        file_name: str,
        class_name: str,
    ) -> Path:
        """Write ``file_name_model.hpp``: a class of ESP-DL 1.1 that uses the files of
        ``export_coefficient_to_cpp``; the toolkit has no such method. Raises ``QuantizationError`` for a
        layer that is not known here.
        """
        graph = checked(model_proto).graph
        plan = Plan(graph)
        table = read_table(pickle_file_path, set(plan.quantized))
        setting = self._setting.but(target=target_chip)
        return write_model_class(graph, plan, table, setting, Path(output_path), file_name, class_name)


def require_cpu(providers: Sequence[str]) -> None:
    """Raises ``UsageError`` for a provider that is not used here."""
    if list(providers) != ["CPUExecutionProvider"]:
        raise UsageError(f"providers {list(providers)!r} are not supported; allowed: CPUExecutionProvider")


def _samples(model: Any, given: npt.ArrayLike) -> npt.NDArray[np.float32]:
    inputs = graph_inputs(model.graph)
    samples = np.asarray(given, np.float32)
    if len(inputs) != 1:
        raise UsageError(f"the model has {len(inputs)} inputs; one is supported here")
    if samples.ndim < 1 or not len(samples):
        raise UsageError("the calibration dataset is empty")
    shape = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim]
    if list(samples.shape[1:]) != shape[1:]:
        raise UsageError(
            f"the calibration dataset has samples of shape {samples.shape[1:]}; the model takes "
            f"{tuple(shape[1:])}"
        )
    return samples


def _print_info(graph: Any, plan: Plan, table: Table) -> None:
    print("\nQuantized model info:")
    for info in graph_inputs(graph):
        print(f"model input name: {info.name}, exponent: {table.of(info.name)}")
    inside = {plan.quantized_output(node) for node in graph.node if node.output[0] in plan.inside}
    for node in graph.node:
        if node.output[0] in inside or node.op_type == "Constant":  # a clamp that a layer contains
            continue
        exponent_of = table.of(plan.quantized_output(node))
        print(f"{node.op_type} layer name: {node.name}, output_exponent: {exponent_of}")
