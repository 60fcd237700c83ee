"""What the plug-in costs a pytest run that does not use it: alternating pairs with and without it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 30


def _seconds(folder: Path, *options: str) -> float:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_nothing.py"]
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(pairs: int = PAIRS) -> list[float]:
    """Differences in seconds, with the plug-in minus without, one per pair."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_nothing.py").write_text("def test_nothing():\n    assert True\n")
        _seconds(folder), _seconds(folder, "-p", "no:quantcheck")  # warm the file cache
        differences = []
        for index in range(pairs):
            first_with = index % 2 == 0
            orders = ((), ("-p", "no:quantcheck")) if first_with else (("-p", "no:quantcheck"), ())
            a, b = (_seconds(folder, *options) for options in orders)
            differences.append(a - b if first_with else b - a)
        return differences


def main() -> None:
    differences = measure()
    quartiles = statistics.quantiles(differences, n=4)
    print(
        f"unused plug-in, {PAIRS} alternating pairs: median {quartiles[1] * 1e3:.1f} ms "
        f"(quartiles {quartiles[0] * 1e3:.1f} .. {quartiles[2] * 1e3:.1f} ms)"
    )


if __name__ == "__main__":
    main()
