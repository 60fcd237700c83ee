"""``quantcheck check``: will this model run on that target? Operators, data types, sizes, and what to do."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import ImageError, ModelError, UsageError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.c_array import read_model_file
from pytest_quantcheck.models.files.kind import file_kind
from pytest_quantcheck.rig.families import memories

if TYPE_CHECKING:
    from pytest_quantcheck.formats.summary import Summary, TensorSummary
    from pytest_quantcheck.image.compile import DeviceImage
    from pytest_quantcheck.rig.memory import Memory

KIB = 1024


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck check``."""
    parser = subparsers.add_parser(
        "check",
        help="say whether a model will run on a target: operators, data types, sizes",
        description="Reads a quantized model, compiles its device image and compares both with the target. "
        "Exit code 0: it will run; 1: it will not, and why.",
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="a quantized .tflite or .onnx file")
    parser.add_argument(
        "--target",
        required=True,
        metavar="TARGET",
        help="a chip or a virtual board, such as esp32c3 or virtual-stm32f405; a wrong name lists all",
    )
    parser.add_argument(
        "--time",
        action="store_true",
        help="estimate the milliseconds, whole and by operator, on a virtual board",
    )


def run(args: argparse.Namespace) -> int:
    """Print what the model holds and the verdict; 0 when it will run, 1 when not."""
    from pytest_quantcheck.formats.espdl import is_espdl
    from pytest_quantcheck.formats.read import read_summary
    from pytest_quantcheck.runners.board import ram_bytes

    memory = _target(args.target)
    artefact = _read(args.model)
    size = len(artefact)
    try:
        if is_espdl(artefact):
            from pytest_quantcheck.graph.from_espdl.qdq import qdq_of

            artefact = qdq_of(artefact)
        summary = read_summary(artefact)
    except ModelError as error:
        raise ModelError(f"{args.model}: {error}") from error
    if not _is_of_another_form(artefact):
        _refuse_float(summary, args.model)
    print(f"{args.model}: {size} bytes")
    _describe(summary)
    findings, image = examine(artefact, memory)
    if image is not None:
        print(f"  device image  {_share(len(image.data), memory.store_kib, 'flash for images')}")
        print(f"  arena, inputs {_share(ram_bytes(image), memory.pool_kib, 'RAM for models')}")
    for finding in findings:
        print(f"  {finding.severity}: {finding.sentence} {finding.remedy}".rstrip())
    failed = any(finding.severity == "error" for finding in findings)
    if args.time and not failed:
        from pytest_quantcheck.cli.estimate import estimate_without_a_board, print_estimate
        from pytest_quantcheck.cli.vectors import read_model

        model = read_model(args.model)
        print_estimate(model, estimate_without_a_board(model, args.target))
    print(f"{'will not run' if failed else 'will run'} on {args.target}")
    return 1 if failed else 0


def examine(artefact: bytes, memory: Memory) -> tuple[list[Finding], DeviceImage | None]:
    """The audit's findings and those of the target, and the device image where one can be made."""
    from pytest_quantcheck.graph.folding import without_dead_channels
    from pytest_quantcheck.graph.read import read_graph
    from pytest_quantcheck.image.compile import compile_image
    from pytest_quantcheck.quantizers.audit.audit import audit
    from pytest_quantcheck.quantizers.audit.onnx import OTHER_FORM
    from pytest_quantcheck.workflows.obstacles import obstacles

    findings = list(audit(artefact))
    if any(finding.code == OTHER_FORM for finding in findings):
        return findings, None
    try:
        graph = read_graph(artefact)
        image = compile_image(without_dead_channels(graph))
    except (ModelError, ImageError) as error:
        told = any(finding.severity == "error" for finding in findings)
        findings += [each for each in obstacles(artefact) if not told or each.code == "unsupported_operator"]
        if not any(finding.severity == "error" for finding in findings):
            findings.append(Finding("error", "model", f"{error}."))
        return findings, None
    findings += [Finding("note", "model", f"{note}.") for note in graph.notes]
    findings += _sizes(image, memory)
    return findings, image


def _target(name: str) -> Memory:
    known = memories()
    if name not in known:
        raise UsageError(f"--target {name!r} is not known; allowed: {', '.join(known)}")
    return known[name]


def _read(path: Path) -> bytes:
    kind = file_kind(path)
    if path.is_dir() and not kind:
        raise UsageError(f"{path} is a folder; give the name of a quantized .tflite or .onnx file")
    if kind in ("keras", "saved_model"):
        raise UsageError(_float_message(path))
    try:
        return read_model_file(path)
    except FileNotFoundError:
        raise UsageError(f"there is no model file {path}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _is_of_another_form(artefact: bytes) -> bool:
    """Quantized, but not as it could run: the audit says how."""
    from pytest_quantcheck.formats.detect import is_onnx
    from pytest_quantcheck.formats.onnx import parse
    from pytest_quantcheck.formats.onnx_form import other_form

    return is_onnx(artefact) and other_form(parse(artefact).graph) is not None


def _refuse_float(summary: Summary, path: Path) -> None:
    if summary.weights_only:
        raise ModelError(
            f"{path} has {summary.weights_only} weights, but computes in float32; boards compute in "
            f"integers: quantize the float model with --scheme int8"
        )
    if not any(len(tensor.scales) for tensor in summary.tensors):
        raise ModelError(_float_message(path))


def _float_message(path: Path) -> str:
    suffix = ".onnx" if file_kind(path) == "onnx" else ".tflite"
    return (
        f"{path} is a float model; quantize it first: quantcheck quantize {path} -o {path.stem}_int8{suffix}"
    )


def _describe(summary: Summary) -> None:
    for side, tensors in (("input", summary.input_tensors), ("output", summary.output_tensors)):
        for tensor in tensors:
            print(f"  {side:<6} {tensor.name}  {tensor.dtype} {tensor.shape}{_scale(tensor)}")
    counts = Counter(operator.kind for operator in summary.operators)
    print(
        f"  {len(summary.operators)} operators: " + ", ".join(f"{n} x {kind}" for kind, n in counts.items())
    )


def _scale(tensor: TensorSummary) -> str:
    if len(tensor.scales) != 1:
        return ""
    return (
        f"  scale {tensor.scales[0]:g}, zero point {tensor.zero_points[0] if len(tensor.zero_points) else 0}"
    )


def _share(used: int, available_kib: int, what: str) -> str:
    return f"{used:>8} bytes, {used / (available_kib * KIB):.1%} of {available_kib} KiB {what}"


def _sizes(image: DeviceImage, memory: Memory) -> list[Finding]:
    findings = []
    from pytest_quantcheck.runners.board import ram_bytes

    needed = ram_bytes(image)
    if needed > memory.pool_kib * KIB:
        findings.append(
            Finding(
                "error",
                "arena",
                f"The arena needs {image.arena_bytes} bytes, with inputs and operator records {needed}; "
                f"the target has {memory.pool_kib * KIB}.",
                "Make the largest layers smaller: fewer channels early on, or an earlier stride.",
            )
        )
    if len(image.data) > memory.store_kib * KIB:
        findings.append(
            Finding(
                "error",
                "image",
                f"The device image has {len(image.data)} bytes, the target's store {memory.store_kib * KIB}.",
                "Take fewer or smaller layers, or a target with more flash.",
            )
        )
    return findings
