"""In which of ONNX's forms a file is quantized, where that is another one than QDQ."""

from __future__ import annotations

from typing import Any, NamedTuple

from pytest_quantcheck.formats.onnx import CUSTOM, kind_of

_MICROSOFT = f"{CUSTOM}com.microsoft."
BY_OPERATOR = ("QLinearConv", "QLinearMatMul", f"{_MICROSOFT}QLinear", f"{_MICROSOFT}QGemm")
DYNAMIC = (
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
    f"{_MICROSOFT}DynamicQuantize",
    f"{_MICROSOFT}MatMulNBits",
)
"""Beginnings of the names of operators that only such files have."""


class OtherForm(NamedTuple):
    """What the file is, and what to do."""

    sentence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}"


def other_form(graph: Any) -> OtherForm | None:
    """None for a QDQ graph and a float one."""
    kinds = list(dict.fromkeys(map(kind_of, graph.node)))
    dynamic = [kind for kind in kinds if kind.startswith(DYNAMIC)]
    if dynamic:
        return OtherForm(
            f"The file is quantized dynamically ({_told(dynamic)}): it computes scales from each sample, in "
            "float, which no runtime of a microcontroller does.",
            "Quantize the float model with samples: quantcheck quantize FLOAT.onnx -o OUT.onnx --data DATA.",
        )
    if by_operator := [kind for kind in kinds if kind.startswith(BY_OPERATOR)]:
        return OtherForm(
            f"The file is quantized operator by operator (QOperator: {_told(by_operator)}); what is read are "
            "QDQ files.",
            "Quantize the float model: quantcheck quantize FLOAT.onnx -o OUT.onnx --data DATA; or by "
            "onnxruntime's quantize_static with quant_format=QuantFormat.QDQ.",
        )
    return None


def _told(kinds: list[str]) -> str:
    return ", ".join(kind.removeprefix(CUSTOM) for kind in kinds[:3])
