"""Images: decoded, resized and rescaled by ``tf.image``, when somebody asks for them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.data.lazy import Index, Lazy
from pytest_quantcheck.data.readers.threads import workers
from pytest_quantcheck.errors import MissingExtraError, ModelError, QuantcheckError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.numerics.arrays import Float32

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
INTERPOLATIONS = (
    "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic",
)  # fmt: skip
OVERSHOOTING = ("bicubic", "lanczos3", "lanczos5", "mitchellcubic")
ASPECT_RATIOS = ("fit", "crop", "padding")
CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
MOST_BYTES = 1 << 26
MOST_PIXELS = 1 << 26
LARGEST_SIDE = 1 << 13


@dataclass(frozen=True)
class Pixels:
    """What becomes of a picture: ``scale * value + offset`` of its bytes 0..255 after it was resized.

    ``size`` is (height, width). ``fit`` distorts the picture to ``size`` (``tf.image.resize``); ``crop`` and
    ``padding`` both cut or pad it with zeros about its centre and never scale it
    (``tf.image.resize_with_crop_or_pad``), as the STM32 model zoo does. ``UsageError`` for other values.
    """

    size: tuple[int, int]
    interpolation: str = "bilinear"
    aspect_ratio: str = "fit"
    color_mode: str = "rgb"
    rescale: tuple[float, float] = (1 / 255, 0.0)

    def __post_init__(self) -> None:
        _check("interpolation", self.interpolation, INTERPOLATIONS)
        _check("aspect_ratio", self.aspect_ratio, ASPECT_RATIOS)
        _check("color_mode", self.color_mode, CHANNELS)
        if len(self.size) != 2 or not all(type(n) is int and 1 <= n <= LARGEST_SIDE for n in self.size):
            raise UsageError(f"size={self.size!r}: allowed: height and width, 1 to {LARGEST_SIDE} each")
        if len(self.rescale) != 2 or not np.isfinite(self.rescale).all() or not self.rescale[0]:
            raise UsageError(
                f"rescale={self.rescale!r}: allowed: two finite numbers, scale (not 0) and offset"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        return *self.size, CHANNELS[self.color_mode]

    @property
    def input_range(self) -> tuple[float, float] | None:
        """What 0 and 255 become, the lower first; None where the interpolation goes beyond them."""
        scale, offset = self.rescale
        if self.aspect_ratio == "fit" and self.interpolation in OVERSHOOTING:
            return None
        low, high = sorted((offset, 255 * scale + offset))
        return low, high

    def read(self, files: Sequence[Path]) -> Lazy:
        """The pictures (N, height, width, channels) float32, each decoded when it is needed.

        Reading a damaged one, one that is larger than ``MOST_PIXELS`` or no picture raises ``ModelError``.
        """
        _libraries()

        def rows(index: Index) -> Float32:
            return self._several([files[i] for i in index])

        def identity(row: int) -> bytes:
            return repr(self).encode() + read_whole(files[row], MOST_BYTES)

        return Lazy(len(files), self.shape, np.float32, rows, identity)

    def _several(self, files: Sequence[Path]) -> Float32:
        """The pictures of some files, by as many threads as TensorFlow has."""
        tf, _ = _libraries()
        given = [self._content(file) for file in files]
        kinds = {channels for _, channels in given}
        if not files or len(kinds) > 1 or sum(len(content) for content, _ in given) > MOST_BYTES:
            made = [self._one(file) for file in files]
            return np.stack(made) if made else np.zeros((0, *self.shape), np.float32)
        try:
            function = _function(self, kinds.pop())
            return np.asarray(function(tf.constant([content for content, _ in given])).numpy())
        except tf.errors.OpError:
            return np.stack([self._one(file) for file in files])  # one of them says which it is

    def _one(self, file: Path) -> Float32:
        tf, _ = _libraries()
        content, channels = self._content(file)
        try:
            return np.asarray(_function(self, channels)(tf.constant([content])).numpy()[0])
        except tf.errors.OpError as error:
            raise ModelError(f"{file} is damaged, or no picture that TensorFlow decodes") from error

    def _content(self, file: Path) -> tuple[bytes, int]:
        """The bytes of a file that are a picture by their beginning, and the channels to decode."""
        try:
            content = read_whole(file, MOST_BYTES)
            kind, _ = _outline(content)
        except OSError as error:
            raise ModelError(f"{file} cannot be read: {error.strerror or error}") from error
        except QuantcheckError as error:
            raise ModelError(f"{file}: {error}" if str(file) not in str(error) else str(error)) from error
        wanted = CHANNELS[self.color_mode]
        by_three = (wanted == 4 and kind not in ("PNG", "GIF")) or (wanted == 1 and kind in ("BMP", "GIF"))
        return content, 3 if by_three else wanted


def picture_size(file: Path) -> tuple[int, int]:
    """Height and width that a picture's header names. Raises ``ModelError``."""
    try:
        return _outline(read_whole(file, MOST_BYTES))[1]
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror or error}") from error
    except ModelError as error:
        raise ModelError(f"{file}: {error}" if str(file) not in str(error) else str(error)) from error


