"""Hydra's composition of a configuration: defaults lists, overrides, sweeps, ``${...}``; no launcher.

Everything here is Hydra's and OmegaConf's own work. Ours is that files are checked before they are loaded,
that time stands still within a run, that nothing global is left behind, and that errors say where.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from pytest_quantcheck.errors import MissingExtraError, UsageError
from pytest_quantcheck.wording import first_line
from pytest_quantcheck.workflows.model_zoo import interpolation
from pytest_quantcheck.workflows.model_zoo.names import OPERATION_MODE, SECTIONS
from pytest_quantcheck.workflows.model_zoo.yaml_file import SUFFIXES, Keys, Place, read_yaml

try:
    from hydra import version
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.plugins import Plugins
    from hydra.core.utils import JobRuntime, setup_globals
    from hydra.errors import HydraException
    from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
except ModuleNotFoundError as error:
    raise MissingExtraError("hydra-core", "zoo", "reading a Model-Zoo configuration") from error

_SCHEME = "quantcheck-file"
_VERSION_BASE = "1.3"
_RUN_DIR = "./experiments_outputs/${now:%Y_%m_%d_%H_%M_%S}"
"""Where the file does not say: as in the Model Zoo's own files."""
_ENVIRONMENT = re.compile(r"Environment variable '(\w+)' not found")
_FULL_KEY = re.compile(r"full_key: ([\w.]+)")


@dataclass(frozen=True)
class Composed:
    """One job: the values of all sections, resolved, and what is known about them.

    ``places`` tells where each key stands, ``overrides`` are those of the command line (of this job alone in
    a sweep), ``hydra`` is the text of Hydra's own resolved part, ``run_dir`` the folder that it names.
    """

    name: str
    file: Path
    values: dict[str, Any]
    overrides: tuple[str, ...]
    run_dir: str
    number: int | None = None
    places: Mapping[Keys, Place] = field(default_factory=dict, repr=False)
    hydra: str = field(default="", repr=False)

    def place(self, *keys: str) -> Place:
        """Where a key stands, or what it would stand in."""
        while keys and keys not in self.places:
            keys = keys[:-1]
        return self.places.get(keys, Place(self.name))


def compose(
    file: Path, overrides: Sequence[str] = (), *, multirun: bool = False, now: datetime, name: str = ""
) -> tuple[Composed, ...]:
    """The jobs of a configuration: one, or with ``multirun`` one for each combination of swept values.

    ``now`` is what ``${now:...}`` tells. ``name`` is what messages call the file. Raises ``UsageError``.
    """
    shown = name or file.name
    if file.suffix not in SUFFIXES:
        raise UsageError(f"{shown}: a configuration is a .yaml file")
    given = [_added(text) for text in overrides]
    with _settled(now, file.stem), _told(shown):
        jobs = _sweep(given) if multirun else [given]
        numbers = range(len(jobs)) if multirun else [None]
        return tuple(_job(file, shown, job, number) for job, number in zip(jobs, numbers, strict=True))


def _job(file: Path, name: str, overrides: list[str], number: int | None) -> Composed:
    _CheckedFiles.read = {}
    search_path = ConfigSearchPathImpl()
    search_path.append("hydra", "pkg://hydra.conf")
    search_path.append("main", f"{_SCHEME}://{file.parent.absolute()}")
    search_path.append("schema", "structured://")
    _CheckedFiles.names = {file.name: name}
    config = ConfigLoaderImpl(search_path).load_configuration(file.name, overrides, RunMode.RUN)
    OmegaConf.set_struct(config, False)
    config.hydra.job.num = number or 0
    config.hydra.job.id = str(number or 0)
    config.hydra.runtime.output_dir = os.curdir
    places = {**_CheckedFiles.places(), **_overridden(overrides)}
    if ("hydra", "run", "dir") not in places:
        config.hydra.run.dir = _RUN_DIR
    HydraConfig.instance().set_config(config)
    folders = {
        "run": {"dir": _text(config, "run", "dir")},
        "sweep": {"dir": _text(config, "sweep", "dir"), "subdir": _text(config, "sweep", "subdir")},
    }
    unresolved = {key: OmegaConf.to_container(config, resolve=False)[key] for key in config if key != "hydra"}
    interpolation.check({**unresolved, "hydra": folders}, places, name)
    values = {key: _plain(config, (str(key),), places, name) for key in unresolved}
    return Composed(
        name=name,
        file=file,
        values=values,
        overrides=tuple(overrides),
        run_dir=_run_dir(config, places, name, number),
        number=number,
        places=places,
        hydra=OmegaConf.to_yaml(config.hydra),
    )


def _text(config: Any, *keys: str) -> Any:
    return OmegaConf.to_container(config.hydra, resolve=False)[keys[0]][keys[1]]


def _run_dir(config: Any, places: Mapping[Keys, Place], name: str, number: int | None) -> str:
    keys = [("run", "dir")] if number is None else [("sweep", "dir"), ("sweep", "subdir")]
    parts = [str(_plain(config, ("hydra", *key), places, name)) for key in keys]
    return str(Path(*parts))


