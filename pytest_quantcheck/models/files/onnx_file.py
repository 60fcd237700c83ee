"""A float ``.onnx`` file as one self-contained model with batch 1 and fixed sizes, read without running it.

Tensors in files of their own (external data) are taken in, local functions are inlined, a symbolic batch
becomes 1, float16 becomes float32, an input that has a value is a constant. The layout of inputs and outputs
(NCHW as a rule) stays the file's.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.onnx import (
    CUSTOM,
    MAX_FILE_BYTES,
    MAX_NODES,
    array,
    constants,
    graph_inputs,
    kind_of,
    load_onnx,
    parse,
    value_type,
)
from pytest_quantcheck.formats.onnx_form import other_form
from pytest_quantcheck.wording import first_line

QUANTIZED_KINDS = (
    "QuantizeLinear",
    "DequantizeLinear",
)
MAX_DEPTH = 100  # of functions that call functions
CONTROL_FLOW = ("If", "Loop", "Scan", "SequenceMap")


def float_onnx(data: bytes, folder: Path | None = None) -> bytes:
    """The content of a float ONNX file, ready to be quantized.

    ``folder`` is where the model's external data may lie, and the only place. Raises ``ModelError`` for
    what is damaged, quantized already, open in size, or made of operators that are not ONNX's own.
    """
    onnx = load_onnx()
    model = parse(data)
    _take_in(model, folder)
    if model.functions:
        model = _inlined(onnx, model)
    _settle_constants(model)
    _widen(onnx, model.graph)
    _check_operators(model.graph)
    _check_inputs(model.graph)
    _check_values(model.graph)
    fixed = _fix_batch(model)
    try:
        fixed = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
        _check_outputs(fixed.graph)
        onnx.checker.check_model(fixed)
    except ModelError:
        raise
    except Exception as error:  # ValidationError and InferenceError have no common public base
        raise ModelError(f"ONNX's checker refuses the model: {first_line(error)}") from error
    return bytes(fixed.SerializeToString(deterministic=True))


def _take_in(model: Any, folder: Path | None) -> None:
    """Read external data into the model; every file must lie in the model's own folder."""
    onnx = load_onnx()
    room = MAX_FILE_BYTES
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        content = _external(tensor, folder, room)
        room -= len(content)
        tensor.raw_data = content
        del tensor.external_data[:]
        tensor.data_location = onnx.TensorProto.DEFAULT


def _external(tensor: Any, folder: Path | None, room: int) -> bytes:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    what = f"tensor '{tensor.name}' lies in the file {location!r}"
    if folder is None:
        raise ModelError(f"{what}, but the model was given as bytes; give its file name")
    try:
        home = folder.resolve()
        path = (home / location).resolve()
        if not location or Path(location).is_absolute() or not path.is_relative_to(home):
            raise ModelError(f"{what}, outside of the model's folder; put it beside the model")
        if path.exists() and not path.is_file():  # a folder, or a pipe that nobody writes to
            raise ModelError(f"{what}, which is no file; put it beside the model")
        offset, size = int(entries.get("offset", 0)), path.stat().st_size
        length = int(entries.get("length", size - offset))
        if offset < 0 or not 0 <= length <= size - offset:
            raise ModelError(f"{what} at {offset} with {length} bytes, but the file has {size}")
        if length > room:
            raise ModelError(f"the model's external data have more than {MAX_FILE_BYTES} bytes")
        with path.open("rb") as file:
            file.seek(offset)
            content: bytes = file.read(length)
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: NUL in a name; RuntimeError: a loop
        raise ModelError(f"{what}, which cannot be read ({error}); put it beside the model") from error
    return content


def _inlined(onnx: Any, model: Any) -> Any:
    _check_expansion(model)
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # whatever the C++ code raises
        raise ModelError(f"the model's local functions cannot be inlined: {first_line(error)}") from error


def _check_expansion(model: Any) -> None:
    """Functions that call others twice each grow without bound: what they come to is counted first."""
    bodies = {_called(function, function.name): list(_nodes(function.node)) for function in model.functions}
    calls = {
        key: {_called(node, node.op_type) for node in nodes} & bodies.keys() for key, nodes in bodies.items()
    }
    try:
        order = list(graphlib.TopologicalSorter(calls).static_order())
    except graphlib.CycleError as error:
        raise ModelError(
            "the model's local functions call themselves; export it without functions"
        ) from error
    costs: dict[tuple[str, str, str], tuple[int, int, int]] = {}
    for key in order:
        costs[key] = _expanded(bodies[key], costs)
    nodes, size, depth = _expanded(list(_nodes(model.graph.node)), costs)
    if nodes > MAX_NODES or size > MAX_FILE_BYTES or depth > MAX_DEPTH:
        raise ModelError(
            f"the model's local functions come to {nodes} nodes and {size} bytes, {depth} calls deep; at "
            f"most {MAX_NODES}, {MAX_FILE_BYTES} and {MAX_DEPTH} are read. Export it without functions"
        )


def _called(where: Any, name: str) -> tuple[str, str, str]:
    return where.domain, name, getattr(where, "overload", "")  # overload: since IR version 10


