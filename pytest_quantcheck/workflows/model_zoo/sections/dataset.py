"""``dataset``: which data there are, for images and for audio."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.workflows.model_zoo.section import key

LAYOUTS = ("esc10", "fsd50k", "custom")


@dataclass(frozen=True, kw_only=True)
class ImageDataset:
    """A folder with one folder of images per class; for detection images with a ``.txt`` of boxes each."""

    name: str = key("name of the dataset", "unnamed")
    dataset_name: str | None = key("as name, in version 4", None)
    format: str | None = key("", None, ignored="the files beside the images tell")
    class_names: tuple[str, ...] = key(
        "the classes, label 0 first; of class folders the default is theirs", ()
    )
    classes_file_path: str | None = key("a file with a class in each line, instead of class_names", None)
    training_path: str | None = key("training set; calibrates where there is no quantization_path", None)
    validation_path: str | None = key("validation set; evaluates where there is no test_path", None)
    validation_split: float = key(
        "part of the training set that evaluates where nothing else does",
        0.2,
        low=0,
        high=1,
        above=True,
        below=True,
    )
    test_path: str | None = key("test set: what models are evaluated on", None)
    quantization_path: str | None = key("images that calibrate", None)
    prediction_path: str | None = key("as prediction.test_files_path, in version 4", None)
    quantization_split: float | None = key(
        "part of them that is taken; 0 calibrates with random data", None, low=0, high=1
    )
    seed: int = key("which images a part stands for", 123, low=0)
    check_image_files: bool = key("", False, ignored="every file is checked when it is read")


@dataclass(frozen=True, kw_only=True)
class AudioDataset:
    """A folder of recordings and a CSV that names the class of each."""

    name: str = key("layout of the CSV", "custom", choices=LAYOUTS)
    dataset_name: str | None = key("as name, in version 4", None, choices=LAYOUTS)
    class_names: tuple[str, ...] = key("the classes; labels go by the sorted names", ())
    file_extension: str = key("what names of recordings end in", ".wav")
    training_audio_path: str | None = key("training set; calibrates where there is no quantization set", None)
    training_csv_path: str | None = key("its CSV", None)
    validation_audio_path: str | None = key("validation set; evaluates where there is no test set", None)
    validation_csv_path: str | None = key("its CSV", None)
    validation_split: float = key(
        "part of the training set that evaluates where nothing else does",
        0.2,
        low=0,
        high=1,
        above=True,
        below=True,
    )
    quantization_audio_path: str | None = key(
        "recordings that calibrate (default: training_audio_path)", None
    )
    quantization_csv_path: str | None = key("their CSV", None)
    quantization_split: float | None = key(
        "part of the patches that is taken; 0 calibrates with random data", None, low=0, high=1
    )
    test_audio_path: str | None = key("test set: what models are evaluated on", None)
    test_csv_path: str | None = key("its CSV", None)
    multi_label: bool = key("several classes per recording: not supported", False, choices=(False,))
    use_garbage_class: bool = key(
        "one more class, called other, of recordings of all classes that are not named", False
    )
    n_samples_per_garbage_class: int | None = key("recordings of each of them", None, low=0)
    expand_last_dim: bool = key("patches are (n_mels, frames, 1) instead of (n_mels, frames)", True)
    seed: int = key("which patches a part stands for", 120, low=0)
    to_cache: bool = key("", True, ignored="conversions are kept by content (docs/commands/cache.md)")
    shuffle: bool = key("", False, ignored="the choice of patches goes by their names, whatever their order")
    prediction_path: str | None = key("as prediction.test_files_path, in version 4", None)
    batch_size: int = key("patches in a batch; compat: modelzoo chooses batches", 32, low=1)
