"""Finding chip families through entry points."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig import families
from pytest_quantcheck.rig.entry import BoardEntry

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


BROKEN = {
    "import": ("quantcheck_broken:family", "raise RuntimeError('no such chip')", "no such chip"),
    "absent": ("quantcheck_absent:family", "", "No module named 'quantcheck_absent'"),
    "exit": ("quantcheck_broken:family", "raise SystemExit(0)", "SystemExit"),
    "other": ("quantcheck_broken:family", "family = 5", "is not a family called 'aaa'"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plug_in_is_named_and_stops_nobody_who_does_not_need_it(plug_in, tmp_path, how):
    value, code, words = BROKEN[how]
    environment = plug_in("quantcheck.rigs", f"aaa = {value}", code)
    (tmp_path / "boards.toml").write_text(
        '[[board]]\nname = "mine"\nfamily = "esp32"\ntarget = "virtual-esp32c3"\n'
        '[[board]]\nname = "theirs"\nfamily = "aaa"\ntarget = "x"\n'
    )
    for rig in ("virtual", "boards.toml"):
        main = "import sys; from pytest_quantcheck.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", main, "boards", "--rig", rig]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (done.returncode, "virtual-esp32c3" in done.stdout) == (0, True)
        assert rig != "virtual" or words in done.stderr
    opened = "from pytest_quantcheck.rig.families import family; family('aaa')"
    done = subprocess.run(
        [sys.executable, "-c", opened], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert words in done.stderr
    assert "Repair or uninstall broken-plug-in" in done.stderr


@pytest.mark.parametrize(
    ("name", "target", "settings"),
    [
        ("esp32", "virtual-esp32c3", {"flash": "x"}),
        ("esp32", "esp32c3", {"flash_bauds": "9600"}),
        ("stm32", "virtual-stm32f405", {"flsh": "x"}),
        ("stm32", "stm32f405xg", {"connect_node": "halt"}),
        ("posix", "posix", {"pools": "1"}),
    ],
)
def test_a_setting_that_nobody_reads_is_an_error(tmp_path, name, target, settings):
    entry = BoardEntry("b", name, target, port="p", settings=settings)
    with pytest.raises(UsageError, match=rf"{next(iter(settings))} = .* is not known to the family {name}"):
        families.family(name).open(entry, tmp_path)
