"""The forms of a report, by the name that ``--qc-report NAME=...`` gives them; each is made by one module.

A form's module has ``write(report, target)``, which raises ``OSError`` or ``QuantcheckError`` for what cannot
be written, and may return lines for standard output. It is imported when a report is written: reading this
list costs the standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import MissingExtraError

if TYPE_CHECKING:
    from pytest_quantcheck.report.report import Report


@dataclass(frozen=True)
class Form:
    """``target`` is what follows the equals sign: ``FILE`` and ``PREFIX`` are paths, ``URI`` is taken as it
    is. ``extra`` brings ``package``, where one is needed. A form with ``automatic`` has ``auto``, ``on`` and
    ``off`` instead of a target; ``auto``, the default, is on where ``automatic()`` is true.
    """

    module: str
    target: str = "FILE"
    package: str = ""
    extra: str = ""
    automatic: Callable[[], bool] | None = None

    @property
    def is_path(self) -> bool:
        return self.target in ("FILE", "PREFIX")

    def is_on(self, word: str) -> bool:
        """Whether a form with ``automatic`` is to be written."""
        return word == "on" or (word == "auto" and self.automatic is not None and self.automatic())

    def require(self, name: str) -> None:
        """Raises ``MissingExtraError`` where the package is missing: before the run, not after it."""
        if self.package and find_spec(self.package) is None:
            raise MissingExtraError(self.package, self.extra, f"--qc-report {name}={self.target}")

    def write(self, report: Report, target: str) -> Sequence[str]:
        return import_module(f"pytest_quantcheck.report.{self.module}").write(report, target) or ()


def _in_github_actions() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


FORMS = {
    "md": Form("markdown"),
    "json": Form("json"),
    "html": Form("html.page"),
    "figures": Form("figures", target="PREFIX", package="matplotlib", extra="report"),
    "mlflow": Form("mlflow", target="URI", package="mlflow", extra="mlflow"),
    "github": Form("github", target="auto|on|off", automatic=_in_github_actions),
}


def allowed() -> str:
    """All forms as an option names them: ``md=FILE, json=FILE``."""
    return ", ".join(f"{name}={form.target}" for name, form in FORMS.items())
