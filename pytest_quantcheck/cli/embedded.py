"""The test vectors that an ``.espdl`` file holds, as one side of ``quantcheck compare``."""

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
from pytest_quantcheck.formats.espdl import is_espdl, parse, stacked
from pytest_quantcheck.wording import counted

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
    inputs = stacked(file.test_inputs, [value.name for value in file.inputs])
    expected = stacked(file.test_outputs, [value.name for value in file.outputs])
    if len(inputs[0]) != len(expected[0]):
        raise ModelError(f"the .espdl file holds {len(inputs[0])} inputs and {len(expected[0])} outputs")
    with ExitStack() as stack:
        runner = open_runner(args.b, args, stack.enter_context(progress()), stack)
        run = runner.run(model, Raw(tuple(inputs)))
    vectors = counted(len(inputs[0]), "test vector")
    print(f"a: {FILE} ({vectors} in {args.model.name})\nb: {args.b} ({run.runtime})")
    different = 0
    for value, found, wanted in zip(file.outputs, run.outputs, expected, strict=True):
        got = np.asarray(found).reshape(wanted.shape).astype(np.int64)
        wrong = np.argwhere((got != wanted).reshape(len(wanted), -1))
        different += len(wrong)
        if len(wrong):
            sample, first = (int(n) for n in wrong[0])
            mine, its = (int(each[sample].reshape(-1)[first]) for each in (got, wanted))
            told = f"in vector {sample} value {first} is {mine}, in the file {its}"
            print(f"output '{value.name}': {len(wrong)} of {wanted.size} values differ; {told}")
    if not different:
        print("the file's outputs are reproduced, bit for bit")
    return 1 if different else 0
