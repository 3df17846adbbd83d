"""The same sound elsewhere in its recording: silence or the clip's own noise around it."""

import numpy as np
from scipy.fft import irfft, rfft

from auscult.audio.synth import SAMPLE_RATE
from auscult.types import Audio

_FRAME = 512  # samples, 32 ms: the piece in which a clip's noise is looked at


def samples(seconds: float) -> int:
    """Whole samples of a time."""
    return round(seconds * SAMPLE_RATE)


def own_noise(x: Audio, rng: np.random.Generator, n: int) -> Audio:
    """n samples of noise with the power spectrum of the quietest tenth of the clip (Welch, 32 ms).

    A clip that never rests gives noise as loud as its quietest tenth; silence gives silence.
    """
    padded = np.pad(x, (0, max(0, _FRAME - len(x))))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[:: _FRAME // 4]
    level = np.mean(np.square(pieces, dtype=np.float64), axis=1)
    quiet = pieces[level <= np.quantile(level, 0.1)]
    hann = np.hanning(_FRAME)
    power = np.mean(np.abs(np.asarray(rfft(quiet * hann, axis=1))) ** 2, axis=0) / np.sum(hann**2)
    size = max(n, _FRAME)
    bins = np.linspace(0, 1, size // 2 + 1)
    shape = np.sqrt(np.interp(bins, np.linspace(0, 1, len(power)), power))
    white = np.asarray(rfft(rng.standard_normal(size)))
    return np.asarray(irfft(white * shape, size))[:n].astype(np.float32)


def silence_around(
    x: Audio, rng: np.random.Generator, *, before_s: float = 0.0, after_s: float = 0.0
) -> Audio:
    """Zeros before and after."""
    return np.pad(x, (samples(before_s), samples(after_s)))


def own_noise_around(x: Audio, rng: np.random.Generator, seconds: float) -> Audio:
    """The clip's own noise on both sides."""
    n = samples(seconds)
    noise = own_noise(x, rng, 2 * n)
    noise = noise / np.float32(max(1.0, float(np.abs(noise).max())))
    return np.concatenate([noise[:n], x, noise[n:]])


def offset(x: Audio, rng: np.random.Generator, by: float) -> Audio:
    """x on a constant, turned down where it would pass full scale."""
    peak = float(np.abs(x).max(initial=0.0))
    return (x * min(1.0, (1 - abs(by)) / max(peak, 1e-9)) + by).astype(np.float32)
