"""Operation modes: which steps each one takes, in order."""

from __future__ import annotations

EVALUATE, EVALUATE_FLOAT, EVALUATE_QUANTIZED = "evaluate", "evaluate_float", "evaluate_quantized"
QUANTIZE = "quantize"
BENCHMARK, DEPLOY, PREDICT = "benchmark", "deploy", "predict"
MODES: dict[str, tuple[str, ...]] = {
    "quantization": (QUANTIZE,),
    "evaluation": (EVALUATE,),
    "benchmarking": (BENCHMARK,),
    "deployment": (DEPLOY,),
    "prediction": (PREDICT,),
    "chain_eqe": (EVALUATE_FLOAT, QUANTIZE, EVALUATE_QUANTIZED),
    "chain_eqeb": (EVALUATE_FLOAT, QUANTIZE, EVALUATE_QUANTIZED, BENCHMARK),
    "chain_qb": (QUANTIZE, BENCHMARK),
    "chain_qd": (QUANTIZE, DEPLOY),
}
TRAINING = {
    "training": "quantization",
    "chain_tqe": "chain_eqe",
    "chain_tqeb": "chain_eqeb",
    "chain_tbqeb": "chain_eqeb",
    "chain_tb": "benchmarking",
    "chain_tqb": "chain_qb",
}
"""Modes that train, and what does the rest of the work with the model that came out of it."""
NEEDS = {
    EVALUATE_QUANTIZED: (QUANTIZE,),
    BENCHMARK: (QUANTIZE,),
    DEPLOY: (QUANTIZE,),
}
"""Which other step's product a step needs, where its mode has that step."""


def needs(mode: str, step: str) -> tuple[str, ...]:
    """The steps of ``mode`` whose product ``step`` needs."""
    return tuple(need for need in NEEDS.get(step, ()) if need in MODES[mode])
