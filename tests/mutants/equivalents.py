"""Survivors that are no mistakes: mutants that no test can catch, and why, by their names."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "firmware/engine/kernels/qc_columns.c: paired_by_2: * (k & ~15u) -> * (k & ~14u)": (
        "the length of a column is a multiple of 4, so that both leave the same bits"
    ),
    "firmware/engine/kernels/qc_conv2d_s8.c: is_direct: && w->pad_top == 0 && w->pad_left == "
    "-> && w->pad_top == (-1) && w->pad_left ==": (
        "pixels are then copied to columns that could be read where they lie: slower, the same sums"
    ),
    "firmware/engine/kernels/qc_pad.c: qc_pad: [i] = (int16_t)params->value "
    "-> [i] = (uint16_t)params->value": "the same sixteen bits are stored",
    "pytest_quantcheck/numerics/power_of_two.py: divide_by_ratio: 1 << 31 -> 1 << 32 #2": (
        "2**31 and more, shifted left by at least one, end at the limit of 2**30 from either bound, which "
        "only keeps the shift within int64, and where a divisor is not 1 there are no such values"
    ),
}
