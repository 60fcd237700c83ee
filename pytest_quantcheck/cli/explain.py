"""``quantcheck explain``: the whole diagnosis of one quantized model, without pytest."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.document import data_sha256, write_document
from pytest_quantcheck.cli.files import check_file
from pytest_quantcheck.cli.rig import add_rig_options, progress
from pytest_quantcheck.cli.runners import open_board
from pytest_quantcheck.cli.vectors import read_model
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.artefact import manifest_path, read_artefact
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel

if TYPE_CHECKING:
    from pytest_quantcheck.data.dataset import Dataset

_VECTORS = 20


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck explain``."""
    parser = subparsers.add_parser(
        "explain",
        help="say where a quantized model loses its accuracy, and why",
        description="Exit code 1 when something is wrong: a cause is named, or a loss that nothing explains.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a quantized .tflite or .onnx file")
    parser.add_argument(
        "--data",
        required=True,
        metavar="PATH",
        help=".npy, .npz or package.module:function with samples as the float model takes them",
    )
    parser.add_argument(
        "--float",
        dest="float_model",
        type=Path,
        metavar="FLOAT",
        help="its float model: .tflite, .onnx, .h5, .keras, SavedModel, .mltk.zip",
    )
    parser.add_argument("--board", metavar="NAME", help="ask this board of the inventory, too")
    parser.add_argument(
        "--vectors",
        type=int,
        default=_VECTORS,
        metavar="N",
        help="samples that the board computes (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="R.json", help="write the result as JSON")
    add_rig_options(parser)


def run(args: argparse.Namespace) -> int:
    """0 when there is nothing to explain, 1 when there is."""
    from pytest_quantcheck.runners.float_outputs import FloatOutputs
    from pytest_quantcheck.workflows.explain import explain

    if args.vectors < 1:
        raise UsageError(f"--vectors {args.vectors} is out of range; allowed: a whole number from 1")
    model = _model(args)
    data = _data(args)
    if args.json:
        check_file("--json", args.json, args.model, *([args.float_model] if args.float_model else []))
    with ExitStack() as stack:
        watch = stack.enter_context(progress())
        board = open_board(args.board, args, watch, stack) if args.board else None
        found = explain(model, data, FloatOutputs(), board, args.vectors)
    if args.json:
        content = {
            "model": {"name": model.name, "sha256": model.sha256},
            "data_sha256": data_sha256(data.test.inputs),
            "sound": found.sound,
            **found.to_dict(),
        }
        write_document(args.json, "explain", content, args)
    print("\n".join(found.lines()))
    return 0 if found.sound else 1


def _model(args: argparse.Namespace) -> QuantizedModel:
    """With its float model, and with its manifest where that lies beside it."""
    model = read_model(args.model)
    floats = b""
    if args.float_model is not None:
        floats = _float_model(args.float_model)
    if manifest_path(args.model).exists():
        model = read_artefact(args.model, float_model=floats)
    return replace(model, float_model=floats)


def _float_model(path: Path) -> bytes:
    """A ``.tflite`` or ``.onnx`` file as it is, whatever is wrong with it is to be told; others converted."""
    if path.suffix in (".tflite", ".onnx"):
        return read_model(path).artefact
    from pytest_quantcheck.models.load import load

    return load(path).content


def _data(args: argparse.Namespace) -> Dataset:
    from pytest_quantcheck.data.dataset import Dataset, Samples
    from pytest_quantcheck.data.load import load_data

    found = load_data(args.data, Path.cwd())
    return Dataset(found.take([]), found) if isinstance(found, Samples) else found
