"""Sounds of known truth for the measurements that no statement about a gym item rests on.

A probe draws a clip and the value that should be measured in it; one line in `PROBES` each.
"""

from collections.abc import Callable

import numpy as np

from auscult.audio.synth import band_noise, finish, lay, note_hz, to_level, tone
from auscult.audio.voice import contour, tremble, vowel
from auscult.gym.base import pick
from auscult.gym.tasks.rhythm import click
from auscult.types import Audio

Probe = Callable[[np.random.Generator], tuple[Audio, float | str, float]]
"""generator -> (clip, truth, tolerance); the tolerance of a word is 0."""


def _in_frame(rng: np.random.Generator, x: Audio) -> Audio:
    return finish(rng, lay([(0.1, x)], len(x) / 16000 + 0.2), 1)


def sounding(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """Two tones with a gap: from the first onset to the last end."""
    gap, length = rng.uniform(0.2, 0.8), rng.uniform(0.15, 0.4)
    beep = tone(rng.uniform(300, 900), length)
    x = lay([(0.1, beep), (0.1 + length + gap, beep)], 2 * length + gap + 0.3)
    return finish(rng, x, 1), 2 * length + gap, 0.08


def pitch_change(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """A voice that glides; the medians of the first and last seventh lie 6/7 of the glide apart."""
    glide = float(rng.uniform(-8, 8))
    x = vowel(rng, contour(1.0, [0, glide], rng.uniform(110, 200)), "ah")
    return _in_frame(rng, x), glide * 6 / 7, 0.8


def spacing(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """Clicks on a grid or off it."""
    even = bool(rng.random() < 0.5)
    gaps = np.full(5, 0.3) if even else 0.3 * rng.permutation([0.55, 0.75, 1.0, 1.3, 1.6])
    at = np.concatenate([[0.05], 0.05 + np.cumsum(gaps)])
    x = lay([(float(t), click(rng)) for t in at], float(at[-1]) + 0.2)
    return finish(rng, x, 1), "regular" if even else "irregular", 0.0


def brightness(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """A pure tone: its centroid is its frequency."""
    hz = float(rng.uniform(300, 3000))
    return finish(rng, tone(hz, 0.8), 1), hz, 0.1 * hz


def brightness_course(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """Noise whose band moves up, down or not."""
    way = pick(rng, ("rising", "falling", "level"))
    low, high = (400.0, 700.0), (1600.0, 2800.0)
    ends = {"rising": (low, high), "falling": (high, low), "level": (low, low)}[way]
    parts = [to_level(band_noise(rng, 0.5, *band), -20.0) for band in ends]
    return finish(rng, np.concatenate(parts), 1), way, 0.0


def cpps(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """A clear voice lies over 8 dB, one of breath under it."""
    clear = bool(rng.random() < 0.5)
    hz = contour(0.9, [0, 1], rng.uniform(100, 230))
    x = vowel(rng, hz, "ah", breath=0.02 if clear else 0.7)
    return _in_frame(rng, x), 14.0 if clear else 2.0, 6.0


def modulation(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """A trembling voice."""
    rate = float(rng.uniform(4.5, 7.0))
    hz = tremble(contour(1.3, [0, 0], rng.uniform(110, 230)), rate, 1.2)
    return _in_frame(rng, vowel(rng, hz, "ah")), rate, 0.5


def roughness(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """A tone whose level is shaken: depth m gives 10 log10((1 + m) / (1 - m)) dB."""
    depth = float(rng.uniform(0.2, 0.5))
    x = tone(float(rng.uniform(600, 1000)), 1.0)
    shake = 1 + depth * np.sin(2 * np.pi * rng.uniform(30, 90) * np.arange(len(x)) / 16000)
    truth = 10 * float(np.log10((1 + depth) / (1 - depth)))
    return finish(rng, (x * shake).astype(np.float32), 1), truth, 0.3 * truth


def tremolo(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """A tone whose level wavers slowly."""
    hz = float(rng.uniform(4, 15))
    x = tone(float(rng.uniform(400, 1000)), 1.2)
    wave = 1 + 0.6 * np.sin(2 * np.pi * hz * np.arange(len(x)) / 16000)
    return finish(rng, (x * wave).astype(np.float32), 1), hz, 0.5


def key(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """A scale up and down with the tonic triad at the end."""
    names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    root, mode = int(rng.integers(12)), pick(rng, ("major", "minor"))
    shape = {"major": (0, 2, 4, 5, 7, 9, 11, 12), "minor": (0, 2, 3, 5, 7, 8, 11, 12)}[mode]
    third = shape[2]
    midis = [60 + root + s for s in (*shape, *shape[-2::-1], 0, third, 7, 0)]
    parts = [(0.05 + 0.3 * i, tone(note_hz(m), 0.26, "buzzy")) for i, m in enumerate(midis)]
    return finish(rng, lay(parts, 0.1 + 0.3 * len(midis)), 1), f"{names[root]} {mode}", 0.0


def loudness(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """A tone of 997 Hz: peak level less 3.01 dB."""
    peak = float(rng.uniform(-30, -12))
    x = 10 ** (peak / 20) * np.sin(2 * np.pi * 997 * np.arange(32_000) / 16000)
    return x.astype(np.float32), peak - 3.01, 0.5


def _phrases(rng: np.random.Generator) -> tuple[Audio, int, float]:
    """Held vowels with pauses between: clip, pauses, seconds of sound."""
    n, gap = int(rng.integers(1, 4)), float(rng.uniform(0.3, 0.6))
    hz = float(rng.uniform(100, 220))
    parts = [
        (0.1 + i * (0.5 + gap), vowel(rng, contour(0.5, [0, 1], hz), "ah")) for i in range(n + 1)
    ]
    return finish(rng, lay(parts, 0.2 + n * (0.5 + gap) + 0.5), 1), n, 0.5 * (n + 1)


def pauses(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """Vowels with one to three pauses."""
    x, n, _ = _phrases(rng)
    return x, float(n), 0.0


def active(rng: np.random.Generator) -> tuple[Audio, float | str, float]:
    """Vowels of half a second each."""
    x, _, seconds = _phrases(rng)
    return x, seconds, 0.15 * seconds


PROBES: dict[str, Probe] = {
    "sounding": sounding,
    "pitch_change": pitch_change,
    "spacing": spacing,
    "brightness": brightness,
    "brightness_course": brightness_course,
    "cpps": cpps,
    "modulation": modulation,
    "roughness": roughness,
    "tremolo": tremolo,
    "key": key,
    "loudness": loudness,
    "pauses": pauses,
    "active": active,
}
"""Measurement -> sounds of known truth."""


def agrees(value: float | str | None, truth: float | str, tolerance: float) -> bool:
    """Is the measured value the true one, within the tolerance?"""
    if isinstance(value, (int, float)) and isinstance(truth, (int, float)):
        return abs(value - truth) <= tolerance
    return value == truth
