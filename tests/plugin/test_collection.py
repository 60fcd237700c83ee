"""The quant marker: what becomes of it at collection."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import documents

pytestmark = pytest.mark.host

Collect = Callable[..., pytest.RunResult]
HOST = """
import pytest
from pytest_quantcheck.quantizers.config import QuantConfig

@pytest.mark.quant({})
def test_it(quantized_model):
    pass
"""


def ids(result: pytest.RunResult) -> list[str]:
    """The ids in brackets, in order."""
    return [line.partition("[")[2].rstrip("]") for line in result.outlines if "::" in line]


IDS: list[tuple[str, list[str]]] = [
    ("model='kws.h5'", ["kws-tflite-i8-i8-perchannel-cal100pct"]),
    ("model='nets/kws.keras', calibration='10%'", ["kws-tflite-i8-i8-perchannel-cal10pct"]),
    ("model='my.nets.digits:build'", ["digits-tflite-i8-i8-perchannel-cal100pct"]),
    ("artefact='kws_int8.tflite'", ["kws_int8"]),
    ("artefact=['a.tflite', 'b.tflite']", ["a", "b"]),
    ("artefact=['a/m.tflite', 'b/m.tflite', 'c.tflite']", ["a.m", "b.m", "c"]),
    ("artefact=['nets:small', 'nets:large']", ["nets.small", "nets.large"]),
    ("calibration='random', seed=7", ["tflite-i8-i8-perchannel-calrandom-seed7"]),
    (
        "model='m.h5', configs=[QuantConfig(), QuantConfig(input_type='uint8')]",
        ["m-tflite-i8-i8-perchannel-cal100pct", "m-tflite-u8-i8-perchannel-cal100pct"],
    ),
]


def test_ids_read_like_a_sentence(collect: Collect, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**{f"test_{n}": HOST.format(keys) for n, (keys, _) in enumerate(IDS)})
    result = collect("")
    for number, (_, expected) in enumerate(IDS):
        lines = [line for line in result.outlines if line.startswith(f"test_{number}.py::")]
        assert [line.partition("[")[2].rstrip("]") for line in lines] == expected


def test_lists_multiply(collect: Collect) -> None:
    result = collect(
        HOST.format("model='m.h5', input_type=['int8', 'uint8'], granularity=['per_channel', 'per_tensor']")
    )
    assert ids(result) == [
        "m-tflite-i8-i8-perchannel-cal100pct",
        "m-tflite-i8-i8-pertensor-cal100pct",
        "m-tflite-u8-i8-perchannel-cal100pct",
        "m-tflite-u8-i8-pertensor-cal100pct",
    ]


def test_the_nearest_marker_wins_key_by_key(collect: Collect) -> None:
    result = collect(
        """
        import pytest
        pytestmark = pytest.mark.quant(model='m', input_type='uint8', output_type='uint8', calibration='1%')

        @pytest.mark.quant(output_type='float32', calibration='20%')
        class TestIt:
            @pytest.mark.quant(calibration='30%')
            def test_it(self, quantized_model):
                pass
        """
    )
    assert ids(result) == ["m-tflite-u8-f32-perchannel-cal30pct"]


def test_a_class_overrides_the_markers_of_its_base_classes(collect: Collect) -> None:
    result = collect(
        """
import pytest

@pytest.mark.quant(model="base.h5", input_type="uint8", calibration="10%")
class Base:
    pass

@pytest.mark.quant(model="outer.h5", input_type="float32")
@pytest.mark.quant(model="derived.h5")
class TestDerived(Base):
    def test_it(self, quantized_model):
        pass

    @pytest.mark.quant(model="own.h5")
    def test_own(self, quantized_model):
        pass
"""
    )
    assert ids(result) == [
        "derived-tflite-f32-i8-perchannel-cal10pct",
        "own-tflite-f32-i8-perchannel-cal10pct",
    ]


def test_a_marker_that_two_classes_share_counts_for_the_nearest(collect: Collect) -> None:
    result = collect(
        """
import pytest

ours = pytest.mark.quant(model="ours.h5")

@ours
class Base:
    pass

@pytest.mark.quant(model="between.h5")
class Between(Base):
    pass

@ours
class TestDerived(Between):
    def test_it(self, quantized_model):
        pass
