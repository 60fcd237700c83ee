"""Ways to run a model, one file each; all follow ``run.Runner`` and return ``run.Run``."""

from __future__ import annotations

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.runners.run import Runner

HOST_RUNNERS = ("tflm", "integer", "litert", "litert_reference", "onnxruntime")


def host_runner(name: str) -> Runner:
    """The host runner of that name. ``UsageError`` for an unknown one, ``MissingExtraError`` on use."""
    if name == "tflm":
        from pytest_quantcheck.runners.tflm import TflmRunner

        return TflmRunner()
    if name == "integer":
        from pytest_quantcheck.runners.integer import IntegerRunner

        return IntegerRunner()
    if name in ("litert", "litert_reference"):
        from pytest_quantcheck.runners import litert

        return litert.LitertRunner() if name == "litert" else litert.LitertReferenceRunner()
    if name == "onnxruntime":
        from pytest_quantcheck.runners.onnxruntime import OnnxruntimeRunner

        return OnnxruntimeRunner()
    raise UsageError(f"runner {name!r} is not known; on the host there are: {', '.join(HOST_RUNNERS)}")
