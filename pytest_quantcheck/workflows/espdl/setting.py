"""What is asked of the toolkit, by its own words, and models as it takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pytest_quantcheck.errors import CombinationError, QuantcheckError, UsageError
from pytest_quantcheck.formats.onnx import damage_told, graph_inputs, load_onnx, opset, value_type
from pytest_quantcheck.quantizers.espdl.convert import require_known
from pytest_quantcheck.quantizers.espdl.layers import Rules
from pytest_quantcheck.quantizers.espdl.options import TARGETS, EspdlOptions
from pytest_quantcheck.quantizers.onnx.convert import OPSET_INT16

BITS = ("int8", "int16")
GRANULARITIES = ("per-tensor", "per-channel")
METHODS = ("minmax", "entropy")
_GENERATION = 1  # of the toolkit


@dataclass(frozen=True)
class Setting:
    """``quantization_bit``, ``granularity`` and ``calib_method`` of the toolkit."""

    bit: str = "int8"
    granularity: str = "per-tensor"
    method: str = "minmax"
    target: str = "esp32s3"

    def __post_init__(self) -> None:
        known = (
            ("quantization bit", self.bit, BITS),
            ("granularity", self.granularity, GRANULARITIES),
            ("calibration method", self.method, METHODS),
            ("target chip", self.target, TARGETS),
        )
        for word, value, allowed in known:
            if value not in allowed:
                raise UsageError(f"{word} {value!r} is not known; allowed: {', '.join(allowed)}")
        if self.bit == "int16" and self.granularity != "per-tensor":
            raise CombinationError("int16 only supports per-tensor quantization; allowed: per-tensor")
        if self.bit == "int16" and self.method != "minmax":
            raise CombinationError("int16 only supports minmax calibration method; allowed: minmax")

    def but(self, **changed: str) -> Setting:
        """The same with other values."""
        return replace(self, **changed)

    @property
    def options(self) -> EspdlOptions:
        """In the quantizer's terms."""
        return EspdlOptions(self.target, self.method, generation=_GENERATION)

    @property
    def rules(self) -> Rules:
        """How the chip computes."""
        return Rules.of(self.bit, self.granularity == "per-channel", self.options)


def checked(model: Any) -> Any:
    """A copy of a ``ModelProto`` with batch 1, at an operator set that has all integer types.

    Raises ``UsageError`` for what is no model, ``QuantizationError`` for operators that are not supported.
    """
    onnx = load_onnx()
    if not isinstance(model, onnx.ModelProto):
        raise UsageError(f"a model is an onnx.ModelProto, as onnx.load gives it; got {type(model).__name__}")
    with damage_told():
        copy = onnx.ModelProto.FromString(model.SerializeToString())
        require_known(copy.graph)
        if opset(copy) < OPSET_INT16:
            copy = onnx.version_converter.convert_version(copy, OPSET_INT16)
        for info in (*graph_inputs(copy.graph), *copy.graph.output):
            shape, _ = value_type(info)
            if shape and not isinstance(shape[0], int):
                info.type.tensor_type.shape.dim[0].dim_value = 1
        del copy.graph.value_info[:]
    return copy


def check(model: Any) -> int:
    """The toolkit's ``check_model``: 0 for a model that can be quantized, else -1, and why is printed."""
    try:
        checked(model)
    except QuantcheckError as error:
        print(f"current model is not supported by esp-dl: {error}")
        return -1
    return 0
