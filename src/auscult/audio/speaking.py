"""How something is said or sounds: rests, rate, breath, noise, tremble and roughness."""

import numpy as np
from jaxtyping import Float
from scipy.fft import ifft, irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter
from scipy.signal import butter, find_peaks, sosfiltfilt

from auscult.audio.measure import envelope_db, frames, modulation
from auscult.audio.pitch import HOP_S, pitch_track
from auscult.audio.synth import SAMPLE_RATE
from auscult.types import Audio

PAUSE_S = 0.15
"""A shorter silence is a stop consonant or a gap between notes, not a pause."""

_SHORTEST_S = 0.04
_SILENT_DB = -75.0

# ---------------------------------------------------------------------------- rests


def activity(x: Audio) -> list[tuple[float, float]]:
    """Stretches of sound (start, end) in seconds, by an energy gate; none in silence.

    The gate lies a third of the way up from the floor (10th percentile of the level) to the peak,
    4 to 12 dB over the floor and at most 40 dB under the peak. A level that hardly moves is one
    stretch. Silences under `PAUSE_S` belong to the sound around them.
    """
    level = envelope_db(x, 0.03, HOP_S)
    floor, peak = np.percentile(level, (10, 98)).tolist()
    if peak < _SILENT_DB:
        return []
    rise = float(np.clip((peak - floor) / 3, 4, 12))
    gate = max(floor + rise, peak - 40, _SILENT_DB) if peak - floor > 5 else _SILENT_DB
    edges = np.flatnonzero(np.diff((level > gate).astype(int), prepend=0, append=0))
    found: list[tuple[float, float]] = []
    for start, end in (edges.reshape(-1, 2) * HOP_S).tolist():
        if end - start < _SHORTEST_S:
            continue
        if found and start - found[-1][1] < PAUSE_S:
            start = found.pop()[0]
        found.append((start, min(end, len(x) / SAMPLE_RATE)))
    return found


def pauses(x: Audio) -> list[tuple[float, float]]:
    """Silences (start, end) in seconds of at least `PAUSE_S` between two stretches of sound."""
    parts = activity(x)
    return [(a[1], b[0]) for a, b in zip(parts, parts[1:], strict=False)]


# ---------------------------------------------------------------------------- speech

_NUCLEUS_HZ = (400.0, 4000.0)
_SMOOTH_S = 0.03
_DIP_DB = 1.5
_NUCLEUS_RANGE_DB = 25.0


def _band_level(x: Audio, smooth_s: float) -> Float[np.ndarray, " frames"]:
    """Level in dB of the band in which vowels are strong, per 10 ms, smoothed."""
    sos = butter(2, _NUCLEUS_HZ, "bandpass", fs=SAMPLE_RATE, output="sos")
    band = np.asarray(sosfiltfilt(sos, x)).astype(np.float32)
    power = np.mean(np.square(frames(band, 0.02, HOP_S), dtype=np.float64), axis=1)
    bell = np.hanning(2 * round(smooth_s / HOP_S) + 1)[1:-1]
    return 10 * np.log10(np.convolve(power, bell / bell.sum(), "same") + 1e-12)


def _nuclei(x: Audio) -> int:
    """Voiced peaks of the vowel band with a dip between each two."""
    if len(x) < 0.1 * SAMPLE_RATE:
        return 0
    level = _band_level(x, _SMOOTH_S)
    floor = float(level.max()) - _NUCLEUS_RANGE_DB
    peaks, _ = find_peaks(np.pad(np.maximum(level, floor), 1, constant_values=floor),
                          prominence=_DIP_DB)  # fmt: skip
    voiced = pitch_track(x).periodicity > 0
    near = np.convolve(voiced, np.ones(3), "same") > 0
    return int(near[np.clip(peaks - 1, 0, len(near) - 1)].sum())


def syllable_rate(x: Audio) -> float:
    """Syllable nuclei per second of active speech (pauses taken out); nan without any sound.

    After N. de Jong and T. Wempe, "Praat script to detect syllable nuclei" (2009): voiced peaks of
    the energy with a dip between.
    """
    seconds = sum(b - a for a, b in activity(x))
    return _nuclei(x) / seconds if seconds > 0 else float("nan")


