"""``python -m tests.faults.link [--frames N] [BOARD ...]``: the link on a line that damages 1 % of all bytes.

Between host and board stands one fault injector (``rigs/posix/line.py``); every answer is compared with
what the host computes. Prints a row per board; ends with 1 when an answer was wrong or came too late.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.graph import execute
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.rig.connection import Connection
from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.link.frame import FRAME_OVERHEAD
from pytest_quantcheck.rig.link.link import Link
from pytest_quantcheck.rig.messages.numbers import Kind, Place
from pytest_quantcheck.rig.open_board import BoardStatistics
from pytest_quantcheck.rig.serial_log import SerialLog
from pytest_quantcheck.runners.prepare import quantize_inputs
from rigs.posix.line import FAULTS, FaultyLine

BOARDS = {
    "posix": BoardEntry("posix", "posix", "posix", virtual=True),
    "virtual-stm32f405": BoardEntry("virtual-stm32f405", "stm32", "virtual-stm32f405", virtual=True),
    "virtual-esp32c3": BoardEntry("virtual-esp32c3", "esp32", "virtual-esp32c3", virtual=True),
}
FRAMES = {"posix": 100_000, "virtual-stm32f405": 2_000, "virtual-esp32c3": 2_000}
ONE_PERCENT = {"flip": 0.004, "drop": 0.003, "duplicate": 0.003}
FRAME_RATES = {"lose": 0.005, "repeat": 0.005, "swap": 0.005, "cut": 0.005, "overrun": 0.005, "delay": 1e-5}
RATES = {**ONE_PERCENT, **FRAME_RATES}
AT_A_TIME = 12_500  # frames with one board and one seed
BREAK_EVERY = 40  # steps between two pulled cables or resets
LATEST = 30.0  # seconds that one step may take at the most, faults of the link included


@dataclass(frozen=True)
class Known:
    """A model with what every operator must compute for a few inputs."""

    image: bytes
    vectors: list[bytes]
    outputs: list[bytes]
    tensors: list[dict[int, bytes]]  # by source index of the operator

    @classmethod
    def digits(cls, count: int = 6) -> Known:
        model = demo_models()[0]
        (x,) = quantize_inputs(model, demo_samples().take(range(count)))
        graph = model.graph
        tensors, outputs = [], []
        for row in x:
            values = execute.run(graph, [row[None]])
            tensors.append({op.index: values[op.outputs[0]].tobytes() for op in graph.operators})
            outputs.append(values[graph.outputs[0]].tobytes())
        return cls(compile_image(graph).data, [row.tobytes() for row in x], outputs, tensors)


@dataclass
class Score:
    """What happened on one board."""

    board: str
    seed: int
    steps: int = 0
    frames: int = 0
    resent: int = 0
    sent: int = 0
    line_bytes: int = 0
    payload_bytes: int = 0
    damaged: int = 0
    pulled: int = 0
    resets: int = 0
    given_up: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))
    longest: float = 0.0
    seconds: float = 0.0

    @property
    def as_promised(self) -> bool:
        """No wrong answer, and every wait ended."""
        return not self.wrong and self.longest <= LATEST

    def __str__(self) -> str:
        faults = " ".join(f"{name} {count}" for name, count in self.faults.items() if count)
        lines = [
            f"{self.board}, seed {self.seed}: {self.frames:,} frames, {self.line_bytes:,} bytes "
            f"in {self.seconds:.0f} s: {'as promised' if self.as_promised else 'WRONG'}",
            f"  wrong answers {len(self.wrong)}, longest step {self.longest:.1f} s, steps {self.steps:,}, "
            f"given up {len(self.given_up)}",
            f"  resent {self.resent:,} of {self.sent:,} frames sent ({self.resent / max(1, self.sent):.1%}), "
            f"{self.damaged:,} damaged frames heard, payload over line bytes "
            f"{self.payload_bytes / max(1, self.line_bytes):.2f}",
            f"  faults: {faults}; cable pulled {self.pulled}, reset in mid-frame {self.resets}",
        ]
        return "\n".join(lines + [f"  {each}" for each in (*self.wrong, *self.given_up)])


class Exercise:
    """Talks to one board through a faulty line until enough frames have gone by."""

    def __init__(self, connection: Connection, known: Known, score: Score, rates: dict[str, float]) -> None:
        self._connection = connection
        self._known = known
        self._score = score
        self._rates = rates
        self._random = random.Random(score.seed)
        steps: list[tuple[Callable[[RemoteDevice], str], int]] = [
            (self._echo, 6),
            (self._infer, 6),
            (self._profile, 3),
            (self._tensor, 3),
            (self._input, 3),
            (self._hello, 2),
            (self._load, 1),
        ]
        self._steps = [step for step, weight in steps for _ in range(weight)]
        self._line, self._device = self._open()
        self._loaded = False

    def run(self, frames: int) -> None:
        """Steps until ``frames`` frames were sent and received."""
        began = time.monotonic()
        while self._score.frames < frames:
            self._score.steps += 1
            if self._score.steps % BREAK_EVERY == 0:
                self._break()
            self._step()
        self._close()
        self._score.seconds = time.monotonic() - began

    def _step(self) -> None:
        score, began = self._score, time.monotonic()
        counts = self._device.link.statistics
        before = counts.frames_sent + counts.frames_received
        step = self._load if not self._loaded else self._random.choice(self._steps)
        name = step.__name__.strip("_")
        try:
            wrong = step(self._device)
        except RigFault as fault:
            self._loaded = False
            wrong = "" if fault.kind == "link" else f"{fault.kind} fault: {fault.reason}"
            if fault.kind == "link":
                score.given_up.append(f"given up {name}: {fault.reason}")
        if wrong:
            score.wrong.append(f"WRONG {name} (step {score.steps}): {wrong}")
        score.longest = max(score.longest, time.monotonic() - began)
        score.frames += counts.frames_sent + counts.frames_received - before

    def _echo(self, device: RemoteDevice) -> str:
        data = self._random.randbytes(self._random.randrange(device.link.payload(256) + 1))
        return "" if device.echo(data) == data else f"{len(data)} bytes came back changed"

    def _hello(self, device: RemoteDevice) -> str:
        hello = device.hello()
        right = (len(self._known.image), zlib.crc32(self._known.image), Place.RAM)
        seen = (hello.image_bytes, hello.image_crc32, hello.place)
        return "" if seen == right else f"the board holds {seen}, not {right}"

    def _load(self, device: RemoteDevice) -> str:
        device.load_ram(self._known.image)
        self._loaded = True
        return ""

    def _input(self, device: RemoteDevice) -> str:
        """An input by bulk transfer, whatever its size."""
        which = self._which()
        device.set_input(0, self._known.vectors[which])
        return self._judge(which, device.run().outputs)

    def _infer(self, device: RemoteDevice) -> str:
        which = self._which()
        return self._judge(which, device.infer([self._known.vectors[which]]).outputs)

    def _profile(self, device: RemoteDevice) -> str:
        which = self._which()
        outputs = device.infer([self._known.vectors[which]], operators=True).outputs
        for record in device.operator_results():
            right = zlib.crc32(self._known.tensors[which][record.source_index])
            if record.crc32 != right:
                return f"operator {record.source_index} has CRC {record.crc32}, not {right}"
        return self._judge(which, outputs)

    def _tensor(self, device: RemoteDevice) -> str:
        which = self._which()
        operator = self._random.choice(list(self._known.tensors[which]))
        device.infer([self._known.vectors[which]], stop_after=operator)
        right = device.tensor() == self._known.tensors[which][operator]
        return "" if right else f"the tensor of operator {operator} is another one"

    def _which(self) -> int:
        return self._random.randrange(len(self._known.vectors))

    def _judge(self, which: int, outputs: tuple[bytes, ...]) -> str:
        right = self._known.outputs[which]
        return "" if outputs == (right,) else f"outputs {outputs!r}, not {right!r}"

    def _break(self) -> None:
        """Half a frame goes out; then the cable is pulled, or the board is reset."""
        frame = bytes([Kind.ECHO, 1]) + self._random.randbytes(100 + FRAME_OVERHEAD)
        with suppress(RigFault):
            self._device.link.line.transport.write(b"\0" + frame[: self._random.randrange(1, 100)])
        if self._random.random() < 0.5:
            self._line.unplug()
            self._score.pulled += 1
            with suppress(RigFault):
                self._device.echo(b"nobody there")
                self._score.wrong.append("WRONG: an answer came through a pulled cable")
            self._close()
        else:
            self._score.resets += 1
            self._close()
            self._connection.restart()
            self._loaded = False
        self._line, self._device = self._open()

    def _open(self) -> tuple[FaultyLine, RemoteDevice]:
        port = self._connection.board.open_port()
        seed = self._random.randrange(1 << 32)
        line = FaultyLine(port, seed=seed, **self._rates)
        device = RemoteDevice(Link(line, log=self._connection.log))
        for last in (False, False, True):
            try:
                device.hello(deadline=10.0)
                break
            except RigFault as fault:
                self._score.given_up.append(f"given up HELLO: {fault.reason}")
                if last:
                    raise
        return line, device

    def _close(self) -> None:
        score, counts = self._score, self._device.link.statistics
        score.resent += counts.resent
        score.sent += counts.frames_sent
        score.line_bytes += counts.bytes_on_line
        score.payload_bytes += counts.payload_bytes
        score.damaged += counts.crc_errors
        for name, count in self._line.faults.items():
            score.faults[name] += count
        self._line.close()


def exercise(
    entry: BoardEntry,
    frames: int,
    *,
    seed: int,
    folder: Path,
    known: Known | None = None,
    rates: dict[str, float] | None = None,
) -> Score:
    """``frames`` frames with ``entry``'s board; logs go to ``folder``."""
    score = Score(entry.name, seed)
    with _connected(entry, folder) as connection:
        Exercise(connection, known or Known.digits(), score, RATES if rates is None else rates).run(frames)
    return score


