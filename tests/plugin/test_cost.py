"""What a gated test may not do: compute what nobody reads, or twice, or import what it does not use."""

from __future__ import annotations

import pytest

from tests.bench.gated import FILES

pytestmark = pytest.mark.host

COUNTING = r"""
import sys
from collections import Counter

import pytest
from pytest_quantcheck.verdict.metrics import classification

CALLS = Counter()

def counting(name):
    function = getattr(classification, name)
    def counted(*arguments):
        CALLS[name] += 1
        return function(*arguments)
    setattr(classification, name, counted)

counting("decisions")
counting("tally")

def pytest_runtest_call(item):
    CALLS.clear()

def pytest_sessionfinish():
    unused = ("models.load", "rig.session", "runners.board", "image.compile", "graph.execute",
              "quantizers.quantize", "verdict.locate", "verdict.causes.upstream.upstream")
    print("\nCALLS", dict(CALLS))
    print("IMPORTED", [name for name in unused if f"pytest_quantcheck.{name}" in sys.modules])
"""


def outlines(pytester: pytest.Pytester, *options: str) -> list[str]:
    for name, content in FILES.items():
        pytester.makefile(f".{name.partition('.')[2]}", **{name.partition(".")[0]: content})
    pytester.makeconftest(COUNTING)
    result = pytester.runpytest_subprocess(
        "-s", "-q", *options, *(f"test_it.py::test_it[nets-{n}]" for n in (0, 1))
    )
    result.assert_outcomes(passed=2)
    return [line for line in result.outlines if line.startswith(("CALLS", "IMPORTED"))]


def test_a_check_decides_once_for_each_model_and_counts_no_tables_that_nobody_reads(
    pytester: pytest.Pytester,
) -> None:
    """Two models are decided about, the quantized one and its float source."""
    assert outlines(pytester) == ["CALLS {'decisions': 2}", "IMPORTED []"]


def test_a_report_has_the_tables_of_each_check(pytester: pytest.Pytester) -> None:
    assert outlines(pytester, "--qc-report", "json=r.json")[0] == "CALLS {'decisions': 3, 'tally': 1}"
    assert "confusion matrix" in (pytester.path / "r.json").read_text()


STARTED = r"""
def pytest_runtest_setup():
    import sys
    parent = sys.modules.get("pytest_quantcheck.runners.worker.parent")
    shared = parent._shared.values() if parent else ()
    print("\nSTARTED", *sorted(worker.interpreter for worker in shared if worker.pid))
"""
ONE = {
    "a gate": "def test(quantized_model, test_vectors, gate): assert gate",
    "no gate": "def test(quantized_model): pass",
    "an ONNX model": "def test(quantized_model, gate): pytest.skip('none here')",
}


@pytest.mark.parametrize(
    ("what", "options", "started"),
    [
        ("a gate", [], ["STARTED litert tflm"]),
        ("a gate", ["--collect-only"], []),
        ("no gate", [], ["STARTED"]),
        ("an ONNX model", [], ["STARTED"]),
    ],
)
def test_workers_start_before_the_first_test_where_a_gate_will_ask_them(
    what: str, options: list[str], started: list[str], pytester: pytest.Pytester
) -> None:
    pytester.makefile(".py", nets=FILES["nets.py"])
    pytester.makeconftest(STARTED)
    artefact = "none.onnx" if what == "an ONNX model" else "nets:net"
    mark = f'import pytest\n@pytest.mark.quant(artefact="{artefact}", data="nets:dataset")\n'
    result = pytester.runpytest_subprocess("-s", *options, pytester.makepyfile(mark + ONE[what]))
    assert [line.strip() for line in result.outlines if line.startswith("STARTED")] == started
