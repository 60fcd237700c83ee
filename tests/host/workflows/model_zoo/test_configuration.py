"""What a configuration may say: the documented keys, and forty broken files with forty precise errors."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration, edges
from pytest_quantcheck.workflows.model_zoo.keys_page import page
from pytest_quantcheck.workflows.model_zoo.load import gates, load_configurations
from pytest_quantcheck.workflows.model_zoo.sections.dataset import AudioDataset
from pytest_quantcheck.workflows.model_zoo.sections.preprocessing import (
    AudioPreprocessing,
    ImagePreprocessing,
)

pytestmark = pytest.mark.host

NOW = datetime(2024, 2, 29, 13, 14, 15)
CONFIGS = Path(__file__).parent / "configs"
IMAGES, SOUNDS = ((CONFIGS / f"{name}.yaml").read_text() for name in ("people", "sounds"))


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
    assert gates(found) == "no accuracy gate is set; add a section quantcheck with max_drop, such as 0.01"


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


@dataclass
class Broken:
    """A case of ``broken.txt``."""

    text: str
    overrides: list[str] = field(default_factory=list)
    error: str = ""


def broken() -> dict[str, Broken]:
    """The cases of ``broken.txt``, by name."""
    cases: dict[str, Broken] = {}
    blocks = (Path(__file__).parent / "broken.txt").read_text().split("\n[")[1:]
    for block in blocks:
        head, *lines = block.splitlines()
        name, _, file = head.partition("] ")
        case = cases[name] = Broken({"people": IMAGES, "sounds": SOUNDS}[file])
        old = "".join(f"{line[2:]}\n" for line in lines if line.startswith("- "))
        new = "".join(f"{line[2:]}\n" for line in lines if line.startswith("+ "))
        for line in lines:
            if line.startswith("-@ "):
                old = re.search(rf"^{line[3:]}:\n(?: .*\n)*", case.text, re.MULTILINE)[0]  # type: ignore[index]
            elif line.startswith("= "):
                case.overrides.append(line[2:])
            elif line.startswith("! "):
                case.error = line[2:]
        assert old in case.text, name
        case.text = case.text.replace(old, new, 1) if old else case.text
    return cases


BROKEN = broken()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_has_a_precise_error(tmp_path: Path, name: str) -> None:
    case = BROKEN[name]
    with pytest.raises(UsageError) as caught:
        read(tmp_path, case.text, *case.overrides)
    assert case.error.replace("{here}", str(tmp_path)) in str(caught.value)
    assert not (tmp_path / "pwned").exists()


def test_forty_broken_files() -> None:
    assert len(BROKEN) >= 40
    assert len({case.error for case in BROKEN.values()}) == len(BROKEN)


def test_what_a_mode_cannot_judge_is_said(tmp_path: Path) -> None:
    assert gates(read(tmp_path, IMAGES, "operation_mode=chain_qb")) == (
        "quantcheck.max_drop is not judged: chain_qb measures no accuracy"
    )
    text = IMAGES + "  budget: {flash_kib: 100}\n"
    assert "budget is not judged: chain_eqe neither benchmarks nor deploys" in gates(read(tmp_path, text))
    assert gates(read(tmp_path, text, "operation_mode=chain_eqeb")) == ""


def test_an_onnx_model_has_float_edges_unless_integers_are_wanted(tmp_path: Path) -> None:
    text = IMAGES.replace("TFlite_converter", "Onnx_quantizer").replace("model.h5", "model.onnx")
    types = "quantization.quantization_input_type=uint8", "quantization.quantization_output_type=float"
    assert edges(read(tmp_path, text, *types)) == ("float32", "float32"), "as the Model Zoo documents it"
    assert edges(read(tmp_path, text, *types, "+quantcheck.integer_edges=true")) == ("int8", "float32")
    assert edges(read(tmp_path, IMAGES, *types)) == ("uint8", "float32")


def test_the_page_of_keys_is_what_the_sections_say() -> None:
    shown = (Path(__file__).parents[4] / "docs" / "model-zoo-keys.md").read_text(encoding="utf-8")
    assert shown == page(), "make it again: python -m pytest_quantcheck.workflows.model_zoo.keys_page"


VERSION_4 = """\
model: {model_path: model.h5, model_type: st_ssd_mobilenet_v1, model_name: x, input_shape: '(96, 96, 3)'}
operation_mode: chain_eqe
dataset:
  {dataset_name: coco, format: tfs, classes_file_path: classes.txt, test_path: images,
   quantization_path: images}
preprocessing:
  rescaling: {scale: 1/255, offset: 0}
  resizing: {aspect_ratio: fit, interpolation: nearest}
  color_mode: rgb
quantization: {quantizer: TFlite_converter, quantization_type: PTQ}
"""


def test_version_4_says_the_same_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("person\n\n dog \n")
    found = read(tmp_path, VERSION_4)
    assert found.task == "object_detection"
    assert (found.general.model_path, found.general.model_type) == ("model.h5", "st_ssd_mobilenet_v1")
    assert (found.dataset.name, found.classes) == ("coco", ("person", "dog"))
    files = VERSION_4.replace("chain_eqe", "prediction").replace("format: tfs", "prediction_path: images")
    assert read(tmp_path, files).prediction.test_files_path == "images"
    sounds = SOUNDS.replace("name: esc10", "dataset_name: esc10")
    assert read(tmp_path, sounds).dataset.name == "esc10"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("model_path: model.h5, ", "", "c.yaml:1: model.model_path is missing; allowed: a file that ends in"),
        ("model.h5", "gone.h5", "c.yaml:1: model.model_path: 'gone.h5': there is no such file"),
        (
            "operation",
            "general: {model_path: model.h5}\noperation",
            "model.model_path: general.model_path says",
        ),
        (
            "dataset_name: coco",
            "dataset_name: coco, name: x",
            "dataset.dataset_name: dataset.name says it, too",
        ),
        ("format: tfs", "class_names: [a]", "dataset.classes_file_path: dataset.class_names says it, too"),
        ("classes.txt", "none.txt", "dataset.classes_file_path: 'none.txt'"),
        ("classes.txt", "empty.txt", "dataset.classes_file_path: 'empty.txt' names no class"),
        (
            "model_name: x",
            "model_nmae: x",
            "c.yaml:1: unknown key model.model_nmae (did you mean model_name?)",
        ),
    ],
)
def test_wrong_keys_of_version_4_are_precise_errors(
    before: str, after: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "classes.txt").write_text("person\n")
    (tmp_path / "empty.txt").write_text("\n")
    assert before in VERSION_4
    with pytest.raises(UsageError, match=re.escape(told)):
        read(tmp_path, VERSION_4.replace(before, after))
