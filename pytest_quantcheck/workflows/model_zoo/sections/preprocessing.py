"""``preprocessing`` and ``feature_extraction``: from a file to what a model takes."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.workflows.model_zoo.section import key

INTERPOLATIONS = (
    "bilinear",
    "nearest",
    "bicubic",
    "area",
    "lanczos3",
    "lanczos5",
    "gaussian",
    "mitchellcubic",
)


@dataclass(frozen=True, kw_only=True)
class Rescaling:
    """``value = scale * pixel + offset``, pixels from 0 to 255."""

    scale: float = key("factor, such as 1/127.5", above=True, low=0)
    offset: float = key("what is added, such as -1")


@dataclass(frozen=True, kw_only=True)
class Resizing:
    interpolation: str = key("how pixels are computed (tf.image.resize)", choices=INTERPOLATIONS)
    aspect_ratio: str = key(
        "fit distorts, crop and padding keep the ratio", choices=("fit", "crop", "padding")
    )


@dataclass(frozen=True, kw_only=True)
class ImagePreprocessing:
    rescaling: Rescaling = key("pixels to the model's range")
    resizing: Resizing = key("images to the model's size")
    color_mode: str = key("channels of an image", choices=("rgb", "grayscale", "rgba"))


@dataclass(frozen=True, kw_only=True)
class AudioPreprocessing:
    min_length: float = key("seconds; shorter recordings are repeated", low=0)
    max_length: float = key("seconds; longer recordings are cut", low=0, above=True)
    target_rate: int = key("samples per second after resampling", low=1000)
    top_db: float = key("what is so far below the loudest frame is silence and removed", low=0, above=True)
    frame_length: int = key("samples in a frame of the search for silence", low=1)
    hop_length: int = key("samples between such frames", low=1)
    trim_last_second: bool = key("cut what is longer than whole seconds", False)
    lengthen: str = key("repeat before or after silence is removed", "after", choices=("after", "before"))


@dataclass(frozen=True, kw_only=True)
class FeatureExtraction:
    """A recording becomes a log-mel spectrogram, cut into patches."""

    patch_length: int = key("frames in a patch", low=1)
    n_mels: int = key("mel bands", low=1)
    overlap: float = key("part of a patch that the next one repeats", low=0, high=1, below=True)
    n_fft: int = key("samples in a Fourier transform", low=2)
    hop_length: int = key("samples between frames", low=1)
    window_length: int = key("samples in a window", low=1)
    window: str = key("name of the window, as scipy.signal.get_window has it", "hann")
    center: bool = key("pad the recording so that frames are centred", False)
    pad_mode: str = key(
        "how to pad (numpy.pad)", "constant", choices=("constant", "reflect", "edge", "symmetric", "wrap")
    )
    power: float = key("exponent of the magnitude: 1 is magnitude, 2 power", low=0, above=True)
    fmin: float = key("lowest frequency, in Hz", low=0)
    fmax: float = key("highest frequency, in Hz", low=0, above=True)
    norm: str | None = key("how mel filters are normalised; None: not at all", None, choices=("slaney",))
    htk: bool = key("mel scale of HTK instead of Slaney's", False)
    to_db: bool = key("decibels instead of the natural logarithm", False)
    include_last_patch: bool = key("keep what is left at the end of a recording", False)
