"""Survivors that are no mistakes: mutants that no test can catch, and why, by their names."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "firmware/engine/kernels/qc_conv2d_s8.c: is_direct: && w->pad_top == 0 && w->pad_left == "
    "-> && w->pad_top == (-1) && w->pad_left ==": (
        "pixels are then copied to columns that could be read where they lie: slower, the same sums"
    ),
    "firmware/engine/kernels/qc_conv2d_s8.c: is_direct: ->in.c % 4 == 0 -> ->in.c % 5 == 0": (
        "pixels of any depth can be read where they lie or copied to columns first: the same sums"
    ),
    "firmware/engine/kernels/qc_max_pool_s8.c: take_larger: i += 4) qc_store32(output + "
    "-> i += 3) qc_store32(output +": "every fourth byte is compared twice: slower, the same maxima",
    "firmware/engine/kernels/qc_move.c: qc_move: axes - 1] == 1 || (move->from "
    "-> axes - 1] == 0 || (move->from": (
        "an axis of one element then ends a run: more and shorter copies of the same bytes"
    ),
    "firmware/engine/kernels/qc_columns.c: rows_by_2: op->channels) & 2 ? -8 : 8 "
    "-> op->channels) & 3 ? -8 : 8": "channels go in pairs there: bit 0 of their difference is never set",
    "firmware/engine/qc_float32.h: qc_float_packed: 1u << 23 && exponent > -149 "
    "-> 1u << 23 && exponent >= -149": (
        "one doubling more is halved again by the shift to the least exponent, without a rest"
    ),
}
