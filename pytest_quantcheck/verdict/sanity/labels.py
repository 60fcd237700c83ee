"""Does the truth fit the float model? One at chance has nothing to lose, so it passes any ``max_drop``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import comb

import numpy as np

from pytest_quantcheck.finding import Finding
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.verdict.metrics.regression import r2

FEWEST = 20  # with fewer samples chance explains too much
SURE = 0.01  # probability up to which chance is no explanation
LABEL_ORDER = "label_order"
_MOST_NAMED = 8

Classes = IntArray


def label_findings(named: IntArray, labels: Classes, classes: int, names: Sequence[str]) -> Iterator[Finding]:
    """``named`` is the class that the float model names for each of N samples (-1 for none), ``labels`` the
    right one, both below ``classes``; ``names`` are the classes' names, as far as there are any.
    """
    count = len(labels)
    if count < FEWEST:
        return
    right = int((named == labels).sum())
    better = _relabelled(named, labels, classes)
    if better is not None:
        order, gained = better
        yield Finding(
            "warning",
            LABEL_ORDER,
            f"The float model is right on {right} of {count} samples; with {_order(order, names)} it would "
            f"be right on {gained}.",
            "The labels are in another order than the model's outputs: sort the classes as in training.",
        )
        return
    majority = int(np.bincount(labels, minlength=classes).max())
    chance = max(Fraction(majority, count), Fraction(1, max(classes, 2)))
    if chance < 1 and tail(count, right, chance) > SURE:
        yield Finding(
            "warning",
            "float_model_at_chance",
            f"The float model is right on {right} of {count} samples ({right / count:.1%}), which is not "
            f"better than naming the most frequent class ({float(chance):.1%}).",
            "A limit on the drop means nothing here: check labels, preprocessing and the model file.",
        )


def one_class_findings(named: IntArray) -> Iterator[Finding]:
    """``named`` is the class that the float model names for each of N samples without labels."""
    if len(named) >= FEWEST and (named == named[0]).all():
        yield Finding(
            "warning",
            "one_class",
            f"The float model names class {named[0]} for all {len(named)} samples, so that any model which "
            "always does agrees with it.",
            "Check preprocessing and the model file, and give samples of several classes.",
        )


def quantity_findings(outputs: Array, truth: Array) -> Iterator[Finding]:
    """``outputs`` are the float model's quantities for N samples, (N, ...), ``truth`` the right ones."""
    if len(outputs) < FEWEST:
        return
    explained = r2(outputs, truth)
    if explained <= 0:  # not where the truth never varies: then it is not a number
        yield Finding(
            "warning",
            "float_model_at_chance",
            f"The float model explains none of the variance of {len(truth)} samples (R2 = {explained:.3g}): "
            "their mean alone is as good a guess.",
            "A limit on the drop means nothing here: check the truth, preprocessing and the model file.",
        )


def tail(count: int, successes: int, chance: Fraction) -> float:
    """The probability of at least ``successes`` of ``count`` by ``chance`` alone (exact binomial test)."""
    if successes <= 0:
        return 1.0
    p, q = chance.numerator, chance.denominator
    ways = sum(comb(count, k) * p**k * (q - p) ** (count - k) for k in range(successes, count + 1))
    return float(Fraction(ways, q**count))


def _relabelled(named: IntArray, labels: Classes, classes: int) -> tuple[Classes, int] | None:
    """Another order of the labels with which clearly more samples would be right: ``(order, right then)``.

    ``order[c]`` is the label that goes with the output ``c``. Only an order that each class's own majority
    asks for is believed, and only where it explains what chance cannot.
    """
    known = named >= 0
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (named[known], labels[known]), 1)
    order = np.arange(classes)
    seen = confusion.sum(axis=1) > 0
    order[seen] = confusion[seen].argmax(axis=1)
    if len(set(order.tolist())) != classes or (order == np.arange(classes)).all():
        return None
    before, after = int(np.trace(confusion)), int(confusion[np.arange(classes), order].sum())
    moved = order != np.arange(classes)
    lost = int(confusion[moved, moved.nonzero()[0]].sum())
    gained = int(confusion[moved, order[moved]].sum())
    if tail(lost + gained, gained, Fraction(1, 2)) > SURE / 10:
        return None
    return order, before - lost + gained if after else before


def _order(order: Classes, names: Sequence[str]) -> str:
    classes = len(order)
    step = int((order[0] - 0) % classes)
    if step and (order == (np.arange(classes) + step) % classes).all() and classes > 2:
        return f"every label moved by {step} (output 0 means {_named(int(order[0]), names)})"
    moved = [c for c in range(classes) if order[c] != c]
    words = [f"output {c} meaning {_named(int(order[c]), names)}" for c in moved[:_MOST_NAMED]]
    more = f" and {len(moved) - _MOST_NAMED} more" if len(moved) > _MOST_NAMED else ""
    return ", ".join(words) + more


def _named(label: int, names: Sequence[str]) -> str:
    return f"label {label} ({names[label]})" if label < len(names) else f"label {label}"
