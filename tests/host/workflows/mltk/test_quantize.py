"""An archive of MLTK, quantized with its own settings; nothing in it runs unless it is trusted."""

from __future__ import annotations

import inspect
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from pytest_quantcheck.cli import main
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL, demo_samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.models.schema import semantic_sha256
from pytest_quantcheck.quantizers.audit.tflite import granularity_of
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.registry import host_runner
from pytest_quantcheck.workflows.mltk import quantize_model
from pytest_quantcheck.workflows.mltk.embed import embed_parameters, hashes, read_parameters

pytestmark = pytest.mark.host

FLOAT = (DATA / FLOAT_MODEL).read_bytes()
BEFORE = {"name": "net", "version": 3, "fe.sample_rate_hz": 8000, "runtime_memory_size": 71408}
SCRIPT = """
from pathlib import Path
Path({marker!r}).touch()

class Model:
    tflite_converter, model_parameters = {{}}, {{}}
    def load_dataset(self, subset):
        import numpy as np
        with np.load({data!r}) as stored:
            self.validation_data = (stored["x"][::-1], stored["y"][::-1])

my_model = Model()
my_model.model_parameters["threshold"] = 0.5
my_model.tflite_converter['inference_input_type'] = 'int8'
my_model.tflite_converter['inference_output_type'] = 'uint8'
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data, an archive ``net.mltk.zip``, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QC_CACHE", str(tmp_path / "cache"))
    samples = demo_samples()
    np.savez(tmp_path / "digits.npz", x=samples.x, y=samples.y, ids=samples.names)
    write_archive(tmp_path)
    return tmp_path


def write_archive(folder: Path, **members: bytes) -> Path:
    """``members``: by suffix of ``net.``, with ``_`` for a dot."""
    script = SCRIPT.format(marker=str(folder / "it_ran"), data=str(folder / "digits.npz"))
    content = {
        "net.py": script.encode(),
        "net.float32.tflite": FLOAT,
        "net.tflite": embed_parameters(FLOAT, BEFORE),
        "net.tflite.summary.txt": b"hash: of another model",
        "eval/tflite/summary.txt": b"Overall accuracy: of another model",
        "train/log.txt": b"kept",
    }
    content |= {f"net.{suffix.replace('_', '.')}": data for suffix, data in members.items()}
    path = folder / "net.mltk.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(name, data)
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def edges(content: bytes) -> list[str]:
    summary = read_summary(content)
    return [tensor.dtype for tensor in (*summary.input_tensors, *summary.output_tensors)]


def test_a_copy_is_written_with_the_archives_settings_and_no_script_is_run(here: Path, capsys) -> None:
    before = (here / "net.mltk.zip").read_bytes()
    assert main(["quantize", "net.mltk.zip", "--data", "digits.npz"]) == 0
    told = capsys.readouterr().out
    assert (here / "net.mltk.zip").read_bytes() == before
    assert not (here / "it_ran").exists()
    made = members(here / "net-quantized.mltk.zip")
    assert made.keys() == {"net.py", "net.float32.tflite", "net.tflite", "train/log.txt"}
    assert edges(made["net.tflite"]) == ["int8", "uint8"]
    assert edges(made["net.float32.tflite"]) == ["float32", "float32"]
    assert "a copy; net.mltk.zip is as it was" in told
    assert "left out, for it tells of the old model: eval/tflite/summary.txt" in told
    found = hashes(made["net.tflite"])
    assert f"weights SHA-256 {found.weights}" in told
    assert f"parameters SHA-256 {found.metadata}" in told


def test_parameters_that_stay_true_are_kept_and_hashes_tell_weights_from_metadata(here: Path) -> None:
    assert main(["quantize", "net.mltk.zip", "-o", "out.tflite", "--data", "digits.npz"]) == 0
    content = (here / "out.tflite").read_bytes()
    found = read_parameters(content)
    kept = {k: v for k, v in BEFORE.items() if k != "runtime_memory_size"}
    assert found == {**kept, "hash": found["hash"], "date": found["date"]}
    assert found["hash"] != read_parameters(embed_parameters(FLOAT, BEFORE))["hash"]
    written = json.loads((here / "out.tflite.json").read_text())["mltk"]
    assert written["weights_sha256"] == semantic_sha256(content) == hashes(content).weights
    other = embed_parameters(content, {**found, "fe.sample_rate_hz": 16000})
    assert hashes(other).weights == written["weights_sha256"]
    assert hashes(other).metadata != written["metadata_sha256"] == hashes(content).metadata


def test_the_network_is_the_one_that_the_same_options_give_without_an_archive(here: Path) -> None:
    assert main(["quantize", "net.mltk.zip", "-o", "out.tflite", "--data", "digits.npz"]) == 0
    options = ["--input-type", "int8", "--output-type", "uint8"]
    (here / "plain.tflite").write_bytes(FLOAT)
    assert main(["quantize", "plain.tflite", "-o", "same.tflite", "--data", "digits.npz", *options]) == 0
    runs = [
        host_runner("tflm").run(
            QuantizedModel("m", (here / name).read_bytes()), demo_samples().take(range(20))
        )
        for name in ("out.tflite", "same.tflite")
    ]
    assert np.array_equal(runs[0].outputs[0], runs[1].outputs[0])


def test_settings_of_the_command_line_come_first(here: Path) -> None:
    options = [
        "--converter",
        "inference_input_type=uint8",
        "--converter",
        "_experimental_disable_per_channel=True",
    ]
    options += [
        "--converter",
        "representative_dataset_max_samples=7",
        "--converter",
        "generate_unquantized=False",
    ]
    assert main(["quantize", "net.mltk.zip", "-o", "new.mltk.zip", "--data", "digits.npz", *options]) == 0
    made = members(here / "new.mltk.zip")
    assert edges(made["net.tflite"]) == ["uint8", "uint8"]
    assert granularity_of(read_summary(made["net.tflite"])) == "per_tensor"
    assert made["net.float32.tflite"] == FLOAT
    made_again = quantize_model(
        "net", output="tflite_model", data=demo_samples(),
        tflite_converter_override={"representative_dataset_max_samples": 7},
    )  # fmt: skip
    assert made_again.manifest["calibration"]["ids"] == list(demo_samples().names[:7])


def test_update_archive_writes_the_archive_itself(here: Path) -> None:
    assert main(["quantize", "net.mltk.zip", "--update-archive", "--data", "digits.npz"]) == 0
    made = members(here / "net.mltk.zip")
    assert edges(made["net.tflite"]) == ["int8", "uint8"]
    assert made["train/log.txt"] == b"kept"
    assert "net.tflite.summary.txt" not in made
    assert not (here / "net-quantized.mltk.zip").exists()


def test_a_trusted_script_gives_validation_data_in_their_order_and_parameters(here: Path, capsys) -> None:
    options = ["--trust", "--converter", "representative_dataset_max_samples=5"]
    assert main(["quantize", "net.mltk.zip", "-o", "out.tflite", *options]) == 0
    assert (here / "it_ran").exists()
    assert "running the script in net.mltk.zip, as --trust says" in capsys.readouterr().err
    assert read_parameters((here / "out.tflite").read_bytes())["threshold"] == 0.5
    last = demo_samples().take(range(len(demo_samples()) - 1, len(demo_samples()) - 6, -1))
    same = quantize_model("net", output="tflite_model", data=Samples(last.x))
    assert hashes((here / "out.tflite").read_bytes()).weights == hashes(same.artefact).weights
    assert json.loads((here / "out.tflite.json").read_text())["mltk"]["trusted"] is True


def test_a_trusted_script_that_fails_says_how(here: Path, capsys) -> None:
    write_archive(here, py=b"import no_such_module_anywhere")
    assert main(["quantize", "net.mltk.zip", "--trust"]) == 2
    assert "net.py failed" in (told := capsys.readouterr().err)
    assert "no_such_module_anywhere" in told
    write_archive(here, py=b"x = 1")
    assert main(["quantize", "net.mltk.zip", "--trust"]) == 2
    assert "it makes no model" in capsys.readouterr().err


def test_without_data_both_ways_are_named(here: Path, capsys) -> None:
    assert main(["quantize", "net.mltk.zip"]) == 2
    told = capsys.readouterr().err
    assert "needs the validation data. Give them (--data, data=), or let net.py load them (--trust)" in told
    assert not (here / "it_ran").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--converter", "granularity=per_tensor"], "tflite_converter['granularity'] is not known"),
        (["--converter", "inference_input_type=int4"], "allowed: float32, int8, uint8"),
        (
            ["--input-type", "int8"],
            "--input-type with an archive, which has converter settings of its own; --conv",
        ),
        (["--optimize"], "--optimize with an archive"),
        (["--update-archive", "-o", "x.mltk.zip"], "give one"),
        (["-o", "x.h5"], "give a name that ends in .tflite or .mltk.zip"),
        (["-o", "net.mltk.zip"], "is the archive itself; give another name, or --update-archive"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_written(here: Path, capsys, options, words) -> None:
    before = {path.name for path in here.iterdir()}
    assert main(["quantize", "net.mltk.zip", "--data", "digits.npz", *options]) == 2
    assert words in capsys.readouterr().err
    assert {path.name for path in here.iterdir()} - {"cache"} == before


@pytest.mark.parametrize("option", [["--converter", "a=b"], ["--trust"], ["--update-archive"]])
def test_options_of_archives_are_refused_elsewhere(here: Path, capsys, option: list[str]) -> None:
    (here / "plain.tflite").write_bytes(FLOAT)
    assert main(["quantize", "plain.tflite", "-o", "out.tflite", *option]) == 2
    assert f"{option[0]} is for archives of MLTK" in capsys.readouterr().err


def test_settings_that_only_running_could_tell_are_no_guess(here: Path, capsys) -> None:
    write_archive(here, py=b"my_model.tflite_converter['inference_input_type'] = chosen()\n")
    assert main(["quantize", "net.mltk.zip", "--data", "digits.npz"]) == 2
    assert "that only running it can tell (line 1). It was not run" in capsys.readouterr().err
    override = ["--converter", "inference_input_type=int8", "--converter", "generate_unquantized=False"]
    assert main(["quantize", "net.mltk.zip", "-o", "o.tflite", "--data", "digits.npz", *override]) == 0
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "was not run" in line]
    assert told.startswith("  warning: net.py sets converter settings in line 1, which was not run: optimi")
    assert "inference_output_type, " in told
    assert "inference_input_type" not in told
    assert "generate_unquantized" not in told
    write_archive(here, py=b"my_model.tflite_converter['inference_inputtype'] = 'int8'\n")
    assert main(["quantize", "net.mltk.zip", "--data", "digits.npz"]) == 2
    assert "['inference_inputtype'] is not known" in capsys.readouterr().err


def lambda_h5(path: Path, marker: Path) -> bytes:
    """A network whose only layer would make ``marker``."""
    import marshal

    code = compile(f"open({str(marker)!r}, 'w').close()", "evil", "exec")
    layer = {
        "class_name": "Lambda",
        "config": {"name": "evil", "function": [marshal.dumps(code).hex(), None, None]},
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
        file.create_group("model_weights")
    return path.read_bytes()


def evil_members(here: Path) -> dict[str, dict[str, bytes]]:
    return {
        "leads out of the archive": {"../net.h5": b"x"},
        "unpacks from": {"net.h5": bytes(64 << 20)},
        "Lambda layer, that is Python code, which is not run": {
            "net.h5": lambda_h5(here / "evil.h5", here / "it_ran")
        },
    }


@pytest.mark.parametrize(
    "words", ["leads out of the archive", "unpacks from", "Lambda layer, that is Python code"]
)
def test_a_hostile_archive_is_refused_and_nothing_runs_or_is_written(here: Path, capsys, words: str) -> None:
    evil = next(found for told, found in evil_members(here).items() if told.startswith(words))
    with zipfile.ZipFile(here / "net.mltk.zip", "a", zipfile.ZIP_DEFLATED) as file:
        for name, data in evil.items():
            file.writestr(name, data)
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    for target in (["--update-archive"], ["-o", "out.tflite"], []):
        assert main(["quantize", "net.mltk.zip", "--data", "digits.npz", *target]) == 2
        assert words in capsys.readouterr().err
    after = {
        path: path.read_bytes() for path in here.rglob("*") if path.is_file() and "cache" not in path.parts
    }
    assert after == before
    assert not (here.parent / "net.h5").exists()


def test_a_copy_of_a_bomb_is_no_bomb(here: Path, capsys) -> None:
    """A member that nobody needs is unpacked for the copy."""
    with zipfile.ZipFile(here / "net.mltk.zip", "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("train/zeros", bytes(64 << 20))
    assert main(["quantize", "net.mltk.zip", "--data", "digits.npz"]) == 2
    assert "train/zeros unpacks from" in capsys.readouterr().err
    assert not (here / "net-quantized.mltk.zip").exists()


def test_quantize_model_has_the_documented_arguments() -> None:
    names = list(inspect.signature(quantize_model).parameters)
    assert names[:8] == [
        "model", "keras_model", "output", "weights", "build", "update_archive", "tflite_converter_override",
        "post_process",
    ]  # fmt: skip


def test_quantize_model_returns_a_path_or_the_model(here: Path) -> None:
    before = (here / "net.mltk.zip").read_bytes()
    data = demo_samples()
    assert quantize_model("net", data=data) == "net.tflite"
    assert quantize_model("net.mltk.zip", output="folder", data=data) == str(Path("folder", "net.tflite"))
    assert quantize_model(here / "net.mltk.zip", output="a.tflite", data=data) == "a.tflite"
    made = quantize_model("net", output="tflite_model", data=data)
    assert isinstance(made, QuantizedModel)
    assert edges(made.artefact) == edges((here / "a.tflite").read_bytes()) == ["int8", "uint8"]
    assert (here / "net.mltk.zip").read_bytes() == before
    quantize_model("net", update_archive=True, data=data)
    assert (here / "net.mltk.zip").read_bytes() != before


def test_quantize_model_takes_a_representative_dataset_function(here: Path) -> None:
    few = demo_samples().take(range(3))

    def generator():
        for x in few.inputs[0]:
            yield [x[None]]

    override = {"representative_dataset": generator}
    made = quantize_model("net", output="tflite_model", tflite_converter_override=override)
    assert made.manifest["calibration"]["samples"] == 3
    same = quantize_model("net", output="tflite_model", data=Samples(few.x))
    assert hashes(made.artefact).weights == hashes(same.artefact).weights


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "net.tflite"}, "must provide an MLTK model's name, its archive"),
        ({"model": "net.h5"}, "must provide an MLTK model's name, its archive"),
        ({"model": "other"}, "there is no other.mltk.zip"),
        ({"model": 5}, "a int is given"),
        ({"model": "net", "build": True}, "quantize_model(build=True) is not supported; train the model"),
        ({"model": "net", "weights": "best"}, "quantize_model(weights='best') is not supported"),
        ({"model": "net", "post_process": True}, "quantize_model(post_process=True) is not supported"),
        ({"model": "net", "tflite_converter_override": {"x": 1}}, "['x'] is not known"),
    ],
)
def test_quantize_model_refuses_what_it_cannot_do(here: Path, arguments, words) -> None:
    with pytest.raises(UsageError) as caught:
        quantize_model(**arguments, data=demo_samples())
    assert words in str(caught.value)
