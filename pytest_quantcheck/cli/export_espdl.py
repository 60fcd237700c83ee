"""``quantcheck export-espdl``: coefficients of a float ONNX model as C++ for ESP-DL 1.1."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_quantcheck.cli.files import check_file
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.espdl.options import TARGETS
from pytest_quantcheck.quantizers.scheme import GRANULARITIES
from pytest_quantcheck.temporary import OwnFolder


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck export-espdl``."""
    parser = subparsers.add_parser(
        "export-espdl",
        help="write the coefficients of a float ONNX model as C++ for ESP-DL 1.1",
        description="Simplifies a float ONNX model, calibrates it, and writes the integers of its layers as "
        ".cpp and .hpp files; prints the exponents of its layers.",
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="a float .onnx file")
    parser.add_argument("--bits", type=int, choices=(8, 16), default=8, help="default: 8")
    parser.add_argument(
        "--granularity", choices=GRANULARITIES[::-1], default="per_tensor", help="default: per_tensor"
    )
    parser.add_argument(
        "--calibration-method", choices=("minmax", "entropy"), default="minmax", help="default: minmax"
    )
    parser.add_argument("--data", required=True, metavar="PATH", help="samples to calibrate with")
    parser.add_argument("--target", choices=TARGETS, default="esp32s3", help="default: esp32s3")
    parser.add_argument(
        "-o", "--output", required=True, metavar="NAME", type=Path, help="NAME.cpp and NAME.hpp are written"
    )
    parser.add_argument(
        "--model-class", metavar="CLASS", help="also write NAME_model.hpp: a class that uses the coefficients"
    )
    parser.add_argument(
        "--table", metavar="FILE", type=Path, help="also write the exponents: .json, or the toolkit's .pickle"
    )


def run(args: argparse.Namespace) -> int:
    """Optimize, calibrate, export; prints what the toolkit prints."""
    import numpy as np

    from pytest_quantcheck.data.dataset import Dataset
    from pytest_quantcheck.data.load import load_data
    from pytest_quantcheck.files import read_whole
    from pytest_quantcheck.formats.onnx import MAX_FILE_BYTES, parse
    from pytest_quantcheck.quantizers.espdl.optimize import optimize
    from pytest_quantcheck.workflows.espdl import Calibrator

    for suffix in (".cpp", ".hpp", *(("_model.hpp",) if args.model_class else ())):
        check_file("--output", args.output.with_name(args.output.name + suffix), args.model)
    if not args.model.is_file():
        raise UsageError(f"there is no model {args.model}")
    data = load_data(args.data)
    samples = data.calibration if isinstance(data, Dataset) else data
    model = optimize(parse(read_whole(args.model, MAX_FILE_BYTES)))
    words = args.granularity.replace("_", "-")
    calibrator = Calibrator(f"int{args.bits}", words, args.calibration_method)
    with OwnFolder("table") as folder:
        table = args.table or Path(folder) / "table.json"
        print("Generating the quantization table:")
        calibrator.generate_quantization_table(model, np.asarray(samples.x), table)
        folder_out = args.output.parent
        calibrator.export_coefficient_to_cpp(model, table, args.target, folder_out, args.output.name, True)
        if args.model_class:
            where = (args.target, folder_out, args.output.name)
            written = calibrator.export_model_class(model, table, *where, args.model_class)
            print(f"The class {args.model_class} is in {written}")
    return 0