"""
    )
    assert ids(result) == ["ours-tflite-i8-i8-perchannel-cal100pct"]


@pytest.mark.parametrize(
    ("module", "function", "expected"),
    [
        (
            "input_type='uint8'",
            "configs=[QuantConfig(granularity='per_tensor')]",
            "tflite-i8-i8-pertensor-cal100pct",
        ),
        (
            "configs=[QuantConfig(granularity='per_tensor')]",
            "input_type='uint8'",
            "tflite-u8-i8-perchannel-cal100pct",
        ),
    ],
)
def test_configs_and_single_keys_replace_each_other(
    collect: Collect, module: str, function: str, expected: str
) -> None:
    source = HOST.format(function) + f"\npytestmark = pytest.mark.quant({module})\n"
    assert ids(collect(source)) == [expected]


def test_marks_of_parameters_reach_the_item(collect: Collect) -> None:
    source = HOST.format(
        "artefact=['a.tflite', pytest.param('b.tflite', marks=pytest.mark.skip(reason='b is broken'))]"
    )
    result = collect(source, "-m", "skip")
    assert ids(result) == ["b"]


def test_ids_of_parameters_take_the_place_of_what_the_keys_would_say(collect: Collect) -> None:
    few = "pytest.param('count:7', id='few')"
    source = HOST.format(
        f"model=pytest.param('deep/in/a.folder/kws_v12.h5', id='kws'), calibration=['10%', {few}], "
        "data=['nets:clean', pytest.param('nets:dataset_with_noise', id='noisy')]"
    )
    assert ids(collect(source)) == [
        "kws-nets.clean-tflite-i8-i8-perchannel-cal10pct",
        "kws-nets.clean-tflite-i8-i8-perchannel-few",
        "kws-noisy-tflite-i8-i8-perchannel-cal10pct",
        "kws-noisy-tflite-i8-i8-perchannel-few",
    ]


def test_data_are_a_factor_of_the_matrix_like_any_other(collect: Collect) -> None:
    source = HOST.format("model='m.h5', data=['day:samples', 'night:samples']")
    assert ids(collect(source)) == [
        "m-day-tflite-i8-i8-perchannel-cal100pct",
        "m-night-tflite-i8-i8-perchannel-cal100pct",
    ]


MATRIX = "scheme=['int8', 'int16x8', 'float16'], input_type=['int8', 'int16', 'float32']"


def test_impossible_combinations_are_left_out_with_a_count_and_the_reason(
    collect: Collect, pytester: pytest.Pytester
) -> None:
    result = collect(HOST.format(MATRIX))
    assert ids(result) == [
        "tflite-i8-i8-perchannel-cal100pct",
        "tflite-int16x8-i16-i16-perchannel-cal100pct",
        "tflite-f32-i8-perchannel-cal100pct",
        "tflite-int16x8-f32-i16-perchannel-cal100pct",
        "tflite-float16-f32-f32",
    ]
    lines = [line for line in result.outlines if "LEFT OUT" in line]
    assert [line.partition(" LEFT OUT: ")[0] for line in lines] == ["1 combination"] * 4
    assert "input_type='int8' is impossible with scheme='int16x8'; allowed: int16" in lines[0]
    parallel = pytester.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider")
    assert [line for line in parallel.outlines if "LEFT OUT" in line] == lines


def test_strict_makes_impossible_combinations_an_error(collect: Collect) -> None:
    result = collect(HOST.format(f"{MATRIX}, strict=True"))
    result.stdout.fnmatch_lines(["*4 of 9 combinations cannot be made: input_type='int8' is impossible*"])
    assert result.ret == pytest.ExitCode.INTERRUPTED


WRONG: list[tuple[str, list[str]]] = [
    ("modell='m.h5'", ["modell='m.h5'", "allowed: model, data, artefact, input_type"]),
    ("input_type='int7'", ["input_type='int7'", "allowed: int8, uint8, float32"]),
    (
        "granularity=['per_tensor', 'per_row']",
        ["granularity='per_row'", "allowed: per_channel, per_tensor"],
    ),
    ("calibration='many'", ["calibration='many'", "allowed: 10%"]),
    ("calibration=10", ["calibration=10", "allowed: a text"]),
    ("input_type=[]", ["input_type=[]", "no case"]),
    ("data='here'", ["data='here'", "package.module:function"]),
    ("configs=['int8']", ["configs=['int8']", "a list of QuantConfig"]),
    ("configs=[QuantConfig()], input_type='int8'", ["not both"]),
    ("artefact='a.tflite', input_type='int8'", ["quantized already"]),
    ("model=['x/a/m.h5', 'y/a/m.h5']", ["two cases", "x/a/m.h5", "y/a/m.h5"]),
    ("seed=[1, 1]", ["two cases", "given twice"]),
    ("'m.h5'", ["keys only"]),
    ("model=pytest.param('m.h5', 'n.h5')", ["pytest.param takes one value, marks and an id"]),
]


def test_wrong_markers_are_collection_errors_that_say_what_is_allowed(
    collect: Collect, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(**{f"test_{n}": HOST.format(keys) for n, (keys, _) in enumerate(WRONG)})
    result = collect("")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    text = result.stdout.str()
    assert "Traceback" not in text
    for number, (_, words) in enumerate(WRONG):
        (line,) = [each for each in result.outlines if each.startswith(f"test_{number}.py::test_it: ")]
        assert not [word for word in words if word not in line]


def test_fixtures_without_a_quant_marker_are_a_collection_error(collect: Collect) -> None:
    result = collect("def test_it(quantized_model): pass")
    result.stdout.fnmatch_lines(["*test_it.py::test_it: uses quantcheck's fixtures without a quant marker*"])


def test_too_many_cases_are_a_usage_error_that_shows_the_factors(collect: Collect) -> None:
    result = collect(
        HOST.format("input_type=['int8', 'uint8'], seed=[1, 2, 3], output_type='int8'"),
        "-o",
        "qc_max_cases=5",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*input_type (2) x seed (3) = 6 cases; ini qc_max_cases allows 5*"])


def test_too_many_cases_are_a_usage_error_in_parallel_as_well(
    collect: Collect, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_it=HOST.format("seed=[1, 2, 3]"))
    result = pytester.runpytest_subprocess("-n", "2", "-o", "qc_max_cases=2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *seed (3) = 3 cases; ini qc_max_cases allows 2*"])


def test_set_replaces_keys_from_the_command_line(collect: Collect) -> None:
    result = collect(
        HOST.format("configs=[QuantConfig(input_type='uint8')]"),
        "--qc-set=granularity=per_tensor,per_channel",
        "--qc-set=seed=3",
    )
    assert ids(result) == [
        "tflite-i8-i8-pertensor-cal100pct-seed3",
        "tflite-i8-i8-perchannel-cal100pct-seed3",
    ]


def test_set_refuses_unknown_keys(collect: Collect) -> None:
    result = collect(HOST.format(""), "--qc-set=bits=4")
    result.stdout.fnmatch_lines(["*--qc-set bits=4: unknown key 'bits'; allowed: model, data*"])


def test_collection_imports_no_heavy_package(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import sys

        def pytest_collection_finish(session):
            heavy = {"numpy", "tensorflow", "keras", "serial", "pyocd", "esptool", "rich"} & set(sys.modules)
            print(len(session.items), "items, heavy:", sorted(heavy))
        """
    )
    pytester.makepyfile(test_it=HOST.format("model='m.h5', input_type=['int8', 'uint8']"))
    result = pytester.runpytest_subprocess("--collect-only", "-s")
    result.stdout.fnmatch_lines(["2 items, heavy: [[][]]"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--qc-vectors=none"], "--qc-vectors: 'none' is out of range; allowed: a whole number from 1"),
        (
            ["--qc-infra-retries=-1"],
            "--qc-infra-retries: '-1' is out of range; allowed: a whole number from 0",
        ),
        (
            ["-o", "qc_lease_timeout=soon"],
            "ini qc_lease_timeout: 'soon' is out of range; allowed: a number from 0",
        ),
        (
            ["--qc-report=pdf=x"],
            "--qc-report pdf=x: unknown form 'pdf'; allowed: md=FILE, json=FILE, html=FILE, figures=PREFIX, ",
        ),
        (["--qc-run-timeout=0"], "--qc-run-timeout: '0' is out of range; allowed: a number from 1"),
        (["--qc-set=seed"], "--qc-set seed: allowed: KEY=VALUE"),
    ],
)
def test_wrong_options_are_usage_errors(collect: Collect, options: list[str], message: str) -> None:
    result = collect("def test_it(): pass", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}*"])


