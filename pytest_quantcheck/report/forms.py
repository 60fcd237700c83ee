"""The forms of a report, by the name that ``--qc-report NAME=...`` gives them; each is made by one module.

A form's module has ``write(report, target)``, which raises ``OSError`` or ``QuantcheckError`` for what cannot
be written. It is imported when a report is written: reading this list costs the standard library only.
"""

from __future__ import annotations

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
    is, anything else lists the words that are allowed. ``extra`` brings ``package``, where one is needed.
    """

    module: str
    target: str = "FILE"
    package: str = ""
    extra: str = ""

    @property
    def is_path(self) -> bool:
        return self.target in ("FILE", "PREFIX")

    @property
    def words(self) -> tuple[str, ...]:
        """The words that are allowed; empty for paths and URIs."""
        return () if self.is_path or self.target == "URI" else tuple(self.target.split("|"))

    def require(self, name: str) -> None:
        """Raises ``MissingExtraError`` where the package is missing: before the run, not after it."""
        if self.package and find_spec(self.package) is None:
            raise MissingExtraError(self.package, self.extra, f"--qc-report {name}={self.target}")

    def write(self, report: Report, target: str) -> None:
        import_module(f"pytest_quantcheck.report.{self.module}").write(report, target)


FORMS = {
    "md": Form("markdown"),
    "json": Form("json"),
    "html": Form("html.page"),
}


def allowed() -> str:
    """All forms as an option names them: ``md=FILE, json=FILE``."""
    return ", ".join(f"{name}={form.target}" for name, form in FORMS.items())
