"""An ``.onnx`` file as plain values, without judging what it asks for: the only module that parses ONNX.

Whether a float model can be quantized is for ``models.onnx_file`` to say, whether a quantized one can run
for ``graph.from_onnx``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_quantcheck.errors import MissingExtraError, ModelError, QuantcheckError
from pytest_quantcheck.formats.summary import OperatorSummary, Summary, TensorSummary
from pytest_quantcheck.numerics.arrays import Array, Float32, IntArray

MAX_FILE_BYTES = 1 << 28
MAX_NODES = 10_000
MAX_RANK = 8
CUSTOM = "CUSTOM:"
ONNX_DOMAINS = ("", "ai.onnx")
_NO_SCALES: tuple[Float32, IntArray] = (
    np.zeros(0, np.float32),
    np.zeros(0, np.int64),
)

Attributes = dict[str, Any]  # of one node, by name


def load_onnx() -> Any:
    """The ``onnx`` package. Raises ``MissingExtraError``."""
    try:
        import onnx
        import onnx.inliner
        import onnx.numpy_helper
        import onnx.shape_inference
        import onnx.version_converter
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx", "Reading ONNX models") from error
    return onnx


def parse(data: bytes) -> Any:
    """The ``ModelProto`` of a file. Raises ``ModelError`` for what is no sound ONNX model, or too large."""
    onnx = load_onnx()
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(f"the ONNX file has {len(data)} bytes; at most {MAX_FILE_BYTES} are read")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError has no public home
        raise ModelError(f"not a sound ONNX file ({error})") from error
    graph = model.graph
    if not model.ir_version or not model.opset_import or not graph.node:
        raise ModelError("not an ONNX model: it has no version, no operator set or no operators")
    if len(graph.node) > MAX_NODES:
        raise ModelError(f"the ONNX graph has {len(graph.node)} nodes; at most {MAX_NODES} are read")
    return model


@contextlib.contextmanager
def damage_told() -> Iterator[None]:
    """What following a damaged model leads to (a name that is no text, a short list) as ``ModelError``."""
    try:
        yield
    except QuantcheckError:
        raise
    except Exception as error:
        raise ModelError(f"the ONNX file is damaged: {type(error).__name__}: {error}") from error


def opset(model: Any) -> int:
    """The version of ONNX's own operators."""
    return max((int(each.version) for each in model.opset_import if each.domain in ONNX_DOMAINS), default=0)


def metadata(model: Any) -> dict[str, str]:
    """What the file says of itself beside its graph (``metadata_props``)."""
    return {entry.key: entry.value for entry in model.metadata_props}


def kind_of(node: Any) -> str:
    """ONNX's name of an operator, ``CUSTOM:domain.Name`` for one of another domain."""
    if node.domain in ONNX_DOMAINS:
        return str(node.op_type)
    if node.domain == "com.microsoft" and node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        return str(node.op_type)
    return f"{CUSTOM}{node.domain}.{node.op_type}"


def attributes(node: Any) -> Attributes:
    """The attributes of a node by name; text is decoded, tensors are arrays, subgraphs stay protos."""
    onnx = load_onnx()
    values = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif attribute.type == onnx.AttributeProto.TENSOR:
            value = array(value)
        values[attribute.name] = value
    return values


def array(tensor: Any) -> Array:
    """The values of an initializer. Raises ``ModelError`` when it is damaged or lies outside the file."""
    onnx = load_onnx()
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise ModelError(
            f"tensor '{tensor.name}' lies in a file of its own (external data); give the model's file name"
        )
    if len(tensor.dims) > MAX_RANK or any(n < 0 for n in tensor.dims):
        raise ModelError(f"tensor '{tensor.name}' has the shape {list(tensor.dims)}")
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor))
    except Exception as error:  # ValueError, TypeError, KeyError, ... by what is wrong
        raise ModelError(f"tensor '{tensor.name}' is damaged: {error}") from error


