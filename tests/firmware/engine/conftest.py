"""The C engine as a process, compiled with sanitizers, and a network that has every operator."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from filelock import FileLock

from pytest_quantcheck.graph.model import (
    Add,
    ArgExtremum,
    BatchMatMul,
    Concatenation,
    Convolution,
    Extremum,
    FloatEdge,
    FullyConnected,
    L2Normalization,
    Lstm,
    Mean,
    Mul,
    Operator,
    Pad,
    Params,
    Pool,
    Prelu,
    QuantGraph,
    Requantize,
    Rescale,
    Reshape,
    Resize,
    SigmoidInt16,
    Slice,
    Softmax,
    SoftmaxInt16,
    Table,
    Tensor,
    TransposedConvolution,
    Window,
)

ROOT = Path(__file__).parents[3]
ENGINE = ROOT / "firmware" / "engine"
INCLUDE = ROOT / "firmware" / "include"
BUILD = ROOT / "build" / "engine"
FLAGS = [
    "-std=c11",
    "-Og",  # compiles in a third of the time of -O2; what is shipped is compiled with that anyway
    "-g",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wshadow",
    "-Werror",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
]
VARIANTS = {"portable": [], "packed": ["-DQC_SIMULATE_DSP"]}


@dataclass(frozen=True)
class Answer:
    """What one request came to. ``operators`` holds (source index, output bytes) in order."""

    status: int
    operators: list[tuple[int, bytes]] = field(default_factory=list)
    outputs: bytes = b""


class Engine:
    """One engine process. A request that kills it raises AssertionError with its last words."""

    def __init__(self, program: Path, log: Path) -> None:
        self._program, self._log = program, log
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, image: bytes, inputs: Sequence[bytes] = (), *, withhold: int = 0, stop_after: int = 0xFFFFFFFF
    ) -> Answer:
        if self._process is None:
            self._process = subprocess.Popen(
                [self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log.open("wb")
            )
        data = b"".join(inputs)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(struct.pack("<4I", len(image), len(data), withhold, stop_after))
            self._process.stdin.write(image + data)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._died()
        status = self._word()
        if status:
            return Answer(status)
        operators = []
        for _ in range(self._word()):
            index, size = self._word(), self._word()
            operators.append((index, self._read(size)))
        return Answer(0, operators, self._read(self._word()))

    def run_graph(self, graph: QuantGraph, image: bytes, inputs: Sequence[npt.NDArray[Any]]) -> Answer:
        assert len(inputs) == len(graph.inputs)
        return self.run(image, [np.ascontiguousarray(x).tobytes() for x in inputs])

    def close(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.stdout.close()
            process.wait(10)

    def _word(self) -> int:
        return int(struct.unpack("<I", self._read(4))[0])

    def _read(self, size: int) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if len(data) < size:
            self._died()
        return data

    def _died(self) -> None:
        self.close()
        raise AssertionError(f"the engine died:\n{self._log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="session", params=list(VARIANTS))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine under AddressSanitizer and UndefinedBehaviorSanitizer, in both kernel variants."""
    program = _build(request.param)
    running = Engine(program, tmp_path_factory.mktemp(f"engine-{request.param}") / "stderr.txt")
    yield running
    running.close()


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Engine]]:
    """The engine in all its variants, for tests that compare them with each other."""
    folder = tmp_path_factory.mktemp("engines")
    running = [Engine(_build(variant), folder / f"{variant}.txt") for variant in VARIANTS]
    yield running
    for one in running:
        one.close()


def _build(variant: str) -> Path:
    """Compile once for all workers and runs of this checkout, and only what changed."""
    sources = [*sorted(ENGINE.rglob("*.c")), Path(__file__).with_name("driver.c")]
    headers = sorted([*ENGINE.rglob("*.h"), *INCLUDE.glob("*.h")])
    flags = [*FLAGS, *VARIANTS[variant], f"-I{ENGINE}", f"-I{INCLUDE}"]
    version = subprocess.run([_compiler(), "--version"], capture_output=True, check=True).stdout
    common = _hash(repr(flags).encode(), version, *(path.read_bytes() for path in headers))
    objects = {BUILD / f"{path.stem}-{_hash(common.encode(), path.read_bytes())}.o": path for path in sources}
    program = BUILD / f"{variant}-{_hash(repr(list(objects)).encode())}"
    BUILD.mkdir(parents=True, exist_ok=True)
    with FileLock(BUILD / "lock"), ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = pool.map(lambda made: _make(made[0], [*flags, "-c", str(made[1])]), objects.items())
        assert len(list(compiled)) == len(sources)
        _make(program, [*flags, *map(str, objects)])
    return program


