"""``Tree``: a ``.tflite`` file as objects that can be changed. Needs TensorFlow, for its schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_quantcheck.numerics.arrays import Array


class Tree:
    """A flatbuffer as objects that can be changed, with the few questions asked of it here."""

    def __init__(self, content: bytes) -> None:
        from tensorflow.lite.python import schema_py_generated as schema

        self.schema = schema
        self.model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
        self.graph = self.model.subgraphs[0]
        self._kinds = {
            number: name for name, number in vars(schema.BuiltinOperator).items() if name[0] != "_"
        }

    def bytes(self) -> bytes:
        """The flatbuffer."""
        import flatbuffers  # type: ignore[import-untyped]

        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def kind(self, operator: Any) -> str:
        """``CONV_2D``; old files keep the number in the field for small ones. Empty for an unknown number."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        return str(self._kinds.get(max(code.builtinCode, code.deprecatedBuiltinCode), ""))

    def operator_code(self, kind: str, version: int) -> int:
        """Index of an operator code, added where it is missing."""
        number = getattr(self.schema.BuiltinOperator, kind)
        for index, code in enumerate(self.model.operatorCodes):
            if (max(code.builtinCode, code.deprecatedBuiltinCode), code.version) == (number, version):
                return index
        code = self.schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def constant(self, tensor: Any, dtype: str) -> Array | None:
        """The tensor's content in its own shape; None when it is computed."""
        data = self.model.buffers[tensor.buffer].data
        if data is None or not len(data):
            return None
        return np.frombuffer(np.asarray(data, np.uint8).tobytes(), dtype).reshape(tensor.shape)

    def set_constant(self, tensor: Any, content: Array) -> None:
        """Give the tensor ``content``, in a buffer of its own where others share the present one."""
        if sum(other.buffer == tensor.buffer for other in self.graph.tensors) > 1:
            self.model.buffers.append(self.schema.BufferT())
            tensor.buffer = len(self.model.buffers) - 1
        data = np.frombuffer(np.ascontiguousarray(content).tobytes(), np.uint8)
        self.model.buffers[tensor.buffer].data = data

    def input(self, operator: Any, position: int) -> Any:
        """The tensor at ``position``; None when the operator has no such input."""
        if position >= len(operator.inputs) or operator.inputs[position] < 0:
            return None
        return self.graph.tensors[operator.inputs[position]]

    def float_constants(self) -> Iterator[tuple[int, Any, Array]]:
        """Index, tensor and content of every float32 constant."""
        for index, tensor in enumerate(self.graph.tensors):
            if tensor.type == self.schema.TensorType.FLOAT32:
                content = self.constant(tensor, "<f4")
                if content is not None:
                    yield index, tensor, content

    def quantized(self, tensor: Any, values: Array, scales: Array, axis: int) -> None:
        """Make ``tensor`` symmetric int8 (or whatever integer ``values`` are) with ``scales``."""
        parameters = self.schema.QuantizationParametersT()
        parameters.scale = np.asarray(scales, np.float32)
        parameters.zeroPoint = np.zeros(len(scales), np.int64)
        parameters.quantizedDimension = axis
        tensor.quantization = parameters
        self.set_constant(tensor, values)
