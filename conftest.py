"""For every test of this repository: pytester, Hypothesis profiles, and the built-in virtual boards unless a
rig is named.

By default Hypothesis draws the same examples each time: the verdict on a commit is a matter of the commit.
``--hypothesis-profile=deep`` searches: other ones in each run, and twice as many where a test does not say.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

# no deadline: two cores shared with virtual boards say nothing about a test's speed
settings.register_profile("deep", deadline=None, max_examples=80, derandomize=False)
settings.register_profile("default", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("default")  # and not Hypothesis's own for CI

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background of a script: the processes that tests interrupt would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not config.getoption("qc_rig", None):
        os.environ.setdefault("QC_RIG", "virtual")
