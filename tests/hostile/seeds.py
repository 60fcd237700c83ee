"""Sound files, in memory, that hostile ones are made of."""

from __future__ import annotations

import io
import json
from typing import Any

import h5py
import numpy as np


def keras_config() -> dict[str, Any]:
    """Two layers and an activation, as Keras 3 writes them."""
    dtype = {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": "float32"},
        "registered_name": None,
    }

    def part(module: str, kind: str, /, **config: Any) -> dict[str, Any]:
        return {"module": module, "class_name": kind, "config": config, "registered_name": None}

    start = part("keras.initializers", "Zeros")
    layers = [
        part("keras.layers", "InputLayer", batch_shape=[None, 4], name="x", dtype="float32", sparse=False),
        part(
            "keras.layers",
            "Dense",
            name="d",
            units=2,
            activation="relu",
            use_bias=True,
            kernel_initializer=start,
            bias_initializer=start,
            dtype=dtype,
        ),
        part("keras.layers", "Softmax", name="s", axis=-1, dtype=dtype),
    ]
    model = part("keras", "Sequential", name="net", layers=layers, build_input_shape=[None, 4], dtype=dtype)
    return {**model, "build_config": {"input_shape": [None, 4]}, "compile_config": {"loss": "mine"}}


def keras_weights() -> bytes:
    """What belongs to ``keras_config``."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["layers/dense/vars/0"] = np.ones((4, 2), "f4")
        file["layers/dense/vars/1"] = np.zeros(2, "f4")
    return content.getvalue()


def h5(config: Any, trick: int) -> bytes:
    """A legacy model file; by ``trick`` sound, or with a link, data elsewhere, or a promise of a terabyte."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"d"]
        inner = group.create_group("d")
        inner.attrs["weight_names"] = [b"kernel", b"bias"]
        inner["bias"] = np.zeros(2, "f4")
        if trick == 1:
            inner["kernel"] = h5py.ExternalLink("/etc/hostname", "/kernel")
        elif trick == 2:
            inner.create_dataset("kernel", (4, 2), "f4", external=[("/etc/passwd", 0, 32)])
        elif trick == 3:
            inner.create_dataset("kernel", (1 << 40,), "f4", chunks=(1 << 10,))
        elif trick == 4:
            inner["kernel"] = h5py.SoftLink("/model_weights/d/kernel")
        else:
            inner["kernel"] = np.zeros((4, 2), "f4")
    return content.getvalue()


def onnx(trick: int, path: str) -> bytes:
    """A float network; by ``trick`` with data elsewhere, a subgraph, functions, a shape that is no shape."""
    from onnx import TensorProto, helper, numpy_helper

    value = helper.make_tensor_value_info
    weights = numpy_helper.from_array(np.ones((4, 2), np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    if trick == 1:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value=path)
        weights.external_data.add(key="length", value=str(1 << 60))
    if trick == 2:
        weights.dims[:] = [1 << 40, 1 << 40]
    if trick == 3:
        inner = helper.make_graph([helper.make_node("Relu", ["h"], ["z"])], "g", [], [value("z", 1, [1, 2])])
        nodes[1] = helper.make_node("If", ["h"], ["y"], then_branch=inner, else_branch=inner)
    if trick == 4:
        nodes[1] = helper.make_node("Reshape", ["h", "h"], ["y"])
    sides = [value("x", TensorProto.FLOAT, [1, 4])], [value("y", TensorProto.FLOAT, [1, 2])]
    graph = helper.make_graph(nodes, "g", *sides, [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    if trick == 5:
        for number in range(20):
            call = helper.make_node(f"f{number + 1}", ["a"], ["b"], domain="d")
            more = helper.make_node(f"f{number + 1}", ["b"], ["c"], domain="d")
            model.functions.append(
                helper.make_function("d", f"f{number}", ["a"], ["c"], [call, more], model.opset_import)
            )
        model.opset_import.append(helper.make_opsetid("d", 1))
        model.graph.node[1].CopyFrom(helper.make_node("f0", ["h"], ["y"], domain="d"))
    return bytes(model.SerializeToString())
