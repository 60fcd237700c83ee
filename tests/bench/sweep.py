"""36 configurations of a ResNet-8: ours, cold and warm, against as many calls of TensorFlow's converter.

The three ways take turns, each in a fresh process. Ours is charged with everything (start of Python and of
TensorFlow's worker, loading, hashing, auditing); the plain converter with its 36 calls alone, not with
importing TensorFlow or loading the model. ``python -m tests.bench.sweep`` runs this benchmark only.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS = 3
NEEDED = 6.0  # times faster, cold
WARM_S = 2.0
SAMPLES = 100
TYPES = ("int8", "uint8", "float32")
CONFIGURATIONS = list(product(TYPES, TYPES, ("per_channel", "per_tensor"), (50, SAMPLES)))
MODEL, DATA = "resnet8.keras", "samples.npy"


def make(folder: Path) -> None:
    """The network as a ``.keras`` file, and the samples."""
    from conformance_models.untrained import resnet8

    resnet8().save(folder / MODEL)
    x = np.random.default_rng(0).normal(size=(SAMPLES, 32, 32, 3)).astype(np.float32)
    np.save(folder / DATA, x)


def ours(folder: Path) -> None:
    """Every configuration by the project's own way, with the cache of ``folder``."""
    from pytest_quantcheck.cache import Cache
    from pytest_quantcheck.data.load import load_data
    from pytest_quantcheck.quantizers.config import QuantConfig
    from pytest_quantcheck.quantizers.quantize import quantize

    data, cache = load_data(folder / DATA), Cache(folder / "cache")
    for input_type, output_type, granularity, count in CONFIGURATIONS:
        config = QuantConfig(input_type, output_type, granularity, f"count:{count}")  # type: ignore[arg-type]
        quantize(folder / MODEL, config, data, cache=cache)


def plain(folder: Path) -> None:
    """Every configuration by ``TFLiteConverter.from_keras_model``; prints the seconds of the calls."""
    import keras
    import tensorflow as tf

    from tests.plain_converter import convert

    model, x = keras.models.load_model(folder / MODEL), np.load(folder / DATA)
    start = time.perf_counter()
    for input_type, output_type, granularity, count in CONFIGURATIONS:
        convert(
            tf.lite.TFLiteConverter.from_keras_model(model),
            [x[:count]],
            scheme="int8",
            input_type=input_type,
            output_type=output_type,
            per_tensor=granularity == "per_tensor",
        )
    (folder / "seconds").write_text(str(time.perf_counter() - start))


def _in_a_process(way: str, folder: Path) -> float:
    """Seconds of one way in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.sweep", way, str(folder)]
    quiet: Any = subprocess.DEVNULL
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=quiet, stderr=quiet)
    took = time.perf_counter() - start
    return float((folder / "seconds").read_text()) if way == "plain" else took


def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, round by round; says each as it is known."""
    print(f"making a ResNet-8 and {SAMPLES} samples ...", flush=True)
    _in_a_process("make", folder)
    seconds: dict[str, list[float]] = {"cold": [], "warm": [], "plain": []}
    for turn in range(rounds):
        (folder / f"round-{turn}").mkdir()
        for name in (MODEL, DATA):
            (folder / f"round-{turn}" / name).hardlink_to(folder / name)
        for way in seconds:
            took = _in_a_process("ours" if way != "plain" else way, folder / f"round-{turn}")
            seconds[way].append(took)
            print(f"round {turn + 1} of {rounds}: {way:<5} {took:6.2f} s", flush=True)
    return seconds


def main(rounds: int = ROUNDS) -> int:
    """Print both ratios; 1 when one is not what is needed."""
    with tempfile.TemporaryDirectory() as name:
        seconds = measure(Path(name), rounds)
    cold, warm, calls = (statistics.median(seconds[way]) for way in ("cold", "warm", "plain"))
    print(f"{len(CONFIGURATIONS)} configurations of a ResNet-8, median of {rounds} round(s) in turns:")
    print(f"  plain converter calls {calls:6.2f} s")
    print(f"  ours, cold            {cold:6.2f} s, {calls / cold:.1f} times faster (needed: {NEEDED:g})")
    print(f"  ours, warm            {warm:6.2f} s, {calls / warm:.0f} times faster (needed: < {WARM_S:g} s)")
    return 0 if calls / cold >= NEEDED and warm < WARM_S else 1


if __name__ == "__main__":
    ways = {"make": make, "ours": ours, "plain": plain}
    if len(sys.argv) == 3:
        ways[sys.argv[1]](Path(sys.argv[2]))
    else:
        raise SystemExit(main())
