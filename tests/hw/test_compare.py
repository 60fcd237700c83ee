"""``quantcheck compare`` and ``run`` at a prompt, with a board that is a process."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pytest_quantcheck.cli import compare, main
from pytest_quantcheck.demo.artefacts import DATA
from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.patch import patch_weight
from pytest_quantcheck.image.read import read_image
from pytest_quantcheck.rig.connection import Connection
from pytest_quantcheck.rig.deadlines import USUAL, Deadlines
from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.runners.board import BoardRunner, board_artefact
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.verdict.locate import locate
from tests import documents

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.hw

MODEL = DATA / "digits-tflite-i8-i8-perchannel-cal10pct.tflite"


@pytest.fixture
def desk(tmp_path, monkeypatch, digits, samples):
    """A folder with an inventory of two posix boards and the inputs X.npy; the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QC_RIG", raising=False)
    (tmp_path / "boards.toml").write_text(
        "".join(
            f'[[board]]\nname = "{name}"\nfamily = "posix"\ntarget = "posix"\nport = "pty:{tmp_path}{name}"\n'
            for name in ("desk", "shelf")
        )
    )
    np.save(tmp_path / "X.npy", IntegerRunner().run(digits[0], samples).inputs[0])
    return tmp_path


def broken_weight(operator, output, k, delta):
    """Makes device images with one weight changed."""

    def make(model):
        return board_artefact(
            compile_image(model.folded),
            lambda data: patch_weight(data, operator, output=output, k=k, delta=delta),
        )

    return {"qcm": make}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("posix", "CONV_2D"),
        ("posix", "DEPTHWISE_CONV_2D"),
        ("posix", "FULLY_CONNECTED"),
        ("virtual-stm32f405", "DEPTHWISE_CONV_2D"),
        ("virtual-esp32c3", "FULLY_CONNECTED"),
    ],
)
def test_one_changed_weight_is_found_with_its_operator_elements_and_size(
    new_session, digits, samples, name, kind
):
    model = digits[0]
    operator = next(each for each in reversed(model.graph.operators) if each.kind == kind)
    board = BoardRunner(new_session(name), makers=broken_weight(operator.index, 1, 0, 64))
    run, right = board.run(model, samples), IntegerRunner().run(model, samples)
    found = locate(run, right, board)
    assert (found.operator, found.kind) == (operator.index, kind)
    inputs = [
        each[int(np.flatnonzero((run.outputs[0] != right.outputs[0]).any(axis=1))[0])] for each in run.inputs
    ]
    wrong = board.tensor(model, inputs, operator.index).astype(int)
    delta = wrong - IntegerRunner().tensor(model, inputs, operator.index)
    assert found.elements == np.count_nonzero(delta) > 0
    assert found.largest == np.abs(delta).max()
    assert set(np.nonzero(delta)[-1]) == {1}
    assert f"operator {operator.index} ({kind})" in str(found)
    assert f"{found.elements} of {found.size} elements, at most {found.largest} LSB" in str(found)


def test_of_two_boards_the_second_is_broken(desk, capsys):
    arguments = ["--a", "desk", "--b", "shelf", "--inputs", "X.npy", "--break", "weight"]
    assert main(["compare", str(MODEL), *arguments]) == 1
    assert "first diverging: operator 0 (CONV_2D)" in capsys.readouterr().out


def test_the_broken_one_is_explained_whichever_letter_it_has(desk, capsys):
    found = []
    for a, b in (("integer", "desk"), ("desk", "integer")):
        arguments = ["--a", a, "--b", b, "--inputs", "X.npy", "--break", "zero-point", "--json", "R.json"]
        assert main(["compare", str(MODEL), *arguments]) == 1
        printed = capsys.readouterr().out
        result = documents.read((desk / "R.json").read_text())
        found.append(result["divergence"])
        assert result["inexact"] == ("a" if a == "desk" else "b")
        assert f"a: {a} (" in printed
        assert f"b: {b} (" in printed
        assert ("how a differs" if a == "desk" else "how b differs") in printed
        assert "likely cause: input zero point" in printed
    assert found[0] == found[1]


def test_equal_runners_compare_equal(desk, capsys):
    assert (
        main(
            ["compare", str(MODEL), "--a", "integer", "--b", "desk", "--inputs", "X.npy", "--json", "R.json"]
        )
        == 0
    )
    assert "all 8 outputs are equal, bit for bit" in capsys.readouterr().out
    result = documents.read((desk / "R.json").read_text())
    assert (result["equal"], result["inferences"], result["divergence"]) == (True, 8, None)
    assert result["inexact"] is None
    assert result["b"]["runner"] == "desk"


def test_a_broken_weight_at_the_prompt_ends_with_1_and_names_operator_elements_and_size(desk, capsys):
    arguments = ["--b", "desk", "--inputs", "X.npy", "--break", "weight", "--json", "R.json"]
    assert main(["compare", str(MODEL), "--a", "integer", *arguments]) == 1
    found = documents.read((desk / "R.json").read_text())["divergence"]
    assert (found["operator"], found["kind"]) == (0, "CONV_2D")
    assert 0 < found["elements"] < found["size"]
    assert sum(count for _, count in found["steps"]) == found["elements"]
    assert "first diverging: operator 0 (CONV_2D)" in capsys.readouterr().out