def _nodes(nodes: Any) -> Iterator[Any]:
    """The nodes, and those of their subgraphs."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                waiting.extend(graph.node)


def _expanded(
    nodes: list[Any], costs: dict[tuple[str, str, str], tuple[int, int, int]]
) -> tuple[int, int, int]:
    """Nodes, bytes and depth of calls after inlining."""
    each = [
        (1, node.ByteSize(), 0) if (key := _called(node, node.op_type)) not in costs else costs[key]
        for node in nodes
    ]
    depth = 1 + max((deep for _, _, deep in each), default=0)
    return sum(n for n, _, _ in each), sum(size for _, size, _ in each), depth


def _settle_constants(model: Any) -> None:
    """Take initializers out of the inputs, where older files list them: as inputs they could be fed anew, and
    onnxruntime folds nothing into them.
    """
    inputs = [type(info).FromString(info.SerializeToString()) for info in graph_inputs(model.graph)]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 4)  # the first that allows it


def _widen(onnx: Any, graph: Any) -> None:
    """Make float32 of float16 and bfloat16: in constants, at the edges, and where something is cast to it."""
    half = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    tensors = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                tensors.append(attribute.t)
            elif (node.op_type, attribute.name) == ("Cast", "to") and attribute.i in half:
                attribute.i = onnx.TensorProto.FLOAT
    for tensor in tensors:
        if tensor.data_type in half:
            wide = array(tensor).astype("float32")
            tensor.CopyFrom(onnx.numpy_helper.from_array(wide, tensor.name))
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type in half:
            info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def _check_operators(graph: Any) -> None:
    """Names what cannot be done, all of it, before any library fails at the first."""
    onnx = load_onnx()
    if form := other_form(graph):
        raise ModelError(f"not a float model. {form}")
    where: dict[str, str] = {}
    for position, node in enumerate(graph.node):
        where.setdefault(kind_of(node), f"operator {position}" + (f" ('{node.name}')" if node.name else ""))
    custom = [kind[len(CUSTOM) :] for kind in where if kind.startswith(CUSTOM)]
    if custom:
        raise ModelError(
            f"the model uses operators of other domains: {', '.join(custom)}. They run on no board; export "
            "the model with ONNX's own operators"
        )
    if flow := [kind for kind in where if kind in CONTROL_FLOW]:
        raise ModelError(
            f"the model has control flow ({', '.join(flow)}), which is not supported; export it unrolled"
        )
    if quantized := [kind for kind in where if kind in QUANTIZED_KINDS]:
        raise ModelError(
            f"not a float model: it holds {', '.join(quantized)}, the first at {where[quantized[0]]}. "
            "Quantizing needs the float model; to test this file as it is, give it as the artefact"
        )
    if any(each.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8) for each in graph.initializer):
        raise ModelError(
            "not a float model: it holds int8 or uint8 weights. Quantizing needs the float model"
        )
    if graph.sparse_initializer:
        raise ModelError("the model holds sparse tensors, which are not supported; export them dense")


def _check_inputs(graph: Any) -> None:
    inputs = graph_inputs(graph)
    if not inputs or not graph.output:
        raise ModelError("the network has no input or no output")
    for info in inputs:
        shape, dtype = value_type(info)
        if dtype != "float32":
            raise ModelError(f"input '{info.name}' is {dtype}; only float32 inputs can be quantized")
        open_sizes = [n for n in shape[1:] if not isinstance(n, int) or n < 1]
        if not shape or open_sizes or (isinstance(shape[0], int) and shape[0] > 1):
            wanted = ",".join(["1", *(str(n) if isinstance(n, int) and n > 0 else "?" for n in shape[1:])])
            raise ModelError(
                f"input '{info.name}' has the shape ({', '.join(map(str, shape))}); a microcontroller needs "
                "batch 1 and fixed sizes. Export it so, or fix it with: "
                "python -m onnxruntime.tools.make_dynamic_shape_fixed IN.onnx OUT.onnx "
                f"--input_name {info.name} --input_shape {wanted}"
            )


def _check_values(graph: Any) -> None:
    """What comes of training that went wrong; the quantizer says "scale issue" to it."""
    values = constants(graph)
    told = "Look at the training: its loss has become NaN, or the variance of a batch norm is negative"
    for name, value in values.items():
        if value.dtype.kind == "f" and np.isnan(value).any():
            raise ModelError(f"the constant '{name}' holds NaN. {told}")
    for node in graph.node:
        parameters = [values.get(name) for name in node.input[4:5] if kind_of(node) == "BatchNormalization"]
        if any(variance is not None and (variance < 0).any() for variance in parameters):
            raise ModelError(f"the BatchNormalization '{node.name}' has a negative variance. {told}")


def _fix_batch(model: Any) -> Any:
    """A copy in which the inputs' first size is 1; what follows from another batch is inferred anew."""
    fixed = load_onnx().ModelProto()
    fixed.CopyFrom(model)
    symbols = set()
    for info in graph_inputs(fixed.graph):
        size = info.type.tensor_type.shape.dim[0]
        if size.HasField("dim_param"):
            symbols.add(size.dim_param)
        size.dim_value = 1
    del fixed.graph.value_info[:]
    for info in fixed.graph.output:
        for size in info.type.tensor_type.shape.dim:
            if size.dim_param in symbols and size.HasField("dim_param"):
                size.dim_value = 1
        if any(not size.HasField("dim_value") for size in info.type.tensor_type.shape.dim):
            info.type.tensor_type.ClearField("shape")  # for shape inference to fill in
    return fixed


def _check_outputs(graph: Any) -> None:
    for info in graph.output:
        shape, dtype = value_type(info)
        if dtype != "float32":
            raise ModelError(f"output '{info.name}' is {dtype}; only float32 outputs can be quantized")
        if not shape or any(not isinstance(n, int) or n < 1 for n in shape):
            raise ModelError(
                f"output '{info.name}' has the shape ({', '.join(map(str, shape))}), which does not follow "
                "from the inputs; a microcontroller needs fixed sizes. Export the model with a fixed shape"
            )
