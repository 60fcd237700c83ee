"""``python -m tests.operators_page`` writes the table in docs/operators.md.

Which types an operator has, and what it becomes on a board, is asked of the code; the rest stands here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.graph.from_onnx.rules import SUPPORTED as ONNX
from pytest_quantcheck.graph.from_tflite.read import MAX_RANK, read_tflite
from pytest_quantcheck.graph.from_tflite.rules import SUPPORTED
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.read import read_image
from pytest_quantcheck.strategies import ModelCase, layer_dtypes, layers

PAGE = Path(__file__).parents[1] / "docs" / "operators.md"
HEAD = (
    "| operator | int8 | int16 | engine | LiteRT | ONNX | Keras | limits |",
    "|---|---|---|---|---|---|---|---|",
)
TAIL = "ONNX operators that become a table of 256 results, or a chain of the above: "
EXAMPLES = 12
NOTHING = "RESHAPE"  # an opcode that moves and computes nothing


@dataclass(frozen=True)
class Facts:
    """``litert``: how LiteRT's reference kernel differs; empty where it gives the same integers."""

    limits: str = ""
    keras: str = ""
    onnx: tuple[str, ...] = ()
    litert: str = ""


_ONE_SCALE = "one scale and zero point for all"
_NOT_IN_TFLM = "TFLM has none: LiteRT's integers"
_BIAS = "needs a bias, for int16 one of 64 bits"
FACTS = {
    "CONV_2D": Facts("symmetric int8 weights; grouped, too", "Conv2D, Conv1D", ("Conv",), _BIAS),
    "DEPTHWISE_CONV_2D": Facts(
        "symmetric int8 weights", "DepthwiseConv2D, SeparableConv2D", ("Conv",), _BIAS
    ),
    "TRANSPOSE_CONV": Facts(
        "symmetric int8 weights; a fused activation only where the output range implies it, as calibrated",
        "Conv2DTranspose",
        ("ConvTranspose",),
        "needs a bias",
    ),
    "FULLY_CONNECTED": Facts("weights are constants", "Dense", ("Gemm", "MatMul"), "rounds once"),
    "BATCH_MATMUL": Facts(
        f"ranks 2 to {MAX_RANK}; either side may be a constant", "Dot, MultiHeadAttention", ("MatMul",)
    ),
    "ADD": Facts("shapes broadcast as in NumPy", "Add", ("Add",)),
    "SUB": Facts("shapes broadcast as in NumPy", "Subtract", ("Sub",)),
    "MUL": Facts("shapes broadcast as in NumPy", "Multiply, Rescaling", ("Mul",), "a float32 factor"),
    "SQUARED_DIFFERENCE": Facts(
        "shapes broadcast as in NumPy", "LayerNormalization", litert="has none for int16"
    ),
    "MINIMUM": Facts(f"{_ONE_SCALE}; shapes broadcast", "Minimum", ("Min", "Clip")),
    "MAXIMUM": Facts(f"{_ONE_SCALE}; shapes broadcast", "Maximum", ("Max", "Clip")),
    "PRELU": Facts("the slopes broadcast to the input", "PReLU", ("PRelu",), "float32 factors"),
    "AVERAGE_POOL_2D": Facts("scale and zero point stay", "AveragePooling2D", ("AveragePool",)),
    "MAX_POOL_2D": Facts("scale and zero point stay", "MaxPooling2D", ("MaxPool",)),
    "MEAN": Facts("over any axes", "GlobalAveragePooling2D", ("GlobalAveragePool", "ReduceMean")),
    "SUM": Facts("over any axes", "ops.sum", litert="other values"),
    "REDUCE_MAX": Facts("over any axes; one scale", "GlobalMaxPooling2D", ("ReduceMax", "GlobalMaxPool")),
    "REDUCE_MIN": Facts("over any axes; one scale", "ops.min", ("ReduceMin",)),
    "ARG_MAX": Facts("to int32; the first of equal values", "ops.argmax"),
    "ARG_MIN": Facts("to int32; the first of equal values", "ops.argmin"),
    "L2_NORMALIZATION": Facts("over the last axis, at most 8256 values", "UnitNormalization"),
    "PAD": Facts("one fill value", "ZeroPadding2D", ("Pad",)),
    "PADV2": Facts("one fill value", "ops.pad", ("Pad",)),
    "MIRROR_PAD": Facts("reflected or symmetric, along any axes", 'ops.pad(mode="reflect")', ("Pad",)),
    "RESHAPE": Facts("costs nothing", "Reshape, Flatten", ("Reshape", "Flatten")),
    "SQUEEZE": Facts("costs nothing", "ops.squeeze", ("Squeeze",)),
    "EXPAND_DIMS": Facts("costs nothing", "Conv1D, ops.expand_dims", ("Unsqueeze",)),
    "READ_VARIABLE": Facts(
        "with VAR_HANDLE, ASSIGN_VARIABLE and CALL_ONCE; [states](streaming.md) begin with constants",
        "tf.Variable",
    ),
    "TRANSPOSE": Facts("a constant permutation", "Permute", ("Transpose",)),
    "STRIDED_SLICE": Facts("constant bounds; no ellipsis, no new axis", "Cropping2D, x[:, ::2]", ("Slice",)),
    "SLICE": Facts("constant bounds", "ops.slice", ("Slice",)),
    "SPLIT": Facts("", "ops.split", ("Split",)),
    "SPLIT_V": Facts("", "ops.split", ("Split",)),
    "DEPTH_TO_SPACE": Facts("", "tf.nn.depth_to_space", ("DepthToSpace",)),
    "SPACE_TO_DEPTH": Facts("", "tf.nn.space_to_depth", ("SpaceToDepth",)),
    "UNPACK": Facts("", "ops.unstack"),
    "SPACE_TO_BATCH_ND": Facts(
        "images of batch 1, sequences; TFLM pads with anything: LiteRT's integers",
        "Conv1D(dilation_rate=2)",
    ),
    "BATCH_TO_SPACE_ND": Facts("to images of batch 1, to sequences", "Conv1D(dilation_rate=2)"),
    "GATHER": Facts("constant indices", "ops.take", ("Gather",)),
    "GATHER_ND": Facts("constant indices", "tf.gather_nd"),
    "BROADCAST_TO": Facts(f"a constant shape of at most {MAX_RANK} axes", "ops.broadcast_to", ("Expand",)),
    "TILE": Facts(_NOT_IN_TFLM, "RepeatVector, ops.tile", ("Tile",)),
    "REVERSE_V2": Facts("along neighbouring axes", "ops.flip"),
    "PACK": Facts(f"{_ONE_SCALE}; TFLM itself takes ten inputs at most", "ops.stack"),
    "CONCATENATION": Facts(f"{_ONE_SCALE}; TFLM itself takes ten inputs at most", "Concatenate", ("Concat",)),
    "RESIZE_NEAREST_NEIGHBOR": Facts("sizes below 32768", "UpSampling2D", ("Resize",)),
    "RESIZE_BILINEAR": Facts("sizes below 32768", 'UpSampling2D(interpolation="bilinear")', ("Resize",)),
    "SOFTMAX": Facts(
        "over the last axis; from int8 to int16, too", "Softmax", ("Softmax",), "int16: other tables"
    ),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Facts(
        "one sequence, whose states begin at zero in each inference; no peepholes, projections, layer norms",
        "LSTM",
        litert="other roundings",
    ),
    "LOGISTIC": Facts(
        "the output scale that TFLite prescribes", "sigmoid", ("Sigmoid",), "int8: another table"
    ),
    "TANH": Facts("the output scale that TFLite prescribes", "tanh", ("Tanh",), "int8: another table"),
    "ABS": Facts("", "ops.abs", ("Abs",)),
    "HARD_SWISH": Facts("", "hard_silu", ("HardSwish",)),
    "LEAKY_RELU": Facts("alpha is 0 or more", "LeakyReLU", ("LeakyRelu",), "float32 factors"),
    "ELU": Facts(
        "its output scale is not far below its input's; `exp` in float32, as TFLM's table",
        "ELU",
        ("Elu",),
        "has none for int8",
    ),
    "GELU": Facts(f"{_NOT_IN_TFLM}; exact, or with `tanh`", "gelu", ("Gelu",)),
    "RSQRT": Facts("the input has zero point -128: TFLM stops at values below 0", "ops.rsqrt"),
    "SQRT": Facts(
        f"{_NOT_IN_TFLM}; the input has zero point -128; cut to whole steps", "ops.sqrt", ("Sqrt",)
    ),
    "EXP": Facts(_NOT_IN_TFLM, "ops.exp", ("Exp",)),
    "LOG": Facts(f"{_NOT_IN_TFLM}; of 0 and below the least output", "ops.log", ("Log",)),
    "RELU_N1_TO_1": Facts(_NOT_IN_TFLM, "ops.clip(x, -1, 1)"),
    "RELU_0_TO_1": Facts(_NOT_IN_TFLM, "ops.clip(x, 0, 1)"),
    "RELU": Facts("", "ReLU", ("Relu",)),
    "RELU6": Facts("keeps its input's scale", "ReLU(6)", ("Clip",)),
    "QUANTIZE": Facts(
        "between the types that TFLM has", "the converter", ("QuantizeLinear", "Identity", "Dropout")
    ),
    "DEQUANTIZE": Facts("int8, uint8 and int16 to float32", "the converter", ("DequantizeLinear",)),
}
REPLACED = (
    *(
        "PRelu",
        "Gather",
        "GlobalMaxPool",
        "DepthToSpace",
        "SpaceToDepth",
        "LayerNormalization",
        "Tile",
        "Expand",
    ),
    *("ReduceMin", "ReduceSum", "LogSoftmax", "InstanceNormalization", "Div", "Pow"),
)
"""ONNX operators that the quantizer replaces before they are read (docs/onnx.md)."""


