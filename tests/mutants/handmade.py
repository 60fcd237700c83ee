"""Mistakes that people make in this arithmetic, each as one replaced piece of text.

The text must occur exactly once in its file; when the code around it changes, the patch is adapted.
"""

from __future__ import annotations

from typing import NamedTuple


class Patch(NamedTuple):
    """``search`` in ``file`` becomes ``replace``. ``kind`` is the heading in docs/mutants.md."""

    name: str
    kind: str
    file: str
    search: str
    replace: str


AFFINE = "pytest_quantcheck/numerics/affine.py"
FIXED = "pytest_quantcheck/numerics/fixed_point.py"
FLOAT = "pytest_quantcheck/numerics/float_scale.py"
POWER = "pytest_quantcheck/numerics/power_of_two.py"
ROUND = "pytest_quantcheck/numerics/rounding.py"
TABLES = "pytest_quantcheck/numerics/tables.py"
WINDOWS = "pytest_quantcheck/graph/from_tflite/windows.py"
SOFTMAX_RULE = "pytest_quantcheck/graph/from_tflite/softmax.py"
EMIT_ELEMENTWISE = "pytest_quantcheck/image/emit_elementwise.py"
EMIT_PRODUCTS = "pytest_quantcheck/image/emit_products.py"
C_FIXED = "firmware/engine/qc_fixed_point.h"
C_FLOAT = "firmware/engine/qc_float32.h"
C_WIDE = "firmware/engine/qc_wide.h"
C_SIMD = "firmware/engine/qc_simd.h"
CHECK_PRODUCTS = "firmware/engine/qc_check_products.c"
KERNELS = "firmware/engine/kernels/"
ADD = KERNELS + "qc_add_s8.c"
AVERAGE = KERNELS + "qc_average_pool_s8.c"
AVERAGE_WIDE = KERNELS + "qc_average_pool_s16.c"
COLUMNS = KERNELS + "qc_columns.c"
CONCATENATION = KERNELS + "qc_concatenation.c"
CONV = KERNELS + "qc_conv2d_s8.c"
CONV_WIDE = KERNELS + "qc_conv2d_s16.c"
DEPTHWISE = KERNELS + "qc_depthwise_conv2d_s8.c"
DENSE = KERNELS + "qc_fully_connected_s8.c"
DEQUANTIZE = KERNELS + "qc_dequantize_f32.c"
ELEMENTWISE = KERNELS + "qc_elementwise.c"
SUMS_END = "p->output_shift);\n  return "  # of what ends in a sum's output
MAX_POOL = KERNELS + "qc_max_pool_s8.c"
MEAN = KERNELS + "qc_mean_s8.c"
PAD = KERNELS + "qc_pad.c"
QUANTIZE = KERNELS + "qc_quantize_f32.c"
SOFTMAX = KERNELS + "qc_softmax_s8.c"
RATIO = KERNELS + "qc_ratio_rule.c"
SOFTMAX_WIDE = KERNELS + "qc_softmax_s16.c"

FOLDING = "pytest_quantcheck/graph/folding.py"

