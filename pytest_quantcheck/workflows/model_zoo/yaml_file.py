"""YAML files of strangers: bounded before they are parsed, data only, and where each key stands.

Nothing here makes Python objects of a file: it is looked at as events and nodes, and given on as text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_quantcheck.errors import MissingExtraError, ModelError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.wording import visible

try:
    import yaml
except ModuleNotFoundError as error:
    raise MissingExtraError("hydra-core", "zoo", "reading a YAML configuration") from error

MOST_BYTES = 1 << 20
MOST_NODES = 20_000
MOST_DEPTH = 32
SUFFIXES = (".yaml", ".yml")
Keys = tuple[str, ...]
"""The keys that lead to a value, from the top: ``("quantization", "granularity")``."""
_CORE = "tag:yaml.org,2002:"
_TAGS = {f"{_CORE}{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")}


@dataclass(frozen=True)
class Place:
    """Where something stands; ``line`` counts from 1, 0 is the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class YamlFile:
    """``text`` is safe to be loaded; ``places`` says where each key stands, by its path."""

    name: str
    text: str
    places: dict[Keys, Place]


def read_yaml(path: Path, name: str = "") -> YamlFile:
    """Read and check a file; ``name`` is what messages call it. ``UsageError`` says file, line and reason.

    Refused: more than a mebibyte, 20,000 nodes (aliases counted as often as they are used) or 32 levels,
    tags that make objects, several documents, keys given twice, a value that contains itself.
    """
    shown = name or str(path)
    try:
        text = read_whole(path, MOST_BYTES).decode("utf-8")
    except FileNotFoundError:
        raise UsageError(f"{shown}: there is no such file; allowed: a .yaml file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except (OSError, ModelError) as error:
        raise UsageError(f"{shown}: {error}") from error
    try:
        _check_events(text, shown)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise UsageError(f"{_at(shown, error)}: {_reason(error)}") from error
    if node is None:
        raise UsageError(f"{shown}: the file is empty; docs/model-zoo.md shows a whole one")
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(
            f"{shown}: the file is no mapping of sections such as 'general:' and 'quantization:'"
        )
    return YamlFile(shown, text, dict(_places(node, (), shown)))


def _check_events(text: str, name: str) -> None:
    """What can be told from the stream of events, before any node is made."""
    depth, count, documents = 0, 0, 0
    weights: dict[str, int] = {}  # of anchors: how many nodes an alias stands for
    open_anchors: list[tuple[str, int]] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        place = Place(name, event.start_mark.line + 1)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise UsageError(f"{place}: a second document begins; a configuration is one")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in (anchor for anchor, _ in open_anchors):
                raise UsageError(f"{place}: *{event.anchor} stands inside of itself")
            count += weights.get(event.anchor, 1)
        elif isinstance(event, yaml.NodeEvent):
            _check_tag(event, place)
            count += 1
            if isinstance(event, yaml.ScalarEvent):
                if event.anchor:
                    weights[event.anchor] = 1
            else:
                depth += 1
                open_anchors.append((event.anchor or "", count))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
            anchor, before = open_anchors.pop()
            if anchor:
                weights[anchor] = count - before + 1
        if depth > MOST_DEPTH:
            raise UsageError(f"{place}: values nest deeper than {MOST_DEPTH} levels")
        if count > MOST_NODES:
            raise UsageError(
                f"{place}: with its aliases the file stands for more than {MOST_NODES} values; no "
                "configuration does"
            )


def _check_tag(event: yaml.NodeEvent, place: Place) -> None:
    tag = getattr(event, "tag", None)
    if tag is not None and tag not in (*_TAGS, "!"):
        shown = tag.replace(_CORE, "!!")
        raise UsageError(
            f"{place}: the tag {visible(shown)} is refused: a configuration is data, and nothing in it is run"
        )


def _places(node: yaml.MappingNode, path: Keys, name: str) -> Iterator[tuple[Keys, Place]]:
    seen: dict[str, int] = {}
    for key, value in node.value:
        place = Place(name, key.start_mark.line + 1)
        if not isinstance(key, yaml.ScalarNode):
            raise UsageError(f"{place}: a key is a list or a mapping; allowed: a word")
        if key.value in seen and key.value != "<<":
            raise UsageError(
                f"{place}: the key {_dotted((*path, key.value))} is given twice, "
                f"first in line {seen[key.value]}; leave one out"
            )
        seen[key.value] = place.line
        yield (*path, key.value), place
        yield from _within(value, (*path, key.value), name)


def _within(value: yaml.Node, path: Keys, name: str) -> Iterator[tuple[Keys, Place]]:
    if isinstance(value, yaml.MappingNode):
        yield from _places(value, path, name)
    elif isinstance(value, yaml.SequenceNode):
        for number, each in enumerate(value.value):
            yield (*path, str(number)), Place(name, each.start_mark.line + 1)
            yield from _within(each, (*path, str(number)), name)


def _dotted(path: Keys) -> str:
    return ".".join(path)


def _at(name: str, error: yaml.YAMLError) -> Place:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return Place(name, mark.line + 1 if mark else 0)


def _reason(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"this is no YAML: {visible(str(problem))}"
