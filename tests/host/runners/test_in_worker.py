"""Interpreters that trust their models: what kills or confuses them ends as a message, never the caller."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pytest_quantcheck.cli import main
from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.errors import ModelError, ProcessEndedError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.litert import LitertRunner
from pytest_quantcheck.runners.tflm import TflmRunner
from pytest_quantcheck.runners.worker.parent import shared_worker

pytestmark = pytest.mark.host


def compare(folder: Path, model: QuantizedModel, inputs: np.ndarray, a: str, b: str) -> int:
    (folder / "m.tflite").write_bytes(model.artefact)
    np.save(folder / "x.npy", inputs)
    command = ["compare", str(folder / "m.tflite"), "--inputs", str(folder / "x.npy"), "--a", a, "--b", b]
    return main(command)


def without_bias() -> QuantizedModel:
    """A sound depthwise convolution that LiteRT's default kernels crash on."""
    writer = TfliteWriter()
    x = writer.tensor((1, 4, 4, 2), scale=0.1, name="input")
    weights = np.ones((1, 3, 3, 2), np.int8)
    y = writer.conv_2d(x, weights, None, weight_scale=0.1, scale=0.5, depthwise=True)
    return QuantizedModel("biasless", writer.finish([x], [y]))


def half_read() -> QuantizedModel:
    """Of two parts of the input one goes on, the other to nobody."""
    writer = TfliteWriter()
    x = writer.tensor((1, 4), scale=0.1, name="input")
    first, _ = writer.split(writer.relu(x, scale=0.1, zero_point=0), 1, 2)
    y = writer.fully_connected(
        first, np.full((3, 2), 77, np.int8), np.arange(3), weight_scale=0.013, scale=0.0719
    )
    return QuantizedModel("half read", writer.finish([x], [y]))


def test_a_sound_model_that_kills_litert_is_a_model_error_and_the_next_call_works() -> None:
    with pytest.raises(ModelError, match=r"(?s)LiteRT died of SIGSEGV.*first sample that it crashes on: 0"):
        LitertRunner().run(without_bias(), Raw(np.zeros((3, 4, 4, 2), np.int8)))
    assert shared_worker("litert").pid is None
    assert len(LitertRunner().run(half_read(), Raw(np.zeros((20, 4), np.int8)))) == 20


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_is_ended_from_outside_says_nothing_about_the_model(number: signal.Signals) -> None:
    runner, vectors = LitertRunner(), Raw(np.zeros((20, 4), np.int8))
    runner.run(half_read(), vectors)
    pid = shared_worker("litert").pid
    assert pid is not None
    os.kill(pid, number)
    with pytest.raises(ProcessEndedError) as caught:
        runner.run(half_read(), vectors)
    assert f"signal {number:d} ({number.name})" in str(caught.value)
    assert "nothing about the model" in str(caught.value)
    assert "damaged" not in str(caught.value)
    assert len(runner.run(half_read(), vectors)) == 20


def test_a_command_survives_what_kills_litert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(tmp_path, without_bias(), np.zeros((3, 4, 4, 2), np.int8), "integer", "litert") == 2
    assert capsys.readouterr().err.startswith("quantcheck compare: LiteRT died of SIGSEGV")


def test_litert_runs_a_model_whose_names_are_no_text(tmp_path: Path) -> None:
    model = half_read()
    file = schema.ModelT.InitFromPackedBuf(bytearray(model.artefact), 0)
    for index in (*file.subgraphs[0].inputs, *file.subgraphs[0].outputs):
        file.subgraphs[0].tensors[index].name = b"\xff\xfe"
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    named = QuantizedModel("named", bytes(builder.Output()))
    inputs = np.random.default_rng(0).integers(-128, 128, (9, 4)).astype(np.int8)
    runs = [LitertRunner().run(each, Raw(inputs)) for each in (model, named)]
    assert np.array_equal(runs[0].outputs[0], runs[1].outputs[0])


