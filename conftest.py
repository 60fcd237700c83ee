"""For every test of this repository: pytester, and the built-in virtual boards unless a rig is named."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("qc_rig", None):
        os.environ.setdefault("QC_RIG", "virtual")
