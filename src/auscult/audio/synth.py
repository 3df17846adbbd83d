"""Procedural sound: tones, events, backgrounds, rooms. Pure numpy, exact parameters, no files.

Every function returns float32 at `SAMPLE_RATE`; times in seconds, frequencies in hertz, levels in
dB. Randomness comes only from the generator that is passed in.
"""

from collections.abc import Callable, Sequence
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import butter, resample_poly, sosfilt

from auscult.types import Audio

SAMPLE_RATE = 16_000
NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def resample(x: Audio, rate: int) -> Audio:
    """A whole sound from `rate` to 16 kHz with an anti-aliasing filter; files are read in blocks by
    `read.decode.Resampler`."""
    if rate == SAMPLE_RATE:
        return x
    common = gcd(rate, SAMPLE_RATE)
    return resample_poly(x, SAMPLE_RATE // common, rate // common).astype(np.float32)


def note_hz(midi: float) -> float:
    """Equal temperament, A4 = MIDI 69 = 440 Hz."""
    return 440.0 * 2.0 ** ((midi - 69) / 12)


def note_name(midi: int) -> str:
    """60 -> "C4"."""
    return f"{NOTE_NAMES[midi % 12]}{midi // 12 - 1}"


def times(duration_s: float) -> Audio:
    """Sample times 0, 1/16000, ... of a sound of the given length."""
    return np.arange(round(duration_s * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE


def fade(x: Audio, seconds: float = 0.01) -> Audio:
    """Raised-cosine ends, so that no sound starts or stops with a click."""
    n = min(round(seconds * SAMPLE_RATE), len(x) // 2)
    if n < 1:
        return x
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)).astype(np.float32)
    x = x.copy()
    x[:n] *= ramp
    x[-n:] *= ramp[::-1]
    return x


def gain(x: Audio, db: float) -> Audio:
    """Change of level by `db`."""
    return (x * 10 ** (db / 20)).astype(np.float32)


def rms_db(x: Audio) -> float:
    """Level in dB re full scale."""
    return float(10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + 1e-12))


def to_level(x: Audio, db: float) -> Audio:
    """Scaled to an RMS level of `db` re full scale."""
    return gain(x, db - rms_db(x))


TIMBRES: dict[str, tuple[float, ...]] = {
    "pure": (1.0,),
    "buzzy": tuple(1 / n for n in range(1, 11)),
    "hollow": tuple(1 / n if n % 2 else 0.0 for n in range(1, 10)),
    "plucked": tuple(1 / n**1.2 for n in range(1, 9)),
}
"""Harmonic amplitudes of each timbre; "plucked" also decays."""


def tone(hz: float, duration_s: float, timbre: str = "pure") -> Audio:
    """A steady note with the harmonics of its timbre, peak about 1 before levelling."""
    t = times(duration_s)
    x = np.zeros_like(t)
    for n, a in enumerate(TIMBRES[timbre], start=1):
        if a and n * hz < SAMPLE_RATE / 2:
            x += np.float32(a) * np.sin(np.float32(2 * np.pi * n * hz) * t)
    if timbre == "plucked":
        x *= np.exp(-t * np.float32(4.0))
    return fade(to_level(x, -20.0))


def filtered(sections: ArrayLike, x: Audio) -> Audio:
    """x through second-order sections, float32."""
    y: Any = sosfilt(np.asarray(sections, dtype=np.float64), x)
    return y.astype(np.float32)


def band_noise(rng: np.random.Generator, duration_s: float, low_hz: float, high_hz: float) -> Audio:
    """Gaussian noise between two frequencies."""
    white = rng.standard_normal(round(duration_s * SAMPLE_RATE), dtype=np.float32)
    sos: Any = butter(2, (low_hz, high_hz), "bandpass", fs=SAMPLE_RATE, output="sos")
    return filtered(sos, white)


def _decaying(partials: Sequence[tuple[float, float, float]], duration_s: float) -> Audio:
    """Sum of (hz, amplitude, decay per second) partials."""
    t = times(duration_s)
    x = np.zeros_like(t)
    for hz, a, d in partials:
        x += np.float32(a) * np.sin(np.float32(2 * np.pi * hz) * t) * np.exp(np.float32(-d) * t)
    return x


def _sweep(hz: Audio, harmonics: Sequence[float] = (1.0,)) -> Audio:
    phase = 2 * np.pi * np.cumsum(hz, dtype=np.float64) / SAMPLE_RATE
    return sum(a * np.sin(n * phase) for n, a in enumerate(harmonics, 1)).astype(np.float32)  # pyright: ignore[reportAttributeAccessIssue]


def _beep(rng: np.random.Generator) -> Audio:
    return tone(rng.uniform(950, 1150), rng.uniform(0.12, 0.16))


def _knock(rng: np.random.Generator) -> Audio:
    base = rng.uniform(150, 230)
    body = _decaying([(base, 1, 45), (base * 2.3, 0.5, 70)], 0.13)
    body[:160] += 0.4 * rng.standard_normal(160, dtype=np.float32)
    return body


def _clap(rng: np.random.Generator) -> Audio:
    x = band_noise(rng, 0.13, 900, 3500)
    return x * np.exp(-times(0.13) * np.float32(rng.uniform(40, 60)))


def _bark(rng: np.random.Generator) -> Audio:
    t = times(0.2)
    hz = rng.uniform(380, 520) * (1 + 0.5 * np.sin(np.pi * t / 0.2))
    x = _sweep(hz.astype(np.float32), (1, 0.9, 0.8, 0.6, 0.5, 0.3))
    x += 0.5 * rng.standard_normal(len(t), dtype=np.float32)
    return x * np.sin(np.pi * t / 0.2).astype(np.float32) ** 0.7


def _chirp(rng: np.random.Generator) -> Audio:
    t = times(0.18)
    hz = rng.uniform(2600, 3400) + 900 * np.sin(2 * np.pi * rng.uniform(11, 16) * t)
    return fade(_sweep(hz.astype(np.float32)), 0.02)


def _bell(rng: np.random.Generator) -> Audio:
    f = rng.uniform(620, 820)
    parts = [(f, 1, 5), (2.76 * f, 0.7, 8), (5.4 * f, 0.4, 12), (0.5 * f, 0.4, 4)]
    return _decaying(parts, 0.5)


def _drum(rng: np.random.Generator) -> Audio:
    t = times(0.2)
    hz = rng.uniform(55, 70) + 90 * np.exp(-t * np.float32(35))
    return _sweep(hz.astype(np.float32)) * np.exp(-t * np.float32(14))


def _horn(rng: np.random.Generator) -> Audio:
    f = rng.uniform(380, 440)
    t = times(0.35)
    x = _sweep(np.full_like(t, f), (1, 0.8, 0.7, 0.5, 0.4, 0.3))
    return fade(x + _sweep(np.full_like(t, f * 1.26), (1, 0.8, 0.7, 0.5, 0.4, 0.3)), 0.02)


def _glass(rng: np.random.Generator) -> Audio:
    parts = [(f, 1, rng.uniform(12, 25)) for f in rng.uniform(4000, 7400, 6)]
    x = _decaying(parts, 0.25)
    x[:200] += 2 * rng.standard_normal(200, dtype=np.float32)
    return x


def _whistle(rng: np.random.Generator) -> Audio:
    t = times(0.35)
    hz = rng.uniform(1300, 1500) + 700 * t / 0.35
    return fade(_sweep(hz.astype(np.float32)), 0.03)


EVENTS: dict[str, Callable[[np.random.Generator], Audio]] = {
    "beep": _beep,
    "knock": _knock,
    "clap": _clap,
    "bark": _bark,
    "chirp": _chirp,
    "bell": _bell,
    "drum": _drum,
    "horn": _horn,
    "glass": _glass,
    "whistle": _whistle,
}
"""Short sounds by name; at most 0.5 s each."""

PLURAL = {name: name + "s" for name in EVENTS} | {"glass": "glasses"}


def event(rng: np.random.Generator, name: str) -> Audio:
    """One event at a fixed loudness (peak-limited RMS level)."""
    x = fade(EVENTS[name](rng), 0.003)
    return (x * np.float32(0.3) / max(float(np.abs(x).max()), 1e-6)).astype(np.float32)


def rain(rng: np.random.Generator, duration_s: float) -> Audio:
    """Bright hiss with drops."""
    x = 0.4 * band_noise(rng, duration_s, 1500, 7500)
    drops = rng.integers(0, len(x) - 80, size=int(60 * duration_s))
    shape = np.exp(-np.arange(80, dtype=np.float32) / 12)
    for at in drops:
        x[at : at + 80] += shape * rng.standard_normal(80, dtype=np.float32)
    return x


def wind(rng: np.random.Generator, duration_s: float) -> Audio:
    """Low noise that swells slowly."""
    t = times(duration_s)
    swell = 1 + 0.7 * np.sin(2 * np.pi * rng.uniform(0.5, 0.9) * t + rng.uniform(0, 6.28))
    return band_noise(rng, duration_s, 120, 600) * swell.astype(np.float32)


def hum(hz: Audio) -> Audio:
    """An engine: many harmonics of a low, possibly moving frequency (one value per sample)."""
    return _sweep(hz, [1 / n**0.7 for n in range(1, 13)])


def engine(rng: np.random.Generator, duration_s: float) -> Audio:
    """A steady engine."""
    hz = rng.uniform(70, 110)
    return hum(np.full(round(duration_s * SAMPLE_RATE), hz, dtype=np.float32))


def crickets(rng: np.random.Generator, duration_s: float) -> Audio:
    """High tone in fast pulses."""
    t = times(duration_s)
    pulses = (np.sin(2 * np.pi * rng.uniform(14, 18) * t) > 0.2).astype(np.float32)
    return np.sin(2 * np.pi * rng.uniform(4300, 5000) * t).astype(np.float32) * pulses


BACKGROUNDS: dict[str, Callable[[np.random.Generator, float], Audio]] = {
    "rain": rain,
    "wind": wind,
    "engine": engine,
    "crickets": crickets,
}
"""Lasting sounds by name: (generator, seconds) -> samples."""


def reverberate(rng: np.random.Generator, x: Audio, rt60_s: float) -> Audio:
    """x in a room: direct sound plus exponentially decaying noise (-60 dB after `rt60_s`)."""
    t = times(min(rt60_s, 1.2))
    tail = rng.standard_normal(len(t), dtype=np.float32) * np.exp(np.float32(-6.91 / rt60_s) * t)
    impulse = 0.08 * tail
    impulse[0] = 1.0
    size = 1 << (len(x) + len(t) - 1).bit_length()
    spectrum = np.fft.rfft(x, size) * np.fft.rfft(impulse, size)
    return np.fft.irfft(spectrum, size)[: len(x) + len(t) - 1].astype(np.float32)


def lay(parts: Sequence[tuple[float, Audio]], duration_s: float | None = None) -> Audio:
    """Sounds put on one time line: (start in seconds, samples). Grows to hold the last sound."""
    ends = [round(at * SAMPLE_RATE) + len(x) for at, x in parts]
    total = max([*ends, round((duration_s or 0) * SAMPLE_RATE)])
    out = np.zeros(total, dtype=np.float32)
    for (_, x), end in zip(parts, ends, strict=True):
        out[end - len(x) : end] += x
    return out


NOISE_FLOOR_DB = {1: -62.0, 2: -48.0, 3: -38.0}
"""Level of the white noise under every gym clip, by difficulty level."""


def finish(rng: np.random.Generator, x: Audio, level: int) -> Audio:
    """The last step of every clip: noise floor by level, peak at most 1."""
    floor = gain(
        rng.standard_normal(len(x), dtype=np.float32), NOISE_FLOOR_DB[max(1, min(level, 3))]
    )
    x = x + floor
    peak = float(np.abs(x).max(initial=0.0))
    return (x / peak * np.float32(0.99)).astype(np.float32) if peak > 0.99 else x
