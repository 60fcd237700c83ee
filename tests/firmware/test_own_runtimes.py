"""Runtimes that need somebody else's library, and the port for ESP-IDF: compiled against headers of ours that
stand for it, and run behind the real harness. The libraries themselves are not here.
"""

from __future__ import annotations

import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.cli import main
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.errors import ImageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.inventory import dumps
from pytest_quantcheck.rig.messages.numbers import Place
from pytest_quantcheck.rig.session import BoardArtefact, BoardSession, TooBigError
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.integer import IntegerRunner
from tests.firmware.own_build import FIRMWARE, as_board, built, forwarding

pytestmark = pytest.mark.host

STUBS = Path(__file__).parent / "stubs"
RUNTIMES = FIRMWARE / "runtimes"
SHA256 = bytes(range(32))
TFLM_HEADERS = [
    *(f"tensorflow/lite/micro/{name}.h" for name in (
        "memory_helpers", "micro_interpreter", "micro_mutable_op_resolver", "micro_op_resolver",
        "micro_profiler_interface",
    )),
    "tensorflow/lite/schema/schema_generated.h",
]  # fmt: skip
IDF_HEADERS = [
    "driver/uart.h", "esp_attr.h", "esp_cpu.h", "esp_heap_caps.h", "esp_mac.h", "esp_rom_sys.h",
    "esp_system.h",
    "freertos/FreeRTOS.h", "freertos/task.h", "sdkconfig.h",
]  # fmt: skip


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., BoardSession]]:
    """``opened(entry, **how)``: a session on it."""
    sessions = []

    def make(entry: BoardEntry, **how) -> BoardSession:
        sessions.append(BoardSession([entry], log_dir=tmp_path / "logs", **how))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


@pytest.fixture(scope="module")
def tflm(tmp_path_factory: pytest.TempPathFactory) -> BoardEntry:
    folder = tmp_path_factory.mktemp("tflm")
    forwarding(folder, STUBS / "tflm.h", TFLM_HEADERS)
    sources = [RUNTIMES / "tflm" / name for name in ("qc_tflm.cc", "qc_tflm_operators.cc")]
    return as_board(built(folder, sources, f"-I{folder}", "-fno-rtti", '-DQC_TFLM_VERSION="stub"'))


def tflm_model(elements: int = 64, *, version: int = 3, arena: int = 1024) -> BoardArtefact:
    return BoardArtefact.of(b"TFLM" + struct.pack("<III", version, elements, arena))


def test_tflm_runs_in_the_pool_and_reports_each_output_of_each_operator(opened, tflm):
    session = opened(tflm)
    hello = session.start()
    assert (hello.runtime, hello.version, hello.artefact) == ("tflm", "stub", "tflite")
    x = bytes(range(64))
    y = bytes(each ^ 0x55 for each in x)
    for _ in range(2):
        (done,) = session.infer(tflm_model(), [[x]], operators=True)
        assert done.outputs == (y[32:] + y[:32],)
        seen = [(each.source_index, each.crc32) for each in done.operators]
        steps = (0, y), (1, y[:32]), (1 | 1 << 16, y[32:]), (2, y[32:] + y[:32])
        assert seen == [(source, zlib.crc32(output)) for source, output in steps]
        assert sum(each.counter for each in done.operators) <= done.counter
    info = session.load(tflm_model())
    assert (info.arena_bytes, info.inputs[0].dtype, info.outputs[0].bytes) == (1024, "int8", 64)


@pytest.mark.parametrize(
    ("artefact", "error"),
    [
        (BoardArtefact.of(b"TFLX" + bytes(12)), ImageError),
        (tflm_model(version=2), ImageError),
        (tflm_model(arena=1 << 23), TooBigError),
    ],
    ids=["no flatbuffer", "another schema", "no memory"],
)
def test_tflm_refuses_what_it_cannot_run_and_runs_the_next_model(opened, tflm, artefact, error):
    session = opened(tflm, storage="ram")
    with pytest.raises(error):
        session.load(artefact)
    assert session.infer(tflm_model(2), [[b"\x00\xff"]])[0].outputs == (b"\xaa\x55",)


