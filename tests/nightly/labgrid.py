"""``make labgrid``: a farm on loopback, labgrid in an environment of its own, tests on two boards.

Coordinator, exporter and client are labgrid's; the boards are posix boards behind TCP ports.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.labgrid import CLIENT_VARIABLE
from rigs.posix.board import PosixBoard
from tests.bridge import Bridge

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / "build" / "labgrid"
VERSION = "labgrid==26.0.1"
_SECONDS = 60.0
TEST = """
import pathlib, subprocess, time, os
import pytest
pytestmark = [pytest.mark.hw, pytest.mark.quant(
    artefact="{model}", data="pytest_quantcheck.demo.artefacts:demo_dataset")]

@pytest.mark.parametrize("number", range(3))
def test_on_a_place(board, quantized_model, test_vectors, gate, number):
    gate.check(board.run(quantized_model, test_vectors), exact=True)
    print("HELD", board.session.entry.name, board.session.entry.port)
"""
KICKED = """
    if number == 1:
        name = board.session.entry.place
        subprocess.run([os.environ["QC_LABGRID_CLIENT"], "-p", name, "release", "-k"], check=True)
        board.run(quantized_model, test_vectors)
"""


def environment() -> Path:
    """The programs of labgrid, installed once."""
    programs = ENVIRONMENT / "bin"
    if not (programs / "labgrid-client").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        subprocess.run([str(programs / "pip"), "install", "--quiet", VERSION], check=True)
    return programs


@contextmanager
def process(command: list[str], folder: Path) -> Iterator[None]:
    with (folder / f"{Path(command[0]).name}.log").open("w") as log:
        running = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            yield
        finally:
            running.terminate()
            running.wait(timeout=_SECONDS)


@contextmanager
def farm(folder: Path, boards: int = 2) -> Iterator[dict[str, str]]:
    """A coordinator with places ``place-0`` ... and the variables by which its client finds it."""
    programs = environment()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    variables = {"LG_COORDINATOR": address, CLIENT_VARIABLE: str(programs / "labgrid-client")}

    def client(*words: str) -> subprocess.CompletedProcess[str]:
        command = [variables[CLIENT_VARIABLE], *words]
        return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)

    def until(*words: str, says: str = "") -> None:
        end = time.monotonic() + _SECONDS
        while (done := client(*words)).returncode or says not in done.stdout:
            assert time.monotonic() < end, f"{words}: {done.stdout}{done.stderr}"
            time.sleep(0.3)

    with ExitStack() as stack:
        exported = []
        for number in range(boards):
            board = PosixBoard(BoardEntry(f"desk-{number}", "posix", "posix"), folder)
            stack.callback(board.close)
            bridge = Bridge(board.open_port())
            stack.callback(bridge.close)
            port = f"{{host: 127.0.0.1, port: {bridge.number}, protocol: raw, speed: 115200}}"
            exported.append(f"board{number}: {{location: desk, NetworkSerialPort: {port}}}\n")
        (folder / "exporter.yaml").write_text("".join(exported))
        stack.enter_context(process([str(programs / "labgrid-coordinator"), "-l", address], folder))
        until("resources")
        exporter = [str(programs / "labgrid-exporter"), "-c", address, "-n", "bench", "exporter.yaml"]
        stack.enter_context(process(exporter, folder))
        for number in range(boards):
            until("resources", says=f"bench/board{number}/")
            until("-p", f"place-{number}", "create")
            until("-p", f"place-{number}", "add-match", f"bench/board{number}/*")
        yield variables


def run(folder: Path, variables: dict[str, str], source: str, *options: str) -> str:
    """What pytest prints of ``source`` on the places."""
    (folder / "test_it.py").write_text(source)
    (folder / "boards.toml").write_text(
        "".join(
            f'[[board]]\nname = "farm-{number}"\nfamily = "serial"\ntarget = "any"\n'
            f'place = "place-{number}"\nfirmware = "external"\n'
            for number in range(2)
        )
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        "-s",
        "-ra",
        *options,
        "test_it.py",
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables, "QC_RIG": "boards.toml", "QC_LEASE_DIR": str(folder / "leases")},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def main() -> int:
    model = ROOT / "pytest_quantcheck/demo/data/digits-tflite-i8-i8-perchannel-cal10pct.tflite"
    source = TEST.format(model=model)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with farm(folder) as variables:
            said = run(folder, variables, source, "--qc-vectors=10")
            assert "3 passed" in said, said
            assert "HELD farm-0 socket://127.0.0.1:" in said, said
            free = subprocess.run(
                [variables[CLIENT_VARIABLE], "who"],
                env={**os.environ, **variables},
                capture_output=True,
                text=True,
            )
            assert "place-" not in free.stdout, f"not given back: {free.stdout}"
            kicked = run(folder, variables, source + KICKED, "--qc-vectors=10")
            assert "lease fault on farm-0: place place-0 was taken away" in kicked, kicked
    print("labgrid: 3 tests passed on places; a place that was taken away ended as a fault of the rig")
    return 0


if __name__ == "__main__":
    sys.exit(main())