def examples(kind: str, dtype: str, count: int = EXAMPLES) -> list[ModelCase]:
    """Models of one operator, the same ones every time."""
    found: list[ModelCase] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=layers(kind, dtype))
    def draw(case: ModelCase) -> None:
        found.append(case)

    draw()
    return found


def opcodes(kind: str) -> list[str]:
    """What the operator becomes in device images, by the engine's names."""
    found: set[str] = set()
    for dtype in layer_dtypes(kind):
        for case in examples(kind, dtype):
            graph = read_tflite(case.artefact)
            try:
                records = read_image(compile_image(graph).data).operators
            except UnsupportedOperatorError:
                continue
            pairs = zip(graph.operators, records, strict=True)
            in_file = len(read_tflite_summary(case.artefact).operators)  # behind them, steps on the way
            found |= {record.opcode for op, record in pairs if op.kind == kind or op.source >= in_file}
    return sorted(found)


def rows() -> Iterator[str]:
    for kind in SUPPORTED:
        facts, wide = FACTS[kind], "yes" if "int16" in layer_dtypes(kind) else "no"
        done = [each for each in opcodes(kind) if each != NOTHING or kind == NOTHING] or ["nothing to do"]
        cells = (
            ", ".join(done),
            facts.litert or "the same",
            ", ".join(facts.onnx),
            facts.keras,
            facts.limits,
        )
        yield f"| {kind} | yes | {wide} | {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def table() -> str:
    """The table, and what else is read from ONNX files."""
    named = {name for facts in FACTS.values() for name in facts.onnx}
    others = ", ".join(sorted(set(ONNX) - named))
    return "\n".join([*HEAD, *rows(), "", f"{TAIL}{others}.", ""])


def split(page: str) -> tuple[str, str, str]:
    """The page before the table, the table with its last line, and the rest."""
    start, end = page.index(HEAD[0]), page.index(TAIL)
    end = page.index("\n", end) + 1
    return page[:start], page[start:end], page[end:]


if __name__ == "__main__":
    before, _, behind = split(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(before + table() + behind, encoding="utf-8")
