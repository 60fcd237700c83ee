"""``quantcheck boards --check NAME|all``: is a board fit for tests? One line per step, a remedy where not."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pytest_quantcheck.cli.rig import purpose
from pytest_quantcheck.errors import QuantcheckError, RigFault
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.leased import LeasedBoard, LeaseOptions
from pytest_quantcheck.rig.link.line import BASE_BAUD
from pytest_quantcheck.rig.mlperf.session import MlperfSession
from pytest_quantcheck.rig.presence import absence
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.rig.spoken import MLPERF_TINY, STAI
from pytest_quantcheck.rig.stai.session import StaiSession
from pytest_quantcheck.wording import columns, first_line

RATES = (BASE_BAUD, 230400, 460800, 921600)
_ECHOES = 24
_ECHO_BYTES = 1000
_ROUNDS = 10_000
_CLOCK_TRIES, _CLOCK_SECONDS = 5, 0.2
_CLOCK_TOLERANCE = 0.01  # an internal RC oscillator of an STM32F4 is trimmed to 1 %
_SAMPLES = 10
_STEPS = ("lease", "flash", "boot", "link", "counter", "model")
_USAGE = "usage"
_FOREIGN: Mapping[str, type[MlperfSession | StaiSession]] = {MLPERF_TINY: MlperfSession, STAI: StaiSession}

Session = TypeVar("Session", bound=LeasedBoard[Any])


@dataclass(frozen=True)
class Result:
    """What one step found; ``remedy`` is empty when all is well."""

    step: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        word = "FAIL" if self.remedy else "" if self.step == "log" else "ok"
        line = f"{word:5}{self.step:10}{self.text}"
        return f"{line}\n{'':15}what to do: {self.remedy}" if self.remedy else line


def check_boards(boards: Sequence[BoardEntry], args: argparse.Namespace) -> int:
    """Check each of ``boards``, step by step, printing as it goes; of several a table at the end.

    0 when all are fit, 3 when not; 2 when the only ones that are not are wrong in the inventory.
    """
    found: dict[str, list[Result]] = {}
    for entry in boards:
        if len(boards) > 1:
            print(f"{entry.name}:", flush=True)
        found[entry.name] = []
        try:
            for result in _checked(entry, args):
                print(result, flush=True)
                found[entry.name].append(result)
        except QuantcheckError as error:
            if len(boards) == 1:
                raise
            found[entry.name].append(Result(_USAGE, str(error), "correct what the text says"))
            print(found[entry.name][-1], flush=True)
    if len(boards) > 1:
        print(f"\n{_table(found)}")
    failed = {result.step for results in found.values() for result in results if result.remedy}
    if failed == {_USAGE}:
        return QuantcheckError.exit_code
    return RigFault.exit_code if failed else 0


def _table(found: Mapping[str, Sequence[Result]]) -> str:
    """A row per board, a column per step; a step that was not reached has a dash."""
    rows = [("BOARD", *(step.upper() for step in _STEPS), "FIT")]
    for name, results in found.items():
        failed = {result.step for result in results if result.remedy}
        seen = {result.step for result in results}
        cells = ["FAIL" if step in failed else "ok" if step in seen else "-" for step in _STEPS]
        others = sorted(failed - set(_STEPS))
        rows.append((name, *cells, f"no: {', '.join(others)}" if others else "no" if failed else "yes"))
    return columns(rows)


def _checked(entry: BoardEntry, args: argparse.Namespace) -> Iterator[Result]:
    """What each step of one board finds; a fault ends it."""
    if missing := absence(entry):
        yield Result("link", f"{entry.name} is absent: {missing}", "plug it in, or correct its port")
        return
    ledger = FaultLedger(retries=args.retries)
    options: LeaseOptions = {
        "log_dir": args.log_dir,
        "who": purpose(args),
        "lease_timeout": args.lease_timeout,
        "ledger": ledger,
        "deadlines": Deadlines.of_runs(args.run_timeout),
    }
    if entry.protocol in _FOREIGN:
        with _FOREIGN[entry.protocol]([entry], **options) as theirs:
            yield from _ended(ledger, theirs.log, _results(_identity, theirs))
        return
    with BoardSession([entry], storage=args.storage, **options) as session:
        yield from _ended(ledger, session.log, *(_results(step, session) for step in _OURS))


def _ended(ledger: FaultLedger, log: Path, *steps: Iterator[Result]) -> Iterator[Result]:
    """The results of ``steps`` until the board is out of service, what was overcome, and the log."""
    for results in steps:
        yield from results
        if ledger.quarantined:
            break
    if ledger.faults and not ledger.quarantined:
        overcome = "; ".join(first_line(fault) for fault in ledger.faults)
        yield Result("retries", f"{len(ledger.faults)} used, to overcome: {overcome}")
    yield Result("log", str(log))


def _results(step: Callable[[Session], Iterator[Result]], session: Session) -> Iterator[Result]:
    """The results of a step; a fault that ends it is the last one. Without a board no step can follow:
    a wrong inventory is an error of usage.
    """
    try:
        yield from step(session)
    except RigFault as fault:
        text, _, remedy = fault.reason.partition("\nwhat to do: ")
        yield Result(fault.kind, text, remedy or "look at the text above")
    except QuantcheckError as error:
        if step in (_bring_up, _identity):
            raise
        yield Result(_USAGE, str(error), "correct what the text says and check again")


def _bring_up(session: BoardSession) -> Iterator[Result]:
    began = time.monotonic()
    hello = session.start()
    yield Result("lease", f"{session.entry.name} is ours")
    statistics = session.statistics
    if statistics.firmware_flashes:
        yield Result("flash", f"firmware written and verified, {statistics.erased_sectors} sectors erased")
    else:
        foreign = session.entry.firmware == "external"
        why = "its firmware is used as it is" if foreign else "the right firmware is there"
        yield Result("flash", f"nothing written: {why}")
    chip = f"{hello.chip} {hello.unique_id.hex()}".strip()
    yield Result(
        "boot",
        f"{chip}, {hello.runtime} {hello.version}, firmware {hello.build_id} "
        f"(CRC-32 {hello.firmware_crc32:08x} computed now), after {time.monotonic() - began:.1f} s",
    )


def _identity(session: MlperfSession | StaiSession) -> Iterator[Result]:
    began = time.monotonic()
    identity = session.start()
    yield Result("lease", f"{session.entry.name} is ours")
    yield Result(
        "boot",
        f"{identity.introduction}, after {time.monotonic() - began:.1f} s",
    )


def _link(session: BoardSession) -> Iterator[Result]:
    for rate in RATES:
        reached = session.device.set_baud(rate)
        if reached != rate:
            yield Result(
                "link",
                f"{rate} baud does not work: the self-test lost bytes, or the chip cannot make the rate",
                f"keep baud = {reached} or less in the inventory; look at cable length and ground",
            )
            break
        yield _echo(session, rate)
    session.device.set_baud(BASE_BAUD)


def _echo(session: BoardSession, rate: int) -> Result:
    device, statistics = session.device, session.device.link.statistics
    before = device.counter()
    resent, damaged, received = statistics.resent, statistics.crc_errors, statistics.frames_received
    began = time.monotonic()
    for number in range(_ECHOES):
        data = random.Random(number).randbytes(_ECHO_BYTES)
        if device.echo(data) != data:
            raise RigFault("link", f"ECHO at {rate} baud brought back other bytes")
    seconds = time.monotonic() - began
    after = device.counter()
    # A second answer shows that what was sent again had not been lost: host or board were slow.
    late = min(statistics.frames_received - received - (_ECHOES + 1), statistics.resent - resent)
    errors = (
        statistics.resent
        - resent
        - late
        + statistics.crc_errors
        - damaged
        + after.bad_frames
        - before.bad_frames
        + after.overruns
        - before.overruns
    )
    speed = 2 * _ECHOES * _ECHO_BYTES / seconds / 1024
    return Result(
        "link",
        f"{rate} baud: {errors} errors in {2 * _ECHOES} frames of {_ECHO_BYTES} bytes, {speed:.1f} KiB/s"
        + (f"; {late} answers were late: host or board are busy" if late else ""),
        f"use a lower baud than {rate}; look at cable, ground and the adapter's driver" if errors else "",
    )


def _counter(session: BoardSession) -> Iterator[Result]:
    device, hello = session.device, session.hello
    loop = device.loop(_ROUNDS)
    expected = loop.expected(_ROUNDS)
    exact = expected is None or loop.counted == expected
    promise = "the port does not say what its loop costs" if expected is None else f"expected {expected}"
    yield Result(
        "counter",
        f"a loop of {_ROUNDS} rounds counts {loop.counted} {hello.unit}, {promise}",
        "" if exact else "the counter is not fit for budgets: interrupts or another firmware disturb it",
    )
    rate = _rate(session)
    if hello.counts_instructions or not hello.clock_hz:
        yield Result("counter", f"{rate / 1e6:.1f} million {hello.unit} in a second of the host's clock")
        return
    off = rate / hello.clock_hz - 1
    yield Result(
        "counter",
        f"{rate / 1e6:.2f} MHz by the host's clock, {hello.clock_hz / 1e6:g} by the firmware ({off:+.2%})",
        ""
        if abs(off) <= _CLOCK_TOLERANCE
        else "milliseconds from this board are wrong: look at its clock source",
    )


def _rate(session: BoardSession) -> float:
    """Ticks of the counter in a second of the host's clock.

    A host that is busy reads its clock late, by chance too early or too late. Of several tries the one
    counts whose two questions were answered the fastest.
    """
    tries = [_timed(session) for _ in range(_CLOCK_TRIES)]
    return min(tries)[1]


def _timed(session: BoardSession) -> tuple[float, float]:
    """``(seconds for which the moment of reading is uncertain, ticks a second)``."""
    device = session.device
    before = time.monotonic()
    start, began = device.counter().counter, time.monotonic()
    time.sleep(_CLOCK_SECONDS)
    asked = time.monotonic()
    end, ended = device.counter().counter, time.monotonic()
    seconds = (asked + ended - before - began) / 2
    return began - before + ended - asked, (end - start) / seconds


def _model(session: BoardSession) -> Iterator[Result]:
    from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
    from pytest_quantcheck.runners.board import BoardRunner
    from pytest_quantcheck.runners.integer import IntegerRunner

    if (kind := session.hello.artefact.partition(":")[0]) not in ("qcm", "tflite"):
        yield Result(
            "model", f"not tried: no known model is of the kind {kind!r} that {session.hello.runtime} takes"
        )
        return
    model, samples = demo_models()[0], demo_samples().take(range(_SAMPLES))
    run = BoardRunner(session).run(model, samples)
    right = IntegerRunner().run(model, samples)
    wrong = int((run.outputs[0] != right.outputs[0]).any(axis=1).sum())
    yield Result(
        "model",
        f"{model.id}: {len(run) - wrong} of {len(run)} outputs as on the host, "
        f"{run.counters[0]:,} {run.unit}",
        "find the operator: quantcheck compare MODEL --a integer --b NAME --inputs X.npy" if wrong else "",
    )


_OURS = (_bring_up, _link, _counter, _model)
