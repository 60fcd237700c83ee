"""Log-mel patches: what most audio models of microcontrollers see of a sound."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np

from pytest_quantcheck.data.readers.waves import libraries
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.numerics.arrays import Float32

FLOOR = 1e-4  # added before the logarithm, as in the model zoo
_COUNTS = ("patch_length", "n_mels", "n_fft", "hop_length", "window_length")


@dataclass(frozen=True)
class LogMel:
    """A mel spectrogram as ``librosa.feature.melspectrogram`` computes it, in the logarithm, cut into
    patches.

    ``to_db``: decibels below the loudest value of the clip; else the natural logarithm of value + 1e-4.
    Patches have ``patch_length`` frames and share the fraction ``overlap`` of them with the next one. With
    ``include_last_patch`` frames that are left over make a patch together with the frames before them. The
    names and meanings are those of the STM32 model zoo.
    """

    patch_length: int = 96
    n_mels: int = 64
    overlap: float = 0.25
    n_fft: int = 512
    hop_length: int = 160
    window_length: int = 400
    window: str = "hann"
    center: bool = False
    pad_mode: str = "constant"
    power: float = 1.0
    fmin: float = 125
    fmax: float | None = 7500
    norm: str | None = None
    htk: bool = True
    to_db: bool = False
    include_last_patch: bool = False

    def __post_init__(self) -> None:
        for key in _COUNTS:
            value = getattr(self, key)
            if type(value) is not int or not 1 <= value <= 1 << 16:
                raise UsageError(f"{key}={value!r}: allowed: whole numbers from 1 to {1 << 16}")
        if not 0 <= self.overlap < 1 or self.step < 1:
            raise UsageError(f"overlap={self.overlap}: allowed: a fraction from 0 up to, not including, 1")
        if self.window_length > self.n_fft:
            raise UsageError(f"window_length={self.window_length} is above n_fft={self.n_fft}")
        if self.power not in (1.0, 2.0):
            raise UsageError(f"power={self.power}: allowed: 1.0 (magnitude), 2.0 (power)")
        if self.norm not in (None, "slaney"):
            raise UsageError(f"norm={self.norm!r}: allowed: None, 'slaney'")
        if not 0 <= self.fmin < (self.fmax or np.inf):
            raise UsageError(f"fmin={self.fmin}, fmax={self.fmax}: allowed: Hz, the lower one first")
        for field in fields(self):
            if field.type == "bool" and not isinstance(getattr(self, field.name), bool):
                raise UsageError(f"{field.name}={getattr(self, field.name)!r}: allowed: True, False")

    @property
    def step(self) -> int:
        """Frames from the beginning of a patch to that of the next."""
        return self.patch_length - int(self.patch_length * self.overlap)

    def spectrogram(self, wave: Float32, rate: int) -> Float32:
        """(n_mels, frames) float32 of a sound (n,) at ``rate`` Hz."""
        librosa, _ = libraries()
        spectrum = np.abs(
            librosa.stft(
                wave,
                n_fft=self.n_fft,
                hop_length=self.hop_length,
                win_length=self.window_length,
                window=self.window,
                center=self.center,
                pad_mode=self.pad_mode,
            )
        )
        bands = _filters(self, rate) @ (spectrum if self.power == 1 else np.square(spectrum))
        if not self.to_db:
            return np.asarray(np.log(bands + np.float32(FLOOR)), dtype=np.float32)
        decibels = librosa.power_to_db if self.power == 2 else librosa.amplitude_to_db
        return np.asarray(decibels(bands, ref=np.max), dtype=np.float32)

    def patches(self, wave: Float32, rate: int, name: str) -> Float32:
        """(patches, n_mels, patch_length) float32. Raises ``ModelError`` for a sound too short for one."""
        if len(wave) < self.n_fft and not self.center:
            frames = 0
            whole = np.zeros((self.n_mels, 0), np.float32)
        else:
            whole = self.spectrogram(wave, rate)
            frames = whole.shape[1]
        if frames < self.patch_length:
            raise ModelError(
                f"{name} makes {frames} frames, a patch has {self.patch_length}; "
                "raise min_length, or leave it out"
            )
        starts = list(range(0, frames - self.patch_length + 1, self.step))
        if self.include_last_patch and starts[-1] + self.patch_length < frames:
            starts.append(frames - self.patch_length)
        return np.stack([whole[:, start : start + self.patch_length] for start in starts])


@cache
def _filters(settings: LogMel, rate: int) -> Any:
    librosa, _ = libraries()
    try:
        return librosa.filters.mel(
            sr=rate,
            n_fft=settings.n_fft,
            n_mels=settings.n_mels,
            fmin=settings.fmin,
            fmax=settings.fmax,
            htk=settings.htk,
            norm=settings.norm,
        )
    except librosa.ParameterError as error:
        raise UsageError(f"librosa refuses the mel filters: {error}") from error