def test_an_output_that_nobody_reads_has_no_checksum_in_litert_and_the_others_have() -> None:
    inputs = Raw(np.random.default_rng(0).integers(-128, 128, (9, 4)).astype(np.int8))
    ours, theirs = (r.run(half_read(), inputs, operators=True) for r in (IntegerRunner(), LitertRunner()))
    for a, b in zip(ours.operators, theirs.operators, strict=True):
        assert [record.index for record in a] == [record.index for record in b]
        assert [record.crc32 for record in b[:2]] == [record.crc32 for record in a[:2]]
        assert b[2].crc32 is None
        assert a[2].crc32 is not None


def test_what_differs_behind_an_output_that_nobody_reads_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = np.random.default_rng(0).integers(-128, 128, (400, 4)).astype(np.int8)
    code = compare(tmp_path, half_read(), inputs, "integer", "litert")
    printed = capsys.readouterr()
    assert (code, printed.err) == (1, "")
    assert "first diverging: operator 2 (FULLY_CONNECTED)" in printed.out


def test_an_output_of_another_size_than_the_file_says_is_a_model_error() -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 2, 3), scale=0.1, name="input")
    y = writer.tensor((1, 3, 1), scale=0.1, name="output")
    writer.operator("BATCH_MATMUL", [x, x], [y], AdjX=False, AdjY=True)
    model = QuantizedModel("damaged", writer.finish([x], [y]))
    with pytest.raises(
        ModelError, match=r"'output' is \(1, 3, 1\) by the file, but LiteRT gives \(1, 2, 2\)"
    ):
        LitertRunner().run(model, Raw(np.zeros((2, 2, 3), np.int8)))


def wide_softmax() -> QuantizedModel:
    writer = TfliteWriter()
    x = writer.tensor((1, 600), scale=0.1, name="input")
    return QuantizedModel("wide", writer.finish([x], [writer.softmax(x)]))


def test_equal_logits_that_abort_tflm_are_told_with_operator_and_sample() -> None:
    logits = np.zeros((40, 600), np.float32)
    logits[:, 0] = 12  # in all but one a single class is so far ahead that the sum stays small
    logits[37, 0] = 0
    ids = [f"picture-{i}" for i in range(40)]
    with pytest.raises(
        ModelError,
        match=r"(?s)died of SIGABRT.*crashes on: picture-37\n.*operator 0 \(SOFTMAX\): TFLM aborts",
    ):
        TflmRunner().run(wide_softmax(), Samples(logits, ids=ids))


def test_check_tells_of_a_softmax_that_may_abort_tflm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.tflite").write_bytes(wide_softmax().artefact)
    assert main(["check", str(tmp_path / "m.tflite"), "--target", "esp32c3"]) == 0
    assert "note: operator 0 (SOFTMAX): TFLM aborts where the sum" in capsys.readouterr().out


def test_a_worker_that_was_warmed_up_answers_the_first_request() -> None:
    worker = shared_worker("tflm")
    worker.close()
    worker.warm_up()
    started = worker.pid
    assert started is not None
    TflmRunner().run(without_bias(), Raw(np.zeros((3, 4, 4, 2), np.int8)))
    assert worker.pid == started


def test_a_worker_that_died_before_it_saw_a_model_blames_none() -> None:
    worker = shared_worker("tflm")
    worker.close()
    worker.warm_up()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSEGV)
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    assert len(TflmRunner().run(without_bias(), Raw(np.zeros((3, 4, 4, 2), np.int8)))) == 3


def test_a_library_that_cannot_be_imported_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tflite_micro").mkdir()
    (tmp_path / "tflite_micro" / "__init__.py").write_text("raise AttributeError('of another NumPy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    shared_worker("tflm").close()
    try:
        with pytest.raises(ModelError, match="AttributeError: of another NumPy") as caught:
            TflmRunner().run(without_bias(), Raw(np.zeros((3, 4, 4, 2), np.int8)))
        assert "damaged" not in str(caught.value)
    finally:
        shared_worker("tflm").close()