def cpps_db(x: Audio) -> float:
    """Smoothed cepstral peak prominence in dB; the breathier a voice, the lower. nan in silence.

    J. Hillenbrand and R. Houde (1996): how far the cepstrum's peak at the pitch period (60 to
    400 Hz) rises over its trend, averaged over the loud frames. Compare it within one voice.
    """
    windows = frames(x, 0.04, HOP_S)
    level = envelope_db(x, 0.04, HOP_S)
    loud = level > max(float(level.max()) - 20, _SILENT_DB)
    if not loud.any():
        return float("nan")
    hann = np.hanning(windows.shape[1]).astype(np.float32)
    power = np.abs(np.asarray(rfft(windows[loud] * hann, 1024, axis=1))) ** 2
    cepstrum = np.abs(np.asarray(irfft(10 * np.log10(power + 1e-9), axis=1)))[:, :512]
    smooth = uniform_filter(cepstrum, (3, 9))  # 30 ms by 0.5 ms
    prominence = 20 * np.log10(smooth + 1e-6)
    fit = np.arange(16, 480)  # samples of quefrency: from 1 ms on
    slope, offset = np.polyfit(fit, prominence[:, fit].T, 1)
    pitch = np.arange(SAMPLE_RATE // 400, SAMPLE_RATE // 60)
    prominence = prominence[:, pitch] - slope[:, None] * pitch - offset[:, None]
    return float(prominence.max(axis=1).mean())


def snr_db(x: Audio) -> float:
    """Blind signal-to-noise ratio in dB: mean power of the sound over that of its rests.

    The noise is the 10th percentile of the level in 20 ms, the signal the mean power of what lies
    over it by 3 dB, less the noise. nan for silence and for a level that never moves, which has no
    rests. Good for bands of 10 dB, not as a number.
    """
    level = envelope_db(x)
    low, high = np.percentile(level, (10, 95)).tolist()
    if high < _SILENT_DB or high - low < 2:
        return float("nan")
    power = 10 ** (level / 10)
    noise = 10 ** (low / 10)
    signal = float(power[level > low + 3].mean()) - noise
    return float(np.clip(10 * np.log10(signal / noise), -10, 80))


# ---------------------------------------------------------------------------- modulation


def _envelope(x: Audio, rate: int) -> Float[np.ndarray, " n"]:
    """Amplitude (of the analytic signal), `rate` values per second, averaged by power."""
    size = next_fast_len(len(x), real=False) or len(x)
    half = np.asarray(rfft(x.astype(np.float64), size))
    spectrum = np.zeros(size, dtype=np.complex128)
    spectrum[: len(half)] = 2 * half
    spectrum[0] /= 2
    power = np.abs(np.asarray(ifft(spectrum)))[: len(x)] ** 2
    step = SAMPLE_RATE // rate
    count = len(x) // step
    return np.sqrt(power[: count * step].reshape(count, step).mean(axis=1))


def amplitude_modulation(x: Audio) -> tuple[float, float]:
    """Strongest waver of the level between 2 and 60 Hz: (hertz, depth in dB, middle to peak).

    Taken from the first to the last sound, the level floored 40 dB under its peak. For sinusoidal
    modulation by m the depth is 17.4 (1 - sqrt(1 - m^2)) / m dB. (nan, nan) in silence and under 1 s.
    """
    parts = activity(x)
    if not parts or parts[-1][1] - parts[0][0] < 1.0:
        return float("nan"), float("nan")
    rate = 500
    envelope = _envelope(x, rate)[round(parts[0][0] * rate) : round(parts[-1][1] * rate)]
    level = 20 * np.log10(np.maximum(envelope, envelope.max() / 100))
    return modulation(level, rate, low_hz=2.0, high_hz=60.0)


def roughness(x: Audio) -> float:
    """Depth in dB (middle to peak) of the strongest waver of the level between 20 and 150 Hz.

    Median over the loud stretches of 0.2 s; depth as in `amplitude_modulation`. A low voice beats
    at its own pitch; where the fundamental is there to be heard, it is no roughness and left out.
    nan in silence and under 0.2 s.
    """
    rate, span = 1000, 200
    envelope = _envelope(x, rate)
    count = len(envelope) // (span // 2) - 1
    if count < 1 or float(envelope.max()) < 10 ** (_SILENT_DB / 20):
        return float("nan")
    part = np.lib.stride_tricks.sliding_window_view(envelope, span)[:: span // 2]
    mean = part.mean(axis=1)
    loud = mean > mean.max() / 10
    level = 20 * np.log10(np.maximum(part, mean[:, None] / 30))
    level -= level.mean(axis=1, keepdims=True)
    hann = np.hanning(span)
    line = 2 * np.abs(np.asarray(rfft(level * hann, 1024, axis=1))) / hann.sum()
    hz = np.fft.rfftfreq(1024, 1 / rate)
    line[:, (hz < 20) | (hz > 150)] = 0
    return float(np.median(line[loud].max(axis=1)))
