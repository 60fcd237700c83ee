"""What a configuration may say: the documented keys, and forty broken files with forty precise errors."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration
from pytest_quantcheck.workflows.model_zoo.load import gates, load_configurations
from pytest_quantcheck.workflows.model_zoo.sections.dataset import AudioDataset
from pytest_quantcheck.workflows.model_zoo.sections.preprocessing import AudioPreprocessing, ImagePreprocessing

pytestmark = pytest.mark.host

NOW = datetime(2024, 2, 29, 13, 14, 15)
IMAGES = """\
general:
  project_name: people
  model_path: model.h5
  model_type: st_ssd_mobilenet_v1
operation_mode: chain_eqe
dataset:
  name: COCO_2017_person
  class_names: [ person ]
  training_path:
  test_path: images
  quantization_path: images
  quantization_split: 0.4
  seed: 0
preprocessing:
  rescaling: { scale: 1/127.5, offset: -1 }
  resizing:
    aspect_ratio: "fit"
    interpolation: nearest
  color_mode: rgb
quantization:
  quantizer: TFlite_converter
  quantization_type: PTQ
  quantization_input_type: uint8
  quantization_output_type: float
  granularity: per_channel
  optimize: False
  export_dir: quantized_models
mlflow:
  uri: ./experiments_outputs/mlruns
hydra:
  run:
    dir: ./experiments_outputs/${now:%Y_%m_%d_%H_%M_%S}
quantcheck:
  max_drop: 0.05
"""
SOUNDS = """\
operation_mode: quantization
general:
  model_path: model.h5
  global_seed: 120
  deterministic_ops: False
  gpu_memory_limit: 5
dataset:
  name: esc10
  class_names: ['dog', 'chainsaw']
  file_extension: '.wav'
  training_audio_path: sounds\\audio
  training_csv_path: sounds\\esc.csv
  validation_split: 0.2
  quantization_split: 0.1
  multi_label: False
  use_garbage_class: False
  n_samples_per_garbage_class: 2
  expand_last_dim: True
  seed: 120
  to_cache: True
  shuffle: True
preprocessing:
  min_length: 1
  max_length : 10
  target_rate: 16000
  top_db: 60
  frame_length: 3200
  hop_length: 3200
  trim_last_second: False
  lengthen : 'after'
feature_extraction:
  patch_length: 96
  n_mels: 64
  overlap: 0.25
  n_fft: 512
  hop_length: 160
  window_length: 400
  window: hann
  center: False
  pad_mode: constant
  power: 1.0
  fmin: 125
  fmax: 7500
  norm: None
  htk : True
  to_db : False
  include_last_patch: False
quantization:
   quantizer: TFlite_converter
   quantization_type: PTQ
   quantization_input_type: float
   quantization_output_type: uint8
