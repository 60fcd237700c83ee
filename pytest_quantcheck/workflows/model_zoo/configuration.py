"""A configuration as typed sections, and what must fit together between them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.workflows.model_zoo import modes
from pytest_quantcheck.workflows.model_zoo.composition import Composed
from pytest_quantcheck.workflows.model_zoo.names import OPERATION_MODE, SECTIONS
from pytest_quantcheck.workflows.model_zoo.section import read, unknown_section
from pytest_quantcheck.workflows.model_zoo.sections.boards import Benchmarking, Deployment, Tools
from pytest_quantcheck.workflows.model_zoo.sections.dataset import AudioDataset, ImageDataset
from pytest_quantcheck.workflows.model_zoo.sections.evaluation import Evaluation, Postprocessing, Prediction
from pytest_quantcheck.workflows.model_zoo.sections.general import General, Model
from pytest_quantcheck.workflows.model_zoo.sections.preprocessing import (
    AudioPreprocessing,
    FeatureExtraction,
    ImagePreprocessing,
)
from pytest_quantcheck.workflows.model_zoo.sections.quantcheck import Mlflow, Quantcheck
from pytest_quantcheck.workflows.model_zoo.sections.quantization import EDGES, Quantization

IMAGES, DETECTION, AUDIO = "image_classification", "object_detection", "audio_event_detection"
COCO_FILES = ("annotations.json", "_annotations.coco.json")
"""What a folder of images calls its boxes in the form of COCO."""
MOST_BYTES = 1 << 20  # of a file of class names
_AUDIO_KEYS = ("file_extension", "multi_label", "use_garbage_class", "expand_last_dim")
_FLOAT_MODELS = (".h5", ".keras", ".onnx", ".tflite")
_MODELS = {  # as the modes of the Model Zoo have it; what we read beyond that does no harm
    modes.QUANTIZE: _FLOAT_MODELS,
    modes.EVALUATE: _FLOAT_MODELS,
    modes.BENCHMARK: _FLOAT_MODELS,
    modes.DEPLOY: (".tflite", ".onnx"),
    modes.PREDICT: _FLOAT_MODELS,
}


@dataclass(frozen=True)
class Configuration:
    """One job, checked. ``folders`` are where relative paths start: the working folder, then the file's.

    ``preprocessing`` is that of ``task``, None where the file has no such section.
    """

    composed: Composed = field(repr=False)
    folders: tuple[Path, ...]
    task: str
    mode: str
    general: General
    dataset: ImageDataset | AudioDataset
    preprocessing: ImagePreprocessing | AudioPreprocessing | None
    feature_extraction: FeatureExtraction | None
    quantization: Quantization | None
    evaluation: Evaluation
    postprocessing: Postprocessing
    prediction: Prediction
    benchmarking: Benchmarking
    deployment: Deployment
    tools: Tools
    mlflow: Mlflow
    quantcheck: Quantcheck

    @property
    def steps(self) -> tuple[str, ...]:
        return modes.MODES[self.mode]

    @property
    def model(self) -> Path:
        """The model's file or folder."""
        assert self.general.model_path is not None, "checked when the configuration is read"
        return self.path(self.general.model_path)

    @property
    def model_key(self) -> tuple[str, str]:
        """The key that names the model."""
        section = "model" if self.composed.values.get("model") else "general"
        return section, "model_path"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels 0, 1, ...: as given, of sounds sorted; empty where the file names none."""
        names = tuple(str(name) for name in self.dataset.class_names)
        return tuple(sorted(names)) if isinstance(self.dataset, AudioDataset) else names

    @property
    def run_dir(self) -> Path:
        return self.folders[0] / self.composed.run_dir

    @property
    def random(self) -> bool:
        """Whether calibration draws random data: no key says which files calibrate, or none of them shall."""
        data = self.dataset
        if data.quantization_split == 0:
            return True
        if isinstance(data, AudioDataset):
            return not (data.quantization_csv_path or data.training_csv_path)
        return not (data.quantization_path or data.training_path)

    def path(self, text: str) -> Path:
        """A path of the file, which may be written with backslashes; the first of ``folders`` that has it."""
        found = [folder / Path(_portable(text)).expanduser() for folder in self.folders]
        return next((path for path in found if path.exists()), found[0])

    def error(self, text: str, *keys: str) -> UsageError:
        """An error about a key: where it stands, what it is."""
        return UsageError(f"{self.composed.place(*keys)}: {'.'.join(keys)}: {text}")


def _portable(text: str) -> str:
    return text.replace("\\", "/") if "/" not in text else text


def read_configuration(composed: Composed, working: Path) -> Configuration:
    """The typed configuration of a job. Raises ``UsageError`` with file, line, key and what is allowed."""
    values = composed.values
    for name in values:
        if name not in (*SECTIONS, OPERATION_MODE):
            raise unknown_section(composed, str(name), (*SECTIONS, OPERATION_MODE))
    mode = _mode(composed)
    audio = _is_audio(values)

    def section(kind: type[Any], name: str, *, needed: bool = True) -> Any:
        given = values.get(name)
        return read(kind, given, composed, (name,)) if needed or given is not None else None

    quantcheck: Quantcheck = section(Quantcheck, "quantcheck")
    dataset = section(AudioDataset if audio else ImageDataset, "dataset")
    general, model = section(General, "general"), section(Model, "model")
    for loose in ("training", "data_augmentation"):
        if not isinstance(values.get(loose) or {}, Mapping):
            raise UsageError(
                f"{composed.place(loose)}: {loose} is no section; allowed: a mapping, or nothing"
            )
    found = Configuration(
        composed=composed,
        folders=tuple(dict.fromkeys((working, composed.file.parent.absolute()))),
        task=quantcheck.task or (AUDIO if audio else IMAGES),
        mode=mode,
        general=general,
        dataset=dataset,
        preprocessing=section(
            AudioPreprocessing if audio else ImagePreprocessing, "preprocessing", needed=False
        ),
        feature_extraction=section(FeatureExtraction, "feature_extraction", needed=False),
        quantization=section(Quantization, "quantization", needed=modes.QUANTIZE in modes.MODES[mode]),
        evaluation=section(Evaluation, "evaluation"),
        postprocessing=section(Postprocessing, "postprocessing"),
        prediction=section(Prediction, "prediction"),
        benchmarking=section(Benchmarking, "benchmarking"),
        deployment=section(Deployment, "deployment"),
        tools=section(Tools, "tools"),
        mlflow=section(Mlflow, "mlflow"),
        quantcheck=quantcheck,
    )
    found = _of_version_4(found, model)
    if found.task == IMAGES and quantcheck.task is None and _detects(found):
        found = replace(found, task=DETECTION)
    _check(found)
    return found


def _of_version_4(config: Configuration, model: Model) -> Configuration:
    """With what version 4 of the Model Zoo says elsewhere. ``UsageError`` for what is said in both places."""
    general, data, prediction = config.general, config.dataset, config.prediction
    for name in ("model_path", "model_type"):
        given = getattr(model, name)
        if given is not None and getattr(general, name) is not None:
            raise config.error(f"general.{name} says it, too; leave one out", "model", name)
        general = replace(general, **{name: getattr(general, name) if given is None else given})
    if data.dataset_name is not None:
        if "name" in config.composed.values["dataset"]:
            raise config.error("dataset.name says it, too; leave one out", "dataset", "dataset_name")
        data = replace(data, name=data.dataset_name)
    if isinstance(data, ImageDataset) and data.classes_file_path:
        if data.class_names:
            text = "dataset.class_names says it, too; leave one out"
            raise config.error(text, "dataset", "classes_file_path")
        data = replace(data, class_names=_class_file(config, data.classes_file_path))
    if data.prediction_path:
        if prediction.test_files_path:
            text = "prediction.test_files_path says it, too; leave one out"
            raise config.error(text, "dataset", "prediction_path")
        prediction = replace(prediction, test_files_path=data.prediction_path)
    return replace(config, general=general, dataset=data, prediction=prediction)


def _class_file(config: Configuration, text: str) -> tuple[str, ...]:
    """The lines of a file that are not blank."""
    try:
        content = read_whole(config.path(text), MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError, ModelError) as error:
        raise config.error(f"{text!r} cannot be read: {error}", "dataset", "classes_file_path") from error
    names = tuple(line.strip() for line in content.splitlines() if line.strip())
    if not names:
        raise config.error(f"{text!r} names no class", "dataset", "classes_file_path")
    return names


def _mode(composed: Composed) -> str:
    given = composed.values.get(OPERATION_MODE)
    place, allowed = composed.place(OPERATION_MODE), ", ".join(modes.MODES)
    if given is None:
        raise UsageError(f"{place}: {OPERATION_MODE} is missing; allowed: {allowed}")
    mode = str(given).strip()
    if mode in modes.TRAINING:
        raise UsageError(
            f"{place}: {OPERATION_MODE}: {mode!r} trains, which is not done here: train with your own tools, "
            f"then give the model as general.model_path and operation_mode: {modes.TRAINING[mode]}. "
            f"Allowed: {allowed}"
        )
    if mode not in modes.MODES:
        near = difflib.get_close_matches(mode, modes.MODES, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(f"{place}: {OPERATION_MODE}: {mode!r} is not known{hint}; allowed: {allowed}")
    return mode


def _is_audio(values: Mapping[str, Any]) -> bool:
    """What only files for audio have; ``quantcheck.task`` decides where they are wrong."""
    said = (
        (values.get("quantcheck") or {}).get("task")
        if isinstance(values.get("quantcheck"), Mapping)
        else None
    )
    if said is not None:
        return bool(said == AUDIO)
    dataset = values.get("dataset")
    keys = [str(key) for key in dataset] if isinstance(dataset, Mapping) else []
    return "feature_extraction" in values or any(
        key in _AUDIO_KEYS or key.endswith(("_audio_path", "_csv_path")) for key in keys
    )


def _detects(config: Configuration) -> bool:
    """Files for detectors have sections that others have not, and their images have boxes beside them."""
    if config.general.model_type or config.composed.values.get("postprocessing") is not None:
        return True
    paths = [getattr(config.dataset, name) for name in vars(config.dataset) if name.endswith("_path")]
    return any(_has_boxes(config.path(path)) for path in paths if path)


def _has_boxes(path: Path) -> bool:
    if path.suffix == ".json":
        return True
    beside = ("*.txt", "*.tfs", *COCO_FILES)
    return path.is_dir() and any(next(path.glob(pattern), None) is not None for pattern in beside)


def _check(config: Configuration) -> None:
    _check_model(config)
    _check_quantization(config)
    _check_data(config)
    _check_quantcheck(config)


def _check_model(config: Configuration) -> None:
    place = config.model_key
    if not config.general.model_path:
        raise UsageError(
            f"{config.composed.place(*place)}: {'.'.join(place)} is missing; allowed: a file that ends in "
            f"{', '.join(_models(config))}"
        )
    text = _portable(config.general.model_path)
    if text.startswith(("http://", "https://")):
        raise config.error(f"{text!r}: nothing is downloaded; fetch the file and give its path", *place)
    if not config.model.exists():
        raise config.error(f"{text!r}: there is no such file; looked in {_looked(config)}", *place)
    allowed = _models(config)
    if config.model.suffix not in allowed and not config.model.is_dir():
        raise config.error(f"{text!r} is no model for {config.mode}; allowed: {', '.join(allowed)}", *place)


def _models(config: Configuration) -> tuple[str, ...]:
    first = modes.QUANTIZE if modes.QUANTIZE in config.steps else config.steps[0]
    return _MODELS[first]


def _looked(config: Configuration) -> str:
    return " and ".join(map(str, config.folders))


def _check_quantization(config: Configuration) -> None:
    wanted = config.quantization
    if wanted is None or modes.QUANTIZE not in config.steps:
        return
    onnx = config.model.suffix == ".onnx"
    if onnx != (wanted.quantizer == "Onnx_quantizer"):
        raise config.error(
            f"{wanted.quantizer!r} does not quantize {config.model.name}; allowed: "
            f"{'Onnx_quantizer' if onnx else 'TFlite_converter'}",
            "quantization",
            "quantizer",
        )
    if wanted.optimize and (onnx or wanted.granularity != "per_tensor"):
        raise config.error(
            "True goes with granularity: per_tensor and TFlite_converter; elsewhere it changes nothing or "
            "does harm; allowed: False",
            "quantization",
            "optimize",
        )


def _check_data(config: Configuration) -> None:
    """Files and folders that are named are there, and what a step needs is named."""
    data = config.dataset
    used = [name for name in vars(data) if name.endswith("_path") and getattr(data, name)]
    for name in used:
        if not config.path(getattr(data, name)).exists():
            raise config.error(
                f"{getattr(data, name)!r}: there is no such file or folder; looked in {_looked(config)}",
                "dataset",
                name,
            )
    if isinstance(data, AudioDataset):
        _check_audio(config, data)
    if modes.PREDICT in config.steps:
        given = config.prediction.test_files_path
        if not given:
            raise UsageError(
                f"{config.composed.place('prediction')}: prediction.test_files_path is missing; allowed: a "
                "folder or a file"
            )
        if not config.path(given).exists():
            raise config.error(
                f"{given!r}: there is no such file or folder; looked in {_looked(config)}",
                "prediction",
                "test_files_path",
            )
    used = [name for name in used if name != "classes_file_path"]
    if used and config.preprocessing is None and config.mode not in ("benchmarking", "deployment"):
        raise UsageError(
            f"{config.composed.place()}: the section preprocessing is missing: dataset names files"
        )


def _check_audio(config: Configuration, data: AudioDataset) -> None:
    for part in ("training", "validation", "quantization", "test"):
        folder, table = f"{part}_audio_path", f"{part}_csv_path"
        if getattr(data, folder) and not getattr(data, table):
            raise config.error(
                f"the key dataset.{table} is missing beside it; allowed: a CSV file", "dataset", folder
            )
        if getattr(data, table) and not (getattr(data, folder) or data.training_audio_path):
            raise config.error(
                f"the key dataset.{folder} is missing beside it; allowed: a folder", "dataset", table
            )
    if any(getattr(data, name) for name in vars(data) if name.endswith("_csv_path")):
        if config.feature_extraction is None:
            raise UsageError(
                f"{config.composed.place()}: the section feature_extraction is missing: dataset names files"
            )
        if not data.class_names:
            raise UsageError(
                f"{config.composed.place('dataset', 'class_names')}: dataset.class_names is missing; "
                "allowed: a list"
            )


def _check_quantcheck(config: Configuration) -> None:
    wanted = config.quantcheck
    if wanted.budget is not None:
        try:
            Budget(wanted.budget)  # type: ignore[arg-type]  # it checks its values itself
        except UsageError as error:
            raise config.error(str(error), "quantcheck", "budget") from error
    span = wanted.input_range
    if span is not None:
        numbers = [each for each in span if isinstance(each, (int, float)) and not isinstance(each, bool)]
        if len(span) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
            raise config.error(
                f"{list(span)} is no range; allowed: [low, high], two numbers", "quantcheck", "input_range"
            )
    if modes.EVALUATE_QUANTIZED in config.steps and wanted.max_drop is not None and config.random:
        raise config.error(
            "accuracy is not judged after random calibration; give dataset.quantization_path or "
            "training_path (audio: the CSV), or leave max_drop out",
            "quantcheck",
            "max_drop",
        )
    if wanted.compat and config.task == IMAGES:
        raise config.error(
            f"what the Model Zoo chooses is known for {DETECTION} and {AUDIO} only; leave it out",
            "quantcheck",
            "compat",
        )
    if wanted.compat and isinstance(config.dataset, AudioDataset) and config.dataset.shuffle:
        raise config.error(
            "with dataset.shuffle: True the Model Zoo's choice is tf.data's own order, which no file "
            "decides; allowed: with shuffle: False",
            "quantcheck",
            "compat",
        )


def edges(config: Configuration) -> tuple[str, str]:
    """Data types of input and output, as ``QuantConfig`` calls them."""
    wanted = config.quantization
    assert wanted is not None, "checked: there is a step that quantizes"
    types = EDGES[wanted.quantization_input_type], EDGES[wanted.quantization_output_type]
    if wanted.quantizer != "Onnx_quantizer":
        return types
    integer = "int8" if config.quantcheck.integer_edges else "float32"
    first, last = (integer if each != "float32" else each for each in types)
    return first, last
