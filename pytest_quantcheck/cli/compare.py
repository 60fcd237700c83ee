"""``quantcheck compare``: two runners, the same raw inputs; the first operator in which they differ."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_quantcheck.cli.document import data_sha256, write_document
from pytest_quantcheck.cli.embedded import FILE, against_file
from pytest_quantcheck.cli.files import check_file
from pytest_quantcheck.cli.rig import add_rig_options, progress
from pytest_quantcheck.cli.runners import open_runner
from pytest_quantcheck.cli.vectors import FLOAT_HELP, FORMAT, read_inputs, read_model
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.patch import patch_input_zero_point, patch_weight
from pytest_quantcheck.runners.board import ArtefactMaker, board_artefact
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.registry import HOST_RUNNERS
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.verdict.divergence import Divergence
from pytest_quantcheck.verdict.locate import exact_run, locate

BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "weight": lambda image: patch_weight(image, delta=64),
    "zero-point": patch_input_zero_point,
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck compare``."""
    parser = subparsers.add_parser(
        "compare",
        help="find the first operator in which two runners differ",
        description=f"Exit code 1 when any raw output differs. {FORMAT}",
    )
    names = f"{', '.join(HOST_RUNNERS)} or a board of the inventory"
    parser.add_argument("model", type=Path, metavar="MODEL", help="a quantized .tflite, .onnx or .espdl file")
    told = f"the reference: {names}, or file: the test vector in an .espdl file"
    parser.add_argument("--a", required=True, metavar="RUNNER", help=told)
    parser.add_argument(
        "--b",
        required=True,
        metavar="RUNNER",
        help=f"what is compared with it (or --a with it, where it alone is exact): {names}",
    )
    parser.add_argument("--inputs", type=Path, metavar="X.npy", help="needed unless --a is file")
    parser.add_argument("--float", action="store_true", help=FLOAT_HELP)
    parser.add_argument("--json", type=Path, metavar="R.json", help="write the result as JSON")
    parser.add_argument(
        "--break",
        dest="fault",
        choices=sorted(BREAKS),
        help="patch the board's image on purpose (its first operator with weights), to see that it is found; "
        "of two boards that of --b",
    )
    add_rig_options(parser)


def run(args: argparse.Namespace) -> int:
    """0 when all raw outputs are equal, 1 when not."""
    if args.a == args.b:
        raise UsageError(f"--a and --b are both {args.a!r}; name two runners")
    if args.a == FILE:
        return against_file(args)
    if args.inputs is None:
        raise UsageError("--inputs X.npy is missing")
    model = read_model(args.model)
    vectors = read_inputs(args.inputs, model, floats=args.float)
    if args.json:
        check_file("--json", args.json, args.model, args.inputs)
    if args.fault and {args.a, args.b} <= set(HOST_RUNNERS):
        raise UsageError("--break patches the image of a board, and neither --a nor --b is one")
    with ExitStack() as stack:
        watch = stack.enter_context(progress())
        makers = {"qcm": _broken_by(BREAKS[args.fault])} if args.fault else {}
        broken = args.a if args.b in HOST_RUNNERS else args.b
        runners = [
            open_runner(name, args, watch, stack, makers=makers if name == broken else {})
            for name in (args.a, args.b)
        ]
        # The interpreter first: it refuses a damaged model at once, where others may work on it for ever.
        order = sorted(runners, key=lambda runner: not isinstance(runner, IntegerRunner))
        made = {id(runner): runner.run(model, vectors) for runner in order}
        runs = [made[id(runner)] for runner in runners]
        exact = exact_run(runs)
        right, other = (1, 0) if exact == 1 else (0, 1)
        found = locate(runs[other], runs[right], runners[other], reference_runner=runners[right])
    inexact = None if exact is None else "ab"[other]
    if args.json:
        write_document(args.json, "compare", summary(args, runs[0], runs[1], inexact, found), args)
    print(f"a: {args.a} ({runs[0].runtime})\nb: {args.b} ({runs[1].runtime})")
    if found:
        print(_RELATIONS[inexact])
        for note in model.graph.notes:
            print(f"note: {note}")
    print(found if found else f"{_outputs(len(runs[0]))} equal, bit for bit")
    if args.fault and not found:
        print(f"--break {args.fault} changed no output for these inputs; try others, or more of them")
    return 1 if found else 0


_RELATIONS = {  # where the first sample differs
    "a": "b has the exact integers: what follows is how a differs from them",
    "b": "a has the exact integers: what follows is how b differs from them",
    None: "neither has the exact integers: what follows is how b differs from a",
}


def _outputs(count: int) -> str:
    return "the output is" if count == 1 else f"all {count} outputs are"


def summary(
    args: argparse.Namespace, a: Run, b: Run, inexact: str | None, found: Divergence | None
) -> dict[str, Any]:
    """What ``--json`` writes; ``inexact``: which side has not the exact integers, if the other has."""
    return {
        "model": {"name": a.model.name, "sha256": a.model.sha256},
        "inputs_sha256": data_sha256(a.inputs),
        "a": {"runner": args.a, "runtime": a.runtime},
        "b": {"runner": args.b, "runtime": b.runtime},
        "inferences": len(b),
        "equal": found is None,
        "inexact": inexact,
        "divergence": asdict(found) if found else None,
    }


def _broken_by(patch: Callable[[bytes], bytes]) -> ArtefactMaker:
    return lambda model: board_artefact(compile_image(model.folded), patch)
