"""``quantcheck check``: will it run there, and if not, what to do."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pytest_quantcheck.cli import check, main
from pytest_quantcheck.demo.artefacts import CONFIGURATIONS, DATA, FLOAT_MODEL
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.graph.from_tflite.read import read_tflite
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.read import read_image
from pytest_quantcheck.rig.families import memories
from pytest_quantcheck.rig.memory import Memory
from pytest_quantcheck.runners.board import ram_bytes

pytestmark = pytest.mark.host

ARTEFACTS = [DATA / f"digits-{config.id}.tflite" for config in CONFIGURATIONS]


def edit(content, change):
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("target", ["virtual-esp32c3", "virtual-stm32f405", "stm32f401xe"])
@pytest.mark.parametrize("artefact", ARTEFACTS, ids=lambda path: path.stem)
def test_the_demo_will_run_on_every_target(artefact, target, capsys):
    assert main(["check", str(artefact), "--target", target]) == 0
    told = capsys.readouterr().out
    assert told.endswith(f"will run on {target}\n")
    assert "1 x DEPTHWISE_CONV_2D" in told
    assert "device image" in told
    assert "arena" in told


def test_a_model_that_is_too_big_is_told_by_how_much(monkeypatch, capsys):
    monkeypatch.setattr(check, "memories", lambda: {"tiny": Memory(pool_kib=1, store_kib=4)})
    assert main(["check", str(ARTEFACTS[0]), "--target", "tiny"]) == 1
    told = capsys.readouterr().out
    assert "The arena needs" in told
    assert "the target has 1024" in told
    assert "target's store 4096" in told
    assert told.endswith("will not run on tiny\n")


def test_inputs_and_operator_records_need_ram_besides_the_arena(monkeypatch):
    image = compile_image(read_tflite(ARTEFACTS[0].read_bytes()))
    operators = len(read_image(image.data).operators)
    assert ram_bytes(image) == image.arena_bytes + 64 + 24 * operators
    monkeypatch.setattr(check, "KIB", 1)
    for room, fits in ((ram_bytes(image), True), (ram_bytes(image) - 1, False)):
        findings, _ = check.examine(ARTEFACTS[0].read_bytes(), Memory(room, 1 << 20))
        assert (not [each for each in findings if each.severity == "error"]) is fits


def test_every_unsupported_operator_is_named(tmp_path, capsys):
    def change(model):
        others = {17: 59, 1: 66}  # schema.fbs: MAX_POOL_2D to NEG, AVERAGE_POOL_2D to SIN
        for code in model.operatorCodes:
            number = max(code.builtinCode, code.deprecatedBuiltinCode)
            code.builtinCode = code.deprecatedBuiltinCode = others.get(number, number)
        for operator in model.subgraphs[0].operators:
            if type(operator.builtinOptions).__name__ == "Pool2DOptionsT":
                operator.builtinOptionsType, operator.builtinOptions = 0, None

    path = tmp_path / "odd.tflite"
    path.write_bytes(edit(ARTEFACTS[0].read_bytes(), change))
    assert main(["check", str(path), "--target", "esp32c3"]) == 1
    told = capsys.readouterr().out
    assert "NEG is not supported: operator 4 (layer '" in told
    assert "Subtract in place of adding, or multiply by -1" in told
    assert "SIN is not supported" in told
    assert "docs/porting.md" in told


def test_all_obstacles_are_told_at_once(tmp_path, capsys):
    """Operators that nobody here knows, and two known ones in a form that is refused."""
    writer = TfliteWriter()
    x = writer.tensor((1, 4), scale=0.1, name="x")
    at = x
    for kind, name in (("SIN", "a/sin"), ("NEG", "b/neg"), ("RELU6", "c/relu6"), ("ABS", "d/abs")):
        dtype = "uint8" if kind in ("RELU6", "ABS") else "int8"
        at, before = writer.tensor((1, 4), dtype, scale=0.1, name=name), at
        writer.operator(kind, [before], [at])
    path = tmp_path / "odd.tflite"
    path.write_bytes(writer.finish([x], [at]))
    assert main(["check", str(path), "--target", "esp32c3"]) == 1
    told = capsys.readouterr().out
    for name in ("a/sin", "b/neg", "c/relu6", "d/abs"):
        assert f"layer '{name}'" in told


def test_a_damaged_scale_is_found(tmp_path, capsys):
    def change(model):
        tensor = model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]]
        tensor.quantization.scale = np.array([0], "f4")

    path = tmp_path / "zero.tflite"
    path.write_bytes(edit(ARTEFACTS[0].read_bytes(), change))
    assert main(["check", str(path), "--target", "esp32c3"]) == 1
    assert "has the scale 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "target", "words"),
    [
        (str(DATA / FLOAT_MODEL), "esp32c3", "quantize it first: quantcheck quantize"),
        ("net.keras", "esp32c3", "quantize it first"),
        ("absent.tflite", "esp32c3", "no model file"),
        ("", "esp32c3", "is a folder"),
        ("folder.tflite", "esp32c3", "is a folder"),
        ("notes.tflite", "esp32c3", "TFL3"),
        (str(ARTEFACTS[0]), "esp32", "allowed: virtual-esp32c3"),
    ],
)
def test_what_cannot_be_checked_ends_with_2(tmp_path, monkeypatch, capsys, model, target, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.tflite").write_text("not a model")
    (tmp_path / "folder.tflite").mkdir()
    assert main(["check", model, "--target", target]) == 2
    assert words in capsys.readouterr().err


def test_memory_of_the_stm32_targets_is_what_the_family_says():
    from rigs.stm32.chips import CHIPS

    for chip in CHIPS:
        memory = memories()[chip.target]
        assert memory.pool_kib == chip.ram_kib - 24
        assert memory.store_kib == chip.flash_kib - 256


def test_every_target_that_boards_may_name_can_be_checked():
    from pytest_quantcheck.rig.families import family

    told = memories()
    assert list(told) == [*family("esp32").memory(), *family("stm32").memory()]
    assert {*family("esp32").targets(), *family("stm32").targets()} == told.keys()


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--target", "esp32c3"),
        ("run", "--board", "virtual-esp32c3", "--inputs", "x.npy"),
        ("compare", "--a", "tflm", "--b", "integer", "--inputs", "x.npy"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_damaged_model_is_named(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((1, 8), np.int8))
    (tmp_path / "notes.tflite").write_text("hello")
    command, *options = arguments
    assert main([command, "notes.tflite", *options]) == 2
    assert f"quantcheck {command}: notes.tflite: not a .tflite file" in capsys.readouterr().err


def test_time_needs_a_virtual_board_and_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "unicorn", None)
    assert main(["check", str(ARTEFACTS[0]), "--target", "stm32f411xe", "--time"]) == 2
    told = capsys.readouterr().err
    assert "--time needs virtual-stm32f405" in told
    assert 'pip install "pytest-quantcheck[virtual]"' in told
