"""``quantcheck input-espdl``: how bytes become a model's input in C."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.expression import arithmetic


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck input-espdl``."""
    parser = subparsers.add_parser(
        "input-espdl",
        help="say how bytes become the input of a model for ESP-DL",
        description="real = (byte * scale + offset - mean) / std, as in training. Prints the input's "
        "exponent, a formula for C that rounds, and what saturating, truncating or forgetting it costs.",
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="of quantizer espdl, or an .espdl file")
    parser.add_argument("--scale", default="1", help="such as 1/255 or 1/127.5 (default: 1)")
    parser.add_argument("--offset", default="0", help="such as -1 (default: 0)")
    parser.add_argument("--mean", default="0", metavar="M,M,M", help="by channel (default: 0)")
    parser.add_argument("--std", default="1", metavar="S,S,S", help="by channel (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Print the help for each input."""
    import numpy as np

    from pytest_quantcheck.cli.vectors import read_model
    from pytest_quantcheck.workflows.espdl.input_help import Preprocessing, help_lines

    preprocessing = Preprocessing(
        _numbers("--scale", args.scale)[0],
        _numbers("--offset", args.offset)[0],
        _numbers("--mean", args.mean),
        _numbers("--std", args.std),
    )
    graph = read_model(args.model).graph
    for index in graph.inputs:
        tensor = graph.tensors[index]
        scale = tensor.quantization.scale if tensor.quantization is not None else np.zeros(1)
        fraction, power = np.frexp(float(scale[0]))
        if tensor.dtype.name not in ("int8", "int16") or fraction != 0.5 or tensor.quantization is None:
            given = f"{tensor.dtype.name} with the scale {scale[0]:g}"
            told = "int8 and int16 with powers of two are ESP-DL's"
            raise UsageError(f"input '{tensor.name}' of {args.model} is {given}; {told}")
        if tensor.quantization.zero_point.any():
            raise UsageError(f"input '{tensor.name}' of {args.model} has a zero point; ESP-DL's have none")
        print("\n".join(help_lines(preprocessing, tensor.name, int(power) - 1, tensor.dtype.name)))
    return 0


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        found = arithmetic(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from error
    return tuple(float(each) for each in (found if isinstance(found, tuple) else (found,)))
