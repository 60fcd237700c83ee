"""The folder of a run, as ``hydra.run.dir`` names it: configuration, logs, models."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from pytest_quantcheck.files import read_whole, write_whole
from pytest_quantcheck.quantizers.artefact import write_artefact
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration

LOG = "quantcheck.log"
MODEL = "quantized_model"


class RunFolder:
    """Made when a step runs. Several processes may write to one: each writes whole files of its own."""

    def __init__(self, config: Configuration) -> None:
        self.path = config.run_dir
        self._config = config

    def prepare(self) -> None:
        """The configuration as it was composed, where Hydra puts it."""
        composed, folder = self._config.composed, self._folder(".hydra")
        write_whole(folder / "config.yaml", yaml.safe_dump(composed.values, sort_keys=False).encode())
        write_whole(folder / "hydra.yaml", composed.hydra.encode())
        overrides = [text.lstrip("+") for text in composed.overrides]
        write_whole(folder / "overrides.yaml", yaml.safe_dump(overrides).encode())

    def log(self, text: str) -> None:
        """A line with its time, appended."""
        self.path.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write("".join(f"[{stamp}] {line}\n" for line in text.splitlines()))

    def results(self, step: str, rows: Sequence[Row]) -> None:
        """What a step found, in ``logs_dir``: ``evaluate_float.json``."""
        plain = [row.to_dict() for row in rows]
        path = self._folder(self._config.general.logs_dir) / f"{step}.json"
        write_whole(path, json.dumps(plain, indent=2, sort_keys=True).encode() + b"\n")

    def model(self, model: QuantizedModel, suffix: str) -> Path:
        """The integer model with its manifest in ``export_dir``, and once more among the saved models."""
        assert self._config.quantization is not None, "there is a step that quantizes"
        name = f"{MODEL}{suffix}"
        write_whole(self._folder(self._config.general.saved_models_dir) / name, model.artefact)
        path = self._folder(self._config.quantization.export_dir) / name
        write_artefact(model, path)
        return path

    def float_model(self, source: Path) -> None:
        """The model that was given, among the saved models."""
        if source.is_file():
            write_whole(self._folder(self._config.general.saved_models_dir) / source.name, read_whole(source))

    def file(self, name: str) -> Path:
        """A file of a step's own."""
        self.path.mkdir(parents=True, exist_ok=True)
        return self.path / name

    def _folder(self, name: str) -> Path:
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
