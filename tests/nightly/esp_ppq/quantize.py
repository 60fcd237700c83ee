"""Runs in the environment of esp-ppq, which has nothing of ours: quantizes what a JSON file asks for.

``python quantize.py FOLDER``: for each job of ``FOLDER/jobs.json`` the file ``NAME.espdl``, and ``NAME.npy``
with the executor's outputs, float64 (N, ...), for all samples.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from esp_ppq import QuantizationSettingFactory
from esp_ppq.api import espdl_quantize_onnx
from esp_ppq.executor import TorchExecutor


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    for job in json.loads((folder / "jobs.json").read_text()):
        run(folder, job)


def run(folder: Path, job: dict[str, Any]) -> None:
    """``model``, ``samples``: files; ``target``, ``bits``, ``name``."""
    setting = QuantizationSettingFactory.espdl_setting()
    setting.quantize_activation_setting.calib_algorithm = "minmax"
    x = np.load(folder / job["samples"])
    rows = [torch.from_numpy(each[None]) for each in x]
    copy = folder / f"{job['name']}.onnx"  # it is written over
    shutil.copy(folder / job["model"], copy)
    graph = espdl_quantize_onnx(
        str(copy),
        str(folder / f"{job['name']}.espdl"),
        rows,
        len(rows),
        list(rows[0].shape),
        inputs=[rows[0]],
        target=job["target"],
        num_of_bits=job["bits"],
        device="cpu",
        debug=job["bits"] == 16,
        error_report=False,
        verbose=0,
        setting=setting,
        export_test_values=True,
    )
    executor = TorchExecutor(graph, device="cpu")
    y = np.concatenate([executor.forward(each)[0].detach().numpy() for each in rows])
    np.save(folder / f"{job['name']}.npy", y)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
