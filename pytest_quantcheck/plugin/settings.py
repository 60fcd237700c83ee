"""What the options and ini keys ask for, checked and read into ``Settings``; and the rig they name."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from pytest_quantcheck.baselines.tolerance import Tolerance
from pytest_quantcheck.errors import MissingExtraError, QuantcheckError, UsageError
from pytest_quantcheck.plugin.options import TOLERANCES
from pytest_quantcheck.report.forms import FORMS, allowed
from pytest_quantcheck.rig.families import family
from pytest_quantcheck.rig.inventory import Inventory, find
from pytest_quantcheck.rig.protocols.needy import Needy
from pytest_quantcheck.workflows.model_zoo.names import OPERATION_MODE

_SETTINGS = pytest.StashKey["Settings"]()
_INVENTORY = pytest.StashKey["Inventory | None"]()


@dataclass(frozen=True)
class Settings:
    """What the command line and the ini file ask for. Paths are absolute; a report is a form and a target.

    ``update`` is empty, ``new`` or ``all``; ``baseline`` a folder, ``git:REF`` or empty for rootdir.
    """

    rig: tuple[str, ...]
    ini_rig: tuple[str, ...]
    boards: tuple[str, ...]
    each_board: bool
    require_hw: bool
    strict: bool
    lease_timeout: float
    run_timeout: float
    infra_retries: int
    vectors: int | None
    cache: Path | None
    log_dir: Path
    overrides: dict[str, str]
    yaml_overrides: tuple[str, ...]
    reports: tuple[tuple[str, str], ...]
    max_cases: int
    update: str
    baseline: str
    tolerances: dict[str, Tolerance]
    compare: Path | None


CI_SERVICES = ("JENKINS_URL", "BUILD_NUMBER", "TF_BUILD", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ID")
"""What Jenkins, Azure Pipelines, TeamCity and AWS CodeBuild set, which do not set ``CI``."""


def in_ci() -> bool:
    """Whether this is a run of a CI service."""
    return bool(ci_variable())


def ci_variable() -> str:
    """The variable that says so, ``CI`` first: most services set it, and where it says no that counts."""
    if "CI" in os.environ:
        return "CI" if os.environ["CI"].lower() not in ("", "0", "false") else ""
    return next((name for name in CI_SERVICES if os.environ.get(name)), "")


def settings(config: pytest.Config) -> Settings:
    """All options, read once. Wrong values are ``pytest.UsageError``."""
    if _SETTINGS not in config.stash:
        config.stash[_SETTINGS] = _read(config)
    return config.stash[_SETTINGS]


def _read(config: pytest.Config) -> Settings:
    option, root, here = config.option, config.rootpath, config.invocation_params.dir
    return Settings(
        rig=tuple(
            spec if spec == "virtual" else str(here / Path(spec).expanduser()) for spec in option.qc_rig
        ),
        ini_rig=tuple(config.getini("qc_rig")),
        boards=tuple(option.qc_board),
        each_board=bool(option.qc_each_board),
        require_hw=bool(option.qc_require_hw),
        strict=bool(option.qc_strict),
        lease_timeout=_number(config, "lease_timeout", low=0.0),
        run_timeout=_number(config, "run_timeout", low=1.0),
        infra_retries=int(_number(config, "infra_retries", low=0, whole=True)),
        vectors=_vectors(config),
        cache=_folder(config, "cache"),
        log_dir=_folder(config, "log_dir") or root / ".quantcheck",
        overrides=_pairs("--qc-set", [text for text in option.qc_set if not for_yaml(text)]),
        yaml_overrides=tuple(text for text in option.qc_set if for_yaml(text)),
        reports=_reports(option.qc_report, here),
        max_cases=int(_number(config, "max_cases", low=1, whole=True)),
        update=_update(config),
        baseline=_baseline(config),
        tolerances=_tolerances(config),
        compare=_compare(config),
    )


def for_yaml(text: str) -> bool:
    """Whether a ``--qc-set`` is about Model-Zoo configurations: keys of markers are single words."""
    key = text.partition("=")[0]
    return key == OPERATION_MODE or key.startswith(("+", "~")) or "." in key or "/" in key


def inventory(config: pytest.Config) -> Inventory | None:
    """The rig of this run, narrowed by ``--qc-board``; None when there is none. Read once.

    Raises ``UsageError``.
    """
    if _INVENTORY not in config.stash:
        config.stash[_INVENTORY] = _read_inventory(config)
    return config.stash[_INVENTORY]


def _read_inventory(config: pytest.Config) -> Inventory | None:
    wanted = settings(config)
    found = find(wanted.rig, ini=wanted.ini_rig, root=config.rootpath)
    if found is None:
        return None
    if not wanted.boards:
        return _with_tools(found)
    for pattern in wanted.boards:
        if not any(fnmatchcase(name, pattern) for board in found for name in (board.name, board.target)):
            known = ", ".join(f"{board.name} ({board.target})" for board in found)
            raise UsageError(
                f"--qc-board {pattern}: no board or target of the rig is called so; it has: {known}"
            )
    return Inventory(
        tuple(
            board
            for board in found
            if any(fnmatchcase(n, p) for p in wanted.boards for n in (board.name, board.target))
        )
    )


def _with_tools(found: Inventory) -> Inventory:
    """Without the virtual boards whose tools are missing here: a warning each; ``UsageError`` if all are."""
    kept, reasons = [], []
    for board in found:
        needy = family(board.family) if board.virtual else None
        reason = needy.missing(board) if isinstance(needy, Needy) else ""
        if reason:
            reasons.append(f"{board.name} is left out: {reason}")
        else:
            kept.append(board)
    if reasons and not kept:
        raise UsageError(f"the rig has no board that can be used here: {'; '.join(reasons)}")
    for text in reasons:
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    return Inventory(tuple(kept))


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


def _update(config: pytest.Config) -> str:
    """``new`` or ``all``. Under CI nothing is written, and asking for it is an error."""
    asked = {"all": config.option.qc_update, "new": config.option.qc_update_new}
    given = [word for word, wanted in asked.items() if wanted]
    if not given:
        return ""
    option = "--qc-update" if given[0] == "all" else "--qc-update-new"
    if len(given) > 1:
        raise pytest.UsageError("--qc-update stores new values as well; leave --qc-update-new out")
    if name := ci_variable():
        raise pytest.UsageError(
            f"{option}: the variable {name} is set ({os.environ[name]!r}), where baselines are never "
            "written. Store them on your own machine and commit the file"
        )
    if config.option.qc_baseline:
        raise pytest.UsageError(
            f"{option} writes beside the tests, --qc-baseline only reads: give one of them"
        )
    return given[0]


def _baseline(config: pytest.Config) -> str:
    given = config.option.qc_baseline
    if given is None:
        return ""
    if not given.removeprefix("git:"):
        raise pytest.UsageError(
            f"--qc-baseline {given}: allowed: a folder such as another checkout, git:REF, or git:last-tag"
        )
    return given if given.startswith("git:") else str(config.invocation_params.dir / Path(given).expanduser())


def _compare(config: pytest.Config) -> Path | None:
    """The older model of ``--qc-compare``, which takes the place of what is stored."""
    if config.option.qc_compare is None:
        return None
    path: Path = config.invocation_params.dir / Path(config.option.qc_compare).expanduser()
    others = ("--qc-update", "--qc-update-new", "--qc-baseline")
    for option in others:
        if getattr(config.option, option[2:].replace("-", "_")):
            raise pytest.UsageError(f"--qc-compare and {option} both say what to compare with: give one")
    if not path.is_file():
        raise pytest.UsageError(f"--qc-compare {path}: there is no such file; allowed: a quantized model")
    return path


def _tolerances(config: pytest.Config) -> dict[str, Tolerance]:
    tolerances = {}
    for line in config.getini(TOLERANCES):
        metric, _, text = (part.strip() for part in line.partition("="))
        if not (metric and text):
            raise pytest.UsageError(f"ini {TOLERANCES}: {line!r}: allowed: METRIC = TOLERANCE, one a line")
        try:
            tolerances[metric] = Tolerance.parse(text, metric)
        except QuantcheckError as error:
            raise pytest.UsageError(f"ini {TOLERANCES}: {error}") from error
    return tolerances


def _pairs(option: str, texts: list[str], allowed: str = "KEY=VALUE") -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise pytest.UsageError(f"{option} {text}: allowed: {allowed}")
        pairs[key] = value
    return pairs


def _reports(texts: list[str], here: Path) -> tuple[tuple[str, str], ...]:
    """Pairs of form and target. Raises ``pytest.UsageError`` also where a form's package is missing."""
    reports: list[tuple[str, str]] = []
    switches = {name: "auto" for name, form in FORMS.items() if form.automatic}
    for text in texts:
        ((name, target),) = _pairs("--qc-report", [text], allowed()).items()
        form = FORMS.get(name)
        if form is None:
            raise pytest.UsageError(f"--qc-report {text}: unknown form {name!r}; allowed: {allowed()}")
        try:
            form.require(name)
        except MissingExtraError as error:
            raise pytest.UsageError(str(error)) from error
        if name in switches:
            if target not in form.target.split("|"):
                raise pytest.UsageError(f"--qc-report {text}: allowed: {name}={form.target}")
            switches[name] = target
        else:
            reports.append((name, str(here / Path(target).expanduser()) if form.is_path else target))
    targets = [target for _, target in reports]
    if twice := next((target for target in targets if targets.count(target) > 1), None):
        raise pytest.UsageError(f"--qc-report: {twice} is asked for twice; give each report its own file")
    return (*reports, *((name, "on") for name, word in switches.items() if FORMS[name].is_on(word)))


def share_with_workers(config: pytest.Config) -> None:
    """Make relative paths absolute before xdist copies the options to its workers."""
    option: Any = config.option
    found = settings(config)
    option.qc_rig = list(found.rig)
    if option.qc_log_dir is not None:
        option.qc_log_dir = str(found.log_dir)
    if option.qc_cache is not None:
        option.qc_cache = str(found.cache)
    if found.compare is not None:
        option.qc_compare = str(found.compare)
    if found.baseline:
        option.qc_baseline = found.baseline
        _check_baseline(found.baseline, config.rootpath)


def _check_baseline(given: str, root: Path) -> None:
    """A commit or folder that is not there ends the run before its tests begin."""
    from pytest_quantcheck.baselines.source import source_of

    try:
        source_of(given, root).check()
    except QuantcheckError as error:
        raise pytest.UsageError(str(error)) from error
