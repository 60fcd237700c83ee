"""Hostile files of every kind through the commands that read them: what became of them, as a table.

Run with ``python -m tests.hostile.strangers_files``. Each file must be refused with a message or accepted; a
traceback, a wait without an end, a run of what it holds, or a changed file is a bug.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import pickle
import random
import shutil
import signal
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.cli import main
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL
from tests.hostile import saved_models, seeds
from tests.hostile.result import Result, table

MODEL = DATA / FLOAT_MODEL
PER_KIND = 60
CONVERSION_S = 600  # for one conversion, on a machine that is busy with other things
LONGEST_S = 900  # for one file
RANDOM = ("--calibration", "random:2", "--input-range", "0", "1")


class Canary:
    """A folder that code inside a hostile file would write to: ``file`` is what it would make."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.file = folder / "executed"

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.file}",)


Attack = tuple[Path, list[str]]
Kind = Callable[[Path, Canary, random.Random], Iterator[Attack]]


def quantize(path: Path) -> Attack:
    suffix = ".onnx" if path.suffix == ".onnx" else ".tflite"
    return path, ["quantize", str(path), "-o", str(path.parent / f"out{suffix}"), *RANDOM]


def with_data(path: Path) -> Attack:
    output = str(path.parent / "out.tflite")
    return path, ["quantize", str(MODEL), "-o", output, "--data", str(path), "--calibration", "count:1"]


def check(path: Path) -> Attack:
    return path, ["check", str(path), "--target", "esp32c3"]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, removed, doubled or cut."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data)) if data else 0
        how = rng.randrange(5)
        if how == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif how == 1:
            data[at : at + rng.randrange(1, 9)] = b""
        elif how == 2:
            data[at:at] = data[at : at + rng.randrange(1, 200)]
        elif how == 3:
            data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"))
        else:
            del data[max(at, 1) :]
    return bytes(data)


def changed_json(value: Any, rng: random.Random, canary: Canary) -> Any:
    """A copy of a JSON value in which one place is something else."""
    copy = json.loads(json.dumps(value))
    places: list[tuple[Any, Any]] = []
    waiting = [copy]
    while waiting:
        item = waiting.pop()
        for key in list(item) if isinstance(item, dict) else range(len(item)):
            places.append((item, key))
            if isinstance(item[key], (dict, list)):
                waiting.append(item[key])
    item, key = rng.choice(places)
    evil = {"module": "os", "class_name": "function", "config": "system", "registered_name": None}
    layer = {"module": "keras.layers", "config": {"name": "evil", "filepath": str(canary.file.parent)}}
    item[key] = rng.choice(
        (
            None,
            -1,
            2**70,
            1e400,
            "",
            "x" * 5000,
            [],
            {},
            [[]],
            evil,
            True,
            "\ud800",
            *(
                {**layer, "class_name": name}
                for name in (
                    "Lambda",
                    "TFSMLayer",
                    "StringLookup",
                    "TextVectorization",
                    "TorchModuleWrapper",
                    "JaxLayer",
                )
            ),
            {"class_name": "__lambda__", "config": {"value": "4wEA"}},
            {
                "class_name": "__typespec__",
                "module": "os",
                "spec_name": "system",
                "config": [],
                "registered_name": None,
            },
            {
                "module": "keras.utils",
                "class_name": "function",
                "config": "get_file",
                "registered_name": None,
            },
            {"module": "keras.config", "class_name": "function", "config": "enable_unsafe_deserialization"},
        )
    )
    return copy


def keras(folder: Path, canary: Canary, rng: random.Random) -> Iterator[Attack]:
    config, weights = seeds.keras_config(), seeds.keras_weights()
    for number in range(10**6):
        path = folder / f"{number}.keras"
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
            warnings.simplefilter("ignore")  # two members of one name
            for _ in range(rng.choice((1, 1, 1, 2))):
                archive.writestr("config.json", json.dumps(changed_json(config, rng, canary)))
            archive.writestr("model.weights.h5", mutated(weights, rng) if rng.random() < 0.3 else weights)
            archive.writestr("../outside", "x")
        if rng.random() < 0.3:
            path.write_bytes(mutated(path.read_bytes(), rng))
        yield quantize(path)


def h5(folder: Path, canary: Canary, rng: random.Random) -> Iterator[Attack]:
    for number in range(10**6):
        content = seeds.h5(changed_json(seeds.keras_config(), rng, canary), number % 5)
        path = folder / f"{number}.h5"
        path.write_bytes(mutated(content, rng) if rng.random() < 0.4 else content)
        yield quantize(path)


