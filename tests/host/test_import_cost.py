"""Every pytest run on a machine imports the plug-in: it must cost the standard library and pytest only."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

LOOK = """
import sys, pytest
before = set(sys.modules)
import pytest_quantcheck.plugin.hooks
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(names - set(sys.stdlib_module_names)))
"""


def test_importing_the_plug_in_brings_in_nothing_but_itself() -> None:
    result = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["pytest_quantcheck"]


def test_no_module_of_tests_imports_tensorflow_when_it_is_collected() -> None:
    """Every worker collects all modules: 3 seconds and 560 MB each."""
    pattern = r'^(?:\w+ = )?(?:pytest\.importorskip\("|import |from )(?:tensorflow|keras)\b'
    folder = Path(__file__).parents[1]
    programs = {folder / "host/workflows/lab_study/solution.py"}  # read as text, never imported
    modules = [path.read_text() for path in set(folder.rglob("*.py")) - programs]
    assert len(modules) > 100
    assert not [found for text in modules for found in re.findall(pattern, text, re.MULTILINE)]


def test_the_demo_needs_no_tool_for_making_models() -> None:
    code = (
        "import sys, pytest_quantcheck.cli.demo as demo; demo.demo_models(); "
        "print({'tensorflow', 'keras', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_an_unused_plug_in_imports_only_what_its_hooks_need(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing():
            ours = sorted(name for name in sys.modules if name.startswith("pytest_quantcheck."))
            assert ours == [f"pytest_quantcheck.{name}" for name in
                            ("plugin", "plugin.fixtures", "plugin.hooks", "plugin.items", "plugin.notes",
                             "plugin.options", "version")]
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
