"""The test vector that an ``.espdl`` file holds, as one side of ``quantcheck compare``."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

import numpy as np

from pytest_quantcheck.cli.rig import progress
from pytest_quantcheck.cli.runners import open_runner
from pytest_quantcheck.cli.vectors import read_model
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.formats.espdl import EspdlTensor, is_espdl, parse
from pytest_quantcheck.numerics.arrays import Array

FILE = "file"  # what stands for the vector on the command line


def against_file(args: argparse.Namespace) -> int:
    """0 when ``--b`` computes the outputs that the file has for its own inputs, 1 when not."""
    if args.inputs or args.float or args.json or args.fault:
        raise UsageError(
            "--a file takes the file's own inputs; leave out --inputs, --float, --json and --break"
        )
    model = read_model(args.model)
    content = read_whole(args.model)
    if not is_espdl(content):
        raise UsageError(f"--a file: {args.model} is no .espdl file, and no other holds a test vector")
    file = parse(content)
    if not file.test_inputs or not file.test_outputs:
        raise UsageError(f"--a file: {args.model} holds no test vector; export it with export_test_values")
    inputs = [_values(each) for each in _ordered(file.test_inputs, [v.name for v in file.inputs])]
    expected = [_values(each) for each in _ordered(file.test_outputs, [v.name for v in file.outputs])]
    with ExitStack() as stack:
        runner = open_runner(args.b, args, stack.enter_context(progress()), stack)
        run = runner.run(model, Raw(tuple(x[None] for x in inputs)))
    print(f"a: {FILE} (the test vector in {args.model.name})\nb: {args.b} ({run.runtime})")
    different = 0
    for value, found, wanted in zip(file.outputs, run.outputs, expected, strict=True):
        got = np.asarray(found).reshape(wanted.shape).astype(np.int64)
        wrong = np.flatnonzero(got != wanted)
        different += len(wrong)
        if len(wrong):
            first = int(wrong[0])
            print(
                f"output '{value.name}': {len(wrong)} of {wanted.size} values differ; value {first} is "
                f"{int(got.reshape(-1)[first])}, in the file {int(wanted.reshape(-1)[first])}"
            )
    if not different:
        print("the file's outputs are reproduced, bit for bit")
    return 1 if different else 0


def _ordered(tensors: tuple[EspdlTensor, ...], names: list[str]) -> list[EspdlTensor]:
    known = {each.name: each for each in tensors}
    if missing := [name for name in names if name not in known]:
        raise ModelError(f"the test vector of the .espdl file has nothing for '{missing[0]}'")
    return [known[name] for name in names]


def _values(tensor: EspdlTensor) -> Array:
    count = int(np.prod(tensor.shape, dtype=np.int64))
    return np.array(tensor.data[:count].reshape(tensor.shape)).astype(tensor.data.dtype.newbyteorder("="))