def onnx(folder: Path, canary: Canary, rng: random.Random) -> Iterator[Attack]:
    for number in range(10**6):
        path = folder / f"{number}.onnx"
        content = seeds.onnx(number % 6, str(canary.file))
        path.write_bytes(mutated(content, rng) if number >= 6 else content)
        yield check(path) if number % 4 == 3 else quantize(path)


def tflite(folder: Path, canary: Canary, rng: random.Random) -> Iterator[Attack]:
    integers = next(path for path in sorted(DATA.glob("*i8-i8*.tflite")))
    for number in range(10**6):
        path = folder / f"{number}.tflite"
        path.write_bytes(mutated((MODEL if number % 2 else integers).read_bytes(), rng))
        yield check(path) if number % 4 else quantize(path)


def archives(folder: Path, canary: Canary, rng: random.Random) -> Iterator[Attack]:
    names = [
        "net.h5",
        "net.float32.tflite",
        "../net.h5",
        "/etc/net.h5",
        "net.py",
        "a/net.h5",
        "net\0.h5",
        "é.h5",
    ]
    contents = [
        MODEL.read_bytes(),
        seeds.h5(seeds.keras_config(), 0),
        b"",
        bytes(4 << 20),
        b"raise SystemExit",
    ]
    for number in range(10**6):
        path = folder / str(number) / "net.mltk.zip"
        path.parent.mkdir()
        packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", packing) as archive:
            warnings.simplefilter("ignore")
            for _ in range(rng.randrange(4)):
                archive.writestr(rng.choice(names), rng.choice(contents))
        if rng.random() < 0.6:
            path.write_bytes(mutated(path.read_bytes(), rng))
        yield quantize(path)


def inventories(folder: Path, canary: Canary, rng: random.Random) -> Iterator[Attack]:
    lines = [
        "[[board]]",
        'name = "a"',
        'family = "esp32"',
        'target = "esp32c3"',
        'port = "/dev/null"',
        "baud = 9600",
    ]
    odd = [
        "a." * 9000 + "a = 1",
        "x = " + "[" * 9000,
        "baud = 0x" + "f" * 9000,
        "[board]",
        "board = 1",
        "[[board]]",
        'tags = ["a", 1]',
        "name = 1979-05-27",
        "port = nan",
        'family = "../evil"',
        'firmware = "/dev/zero"',
        'firmware = "../../etc/passwd"',
        f'reset = "touch {canary.file}"',
        f'power_cycle = "touch {canary.file}"',
        'name = "' + "\\u0000" + '"',
        "settings = {a = {b = 1}}",
        'console = ["usb"]',
        "baud = -1",
        "\x00",
        "🙂 = 1",
        'name = "' + "n" * 9000 + '"',
        'probe = "remote:host:99999999999"',
        'target = ["x"]',
        "[board.settings]",
    ]
    for number in range(10**6):
        text = "\n".join([*lines, *rng.sample(odd, rng.randrange(1, 4))] if rng.random() < 0.7 else lines)
        path = folder / f"{number}.toml"
        content = text.encode("utf-8")
        path.write_bytes(mutated(content, rng) if rng.random() < 0.5 else content)
        yield path, ["boards", "--rig", str(path)]


def data(folder: Path, canary: Canary, rng: random.Random) -> Iterator[Attack]:
    images = np.zeros((3, 8, 8, 1), np.float32)
    odd: list[Any] = [
        np.array(1),
        np.array("a"),
        np.zeros((0,)),
        np.array([np.nan] * 3),
        np.array([1 + 2j] * 3),
        np.zeros((3, 2)),
        np.array(["a", "a", "b"]),
        np.array([2**63] * 3, np.uint64),
        np.array([b"\xff"] * 3),
        np.array([True] * 3),
        np.array(["2020-01-01"] * 3, "datetime64[D]"),
        np.zeros(3, [("a", "i4")]),
        np.zeros((3, 8, 8, 1), np.int8),
        np.full((3, 8, 8, 1), np.inf),
        images.astype("f2"),
        np.asfortranarray(images),
        images[:, ::-1],
        images[:1],
    ]
    keys = [
        "x",
        "y",
        "ids",
        "x0",
        "x1",
        "x01",
        "x²",
        "x" + "9" * 5000,
        "test_x",
        "test_y",
        "calibration_x",
        "classes",
        "calibration_y",
        "test_ids",
        "calibration_ids",
        "input_range",
        "../x",
        "x/y",
        "",
    ]
    for number in range(10**6):
        path = folder / f"{number}.{rng.choice(('npz', 'npy'))}"
        kind = rng.randrange(4)
        if kind == 0:
            path.write_bytes(pickle.dumps(canary))
        elif kind == 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                evil = np.array([canary], dtype=object)
                np.savez(path.with_suffix(".npz"), x=images, y=evil)
            path = path.with_suffix(".npz")
        else:
            chosen = {key: rng.choice(odd) for key in rng.sample(keys, rng.randrange(1, 5))}
            usual = {"x": images} if rng.random() < 0.6 else {"test_x": images, "calibration_x": images}
            content = io.BytesIO()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                (np.savez if rng.random() < 0.5 else np.savez_compressed)(content, **{**usual, **chosen})
            path.write_bytes(mutated(content.getvalue(), rng) if kind == 3 else content.getvalue())
        yield with_data(path)


