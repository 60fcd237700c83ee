"""Trained models through Model-Zoo files, from pictures and recordings to a board's flash."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conformance_models import audio_events, persons
from conformance_models.onnx_nets.from_keras import from_keras
from tests.plugin.test_yaml import FILES, Finished, run

pytestmark = pytest.mark.hw

PERSONS = """\
operation_mode: MODE
general: { model_path: persons.keras, model_type: st_ssd_mobilenet_v1 }
dataset:
  name: persons
  class_names: [ person ]
  quantization_path: persons/train
  test_path: persons/test
preprocessing:
  rescaling: { scale: 1/127.5, offset: -1 }
  resizing: { aspect_ratio: fit, interpolation: nearest }
  color_mode: rgb
postprocessing: { confidence_thresh: 0.05, NMS_thresh: 0.45, IoU_eval_thresh: 0.5, max_detection_boxes: 10 }
quantization:
  quantizer: TFlite_converter
  quantization_type: PTQ
  quantization_input_type: uint8
  quantization_output_type: float
hydra: { run: { dir: out/persons_MODE } }
quantcheck: { max_drop: 0.05, board: virtual-stm32f405, vectors: 6 }
"""
SOUNDS = (FILES / "sounds.yaml").read_text().replace(
    "operation_mode: quantization", "operation_mode: MODE"
).replace("tones.h5", "audio_events.keras").replace(
    "['rooster', 'dog']", str(list(audio_events.CLASSES))
).replace("sounds\\esc.csv", "sounds/train/clips.csv").replace("sounds\\audio", "sounds/train/audio").replace(
    "test_audio_path: # Optional", "test_audio_path: sounds/test/audio"
).replace("test_csv_path: # Optional", "test_csv_path: sounds/test/clips.csv").replace(
    "quantization_split: 0.1", "quantization_split: 0.5"
).replace("./experiments_outputs/${now:%Y_%m_%d_%H_%M_%S}", "out/sounds_MODE").replace(
    "mlflow:\n  uri: ./experiments_outputs/mlruns\n", ""
) + "quantcheck: { max_drop: 0.05, board: virtual-esp32c3, vectors: 6 }\n"
ONNX = (
    PERSONS.replace("persons.keras", "persons.onnx")
    .replace("TFlite_converter", "Onnx_quantizer")
    .replace("out/persons", "out/onnx")
    .replace("virtual-stm32f405, vectors: 6", "virtual-esp32c3, vectors: 2, integer_edges: true")
)
DEPLOYED = "general: { model_path: out/persons_chain_qd/quantized_models/quantized_model.tflite, model_type: "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("trained")
    persons.float_model().save(made / "persons.keras")
    anchors = persons.ANCHORS[:, [1, 0, 3, 2]].astype(np.float32)[np.newaxis]
    (made / "persons.onnx").write_bytes(from_keras(persons.network(), constants=[anchors]))
    persons.write(made / "persons" / "train", range(40))
    persons.write(made / "persons" / "test", range(5000, 5020))
    audio_events.float_model().save(made / "audio_events.keras")
    audio_events.write(made / "sounds" / "train", range(2))
    audio_events.write(made / "sounds" / "test", range(500, 501))
    return made


@pytest.fixture(scope="module")
def finished(folder: Path) -> Finished:
    texts = {"persons": PERSONS, "sounds": SOUNDS, "onnx": ONNX}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text.replace("MODE", "chain_qd"))
        (folder / f"{name}_eqe.yaml").write_text(text.replace("MODE", "chain_eqe"))
    names = [f"{name}{chain}.yaml" for name in texts for chain in ("", "_eqe")]
    return run(folder, *names, "--qc-rig=virtual")


@pytest.mark.parametrize(
    ("name", "board", "metric", "least"),
    [
        ("persons", "virtual-stm32f405", "map50", 0.85),
        ("sounds", "virtual-esp32c3", "clip_accuracy", 0.9),
        ("onnx", "virtual-esp32c3", "map50", 0.85),
    ],
)
def test_trained_models_score_on_the_board_what_they_score_here(
    finished: Finished, name: str, board: str, metric: str, least: float
) -> None:
    assert finished.code == 0, finished.text
    host, there = finished.rows[f"{name}_eqe", "evaluate_quantized"], finished.rows[name, "deploy"]
    assert (there["target"], there["exact"], there["outcome"]) == (board, True, "pass")
    assert host["outcome"] == "pass"
    scores = [row["scores"][0] for row in (host, there)]
    assert [each["metric"] for each in scores] == [metric] * 2
    assert scores[0]["value"] == scores[1]["value"] > least


def test_deployment_alone_stores_a_model_that_was_quantized_before(finished: Finished, folder: Path) -> None:
    assert finished.code == 0, finished.text
    text = PERSONS.replace("MODE", "deployment").replace("max_drop: 0.05, ", "")
    text = text.replace("general: { model_path: persons.keras, model_type: ", DEPLOYED)
    (folder / "deployed.yaml").write_text(text)
    done = run(folder, "deployed.yaml", "--qc-rig=virtual")
    assert done.code == 0, done.text
    row = done.rows["deployed", "deploy"]
    assert (row["exact"], row["outcome"], row["samples"]) == (True, "pass", 6)
    assert row["scores"][0]["value"] == finished.rows["persons", "deploy"]["scores"][0]["value"]


def test_the_manifest_names_the_pictures_that_calibrated(finished: Finished, folder: Path) -> None:
    assert finished.code == 0, finished.text
    manifest = json.loads(
        (folder / "out/persons_chain_qd/quantized_models/quantized_model.tflite.json").read_text()
    )
    assert manifest["calibration"]["ids"] == [f"{number:05d}.png" for number in range(40)]
