"""A float ``.tflite`` file rewritten so that one scale per layer loses less; what it computes stays the same.

Batch norms that a converter left behind a layer are folded into it, high biases are absorbed, and weights are
equalised across pairs of layers (``pair.py``). It ends as a new file and a plain report of what was done and
what was not, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pytest_quantcheck.models.equalization.network import Network
from pytest_quantcheck.models.equalization.pair import Seen
from pytest_quantcheck.numerics.arrays import Array

Run = Callable[[bytes, Sequence[int]], Iterator[list[Array]]]  # content, tensors -> their values per sample

SWEEPS = 50
SETTLED = 1e-3  # of the logarithm of a factor


def optimize(content: bytes, run: Run) -> tuple[bytes, dict[str, Any]]:
    """The equalised file, and what was done: folded operators, pairs, their factors, layers without a pair.

    ``run`` executes a file on the calibration samples. What keeps the network its own: no activation's range
    grows, dead channels and those that reach the clip of a ReLU6 keep their scale, and no factor passes
    ``LARGEST_FACTOR``.
    """
    network = Network(content)
    seen = _watch(network, run)
    for pair, what in zip(network.pairs, seen, strict=True):
        pair.absorb(what)
    for pair, what in zip(network.pairs, seen, strict=True):
        pair.judge(what)
    for _ in range(SWEEPS):
        if max((pair.equalize() for pair in network.pairs), default=0.0) < SETTLED:
            break
    return network.write(), _report(network)


def _watch(network: Network, run: Run) -> list[Seen]:
    """What the first layer of each pair puts out, behind its fused activation."""
    tensors = [int(pair.first.operator.outputs[0]) for pair in network.pairs]
    sizes = [len(pair.factors) for pair in network.pairs]
    seen = [Seen(np.full(n, np.inf), np.full(n, -np.inf), np.zeros(n), np.zeros(n)) for n in sizes]
    samples = 0
    for values in run(network.write(), tensors):
        samples += 1
        for what, value in zip(seen, values, strict=True):
            rows = value.reshape(-1, value.shape[-1]).astype(np.float64)
            what.least = np.minimum(what.least, rows.min(axis=0))
            what.largest = np.maximum(what.largest, rows.max(axis=0))
            what.mean += rows.mean(axis=0)
            what.deviation += np.square(rows).mean(axis=0)
    for what in seen:
        what.mean /= samples
        what.deviation = np.sqrt(np.maximum(what.deviation / samples - what.mean**2, 0))
    return seen


def _report(network: Network) -> dict[str, Any]:
    return {
        "folded_operators": network.folded,
        "pairs": [
            {
                "layers": [str(pair.first), str(pair.second)],
                "channels": len(pair.factors),
                "kept": pair.kept,
                "absorbed": pair.absorbed,
                "factors": [float(pair.factors.min()), float(pair.factors.max())],
            }
            for pair in network.pairs
        ],
        "left": network.left,
    }
