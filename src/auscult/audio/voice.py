"""A wordless voice: glottal source and vowel resonances with exact pitch, breath and tremor.

It is the permissive default for every task about *how* something is said; words need `[speech]`.
"""

import numpy as np

from auscult.audio.synth import SAMPLE_RATE, fade, filtered, to_level
from auscult.types import Audio

VOWELS: dict[str, tuple[float, float, float]] = {
    "ah": (750.0, 1200.0, 2550.0),
    "eh": (530.0, 1850.0, 2500.0),
    "ee": (280.0, 2300.0, 3000.0),
    "oh": (450.0, 850.0, 2500.0),
    "oo": (300.0, 700.0, 2300.0),
}
"""First three resonances (hertz) of an adult male tract."""

_BANDWIDTHS_HZ = (80.0, 100.0, 140.0)


def _resonator(hz: float, bandwidth_hz: float) -> list[float]:
    """Second-order section with unit gain at 0 Hz (Klatt's digital resonator)."""
    r = np.exp(-np.pi * bandwidth_hz / SAMPLE_RATE)
    b = 2 * r * np.cos(2 * np.pi * hz / SAMPLE_RATE)
    c = -r * r
    return [1 - b - c, 0.0, 0.0, 1.0, -b, -c]


def vowel(
    rng: np.random.Generator,
    pitch_hz: Audio,
    name: str = "ah",
    *,
    breath: float = 0.02,
    tract: float = 1.0,
) -> Audio:
    """A vowel that follows `pitch_hz` (one value per sample).

    breath: noise in the source, 0 (pressed) to 1 (whisper). tract: resonance scale, 1 for a man,
    about 1.17 for a woman. Returns samples at -20 dB.
    """
    phase = np.cumsum(pitch_hz, dtype=np.float64) / SAMPLE_RATE
    turn = np.floor(phase + rng.uniform())
    pulses = np.diff(turn, prepend=turn[0]).astype(np.float32)
    noise = rng.standard_normal(len(pulses), dtype=np.float32)
    # Noise is levelled against the pulse train's power, so `breath` means the same at any pitch.
    power = float(np.sqrt(np.mean(pulses**2)) + 1e-9)
    source = (1 - breath) * pulses + breath * power * noise
    low_pass = [[0.06, 0.0, 0.0, 1.0, -0.94, 0.0]]
    sections = low_pass + [
        _resonator(f * tract, bw) for f, bw in zip(VOWELS[name], _BANDWIDTHS_HZ, strict=True)
    ]
    x = filtered(sections, source)
    return fade(to_level(x, -20.0), 0.03)


def contour(duration_s: float, points: list[float], reference_hz: float) -> Audio:
    """Pitch per sample through equally spaced points, given in semitones from `reference_hz`."""
    n = round(duration_s * SAMPLE_RATE)
    st = np.interp(np.linspace(0, len(points) - 1, n), np.arange(len(points)), points)
    return (reference_hz * 2 ** (st / 12)).astype(np.float32)


def tremble(pitch_hz: Audio, rate_hz: float, depth_st: float) -> Audio:
    """The same pitch with a sinusoidal waver."""
    t = np.arange(len(pitch_hz)) / SAMPLE_RATE
    return (pitch_hz * 2 ** (depth_st * np.sin(2 * np.pi * rate_hz * t) / 12)).astype(np.float32)
