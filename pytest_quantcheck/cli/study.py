"""``quantcheck study``: the quantization lab of a course, as one command."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.verdict import conclude
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from pytest_quantcheck.workflows.lab_study.checked import Checked
    from pytest_quantcheck.workflows.lab_study.study import Study


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck study``, called as in the course where the course has them."""
    parser = subparsers.add_parser(
        "study",
        help="compare float, quantized and badly calibrated models of one network",
        description="Runs a network in its framework, as float32 TFLite, as int8 with more and more "
        "calibration samples, and calibrated with one class only; writes metrics, confusion matrices, the "
        "models and a summary.",
    )
    parser.add_argument(
        "--model-path", required=True, metavar="MODEL", help=".h5 or .keras; others have no native model"
    )
    parser.add_argument(
        "--dataset-root",
        required=True,
        metavar="DATA",
        help="folder of the Oxford-IIIT Pet dataset, or what --data of quantcheck quantize takes",
    )
    parser.add_argument(
        "--results-path", required=True, metavar="DIR", type=Path, help="folder for what is written"
    )
    parser.add_argument(
        "--test-dataset-fraction",
        type=float,
        default=1.0,
        metavar="PART",
        help="how much of the test samples to use, of every class alike (default: 1.0)",
    )
    parser.add_argument(
        "--tasks",
        nargs="+",
        default=["all"],
        metavar="TASK",
        help="native, tflite-fp32, tflite-int8-FRACTION, tflite-imbint8, tflite-int8-all, all (default)",
    )
    parser.add_argument(
        "--one-class",
        default="5",
        metavar="CLASS",
        help="what tflite-imbint8 is calibrated with (default: 5)",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        metavar="FRACTION",
        help="the accuracy that a model may lose against tflite-fp32; one that loses more is exit code 1",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of an inference (default: one for each processor)"
    )
    _add_tester(parser)
    parser.add_argument(
        "--cache", metavar="DIR", type=Path, help="folder for conversions (default: QC_CACHE)"
    )


def _add_tester(parser: argparse.ArgumentParser) -> None:
    """A student's own classes."""
    parser.add_argument(
        "--tester",
        type=Path,
        metavar="FILE.py",
        help="also run the classes NativeModel, FP32Model, INT8Model, ImbalancedINT8Model of this file, and "
        "check what they make; needs --trust",
    )
    parser.add_argument("--trust", action="store_true", help="run the code of --tester")


def _check_testers(made: Study, args: argparse.Namespace) -> tuple[Checked, ...]:
    """What the classes of ``--tester`` did; nothing without it."""
    from pytest_quantcheck.workflows.lab_study.testers.check import check_testers

    if not args.tester:
        return ()
    print(f"{args.tester} ...", file=sys.stderr, flush=True)
    return check_testers(
        made,
        args.tester,
        model_path=Path(args.model_path),
        root=args.dataset_root,
        base=Path.cwd(),
        results=args.results_path,
    )


def run(args: argparse.Namespace) -> int:
    """Run all tasks, write the files, print the table; the exit code of the verdicts."""
    from pytest_quantcheck.cache import Cache
    from pytest_quantcheck.workflows.lab_study.files import require_figures, write_files
    from pytest_quantcheck.workflows.lab_study.study import study
    from pytest_quantcheck.workflows.lab_study.tasks import tasks

    chosen = tasks(args.tasks, args.one_class)
    threads = os.cpu_count() or 1 if args.threads is None else args.threads
    if threads < 1:
        raise UsageError(f"--threads {threads}: allowed: a whole number from 1")
    if args.max_drop is not None and not 0 <= args.max_drop <= 1:
        raise UsageError(f"--max-drop {args.max_drop:g}: allowed: a fraction from 0 to 1, such as 0.02")
    if args.results_path.exists() and not args.results_path.is_dir():
        raise UsageError(f"--results-path {args.results_path} is a file; give a folder")
    if args.tester and not args.trust:
        raise UsageError(
            f"--tester {args.tester}: its code is run, with all your rights; --trust says that you want that"
        )
    require_figures()
    made = study(
        args.model_path,
        args.dataset_root,
        chosen,
        base=Path.cwd(),
        fraction=args.test_dataset_fraction,
        max_drop=args.max_drop,
        threads=threads,
        cache=Cache(args.cache),
        progress=lambda name: print(f"{name} ...", file=sys.stderr, flush=True),
    )
    checked = _check_testers(made, args)
    for path in write_files(made, args.results_path, checked):
        print(path)
    for left_out in made.left_out:
        print(f"left out: {left_out}")
    rows = [*(each.row for each in made.results), *(each.row for each in checked)]
    code = conclude(rows, strict=False)
    if args.max_drop is not None or any(each.row.failed for each in checked):
        return code
    print("no accuracy gate is set: --max-drop 0.02 sets one")
    return 0