def test_a_break_that_shows_in_no_output_is_told(desk, capsys, monkeypatch):
    monkeypatch.setitem(compare.BREAKS, "weight", lambda image: image)
    arguments = ["--a", "integer", "--b", "desk", "--inputs", "X.npy", "--break", "weight"]
    assert main(["compare", str(MODEL), *arguments]) == 0
    assert "--break weight changed no output for these inputs" in capsys.readouterr().out


def test_breaking_needs_a_board(desk, capsys):
    arguments = ["--a", "integer", "--b", "litert", "--inputs", "X.npy", "--break", "weight"]
    assert main(["compare", str(MODEL), *arguments]) == 2
    assert "neither --a nor --b is one" in capsys.readouterr().err


def test_run_writes_raw_outputs_and_a_profile(desk, capsys, digits, samples):
    arguments = ["--inputs", "X.npy", "--outputs", "Y.npy", "--profile", "--json", "R.json"]
    assert main(["run", str(MODEL), "--board", "desk", *arguments]) == 0
    right = IntegerRunner().run(digits[0], samples, operators=True)
    assert np.array_equal(np.load(desk / "Y.npy"), right.outputs[0])
    result = documents.read((desk / "R.json").read_text())
    image = compile_image(digits[0].graph)
    assert result["board"] == "desk"
    assert result["image_bytes"] == len(image.data)
    assert len(result["counters"]) == len(samples)
    assert [(row["index"], row["kind"]) for row in result["operators"]] == [
        (each.index, each.kind) for each in digits[0].graph.operators
    ]
    assert [row["crc32"][0] for row in result["operators"]] == [each.crc32 for each in right.operators[0]]
    printed = capsys.readouterr().out
    assert "8 inferences of digits" in printed
    assert all(each.kind in printed for each in digits[0].graph.operators)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--board", "nobody", "--inputs", "X.npy"],
            2,
            "board 'nobody' is not in the inventory; it has: desk",
        ),
        (["--board", "desk", "--inputs", "none.npy"], 2, "--inputs none.npy: there is no such file"),
        (["--board", "desk", "--inputs", "float.npy"], 2, "the model takes int8"),
        (["--board", "desk", "--inputs", "shape.npy"], 2, "(N, 8, 8, 1)"),
        (["--board", "desk", "--inputs", "empty.npy"], 2, "there is no sample"),
        (["--board", "desk", "--inputs", "object.npy"], 2, "is not a .npy or .npz file of plain numbers"),
        (["--board", "desk", "--inputs", "other.npz"], 2, "it has: weights"),
        (["--board", "desk", "--inputs", "X.npy", "--outputs", "no/Y.npy"], 2, "there is no folder no"),
        (["--board", "desk", "--inputs", "X.npy", "--outputs", "Y.csv"], 2, "allowed: .npy, .npz"),
        (["--board", "desk", "--inputs", "X.npy", "--storage", "disk"], 2, "invalid choice: 'disk'"),
        (["--board", "real", "--inputs", "X.npy"], 3, "link fault on real"),
    ],
)
def test_wrong_input_ends_with_2_and_a_broken_rig_with_3(desk, capsys, arguments, code, message):
    with (desk / "boards.toml").open("a") as file:
        file.write(f'[[board]]\nname="real"\nfamily="stm32"\ntarget="stm32f405xg"\nport="{desk}/ttyACM0"\n')
    np.save(desk / "float.npy", np.zeros((2, 8, 8, 1), np.float32))
    np.save(desk / "shape.npy", np.zeros((2, 9, 8, 1), np.int8))
    np.save(desk / "empty.npy", np.zeros((0, 8, 8, 1), np.int8))
    np.save(desk / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(desk / "other.npz", weights=np.zeros(3, np.int8))
    assert main(["run", str(MODEL), *arguments]) == code
    assert message in capsys.readouterr().err


def test_an_npz_feeds_inputs_by_tensor_name_and_takes_outputs(desk, digits):
    graph = read_image(compile_image(digits[0].graph).data)
    assert len(graph.inputs) == 1
    name = digits[0].graph.tensors[digits[0].graph.inputs[0]].name
    np.savez(desk / "X.npz", **{name: np.load(desk / "X.npy")})
    assert main(["run", str(MODEL), "--board", "desk", "--inputs", "X.npz", "--outputs", "Y.npz"]) == 0
    assert main(["run", str(MODEL), "--board", "desk", "--inputs", "X.npy", "--outputs", "Y.npy"]) == 0
    with np.load(desk / "Y.npz") as outputs:
        (only,) = outputs.files
        assert np.array_equal(outputs[only], np.load(desk / "Y.npy"))


def test_check_says_ok_for_every_step_of_a_sound_board(desk, capsys):
    assert main(["boards", "--check", "desk"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[1] for line in lines if line.startswith("ok")} == {
        "lease",
        "flash",
        "boot",
        "link",
        "counter",
        "model",
    }
    assert not [line for line in lines if line.startswith("FAIL")]


def test_check_passes_a_board_whose_runtime_takes_models_of_another_kind(desk, capsys):
    with (desk / "boards.toml").open("a") as file:
        file.write(f'[[board]]\nname="mine"\nfamily="posix"\ntarget="posix"\nport="pty:{desk}/mine"\n')
        file.write('[board.settings]\nruntime = "lookup"\n')
    assert main(["boards", "--check", "mine"]) == 0
    assert "not tried: no known model is of the kind 'lookup'" in capsys.readouterr().out


def test_a_wrong_setting_ends_the_check_with_2_and_one_error(desk, capsys):
    with (desk / "boards.toml").open("a") as file:
        file.write('[[board]]\nname="typo"\nfamily="esp32"\ntarget="virtual-esp32c3"\n')
        file.write('[board.settings]\nconsle = "usb"\n')
    assert main(["boards", "--check", "typo"]) == 2
    printed = capsys.readouterr()
    assert "consle = 'usb' is not known to the family esp32" in printed.err
    assert "FAIL" not in printed.out


def test_check_names_the_step_that_fails_and_what_to_do(desk, capsys):
    with (desk / "boards.toml").open("a") as file:
        file.write(f'[[board]]\nname="real"\nfamily="stm32"\ntarget="stm32f405xg"\nport="{desk}/ttyACM0"\n')
    assert main(["boards", "--check", "real"]) == 3
    printed = capsys.readouterr().out
    assert "FAIL link" in printed
    assert "what to do:" in printed


@pytest.mark.parametrize(
    ("options", "code", "said"), [([], 3, "FAIL link"), (["--retries", "1"], 0, "1 used")]
)
def test_a_check_repeats_what_it_is_told_to_and_says_so(desk, capsys, monkeypatch, options, code, said):
    """A board that answers the second time only."""
    bring_up, faults = Connection.bring_up, [RigFault("link", "a cable that is loose")]

    def at_the_second_try(connection):
        if faults:
            raise faults.pop()
        bring_up(connection)

    monkeypatch.setattr(Connection, "bring_up", at_the_second_try)
    assert main(["boards", "--check", "desk", *options]) == code
    printed = capsys.readouterr().out
    assert said in printed
    assert "a cable that is loose" in printed


def test_the_check_puts_the_known_model_where_it_is_told_to(desk, capsys, monkeypatch):
    seen = []
    load = BoardSession._load_store
    monkeypatch.setattr(BoardSession, "_load_store", lambda *args: seen.append(1) or load(*args))
    main(["boards", "--check", "desk", "--storage", "flash"])
    assert "10 of 10 outputs as on the host" in capsys.readouterr().out
    assert seen


COMMANDS = (["boards", "--check", "desk"], ["run", str(MODEL), "--board", "desk", "--inputs", "X.npy"])


@pytest.mark.parametrize("command", COMMANDS, ids=["boards --check", "run"])
def test_a_run_may_take_as_long_as_the_command_line_says(desk, monkeypatch, command):
    seen = set()
    made = RemoteDevice.__init__

    def make(device, link, deadlines=USUAL):
        seen.add(deadlines)
        made(device, link, deadlines)

    monkeypatch.setattr(RemoteDevice, "__init__", make)
    assert main([*command, "--run-timeout", "7"]) == 0
    assert seen == {Deadlines.of_runs(7)}


def test_scan_prints_an_inventory_or_says_what_to_look_at(desk, capsys):
    assert main(["boards", "--scan"]) == 0
    printed = capsys.readouterr()
    found = tomllib.loads(printed.out).get("board", [])
    assert all({"name", "family", "target"} <= board.keys() for board in found)
    assert bool(found) != ("no board found" in printed.err)
    assert bool(found) != printed.out.startswith("# boards.toml: no board was found")


def test_boards_lists_the_inventory_and_the_virtual_boards(desk, capsys):
    assert main(["boards"]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()[1:2]] == ["desk"]
    assert "virtual-stm32f405" in printed
    assert "free" in printed


def test_several_outputs_go_into_an_npz_beside_the_npy_that_was_asked_for(desk, capsys):
    writer = TfliteWriter()
    x = writer.tensor((1, 4), scale=0.1, name="input")
    parts = writer.split(x, 1, 2)
    (desk / "two.tflite").write_bytes(writer.finish([x], parts))
    inputs = np.arange(12, dtype=np.int8).reshape(3, 4)
    np.save(desk / "two.npy", inputs)
    command = ["run", "two.tflite", "--board", "desk", "--inputs", "two.npy", "--outputs", "y.npy"]
    assert main([*command, "--rig", "boards.toml"]) == 0
    assert "the model has 2 outputs, which a .npy does not hold: see y.npz" in capsys.readouterr().out
    with np.load(desk / "y.npz") as written:
        outputs = [written[key] for key in written.files]
    assert [part.tolist() for part in outputs] == [inputs[:, :2].tolist(), inputs[:, 2:].tolist()]
    assert not (desk / "y.npy").exists()
