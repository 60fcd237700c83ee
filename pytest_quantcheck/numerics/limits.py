"""Limits of the integer arithmetic that importers, device image and engine share.

``MAX_`` and ``MIN_`` are allowed themselves, a ``_LIMIT`` is the first value that is not. The engine has the
same numbers in ``firmware/engine/qc_image.h``; ``tests/firmware/test_format.py`` compares them.
"""

from __future__ import annotations

MIN_SHIFT, MAX_SHIFT = -31, 30  # of a 31-bit multiplier: an int32_t cannot be shifted further
MIN_RATIO_SHIFT = -62  # of 62-bit sums that are divided by nothing but a power of two
MIN_REDUCED_SHIFT, MAX_REDUCED_SHIFT = -31, 7  # of a 15-bit multiplier: nor a 48-bit sum

INT8_PRODUCT = 1 << 14  # |int8 * int8| at most
PRODUCTS_LIMIT = 1 << 24  # in one sum, of int8 and of int16 * int8
MAX_INT16_PRODUCTS = 1 << 17  # of int16 * int16 in one sum of 47 bits
MAX_WIDE_BIAS = 1 << 46  # of 48-bit sums, so that bias and products stay below 2**47
MAX_LONG_BIAS = 1 << 60  # of sums with int16 weights, which stay below 2**61
FAST_SUM_LIMIT = 1 << 30  # sums that may be rounded twice in one step
PAIRED_SUM_LIMIT = 1 << 23  # sums that may share 32 bits with another one, 256 times as large
INT8_SUM_LIMIT = 1 << 22  # int8 values that a pool or MEAN takes together
INT16_SUM_LIMIT = 1 << 15  # int16 values in one 32-bit sum of a pool or MEAN
L2_LIMIT = 8257  # int8 values whose squares make a sum below 2**29
SOFTMAX_LIMIT = 1 << 12  # int8 values whose exponentials make a sum with 12 integer bits
INT16_SOFTMAX_LIMIT = 1 << 16  # int16 values whose exponentials make a 32-bit sum
SOFTMAX_INTEGER_BITS = 5  # of the differences that int8 SOFTMAX takes the exponential of
ADD_LEFT_SHIFT = {"int8": 20, "int16": 15}  # of what ADD and SUB add, by the type of the activations
SQUARE_LEFT_SHIFT = {"int8": 7, "int16": 0}  # of differences whose square fits 32 bits

MAX_TFLM_WINDOW = 32_767  # int16_t in TFLM's ConvParams, DepthwiseParams and PaddingValues (types.h)
MAX_WINDOW = 65_535  # kernel, stride, dilation and padding are 16 bits wide on a board
RESIZED_LIMIT = 1 << 15  # heights and widths: sizes and positions are 16 bits wide on a board, with a sign
