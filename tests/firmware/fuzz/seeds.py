"""The seed corpora of the fuzz targets, made from real models: every layer kind, small networks, the demo."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.graph.from_tflite.read import read_tflite
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.runners.prepare import quantize_inputs
from pytest_quantcheck.strategies import LAYER_KINDS, ModelCase, layers, small_models

PER_KIND = 3
NETWORKS = 16
LARGEST = 6000  # bytes of a drawn image: fuzzing lives on speed
HELLO, SELECT, DESCRIBE, RUN, READ, BAUD, ECHO, FAULT, LOOP, COUNTER, STORE, REBOOT = (1, *range(5, 16))


def write(folder: Path) -> dict[str, int]:
    """Write ``image`` and ``link`` seeds below ``folder``; returns how many there are of each."""
    images = dict(_images())
    scripts = {"talk": _talk(), **{name: _inference(data) for name, data in images.items()}}
    for target, seeds in (("image", images), ("link", scripts)):
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / target / name).write_bytes(data)
    return {"image": len(images), "link": len(scripts)}


def _images() -> Iterator[tuple[str, bytes]]:
    """Images, each followed by one inference's inputs."""
    for kind in LAYER_KINDS:
        for i, case in enumerate(_drawn(layers(kind), PER_KIND)):
            yield f"{kind.lower()}-{i}", case
    for i, case in enumerate(_drawn(small_models(), NETWORKS)):
        yield f"network-{i}", case
    for model in demo_models():
        x = quantize_inputs(model, demo_samples().take([0]))
        yield model.id, compile_image(model.graph).data + b"".join(part.tobytes() for part in x)


def _drawn(strategy: SearchStrategy[ModelCase], count: int) -> list[bytes]:
    """``count`` different small images that a strategy draws, of all sizes; the same ones every time."""
    found: dict[bytes, bytes] = {}

    @settings(
        max_examples=6 * count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def draw(case: ModelCase) -> None:
        try:
            image = compile_image(read_tflite(case.artefact)).data
        except UnsupportedOperatorError:
            return
        if len(image) <= LARGEST:
            found[image] = b"".join(values[0].tobytes() for values in case.raw_inputs(1, len(found)))

    draw()
    images = sorted(found, key=len)
    chosen = images[:: max(1, len(images) // count)][-count:]
    return [image + found[image] for image in chosen]


# --- scripts for the link (fuzz_link.c has the grammar) -------------------------------------------


def frame(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack("<BBH", 1, kind, len(payload)) + payload


def _inference(image: bytes) -> bytes:
    """Load an image, set two inputs, run it whole, with records, and up to its first operator."""
    upload = struct.pack("<BH", 5, len(image)) + image
    inputs = b"".join(struct.pack("<BBB4s", 6, index, 4, b"\x00\x7f\x80\x3f") for index in (0, 1))
    run = [frame(RUN, struct.pack("<II", flags, 0)) for flags in (0, 1)]
    stop = frame(RUN, struct.pack("<II", 2, 0))
    read = [frame(READ, struct.pack("<BBHI", what, 0, 64, 0)) for what in (0, 2)]
    tensor = frame(READ, struct.pack("<BBHI", 1, 0, 64, 0))
    return b"".join([frame(HELLO, _hello()), upload, frame(DESCRIBE), inputs, *run, *read, stop, tensor])


def _hello() -> bytes:
    return struct.pack("<HHI", 1, 0, 4711)


def _talk() -> bytes:
    """Every request that needs no model, noise, damage, repetitions, silence, and the store."""
    slot = struct.pack("<BBH", 8, 2, 96) + bytes(96)
    rate = struct.pack("<IHBB", 921600, 500, 0, 0)
    return b"".join(
        [
            frame(HELLO, _hello()),
            b"\x03",
            b"\x00\x05\x01\x02\x00\x03\x00",
            struct.pack("<BBB4sHB", 2, ECHO, 4, b"quan", 3, 0x40),
            frame(ECHO, bytes(range(256))),
            slot,
            struct.pack("<BHB8s", 7, 4096, 8, b"QCS1\xff\xff\xff\x00"),
            frame(STORE, bytes(4)),
            frame(SELECT, b"\x02" * 32),
            frame(BAUD, rate),
            frame(BAUD, rate[:6] + b"\x01\x00"),
            b"\x04\x80",
            frame(FAULT, b"\x01"),
            frame(LOOP, struct.pack("<I", 1000)),
            frame(COUNTER),
            frame(REBOOT, b"\x00"),
        ]
    )
