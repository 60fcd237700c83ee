"""``python -m tests.catalogue.page`` writes docs/causes.md from the catalogue."""

from __future__ import annotations

from pathlib import Path

from pytest_quantcheck.verdict.causes.catalogue import CATALOGUE
from pytest_quantcheck.verdict.causes.entries.entry import Entry

PAGE = Path(__file__).parents[2] / "docs" / "causes.md"
FAMILIES = {
    "integers": "Integers: the device computes otherwise",
    "data": "Data and model: the integers agree, and the accuracy is low",
    "rig": "Rig: the device, what it holds and what reaches it",
}
HEAD = """# Causes

When a device disagrees with the exact reference, or a quantized model is worse than its float model,
quantcheck names the cause where it can prove it. This page lists every cause that it knows, with the public
reports that it traces to.

A cause is named with confidence only where something was computed again, or counted, that gives what was
seen: the operator computed with the mistake gives the device's tensors bit for bit, in several samples; or a
score on the float model or on the quantized network rises when the suspect is undone, by half of what is
missing or more. Everything else is called a suspicion. Where nothing fits, the cause is *unknown*.

Where several mistakes give the same tensors up to three are named, in the order in which they are believed.
An input of zeros was never written before it is anything else that would round all of it to 0.

`make catalogue` injects the causes in three variants or more (layer, magnitude, model), other faults that
must stay *unknown*, and sound runs. It prints who was named for whom.

A failed check names causes by itself; `quantcheck compare` does for two runners, and
[`quantcheck explain`](commands/explain.md) for one model. The code is what JSON reports hold.
"""


def render() -> str:
    """The page's text."""
    parts = [HEAD]
    for family, title in FAMILIES.items():
        rows = [_row(entry) for entry in CATALOGUE.values() if entry.family == family]
        table = [
            "| code | what it is | named when | what to do | reported in |",
            "|---|---|---|---|---|",
            *rows,
        ]
        parts.append(f"\n## {title}\n\n" + "\n".join(table) + "\n")
    return "".join(parts)


def _row(entry: Entry) -> str:
    reports = ", ".join(_link(each) for each in entry.reports)
    return f"| `{entry.code}` | {entry.sentence} | {entry.evidence} | {entry.remedy} | {reports} |"


def _link(report: str) -> str:
    repository, _, number = report.partition("#")
    return f"[{report}](https://github.com/{repository}/issues/{number})"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
