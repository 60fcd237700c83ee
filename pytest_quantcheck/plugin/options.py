"""The options ``--qc-*`` and the ini keys ``qc_*``: declared here, read and checked by ``settings.py``.

Part of what every pytest run imports: standard library and pytest only.
"""

from __future__ import annotations

import pytest

INI_KEYS = {  # default, help
    "qc_lease_timeout": ("60", "wait for a busy board at most so many seconds"),
    "qc_run_timeout": ("600", "one inference on a board may take so many seconds"),
    "qc_infra_retries": ("1", "repeat a stage of the rig that fails so many times"),
    "qc_vectors": ("", "use only so many test vectors"),
    "qc_cache": ("", "where conversions are kept, relative to rootdir"),
    "qc_log_dir": (".quantcheck", "where serial logs go, relative to rootdir"),
    "qc_max_cases": ("64", "largest number of configurations of one test function"),
}


TOLERANCES = "qc_baseline_tolerance"


def add_options(parser: pytest.Parser) -> None:
    """Declare everything. Values stay plain, so that xdist can send them to its workers."""
    group = parser.getgroup("quantcheck", "quantized models on host and boards")
    group.addoption(
        "--qc-rig",
        action="append",
        default=[],
        metavar="FILE|virtual",
        help="inventory of boards, repeatable (default: $QC_RIG, ini qc_rig, boards.toml in rootdir)",
    )
    group.addoption(
        "--qc-board",
        action="append",
        default=[],
        metavar="NAME|TARGET",
        help="use only these boards of the rig, repeatable, * and ? match",
    )
    group.addoption(
        "--qc-each-board", action="store_true", help="one item per physical board, not per target"
    )
    group.addoption(
        "--qc-strict", action="store_true", help="what cannot be judged, or looks wrong about the data, fails"
    )
    group.addoption("--qc-require-hw", action="store_true", help="hw tests that cannot run are an error")
    group.addoption(
        "--qc-lease-timeout", metavar="SECONDS", help="wait for a busy board at most so long (60)"
    )
    group.addoption(
        "--qc-run-timeout", metavar="SECONDS", help="one inference on a board may take so long (600)"
    )
    group.addoption(
        "--qc-infra-retries", metavar="N", help="repeat a stage of the rig that fails N times (1)"
    )
    group.addoption("--qc-vectors", metavar="N", help="use only N test vectors, chosen by id across classes")
    group.addoption("--qc-cache", metavar="DIR", help="where conversions are kept")
    group.addoption("--qc-log-dir", metavar="DIR", help="where serial logs go (.quantcheck in rootdir)")
    _add_results(group)
    parser.addini(TOLERANCES, "METRIC = TOLERANCE, one a line, for gate.check(baseline=)", "linelist", [])
    parser.addini("qc_yaml_files", "Model-Zoo configurations that are test files, as globs", "args", [])
    parser.addini("qc_rig", "inventories of boards: files relative to rootdir, or virtual", "args", [])
    for name, (default, text) in INI_KEYS.items():
        parser.addini(name, text, default=default)


def _add_results(group: pytest.OptionGroup) -> None:
    """What a run is compared with, and where its results go."""
    group.addoption(
        "--qc-set",
        action="append",
        default=[],
        metavar="KEY=VALUE[,VALUE]",
        help="replace a key of every quant marker, or a section.key of every Model-Zoo configuration, "
        "repeatable",
    )
    group.addoption(
        "--qc-report",
        action="append",
        default=[],
        metavar="FORM=FILE",
        help="write the results, repeatable: html=FILE, json=FILE, md=FILE and others (docs/reports.md)",
    )
    group.addoption(
        "--qc-update", action="store_true", help="store all values that checks with baseline= measure"
    )
    group.addoption("--qc-update-new", action="store_true", help="store those that are not stored yet")
    group.addoption(
        "--qc-baseline",
        metavar="PATH|git:REF",
        help="compare with the baselines of another checkout, or of a branch, tag or commit "
        "(git:last-tag: the last release)",
    )
    group.addoption(
        "--qc-compare",
        metavar="OLD.tflite",
        help="run an older model beside each one, on the same board, and compare with it",
    )


def given(config: pytest.Config) -> bool:
    """Whether anything of ours was asked for, on the command line or in the ini file."""
    asked = any(value for name, value in vars(config.option).items() if name.startswith("qc_"))
    asked = asked or bool(config.getini(TOLERANCES))
    return asked or any(config.getini(name) != default for name, (default, _) in INI_KEYS.items())
