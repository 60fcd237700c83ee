"""The options ``--qc-*`` and the ini keys ``qc_*``: declared, checked, and read into ``Settings``.

Part of what every pytest run imports: standard library and pytest only.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from pytest_quantcheck.rig.inventory import Inventory

REPORT_FORMS = ("md", "json")
SETTINGS = pytest.StashKey["Settings"]()
_INVENTORY = pytest.StashKey["Inventory | None"]()


class Settings(NamedTuple):
    """What the command line and the ini file ask for. Paths are absolute."""

    rig: tuple[str, ...]
    ini_rig: tuple[str, ...]
    boards: tuple[str, ...]
    each_board: bool
    require_hw: bool
    lease_timeout: float
    infra_retries: int
    vectors: int | None
    cache: Path | None
    log_dir: Path
    overrides: dict[str, str]
    reports: dict[str, Path]
    max_cases: int


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
    group.addoption("--qc-require-hw", action="store_true", help="hw tests that cannot run are an error")
    group.addoption(
        "--qc-lease-timeout", metavar="SECONDS", help="wait for a busy board at most so long (60)"
    )
    group.addoption(
        "--qc-infra-retries", metavar="N", help="repeat a stage of the rig that fails N times (1)"
    )
    group.addoption("--qc-vectors", metavar="N", help="use only the first N test vectors")
    group.addoption("--qc-cache", metavar="DIR", help="where conversions are kept")
    group.addoption("--qc-log-dir", metavar="DIR", help="where serial logs go (.quantcheck in rootdir)")
    group.addoption(
        "--qc-set",
        action="append",
        default=[],
        metavar="KEY=VALUE[,VALUE]",
        help="replace a key of every quant marker, repeatable",
    )
    group.addoption(
        "--qc-report",
        action="append",
        default=[],
        metavar="md=FILE|json=FILE",
        help="write the results to a file, repeatable",
    )
    parser.addini("qc_rig", "inventories of boards: files relative to rootdir, or virtual", "args", [])
    parser.addini("qc_lease_timeout", "wait for a busy board at most so many seconds", default="60")
    parser.addini("qc_infra_retries", "repeat a stage of the rig that fails so many times", default="1")
    parser.addini("qc_vectors", "use only so many test vectors", default="")
    parser.addini("qc_cache", "where conversions are kept, relative to rootdir", default="")
    parser.addini("qc_log_dir", "where serial logs go, relative to rootdir", default=".quantcheck")
    parser.addini("qc_max_cases", "largest number of configurations of one test function", default="64")


def read_settings(config: pytest.Config) -> Settings:
    """Check and read all options. Wrong values are ``pytest.UsageError``."""
    option, root, here = config.option, config.rootpath, config.invocation_params.dir
    return Settings(
        rig=tuple(
            spec if spec == "virtual" else str(here / Path(spec).expanduser()) for spec in option.qc_rig
        ),
        ini_rig=tuple(config.getini("qc_rig")),
        boards=tuple(option.qc_board),
        each_board=bool(option.qc_each_board),
        require_hw=bool(option.qc_require_hw),
        lease_timeout=_number(config, "lease_timeout", low=0.0),
        infra_retries=int(_number(config, "infra_retries", low=0, whole=True)),
        vectors=_vectors(config),
        cache=_folder(config, "cache"),
        log_dir=_folder(config, "log_dir") or root / ".quantcheck",
        overrides=_pairs("--qc-set", option.qc_set),
        reports=_reports(option.qc_report, here),
        max_cases=int(_number(config, "max_cases", low=1, whole=True)),
    )


def inventory(config: pytest.Config) -> Inventory | None:
    """The rig of this run, narrowed by ``--qc-board``; None when there is none. Read once.

    Raises ``UsageError``.
    """
    if _INVENTORY not in config.stash:
        config.stash[_INVENTORY] = _read_inventory(config)
    return config.stash[_INVENTORY]


def _read_inventory(config: pytest.Config) -> Inventory | None:
    from fnmatch import fnmatchcase

    from pytest_quantcheck.errors import UsageError
    from pytest_quantcheck.rig.inventory import Inventory, find

    settings = config.stash[SETTINGS]
    found = find(settings.rig, ini=settings.ini_rig, root=config.rootpath)
    if found is None or not settings.boards:
        return found
    for pattern in settings.boards:
        if not any(fnmatchcase(name, pattern) for board in found for name in (board.name, board.target)):
            known = ", ".join(f"{board.name} ({board.target})" for board in found)
            raise UsageError(
                f"--qc-board {pattern}: no board or target of the rig is called so; it has: {known}"
            )
    return Inventory(
        tuple(
            board
            for board in found
            if any(fnmatchcase(n, p) for p in settings.boards for n in (board.name, board.target))
        )
    )


def _given(config: pytest.Config, name: str) -> tuple[str, str]:
    """``(text, where it was given)``: the command line before the ini file."""
    from_command_line = config.getoption(f"qc_{name}", None)
    if from_command_line is not None:
        return str(from_command_line), f"--qc-{name.replace('_', '-')}"
    return str(config.getini(f"qc_{name}")), f"ini qc_{name}"


def _number(config: pytest.Config, name: str, *, low: float, whole: bool = False) -> float:
    text, where = _given(config, name)
    try:
        value: float = int(text) if whole else float(text)
    except ValueError:
        value = math.nan
    if not low <= value < math.inf:
        kind = "a whole number" if whole else "a number"
        raise pytest.UsageError(f"{where}: {text!r} is out of range; allowed: {kind} from {low:g}")
    return value


def _vectors(config: pytest.Config) -> int | None:
    return int(_number(config, "vectors", low=1, whole=True)) if _given(config, "vectors")[0] else None


def _folder(config: pytest.Config, name: str) -> Path | None:
    text, where = _given(config, name)
    base = config.invocation_params.dir if where.startswith("--") else config.rootpath
    return base / Path(text).expanduser() if text else None


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise pytest.UsageError(f"{option} {text}: allowed: KEY=VALUE")
        pairs[key] = value
    return pairs


def _reports(texts: list[str], here: Path) -> dict[str, Path]:
    reports = {}
    for form, path in _pairs("--qc-report", texts).items():
        if form not in REPORT_FORMS:
            raise pytest.UsageError(
                f"--qc-report {form}={path}: unknown form {form!r}; allowed: {', '.join(REPORT_FORMS)}"
            )
        reports[form] = here / Path(path).expanduser()
    return reports


def share_with_workers(config: pytest.Config, settings: Settings) -> None:
    """Make relative paths absolute before xdist copies the options to its workers."""
    option: Any = config.option
    option.qc_rig = list(settings.rig)
    option.qc_log_dir = str(settings.log_dir)
    if settings.cache is not None:
        option.qc_cache = str(settings.cache)