def _plain(config: Any, keys: Keys, places: Mapping[Keys, Place], name: str) -> Any:
    """A value with all that it refers to; the error says at which key something cannot be resolved."""
    node = config
    try:
        for key in keys:
            node = node[int(key)] if OmegaConf.is_list(node) else node[key]
    except OmegaConfBaseException as error:
        known = next((places[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in places), Place(name))
        missing = _ENVIRONMENT.search(str(error))
        why = f"the environment variable {missing[1]} is not set" if missing else first_line(str(error))
        raise UsageError(f"{known}: {'.'.join(keys)}: {why}") from error
    if OmegaConf.is_dict(node):
        return {key: _plain(config, (*keys, key), places, name) for key in node}
    if OmegaConf.is_list(node):
        return [_plain(config, (*keys, str(n)), places, name) for n in range(len(node))]
    return node


def _added(text: str) -> str:
    """``operation_mode=quantization`` also where the file does not say anything: then it is added.

    Our own reader knows the keys; what is misspelt is refused by it with the line that says what is allowed.
    """
    key, equals, _ = text.partition("=")
    section, dot, _ = key.partition(".")
    known = key == OPERATION_MODE or (section in SECTIONS and dot)
    return f"++{text}" if known and equals else text


def is_sweep(overrides: Sequence[str]) -> bool:
    """Whether any override lists several values. ``UsageError`` for one that is no override."""
    with _told("--qc-set"):
        return any(
            each.is_sweep_override() for each in OverridesParser.create().parse_overrides([*overrides])
        )


def _sweep(overrides: list[str]) -> list[list[str]]:
    """Every combination of swept values (Hydra's basic sweeper), each as a list of overrides."""
    jobs: list[list[str]] = [[]]
    for text in overrides:
        parsed = OverridesParser.create().parse_override(text)
        if not parsed.is_sweep_override():
            values = [text]
        elif parsed.is_discrete_sweep():
            values = [f"{parsed.get_key_element()}={value}" for value in parsed.sweep_string_iterator()]
        else:
            raise UsageError(f"{text}: a sweep lists its values: a,b,c or range(1,4); intervals have no end")
        jobs = [[*job, value] for job in jobs for value in values]
    return jobs


def _overridden(overrides: Sequence[str]) -> dict[Keys, Place]:
    """Where a key stands that the command line gives."""
    plain = [text.lstrip("+~") for text in overrides]
    return {tuple(text.partition("=")[0].split(".")): Place(f"override {text!r}") for text in plain}


@contextmanager
def _settled(now: datetime, job: str) -> Iterator[None]:
    """Hydra's global state, put in order and taken back: resolvers, the job's name, its version."""
    base, runtime = version.VersionBase.instance(), JobRuntime.instance()
    before, config = base.version_base, HydraConfig.instance().cfg
    had = dict(runtime.conf) if runtime.conf is not None else {}
    version.setbase(_VERSION_BASE)
    setup_globals()
    OmegaConf.register_new_resolver("now", now.strftime, use_cache=False, replace=True)
    Plugins.instance().register(_CheckedFiles)
    runtime.set("name", job)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Hydra's advice on the style of defaults lists
            yield
    finally:
        base.version_base, HydraConfig.instance().cfg = before, config
        runtime.conf = OmegaConf.create(had)
        setup_globals()


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Hydra's errors as ours."""
    try:
        yield
    except UsageError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError, RecursionError) as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, UsageError):
                raise cause from error
            text, cause = str(cause), cause.__cause__ or cause.__context__
        said = " ".join((str(error) or text).split()).replace("++", "")
        key = _FULL_KEY.search(said)
        place = _CheckedFiles.places().get(tuple(key[1].split("."))) if key else None
        raise UsageError(f"{place or name}: {said}") from error


class _CheckedFiles(ConfigSource):  # type: ignore[misc]  # no stubs
    """Hydra's source of files in one folder: each is checked before it is loaded (``yaml_file.read_yaml``).

    Hydra makes its sources itself, so what they have read is kept by the class.
    """

    read: ClassVar[dict[str, dict[Keys, Place]]] = {}
    names: ClassVar[dict[str, str]] = {}

    @staticmethod
    def scheme() -> str:
        return _SCHEME

    def load_config(self, config_path: str) -> ConfigResult:
        file = self._file(config_path)
        if not file.is_file():
            raise ConfigLoadError(f"there is no configuration {file}")
        found = read_yaml(file, self.names.get(config_path, config_path))
        group = tuple(Path(config_path).parent.parts)
        self.read[config_path] = {(*group, *keys): place for keys, place in found.places.items()}
        plain = OmegaConf.to_container(OmegaConf.create(found.text), resolve=False)
        _refuse_search_path(plain, found.places, found.name)
        return ConfigResult(
            config=OmegaConf.create(interpolation.with_environment(plain)),
            path=f"{_SCHEME}://{self.path}",
            provider=self.provider,
            header=ConfigSource._get_header_dict(found.text[:512]),
        )

    @classmethod
    def places(cls) -> dict[Keys, Place]:
        """Where every key of all files stands; a file that was read later wins."""
        return {keys: place for found in reversed(cls.read.values()) for keys, place in found.items()}

    def available(self) -> bool:
        return self.is_group("")

    def is_group(self, config_path: str) -> bool:
        return (Path(self.path) / config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        return self._file(config_path).is_file()

    def list(self, config_path: str, results_filter: Any) -> list[str]:
        files: list[str] = []
        for each in sorted((Path(self.path) / config_path).iterdir()):
            self._list_add_result(files, str(Path(config_path) / each.name), each.name, results_filter)
        return sorted(set(files))

    def _file(self, config_path: str) -> Path:
        """Never outside the folder: ``../../etc/passwd`` is no configuration."""
        file = Path(self.path) / (config_path if config_path.endswith(SUFFIXES) else f"{config_path}.yaml")
        return file if file.resolve().is_relative_to(Path(self.path).resolve()) else Path(os.devnull)


def _refuse_search_path(values: Any, places: Mapping[Keys, Place], name: str) -> None:
    hydra = values.get("hydra") if isinstance(values, dict) else None
    if isinstance(hydra, dict) and "searchpath" in hydra:
        raise UsageError(
            f"{places.get(('hydra', 'searchpath'), name)}: hydra.searchpath is refused: files and packages "
            "elsewhere would be read; put the files beside this one"
        )
