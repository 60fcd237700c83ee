"""Which boards a test gets, and what happens when there is none. Nothing is opened here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

Collect = Callable[..., pytest.RunResult]
BOARD = """
import pytest

@pytest.mark.hw({})
def test_it(board):
    pass

def test_host(reference):
    pass

def test_other():
    pass
"""


def ids(result: pytest.RunResult) -> list[str]:
    return [line.partition("[")[2].rstrip("]") for line in result.outlines if "::test_it" in line]


def test_a_test_runs_once_per_matching_target(collect: Collect, lab: Path) -> None:
    source = """
import pytest

def test_it(board): pass

@pytest.mark.hw(target="beta")
def test_it_by_target(board): pass

@pytest.mark.hw(tags="slow")
def test_it_by_tag(board): pass

@pytest.mark.hw(tags=["slow", "big"])
def test_it_by_tags(board): pass

@pytest.mark.hw(family="posix", tags=[])
class TestIt:
    @pytest.mark.hw(target="alpha")
    def test_it_by_both(self, board): pass
"""
    assert ids(collect(source)) == ["alpha", "alpha", "alpha", "beta", "beta", "beta", "beta"]
    each = ids(collect(source, "--qc-each-board"))
    assert [each.count(f"desk-{n}") for n in (1, 2, 3)] == [3, 2, 4]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--qc-board=desk-3"], ["beta"]),
        (["--qc-board=al*", "--qc-each-board"], ["desk-1", "desk-2"]),
        (["--qc-board=alpha", "--qc-board=desk-3"], ["alpha", "beta"]),
    ],
)
def test_the_rig_can_be_narrowed(
    collect: Collect, lab: Path, options: list[str], expected: list[str]
) -> None:
    assert ids(collect(BOARD.format(""), *options)) == expected


def test_the_rig_is_the_first_of_option_environment_ini_and_boards_toml(
    collect: Collect, lab: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = lab.read_text()
    for name in ("option", "environment", "ini"):
        (pytester.path / f"{name}.toml").write_text(text.replace('"alpha"', f'"{name}"'))
    source = BOARD.format("tags='slow'")
    assert ids(collect(source))[0] == "alpha"
    assert ids(collect(source, "-o", "qc_rig=ini.toml"))[0] == "ini"
    monkeypatch.setenv("QC_RIG", "environment.toml")
    assert ids(collect(source, "-o", "qc_rig=ini.toml"))[0] == "environment"
    assert ids(collect(source, "--qc-rig=option.toml"))[0] == "option"


def test_a_run_for_hw_without_a_rig_is_a_usage_error(collect: Collect, pytester: pytest.Pytester) -> None:
    result = collect(BOARD.format(""), "-m", "hw")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: -m 'hw' selects 1 hw test, but there is no rig; give --qc-rig virtual*"]
    )
    parallel = pytester.runpytest_subprocess("-n2", "-m", "hw")
    assert parallel.ret == pytest.ExitCode.USAGE_ERROR
    parallel.stderr.fnmatch_lines(["ERROR: -m 'hw' selects 1 hw test, but there is no rig*"])


@pytest.mark.parametrize("options", [[], ["-n2"]])
def test_a_mixed_run_without_a_rig_leaves_hw_tests_out_and_says_so(
    collect: Collect, pytester: pytest.Pytester, options: list[str]
) -> None:
    pytester.makepyfile(test_it=BOARD.format("") + "\ndef test_too(board): pass\n")
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(passed=2, deselected=0 if options else 2)
    result.stdout.fnmatch_lines(
        ["2 hw tests NOT RUN: there is no rig; give --qc-rig virtual or --qc-rig FILE*"]
    )


def test_require_hw_makes_left_out_tests_a_usage_error(collect: Collect, lab: Path) -> None:
    result = collect(BOARD.format("target='gamma'"), "--qc-require-hw")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: --qc-require-hw: 1 hw test cannot run: no board of the rig matches the hw marker of "
            "*test_it (target='gamma'); the rig has desk-1 (posix, alpha), desk-2*"
        ]
    )


def test_markers_select_board_tests_host_tests_and_others(collect: Collect, lab: Path) -> None:
    source = BOARD.format("target='beta'")
    assert "test_host" not in collect(source, "-m", "hw").stdout.str()
    only_host = collect(source, "-m", "host").stdout.str()
    assert "test_host" in only_host
    assert "test_other" not in only_host


def test_on_hardware_edge_types_share_one_core(collect: Collect, lab: Path) -> None:
    source = """
    import pytest

    pytestmark = pytest.mark.quant(
        model="kws.h5",
        input_type=["uint8", pytest.param("float32", marks=pytest.mark.skip), "int8"],
        output_type=["int8", "float32"],
        granularity=["per_channel", "per_tensor"],
    )

    @pytest.mark.hw(target="beta")
    def test_it(board, quantized_model):
        pass

    @pytest.mark.hw(target="beta", io="all")
    def test_it_all(board, quantized_model):
        pass
    """
    result = collect(source)
    result.stdout.fnmatch_lines(["10 combinations LEFT OUT: on a board they share their integer core *"])
    items = [line.partition("::")[2] for line in result.outlines if "::" in line]
    assert [item for item in items if item.startswith("test_it[")] == [
        "test_it[kws-tflite-u8-i8-perchannel-cal100pct-beta]",
        "test_it[kws-tflite-u8-i8-pertensor-cal100pct-beta]",
    ]
    assert len(items) == 2 + 12


def test_a_value_given_twice_is_an_error_of_the_test_that_says_so(collect: Collect, lab: Path) -> None:
    result = collect("""
    import pytest

    @pytest.mark.quant(model="kws.h5", input_type=["int8", "int8"])
    def test_it(board, quantized_model):
        pass
    """)
    result.stdout.fnmatch_lines(
        ["*test_it: two cases would be called 'kws-tflite-i8-i8-perchannel-cal100pct'*"]
    )


def test_wrong_hw_markers_are_collection_errors(
    collect: Collect, lab: Path, pytester: pytest.Pytester
) -> None:
    wrong = {
        "board='x'": "hw(board='x'): unknown key 'board'; allowed: family, target, tags, io",
        "tags=[1]": "hw(tags=[[]1[]]): allowed: a tag or a list of tags",
        "io='none'": "hw(io='none'): allowed: 'core'*, 'all'",
        "target=3": "hw(target=3): allowed: a name",
        "family='stm33'": "hw(family='stm33') is not known; installed: esp32, *stm32*",
    }
    pytester.makepyfile(**{f"test_{n}": BOARD.format(keys) for n, keys in enumerate(wrong)})
    result = collect("")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"test_{n}.py::test_it: {text}" for n, text in enumerate(wrong.values())])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--qc-rig=nowhere.toml"], "there is no rig file */nowhere.toml*"),
        (
            ["--qc-board=gamma"],
            "--qc-board gamma: no board or target of the rig is called so; it has: desk-1*",
        ),
    ],
)
def test_a_wrong_rig_is_a_usage_error(collect: Collect, lab: Path, options: list[str], message: str) -> None:
    result = collect(BOARD.format(""), *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_an_inventory_that_names_no_board_yet_does_not_stop_host_tests(pytester, monkeypatch) -> None:
    monkeypatch.delenv("QC_RIG", raising=False)
    pytester.makepyfile(test_it="def test_board(board): pass\ndef test_host(reference): pass")
    for content in ("", "# boards.toml: no board was found\n"):
        (pytester.path / "boards.toml").write_text(content)
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-m", "host")
        result.assert_outcomes(passed=1, deselected=1)


def test_a_virtual_board_whose_tools_are_missing_is_left_out_with_one_line(pytester) -> None:
    pytester.makeconftest("import sys\nsys.modules['pyocd'] = None")
    pytester.makepyfile(test_it="def test_it(board): pass")
    result = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "--qc-rig=virtual", "--collect-only", "-q"
    )
    assert [line for line in result.outlines if "test_it[" in line] == [
        "test_it.py::test_it[virtual-esp32c3]"
    ]
    left_out = [line for line in result.outlines if "virtual-stm32f405 is left out" in line]
    assert len(left_out) == 1
    assert 'it needs the package pyocd: pip install "pytest-quantcheck[stm32]"' in left_out[0]
