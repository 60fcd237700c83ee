"""Rows that the tests of the reports share: one of each outcome, and hostile ones."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np

from pytest_quantcheck.baselines.change import Change
from pytest_quantcheck.formats.png import png
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.divergence import Divergence
from pytest_quantcheck.verdict.picture import Picture
from pytest_quantcheck.verdict.row import Row, ScoreRow
from pytest_quantcheck.verdict.table import Table

DIVERGENCE = Divergence(
    sample="test-17",
    samples=9,
    total=100,
    operator=3,
    kind="CONV_2D",
    tensor="conv2d_3/Relu",
    elements=89,
    size=1024,
    steps=((-1, 60), (1, 20), (5, 9)),
    pattern="a constant offset per channel",
    cause="input zero point -127 instead of -128",
    evidence="CONV_2D computed again with input zero point -127 gives all 1024 elements that were seen",
)
GOOD = Row(
    test="tests/test_kws.py::test_board[kws-i8-virtual-esp32c3]",
    case="kws-i8-virtual-esp32c3",
    model="kws-i8",
    model_sha256="1" * 64,
    runner="virtual-esp32c3",
    runtime="quantcheck 0.1.0",
    target="virtual-esp32c3",
    board="virtual-esp32c3",
    unique_id="c3c3c3",
    build_id="b1d",
    samples=20,
    scores=(
        ScoreRow(
            "accuracy", 0.925, 540, percent=True, float_value=0.93, drop=0.005,
            inherited="tflm", p_value=0.62, lost=("test-4", "test-9"), gained=("test-5",),
        ),
    ),
    exact=True,
    criteria=(
        Criterion("exact", True, "all 20 outputs are those of tflm"),
        Criterion("max_drop", True, "accuracy 92.50%, drop 0.50%, limit 1.00%"),
        Criterion("latency_ms", None, "virtual-esp32c3 counts instructions"),
    ),
    changes=(
        Change("accuracy", "improvement", "accuracy is better", 0.925, 0.92, "0", 540, ("a",), ("b",)),
        Change("instructions", "new", "instructions is new", 502452.0, written=True),
    ),
    counter=502452.0,
    counter_spread=236,
    unit="instructions",
    arena=4096,
    image=9456,
    stack=872,
    firmware=30000,
    outcome="pass",
    retries=1,
    faults=("link: 3 frames were lost",),
    erased_sectors=2,
    log=".quantcheck/virtual-esp32c3.log",
)  # fmt: skip
PIXELS = png(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4)
BAD = replace(
    GOOD,
    test="tests/test_kws.py::test_board[kws-i8-tensor-stm32f405xg]",
    case="kws-i8-tensor-stm32f405xg",
    model="kws-i8-tensor",
    model_sha256="2" * 64,
    runner="bench-1",
    target="stm32f405xg",
    board="bench-1",
    scores=(replace(GOOD.scores[0], value=0.88, drop=0.05, inherited="", lost=("test-17", "test-4")),),
    exact=False,
    criteria=(
        Criterion("exact", False, str(DIVERGENCE)),
        Criterion("max_drop", False, "accuracy 88.00%, drop 5.00%, limit 1.00%"),
    ),
    divergence=DIVERGENCE,
    counter=310000.0,
    unit="cycles",
    latency_ms=2.31,
    outcome="regression",
    retries=0,
    faults=(),
    changes=(
        Change("accuracy", "regression", "88.00%, was 92.00%", 0.88, 0.92, "0.5 pp", 540, ("test-17",)),
        Change("arena", "same", "4096, as stored", 4096, 4096),
    ),
    pictures=(Picture("test-17", base64.b64encode(PIXELS).decode()),),
    findings=("scale-stretched: a scale is 3 times what the data need. Look at input 2.",),
)
HOST = Row(
    test="tests/test_kws.py::test_host[kws-i8]", case="kws-i8", model="kws-i8", model_sha256="1" * 64,
    runner="tflm", runtime="tflite_micro 0.1", samples=540,
    scores=(ScoreRow("accuracy", 0.925, 540, percent=True, float_value=0.93, drop=0.005),),
    criteria=(Criterion("max_drop", True, "drop 0.50%, limit 1.00%"),), arena=4096, image=9456,
    outcome="pass",
)  # fmt: skip
FAULT = Row(
    test="tests/test_kws.py::test_board[kws-i8-esp32c3]", case="kws-i8-esp32c3", model="kws-i8",
    target="esp32c3", board="bench-2", outcome="rig_fault", fault="link",
    reason="link fault on bench-2: no answer to HELLO within 5 s", log="logs/bench-2.log",
)  # fmt: skip
ERROR = Row(
    test="tests/test_kws.py::test_host[broken]", case="broken", outcome="error", fault="ModelError",
    reason="broken.tflite is no TFLite file",
)  # fmt: skip
EXPECTED = replace(HOST, test="tests/test_kws.py::test_host[classes5]", case="classes5", outcome="expected")
LOW = replace(
    HOST,
    outcome="regression",
    criteria=(Criterion("max_drop", False, "drop 12.00%, limit 1.00%"),),
    causes=(Cause("calibration_range", "calibration saw 0 to 0.2", "12.0% come back", "Use one function."),),
)
UNJUDGED = Row(test="tests/test_kws.py::test_host[random]", case="random", runner="tflm", outcome="unjudged")


CONFUSION = Table("confusion matrix", ("cat", "dog"), ("cat", "dog"), ((90, 10), (0, 7)))
PER_CLASS = Table(
    "per class", ("cat", "dog"), ("recall", "precision"), ((0.9, None), (0.5, 1.0)), percent=True
)
DETAILED = replace(
    HOST,
    case="detailed",
    scores=(ScoreRow("accuracy", 0.9, 107, percent=True, detail=(CONFUSION, PER_CLASS)),),
)
EVERY = (GOOD, BAD, HOST, FAULT, ERROR, EXPECTED, UNJUDGED)

NASTY = "</script><img src=x onerror=alert(1)>|`%0A::error::\"'&\x00\x1b[31m\u202e\ud800\n# x\r<!--]]>"
HOSTILE = replace(
    BAD,
    test=f"tests/test_x.py::test_it[{NASTY}]",
    case=NASTY,
    name=NASTY,
    model=NASTY,
    runner=NASTY,
    runtime=NASTY,
    target=NASTY,
    board=NASTY,
    reason=NASTY,
    scores=(replace(BAD.scores[0], metric=NASTY, output=NASTY, lost=(NASTY,), gained=(NASTY,)),),
    criteria=(Criterion(NASTY, False, NASTY),),
    divergence=replace(DIVERGENCE, sample=NASTY, tensor=NASTY, cause=NASTY, evidence=NASTY, pattern=NASTY),
    unit=NASTY,
    fault=NASTY,
    faults=(NASTY,),
    findings=(f"code: {NASTY}",),
    causes=(Cause(NASTY, NASTY, NASTY, NASTY),),
    pictures=(replace(BAD.pictures[0], sample=NASTY),),
    log=NASTY,
)
