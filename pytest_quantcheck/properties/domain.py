"""What an implementation promises, and how counterexamples are searched for and reported."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pytest_quantcheck.numerics.affine import DIVISIONS, DTYPES, Division, QuantParams
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.rounding import ROUNDINGS, Rounding
from pytest_quantcheck.strategies import values

T = TypeVar("T")


@dataclass(frozen=True)
class Domain:
    """Where and how a quantizer works.

    ``rounding`` and ``division`` as in ``numerics.affine.quantize``. ``scales`` bounds the float32
    scales, ``power_of_two`` admits only powers of two, ``zero_points`` bounds the zero points (None:
    the whole type). ``reach`` is the largest ``|x / scale|`` that it takes; infinity includes
    infinite ``x``. ``max_examples`` None: as Hypothesis' profile says.
    """

    dtypes: tuple[str, ...] = ("int8",)
    rounding: Rounding = "half_away"
    division: Division = "float32"
    scales: tuple[float, float] = (2.0**-20, 16.0)
    power_of_two: bool = False
    zero_points: tuple[int, int] | None = None
    reach: float = math.inf
    max_examples: int | None = None

    def __post_init__(self) -> None:
        for key, value, known in (
            ("rounding", self.rounding, ROUNDINGS),
            ("division", self.division, DIVISIONS),
            *(("dtypes", dtype, DTYPES) for dtype in self.dtypes),
        ):
            if value not in known:
                raise ValueError(f"{key}: {value!r} is not known; allowed: {', '.join(known)}")

    def params(self, **changes: Any) -> st.SearchStrategy[QuantParams]:
        """Quantization parameters within the domain."""
        options: dict[str, Any] = {
            "dtypes": self.dtypes,
            "scales": self.scales,
            "zero_points": self.zero_points,
            "power_of_two": self.power_of_two,
        }
        return values.quant_params(**{**options, **changes})

    def __str__(self) -> str:
        return f"{self.rounding} after {self.division} division"


INT8 = Domain()


def search(
    cases: st.SearchStrategy[T],
    judge: Callable[[T], None],
    max_examples: int | None,
    plain: Iterable[T] = (),
) -> None:
    """Call ``judge`` with many cases; where it fails, with smaller and smaller ones until none fails.

    ``plain`` cases come first: a bug that they show is reported with them, which shrinking may miss.
    """
    for case in plain:
        judge(case)
    options: dict[str, Any] = {} if max_examples is None else {"max_examples": max_examples}

    @settings(
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate, Phase.target, Phase.shrink),
        **options,
    )
    @given(cases)
    def holds(case: T) -> None:
        judge(case)

    holds()


def integers(call: Callable[..., npt.ArrayLike], *arguments: Any, like: Array, holder: str) -> list[int]:
    """What the implementation returns, one integer for each of ``like``."""
    with np.errstate(
        over="ignore"
    ):  # a quotient beyond float32 is infinity, which saturates like any large one
        # copies: what an implementation writes into its input must not become the expectation
        result = np.asarray(call(*(a.copy() if isinstance(a, np.ndarray) else a for a in arguments)))
    if result.shape != like.shape or result.dtype.kind not in "iu":
        fail(
            holder,
            f"returned {result.dtype.name} of shape {result.shape}; asked for integers of shape {like.shape}",
            f"{name(call)}({', '.join(map(show, arguments))})",
        )
    return [int(q) for q in result.reshape(-1)]


def fail(holder: str, message: str, *lines: str) -> NoReturn:
    """Raise the AssertionError that shows a counterexample, with lines that can be pasted."""
    raise AssertionError("\n    ".join((f"{holder}: {message}", *lines)))


def name(call: Callable[..., Any]) -> str:
    """The implementation's name, for messages."""
    own = getattr(call, "__name__", "")
    return own if own.isidentifier() else "implementation"


def show(value: Any) -> str:
    """``value`` as Python source."""
    text = (
        f"np.array({value.tolist()!r}, np.{value.dtype.name})"
        if isinstance(value, np.ndarray)
        else repr(value)
    )
    return re.sub(r"\b(inf|nan)\b", r"np.\1", text)
