"""``quantcheck run``: a quantized model on a board, with inputs and outputs as NumPy files."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

from pytest_quantcheck.cli.document import data_sha256, write_document
from pytest_quantcheck.cli.files import check_file
from pytest_quantcheck.cli.rig import add_rig_options, progress
from pytest_quantcheck.cli.runners import open_board
from pytest_quantcheck.cli.vectors import (
    FLOAT_HELP,
    FORMAT,
    output_file,
    read_inputs,
    read_model,
    write_outputs,
)
from pytest_quantcheck.graph.model import output_of, source_of
from pytest_quantcheck.runners.estimate import Estimate
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.wording import counted


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck run``."""
    parser = subparsers.add_parser(
        "run",
        help="run a quantized model on a board, with inputs and outputs as NumPy files",
        description=(
            f"{FORMAT} Y.npy gets the N raw outputs (several: an .npz with the names of the output tensors). "
            "R.json gets board, runtime, counter unit, counter per inference, arena and image bytes and, "
            "with --profile, a row per operator."
        ),
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a quantized .tflite or .onnx file")
    parser.add_argument("--board", required=True, metavar="NAME", help="a board of the inventory")
    parser.add_argument("--inputs", required=True, type=Path, metavar="X.npy")
    parser.add_argument("--float", action="store_true", help=FLOAT_HELP)
    parser.add_argument("--outputs", type=Path, metavar="Y.npy")
    parser.add_argument("--profile", action="store_true", help="count every operator on its own")
    parser.add_argument("--json", type=Path, metavar="R.json", help="write the results as JSON")
    add_rig_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run all inputs on the board; write what was asked for; print a summary."""
    model = read_model(args.model)
    vectors = read_inputs(args.inputs, model, floats=args.float)
    outputs = output_file(args.outputs, model) if args.outputs else None
    if outputs:
        check_file("--outputs", outputs, args.model, args.inputs)
    if args.json:
        check_file("--json", args.json, args.model, args.inputs, outputs)
    with ExitStack() as stack:
        runner = open_board(args.board, args, stack.enter_context(progress()), stack)
        result = runner.run(model, vectors, operators=args.profile)
        estimate = result.estimate() if args.profile else None
    if outputs:
        write_outputs(outputs, result.outputs, model)
    if args.json:
        write_document(args.json, "run", summary(result), args)
    _print(result, estimate)
    if outputs != args.outputs:
        print(f"the model has {len(result.outputs)} outputs, which a .npy does not hold: see {outputs}")
    return 0


def summary(result: Run) -> dict[str, Any]:
    """The content of ``R.json``: plain values, counters per inference in ``unit``, sizes in bytes."""
    content: dict[str, Any] = {
        "model": {"name": result.model.name, "sha256": result.model.sha256},
        "inputs_sha256": data_sha256(result.inputs),
        "board": result.device.board,
        "target": result.target,
        "chip": result.device.chip,
        "runtime": result.runtime,
        "firmware": result.device.build_id,
        "storage": result.device.storage,
        "unit": result.unit,
        "clock_hz": result.clock_hz,
        "counters": list(result.counters),
        "image_bytes": result.footprint.image,
        "arena_bytes": result.footprint.arena,
        "stack_bytes": result.footprint.stack,
        "firmware_bytes": result.footprint.firmware,
        "link": dict(result.effort.link),
        "log": result.log,
    }
    if result.operators:
        content["operators"] = [
            {
                "index": source_of(records[0].index),
                "output": output_of(records[0].index),
                "kind": records[0].kind,
                "counters": [record.counter for record in records],
                "crc32": [record.crc32 for record in records],
            }
            for records in zip(*result.inferences, strict=True)
        ]
    return content


def _print(result: Run, estimate: Estimate | None) -> None:
    done = counted(len(result) * prod(result.steps), "inference")
    print(f"{done} of {result.model.name} on {result.device.board} ({result.runtime})")
    print(_cost(result))
    if estimate is not None:
        print(estimate)
    sizes = (
        ("image", result.footprint.image),
        ("arena", result.footprint.arena),
        ("stack", result.footprint.stack),
    )
    if known := ", ".join(f"{name} {size:,} bytes" for name, size in sizes if size is not None):
        print(known)
    if result.operators:
        _print_profile(result, estimate)


def _cost(result: Run) -> str:
    if not result.counters:
        return f"no time: {result.device.board} has no clock, or one that stood still"
    low, middle, high = min(result.counters), median(result.counters), max(result.counters)
    spread = f" ({low:,} to {high:,})" if low != high else ""
    return f"{middle:,.0f} {result.unit} per inference{spread}{_milliseconds(result, middle)}"


def _milliseconds(result: Run, counter: float) -> str:
    if result.unit != "cycles" or not result.clock_hz:
        return ""
    return f", {counter / result.clock_hz * 1e3:.3f} ms at {result.clock_hz / 1e6:g} MHz"


def _print_profile(result: Run, estimate: Estimate | None) -> None:
    rows = list(zip(*result.inferences, strict=True))
    costs = [median(record.counter or 0 for record in row) for row in rows]
    total = sum(costs) or 1
    for number, (row, cost) in enumerate(zip(rows, costs, strict=True)):
        line = f"{row[0].index:4d}  {row[0].kind:24} {cost:>14,.0f}  {100 * cost / total:5.1f} %"
        if estimate is not None and number < len(estimate.operators):
            low, high = estimate.operators[number].milliseconds(estimate.clock_hz)
            line += f"  {low:.3f} to {high:.3f} ms"
        print(line)