def saved_model(folder: Path, canary: Canary, rng: random.Random) -> Iterator[Attack]:
    made = saved_models.make(folder / "seeds", canary.file)
    yield from map(quantize, made)
    for number in range(10**6):
        path = folder / f"mutated{number}"
        shutil.copytree(rng.choice(made), path)
        file = rng.choice(sorted(p for p in path.rglob("*") if p.is_file()))
        file.write_bytes(mutated(file.read_bytes(), rng))
        yield quantize(path)


KINDS: dict[str, Kind] = {
    "inventory": inventories,
    "data": data,
    "tflite": tflite,
    "archive": archives,
    "keras": keras,
    "h5": h5,
    "onnx": onnx,
    "saved_model": saved_model,
}


class _TooLong(BaseException):
    pass


def _alarm(*_: object) -> None:
    raise _TooLong


def _print_of(path: Path) -> dict[str, str]:
    """Content of the file, or of every file of the folder."""
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _try(result: Result, attack: Attack, canary: Canary) -> None:
    """Run one command, and count how it ended."""
    path, words = attack
    before = _print_of(path)
    errors = io.StringIO()
    result.tried += 1
    flaws: dict[str, str] = {}
    signal.alarm(LONGEST_S)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            code = main(words)
        told = errors.getvalue()
        if "(this is a bug" in told or "Traceback" in told or (code not in (0, 1) and not told.strip()):
            flaws["traceback"] = told
        elif "did not finish" in told:
            flaws["hang"] = told
        result.ran += code == 0
        result.refused += code != 0
    except _TooLong:
        flaws["hang"] = f"not done after {LONGEST_S} s"
    except BaseException as error:
        flaws["traceback"] = repr(error)
    finally:
        signal.alarm(0)
    if canary.file.exists():
        flaws["executed"] = "what the file holds ran"
        canary.file.unlink()
    if _print_of(path) != before:
        flaws["changed"] = "the file itself was changed"
    for flaw, what in flaws.items():
        result.fault(flaw, f"{' '.join(words)}: {what}")


def attack(
    kind: str, count: int = PER_KIND, *, first: int = 0, seed: int = 0, keep: Path | None = None
) -> Result:
    """``count`` files of a kind from number ``first`` on, the same for the same ``seed``.

    Files that met a bug are kept in the folder ``keep``.
    """
    result = Result(f"files: {kind}")
    signal.signal(signal.SIGALRM, _alarm)
    with tempfile.TemporaryDirectory(prefix="quantcheck-hostile-") as name:
        folder = Path(name)
        (folder / "files").mkdir()
        canary = Canary(folder / "canary")
        with _environment(QC_CACHE=str(folder / "cache"), QC_CONVERSION_S=str(CONVERSION_S)):
            attacks = KINDS[kind](folder / "files", canary, random.Random(f"{seed}:{kind}"))
            for path, words in itertools.islice(attacks, first, first + count):
                known = result.count
                _try(result, (path, words), canary)
                if result.count > known and keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    target = keep / f"{kind}-{seed}-{first + result.tried}{path.suffix}"
                    (shutil.copytree if path.is_dir() else shutil.copyfile)(path, target)
    return result


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


if __name__ == "__main__":
    kept = Path(os.environ["KEEP"]) if "KEEP" in os.environ else None
    results = [attack(kind, keep=kept) for kind in KINDS]
    print(*table(results), sep="\n")
    print(*(each for result in results for found in result.faults.values() for each in found), sep="\n")
    raise SystemExit(any(result.count for result in results))
