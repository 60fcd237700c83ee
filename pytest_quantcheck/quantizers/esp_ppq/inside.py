"""Runs in the environment of esp-ppq, which has nothing of ours: quantizes what a folder asks for.

``python inside.py FOLDER`` reads ``job.json`` (``target``, ``bits``, ``method``), ``model.onnx`` and
``samples.npy``, float32 (N, ...); it writes ``model.espdl``, and ``outputs.npz`` with what esp-ppq's executor
gives for the first samples, real numbers (K, ...) for each output. ``python inside.py`` prints the versions.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

LOOKED_AT = 4  # samples for which the executor's outputs are kept


def main(folder: Path) -> None:
    """One model."""
    import numpy as np
    import torch
    from esp_ppq import QuantizationSettingFactory
    from esp_ppq.api import espdl_quantize_onnx
    from esp_ppq.executor import TorchExecutor

    job = json.loads((folder / "job.json").read_text())
    setting = QuantizationSettingFactory.espdl_setting()
    setting.quantize_activation_setting.calib_algorithm = job["method"]
    rows = [torch.from_numpy(row[None]) for row in np.load(folder / "samples.npy", allow_pickle=False)]
    graph = espdl_quantize_onnx(
        str(folder / "model.onnx"),
        str(folder / "model.espdl"),
        rows,
        len(rows),
        list(rows[0].shape),
        inputs=[rows[0]],
        target=job["target"],
        num_of_bits=job["bits"],
        device="cpu",
        debug=job["bits"] == 16,  # the executor sums in float64
        error_report=False,
        verbose=0,
        setting=setting,
        export_test_values=True,
    )
    executor = TorchExecutor(graph, device="cpu")
    given = [executor.forward(row) for row in rows[:LOOKED_AT]]
    outputs = [np.concatenate([each.detach().numpy() for each in same]) for same in zip(*given, strict=True)]
    np.savez(folder / "outputs.npz", *outputs)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        print(json.dumps({name: importlib.metadata.version(name) for name in ("esp-ppq", "torch")}))
