"""Data by a reader and its folder, where a marker names them."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.host

TESTS = """
import pytest

GOOD = "windows:rec?columns=x,y&length=4&split=0.5"
BAD = ["windows:rec?columns=x,y", "windows:none?columns=x&length=4", "video:rec?length=4"]

@pytest.mark.quant(data=[GOOD, *BAD])
def test_data(quant_data):
    print(quant_data.classes, quant_data.test, quant_data.purpose.name)
"""


def test_a_reader_and_its_folder_start_from_the_test_file(pytester: pytest.Pytester) -> None:
    for kind in ("run", "walk"):
        for number in range(2):
            file = pytester.path / "rec" / kind / f"{number}.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x,y\n" + "".join(f"{i},{-i}\n" for i in range(12)))
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-rA", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=3)
    result.stdout.fnmatch_lines(["('run', 'walk') Samples(float32[[]6, 4, 2], 6 labels) classification"])
    result.stdout.fnmatch_lines_random(
        [
            "*UsageError: 'windows:rec?columns=x,y' needs the key length*",
            "*UsageError: *none is not there; a folder is wanted*",
            "*UsageError: 'video:rec?length=4' is not of the form package.module:function*",
        ]
    )