"""


def read(folder: Path, text: str, *overrides: str) -> Configuration:
    (folder / "images").mkdir(exist_ok=True)
    (folder / "sounds" / "audio").mkdir(parents=True, exist_ok=True)
    for name in ("model.h5", "model.onnx", "model.txt", "sounds/esc.csv"):
        (folder / name).touch()
    (folder / "c.yaml").write_text(text)
    (found,) = load_configurations(folder / "c.yaml", overrides, now=NOW, working=folder, name="c.yaml")
    return found


def test_the_documented_image_keys_mean_what_is_documented(tmp_path: Path) -> None:
    found = read(tmp_path, IMAGES)
    assert (found.task, found.mode) == ("object_detection", "chain_eqe")
    assert found.steps == ("evaluate_float", "quantize", "evaluate_quantized")
    assert isinstance(found.preprocessing, ImagePreprocessing)
    assert found.preprocessing.rescaling.scale == 1 / 127.5
    assert found.preprocessing.rescaling.offset == -1
    assert found.dataset.class_names == ("person",)
    assert found.dataset.seed == 0, "the original made 123 of it"
    assert found.quantization is not None
    assert found.quantization.quantization_input_type == "uint8"
    assert found.model == tmp_path / "model.h5"
    assert found.run_dir == tmp_path / "experiments_outputs" / "2024_02_29_13_14_15"
    assert not found.random
    assert gates(found) == ""


def test_the_documented_audio_keys_mean_what_is_documented(tmp_path: Path) -> None:
    found = read(tmp_path, SOUNDS)
    assert found.task == "audio_event_detection"
    assert isinstance(found.dataset, AudioDataset)
    assert isinstance(found.preprocessing, AudioPreprocessing)
    assert found.feature_extraction is not None
    assert found.feature_extraction.norm is None
    assert found.path(str(found.dataset.training_csv_path)) == tmp_path / "sounds" / "esc.csv"
    assert gates(found) == "c.yaml: no accuracy gate is set; add a section quantcheck with max_drop, such as 0.01"


def test_a_file_for_images_without_a_detectors_sections_classifies(tmp_path: Path) -> None:
    text = IMAGES.replace("  model_type: st_ssd_mobilenet_v1\n", "")
    assert read(tmp_path, text).task == "image_classification"
    assert read(tmp_path, text, "quantcheck.task=object_detection").task == "object_detection"


def test_calibration_is_random_where_no_file_calibrates(tmp_path: Path) -> None:
    text = IMAGES.replace("  max_drop: 0.05\n", "  baseline: false\n")
    assert read(tmp_path, text.replace("  quantization_path: images\n", "")).random
    assert read(tmp_path, text, "dataset.quantization_split=0").random
    assert not read(tmp_path, text, "dataset.quantization_path=null", "dataset.training_path=images").random


def test_relative_paths_start_here_then_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    found = read(tmp_path, IMAGES)
    (tmp_path / "configs" / "c.yaml").write_text(IMAGES)
    (moved,) = load_configurations(tmp_path / "configs" / "c.yaml", now=NOW, working=tmp_path)
    assert moved.model == found.model
    (tmp_path / "configs" / "own.h5").touch()
    (own,) = load_configurations(
        tmp_path / "configs" / "c.yaml", ["general.model_path=own.h5"], now=NOW, working=tmp_path
    )
    assert own.model == tmp_path / "configs" / "own.h5"
    assert own.run_dir.parent.parent == tmp_path


MODES = "quantization, evaluation, benchmarking, deployment, prediction, chain_eqe, chain_eqeb, chain_qb, chain_qd"
BROKEN = {  # what is replaced by what in which file, and the error
    "unknown section": (IMAGES, "mlflow:", "mlfow:", "c.yaml:28: unknown key mlfow (did you mean mlflow?); allowed: general, dataset"),
    "section is a text": (IMAGES, "dataset:\n", "dataset: none\nold:\n", "c.yaml:7: unknown key old; allowed: general"),
    "mode missing": (IMAGES, "operation_mode: chain_eqe\n", "", f"c.yaml: operation_mode is missing; allowed: {MODES}"),
    "mode misspelt": (IMAGES, "chain_eqe", "chain_eq", f"c.yaml:5: operation_mode: 'chain_eq' is not known (did you mean chain_eqe?); allowed: {MODES}"),
    "mode of the documents that nobody has": (IMAGES, "chain_eqe", "chain_eb", "c.yaml:5: operation_mode: 'chain_eb' is not known"),
    "training": (IMAGES, "chain_eqe", "training", "c.yaml:5: operation_mode: 'training' trains, which is not done here: train with your own tools, then give the model as general.model_path and operation_mode: quantization."),
    "training chain": (IMAGES, "chain_eqe", "chain_tqeb", "c.yaml:5: operation_mode: 'chain_tqeb' trains, which is not done here: train with your own tools, then give the model as general.model_path and operation_mode: chain_eqeb."),
    "model missing": (IMAGES, "model_path: model.h5", "model_path:", "c.yaml:3: general.model_path is missing; allowed: a file that ends in .h5, .keras, .onnx, .tflite"),
    "model not there": (IMAGES, "model.h5", "modle.h5", "c.yaml:3: general.model_path: 'modle.h5': there is no such file; looked in {here}"),
    "model of no kind": (IMAGES, "model.h5", "model.txt", "c.yaml:3: general.model_path: 'model.txt' is no model for chain_eqe; allowed: .h5, .keras, .onnx, .tflite"),
    "model is a link": (IMAGES, "model.h5", "https://example.org/model.h5", "c.yaml:3: general.model_path: 'https://example.org/model.h5': nothing is downloaded"),
    "unknown key": (IMAGES, "granularity: per_channel", "granuality: per_channel", "c.yaml:25: unknown key quantization.granuality (did you mean granularity?); allowed: quantizer, quantization_type,"),
    "unknown nested key": (IMAGES, "aspect_ratio:", "aspect:", "c.yaml:17: unknown key preprocessing.resizing.aspect (did you mean aspect_ratio?); allowed: interpolation, aspect_ratio"),
    "nested key missing": (IMAGES, "scale: 1/127.5, ", "", "c.yaml:15: preprocessing.rescaling.scale is missing; allowed: a number, such as 0.5 or 1/127.5 above 0"),
    "key missing": (IMAGES, "  quantizer: TFlite_converter\n", "", "c.yaml:20: quantization.quantizer is missing; allowed: TFlite_converter, Onnx_quantizer"),
    "wrong value": (IMAGES, "per_channel", "per_chanel", "c.yaml:25: quantization.granularity: 'per_chanel' is not known (did you mean per_channel?); allowed: per_channel, per_tensor"),
    "input type that the original ignores": (IMAGES, "uint8", "unit8", "c.yaml:23: quantization.quantization_input_type: 'unit8' is not known (did you mean uint8?); allowed: int8, uint8, float"),
    "output type": (IMAGES, "output_type: float", "output_type: float16", "c.yaml:24: quantization.quantization_output_type: 'float16' is not known (did you mean float?); allowed: int8, uint8, float"),
    "quantization type": (IMAGES, "PTQ", "QAT", "c.yaml:22: quantization.quantization_type: 'QAT' is not known; allowed: PTQ"),
    "quantizer of another format": (IMAGES, "TFlite_converter", "Onnx_quantizer", "c.yaml:21: quantization.quantizer: 'Onnx_quantizer' does not quantize model.h5; allowed: TFlite_converter"),
    "quantizer of another model": (IMAGES, "model.h5", "model.onnx", "c.yaml:21: quantization.quantizer: 'TFlite_converter' does not quantize model.onnx; allowed: Onnx_quantizer"),
    "optimize with per_channel": (IMAGES, "optimize: False", "optimize: True", "c.yaml:26: quantization.optimize: True goes with granularity: per_tensor and TFlite_converter"),
    "optimize is a word": (IMAGES, "optimize: False", "optimize: maybe", "c.yaml:26: quantization.optimize: 'maybe' has the wrong type; allowed: True, False"),
    "code in an expression": (IMAGES, "1/127.5", "__import__('os').system('touch pwned')", "c.yaml:15: preprocessing.rescaling.scale: \"__import__('os').system('touch pwned')\" has the wrong type; allowed: a number"),
    "power in an expression": (IMAGES, "1/127.5", "9**9**9", "c.yaml:15: preprocessing.rescaling.scale: '9**9**9' has the wrong type; allowed: a number"),
    "division by zero": (IMAGES, "1/127.5", "1/0", "c.yaml:15: preprocessing.rescaling.scale: '1/0' has the wrong type; allowed: a number, such as 0.5 or 1/127.5 above 0 ('1/0' has no value: division by zero)"),
    "scale that divides": (IMAGES, "1/127.5", "-127.5", "c.yaml:15: preprocessing.rescaling.scale: -127.5 is out of range; allowed: a number, such as 0.5 or 1/127.5 above 0"),
    "interpolation": (IMAGES, "nearest", "cubic", "c.yaml:18: preprocessing.resizing.interpolation: 'cubic' is not known (did you mean bicubic?); allowed: bilinear, nearest"),
    "aspect ratio": (IMAGES, '"fit"', '"stretch"', "c.yaml:17: preprocessing.resizing.aspect_ratio: 'stretch' is not known; allowed: fit, crop, padding"),
    "colours": (IMAGES, "rgb", "bgr", "c.yaml:19: preprocessing.color_mode: 'bgr' is not known; allowed: rgb, grayscale, rgba"),
    "split above one": (IMAGES, "0.4", "1.4", "c.yaml:12: dataset.quantization_split: 1.4 is out of range; allowed: a number, such as 0.5 or 1/127.5 from 0, up to 1"),
    "seed is no number": (IMAGES, "seed: 0", "seed: zero", "c.yaml:13: dataset.seed: 'zero' has the wrong type; allowed: a whole number from 0"),
    "classes are a word": (IMAGES, "[ person ]", "person", "c.yaml:8: dataset.class_names: 'person' has the wrong type; allowed: a list"),
    "data not there": (IMAGES, "test_path: images", "test_path: image", "c.yaml:10: dataset.test_path: 'image': there is no such file or folder; looked in {here}"),
    "data without preprocessing": (IMAGES, IMAGES[IMAGES.index("preprocessing") : IMAGES.index("quantization:\n")], "", "c.yaml: the section preprocessing is missing: dataset names files"),
    "gate is a percentage": (IMAGES, "0.05", "5", "c.yaml:34: quantcheck.max_drop: 5 is out of range; allowed: a number, such as 0.5 or 1/127.5 from 0, up to 1"),
    "gate after random calibration": (IMAGES, "  quantization_path: images\n", "", "c.yaml:33: quantcheck.max_drop: accuracy is not judged after random calibration; give dataset.quantization_path"),
    "budget of nothing": (IMAGES, "max_drop: 0.05", "budget: {ram_kib: 5}", "c.yaml:34: quantcheck.budget: budget(ram_kib=5): unknown key; allowed: latency_ms, cycles, instructions"),
    "evaluation on the vendor's tool": (IMAGES, "quantcheck:", "evaluation: {target: stedgeai_host}\nquantcheck:", "c.yaml:33: evaluation.target: 'stedgeai_host' is not known; allowed: host"),
    "override": (IMAGES, "", "", "override 'quantization.granularity=none': quantization.granularity: 'none' is not known"),
    "csv missing": (SOUNDS, "  training_csv_path: sounds\\esc.csv\n", "", "c.yaml:11: dataset.training_audio_path: the key dataset.training_csv_path is missing beside it"),
    "layout of the csv": (SOUNDS, "esc10", "esc50", "c.yaml:8: dataset.name: 'esc50' is not known (did you mean esc10?); allowed: esc10, fsd50k, custom"),
    "overlap of one": (SOUNDS, "overlap: 0.25", "overlap: 1.0", "c.yaml:34: feature_extraction.overlap: 1.0 is out of range; allowed: a number, such as 0.5 or 1/127.5 from 0, below 1"),
    "rate of half a sample": (SOUNDS, "16000", "16000.5", "c.yaml:25: preprocessing.target_rate: 16000.5 has the wrong type; allowed: a whole number from 1000"),
    "several classes": (SOUNDS, "multi_label: False", "multi_label: True", "c.yaml:15: dataset.multi_label: True is not known; allowed: False"),
    "features missing": (SOUNDS, SOUNDS[SOUNDS.index("feature_ex") : SOUNDS.index("quantization:\n")], "", "c.yaml: the section feature_extraction is missing: dataset names files"),
    "option of the onnx quantizer": (SOUNDS, "PTQ\n", "PTQ\n   extra_options: calib_moving_average\n", "c.yaml:51: quantization.extra_options: 'calib_moving_average' is not supported: ranges are plain minima and maxima"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_has_a_precise_error(tmp_path: Path, name: str) -> None:
    text, old, new, expected = BROKEN[name]
    assert old in text
    overrides = ["quantization.granularity=none"] if name == "override" else []
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text.replace(old, new, 1) if old else text, *overrides)
    assert expected.format(here=tmp_path) in str(caught.value)
    assert not (tmp_path / "pwned").exists()


def test_forty_broken_files() -> None:
    assert len(BROKEN) >= 40
    assert len({expected for *_, expected in BROKEN.values()}) == len(BROKEN)


def test_what_a_mode_cannot_judge_is_said(tmp_path: Path) -> None:
    assert gates(read(tmp_path, IMAGES, "operation_mode=chain_qb")) == (
        "c.yaml: quantcheck.max_drop is not judged: chain_qb measures no accuracy"
    )
    text = IMAGES + "  budget: {flash_kib: 100}\n"
    assert "budget is not judged: chain_eqe neither benchmarks nor deploys" in gates(read(tmp_path, text))
    assert gates(read(tmp_path, text, "operation_mode=chain_eqeb")) == ""
