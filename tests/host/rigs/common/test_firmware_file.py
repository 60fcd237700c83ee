"""A manifest that cannot be used is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantcheck.errors import UsageError
from rigs.common.firmware_file import build_id, manifest

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no json", "Expecting value"),
        ("[1]", "cannot be used"),
        ("7", "cannot be used"),
        ('{"size": 1}', "it lacks build_id"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_a_usage_error(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "own.bin.json").write_text(text)
    with pytest.raises(UsageError, match=rf"own\.bin\.json cannot be used: .*|{says}") as caught:
        build_id(tmp_path / "own.bin")
    assert says in str(caught.value)


def test_a_firmware_without_a_manifest_has_no_build_id(tmp_path: Path) -> None:
    assert build_id(tmp_path / "own.bin") == ""
    with pytest.raises(UsageError, match=r"own\.bin\.json cannot be used"):
        manifest(tmp_path / "own.bin", "build_id")
