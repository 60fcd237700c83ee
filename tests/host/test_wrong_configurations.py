"""Twenty ways to ask for something wrong, each through the door that a user would take.

Every answer names the key (or file) and the value that was given, and says what is allowed or what to do; it
ends with exit code 2 and runs nothing of what the file says.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.cli import main
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL

pytestmark = pytest.mark.host

MODEL = str(DATA / FLOAT_MODEL)
CANARY = "canary"  # written by whatever code a hostile file gets to run
PAYLOAD = f"__import__('os').system('touch {CANARY}')"
CODE = f"open({CANARY!r}, 'w').write('ran')"


class Hostile:
    def __reduce__(self):
        return exec, (CODE,)


def quantize(*options: str, model: str = MODEL) -> list[str]:
    return ["quantize", model, "-o", "out.tflite", *options]


COMMANDS = {  # what is wrong -> command line, key, value, remedy
    "a type nobody knows": (quantize("--input-type", "unit8"), "--input-type", "unit8", "choose from"),
    "a type in capitals": (quantize("--output-type", "INT8"), "--output-type", "INT8", "choose from"),
    "a scheme nobody knows": (quantize("--scheme", "int4"), "scheme", "int4", "allowed: int8, int16x8"),
    "a quantizer nobody knows": (quantize("--quantizer", "trt"), "--quantizer", "trt", "choose from"),
    "an option nobody knows": (quantize("--granularty", "per_tensor"), "", "--granularty", "unrecognized"),
    "a type the scheme cannot do": (
        quantize("--scheme", "int16x8", "--input-type", "uint8"),
        "input_type",
        "uint8",
        "allowed: int16, float32, or scheme='int8'",
    ),
    "samples for a scheme without": (
        quantize("--scheme", "float16", "--calibration", "10%"),
        "calibration",
        "10%",
        "leave calibration out",
    ),
    "no percentage": (quantize("--calibration", "0%"), "calibration", "0%", "up to 100%"),
    "a calibration nobody knows": (quantize("--calibration", "most"), "calibration", "most", "allowed: 10%"),
    "a class without samples": (
        quantize("--calibration", "classes:9", "--data", "data.npz"),
        "classes",
        "9",
        "there are: 0, 1",
    ),
    "more samples than there are": (
        quantize("--calibration", "count:99", "--data", "data.npz"),
        "count",
        "99",
        "ask for at most 6",
    ),
    "an id that is not there": (
        quantize("--calibration", "ids:other", "--data", "data.npz"),
        "ids",
        "'other'",
        "there are 000000",
    ),
    "a negative seed": (quantize("--seed", "-1", "--data", "data.npz"), "seed", "-1", "from 0 upwards"),
    "samples of another shape": (
        quantize("--data", "wide.npy"),
        "shape",
        "(28, 28, 1)",
        "the model expects (8, 8, 1)",
    ),
    "a file that is not there": (
        quantize(model="absent.h5"),
        "model file",
        "absent.h5",
        "allowed: .keras, .h5",
    ),
    "a file that is no model": (
        quantize(model="noise.tflite"),
        "",
        "noise.tflite",
        "not a .tflite file: 256 bytes without the identifier TFL3",
    ),
    "a picture": (quantize(model="cat.png"), ".png", "cat.png", "allowed: .keras, .h5"),
    "a pickle with code in it": (quantize("--data", "evil.npy"), "", "evil.npy", "A .npy file holds"),
    "a pickle in an archive": (quantize("--data", "evil.npz"), "", "evil.npz", "A .npy file holds"),
    "Python code in a layer": (quantize(model="lambda.keras"), "Lambda", "lambda.keras", "Replace it"),
    "an archive with ../ paths": (
        quantize(model="slip.mltk.zip"),
        "../slip.h5",
        "slip.mltk.zip",
        "Make the archive again",
    ),
    "an eval payload as an option": (
        quantize("--quantizer", "onnx", "-o", "out.onnx", "--option", f"bins={PAYLOAD}"),
        "bins",
        PAYLOAD,
        "leave bins out",
    ),
    "an eval payload as a reference": (
        quantize(model=f"os:system('{CANARY}')"),
        "",
        "os:system(",
        "no model",
    ),
}

MARKERS = {  # what is wrong -> marker, key, value, remedy
    "a key nobody knows": ("modle='m.h5'", "modle", "m.h5", "allowed: model, data"),
    "a type of an entry": ("input_type=8", "input_type", "8", "allowed: int8"),
    "everything impossible": (
        "scheme='dynamic', input_type=['int8', 'uint8']",
        "input_type",
        "uint8",
        "allowed: float32",
    ),
    "impossible where strict": (
        "scheme=['int8', 'int16x8'], input_type='int8', strict=True",
        "input_type",
        "int8",
        "1 of 2 combinations cannot be made",
    ),
    "strict as a text": ("strict='yes'", "strict", "yes", "allowed: True, False"),
    "an eval payload as calibration": (
        f'calibration=\'__import__("os").system("touch {CANARY}")\'',
        "calibration",
        "__import__",
        "allowed: 10%",
    ),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one file of each kind that a stranger may bring."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QC_CACHE", str(tmp_path / "cache"))
    images = np.zeros((6, 8, 8, 1), np.float32)
    np.savez(tmp_path / "data.npz", x=images, y=np.array([0, 1] * 3))
    np.save(tmp_path / "wide.npy", np.zeros((2, 28, 28, 1), np.float32))
    (tmp_path / "noise.tflite").write_bytes(bytes(range(256)))
    (tmp_path / "cat.png").write_bytes(b"\x89PNG")
    np.save(tmp_path / "evil.npy", np.array([Hostile()], dtype=object), allow_pickle=True)
    (tmp_path / "evil.npz").write_bytes(archive({"x.npy": pickle.dumps(Hostile())}))
    config = b'{"class_name": "Lambda", "config": {"function": "..."}}'
    (tmp_path / "lambda.keras").write_bytes(archive({"config.json": config, "model.weights.h5": b""}))
    (tmp_path / "slip.mltk.zip").write_bytes(archive({"../slip.h5": b"", "slip.py": CODE.encode()}))
    return tmp_path


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and "cache" not in path.parts}


@pytest.mark.parametrize("what", COMMANDS)
def test_a_wrong_command_ends_with_2_and_says_what_to_do(what, here, capsys) -> None:
    command, key, value, remedy = COMMANDS[what]
    before = files(here)
    assert main(command) == 2
    said = capsys.readouterr().err
    assert not [word for word in (key, value, remedy) if word not in said], said
    assert "Traceback" not in said
    assert "this is a bug" not in said
    assert files(here) == before
    assert not (here.parent / "slip.h5").exists()


def test_wrong_markers_end_the_collection_and_say_what_to_do(pytester: pytest.Pytester) -> None:
    for number, (marker, *_) in enumerate(MARKERS.values()):
        source = f"import pytest\n\n@pytest.mark.quant({marker})\ndef test_it(quantized_model): pass\n"
        (pytester.path / f"test_{number}.py").write_text(source)
    result = pytester.runpytest_subprocess("--collect-only", "-q", "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    for number, (_, *words) in enumerate(MARKERS.values()):
        (line,) = [each for each in result.outlines if each.startswith(f"test_{number}.py::test_it: ")]
        assert not [word for word in words if word not in line], line
    assert not (pytester.path / CANARY).exists()
