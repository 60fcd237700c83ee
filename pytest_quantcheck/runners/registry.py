"""Which host runners there are, by the name that commands and reports use; each is imported on first use."""

from __future__ import annotations

import importlib

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.runners.run import Runner

HOST_RUNNERS = {
    "tflm": "tflm:TflmRunner",
    "integer": "integer:IntegerRunner",
    "litert": "litert:LitertRunner",
    "litert_reference": "litert:LitertReferenceRunner",
    "cmsis_nn": "cmsis_nn:CmsisNnRunner",
    "onnxruntime": "onnxruntime:OnnxruntimeRunner",
}


def host_runner(name: str) -> Runner:
    """The host runner of that name. ``UsageError`` for an unknown one, ``MissingExtraError`` on use."""
    if name not in HOST_RUNNERS:
        raise UsageError(f"runner {name!r} is not known; on the host there are: {', '.join(HOST_RUNNERS)}")
    module, _, runner = HOST_RUNNERS[name].partition(":")
    made: Runner = getattr(importlib.import_module(f"pytest_quantcheck.runners.{module}"), runner)()
    return made
