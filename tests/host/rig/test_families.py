"""Finding chip families through entry points."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig import families

pytestmark = pytest.mark.host


def test_the_shipped_families_are_found_by_name():
    assert {"esp32", "posix", "stm32"} <= set(families.family_names())
    assert [families.family(name).name for name in ("esp32", "posix", "stm32")] == ["esp32", "posix", "stm32"]


def test_an_unknown_family_lists_the_installed_ones():
    with pytest.raises(UsageError, match=r"family='avr' is not known; installed: .*esp32.*stm32"):
        families.family("avr")


def test_a_folder_of_the_users_that_hides_ours_is_explained(tmp_path):
    (tmp_path / "rigs").mkdir()
    (tmp_path / "rigs" / "__init__.py").touch()
    script = "from pytest_quantcheck.rig.families import family; family('esp32')"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert f"Python finds another 'rigs' first: {tmp_path / 'rigs'}" in done.stderr
    assert "Rename that folder" in done.stderr
