"""The device image's records, numbers and packings (firmware/SPEC.md), and what follows from them.

The engine has the same in ``firmware/engine/qc_image.h`` and ``qc_layout.h``;
``tests/firmware/test_format.py`` compares them field by field.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.graph.model import Window

MAGIC = b"QCM1"
VERSION = 1
MAX_RANK = 5
ALIGNMENT = 16  # of image, arena, constants and whatever lies in them, in bytes
RECORDS_LIMIT = 1 << 16  # tensors, operators, list entries: they are counted in 16 bits
MAX_INPUTS = 255
MAX_STATES = 256
STATE_TENSORS = ("before", "after", "initial")
DTYPES = ("int8", "uint8", "int16", "int32", "float32")
STATES = ("executed", "elided", "fused")
PACKINGS = ("", "block4x4", "planes", "plain", "plain16", "paired4x4")
ARENA, CONSTANT = 0, 1  # where a tensor lies

FAST, WIDE, STAGED = 1, 2, 4  # flags of a convolution
MULTIPLY = 1  # flag of RESCALE
ADJ_X, ADJ_Y = 1, 2  # flags of BATCH_MATMUL
SMALLEST = 1  # flag of ARG_MAX
LOGISTIC, TANH = 0, 1  # functions of SIGMOID_INT16
# added to a shift, to tell the rule
RULE_SHIFTS = {"double": 0, "float": 128, "float_odd": 256, "half_up": 384, "half_even": 512, "floor": 640}
FAST_SHIFT = 20  # fast operators shift right by 1 to 20
STAGED_PIXELS = 16  # from this many pixels on, it is worth to copy weights into RAM
ADD_TABLE_ELEMENTS = 256  # from this many elements on, ADD and SUB use tables in scratch
ADD_TABLE_BYTES = 2048
DEPTHWISE_GROUP = 4  # channels that a depthwise convolution takes at a time

HEADER = struct.Struct("<4sHHII32sIHHHHIIIIIIIIHH")
TENSOR = struct.Struct("<BBBBII5I")
OPERATOR = struct.Struct("<BBHBBHIIIIII")
CRC_OFFSET, CRC_START = 12, 16

CHANNEL = np.dtype([("bias", "<i4"), ("multiplier", "<i4"), ("shift", "<i4"), ("offset", "<i4")])
WIDE_CHANNEL = np.dtype([("bias", "<i8"), ("multiplier", "<i4"), ("shift", "<i4")])
POSITION = np.dtype([("lower", "<u2"), ("weight", "<u2")])

NO_PARAMETERS = struct.Struct("<")
CONVOLUTION = struct.Struct("<8H5i7I")
MATMUL = struct.Struct("<5iI")
ADD = struct.Struct("<I11i")
MUL = struct.Struct("<7i")
PRELU = struct.Struct("<7i")
RESCALE = struct.Struct("<4iI2i")
TABLE = struct.Struct("<I")
SIGMOID = struct.Struct("<2i2I")
LSTM = struct.Struct("<27i4I")
FLOAT_EDGE = struct.Struct("<fi")
POOL = struct.Struct("<8H2i")
MEAN = struct.Struct("<I4i")
ARG_MAX = struct.Struct("<I")
L2 = struct.Struct("<i")
SOFTMAX = struct.Struct("<iIi")
WIDE_SOFTMAX = struct.Struct("<2i2I")
PAD = struct.Struct("<5Ii")
CONCATENATION = struct.Struct("<I2i")
SLICE = struct.Struct("<I5i")
RESIZE = struct.Struct("<2I")

PARAMETERS = {  # by opcode, in the order of their numbers from 1 on
    "CONV_2D": CONVOLUTION,
    "DEPTHWISE_CONV_2D": CONVOLUTION,
    "FULLY_CONNECTED": CONVOLUTION,
    "ADD": ADD,
    "AVERAGE_POOL_2D": POOL,
    "MAX_POOL_2D": POOL,
    "MEAN": MEAN,
    "PAD": PAD,
    "RESHAPE": NO_PARAMETERS,
    "CONCATENATION": CONCATENATION,
    "SOFTMAX": SOFTMAX,
    "RESCALE": RESCALE,
    "QUANTIZE": FLOAT_EDGE,
    "DEQUANTIZE": FLOAT_EDGE,
    "MUL": MUL,
    "TABLE": TABLE,
    "SOFTMAX_INT16": WIDE_SOFTMAX,
    "SIGMOID_INT16": SIGMOID,
    "SUB": ADD,
    "MINIMUM": NO_PARAMETERS,
    "MAXIMUM": NO_PARAMETERS,
    "PRELU": PRELU,
    "SLICE": SLICE,
    "RESIZE": RESIZE,
    "BATCH_MATMUL": MATMUL,
    "TRANSPOSE_CONV": CONVOLUTION,
    "SQUARED_DIFFERENCE": ADD,
    "ARG_MAX": ARG_MAX,
    "L2_NORMALIZATION": L2,
    "LSTM": LSTM,
}
OPCODES = ("", *PARAMETERS)


def up4(value: int) -> int:
    """``value`` rounded up to a multiple of 4."""
    return _up(value, 4)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def runs(window: Window, channels: int) -> tuple[int, int]:
    """How many runs a window has and how long one is; a run is contiguous in the input."""
    if window.dilation_w == 1:
        return window.kernel_h, window.kernel_w * channels
    return window.kernel_h * window.kernel_w, channels


def column_scratch(column: int, run: int, pixels: int) -> int:
    """Bytes of scratch of CONV_2D, whose windows make columns of ``column`` values."""
    return 2 * column * min(pixels, 2) + up4(run)


def batch_scratch(column: int, batches: int) -> int:
    """Bytes of scratch of FULLY_CONNECTED."""
    return 4 * column if batches > 1 else 0


def depthwise_scratch(window: Window, out_w: int) -> int:
    """Bytes of scratch of DEPTHWISE_CONV_2D: a ring of input rows and a kernel, of a group of channels."""
    step = 2 if window.kernel_w == 3 and window.dilation_w == 1 and window.stride_w <= 2 else 1
    width = (_up(out_w, step) - 1) * window.stride_w + (window.kernel_w - 1) * window.dilation_w + 1
    rows = (window.kernel_h - 1) * window.dilation_h + 1
    return 2 * DEPTHWISE_GROUP * (rows * _up(width, step) + window.kernel_h * window.kernel_w)


def pack_block4x4(rows: npt.NDArray[np.int8]) -> bytes:
    """Weights (outputs, K), both multiples of 4, as ``[outputs / 4][K / 4][4 outputs][4 k]``."""
    return _blocks(rows).tobytes()


def pack_paired4x4(rows: npt.NDArray[np.int8]) -> bytes:
    """The same as ``[outputs / 4][K / 4][k % 2][2 pairs][k / 2 % 2]`` halfwords, 256 * odd row + even row."""
    blocks = _blocks(rows).astype(np.int16)
    pairs = (256 * blocks[:, :, 1::2] + blocks[:, :, 0::2]).reshape(*blocks.shape[:2], 2, 2, 2)
    return pairs.transpose(0, 1, 4, 2, 3).astype("<i2").tobytes()


def _blocks(rows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    return rows.reshape(len(rows) // 4, 4, -1, 4).transpose(0, 2, 1, 3)


def with_crc(image: bytearray) -> bytes:
    """The image with a CRC-32 that fits its content."""
    struct.pack_into("<I", image, CRC_OFFSET, zlib.crc32(image[CRC_START:]))
    return bytes(image)
