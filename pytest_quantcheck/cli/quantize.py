"""``quantcheck quantize``: an integer model of a float one, audited, with its manifest beside it."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.cli import mltk
from pytest_quantcheck.cli.files import check_file
from pytest_quantcheck.errors import QuantcheckError, UsageError
from pytest_quantcheck.models.files.kind import file_kind
from pytest_quantcheck.quantizers.config import DATA_TYPES, SCHEMES
from pytest_quantcheck.quantizers.registry import quantizer, quantizer_names
from pytest_quantcheck.quantizers.scheme import GRANULARITIES
from pytest_quantcheck.wording import counted

if TYPE_CHECKING:
    from pytest_quantcheck.cache import Cache
    from pytest_quantcheck.data.calibration import Calibration
    from pytest_quantcheck.data.representative import Data
    from pytest_quantcheck.quantizers.config import QuantConfig
    from pytest_quantcheck.quantizers.quantized_model import QuantizedModel


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck quantize``."""
    parser = subparsers.add_parser(
        "quantize",
        help="make an integer model of a float one",
        description="Quantizes a float model, audits the result from the file itself, and writes it with a "
        "manifest (hashes, calibration samples, versions) beside it.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help=".keras, .h5, .tflite, .onnx, .mltk.zip, SavedModel folder, package.module:function",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        help="the artefact to write (required); of a .mltk.zip also a copy of it (NAME-quantized.mltk.zip)",
    )
    _add_configuration(parser)
    _add_samples(parser)
    mltk.add_options(parser)
    parser.add_argument(
        "--convergence",
        metavar="FIGURE.svg",
        type=Path,
        help="also quantize with ever more samples; print how scales and accuracy settle, and draw it",
    )
    parser.add_argument(
        "--cache", metavar="DIR", type=Path, help="folder for conversions (default: QC_CACHE)"
    )


def _add_configuration(parser: argparse.ArgumentParser) -> None:
    """Options named like the fields of ``QuantConfig``, but for the samples."""
    parser.add_argument(
        "--quantizer", choices=quantizer_names(), help="default: onnx for a MODEL that is .onnx, else tflite"
    )
    parser.add_argument(
        "--scheme",
        metavar="SCHEME",
        default="",
        help=f"{', '.join(SCHEMES)}; of onnx: int8, uint8, int16x8; of espdl: int8, int16 (default: int8)",
    )
    for side in ("input", "output"):
        parser.add_argument(
            f"--{side}-type", choices=DATA_TYPES, default="", help="default: the scheme's, such as int8"
        )
    parser.add_argument(
        "--granularity", choices=GRANULARITIES, default="", help="default: per_channel; of espdl: per_tensor"
    )
    parser.add_argument(
        "--optimize", action="store_true", help="equalise weights across layers first; with per_tensor"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the quantizer's own, repeatable",
    )


def _add_samples(parser: argparse.ArgumentParser) -> None:
    """Which samples calibrate, and where they come from."""
    parser.add_argument(
        "--calibration",
        metavar="SAMPLES",
        help="10%%, count:100, all, stratified:10%%, classes:5, ids:a,b, random or random:20 (default: all; "
        "without --data: random)",
    )
    parser.add_argument("--seed", type=int, default=0, help="which samples a part or random stands for")
    parser.add_argument(
        "--data",
        metavar="PATH",
        help=".npy, .npz, images:FOLDER?size=96 or package.module:function with the calibration samples",
    )
    parser.add_argument(
        "--input-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="what random samples are drawn from (default: what dataset or model say, else 0 1)",
    )


def run(args: argparse.Namespace) -> int:
    """Quantize, write artefact and manifest, say what was made; returns 1 where nothing could run it."""
    from pytest_quantcheck.cache import Cache
    from pytest_quantcheck.data.load import load_data

    here, cache = Path.cwd(), Cache(args.cache)
    archive = file_kind(Path(args.model)) == "mltk"
    if not archive:
        mltk.refuse(args)
        _check_configuration(args)
    data = load_data(args.data, here, None if archive else partial(_input_names, args)) if args.data else None
    _say(f"quantizing {args.model}")
    if archive:
        output = mltk.target_of(args)
        model, written = mltk.quantize_archive(args, data, cache)
    else:
        output = args.output
        model, written = _quantize(args, data, cache)
    print(f"{output}: {len(model.artefact)} bytes, SHA-256 {model.sha256}")
    count = model.manifest["calibration"].get("samples")
    print(
        f"  {model.id}, "
        + (f"calibrated with {counted(count, 'sample')}" if count else "without calibration")
    )
    for finding in model.manifest["findings"]:
        print(f"  {finding['severity']}: {finding['sentence']} {finding['remedy']}".rstrip())
    for line in written:
        print(f"  {line}")
    _print_score(model, data)
    return _judge(model)


def _check_configuration(args: argparse.Namespace) -> None:
    """Before the data are read."""
    if args.output is None:
        raise UsageError("--output is missing; name the artefact to write: -o OUT")
    _check_output(args.output, quantizer(_chosen(args)).suffix, args.model, args.data)


