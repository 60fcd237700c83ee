"""One job: a configuration with its model, its data and what its steps have made, each made once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.representative import leaks
from pytest_quantcheck.errors import QuantcheckError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.summary import Summary
from pytest_quantcheck.models.files.kind import file_kind
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.artefact import read_artefact
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.workflows.model_zoo import modes
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration, edges
from pytest_quantcheck.workflows.model_zoo.datasets import Data
from pytest_quantcheck.workflows.model_zoo.run_folder import RunFolder
from pytest_quantcheck.workflows.model_zoo.tools import Tools


@dataclass
class Job:
    """What steps work on. A step that needs another's product makes it, or has it from the cache."""

    config: Configuration
    tools: Tools

    @cached_property
    def folder(self) -> RunFolder:
        return RunFolder(self.config)

    @cached_property
    def given(self) -> FloatModel | QuantizedModel:
        """The model of ``general.model_path``: a float one, or one that computes in integers already."""
        path = self.config.model
        if file_kind(path) in ("tflite", "onnx") and _is_quantized(read_summary(read_whole(path))):
            return read_artefact(path, name=path.stem)
        try:
            return load(path, cache=self.tools.cache)
        except QuantcheckError as error:
            raise type(error)(f"{self.config.composed.place('general', 'model_path')}: {error}") from error

    @property
    def float_model(self) -> FloatModel:
        """The given model where only a float one makes sense."""
        if isinstance(self.given, QuantizedModel):
            raise self.config.error(
                f"{self.config.model.name} computes in integers already; {self.config.mode} begins with a "
                "float model",
                *self.config.model_key,
            )
        return self.given

    @cached_property
    def summary(self) -> Summary:
        """Tensors and operators of the given model."""
        return read_summary(
            self.given.artefact if isinstance(self.given, QuantizedModel) else self.given.content
        )

    @cached_property
    def data(self) -> Data:
        return Data(self.config, self.summary)

    @property
    def evaluation(self) -> Dataset | None:
        """What models are evaluated on; None where the file names nothing."""
        return self.data.evaluation

    @cached_property
    def configuration(self) -> QuantConfig:
        """How the float model is quantized."""
        wanted = self.config.quantization
        assert wanted is not None, "checked: there is a step that quantizes"
        input_type, output_type = edges(self.config)
        return QuantConfig(
            input_type=input_type,
            output_type=output_type,
            granularity=wanted.granularity,
            calibration=self.data.calibration,
            quantizer="onnx" if wanted.quantizer == "Onnx_quantizer" else "tflite",
            optimize=wanted.optimize,
        )

    @property
    def has_quantized(self) -> bool:
        """Whether there is an integer model: given, or made by a step of this mode."""
        return modes.QUANTIZE in self.config.steps or isinstance(self.given, QuantizedModel)

    @cached_property
    def quantized(self) -> QuantizedModel:
        """The product of the step ``quantize``; of a mode without it the given integer model."""
        if modes.QUANTIZE not in self.config.steps:
            assert isinstance(self.given, QuantizedModel), "steps look before they ask"
            return self.given
        model, samples = self.float_model, self.data.calibrating
        span = self.data.input_range if samples is None else None
        if samples is None and span is None:
            raise UsageError(
                f"{self.config.composed.place('dataset')}: calibration is random, and nothing says what the "
                "model's input reaches from and to; give preprocessing.rescaling, or quantcheck.input_range: "
                "[low, high]"
            )
        made = quantize(model, self.configuration, samples, cache=self.tools.cache, input_range=span)
        found = self._leaks(made, samples)
        if not found:
            return made
        findings = [*made.manifest["findings"], *(each.to_dict() for each in found)]
        return replace(made, manifest={**made.manifest, "findings": findings})

    def _leaks(self, made: QuantizedModel, samples: Samples | None) -> list[Finding]:
        """Test samples that calibrated, where a step scores the model with them."""
        scoring = {modes.EVALUATE_QUANTIZED, modes.DEPLOY} & set(self.config.steps)
        if samples is None or self.evaluation is None or not scoring:
            return []
        known = set(made.manifest["calibration"]["ids"])
        chosen = samples.take([row for row, name in enumerate(samples.names) if name in known])
        return leaks(chosen, self.evaluation.test, by_id=False)

    def samples(self) -> Samples:
        """Test samples for a board: few, chosen by name; random ones where the file names no data."""
        most = self.config.quantcheck.vectors if self.tools.vectors is None else self.tools.vectors
        return self.few(self.evaluation.test, most) if self.evaluation else self.data.random_samples(most)

    @staticmethod
    def few(samples: Samples, most: int) -> Samples:
        """At most so many, chosen by name across all classes."""
        from pytest_quantcheck.data.subset import subset

        return samples if most >= len(samples) else samples.take(subset(samples, most))


def _is_quantized(summary: Summary) -> bool:
    return any(len(tensor.scales) for tensor in summary.tensors)
