"""Ten kinds of sounds, named as in ESC-10, put together from noise, tones and pulses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance_models.synthesis.sounds import (
    RATE,
    Random,
    Wave,
    decay,
    formants,
    harmonics,
    noise,
    place,
    recorded,
    room,
    seconds,
    unit,
)

LENGTH = 2.5  # seconds of a clip
_COUNT = int(LENGTH * RATE)


def _dog(random: Random) -> Wave:
    clip = np.zeros(_COUNT)
    base = random.uniform(250, 600)
    for start in np.cumsum(random.uniform(0.25, 0.8, 5)) - 0.2:
        time = seconds(random.uniform(0.12, 0.25))
        pitch = base * (1.0 + 0.6 * np.sin(np.pi * time / time[-1]))
        bark = harmonics(pitch, 0.8 ** np.arange(10)) + 0.5 * noise(random, len(time), 300, 4000)
        place(clip, bark * decay(len(time), 0.08, 0.015), start)
    return clip


def _chainsaw(random: Random) -> Wave:
    time = seconds(LENGTH)
    throttle = 1 + 0.35 * np.sin(2 * np.pi * random.uniform(0.2, 0.8) * time + random.uniform(0, 6))
    pitch = random.uniform(70, 120) * throttle
    return harmonics(pitch, 1 / np.arange(1, 31) ** 0.6) + 0.6 * noise(random, _COUNT, 500, 6000)


def _fire(random: Random) -> Wave:
    clip = 0.25 * noise(random, _COUNT, 50, 3000, 0.7)
    for start in random.uniform(0, LENGTH, random.randint(40, 120)):
        crack = noise(random, int(0.02 * RATE), random.uniform(500, 2500), 7500)
        place(
            clip,
            crack * decay(len(crack), random.uniform(0.001, 0.005), 0.0003) * random.exponential(4),
            start,
        )
    return clip


def _helicopter(random: Random) -> Wave:
    time = seconds(LENGTH)
    beat = np.maximum(0, np.sin(2 * np.pi * random.uniform(8, 16) * time)) ** 4
    return beat * noise(random, _COUNT, 30, 900, 0.5) + 0.15 * noise(random, _COUNT, 200, 3000)


def _rain(random: Random) -> Wave:
    clip = noise(random, _COUNT, 400, 8000, random.uniform(-0.2, 0.3))
    for start in random.uniform(0, LENGTH, 150):
        drop = np.sin(2 * np.pi * random.uniform(1500, 5000) * seconds(0.01))
        place(clip, drop * decay(len(drop), 0.003) * random.exponential(1.0), start)
    return clip


def _baby(random: Random) -> Wave:
    clip = np.zeros(_COUNT)
    base = random.uniform(350, 550)
    start = random.uniform(0, 0.3)
    while start < LENGTH:
        time = seconds(random.uniform(0.5, 1.1))
        pitch = (
            base * (1 + 0.25 * np.sin(np.pi * time / time[-1])) * (1 + 0.02 * np.sin(2 * np.pi * 6 * time))
        )
        cry = formants(harmonics(pitch, 0.85 ** np.arange(14)), [1100, 2800, 4200], 300)
        place(clip, cry * np.abs(np.sin(np.pi * time / time[-1])) ** 0.5, start)
        start += len(time) / RATE + random.uniform(0.1, 0.4)
    return clip


def _clock(random: Random) -> Wave:
    clip = np.zeros(_COUNT)
    period, tone = random.uniform(0.2, 0.5), random.uniform(1500, 4500)
    for number, start in enumerate(np.arange(random.uniform(0, period), LENGTH, period)):
        time = seconds(0.04)
        tick = np.sin(2 * np.pi * tone * (1 + 0.15 * (number % 2)) * time) + 0.5 * noise(
            random, len(time), 1000
        )
        place(clip, tick * decay(len(time), 0.006, 0.0005), start)
    return clip


def _sneeze(random: Random) -> Wave:
    clip = np.zeros(_COUNT)
    for start in (random.uniform(0.05, 0.5), random.uniform(1.2, 1.7)):
        inhale = noise(random, int(0.25 * RATE), 300, 2500) * np.linspace(0, 0.3, int(0.25 * RATE))
        burst = noise(random, int(0.35 * RATE), 800, 7500)
        place(clip, inhale, start)
        place(clip, 2.5 * burst * decay(len(burst), 0.09, 0.004), start + 0.25)
        time = seconds(0.15)
        voice = harmonics(random.uniform(180, 320) * (1 - time), 0.7 ** np.arange(8))
        place(clip, voice * decay(len(time), 0.05, 0.02), start + 0.22)
    return clip


def _rooster(random: Random) -> Wave:
    clip = np.zeros(_COUNT)
    base, start = random.uniform(500, 800), random.uniform(0.05, 0.4)
    for length, rise in ((0.15, 0.9), (0.12, 1.1), (0.2, 1.3), (random.uniform(0.5, 0.9), 1.5)):
        time = seconds(length)
        pitch = base * rise * (1 + 0.25 * np.sin(np.pi * time / length)) * (1 - 0.2 * (time / length) ** 3)
        call = formants(harmonics(pitch, 0.9 ** np.arange(9)), [1500, 3000], 500)
        place(clip, call * np.abs(np.sin(np.pi * time / length)) ** 0.4, start)
        start += length + random.uniform(0.02, 0.08)
    return clip


def _sea(random: Random) -> Wave:
    time = seconds(LENGTH)
    swell = 0.35 + 0.65 * np.sin(np.pi * random.uniform(0.25, 0.5) * time + random.uniform(0, 3)) ** 2
    return swell * noise(random, _COUNT, 60, 7000, random.uniform(0.4, 0.9))


SOUNDS: dict[str, Callable[[Random], Wave]] = {
    "chainsaw": _chainsaw,
    "clock_tick": _clock,
    "crackling_fire": _fire,
    "crying_baby": _baby,
    "dog": _dog,
    "helicopter": _helicopter,
    "rain": _rain,
    "rooster": _rooster,
    "sea_waves": _sea,
    "sneezing": _sneeze,
}
"""By class, in the order of their names."""


def clip(kind: str, number: int, hardness: float = 1.0) -> np.ndarray:
    """Recording ``number`` of a class, int16 (LENGTH * RATE,): in a room, with another sound behind it."""
    random = Random(1000 * list(SOUNDS).index(kind) + number)
    wave = unit(SOUNDS[kind](random))
    wave = room(random, wave, random.uniform(0.05, 0.5))
    behind = list(SOUNDS)[random.randint(len(SOUNDS))]
    wave = unit(wave) + hardness * random.uniform(0.0, 0.45) * unit(SOUNDS[behind](random))
    return recorded(random, wave, random.uniform(8, 30), random.uniform(0.1, 0.95))
