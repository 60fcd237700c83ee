"""Building blocks of sounds: noise, tones, envelopes, rooms. All are float64 (n,) at ``RATE`` Hz."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE = 16000
Wave = npt.NDArray[np.float64]
Random = np.random.RandomState


def seconds(length: float) -> Wave:
    """The time of each sample."""
    return np.arange(int(length * RATE)) / RATE


def noise(random: Random, count: int, low: float = 0.0, high: float = RATE / 2, tilt: float = 0.0) -> Wave:
    """Noise between two frequencies in Hz, its amplitude falling with frequency to the power of ``tilt``."""
    spectrum = np.fft.rfft(random.standard_normal(count))
    frequencies = np.fft.rfftfreq(count, 1 / RATE)
    spectrum *= (frequencies >= low) & (frequencies <= high)
    spectrum /= np.maximum(frequencies, 20.0) ** tilt
    return unit(np.fft.irfft(spectrum, count))


def harmonics(pitch: Wave, weights: npt.ArrayLike) -> Wave:
    """Overtones of a pitch in Hz that may change, (n,), with one weight each; none above half the rate."""
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    total = np.zeros(len(pitch))
    for number, weight in enumerate(np.asarray(weights, dtype=np.float64), start=1):
        total += weight * np.sin(number * phase) * (number * pitch < 0.48 * RATE)
    return unit(total)


def decay(count: int, length: float, attack: float = 0.002) -> Wave:
    """An envelope that rises in ``attack`` seconds and falls by 1/e in ``length``."""
    time = np.arange(count) / RATE
    return np.minimum(time / attack, 1.0) * np.exp(-time / length)


def formants(wave: Wave, peaks: npt.ArrayLike, width: float = 120.0) -> Wave:
    """A wave with resonances at some frequencies in Hz, each half as loud as the one before."""
    spectrum = np.fft.rfft(wave)
    frequencies = np.fft.rfftfreq(len(wave), 1 / RATE)
    gain = np.full(len(frequencies), 0.02)
    for number, peak in enumerate(np.asarray(peaks, dtype=np.float64)):
        gain += 0.5**number / (1 + ((frequencies - peak) / width) ** 2)
    return unit(np.fft.irfft(spectrum * gain, len(wave)))


def place(target: Wave, wave: Wave, start: float) -> None:
    """Add ``wave`` to ``target`` from ``start`` seconds on; what does not fit is cut off."""
    at = int(start * RATE)
    piece = wave[: max(0, len(target) - at)]
    target[at : at + len(piece)] += piece


def room(random: Random, wave: Wave, length: float) -> Wave:
    """A wave with the echoes of a room whose sound dies away in ``length`` seconds."""
    count = int(length * RATE)
    echoes = random.standard_normal(count) * np.exp(-5.0 * np.arange(count) / count) * 0.15
    echoes[0] = 1.0
    size = 1 << (len(wave) + count).bit_length()
    return np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(echoes, size), size)[: len(wave)]


def unit(wave: Wave) -> Wave:
    """A wave of root mean square 1; silence stays."""
    power = np.sqrt(np.mean(np.square(wave))) if len(wave) else 0.0
    return wave / power if power > 0 else wave


def recorded(random: Random, wave: Wave, ratio_db: float, loudness: float) -> npt.NDArray[np.int16]:
    """What a cheap microphone records: noise ``ratio_db`` below the sound, clipped, in 16 bits."""
    floor = noise(random, len(wave), tilt=random.uniform(0.2, 0.8))
    mixed = unit(wave) + 10 ** (-ratio_db / 20) * floor
    peak = np.max(np.abs(mixed)) or 1.0
    return np.clip(np.rint(mixed / peak * loudness * 32767), -32768, 32767).astype(np.int16)
