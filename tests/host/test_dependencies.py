"""What may be installed beside this package: no version that is known to run or touch files of strangers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {name: list(map(Requirement, wanted)) for name, wanted in PROJECT["optional-dependencies"].items()}
ALL = [*map(Requirement, PROJECT["dependencies"]), *(each for wanted in EXTRAS.values() for each in wanted)]
REFUSED = {  # the last releases with a published hole of this kind, and those between repaired ones
    "keras": ["2.15.0", "3.8.0", "3.10.0", "3.11.3", "3.12.0", "3.13.0", "3.13.1", "3.14.0"],
    "onnx": ["1.17.0", "1.19.0", "1.20.1"],
    "filelock": ["3.20.0", "3.20.2"],
}


@pytest.mark.parametrize(
    ("name", "version"), [(name, version) for name, versions in REFUSED.items() for version in versions]
)
def test_no_version_that_is_known_to_run_or_touch_files_is_admitted(name: str, version: str) -> None:
    wanted = [each for each in ALL if each.name == name]
    assert wanted
    assert [str(each) for each in wanted if each.specifier.contains(version)] == []


def test_whoever_brings_tensorflow_says_which_keras() -> None:
    """TensorFlow alone admits any Keras 3."""
    bringing = {name for name, wanted in EXTRAS.items() if any(each.name == "tensorflow" for each in wanted)}
    assert bringing
    for name in bringing:
        assert any(each.name == "keras" and each.specifier for each in EXTRAS[name])
