"""The TFLM worker: reused, restarted after a crash, never late, never orphaned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.tflm import TflmRunner
from pytest_quantcheck.runners.worker.parent import shared_worker

pytestmark = pytest.mark.host


def network(seed: int = 0) -> tuple[QuantizedModel, Raw]:
    rng = np.random.default_rng(seed)
    writer = TfliteWriter()
    x = writer.tensor((1, 6, 6, 2), scale=0.05, zero_point=-3)
    weights = rng.integers(-127, 128, (4, 3, 3, 2)).astype(np.int8)
    y = writer.conv_2d(x, weights, np.arange(4, dtype=np.int32), weight_scale=0.01, scale=0.4)
    z = writer.softmax(writer.mean(y, [1, 2], keep=False, scale=0.1))
    model = QuantizedModel("network", writer.finish([x], [z]))
    return model, Raw(rng.integers(-128, 128, (70, 6, 6, 2)).astype(np.int8))


def crashing() -> tuple[QuantizedModel, Raw]:
    """TFLM follows a null pointer where a depthwise convolution names its bias as absent."""
    writer = TfliteWriter()
    x = writer.tensor((1, 3, 3, 1), scale=0.1)
    weights = writer.tensor((1, 2, 2, 1), scale=0.1, axis=3, data=np.ones((1, 2, 2, 1)))
    y = writer.tensor((1, 3, 3, 1), scale=0.1)
    window = {"Padding": 0, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    options = {**window, "FusedActivationFunction": 0, "DepthMultiplier": 1}
    writer.operator("DEPTHWISE_CONV_2D", [x, weights, None], [y], **options)
    return QuantizedModel("crashing", writer.finish([x], [y])), Raw(np.zeros((1, 3, 3, 1), np.int8))


def test_calls_share_one_worker() -> None:
    model, vectors = network()
    TflmRunner().run(model, vectors)
    first = shared_worker("tflm").pid
    TflmRunner().run(*network(1), operators=True)
    assert shared_worker("tflm").pid == first


def test_records_and_tensors_are_those_of_the_interpreter() -> None:
    model, vectors = network()
    run, ours = (r.run(model, vectors, operators=True) for r in (TflmRunner(), IntegerRunner()))
    assert run.exact
    assert ours.exact
    assert len(run) == len(run.operators) == 70
    assert [(r.index, r.kind) for r in run.operators[0]] == [(0, "CONV_2D"), (1, "MEAN"), (2, "SOFTMAX")]
    assert run.operators == ours.operators
    sample = [run.inputs[0][13]]
    for operator in range(3):
        theirs = TflmRunner().tensor(model, sample, operator)
        assert np.array_equal(theirs, IntegerRunner().tensor(model, sample, operator))
    assert np.array_equal(run.outputs[0][13], theirs[0])


@pytest.mark.parametrize("runner", [TflmRunner(), IntegerRunner()], ids=lambda r: r.name)
def test_an_operator_that_is_not_there_is_a_usage_error(runner: TflmRunner | IntegerRunner) -> None:
    model, vectors = network()
    with pytest.raises(UsageError, match="has no operator 7"):
        runner.tensor(model, [vectors.x[0]], 7)


def test_a_crash_names_the_signal_and_the_next_call_works() -> None:
    with pytest.raises(ModelError, match=r"died of SIGSEGV"):
        TflmRunner().run(*crashing())
    assert shared_worker("tflm").pid is None
    assert len(TflmRunner().run(*network())) == 70


def test_a_refused_model_is_an_error_with_tflms_own_words() -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 4), scale=0.1)
    out = writer.tensor((1, 4), scale=0.1)
    writer.operator("SOFTMAX", [x], [out], Beta=1.0)
    model = QuantizedModel("refused", writer.finish([x], [out]))
    with pytest.raises(ModelError, match=r"(?s)refuses the model.*softmax"):
        TflmRunner().run(model, Raw(np.zeros((1, 4), np.int8)))


def test_a_worker_that_is_late_is_ended() -> None:
    TflmRunner().run(*network())
    worker = shared_worker("tflm")
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(ModelError, match=r"did not answer within 0.3 s"):
        TflmRunner(deadline=0.3).run(*network())
    assert len(TflmRunner().run(*network())) == 70


def test_a_killed_parent_leaves_no_worker(tmp_path: Path) -> None:
    model, _ = network()
    (tmp_path / "model.tflite").write_bytes(model.artefact)
    program = """
import os, signal, sys
import numpy as np
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.tflm import TflmRunner
from pytest_quantcheck.runners.worker.parent import shared_worker
model = QuantizedModel("m", open(sys.argv[1], "rb").read())
TflmRunner().run(model, Raw(np.zeros((1, 6, 6, 2), np.int8)))
print(shared_worker("tflm").pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "model.tflite")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    worker = int(done.stdout)
    deadline = time.monotonic() + 10
    while _lives(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(worker)


def _lives(pid: int) -> bool:
    """Neither gone nor a zombie that only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_constant_with_too_few_bytes_is_refused_before_tflm_works_on_it_for_ever() -> None:
    model, vectors = network()
    file = schema.ModelT.InitFromPackedBuf(bytearray(model.artefact), 0)
    weights = next(t for t in file.subgraphs[0].tensors if list(t.shape) == [4, 3, 3, 2])
    weights.shape = np.zeros(0, np.int32)
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    with pytest.raises(ModelError, match=r"has shape \(\), but 72 bytes of data; convert the model again"):
        TflmRunner(5).run(QuantizedModel("damaged", bytes(builder.Output())), vectors)
