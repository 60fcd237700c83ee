"""``${...}`` in a configuration: what is allowed, and that resolving it cannot grow without bounds.

``a: ${b}${b}``, ``b: ${c}${c}`` and so on doubles with every line; so sizes are added up before OmegaConf
resolves anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workflows.model_zoo.yaml_file import Keys, Place

RESOLVERS = ("now", "oc.env", "hydra")
LONGEST_CHAIN = 100
LONGEST = 100_000
"""Characters and values that a configuration may stand for once everything is resolved."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FOUND = re.compile(r"\$\{([^{}$]*)\}")


def with_environment(values: Mapping[str, Any]) -> dict[str, Any]:
    """``${NAME}`` where the file has no key ``NAME`` is an environment variable, as the Model Zoo has it."""

    def one(found: re.Match[str]) -> str:
        inner = found[1].strip()
        return f"${{oc.env:{inner}}}" if _NAME.fullmatch(inner) and inner not in values else found[0]

    def whole(text: str) -> str:
        return text if "${" in _FOUND.sub("", text) else _FOUND.sub(one, text)

    return {key: _mapped(value, whole) for key, value in values.items()}


def _mapped(value: Any, function: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(each, function) for key, each in value.items()}
    if isinstance(value, list):
        return [_mapped(each, function) for each in value]
    return function(value) if isinstance(value, str) else value


def check(values: Mapping[str, Any], places: Mapping[Keys, Place], file: str) -> None:
    """Raises ``UsageError`` for a resolver that is not known, for ``${${...}}``, for a circle, and for what
    would become longer than ``LONGEST``.
    """
    sizes: dict[Keys, int] = {}

    def place(keys: Keys) -> str:
        while keys and keys not in places:
            keys = keys[:-1]
        return str(places.get(keys, Place(file)))

    def size(keys: Keys, open_: tuple[Keys, ...]) -> int:
        if keys in open_:
            raise UsageError(f"{place(keys)}: {'.'.join(keys)} refers to itself: ${{...}} goes in a circle")
        if len(open_) > LONGEST_CHAIN:
            raise UsageError(f"{place(keys)}: {'.'.join(keys)} ends a chain of over {LONGEST_CHAIN} ${{...}}")
        if keys not in sizes:
            value = _at(values, keys)
            total = 1
            for key, _ in _children(value):
                total += size((*keys, key), (*open_, keys))
            if isinstance(value, str):
                total += len(value)
                for reference in _references(value, place(keys), ".".join(keys)):
                    target = _absolute(reference, keys)
                    total += size(target, (*open_, keys)) if _at(values, target) is not None else 0
            if total > LONGEST:
                raise UsageError(
                    f"{place(keys)}: {'.'.join(keys)} stands for more than {LONGEST} characters once its "
                    "${...} are resolved; no configuration does"
                )
            sizes[keys] = total
        return sizes[keys]

    for key in values:
        size((str(key),), ())


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(key), each) for key, each in value.items())
    elif isinstance(value, list):
        yield from ((str(number), each) for number, each in enumerate(value))


def _references(text: str, place: str, key: str) -> Iterator[str]:
    """The keys that a text refers to; what a resolver gives is short."""
    left = _FOUND.sub("", text)
    if "${" in left:
        raise UsageError(
            f"{place}: {key}: {text!r}: a ${{...}} within another, or one without an end, is refused"
        )
    for found in _FOUND.findall(text):
        resolver, colon, _ = found.partition(":")
        if not colon:
            yield found.strip()
        elif resolver.strip() not in RESOLVERS:
            raise UsageError(
                f"{place}: {key}: ${{{found}}}: the resolver {resolver.strip()!r} is not known; allowed: "
                f"{', '.join(RESOLVERS)}, and keys of this file"
            )


def _absolute(reference: str, keys: Keys) -> Keys:
    """``..x`` starts from the level above, as OmegaConf has it; ``a[0]`` is ``a.0``."""
    name = reference.lstrip(".")
    dots = len(reference) - len(name)
    parts = tuple(part for part in re.split(r"[.\[\]]", name) if part)
    return (*keys[: len(keys) - dots], *parts) if dots else parts


def _at(values: Any, keys: Keys) -> Any:
    for key in keys:
        if isinstance(values, Mapping):
            values = values.get(key)
        elif isinstance(values, list) and key.isdigit() and int(key) < len(values):
            values = values[int(key)]
        else:
            return None
    return values