def _outline(content: bytes) -> tuple[str, tuple[int, int]]:
    """The format of a picture, its height and width: all that is read of it before memory is taken."""
    _, image = _libraries()
    try:
        with image.open(io.BytesIO(content), formats=("BMP", "GIF", "JPEG", "PNG")) as opened:
            kind, (width, height) = str(opened.format), opened.size
    except image.DecompressionBombError as error:
        raise ModelError(f"it unpacks to more than the {MOST_PIXELS} pixels that are read") from error
    except Exception as error:  # Pillow raises whatever its parsers raise
        raise ModelError("it is damaged, or no BMP, GIF, JPEG or PNG picture") from error
    if width * height > MOST_PIXELS:
        raise ModelError(f"it unpacks to {width} x {height} pixels; at most {MOST_PIXELS} are read")
    return kind, (height, width)


@cache
def _function(pixels: Pixels, channels: int) -> Callable[[Any], Any]:
    """What TensorFlow does with the contents of files (K,): decode to ``channels``, resize, rescale."""
    tf, _ = _libraries()
    height, width = pixels.size
    scale, offset = pixels.rescale

    def prepare(content: Any) -> Any:
        picture = tf.io.decode_image(content, channels=channels, expand_animations=False)
        if channels > CHANNELS[pixels.color_mode]:
            picture = tf.image.rgb_to_grayscale(picture)
        if channels < CHANNELS[pixels.color_mode]:
            opaque = tf.fill(tf.concat([tf.shape(picture)[:2], [1]], 0), tf.constant(255, tf.uint8))
            picture = tf.concat([picture, opaque], axis=2)
        if pixels.aspect_ratio == "fit":
            picture = tf.image.resize(picture, (height, width), method=pixels.interpolation)
        else:
            picture = tf.image.resize_with_crop_or_pad(picture, height, width)
        return tf.ensure_shape(scale * tf.cast(picture, tf.float32) + offset, pixels.shape)

    def several(contents: Any) -> Any:
        spec = tf.TensorSpec(pixels.shape, tf.float32)
        return tf.map_fn(prepare, contents, fn_output_signature=spec, parallel_iterations=2 * workers())

    with tf.device("/CPU:0"):
        made = tf.function(several, input_signature=[tf.TensorSpec([None], tf.string)])
        function: Callable[[Any], Any] = made.get_concrete_function()
    return function


@cache
def _libraries() -> tuple[Any, Any]:
    """TensorFlow and Pillow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("pillow", "zoo", "Reading images") from error
    try:
        import tensorflow as tf
    except ImportError as error:
        raise MissingExtraError("tensorflow", "zoo", "Reading images") from error
    return tf, Image


def _check(key: str, value: object, allowed: Sequence[str] | dict[str, int]) -> None:
    if value not in allowed:
        raise UsageError(f"{key}={value!r}: allowed: {', '.join(allowed)}")
