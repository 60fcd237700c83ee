"""From a source operator to the call of a kernel: which function knows how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_quantcheck.graph import model
from pytest_quantcheck.image import emit_elementwise, emit_lstm, emit_move, emit_products, emit_reduce, layout
from pytest_quantcheck.image.constants import Constants
from pytest_quantcheck.image.source_operator import KernelCall, SourceOperator

_EMITTERS: dict[type[model.Params], Callable[[SourceOperator, Any], KernelCall]] = {
    model.Convolution: emit_products.convolution,
    model.TransposedConvolution: emit_products.transposed_convolution,
    model.FullyConnected: emit_products.fully_connected,
    model.BatchMatMul: emit_products.batch_matmul,
    model.Add: emit_elementwise.add,
    model.Mul: emit_elementwise.mul,
    model.Extremum: emit_elementwise.extremum,
    model.Prelu: emit_elementwise.prelu,
    model.Table: emit_elementwise.table,
    model.SigmoidInt16: emit_elementwise.sigmoid_int16,
    model.Lstm: emit_lstm.lstm,
    model.Rescale: emit_elementwise.rescale,
    model.FloatEdge: emit_elementwise.float_edge,
    model.Pool: emit_reduce.pool,
    model.Mean: emit_reduce.mean,
    model.ReduceMax: emit_reduce.reduce_max,
    model.ArgExtremum: emit_reduce.arg_extremum,
    model.L2Normalization: emit_reduce.l2_normalization,
    model.Softmax: emit_reduce.softmax,
    model.SoftmaxInt16: emit_reduce.softmax_int16,
    model.Pad: emit_move.pad,
    model.Reshape: emit_move.reshape,
    model.Slice: emit_move.slice_,
    model.Concatenation: emit_move.concatenation,
    model.Resize: emit_move.resize,
}
_VIEWS = (model.Reshape, model.Slice, model.Resize)  # they see other shapes than those of their tensors


def emit(graph: model.QuantGraph, op: model.Operator, constants: Constants) -> KernelCall:
    """The call that does what ``op`` says; its weights and tables go to ``constants``.

    Raises ``UnsupportedOperatorError`` for what the engine cannot do.
    """
    source = SourceOperator(graph, op, constants)
    emitter = _EMITTERS.get(type(op.params))
    if emitter is None or len(op.outputs) != 1:
        source.fail(f"the engine has no kernel for {type(op.params).__name__} with {len(op.outputs)} outputs")
    if not isinstance(op.params, _VIEWS):
        _require_rank(source)
    return emitter(source, op.params)


def _require_rank(source: SourceOperator) -> None:
    for number in (*source.activations, *source.op.outputs):
        tensor = source.graph.tensors[number]
        if len(tensor.shape) > layout.MAX_RANK:
            source.fail(
                f"tensor {number} ({tensor.name}) has {len(tensor.shape)} dimensions; the engine has at most "
                f"{layout.MAX_RANK} here, and more only where elements are moved"
            )
