"""What a quantizer returns: the artefact's bytes and how they came about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.data.tasks.heads.finish import Finish
from pytest_quantcheck.quantizers.config import QuantConfig

if TYPE_CHECKING:
    from pytest_quantcheck.graph.model import QuantGraph


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """An artefact (``.tflite`` flatbuffer or ``.onnx`` QDQ model), its name, configuration and float source.

    ``float_model`` is the float model of the same network, in either format, empty when it is not known.
    ``manifest`` says how the artefact was made (source hash, calibration ids and hash, versions). ``finish``
    is what the host does with the outputs before a task reads them: the operator
    ``TFLite_Detection_PostProcess`` at the end of either file and constant outputs are cut off and done
    there.
    """

    name: str
    artefact: bytes = field(repr=False)
    config: QuantConfig | None = None
    float_model: bytes = field(default=b"", repr=False)
    manifest: dict[str, Any] = field(default_factory=dict, repr=False)
    path: Path | None = None
    finish: Finish | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for key in ("artefact", "float_model"):
            content, finish = Finish.cut_off(getattr(self, key))
            if finish is not None:
                object.__setattr__(self, key, content)
                object.__setattr__(self, "finish", finish)

    @cached_property
    def id(self) -> str:
        return f"{self.name}-{self.config.id}" if self.config else self.name

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.artefact).hexdigest()

    @cached_property
    def graph(self) -> QuantGraph:
        """The integer graph read from the artefact (raises ``ModelError``)."""
        from pytest_quantcheck.graph.read import read_graph

        return read_graph(self.artefact)

    @cached_property
    def folded(self) -> QuantGraph:
        """What a device image is made from: ``graph`` without channels that cannot change an output."""
        from pytest_quantcheck.graph.folding import without_dead_channels

        return without_dead_channels(self.graph)

    @property
    def random_calibration(self) -> bool:
        """True when the calibration was random: no accuracy may be claimed."""
        return self.config is not None and self.config.calibration.kind == "random"
