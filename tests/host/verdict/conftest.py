"""Runs made by hand, for verdicts that need no model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.device import Device
from pytest_quantcheck.runners.run import Footprint, Run


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """``make_run(counters=(...), unit=..., ...)``: a run of two inferences on a board."""

    def make(**changes: Any) -> Run:
        facts: dict[str, Any] = {
            "runner": "board",
            "runtime": "quantcheck 1",
            "model": QuantizedModel("net", b"artefact"),
            "vectors": Raw(np.zeros((2, 4), np.int8)),
            "inputs": (np.zeros((2, 4), np.int8),),
            "outputs": (np.zeros((2, 3), np.int8),),
            "device": Device(target="stm32f405xg"),
            "footprint": Footprint(image=40 * 1024, arena=8 * 1024),
        }
        of_device = {key: changes.pop(key) for key in ("target", "unit", "clock_hz") if key in changes}
        facts["device"] = replace(facts["device"], **of_device)
        return Run(**{**facts, **changes})

    return make
