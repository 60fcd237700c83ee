"""A bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

import io
import sys

import pytest

from pytest_quantcheck.data.progress import FEWEST, tracked

pytestmark = pytest.mark.host


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "count", "drawn"), [
    (Terminal, FEWEST, True), (Terminal, FEWEST - 1, False), (io.StringIO, FEWEST, False),
])  # fmt: skip
def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch, stream, count, drawn):
    target = stream()
    monkeypatch.setattr(sys, "stderr", target)
    assert list(tracked(range(count), count, "reading sounds")) == list(range(count))
    assert ("reading sounds" in target.getvalue()) == drawn
