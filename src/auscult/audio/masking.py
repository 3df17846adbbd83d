"""Sounds that mask others: noise, voices without words, a band. Pure functions of a generator."""

from collections.abc import Callable

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from auscult.audio.hear.music import TRIADS
from auscult.audio.synth import SAMPLE_RATE, band_noise, fade, gain, note_hz, to_level, tone
from auscult.audio.voice import VOWELS, contour, vowel
from auscult.types import Audio

Source = Callable[[np.random.Generator, int], Audio]
"""(generator, number of samples) -> a masking sound at any level."""


def white(rng: np.random.Generator, n: int) -> Audio:
    """Gaussian noise, equal power per hertz."""
    return rng.standard_normal(n, dtype=np.float32)


def pink(rng: np.random.Generator, n: int) -> Audio:
    """Gaussian noise, equal power per octave from 20 Hz up."""
    size = next_fast_len(max(n, 4096), real=True)
    hz = np.maximum(rfftfreq(size, 1 / SAMPLE_RATE), 20.0)
    spectrum = np.asarray(rfft(rng.standard_normal(size))) / np.sqrt(hz)
    return np.asarray(irfft(spectrum, size))[:n].astype(np.float32)


_SHORTEST, _LONGEST = 3 * SAMPLE_RATE, 20 * SAMPLE_RATE  # what is made; longer clips hear it again
TALKERS = 8


def _ring(parts: list[tuple[int, Audio]], size: int) -> Audio:
    """Sounds laid on a circle of `size` samples, so that it can be repeated without a seam."""
    out = np.zeros(size, dtype=np.float32)
    for at, x in parts:
        np.add.at(out, (at + np.arange(len(x))) % size, x)
    return out


def _talker(rng: np.random.Generator, size: int) -> list[tuple[int, Audio]]:
    """Syllables of one voice without words, with consonants and pauses, around the circle."""
    woman = bool(rng.integers(2))
    base = rng.uniform(170, 240) if woman else rng.uniform(90, 140)
    hisses = to_level(band_noise(rng, 1.0, 2500, 7000), -32.0)
    parts: list[tuple[int, Audio]] = []
    at = int(rng.integers(size))
    end = at + size
    while at < end:
        if rng.random() < 0.5:
            cut = int(rng.integers(14_000))
            parts.append((at, fade(hisses[cut : cut + int(rng.integers(600, 1500))], 0.01)))
            at += len(parts[-1][1])
        pitch = contour(rng.uniform(0.12, 0.3), list(rng.uniform(-3, 3, 2)), base)
        name = list(VOWELS)[int(rng.integers(len(VOWELS)))]
        parts.append((at, vowel(rng, pitch, name, tract=1.17 if woman else 1.0)))
        at += len(pitch) + (round(rng.uniform(0.1, 0.5) * SAMPLE_RATE) if rng.random() < 0.2 else 0)
    return parts


def babble(rng: np.random.Generator, n: int) -> Audio:
    """Eight voices at once, no words; repeats itself after 20 s."""
    size = min(max(n, _SHORTEST), _LONGEST)
    parts = [part for _ in range(TALKERS) for part in _talker(rng, size)]
    return np.resize(_ring(parts, size), n)


PROGRESSIONS = (
    ((0, "maj"), (7, "maj"), (9, "min"), (5, "maj")),
    ((0, "maj"), (9, "min"), (5, "maj"), (7, "maj")),
    ((0, "min"), (8, "maj"), (3, "maj"), (10, "maj")),
    ((0, "min"), (5, "min"), (7, "min"), (0, "min")),
)
"""Chords of a bar each: (semitones above the tonic, triad)."""


def band(rng: np.random.Generator, n: int) -> Audio:
    """Chords and a plucked melody over them, four bars that are repeated; key, tempo and tune are
    drawn."""
    tonic, beat = int(rng.integers(48, 60)), round(rng.uniform(0.35, 0.6) * SAMPLE_RATE)
    chords = PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))]
    parts: list[tuple[int, Audio]] = []
    for bar, (root, triad) in enumerate(chords):
        notes = [tonic + root % 12 + step for step in TRIADS[triad]]
        parts += [
            (4 * beat * bar, tone(note_hz(m), 4 * beat / SAMPLE_RATE, "buzzy")) for m in notes
        ]
        for eighth in range(8):
            if eighth % 2 == 0 or rng.random() < 0.5:
                midi = notes[int(rng.integers(3))] + int(rng.choice([12, 12, 14, 24]))
                at = 4 * beat * bar + eighth * beat // 2
                parts.append((at, gain(tone(note_hz(midi), 0.4, "plucked"), 6.0)))
    ring = _ring(parts, 16 * beat)
    return np.resize(np.roll(ring, int(rng.integers(len(ring)))), n)


MASKS: dict[str, Source] = {"white": white, "pink": pink, "babble": babble, "music": band}
"""Masking sounds by name."""
