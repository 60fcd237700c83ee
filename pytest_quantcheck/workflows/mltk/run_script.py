"""Runs a script that the user trusts, and writes what it sets: ``python -m ... SCRIPT FOLDER MOST``.

``values.json``: ``settings``, ``parameters``, ``inputs`` (how many arrays); ``0.npy``, ...: the samples.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np

from pytest_quantcheck.workflows.mltk.samples import stacked, validation
from pytest_quantcheck.workflows.mltk.settings import GENERATE, plain


def main(script: str, folder: str, most: int) -> None:
    """Leaves with a message where the script has no model."""
    sys.path.insert(0, str(Path.cwd()))
    values = runpy.run_path(script, run_name=Path(script).stem).values()
    model = next(
        (each for each in values if hasattr(each, "tflite_converter") and not isinstance(each, type)), None
    )
    if model is None:
        sys.exit("it makes no model: nothing in it has tflite_converter settings")
    settings = dict(model.tflite_converter)
    wanted = settings.get("representative_dataset", GENERATE)
    most = min(most, int(settings.get("representative_dataset_max_samples", most)))
    samples = wanted() if callable(wanted) else validation(model)
    arrays = stacked(samples, most)
    for number, array in enumerate(arrays):
        np.save(Path(folder) / f"{number}.npy", array, allow_pickle=False)
    if callable(wanted):
        settings["representative_dataset"] = GENERATE
    parameters = {
        key: value
        for key, value in dict(getattr(model, "model_parameters", {})).items()
        if isinstance(value, (bool, int, float, str, list))
    }
    for key in ("version", "classes"):
        if getattr(model, key, None):
            value = getattr(model, key)
            parameters.setdefault(key, list(value) if key == "classes" else value)
    made = {
        "settings": {key: plain(value) for key, value in settings.items()},
        "parameters": parameters,
        "inputs": len(arrays),
    }
    (Path(folder) / "values.json").write_text(json.dumps(made))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
