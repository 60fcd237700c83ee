"""``optimize=True``: a float model equalised before its layers get one scale each, proven equal, and judged.

The rewriting itself is ``models/equalization/``; here are its cache, the proof, and what it brought.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.representative import Representative
from pytest_quantcheck.errors import QuantizationError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.models.conversion.worker import shared_worker
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.tflite.facts import facts_of

TOLERANCE = 1e-4  # of the largest output: a small part of the 1/256 that int8 resolves
USEFUL = 0.9  # of the error without: a smaller gain is said to be none
LARGE = 0.25  # of the standard deviation of the float outputs


def optimize(model: FloatModel, samples: Representative, cache: Cache) -> tuple[FloatModel, dict[str, Any]]:
    """The equalised model, and the report of ``models.equalize.optimize`` with its ``float_difference``.

    Raises ``QuantizationError`` when the float outputs of both differ on the calibration samples by more than
    ``TOLERANCE`` of the largest output.
    """
    made = cache.get_or_make(
        facts_of("optimize_tflite", model, samples),
        lambda: shared_worker().call("optimize_tflite", content=model.tflite, arrays=samples.inputs),
    )
    line, _, content = made.partition(b"\n")
    report: dict[str, Any] = json.loads(line)
    if not report["float_difference"] <= TOLERANCE:
        raise QuantizationError(
            f"{model.name}: equalising changed the float outputs by {report['float_difference']:.2g} of the "
            f"largest, more than the {TOLERANCE:g} that rounding may cost. Leave optimize out"
        )
    return replace(model, tflite=content), report


def measure(
    model: FloatModel,
    network: FloatModel,
    quantize: Callable[[FloatModel], bytes],
    samples: Representative,
    cache: Cache,
) -> dict[str, float]:
    """The root mean square error against the float ``model``, ``before`` of itself quantized and ``after`` of
    ``network``, and the ``spread`` (standard deviation) of its outputs.

    Over all outputs for the calibration samples. ``quantize`` makes an artefact with float edges.
    """
    artefacts = {"before": quantize(model), "after": quantize(network)}

    def make() -> bytes:
        truth = _outputs(model.tflite, samples)
        errors = {when: _rmse(_outputs(a, samples), truth) for when, a in artefacts.items()}
        return json.dumps({**errors, "spread": float(np.std(truth))}).encode()

    hashes = [hashlib.sha256(artefact).hexdigest() for artefact in artefacts.values()]
    facts = facts_of("measure_optimize", model, samples, artefacts=hashes)
    measured: dict[str, float] = json.loads(cache.get_or_make(facts, make))
    return measured


def _outputs(content: bytes, samples: Representative) -> Array:
    answer = shared_worker().call("tflite_outputs", content=content, arrays=samples.inputs)
    with np.load(io.BytesIO(answer), allow_pickle=False) as stored:
        return np.concatenate([stored[name].ravel() for name in stored.files]).astype(np.float64)


def _rmse(values: Array, truth: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values - truth))))


def finding(report: dict[str, Any]) -> Finding:
    """What equalising brought, in a sentence: a note, or a warning where it brought nothing."""
    before, after = report["rmse"]["before"], report["rmse"]["after"]
    pairs, factors = report["pairs"], [f for pair in report["pairs"] for f in pair["factors"]]
    reach = f" by factors from {min(factors):.3g} to {max(factors):.3g}" if factors else ""
    sentence = (
        f"optimize equalised {len(pairs)} pairs of layers{reach}: the RMSE against float went from "
        f"{before:.3g} to {after:.3g} on the calibration samples"
    )
    if after > USEFUL * before:
        why = "; ".join(f"{reason} ({', '.join(layers)})" for reason, layers in report["left"].items())
        return Finding(
            "warning",
            "optimize_does_not_help",
            f"{sentence}, which is no gain." + (f" Layers that lead no pair: {why}." if why else ""),
            "Leave optimize out, or use per-channel scales.",
        )
    if 0 < LARGE * report["spread"] < after:
        return Finding(
            "warning",
            "optimize_is_not_enough",
            f"{sentence}, still {after / report['spread']:.0%} of how far the float outputs spread "
            f"({report['spread']:.3g}).",
            "Use per-channel scales or scheme int16x8.",
        )
    return Finding("note", "optimize", sentence + ".")
