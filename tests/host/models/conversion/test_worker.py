"""TensorFlow's own process: its crash and its silence are errors, never pytest's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from pytest_quantcheck.data.lazy import Lazy
from pytest_quantcheck.errors import (
    MissingExtraError,
    ModelError,
    ProcessEndedError,
    QuantcheckError,
    UsageError,
)
from pytest_quantcheck.models.conversion.worker import Worker
from tests.full_disk import room_for

pytestmark = pytest.mark.host

MODULE = "tests.host.models.conversion.going_through"

SAMPLES = [np.random.default_rng(0).random((2, 8, 8, 1), dtype=np.float32)]


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


def with_unknown_operator(content: bytes) -> bytes:
    """TensorFlow 2.21 reads beyond an array for an operator number this large and dies of it."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.operatorCodes[0].builtinCode = 939_524_121
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_a_crash_of_tensorflow_is_an_error_and_the_next_call_works(worker, digits_tflite):
    with pytest.raises(ModelError, match=r"crashed in calibrate_tflite \(exit status -"):
        worker.call("calibrate_tflite", content=with_unknown_operator(digits_tflite), arrays=SAMPLES)
    assert worker.call("calibrate_tflite", content=digits_tflite, arrays=SAMPLES)[4:8] == b"TFL3"


def test_what_the_child_raises_is_raised_here(worker, write_keras):
    path = write_keras({"class_name": "Lambda", "config": {}})
    with pytest.raises(ModelError, match="Python code"):
        worker.call("keras_file_to_tflite", path=str(path))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_death_from_outside_says_nothing_about_the_model(tmp_path, number):
    worker = Worker()
    process, _ = worker._running()
    os.kill(process.pid, signal.SIGSTOP)  # busy, for as long as it takes
    ending = threading.Timer(0.3, lambda: [os.kill(process.pid, n) for n in (number, signal.SIGCONT)])
    ending.start()
    with pytest.raises(
        ProcessEndedError, match=rf"signal {number:d} \({number.name}\).*nothing about the model"
    ):
        worker.call("keras_file_to_tflite", path=str(tmp_path / "model.keras"))
    ending.join()


def test_a_child_whose_parent_is_gone_ends_at_the_deadline(tmp_path):
    """A conversion without an end, and nobody left who watches it."""
    (tmp_path / "forever.py").write_text("import time\ndef go(): time.sleep(600)")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "pytest_quantcheck.models.conversion.worker", "forever"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, cwd=tmp_path, text=True)
    assert child.stdin is not None
    request = {"function": "go", "content": False, "arrays": 0, "how": {}, "seconds": -9}
    with child.stdin as line:
        line.write(json.dumps(request) + "\n")
    assert child.wait(30) == -signal.SIGALRM


def test_a_hang_ends_at_the_deadline(tmp_path, monkeypatch):
    monkeypatch.setenv("QC_CONVERSION_S", "2")
    worker = Worker()
    process, _ = worker._running()
    os.kill(process.pid, signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"within 2 s.*QC_CONVERSION_S"):
        worker.call("keras_file_to_tflite", path=str(tmp_path / "model.keras"))
    assert time.monotonic() - start < 20


def test_a_model_that_takes_too_much_memory_is_an_error_that_names_the_limit(digits_tflite):
    worker = Worker(memory_mib=300)  # TensorFlow alone needs more
    with pytest.raises(ModelError, match=r"within 300 MiB; .*QC_CONVERSION_MIB"):
        worker.call("calibrate_tflite", content=digits_tflite, arrays=SAMPLES)
    worker.close()


@pytest.mark.parametrize("variable", ["QC_CONVERSION_S", "QC_CONVERSION_MIB"])
@pytest.mark.parametrize("value", ["0", "-1", "a lot", "1.5", "9" * 30])
def test_a_limit_that_is_no_number_is_told(monkeypatch, digits_tflite, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=f"{variable}='{value}': allowed: a whole number"):
        Worker().call("calibrate_tflite", content=digits_tflite, arrays=SAMPLES)


def test_a_full_temporary_folder_is_told_and_the_next_call_works(digits_tflite):
    worker = Worker()
    with room_for(1000), pytest.raises(UsageError, match=r"temporary folder .*quantcheck-worker-.*TMPDIR"):
        worker.call("calibrate_tflite", content=digits_tflite, arrays=SAMPLES)
    worker.close()
    assert worker.call("calibrate_tflite", content=digits_tflite, arrays=SAMPLES)[4:8] == b"TFL3"
    worker.close()


def test_closing_ends_the_process_and_removes_its_folder(worker, write_keras):
    path = write_keras("x")
    with pytest.raises(QuantcheckError):
        worker.call("keras_file_to_tflite", path=str(path))
    process, folder = worker._running()
    worker.close()
    assert process.poll() is not None
    assert not folder.exists()


def test_a_missing_tensorflow_names_the_extra(monkeypatch, tmp_path, digits_tflite):
    """The child finds a package tensorflow that cannot be imported, as on a machine without it."""
    (tmp_path / "tensorflow.py").write_text("raise ImportError('no tensorflow here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    worker = Worker()
    with pytest.raises(MissingExtraError, match=r'pip install "pytest-quantcheck\[tensorflow\]"'):
        worker.call("calibrate_tflite", content=digits_tflite, arrays=SAMPLES)
    worker.close()


def lazy(values: np.ndarray) -> Lazy:
    return Lazy(
        len(values), values.shape[1:], np.float32, lambda at: values[at], lambda row: values[row].tobytes()
    )


FORTH = [(0, start, start + 1) for start in range(100)]
ORDERS = {
    "forth": FORTH,
    "twice": FORTH * 2,
    "back": [(0, start, start + 1) for start in reversed(range(100))],
    "in turn": [(which, start, start + 3) for start in range(0, 96, 3) for which in (0, 1)],
    "one behind the other": [*FORTH[:40], *((1, start, start + 1) for start in range(100)), *FORTH[40:]],
    "by leaps": [(0, start, start + 7) for start in (0, 32, 90, 33, 64, 1)],
    "wider than a block": [(0, 0, 1), (0, 10, 80), (0, 80, 100)],
}


@pytest.mark.parametrize("order", ORDERS)
def test_rows_that_are_made_when_asked_for_are_the_right_ones_in_any_order(order: str) -> None:
    arrays = [np.arange(100, dtype=np.float32)[:, None] * factor for factor in (1, 1000)]
    worker = Worker(module=MODULE)
    try:
        answer = worker.call("rows_in_order", arrays=[lazy(each) for each in arrays], order=ORDERS[order])
    finally:
        worker.close()
    wanted = [float(arrays[which][start:stop].sum()) for which, start, stop in ORDERS[order]]
    assert np.frombuffer(answer).tolist() == wanted


def test_a_function_that_ends_while_rows_are_on_their_way_leaves_the_worker_usable() -> None:
    worker = Worker(module=MODULE)
    values = np.arange(100, dtype=np.float32)[:, None]
    try:
        with pytest.raises(UsageError, match="enough after 0"):
            worker.call("give_up", arrays=[lazy(values)])
        answer = worker.call("rows_in_order", arrays=[lazy(values)], order=[(0, 40, 41)])
    finally:
        worker.close()
    assert np.frombuffer(answer).tolist() == [40.0]