@contextmanager
def _connected(entry: BoardEntry, folder: Path) -> Iterator[Connection]:
    """The board, up and with its firmware proven on a sound line; its console closed."""
    log = SerialLog(folder / f"{entry.name}-link.log")
    connection = Connection(entry, log_dir=folder, log=log, statistics=BoardStatistics())
    try:
        connection.bring_up()
        connection.disconnect()
        yield connection
    finally:
        connection.close()
        log.close()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.link", description=__doc__)
    parser.add_argument("boards", nargs="*", metavar="BOARD", help=", ".join(BOARDS))
    parser.add_argument("--frames", type=int, help="frames per board, sent and received")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    jobs = []
    for name in options.boards or BOARDS:
        frames = options.frames or FRAMES[name]
        runs = -(-frames // AT_A_TIME)
        jobs += [(name, -(-frames // runs), options.seed + number) for number in range(runs)]
    with ProcessPoolExecutor(max_workers=4) as pool:
        scores = list(pool.map(_run, jobs))
    for score in scores:
        print(score)
    frames, sent = sum(score.frames for score in scores), sum(score.sent for score in scores)
    resent, wrong = sum(score.resent for score in scores), sum(not score.as_promised for score in scores)
    print(f"{frames:,} frames, {resent / max(1, sent):.1%} of those sent were resends; {wrong} runs wrong")
    return 1 if wrong else 0


def _run(job: tuple[str, int, int]) -> Score:
    """One board of its own, in a process of its own: what is waited for is time on the line."""
    name, frames, seed = job
    with tempfile.TemporaryDirectory(prefix="quantcheck-faults-") as folder:
        return exercise(BOARDS[name], frames, seed=seed, folder=Path(folder))


if __name__ == "__main__":
    sys.exit(main())