def _chosen(args: argparse.Namespace) -> str:
    return args.quantizer or ("onnx" if file_kind(Path(args.model)) == "onnx" else "tflite")


def _quantize(args: argparse.Namespace, data: Data | None, cache: Cache) -> tuple[QuantizedModel, list[str]]:
    """The model, and what was written beside it."""
    from pytest_quantcheck.quantizers.artefact import write_artefact
    from pytest_quantcheck.quantizers.config import QuantConfig
    from pytest_quantcheck.quantizers.quantize import quantize

    config = QuantConfig(
        args.input_type,
        args.output_type,
        args.granularity,
        _calibration(args),
        _chosen(args),
        args.scheme,
        tuple(_option(text) for text in args.option),
        args.optimize,
    )
    span = tuple(args.input_range) if args.input_range else None
    if args.convergence:
        _converge(args, config, data, cache)
    model = quantize(args.model, config, data, base=Path.cwd(), cache=cache, input_range=span)
    return model, [f"manifest: {write_artefact(model, args.output)}"]


def _calibration(args: argparse.Namespace) -> Calibration | None:
    """What was asked for; without data random, where the scheme needs samples at all."""
    from pytest_quantcheck.data.calibration import Calibration

    schemes = quantizer(_chosen(args)).schemes
    scheme = schemes.get(args.scheme or next(iter(schemes)))
    usual = "random" if args.data is None and scheme is not None and scheme.calibrated else "all"
    text = args.calibration or (usual if usual == "random" or args.seed else None)
    return Calibration.parse(text, args.seed) if text else None


def _input_names(args: argparse.Namespace) -> list[str]:
    """Of the float model, which the quantizer takes from the same cache."""
    from pytest_quantcheck.cache import Cache
    from pytest_quantcheck.models.load import load

    model = load(args.model, base=Path.cwd(), cache=Cache(args.cache))
    return [tensor.name for tensor in model.summary.input_tensors]


def _judge(model: QuantizedModel) -> int:
    """1 where nothing that is known here runs the integers; what keeps them from our runtimes is printed."""
    from pytest_quantcheck.formats.detect import is_onnx
    from pytest_quantcheck.quantizers.audit.tflite import WEIGHTS_ONLY
    from pytest_quantcheck.workflows.obstacles import obstacles, runs_on_tflm

    if model.config is not None and model.config.scheme in WEIGHTS_ONLY:
        return 0
    found = obstacles(model.artefact)
    for finding in found:
        print(f"  {finding}")
    if not found:
        return 0
    others = "onnxruntime" if is_onnx(model.artefact) else "tflm" if runs_on_tflm(model) else ""
    if others:
        print(f"  runs with {others} only, not on our firmware")
        return 0
    print("  no runtime here could run it")
    return 1


def _print_score(model: QuantizedModel, data: Data | None) -> None:
    """Beside the float model's. The artefact is written: that it cannot be scored is said, and no error."""
    from pytest_quantcheck.workflows.first_score import first_score

    try:
        scores, findings = first_score(model, data)
    except QuantcheckError as error:
        print(f"  not scored: {error}")
        return
    for line in (*scores, *findings):
        print(f"  {line}")


def _converge(args: argparse.Namespace, config: QuantConfig, data: Data | None, cache: Cache) -> None:
    """Print the table and write the figure."""
    from pytest_quantcheck.files import write_whole
    from pytest_quantcheck.report.convergence import convergence_svg, convergence_table
    from pytest_quantcheck.workflows.convergence import convergence

    if args.convergence.suffix != ".svg":
        raise UsageError(
            f"--convergence {args.convergence}: the figure is an SVG; give a name that ends in .svg"
        )
    check_file("--convergence", args.convergence, args.output, Path(args.data) if args.data else None)
    rows = convergence(
        args.model,
        config,
        data,
        base=Path.cwd(),
        cache=cache,
        progress=lambda size: _say(f"calibrating with {size}"),
    )
    print("\n".join(convergence_table(rows, "accuracy")))
    write_whole(args.convergence, convergence_svg(rows, "accuracy").encode())


def _say(line: str) -> None:
    """What takes a while, on stderr."""
    print(f"{line} ...", file=sys.stderr, flush=True)


def _option(text: str) -> tuple[str, Any]:
    """``bins=2048`` as a key and a number, a truth value or a text."""
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise UsageError(f"--option {text}: allowed: KEY=VALUE")
    try:
        return key, json.loads(value.lower() if value in ("True", "False") else value)
    except ValueError:
        return key, value


def _check_output(output: Path, suffix: str, model: str, data: str | None) -> None:
    """Before the long work begins, and before anything of the user's could be overwritten."""
    if output.suffix != suffix:
        raise UsageError(
            f"--output {output}: the artefact is a {suffix} file; give a name that ends in {suffix}"
        )
    from pytest_quantcheck.quantizers.artefact import manifest_path

    for path in (output, manifest_path(output)):
        check_file("--output", path, Path(data) if data else None)
    if Path(model).exists() and output.exists() and output.samefile(model):
        raise UsageError(f"--output {output} is the model itself; give another name")
