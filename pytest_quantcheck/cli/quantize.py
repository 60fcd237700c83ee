"""``quantcheck quantize``: an integer model of a float one, audited, with its manifest beside it."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_quantcheck.cli.files import check_file
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.config import GRANULARITIES, INPUT_TYPES, QUANTIZERS


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck quantize``."""
    parser = subparsers.add_parser(
        "quantize",
        help="make an integer model of a float one",
        description="Quantizes a float model, audits the result from the file itself, and writes it with a "
        "manifest (hashes, calibration samples, versions) beside it.",
    )
    parser.add_argument(
        "model", metavar="MODEL", help=".keras, .h5, .tflite, SavedModel folder, package.module:function"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True, type=Path, help="the .tflite to write"
    )
    parser.add_argument("--quantizer", choices=QUANTIZERS, default="tflite")
    parser.add_argument("--input-type", choices=INPUT_TYPES, default="int8")
    parser.add_argument("--output-type", choices=INPUT_TYPES, default="int8")
    parser.add_argument("--granularity", choices=GRANULARITIES, default="per_channel")
    parser.add_argument(
        "--calibration",
        default="all",
        metavar="SAMPLES",
        help="10%%, count:100, all, random or random:20 (default: all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="which samples a part or random stands for")
    parser.add_argument(
        "--data", metavar="PATH", help=".npy, .npz or package.module:function with the calibration samples"
    )
    parser.add_argument(
        "--input-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="what random samples are drawn from, when no dataset says so",
    )
    parser.add_argument(
        "--cache", metavar="DIR", type=Path, help="folder for conversions (default: QC_CACHE)"
    )


def run(args: argparse.Namespace) -> int:
    """Quantize, write artefact and manifest, say what was made; returns 0."""
    from pytest_quantcheck.data.calibration import Calibration
    from pytest_quantcheck.data.load import load_data
    from pytest_quantcheck.quantizers.artefact import write_artefact
    from pytest_quantcheck.quantizers.cache import Cache
    from pytest_quantcheck.quantizers.config import QuantConfig
    from pytest_quantcheck.quantizers.tflite import quantize

    _check_output(args.output, args.model, args.data)
    config = QuantConfig(
        args.input_type,
        args.output_type,
        args.granularity,
        Calibration.parse(args.calibration, args.seed),
        args.quantizer,
    )
    here = Path.cwd()
    data = load_data(args.data, here) if args.data else None
    span = tuple(args.input_range) if args.input_range else None
    model = quantize(args.model, config, data, base=here, cache=Cache(args.cache), input_range=span)
    manifest = write_artefact(model, args.output)
    samples = model.manifest["calibration"]
    print(f"{args.output}: {len(model.artefact)} bytes, SHA-256 {model.sha256}")
    print(f"  {model.id}, calibrated with {samples['samples']} samples")
    for finding in model.manifest["findings"]:
        print(f"  {finding['severity']}: {finding['sentence']} {finding['remedy']}")
    print(f"  manifest: {manifest}")
    return 0


def _check_output(output: Path, model: str, data: str | None) -> None:
    """Before the long work begins, and before anything of the user's could be overwritten."""
    if output.suffix != ".tflite":
        raise UsageError(
            f"--output {output}: the artefact is a TFLite file; give a name that ends in .tflite"
        )
    check_file("--output", output, Path(data) if data else None)
    if Path(model).exists() and output.exists() and output.samefile(model):
        raise UsageError(f"--output {output} is the model itself; give another name")
