"""Images per second through calibration and evaluation, and clips per second to patches, beside plain loops.

``python -m tests.bench.readers --images 10000 --clips 1000`` prints both; ours and the plain loop take turns,
chunk by chunk, so that whatever else the machine does hits both. The plain loops are what one writes without
this project: ``tf.data`` in front of TensorFlow's calibrator and LiteRT, and librosa file by file.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from conformance_models.audio_events.sounds import SOUNDS
from conformance_models.synthesis.sounds import RATE, Random
from pytest_quantcheck.data import LogMel, Waves, audio_folder, image_folder
from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.representative import representative
from pytest_quantcheck.models.conversion.worker import shared_worker
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.litert import LitertRunner

SIDE, DISTINCT = 224, 100
LEAST = 0.9


def pictures(folder: Path, count: int) -> Path:
    """``count`` JPEG files of 320 x 256 pixels in ten classes; links to ``DISTINCT`` different ones."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    originals = []
    (folder / "originals").mkdir()
    for i in range(DISTINCT):
        coarse = random.uniform(0, 255, (12, 15, 3))
        picture = tf.image.resize(coarse, (256, 320), "bicubic") + random.normal(0, 6, (256, 320, 3))
        content = tf.io.encode_jpeg(tf.cast(tf.clip_by_value(picture, 0, 255), tf.uint8), quality=90)
        originals.append(folder / "originals" / f"{i}.jpg")
        originals[-1].write_bytes(content.numpy())
    for i in range(count):
        target = folder / "images" / f"c{i % 10}" / f"{i:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(originals[i % DISTINCT], target)
    return folder / "images"


def network() -> bytes:
    """MobileNet 0.25 for 224 x 224 pictures, the size of the model zoo's examples, in float."""
    import keras

    keras.utils.set_random_seed(0)
    return load(keras.applications.MobileNet((SIDE, SIDE, 3), alpha=0.25, weights=None, classes=10)).tflite


def ours(content: bytes, folder: Path) -> Any:
    """Calibrate and evaluate with all pictures of a folder."""
    data = image_folder(folder, size=SIDE, split=0, rescale=(1 / 127.5, -1))
    samples = representative(Calibration.parse("all"), data.calibration, [(SIDE, SIDE, 3)], data.input_range)
    shared_worker().call("calibrate_tflite", content=content, arrays=samples.inputs)
    return LitertRunner().run(QuantizedModel("mobilenet", content), data.test).outputs[0]


def plain(content: bytes, folder: Path) -> Any:
    """The same by ``tf.data`` in one process."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter
    from tensorflow.lite.python.optimize import calibrator

    def read(path: Any) -> Any:
        decoded = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return 1 / 127.5 * tf.cast(tf.image.resize(decoded, (SIDE, SIDE)), tf.float32) - 1

    files = tf.data.Dataset.from_tensor_slices(sorted(map(str, folder.rglob("*.jpg"))))
    dataset = files.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(32).prefetch(tf.data.AUTOTUNE)

    def rows() -> Any:
        for batch in dataset.as_numpy_iterator():
            for i in range(len(batch)):
                yield [batch[i : i + 1]]

    calibrator.Calibrator(calibrator.add_intermediate_tensors(content)).calibrate(rows)
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    found = []
    for (row,) in rows():
        interpreter.set_tensor(source, row)
        interpreter.invoke()
        found.append(interpreter.get_tensor(target)[0].copy())
    return np.stack(found)


def clips(folder: Path, count: int) -> Path:
    """``count`` WAV files of ten seconds at 16 kHz; links to a few different ones."""
    import soundfile

    (folder / "originals").mkdir()
    kinds = list(SOUNDS)
    for i in range(len(kinds)):
        wave = np.concatenate([SOUNDS[kinds[i]](Random(i + j)) for j in range(4)])[: 10 * RATE]
        soundfile.write(folder / "originals" / f"{i}.wav", 0.1 * wave, RATE, "PCM_16")
    for i in range(count):
        target = folder / "clips" / kinds[i % len(kinds)] / f"{i:05d}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(folder / "originals" / f"{i % len(kinds)}.wav", target)
    return folder / "clips"


def our_patches(folder: Path) -> Any:
    return audio_folder(folder, split=0).test.x


def librosas_patches(folder: Path) -> Any:
    """The model zoo's loop, in librosa's own words."""
    import librosa

    waves, mel, found = Waves(), LogMel(), []
    for file in sorted(folder.rglob("*.wav")):
        y, rate = librosa.load(file, sr=waves.target_rate, duration=waves.max_length)
        loud = librosa.effects.split(
            y, top_db=60, frame_length=waves.frame_length, hop_length=waves.hop_length
        )
        y = np.concatenate([y[start:stop] for start, stop in loud])
        bands = librosa.feature.melspectrogram(
            y=y, sr=rate, n_fft=mel.n_fft, hop_length=mel.hop_length, win_length=mel.window_length,
            center=False, power=mel.power, n_mels=mel.n_mels, fmin=mel.fmin, fmax=mel.fmax, norm=None,
            htk=True,
        )  # fmt: skip
        whole = np.log(bands + 1e-4)
        starts = range(0, whole.shape[1] - mel.patch_length + 1, mel.step)
        found += [whole[:, start : start + mel.patch_length] for start in starts]
    return np.stack(found)[..., np.newaxis]


def compared(what: str, ways: tuple[Callable[[Path], Any], ...], chunks: list[Path], count: int) -> float:
    """Each chunk by both ways, in turn first; prints rates and memory, returns ours by the plain one's."""
    spent = [0.0, 0.0]
    memory: list[str] = []
    for turn, chunk in enumerate(chunks):
        results: list[Any] = [None, None]
        for way in (0, 1) if turn % 2 else (1, 0):
            start = time.perf_counter()
            results[way] = ways[way](chunk)
            spent[way] += time.perf_counter() - start
        np.testing.assert_allclose(results[0], results[1], atol=2e-4)
        memory.append(f"{resident_mib():.0f}")
    ratio = spent[1] / spent[0]
    print(
        f"{count} {what}: {count / spent[0]:.1f}/s, the plain loop {count / spent[1]:.1f}/s, ratio "
        f"{ratio:.2f} (at least {LEAST}); resident after each part: {', '.join(memory)} MiB"
    )
    return ratio


def resident_mib() -> float:
    """What this process and its workers have in memory."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    pages = [int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in ("self", *children)]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def parts(folder: Path, root: Path, count: int) -> list[Path]:
    """The files of a folder in ``count`` folders of their own."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = []
    for i in range(count):
        for file in files[i::count]:
            target = root / f"part{i}" / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, target)
        found.append(root / f"part{i}")
    return found


def main(images: int = 2000, sounds: int = 200) -> None:
    """Print both figures."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        content = network()
        chunks = parts(pictures(root, images), root / "parts", 4)
        ways = (lambda folder: ours(content, folder), lambda folder: plain(content, folder))
        for way in ways:
            way(next(iter(chunks[0].iterdir())))  # start processes, compile
        compared(f"images of {SIDE} x {SIDE} through calibration and evaluation", ways, chunks, images)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        chunks = parts(clips(root, sounds), root / "parts", 4)
        for way in (our_patches, librosas_patches):
            way(next(iter(chunks[0].iterdir())))
        compared("ten-second clips to log-mel patches", (our_patches, librosas_patches), chunks, sounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.readers", description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--clips", type=int, default=200)
    given = parser.parse_args()
    main(given.images, given.clips)