def test_st_edge_ai_takes_its_memory_from_the_pool(opened, tmp_path):
    folder = tmp_path / "stai"
    folder.mkdir()
    flags = (f"-I{STUBS}", f'-DQC_STAI_SHA256="{SHA256.hex()}"')
    session = opened(as_board(built(folder, [RUNTIMES / "stai" / "qc_stai.c"], *flags)))
    hello = session.start()
    assert (hello.runtime, hello.place, hello.image_sha256) == ("stai", Place.BUILTIN, SHA256)
    x = [bytes(each) for each in np.array([[-128, -1, 0, 1, 2, 3, 4, 127]] * 2, np.int8)]
    done = session.infer(BoardArtefact(b"", SHA256), [[each] for each in x])
    assert [np.frombuffer(each.outputs[0], "<i2").tolist() for each in done] == [
        [-256, -2, 0, 2, 4, 6, 8, 254]
    ] * 2
    info = session.load(BoardArtefact(b"", SHA256))
    assert [(each.dtype, each.bytes) for each in (*info.inputs, *info.outputs)] == [
        ("int8", 8),
        ("int16", 16),
    ]
    assert 140 + 16 <= info.arena_bytes <= 140 + 16 + 3 * 32


@pytest.mark.parametrize(("turned", "back"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_esp_dl_has_its_inputs_in_the_graphs_order_and_images_turned(opened, tmp_path, turned, back):
    folder = tmp_path / "espdl"
    folder.mkdir()
    (folder / "model.s").write_text(
        '.global _binary_model_espdl_start\n_binary_model_espdl_start: .ascii "EDL2"\n'
        '.section .note.GNU-stack,"",@progbits\n'
    )
    subprocess.run(["gcc", "-c", "model.s"], cwd=folder, check=True)
    flags = (f"-I{STUBS}", f'-DQC_ESPDL_SHA256="{SHA256.hex()}"', f"-DQC_ESPDL_TURNED={turned}u")
    flags += () if back else ("-DQC_ESPDL_OUTPUTS_TURNED=0",)
    session = opened(as_board(built(folder, [RUNTIMES / "espdl" / "qc_espdl.cpp"], *flags)))
    assert (session.start().runtime, session.hello.place) == ("espdl", Place.BUILTIN)
    image = np.arange(24, dtype="<i2").reshape(1, 4, 2, 3)  # channels first
    (done,) = session.infer(BoardArtefact(b"", SHA256), [[image.tobytes(), struct.pack("<h", 100)]])
    lies = (image.transpose(0, 2, 3, 1) if turned else image).reshape(1, 2, 3, 4)
    wanted = lies.transpose(0, 3, 1, 2) if back else lies
    assert np.frombuffer(done.outputs[0], "<i2").tolist() == (wanted.flatten() + 100).tolist()


def test_a_runtime_with_its_model_compiled_in_must_say_which(tmp_path):
    for name, macro in (("stai/qc_stai.c", "QC_STAI_SHA256"), ("espdl/qc_espdl.cpp", "QC_ESPDL_SHA256")):
        command = ["g++" if name.endswith("pp") else "gcc", "-fsyntax-only", f"-I{STUBS}"]
        command += [f"-I{FIRMWARE / 'include'}", str(RUNTIMES / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"-D{macro}=" in done.stderr


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our engine in an application of ESP-IDF."""
    folder = tmp_path_factory.mktemp("idf")
    forwarding(folder, STUBS / "esp_idf.h", IDF_HEADERS)
    entry = folder / "main.c"
    entry.write_text('#include "qc_port.h"\nint main(void) {\n  qc_harness_main();\n  return 0;\n}\n')
    port = FIRMWARE / "ports" / "esp_idf" / "port.c"
    return built(folder, [entry], f"-I{folder}", "-D_GNU_SOURCE", parts=("harness", "engine"), port=port)


@pytest.fixture
def idf(application: Path) -> Iterator[BoardEntry]:
    """A board that runs it, on a pty."""
    with subprocess.Popen([application], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        try:
            yield BoardEntry("idf", "serial", "idf", port=line, firmware="external")
        finally:
            process.kill()


def test_the_harness_runs_as_a_component_of_esp_idf(opened, idf):
    model, samples = demo_models()[0], demo_samples().take(range(3))
    session = opened(idf)
    run = BoardRunner(session).run(model, samples, operators=True)
    right = IntegerRunner().run(model, samples, operators=True)
    assert run.outputs[0].tobytes() == right.outputs[0].tobytes()
    assert [r.crc32 for r in run.operators[2]] == [r.crc32 for r in right.operators[2]]
    assert (run.device.chip, run.device.unique_id, run.device.storage) == ("stub", "010203040506", "ram")
    assert (run.device.clock_hz, run.unit) == (1_000_000_000, "cycles")
    assert session.device.set_baud(460800) == 460800


def test_the_check_of_a_board_finds_nothing_wrong_with_the_port_for_esp_idf(idf, tmp_path, capsys):
    (tmp_path / "boards.toml").write_text(dumps([idf]))
    options = ("--rig", str(tmp_path / "boards.toml"), "--log-dir", str(tmp_path))
    assert main(["boards", "--check", "idf", *options]) == 0
    printed = capsys.readouterr().out
    assert "nothing written: its firmware is used as it is" in printed
    assert "own build" in printed
