"""A benchmark as a table of text."""

from __future__ import annotations

from statistics import median

from pytest_quantcheck.runners.benchmark import Benchmark, TargetUse
from pytest_quantcheck.runners.run import Run


def benchmark_table(found: Benchmark, run: Run | None = None) -> list[str]:
    """Lines: a row per layer, totals, a row per target, and what ``run`` measured on its board."""
    unit = run.unit if run is not None else ""
    counted = unit if any(layer.counter is not None for layer in found.layers) else ""
    lines = [_line("", "operator", "output", "MACs", "flash", "arena", counted)]
    for layer in found.layers:
        number = f"{layer.index}.{layer.output}" if layer.output else str(layer.index)
        shape = "x".join(map(str, layer.shape[1:] or layer.shape))
        counter = "" if layer.counter is None else f"{layer.counter:,.0f}"
        macs, flash, arena = (f"{each:,}" for each in (layer.macs, layer.flash, layer.arena))
        lines.append(_line(number, layer.kind, shape, macs, flash, arena, counter))
    tables = found.flash - sum(layer.flash for layer in found.layers)
    lines.append(_line("", "header and tables", "", "", f"{tables:,}", "", ""))
    total = f"{median(run.counters):,.0f}" if run is not None and run.counters else ""
    lines.append(_line("", "all", "", f"{found.macs:,}", f"{found.flash:,}", f"{found.arena:,}", total))
    width = max(len(use.target) for use in found.targets)
    lines += ["", *(_target(found, use, width) for use in found.targets)]
    if run is not None:
        lines += ["", _measured(found, run)]
    return lines


def _line(number: str, kind: str, shape: str, macs: str, flash: str, arena: str, counter: str) -> str:
    return f"{number:>4}  {kind:<24} {shape:<12} {macs:>12} {flash:>9} {arena:>9} {counter:>14}".rstrip()


def _target(found: Benchmark, use: TargetUse, width: int) -> str:
    stack = f", {use.stack:,} bytes of stack reserved" if use.stack else ""
    return (
        f"{use.target:<{width}}  flash {found.flash / use.flash:6.1%} of {use.flash // 1024} KiB, "
        f"RAM {found.ram / use.ram:6.1%} of {use.ram // 1024} KiB{stack}: "
        f"{'fits' if use.fits else 'does not fit'}"
    )


def _measured(found: Benchmark, run: Run) -> str:
    parts = []
    if run.counters:
        middle = median(run.counters)
        each = f", {middle / found.macs:.2f} per MAC" if found.macs else ""
        parts.append(f"{middle:,.0f} {run.unit} per inference{each}")
        if run.unit == "cycles" and run.clock_hz:
            parts.append(f"{middle / run.clock_hz * 1e3:.3f} ms at {run.clock_hz / 1e6:g} MHz")
    for name, size in (
        ("arena", run.footprint.arena),
        ("stack", run.footprint.stack),
        ("firmware", run.footprint.firmware),
    ):
        if size is not None:
            parts.append(f"{name} {size:,} bytes")
    return f"measured on {run.device.board} ({run.runtime}): {', '.join(parts)}"
