"""Every field of header, tensors, operators, parameters, channels, changed: refused, or run within bounds.

The program that runs the images is the fuzz target: AddressSanitizer and UndefinedBehaviorSanitizer watch
it, and the portable kernels must agree with the packed ones.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.firmware.fuzz.build import FIRMWARE
from tests.firmware.fuzz.fields import BLOCKS, mutations, records, size_of, structures

pytestmark = pytest.mark.host

ACCEPTED = 0
# Fields whose every value is as good as any other.
FREE = re.compile(
    r"image_header\.source_sha256.*|operator \w+\.source_(index|output)"
    r"|channel TRANSPOSE_CONV\.bias"
    r"|slice_params SLICE\.strides\[0\]"  # of an axis with one position
    r"|conv_params ((DEPTHWISE_)?CONV_2D|TRANSPOSE_CONV)\.window\.pad_(top|left)"
)


def statuses(program: Path, images: list[bytes], folder: Path) -> list[int]:
    """What the engine says to each image. Anything a sanitizer objects to fails here, with its report."""
    names = []
    for i, image in enumerate(images):
        names.append(str(folder / f"{i:06}"))
        Path(names[-1]).write_bytes(image)
    listed: list[int] = []
    for first in range(0, len(names), 2000):
        part = names[first : first + 2000]
        start = ["0", "0"] if program.name.startswith("image-replay") else []
        done = subprocess.run(
            [program, *start, *part], env={**os.environ, "FUZZ_STATUS": "1"}, capture_output=True, text=True
        )
        answers = [int(word) for word in re.findall(r"^status (\d+)$", done.stdout, re.MULTILINE)]
        assert done.returncode == 0, f"{part[len(answers)]}:\n{done.stderr[-3000:]}"
        listed += answers[-len(part) :]  # libFuzzer begins with an input of its own
    assert len(listed) == len(images)
    return listed


def test_the_table_of_fields_covers_every_structure_of_the_format() -> None:
    layout = structures()
    source = (FIRMWARE / "engine" / "qc_image.h").read_text(encoding="utf-8")
    asserted = re.findall(r"_Static_assert\(sizeof\(qc_(\w+)_t\) == (\d+)", source)
    assert {name: size_of(layout[name]) for name, _ in asserted} == {name: int(n) for name, n in asserted}
    assert set(BLOCKS.values()) - {""} == {name for name in layout if name.endswith("_params")}


def test_the_networks_have_a_record_of_every_structure(image: bytes, wide_image: bytes) -> None:
    present = {structure for data in (image, wide_image) for structure, *_ in records(data)}
    assert present == set(structures()) - {"window"}


@pytest.mark.parametrize("which", ["image", "wide_image"])
def test_every_changed_field_is_refused_or_runs_within_bounds(
    which: str, request: pytest.FixtureRequest, image_target: Path, tmp_path: Path
) -> None:
    image: bytes = request.getfixturevalue(which)
    cases = list(mutations(image))
    answers = statuses(image_target, [case.image for case in cases], tmp_path)
    seen: dict[str, set[int]] = defaultdict(set)
    for case, status in zip(cases, answers, strict=True):
        assert ACCEPTED <= status <= 11, case.name
        seen[f"{case.structure}.{case.field}"].add(status)
    assert statuses(image_target, [image], tmp_path) == [ACCEPTED]
    never_refused = {name for name, found in seen.items() if found == {ACCEPTED}}
    assert {name for name in never_refused if not FREE.fullmatch(name)} == set()
    refused = {name for name, found in seen.items() if FREE.fullmatch(name) and found != {ACCEPTED}}
    assert refused == set()
