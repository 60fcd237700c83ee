"""What a section of a configuration may hold: fields of a dataclass, each with its words, limits and default.

``read`` turns a mapping into such a dataclass. Every error says file, line, key, value and what is allowed.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.expression import arithmetic
from pytest_quantcheck.wording import visible
from pytest_quantcheck.workflows.model_zoo.composition import Composed

Section = TypeVar("Section")
_NOT_GIVEN = (None, "None")
_KINDS = {
    str: "a text",
    bool: "True, False",
    int: "a whole number",
    float: "a number, such as 0.5 or 1/127.5",
    tuple: "a list",
    dict: "a mapping",
}


@dataclass(frozen=True)
class Rule:
    """``doc`` explains a key; ``choices`` are its values (compared without case where ``fold``), ``low`` and
    ``high`` its limits, which ``above`` leaves out at the lower end and ``below`` at the upper one.
    ``ignored`` says why the key decides nothing here, ``refused`` why it may not be given.
    """

    doc: str
    choices: tuple[object, ...] = ()
    fold: bool = False
    low: float | None = None
    high: float | None = None
    above: bool = False
    below: bool = False
    ignored: str = ""
    refused: str = ""

    @property
    def limits(self) -> str:
        """``above 0, below 1``; empty where there are none."""
        parts = []
        if self.low is not None:
            parts.append(f"{'above' if self.above else 'from'} {self.low:g}")
        if self.high is not None:
            parts.append(f"{'below' if self.below else 'up to'} {self.high:g}")
        return ", ".join(parts)


def key(doc: str, default: Any = MISSING, **rule: Any) -> Any:
    """A field of a section; without ``default`` the key is needed."""
    metadata = {"rule": Rule(doc, **rule)}
    if isinstance(default, (dict, list)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def rule_of(each: Field[Any]) -> Rule:
    """What a field says of itself."""
    found = each.metadata.get("rule")
    assert isinstance(found, Rule), f"{each.name} has no rule"
    return found


def read(kind: type[Section], values: object, composed: Composed, keys: tuple[str, ...]) -> Section:
    """The section at ``keys`` as a ``kind``. Raises ``UsageError``."""
    assert is_dataclass(kind)
    name = ".".join(keys)
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        raise UsageError(
            f"{composed.place(*keys)}: {name}: {visible(repr(values))} is no section; allowed: the keys "
            f"{_listed(kind)}"
        )
    known = {each.name: each for each in fields(kind)}
    for given in values:
        if given not in known:
            raise UsageError(_unknown(composed, keys, str(given), list(known)))
    hints = get_type_hints(kind)
    made = {}
    for each in known.values():
        given = values.get(each.name)
        if given in _NOT_GIVEN and not _takes_text_none(given, each):
            if each.default is MISSING and each.default_factory is MISSING:
                raise UsageError(
                    f"{composed.place(*keys, each.name)}: {name}.{each.name} is missing; allowed: "
                    f"{_allowed(hints[each.name], rule_of(each))} ({rule_of(each).doc})"
                )
            continue
        made[each.name] = _value(hints[each.name], given, rule_of(each), composed, (*keys, each.name))
    return kind(**made)


def _takes_text_none(given: object, each: Field[Any]) -> bool:
    return given is not None and given in rule_of(each).choices


def _listed(kind: Any) -> str:
    return ", ".join(each.name for each in fields(kind))


def _unknown(composed: Composed, keys: tuple[str, ...], given: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, known, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    path = ".".join((*keys, given))
    return f"{composed.place(*keys, given)}: unknown key {visible(path)}{hint}; allowed: {', '.join(known)}"


def unknown_section(composed: Composed, given: str, known: Sequence[str]) -> UsageError:
    """The error for a top-level key that nobody knows."""
    return UsageError(_unknown(composed, (), given, known))


def _value(hint: Any, given: Any, rule: Rule, composed: Composed, keys: tuple[str, ...]) -> Any:
    """One value, checked against type, choices and limits."""
    if rule.refused:
        raise UsageError(
            f"{composed.place(*keys)}: {'.'.join(keys)}: {visible(repr(given))} is not supported: "
            f"{rule.refused}; leave it out"
        )
    kinds = alternatives(hint)
    for kind in kinds:
        if is_dataclass(kind):
            return read(kind, given, composed, keys)  # type: ignore[arg-type]  # a class, no object
    found: Any = MISSING
    why = ""
    for kind in kinds:
        try:
            found = _READERS[get_origin(kind) or kind](given)
            break
        except UsageError as error:
            why = f" ({error})"
        except ValueError:
            continue
    problem = "" if found is not MISSING else "has the wrong type"
    if not problem and rule.choices:
        found, problem = _chosen(found, rule)
    if not problem and isinstance(found, (int, float)) and not isinstance(found, bool):
        problem = _outside(found, rule)
    if problem:
        raise UsageError(
            f"{composed.place(*keys)}: {'.'.join(keys)}: {visible(repr(given))} {problem}; allowed: "
            f"{_allowed(hint, rule)}{why}"
        )
    return found


def _chosen(found: Any, rule: Rule) -> tuple[Any, str]:
    for choice in rule.choices:
        same = found == choice and type(found) is type(choice)
        if same or (rule.fold and str(found).lower() == str(choice).lower()):
            return choice, ""
    near = difflib.get_close_matches(str(found), [str(each) for each in rule.choices], n=1)
    return found, f"is not known{f' (did you mean {near[0]}?)' if near else ''}"


def _outside(found: float, rule: Rule) -> str:
    low = rule.low is not None and (found <= rule.low if rule.above else found < rule.low)
    high = rule.high is not None and (found >= rule.high if rule.below else found > rule.high)
    return "is out of range" if low or high else ""


def alternatives(hint: Any) -> tuple[Any, ...]:
    """``int | None`` is ``int`` here: what is not given never gets this far."""
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(each for each in get_args(hint) if each is not type(None))
    return (hint,)


def _allowed(hint: Any, rule: Rule) -> str:
    if rule.choices:
        return ", ".join(str(each) for each in rule.choices)
    kinds = alternatives(hint)
    section = next((kind for kind in kinds if is_dataclass(kind)), None)
    if section is not None:
        return f"the keys {_listed(section)}"
    words = " or ".join(_KINDS[get_origin(kind) or kind] for kind in kinds)
    return f"{words} {rule.limits}".rstrip()


def describe(hint: Any, rule: Rule) -> str:
    """What a key takes, for the documentation."""
    return _allowed(hint, rule)


def _text(given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        raise ValueError
    return str(given)


def _truth(given: Any) -> bool:
    if isinstance(given, str) and given in ("True", "False"):
        return given == "True"
    if not isinstance(given, bool):
        raise ValueError
    return given


def _number(given: Any) -> float:
    if isinstance(given, str):
        made = arithmetic(given)
        if isinstance(made, tuple):
            raise ValueError
        given = made
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise ValueError
    return float(given)


def _whole(given: Any) -> int:
    number = _number(given)
    if number != int(number):
        raise ValueError
    return int(number)


def _list(given: Any) -> tuple[Any, ...]:
    if isinstance(given, str) and given.startswith("("):
        made = arithmetic(given)
        given = list(made) if isinstance(made, tuple) else [made]
    if not isinstance(given, (list, tuple)):
        raise ValueError
    return tuple(given)


def _mapping(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ValueError
    return dict(given)


_READERS: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    bool: _truth,
    int: _whole,
    float: _number,
    tuple: _list,
    dict: _mapping,
}