PATCHES = (
    Patch(
        "a constant is folded away beside padding of another value",
        "a proof is left out",
        FOLDING,
        "if w.pad_top or w.pad_left:",
        "if False:",
    ),
    Patch(
        "sums that wrap count as constants",
        "a proof is left out",
        FOLDING,
        "(results[0] == results[1]) & ~wrapped",
        "results[0] == results[1]",
    ),
    Patch(
        "a folded constant forgets the zero point",
        "zero point forgotten",
        FOLDING,
        "value = self.chain.constant(op.inputs[0]).astype(np.int64) - p.input_zero_point",
        "value = self.chain.constant(op.inputs[0]).astype(np.int64)",
    ),
    Patch(
        "staged weights lie over the columns",
        "wrong element",
        CONV,
        "stage(&copy, (uint8_t *)op->scratch + columns)",
        "stage(&copy, (uint8_t *)op->scratch)",
    ),
    Patch(
        "a staged convolution is not asked for its room",
        "a proof is left out",
        CHECK_PRODUCTS,
        " + qc_staged_scratch(p);",
        ";",
    ),
    Patch(
        "depthwise pairs take the first output's cells for the second",
        "wrong element",
        DEPTHWISE,
        "s1 = qc_smlabt(a, x0, s1)",
        "s1 = qc_smlabb(a, x0, s1)",
    ),
    Patch(
        "quantize truncates",
        "truncation instead of rounding",
        AFFINE,
        "round_real(np.clip(steps, -_LARGEST, _LARGEST), rounding)",
        "np.trunc(np.clip(steps, -_LARGEST, _LARGEST))",
    ),
    Patch(
        "multiplier truncates",
        "truncation instead of rounding",
        FIXED,
        "np.floor(fraction * 2.0**31 + 0.5)",
        "np.floor(fraction * 2.0**31)",
    ),
    Patch(
        "average pool truncates",
        "truncation instead of rounding",
        AVERAGE,
        "(sum > 0 ? sum + count / 2 : sum - count / 2) / count",
        "sum / count",
    ),
    Patch(
        "the QUANTIZE kernel truncates",
        "truncation instead of rounding",
        QUANTIZE,
        "whole = (quotient + half) >> right",
        "whole = quotient >> right",
    ),
    Patch(
        "the QUANTIZE kernel's division truncates",
        "truncation instead of rounding",
        QUANTIZE,
        "if (2 * rest > scale.mantissa || (2 * rest == scale.mantissa && (quotient & 1u))) quotient++;",
        "",
    ),
    Patch(
        "interpolation without its half",
        "truncation instead of rounding",
        TABLES,
        "slope * offset + 64",
        "slope * offset",
    ),
    Patch(
        "48-bit sums without their half",
        "truncation instead of rounding",
        C_WIDE,
        "(x * multiplier + (INT64_C(1) << (shift - 1))) >> shift",
        "(x * multiplier) >> shift",
    ),
    Patch(
        "quantize casts, then clips",
        "cast before clip",
        AFFINE,
        "np.clip(integers + zeros, low, high).astype(dtype)",
        "np.clip((integers + zeros).astype(dtype), low, high)",
    ),
    Patch(
        "float32 requantization casts, then clips",
        "cast before clip",
        FLOAT,
        "np.clip(steps + np.asarray(zero_point, np.int64), low, high).astype(dtype)",
        "np.clip((steps + np.asarray(zero_point, np.int64)).astype(dtype), low, high)",
    ),
    Patch(
        "ADD casts, then clamps",
        "cast before clip",
        ELEMENTWISE,
        SUMS_END + "qc_clamp(qc_add_zero_point(y, p->output_zero_point), p->act_min, p->act_max)",
        SUMS_END + "qc_clamp((int8_t)qc_add_zero_point(y, p->output_zero_point), p->act_min, p->act_max)",
    ),
    Patch(
        "the packed saturation wraps",
        "saturation forgotten",
        C_SIMD,
        "return a < INT8_MIN ? INT8_MIN : a > INT8_MAX ? INT8_MAX : a;",
        "return (int8_t)a;",
    ),
    Patch(
        "the one overflowing product",
        "saturation forgotten",
        FIXED,
        "int64(np.minimum((int64(a) * int64(b) + (1 << 30)) >> 31, INT32_MAX))",
        "(int64(a) * int64(b) + (1 << 30)) >> 31",
    ),
    Patch(
        "the reduced multiplier reaches 2**15",
        "saturation forgotten",
        FIXED,
        "np.where(wide < 0x7FFF0000, (wide + (1 << 15)) >> 16, 0x7FFF)",
        "(wide + (1 << 15)) >> 16",
    ),
    Patch(
        "a bias wraps",
        "saturation forgotten",
        AFFINE,
        "np.clip(exact_quotient(values, scale, rounding), -largest, largest)",
        "exact_quotient(values, scale, rounding)",
    ),
    Patch(
        "a multiplier of one half times two",
        "saturation forgotten",
        FIXED,
        "full = multiplier == 1 << 31",
        "full = multiplier > 1 << 31",
    ),
    Patch(
        "sums keep more than 32 bits",
        "saturation forgotten",
        FIXED,
        "wrap_int32(int64(x) << left)",
        "int64(x) << left",
    ),
    Patch(
        "zero point one too low",
        "zero point off by one",
        AFFINE,
        "round_real(qmin - lows / scale)",
        "round_real(qmin - lows / scale - 1)",
    ),
    Patch(
        "256 steps between 256 integers",
        "zero point off by one",
        AFFINE,
        "wide = (highs - lows) / (qmax - qmin)",
        "wide = (highs - lows) / (qmax - qmin + 1)",
    ),
    Patch(
        "the middle of uint8",
        "zero point off by one",
        AFFINE,
        "middle = 0 if qmin < 0 else 128",
        "middle = 0 if qmin < 0 else 127",
    ),
    Patch(
        "symmetric weights reach -128",
        "zero point off by one",
        AFFINE,
        "symmetric if narrow is None else narrow",
        "False if narrow is None else narrow",
    ),
    Patch(
        "quantize subtracts the zero point",
        "sign of the zero point",
        AFFINE,
        "np.clip(integers + zeros, low, high)",
        "np.clip(integers - zeros, low, high)",
    ),
    Patch(
        "dequantize adds the zero point",
        "sign of the zero point",
        AFFINE,
        "difference = q - along(",
        "difference = q + along(",
    ),
    Patch(
        "ADD adds the input's zero point",
        "sign of the zero point",
        ADD,
        "qc_shift_left(q - zero_point,",
        "qc_shift_left(q + zero_point,",
    ),
    Patch(
        "softmax leaves its zero point out",
        "zero point forgotten",
        SOFTMAX,
        "qc_clamp(y + INT8_MIN, INT8_MIN, INT8_MAX)",
        "qc_clamp(y, INT8_MIN, INT8_MAX)",
    ),
    Patch(
        "MEAN leaves the input's zero point out",
        "zero point forgotten",
        MEAN,
        "sum -= (int32_t)count * params->input_zero_point;",
        "",
    ),
    Patch(
        "weights with a zero point",
        "zero point forgotten",
        DENSE,
        "w[16 * (i / 4) + i % 4] - p->weight_zero_point",
        "w[16 * (i / 4) + i % 4]",
    ),
    Patch(
        "the range leaves out 0",
        "zero point forgotten",
        AFFINE,
        "lows, highs = np.minimum(lows, 0.0), np.maximum(highs, 0.0)",
        "",
    ),
    Patch(
        "a shift to the left goes right",
        "exponent negated",
        FIXED,
        "np.maximum(int64(shift), 0), np.maximum(-int64(shift), 0)",
        "np.maximum(-int64(shift), 0), np.maximum(int64(shift), 0)",
    ),
    Patch("2**e for 2**-e", "exponent negated", POWER, "-_exponents(exponent", "_exponents(exponent"),
    Patch(
        "to minus from",
        "exponent negated",
        POWER,
        "np.asarray(output_exponent, np.int64) - np.asarray(exponent, np.int64)",
        "np.asarray(exponent, np.int64) - np.asarray(output_exponent, np.int64)",
    ),
    Patch(
        "the multiplier's exponent",
        "exponent negated",
        FIXED,
        "shift = exponent.astype(np.int64)",
        "shift = -exponent.astype(np.int64)",
    ),
    Patch(
        "the kernels' shift to the left goes right",
        "exponent negated",
        C_FIXED,
        "  int32_t left = shift > 0 ? shift : 0;\n  int32_t right = shift > 0 ? 0 : -shift;",
        "  int32_t left = shift > 0 ? 0 : -shift;\n  int32_t right = shift > 0 ? shift : 0;",
    ),
    Patch(
        "shifts of 31 and more",
        "exponent out of range",
        ROUND,
        "np.minimum(shift, 62)",
        "np.minimum(shift, 31)",
    ),
    Patch(
        "the host rounds once",
        "single instead of double rounding",
        FIXED,
        'rounding: str = "double"',
        'rounding: str = "single"',
    ),
    Patch(
        "the kernels round once",
        "single instead of double rounding",
        C_FIXED,
        "return qc_divide_by_power(qc_doubling_high_multiply(qc_shift_left(x, left), multiplier), right);",
        "return (int32_t)(((int64_t)qc_shift_left(x, left) * multiplier +"
        " (INT64_C(1) << (30 + right))) >> (31 + right));",
    ),
    Patch(
        "dividing by a power of two",
        "half up on negatives",
        FIXED,
        "threshold = (mask >> 1) + (value < 0)",
        "threshold = mask >> 1",
    ),
    Patch(
        "the kernels' dividing by a power of two",
        "half up on negatives",
        C_FIXED,
        "int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);",
        "int32_t threshold = mask >> 1;",
    ),
    Patch(
        "the kernels' fast requantization",
        "half up on negatives",
        C_FIXED,
        "(qc_high_rounded_plus(x * 2, multiplier, offset) + (x >> 31)) >> -shift",
        "qc_high_rounded_plus(x * 2, multiplier, offset) >> -shift",
    ),
    Patch(
        "the kernels' fast requantization of doubled sums",
        "half up on negatives",
        C_FIXED,
        "(high + offset + (high >> 31)) >> right",
        "(high + offset) >> right",
    ),
    Patch(
        "reals",
        "half up on negatives",
        ROUND,
        "outwards = fraction >= 0.5",
        "outwards = (fraction > 0.5) | ((fraction == 0.5) & (values > 0))",
    ),
    Patch("ratios", "half up on negatives", ROUND, "tie_up = floor >= 0", "tie_up = True"),
    Patch(
        "average pool",
        "half up on negatives",
        AVERAGE,
        ": sum - count / 2) / count",
        ": sum + count / 2) / count",
    ),
    Patch(
        "to odd instead of even",
        "ties of half to even",
        ROUND,
        "tie_up = floor & 1 == 1",
        "tie_up = floor & 1 == 0",
    ),
    Patch(
        "float32 rounds ties up",
        "ties of half to even",
        C_FLOAT,
        "(rest == half && (x.mantissa & 1u))",
        "rest == half",
    ),
    Patch(
        "onnxruntime's rule rounds away",
        "ties of half to even",
        FLOAT,
        'right, "half_even")',
        'right, "half_away")',
    ),
    Patch(
        "RESCALE takes every byte as signed",
        "int8 and uint8 confused",
        EMIT_ELEMENTWISE,
        ".view(source.input.dtype)",
        ".view(np.int8)",
    ),
    Patch(
        "DEQUANTIZE takes every byte as unsigned",
        "int8 and uint8 confused",
        DEQUANTIZE,
        "if (operand.tensor->dtype == QC_INT8) return ((const int8_t *)operand.data)[i];",
        "",
    ),
    Patch(
        "QUANTIZE to uint8 begins at -128",
        "int8 and uint8 confused",
        QUANTIZE,
        "out->dtype == QC_INT8 ? INT8_MIN : 0",
        "INT8_MIN",
    ),
    Patch(
        "the packed maximum is unsigned",
        "int8 and uint8 confused",
        C_SIMD,
        "qc_byte(a, i) >= qc_byte(b, i)",
        "(uint8_t)qc_byte(a, i) >= (uint8_t)qc_byte(b, i)",
    ),
    Patch(
        "a table indexed by a signed byte",
        "int8 and uint8 confused",
        ADD,
        "table[(uint8_t)q]",
        "table[q + 128]",
    ),
    Patch(
        "CONV_2D beside the input",
        "padding with 0",
        CONV,
        "int8_t fill = (int8_t)g->op->params->input_zero_point;",
        "int8_t fill = 0;",
    ),
    Patch(
        "DEPTHWISE_CONV_2D above and below the input",
        "padding with 0",
        DEPTHWISE,
        "fill(cell, group->inside, op->params->input_zero_point);",
        "fill(cell, group->inside, 0);",
    ),
    Patch(
        "DEPTHWISE_CONV_2D left and right of the input",
        "padding with 0",
        DEPTHWISE,
        "fill(group.ring, cells, op->params->input_zero_point);",
        "fill(group.ring, cells, 0);",
    ),
    Patch("PAD", "padding with 0", PAD, "(int)params->value", "0"),
    Patch(
        "MAX_POOL_2D's window begins at 0",
        "padding with 0",
        MAX_POOL,
        "qc_fill(output, INT8_MIN, (size_t)channels);",
        "qc_fill(output, 0, (size_t)channels);",
    ),
    Patch(
        "SAME puts the odd cell before the input",
        "padding on the wrong side",
        WINDOWS,
        "step, place = strides[axis], total // 2",
        "step, place = strides[axis], (total + 1) // 2",
    ),
    Patch(
        "CONV_2D takes left for top",
        "padding on the wrong side",
        CONV,
        "at->y * w->stride_h - w->pad_top",
        "at->y * w->stride_h - w->pad_left",
    ),
    Patch(
        "the first channel's multiplier for all",
        "multiplier of the wrong channel",
        COLUMNS,
        "store(output + r, channels, sum + 4 * r, 4, channel + r, op->params)",
        "store(output + r, channels, sum + 4 * r, 4, channel, op->params)",
    ),
    Patch(
        "int16 channels of the next group",
        "multiplier of the wrong channel",
        CONV_WIDE,
        "&op->channels[c]",
        "&op->channels[c % per_group]",
    ),
    Patch(
        "the packed second row takes the first's",
        "multiplier of the wrong channel",
        COLUMNS,
        "store_fast(channel, 1, (const int32_t[]){b0, b1}",
        "store_fast(channel, 0, (const int32_t[]){b0, b1}",
    ),
    Patch(
        "depthwise channels in the other order",
        "multiplier of the wrong channel",
        DEPTHWISE,
        "int32_t c = (c0 + lane) * multiplier + m;",
        "int32_t c = m * op->in.c + c0 + lane;",
    ),
    Patch(
        "parameters along the next axis",
        "multiplier of the wrong channel",
        AFFINE,
        "i == axis % rank",
        "i == (axis + 1) % rank",
    ),
    Patch(
        "dilation is the stride",
        "stride and dilation swapped",
        CONV,
        "y0 + i * w->dilation_h, x = x0",
        "y0 + i * w->stride_h, x = x0",
    ),
    Patch(
        "one stride for both axes",
        "stride and dilation swapped",
        CONV,
        "at->x * w->stride_w - w->pad_left",
        "at->x * w->stride_h - w->pad_left",
    ),
    Patch(
        "the reach of a window is its stride",
        "stride and dilation swapped",
        WINDOWS,
        "reach = (kernel[axis] - 1) * dilation[axis] + 1",
        "reach = (kernel[axis] - 1) * strides[axis] + 1",
    ),
    Patch(
        "AVERAGE_POOL_2D",
        "divisor counts padding",
        AVERAGE,
        "int32_t count = (bottom - y) * (right - x);",
        "int32_t count = p->window.kernel_h * p->window.kernel_w;",
    ),
    Patch(
        "AVERAGE_POOL_2D of int16",
        "divisor counts padding",
        AVERAGE_WIDE,
        "mean(sum, (bottom - y) * (right - x))",
        "mean(sum, p->window.kernel_h * p->window.kernel_w)",
    ),
    Patch(
        "ADD adds the zero point behind the clamp",
        "clamp in the wrong place",
        ELEMENTWISE,
        SUMS_END + "qc_clamp(qc_add_zero_point(y, p->output_zero_point), p->act_min, p->act_max)",
        SUMS_END + "qc_add_zero_point(qc_clamp(y, p->act_min, p->act_max), p->output_zero_point)",
    ),
    Patch(
        "CONCATENATION drops its activation",
        "clamp in the wrong place",
        CONCATENATION,
        "p->act_min < -whole && p->act_max == whole",
        "1",
    ),
    Patch(
        "SUB adds",
        "wrong sign",
        ELEMENTWISE,
        "scaled[0] - scaled[1]);\n}",
        "scaled[0] + scaled[1]);\n}",
    ),
    Patch(
        "ARG_MAX names the last of equal values",
        "wrong comparison",
        KERNELS + "qc_arg_max_s8.c",
        "if (*at * sign > most)",
        "if (*at * sign >= most)",
    ),
    Patch(
        "ARG_MIN names the largest value",
        "wrong sign",
        KERNELS + "qc_arg_max_s8.c",
        "QC_ARG_SMALLEST ? -1 : 1",
        "QC_ARG_SMALLEST ? 1 : 1",
    ),
    Patch(
        "L2_NORMALIZATION sums raw integers",
        "zero point forgotten",
        KERNELS + "qc_l2_normalization_s8.c",
        "int32_t value = x[i] - params->input_zero_point;",
        "int32_t value = x[i];",
    ),
    Patch(
        "L2_NORMALIZATION takes a Newton step less",
        "inexact root",
        KERNELS + "qc_l2_normalization_s8.c",
        "i < 5; i++) { /* Newton",
        "i < 4; i++) { /* Newton",
    ),
    Patch(
        "LSTM swaps two gates",
        "wrong gate",
        KERNELS + "qc_lstm.c",
        "INPUT_GATE = 0, FORGET_GATE = 1",
        "INPUT_GATE = 1, FORGET_GATE = 0",
    ),
    Patch(
        "LSTM does not saturate the sum of a gate",
        "saturation forgotten",
        KERNELS + "qc_lstm.c",
        "sum = 3 * saturated(sum);",
        "sum = 3 * sum;",
    ),
    Patch(
        "LSTM ignores its cell clip",
        "clamp forgotten",
        KERNELS + "qc_lstm.c",
        "qc_clamp(kept + added, p->cell_min, p->cell_max)",
        "saturated(kept + added)",
    ),
    Patch(
        "LSTM rounds the cell state down",
        "wrong rounding",
        KERNELS + "qc_lstm.c",
        "p->tanh_shift > 0 ? 1 << (p->tanh_shift - 1) : 0",
        "0",
    ),
    Patch(
        "LSTM's hidden state is that of the step before last",
        "stale state",
        KERNELS + "qc_lstm.c",
        "before = y;",
        "before = before ? before : y;",
    ),
    Patch(
        "SQUARED_DIFFERENCE squares the sum",
        "wrong sign",
        ELEMENTWISE,
        "uint32_t difference = scaled[0] - scaled[1];",
        "uint32_t difference = scaled[0] + scaled[1];",
    ),
    Patch("SUB adds where it has tables", "wrong sign", ADD, "subtract ? -2 : 2", "subtract ? 2 : 2"),
    Patch(
        "RESIZE rounds half up",
        "half up on negatives",
        KERNELS + "qc_resize.c",
        "(sum > 0 ? 1 << 19 : -(1 << 19))",
        "(1 << 19)",
    ),
    Patch(
        "BATCH_MATMUL forgets a zero point",
        "zero point forgotten",
        KERNELS + "qc_batch_matmul.c",
        "*b - p->input2_zero_point",
        "*b",
    ),
    Patch(
        "TRANSPOSE_CONV adds the input's zero point",
        "sign of the zero point",
        KERNELS + "qc_transpose_conv2d_s8.c",
        "a[c] - zero_point",
        "a[c] + zero_point",
    ),
    Patch(
        "BATCH_MATMUL swaps no axes",
        "wrong position",
        KERNELS + "qc_batch_matmul.c",
        "adj_x ? 1 : width_a, next_column",
        "width_a, next_column",
    ),
    Patch(
        "SLICE begins at the first element",
        "wrong position",
        KERNELS + "qc_slice.c",
        "data + params->offset * move.size",
        "data",
    ),
    Patch(
        "an axis that was copied is not left",
        "wrong position",
        KERNELS + "qc_move.c",
        "input -= (int32_t)(move->count[i] - 1) * move->from[i] * size;",
        "",
    ),
    Patch("only the lower bound", "clamp in the wrong place", C_FIXED, "if (x > high) x = high;", ""),
    Patch(
        "int16 exponentials of positive differences",
        "softmax",
        SOFTMAX_WIDE,
        "qc_clamp(steps, INT16_MIN - INT16_MAX, 0)",
        "qc_clamp(steps, INT16_MIN, 0)",
    ),
    Patch(
        "inputs below diff_min count",
        "softmax",
        SOFTMAX,
        "if (difference < p->diff_min) return 0;",
        "",
    ),
    Patch(
        "the largest input is at least 0",
        "softmax",
        SOFTMAX,
        "int32_t largest = INT8_MIN, sum = 0;",
        "int32_t largest = 0, sum = 0;",
    ),
    Patch(
        "inputs far below the largest are not cut off",
        "softmax",
        SOFTMAX_RULE,
        "2 ** (31 - SOFTMAX_INTEGER_BITS) / (1 << int(shift))",
        "2 ** (31 - SOFTMAX_INTEGER_BITS)",
    ),
    Patch(
        "products are summed in 16 bits",
        "narrow accumulator",
        C_SIMD,
        "return (int32_t)((uint32_t)sum + (uint32_t)(a * b));",
        "return (int16_t)((uint32_t)sum + (uint32_t)(a * b));",
    ),
    Patch(
        "long sums of int16 stay in 32 bits",
        "narrow accumulator",
        C_WIDE,
        "count < 256 ? count : 256",
        "count",
    ),
    Patch(
        "powers of two round ties of negative sums away",
        "half up on negatives",
        RATIO,
        "rule == QC_HALF_UP_SHIFT ? !negative",
        "rule == QC_HALF_UP_SHIFT ? 1",
    ),
    Patch(
        "divisors lose the rest of a shift",
        "truncation instead of rounding",
        RATIO,
        "rest += (whole & ((UINT64_C(1) << -s) - 1)) * unit;",
        "rest = (whole & ((UINT64_C(1) << -s) - 1)) * unit;",
    ),
    Patch(
        "int16 convolutions sum in 32 bits",
        "narrow accumulator",
        CONV_WIDE,
        "int64_t sum = 0;\n  for (int32_t i = 0, y = top;",
        "int32_t sum = 0;\n  for (int32_t i = 0, y = top;",
    ),
    Patch("MEAN sums in 16 bits", "narrow accumulator", MEAN, "int32_t sum = 0;", "int16_t sum = 0;"),
    Patch(
        "inputs of paired rows reach to 127 only",
        "wrong bound",
        EMIT_PRODUCTS,
        "* -np.iinfo(np.int8).min",
        "* np.iinfo(np.int8).max",
    ),
    Patch(
        "sums of paired rows may be as large as their limit",
        "wrong bound",
        EMIT_PRODUCTS,
        "limits.PAIRED_SUM_LIMIT",
        "2 * limits.PAIRED_SUM_LIMIT",
    ),
    Patch(
        "weights of paired rows cancel",
        "wrong bound",
        EMIT_PRODUCTS,
        "np.abs(odd).sum(axis=1)",
        "np.abs(odd.sum(axis=1))",
    ),
    Patch(
        "the even rows are bounded instead",
        "wrong bound",
        EMIT_PRODUCTS,
        "np.abs(odd)",
        "np.abs(even)",
    ),
    Patch(
        "paired weights leave 16 bits",
        "wrong bound",
        EMIT_PRODUCTS,
        "halfwords.min() >= np.iinfo(np.int16).min",
        "True",
    ),
    Patch(
        "weights with a zero point are paired",
        "wrong bound",
        EMIT_PRODUCTS,
        "if zero_point == 0 and _can",
        "if _can",
    ),
    Patch(
        "the engine's bound of paired rows is for inputs to 127",
        "wrong bound",
        CHECK_PRODUCTS,
        "sum[1] >= QC_PAIRED_SUM / 128",
        "sum[1] >= QC_PAIRED_SUM / 127",
    ),
    Patch(
        "the zero point's share",
        "bias not folded",
        EMIT_PRODUCTS,
        "bias = bias - p.input_zero_point * (weights - weight_zero_point).sum(axis=1)",
        "pass",
    ),
    Patch(
        "the zero point's share with the other sign",
        "bias not folded",
        EMIT_PRODUCTS,
        "bias = bias - p.input_zero_point * (weights",
        "bias = bias + p.input_zero_point * (weights",
    ),
    Patch(
        "the last columns begin at 0",
        "bias not folded",
        COLUMNS,
        "for (int32_t r = 0; r < 4; r++) sum[r] = channel[r].bias;",
        "for (int32_t r = 0; r < 4; r++) sum[r] = 0;",
    ),
    Patch(
        "a bias in the input's scale",
        "wrong scale",
        AFFINE,
        "scale = np.asarray(input_scale, np.float32) * np.asarray(weight_scale, np.float32)",
        "scale = np.asarray(input_scale, np.float32) + 0 * np.asarray(weight_scale, np.float32)",
    ),
    Patch(
        "the zero point from a scale of 53 digits",
        "wrong scale",
        AFFINE,
        "np.maximum(wide.astype(np.float32), SMALLEST_SCALE)",
        "np.maximum(wide, SMALLEST_SCALE)",
    ),
    Patch(
        "the largest magnitude clips",
        "wrong scale",
        POWER,
        '"largest": float(high)',
        '"largest": float(-low)',
    ),
    Patch(
        "a broadcast axis advances",
        "wrong position",
        "firmware/engine/qc_broadcast.h",
        "dim == 1 ? 0 : step;",
        "step;",
    ),
    Patch(
        "CONCATENATION forgets the inner axes",
        "wrong position",
        CONCATENATION,
        "position * (uint32_t)move.to[axis]",
        "position",
    ),
)
