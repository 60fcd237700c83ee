"""``quantcheck benchmark``: what a model takes on each target, by layer; measured where a board is named."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.cli.document import write_document
from pytest_quantcheck.cli.files import check_file
from pytest_quantcheck.cli.rig import add_rig_options, progress
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.models.files.kind import file_kind

if TYPE_CHECKING:
    from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
    from pytest_quantcheck.runners.benchmark import Benchmark
    from pytest_quantcheck.runners.run import Run

SAMPLES = 2
ASSUMED = (-1.0, 1.0)
"""What random samples are drawn from: sizes do not depend on it."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck benchmark``."""
    parser = subparsers.add_parser(
        "benchmark",
        help="say what a model takes on each target: flash, RAM, multiply-accumulates, by layer",
        description="Compiles a model's device image and prints what each layer and each target takes. A "
        "float model is quantized first, int8 per channel, with random samples: its sizes are right, its "
        "accuracy is not. --board also runs it. Exit code 1: it does not fit a target that was named.",
    )
    parser.add_argument(
        "model", metavar="MODEL", help="a quantized .tflite or .onnx file, or any float model"
    )
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="TARGET",
        help="only this chip or virtual board, repeatable (default: all)",
    )
    parser.add_argument("--board", metavar="NAME", help="also run it on this board of the inventory")
    parser.add_argument("--json", type=Path, metavar="B.json", help="write the results as JSON")
    parser.add_argument(
        "--cache", metavar="DIR", type=Path, help="folder for conversions (default: QC_CACHE)"
    )
    add_rig_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 where a target that was named is too small."""
    from pytest_quantcheck.report.benchmark import benchmark_table
    from pytest_quantcheck.runners.benchmark import benchmark

    if args.json:
        check_file("--json", args.json, Path(args.model))
    model = _model(args)
    found = benchmark(model, args.target)
    measured = None
    if args.board:
        measured = _measured(model, args)
        found = benchmark(model, args.target, profile=measured)
    print(f"{model.id}: {len(model.artefact):,} bytes")
    if model.random_calibration:
        print("quantized with random samples: sizes and counters are right, accuracy is not judged")
    print("\n".join(benchmark_table(found, measured)))
    if args.json:
        write_document(args.json, "benchmark", _content(model, found, measured), args)
    return int(bool(args.target) and not all(use.fits for use in found.targets))


def _model(args: argparse.Namespace) -> QuantizedModel:
    """The model as it is; a float one quantized with random samples."""
    from pytest_quantcheck.cache import Cache
    from pytest_quantcheck.cli.vectors import read_model
    from pytest_quantcheck.quantizers.config import QuantConfig
    from pytest_quantcheck.quantizers.quantize import quantize
    from pytest_quantcheck.runners.prepare import summary_of

    path, kind = Path(args.model), file_kind(Path(args.model))
    if path.is_dir() and not kind:
        raise UsageError(f"{path} is a folder; give the name of a model file")
    if kind in ("tflite", "onnx"):
        model = read_model(path)
        if any(len(tensor.scales) for tensor in summary_of(model.artefact).tensors):
            return model
    print(f"quantizing {args.model} with random samples ...", file=sys.stderr, flush=True)
    config = QuantConfig(
        granularity="per_channel",
        calibration="random",
        quantizer="onnx" if kind == "onnx" else "tflite",
    )
    return quantize(args.model, config, base=Path.cwd(), cache=Cache(args.cache), input_range=ASSUMED)


def _measured(model: QuantizedModel, args: argparse.Namespace) -> Run:
    """Random samples on the board, every operator counted."""
    from pytest_quantcheck.cli.runners import open_board
    from pytest_quantcheck.runners.benchmark import random_vectors

    with ExitStack() as stack:
        runner = open_board(args.board, args, stack.enter_context(progress()), stack)
        return runner.run(model, random_vectors(model, SAMPLES), operators=True)


def _content(model: QuantizedModel, found: Benchmark, measured: Run | None) -> dict[str, Any]:
    """The content of ``B.json``."""
    content: dict[str, Any] = {
        "model": {"name": model.name, "sha256": model.sha256},
        "random_calibration": model.random_calibration,
        "macs": found.macs,
        "image_bytes": found.flash,
        "arena_bytes": found.arena,
        "ram_bytes": found.ram,
        "layers": [asdict(layer) for layer in found.layers],
        "targets": [asdict(use) for use in found.targets],
    }
    if measured is not None:
        content["measured"] = {
            "board": measured.device.board,
            "target": measured.target,
            "chip": measured.device.chip,
            "runtime": measured.runtime,
            "firmware": measured.device.build_id,
            "unit": measured.unit,
            "clock_hz": measured.clock_hz,
            "counters": list(measured.counters),
            "arena_bytes": measured.footprint.arena,
            "stack_bytes": measured.footprint.stack,
            "firmware_bytes": measured.footprint.firmware,
        }
    return content
