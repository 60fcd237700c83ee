"""A plug-in of some other distribution, installed for one test."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def plug_in(tmp_path: Path) -> Callable[[str, str, str], dict[str, str]]:
    """``plug_in(group, line, code)``: the environment of processes that find it beside our own plug-ins.

    ``line`` is that of ``entry_points.txt``, ``code`` the content of the module ``quantcheck_broken``.
    """

    def install(group: str, line: str, code: str) -> dict[str, str]:
        site = tmp_path / "site"
        info = site / "broken_plug_in-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plug-in\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{line}\n")
        (site / "quantcheck_broken.py").write_text(code)
        return {**os.environ, "PYTHONPATH": str(site)}

    return install