def _hash(*contents: bytes) -> str:
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:16]


def _compiler() -> str:
    found = shutil.which("cc")
    assert found, "the engine's tests need a C compiler named cc (Debian: apt install gcc)"
    return found


def _make(target: Path, arguments: list[str]) -> None:
    """Runs the compiler unless the target is there, which is then complete."""
    if not target.exists():
        partial = target.with_suffix(".partial")
        subprocess.run([_compiler(), *arguments, "-o", str(partial)], check=True)
        partial.replace(target)


class _Builder:
    """A graph under construction; every method returns the position of the tensor it adds."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self._rng = np.random.default_rng(7)

    def tensor(self, shape: tuple[int, ...], dtype: str = "int8") -> int:
        self.tensors.append(Tensor(len(self.tensors), "", shape, np.dtype(dtype)))
        return len(self.tensors) - 1

    def random(self, shape: tuple[int, ...], dtype: str = "int8", limit: int = 128) -> int:
        data = self._rng.integers(-limit, limit, shape).astype(dtype)
        self.tensors.append(Tensor(len(self.tensors), "", shape, data.dtype, data=data))
        return len(self.tensors) - 1

    def add(
        self, kind: str, params: Params, inputs: Sequence[int], shape: tuple[int, ...], dtype: str = "int8"
    ) -> int:
        output = self.tensor(shape, dtype)
        self.operators.append(Operator(len(self.operators), kind, tuple(inputs), (output,), params))
        return output

    def lstm(self, x: int, params: Lstm, units: int, dtype: str, bias: str) -> int:
        *shape, features = self.tensors[x].shape
        inputs = [x, *(self.random((units, features)) for _ in range(4))]
        inputs += [self.random((units, units)) for _ in range(4)]
        inputs += [self.random((units,), bias, 5000) for _ in range(4)]
        return self.add("UNIDIRECTIONAL_SEQUENCE_LSTM", params, inputs, (*shape, units), dtype)


def _rule(shift: int) -> Requantize:
    return Requantize(np.asarray([1518500250]), np.asarray([shift]))


@pytest.fixture(scope="session")
def network() -> QuantGraph:
    """An int8 network with every opcode but those of ``wide_network``, and an ADD with a constant."""
    b = _Builder()
    source = b.tensor((1, 6, 6, 3), "float32")
    x = b.add("QUANTIZE", FloatEdge(0.05, 3), [source], (1, 6, 6, 3))
    x = b.add("PAD", Pad(((0, 0), (1, 1), (1, 1), (0, 0)), 3), [x], (1, 8, 8, 3))
    conv = Convolution(Window(3, 3, 1, 1, 1, 1, 1, 1), 3, -4, _rule(-7), -128, 127)
    weights = [b.random((6, 3, 3, 3)), b.random((6,), "int32", 5000)]
    x = b.add("CONV_2D", conv, [x, *weights], (1, 8, 8, 6))
    depthwise = Convolution(Window(3, 3, 1, 1, 1, 1, 1, 1), -4, 5, _rule(-6), -100, 127, 1)
    y = b.add("DEPTHWISE_CONV_2D", depthwise, [x, b.random((1, 3, 3, 6)), -1], (1, 8, 8, 6))
    half = Requantize(np.asarray([1 << 30]), np.asarray([0]))
    add = Add(20, -4, 5, 0, half, half, _rule(-18), -128, 127)
    x = b.add("ADD", add, [x, y], (1, 8, 8, 6))
    x = b.add("ADD", add, [x, b.random((6,))], (1, 8, 8, 6))
    p = b.add("MAX_POOL_2D", Pool(Window(2, 2, 2, 2), -128, 127), [x], (1, 4, 4, 6))
    q = b.add("AVERAGE_POOL_2D", Pool(Window(2, 2, 2, 2), -100, 100), [x], (1, 4, 4, 6))
    x = b.add("CONCATENATION", Concatenation(3, -128, 127), [p, q], (1, 4, 4, 12))
    x = b.add("SUB", add, [x, b.random((4, 12))], (1, 4, 4, 12))
    squared = Add(7, 0, 5, -90, half, half, _rule(-18), -128, 127)
    x = b.add("SQUARED_DIFFERENCE", squared, [x, b.random((4, 1, 12))], (1, 4, 4, 12))
    x = b.add("MINIMUM", Extremum(), [x, b.random((1, 12))], (1, 4, 4, 12))
    x = b.add("MAXIMUM", Extremum(), [x, b.random((4, 4, 1))], (1, 4, 4, 12))
    x = b.add("PRELU", Prelu(0, 3, -4, _rule(0), _rule(-6)), [x, b.random((12,))], (1, 4, 4, 12))
    x = b.add("TRANSPOSE", Slice(0, (192, 12, 48, 1)), [x], (1, 4, 4, 12))
    rows, columns = np.asarray([[0, 512], [3, 0], [2, 1023]]), np.asarray([[1, 300], [0, 0]])
    x = b.add("RESIZE_BILINEAR", Resize(rows, columns), [x], (1, 3, 2, 12))
    upwards = TransposedConvolution(Window(2, 3, 1, 2, 1, 1, 0, 1), 5, 7, _rule(-7), -128, 127)
    weights = [b.random((12, 2, 3, 12)), b.random((12,), "int32", 5000)]
    x = b.add("TRANSPOSE_CONV", upwards, [x, *weights], (1, 4, 4, 12))
    product = BatchMatMul(7, 1, -3, _rule(-6), False, True)
    x = b.add("BATCH_MATMUL", product, [x, b.random((4, 12, 12))], (1, 4, 4, 12))
    x = b.add("RELU", Rescale(0, -128, _rule(1), -128, 127), [x], (1, 4, 4, 12))
    x = b.add("MEAN", Mean((1,), -128, -128, _rule(-2)), [x], (1, 4, 12))
    x = b.lstm(x, _lstm(-128, 9, "double"), 12, "int8", "int32")
    x = b.add("RESHAPE", Reshape(), [x], (1, 48))
    dense = FullyConnected(-128, 0, 9, _rule(-8), -128, 127)
    x = b.add("FULLY_CONNECTED", dense, [x, b.random((10, 48)), b.random((10,), "int32", 5000)], (1, 10))
    x = b.add("SOFTMAX", Softmax(1518500250, 22, -496), [x], (1, 10))
    y = b.add("L2_NORMALIZATION", L2Normalization(-128), [x], (1, 10))
    y = b.add("ARG_MAX", ArgExtremum(1), [y], (1,), "int32")
    x = b.add("DEQUANTIZE", FloatEdge(1 / 256, -128), [x], (1, 10), "float32")
    return QuantGraph(tuple(b.tensors), tuple(b.operators), (source,), (x, y), "5a" * 32)


def _lstm(input_zero_point: int, hidden_zero_point: int, rounding: str) -> Lstm:
    """Gates that neither saturate nor stand still; a cell state in steps of 2**-12, limited to 7."""
    shift = -1 if rounding == "double" else -9
    gates = Requantize(np.asarray([1518500250, 1 << 30, 1700000000, 1 << 30]), np.full(4, shift), rounding)
    half = 1 << 30
    small = [Requantize(np.asarray([half]), np.asarray([each])) for each in (-14, -17)]
    out = Requantize(np.asarray([half]), np.asarray([-21 if rounding == "double" else -14]))
    return Lstm(input_zero_point, hidden_zero_point, gates, gates, *small, out, SigmoidInt16(3, 0), 28672)


def _wide_rule(shift: int) -> Requantize:
    return Requantize(np.asarray([1518500250]), np.asarray([shift]), "reduced")


@pytest.fixture(scope="session")
def wide_network() -> QuantGraph:
    """A network with every opcode that int16 has, sums of 32 and of 64 bits and a grouped convolution;
    behind it MUL and LOGISTIC on int8."""
    b = _Builder()
    low, high = -(1 << 15), (1 << 15) - 1
    source = b.tensor((1, 6, 6, 4), "float32")
    x = b.add("QUANTIZE", FloatEdge(0.0005, 0), [source], (1, 6, 6, 4), "int16")
    x = b.add("PAD", Pad(((0, 0), (1, 1), (1, 1), (0, 0)), -7), [x], (1, 8, 8, 4), "int16")
    conv = Convolution(Window(3, 3, 1, 1, 1, 1, 1, 1), 0, 0, _wide_rule(-8), low, high)
    weights = [b.random((6, 3, 3, 2)), b.random((6,), "int64", 1 << 30)]
    x = b.add("CONV_2D", conv, [x, *weights], (1, 8, 8, 6), "int16")
    conv = Convolution(Window(1, 3, 1, 1, 1, 2, 0, 2), 0, 0, _rule(-8), low, high)
    weights = [b.random((6, 1, 3, 6)), b.random((6,), "int32", 5000)]
    x = b.add("CONV_2D", conv, [x, *weights], (1, 8, 8, 6), "int16")
    depthwise = Convolution(Window(3, 3, 1, 1, 1, 1, 1, 1), 0, 0, _wide_rule(-7), -9000, high, 1)
    y = b.add("DEPTHWISE_CONV_2D", depthwise, [x, b.random((1, 3, 3, 6)), -1], (1, 8, 8, 6), "int16")
    half = Requantize(np.asarray([1 << 30]), np.asarray([0]))
    add = Add(15, 0, 0, 0, half, half, _rule(-14), low, high)
    x = b.add("ADD", add, [x, y], (1, 8, 8, 6), "int16")
    x = b.add(
        "MUL",
        Mul(0, 0, 0, _rule(-13), low, high),
        [x, b.random((6,), "int16", 1 << 15)],
        (1, 8, 8, 6),
        "int16",
    )
    p = b.add("MAX_POOL_2D", Pool(Window(2, 2, 2, 2), low, high), [x], (1, 4, 4, 6), "int16")
    q = b.add("AVERAGE_POOL_2D", Pool(Window(2, 2, 2, 2), -100, 9000), [x], (1, 4, 4, 6), "int16")
    x = b.add("CONCATENATION", Concatenation(3, low, high), [p, q], (1, 4, 4, 12), "int16")
    x = b.add("TANH", SigmoidInt16(24575, 12), [x], (1, 4, 4, 12), "int16")
    x = b.add("STRIDED_SLICE", Slice(47, (0, 48, -12, -1)), [x], (1, 4, 4, 12), "int16")
    product = BatchMatMul(0, 0, 0, _wide_rule(-16), True, False)
    x = b.add("BATCH_MATMUL", product, [x, b.random((4, 4, 12), "int16", 1 << 15)], (1, 4, 12, 12), "int16")
    x = b.add("STRIDED_SLICE", Slice(0, (0, 144, 36, 1)), [x], (1, 4, 4, 12), "int16")
    x = b.add("MEAN", Mean((1,), 0, 0, _rule(-1)), [x], (1, 4, 12), "int16")
    x = b.lstm(x, _lstm(0, 0, "reduced"), 12, "int16", "int64")
    x = b.add("RESHAPE", Reshape(), [x], (1, 48), "int16")
    dense = FullyConnected(0, 0, 0, _wide_rule(-6), low, high)
    weights = [b.random((10, 48)), b.random((10,), "int64", 1 << 20)]
    x = b.add("FULLY_CONNECTED", dense, [x, *weights], (1, 10), "int16")
    x = b.add("SOFTMAX", SoftmaxInt16(_rule(1)), [x], (1, 10), "int16")
    y = b.add("QUANTIZE", Rescale(0, -128, _rule(-7), -128, 127), [x], (1, 10))
    y = b.add("LOGISTIC", Table(np.arange(128, -128, -1) - 1), [y], (1, 10))
    y = b.add("MUL", Mul(-128, 3, -9, _rule(-6), -128, 127), [y, b.random((1, 10))], (1, 10))
    x = b.add("DEQUANTIZE", FloatEdge(1 / 32768, 0), [x], (1, 10), "float32")
    return QuantGraph(tuple(b.tensors), tuple(b.operators), (source,), (x, y), "5a" * 32)
