"""Sounds: read, resampled and cut to length in the time domain, by libsndfile, soxr and librosa."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.errors import MissingExtraError, ModelError, UsageError
from pytest_quantcheck.files import check_regular
from pytest_quantcheck.numerics.arrays import Float32

ENDINGS = (".aif", ".aiff", ".flac", ".mp3", ".ogg", ".wav")
FASTEST_HZ = 768_000
MOST_CHANNELS = 64
LONGEST_S = 3600.0


@dataclass(frozen=True)
class Waves:
    """What becomes of a recording, in this order; the names are those of the STM32 model zoo.

    The first ``max_length`` seconds, the mean of all channels, at ``target_rate`` Hz; where ``lengthen`` is
    ``before``, repeated up to ``min_length`` seconds; frames (``frame_length``, ``hop_length`` samples) that
    lie ``top_db`` below the loudest are cut out (None keeps them); ``trim_last_second`` cuts to whole
    seconds; where ``lengthen`` is ``after``, repeated up to ``min_length`` seconds.
    """

    target_rate: int = 16000
    min_length: float = 1
    max_length: float = 10
    top_db: float | None = 60
    frame_length: int = 3200
    hop_length: int = 3200
    trim_last_second: bool = False
    lengthen: str = "after"

    def __post_init__(self) -> None:
        for key in ("target_rate", "frame_length", "hop_length"):
            value = getattr(self, key)
            if type(value) is not int or not 1 <= value <= FASTEST_HZ:
                raise UsageError(f"{key}={value!r}: allowed: whole numbers from 1 to {FASTEST_HZ}")
        if not 0 <= self.min_length <= self.max_length <= LONGEST_S or not self.max_length:
            raise UsageError(
                f"min_length={self.min_length}, max_length={self.max_length}: allowed: seconds, 0 to "
                f"{LONGEST_S:g}, the first no more than the second"
            )
        if self.lengthen not in ("after", "before"):
            raise UsageError(f"lengthen={self.lengthen!r}: allowed: after, before")
        if self.top_db is not None and not (np.isfinite(self.top_db) and self.top_db > 0):
            raise UsageError(f"top_db={self.top_db}: allowed: decibels above 0, or None")

    def read(self, file: Path) -> Float32:
        """The samples (n,) float32 of a recording. Raises ``ModelError``."""
        wave, rate = _decoded(file, self.max_length)
        librosa, _ = libraries()
        if rate != self.target_rate:
            wave = librosa.resample(wave, orig_sr=rate, target_sr=self.target_rate, res_type="soxr_hq")
        return self.reformat(wave, str(file))

    def reformat(self, wave: Float32, name: str) -> Float32:
        """``wave`` (n,) at ``target_rate``, without silence and of the wanted length."""
        librosa, _ = libraries()
        if self.lengthen == "before":
            wave = self._repeated(wave)
        if self.top_db is not None and wave.size:
            loud = librosa.effects.split(
                wave, top_db=self.top_db, frame_length=self.frame_length, hop_length=self.hop_length
            )
            wave = np.concatenate([wave[start:stop] for start, stop in loud]) if len(loud) else wave[:0]
        if not wave.size:
            raise ModelError(f"{name} holds nothing but silence; leave it out, or raise top_db")
        seconds = len(wave) // self.target_rate
        if self.trim_last_second and seconds:
            wave = wave[: seconds * self.target_rate]
        return self._repeated(wave) if self.lengthen == "after" else wave

    def _repeated(self, wave: Float32) -> Float32:
        wanted = int(self.min_length * self.target_rate)
        if not 0 < len(wave) < wanted:
            return wave
        return np.tile(wave, wanted // len(wave) + 1)[:wanted]


def _decoded(file: Path, seconds: float) -> tuple[Float32, int]:
    """The first ``seconds`` of a recording, the mean of its channels (n,) float32, and its rate in Hz."""
    _, soundfile = libraries()
    try:
        _check_whole(file)
        with soundfile.SoundFile(str(file)) as sound:
            rate, channels = int(sound.samplerate), int(sound.channels)
            if not 1 <= rate <= FASTEST_HZ or channels > MOST_CHANNELS:
                raise ModelError(f"{file} claims {rate} Hz and {channels} channels; at most {FASTEST_HZ} "
                                 f"and {MOST_CHANNELS} are read")  # fmt: skip
            wave = sound.read(int(seconds * rate), dtype="float32", always_2d=True)
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror or error}") from error
    except soundfile.SoundFileError as error:
        raise ModelError(f"{file} is damaged, or no sound that libsndfile reads ({error})") from error
    if not len(wave):
        raise ModelError(f"{file} holds no sound")
    if not np.isfinite(wave).all():
        raise ModelError(f"{file} holds samples that are not finite")
    return np.ascontiguousarray(wave.mean(axis=1, dtype=np.float32) if channels > 1 else wave[:, 0]), rate


def _check_whole(file: Path) -> None:
    """A WAV file that is shorter than it says: libsndfile would take what is left for the whole."""
    size = check_regular(file)
    with file.open("rb") as opened:
        start = opened.read(8)
    promised = int.from_bytes(start[4:8], "little")
    if start[:4] == b"RIFF" and 0 < promised < 0xFFFFFFFF - 8 and promised + 8 > size + 1:
        raise ModelError(f"{file} is cut off: its header promises {promised + 8} bytes, it has {size}")


@cache
def libraries() -> tuple[Any, Any]:
    """librosa and soundfile. Raises ``MissingExtraError``."""
    try:
        import librosa
        import soundfile
    except ImportError as error:
        raise MissingExtraError("librosa", "zoo", "Reading sounds") from error
    return librosa, soundfile
