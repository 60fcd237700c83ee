"""``quantcheck write-espdl``: a quantized model with test vectors as an ``.espdl`` file."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_quantcheck.cli.files import check_file
from pytest_quantcheck.cli.vectors import FLOAT_HELP
from pytest_quantcheck.wording import counted


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck write-espdl``."""
    parser = subparsers.add_parser(
        "write-espdl",
        help="write a quantized model with test vectors as an .espdl file",
        description="Writes the integers of a model of the quantizer espdl, or of another .espdl file, with "
        "the outputs that belong to the inputs given; reads the file back and compares.",
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="of quantizer espdl, or an .espdl file")
    parser.add_argument("--inputs", required=True, metavar="X.npy", type=Path, help="N inputs, N first")
    parser.add_argument("--float", action="store_true", help=FLOAT_HELP)
    parser.add_argument("-o", "--output", required=True, metavar="OUT.espdl", type=Path)


def run(args: argparse.Namespace) -> int:
    """Write the file and say what it holds."""
    from pytest_quantcheck.cli.vectors import read_inputs, read_model
    from pytest_quantcheck.files import read_whole, write_whole
    from pytest_quantcheck.formats.espdl import is_espdl
    from pytest_quantcheck.runners.prepare import quantize_inputs
    from pytest_quantcheck.workflows.espdl.file_export import with_vectors

    check_file("--output", args.output, args.model, args.inputs)
    model = read_model(args.model)
    source = read_whole(args.model)
    inputs = quantize_inputs(model, read_inputs(args.inputs, model, floats=args.float))
    graph = model.graph
    shaped = [
        x.reshape(len(x), *graph.tensors[index].shape) for x, index in zip(inputs, graph.inputs, strict=True)
    ]
    made = with_vectors(source if is_espdl(source) else model.artefact, shaped)
    write_whole(args.output, made)
    print(f"{args.output}: {len(made)} bytes, {counted(len(shaped[0]), 'test vector')}, read back and equal")
    return 0