def constants(graph: Any) -> dict[str, Array]:
    """Initializers and the outputs of Constant nodes, by name."""
    found = {tensor.name: array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.domain in ONNX_DOMAINS and len(node.output) == 1:
            found[node.output[0]] = _constant_value(node)
    return found


def _constant_value(node: Any) -> Array:
    for name, value in attributes(node).items():
        if name == "value":
            return np.asarray(value)
        if name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    raise ModelError(f"the Constant node '{node.name}' holds no tensor or number")


def value_type(info: Any) -> tuple[tuple[int | str, ...], str]:
    """Shape (text where a size is open) and NumPy's name of the type of a graph input or output."""
    onnx = load_onnx()
    if not info.type.HasField("tensor_type"):
        raise ModelError(f"'{info.name}' is no tensor but a {info.type.WhichOneof('value') or 'nothing'}")
    kind = info.type.tensor_type
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    except Exception as error:  # an unknown number
        raise ModelError(f"'{info.name}' has the unknown element type {kind.elem_type}") from error
    shape = tuple(
        int(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim
    )
    return shape, dtype


def edge_type(info: Any) -> tuple[tuple[int | str, ...], str]:
    """As ``value_type``, with an open batch, which stands before other sizes, read as 1."""
    shape, dtype = value_type(info)
    return (1, *shape[1:]) if len(shape) > 1 and isinstance(shape[0], str) else shape, dtype


def graph_inputs(graph: Any) -> list[Any]:
    """What a user feeds: older files list their initializers among the inputs."""
    known = {tensor.name for tensor in graph.initializer}
    return [info for info in graph.input if info.name not in known]


def in_order(graph: Any) -> list[Any]:
    """The nodes so that each follows those it reads from; onnxruntime's quantizer appends them as they come.

    Raises ``ModelError`` for a cycle, and for a tensor that two of them write.
    """
    written = {each.name for each in (*graph.input, *graph.initializer)}
    for name in (name for node in graph.node for name in node.output if name):
        if name in written:
            raise ModelError(f"the ONNX graph writes the tensor '{name}' twice; export the model again")
        written.add(name)
    makers = {name: node for node in graph.node for name in node.output if name}
    waiting = {id(node): {id(makers[n]) for n in node.input if n in makers} for node in graph.node}
    readers: dict[int, list[Any]] = {}
    for node in graph.node:
        for before in waiting[id(node)]:
            readers.setdefault(before, []).append(node)
    ready = [node for node in graph.node if not waiting[id(node)]]
    for node in ready:  # grows while it is walked
        for reader in readers.get(id(node), ()):
            waiting[id(reader)].discard(id(node))
            if not waiting[id(reader)]:
                ready.append(reader)
    if len(ready) != len(graph.node):
        raise ModelError("the ONNX graph has a cycle")
    return ready


def quantization_of(graph: Any, values: dict[str, Array]) -> dict[str, tuple[Array, Array, int, str]]:
    """Scales, zero points, axis and integer type by the name of the integer tensor.

    They stand at the QuantizeLinear that makes it, or at the DequantizeLinear that reads it.
    """
    found: dict[str, tuple[Array, Array, int, str]] = {}
    for node, name in _quantized_names(graph):
        scale = values.get(node.input[1])
        if scale is None or name in found:
            continue
        zero = values.get(node.input[2]) if len(node.input) > 2 else None
        dtype = zero.dtype.name if zero is not None else "uint8"
        scales = scale.reshape(-1).astype(np.float32)
        zeros = np.zeros(len(scales)) if zero is None else zero.reshape(-1)
        found[name] = (scales, zeros.astype(np.int64), int(attributes(node).get("axis", 1)), dtype)
    return found


def _quantized_names(graph: Any) -> Iterator[tuple[Any, str]]:
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and len(node.input) > 1:
            yield node, node.output[0]
        elif node.op_type == "DequantizeLinear" and len(node.input) > 1:
            yield node, node.input[0]


def read_onnx_summary(data: bytes) -> Summary:
    """Tensors and operators of an ONNX file in the terms of ``Summary``; ``kind`` is ONNX's name.

    Shapes are what the file states; of tensors in the middle it states none. Raises ``ModelError``.
    """
    with damage_told():
        return _summary(parse(data))


def _summary(model: Any) -> Summary:
    graph = model.graph
    values = constants(graph)
    quantization = quantization_of(graph, values)
    stated = {info.name: edge_type(info) for info in (*graph_inputs(graph), *graph.output)}
    names = dict.fromkeys([*stated, *values])
    for node in graph.node:
        names.update(dict.fromkeys(name for name in (*node.input, *node.output) if name))
    index = {name: position for position, name in enumerate(names)}
    tensors = tuple(_tensor(index[name], name, stated, values, quantization) for name in names)
    operators = tuple(
        OperatorSummary(
            position,
            kind_of(node),
            tuple(index[name] if name else -1 for name in node.input),
            tuple(index[name] for name in node.output if name),
            attributes(node),
        )
        for position, node in enumerate(graph.node)
        if kind_of(node) != "Constant"
    )
    return Summary(
        operators,
        tensors,
        tuple(index[info.name] for info in graph_inputs(graph)),
        tuple(index[info.name] for info in graph.output),
        1,
        str(model.producer_name),
        "half_even",
    )


def _tensor(
    index: int,
    name: str,
    stated: dict[str, tuple[tuple[int | str, ...], str]],
    values: dict[str, Array],
    quantization: dict[str, tuple[Array, Array, int, str]],
) -> TensorSummary:
    scales, zeros, axis, dtype = quantization.get(name, (*_NO_SCALES, 0, "float32"))
    shape: tuple[int, ...] = ()
    data = None
    if name in stated:
        shape = tuple(n if isinstance(n, int) else -1 for n in stated[name][0])
        dtype = stated[name][1]
    elif name in values:
        shape, dtype = values[name].shape, values[name].dtype.name
        data = np.frombuffer(np.ascontiguousarray(values[name]).tobytes(), np.uint8)
    return TensorSummary(index, name, shape, dtype, scales, zeros, axis, data)