SHARED = """
import pytest

@pytest.mark.parametrize("number", [1, 2])
def test_host(number, reference):
    assert reference

@pytest.mark.slow(minutes=9)
def test_slow(gate):
    pytest.skip("later")

def test_board(board, gate): pass

def test_other(): pass
"""


@pytest.mark.parametrize(
    ("options", "ran"),
    [
        ((), {"test_host[1]": True, "test_host[2]": True, "test_slow": True}),
        (("-k", "1"), {"test_host[1]": True, "test_host[2]": False, "test_slow": False}),
        (("-k", "1", "-m", "host and not slow"), {"test_host[1]": True, "test_host[2]": False}),
        (("-m", "slow(minutes=9)"), {"test_slow": True}),
        (("-m", "slow(minutes=8) or other"), {}),
        (("-n2", "-k", "2"), {"test_host[1]": False, "test_host[2]": True, "test_slow": False}),
    ],
    ids=" ".join,
)
def test_a_report_lists_what_the_jobs_of_a_matrix_share(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], ran: dict[str, bool]
) -> None:
    monkeypatch.delenv("QC_RIG", raising=False)
    pytester.makeini("[pytest]\nmarkers = slow: takes long\n")
    pytester.makepyfile(test_it=SHARED)
    run = pytester.runpytest_subprocess if "-n2" in options else pytester.runpytest_inprocess
    run("-p", "no:cacheprovider", "--qc-report=json=r.json", *options)
    document = documents.read((pytester.path / "r.json").read_text())
    assert document["collected"] == {f"test_it.py::{name}": yes for name, yes in ran.items()}
