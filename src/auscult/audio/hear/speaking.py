"""How something is said or sounds: rests, rate, breath, noise, tremble and roughness."""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float
from scipy.fft import ifft, irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter, uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

from auscult.audio.hear.measure import Pitch, envelope_db, frames, modulation
from auscult.audio.hear.pitch import HOP_S, pitch_track
from auscult.audio.synth import SAMPLE_RATE
from auscult.types import Audio

PAUSE_S = 0.15
"""A shorter silence is a stop consonant or a gap between notes, not a pause."""

_SHORTEST_FRAMES = 4
_SILENT_DB = -75.0

# ---------------------------------------------------------------------------- rests


def activity(x: Audio) -> list[tuple[float, float]]:
    """Stretches of sound (start, end) in seconds, by an energy gate; none in silence.

    The gate lies a tenth of the way up from the floor (10th percentile of the level in 40 ms) to
    the peak, 1.2 to 12 dB over the floor and at most 40 dB under the peak; a stretch must rise 2 dB
    over it somewhere. A level that hardly moves is one stretch. Silences under `PAUSE_S` belong to
    the sound around them. The edges lie up to 20 ms outside of the sound.
    """
    level = envelope_db(x, 0.04, HOP_S)
    floor, peak = np.percentile(level, (10, 98)).tolist()
    if peak < _SILENT_DB:
        return []
    gate = max(floor + float(np.clip((peak - floor) / 10, 1.2, 12)), peak - 40)
    if peak - floor < 2 or gate < _SILENT_DB:
        gate = _SILENT_DB
    found: list[tuple[float, float]] = []
    for first, last in _runs(level > gate):
        if last - first < _SHORTEST_FRAMES or level[first:last].max() < gate + 2:
            continue
        start, end = first * HOP_S, min(last * HOP_S, len(x) / SAMPLE_RATE)
        if found and start - found[-1][1] < PAUSE_S:
            start = found.pop()[0]
        found.append((start, end))
    return found


def _runs(on: Bool[np.ndarray, " frames"]) -> list[tuple[int, int]]:
    """Runs of true (first, one past the last); dips of up to 3 frames, as in a trill, closed."""
    edges = np.flatnonzero(np.diff(on.astype(int), prepend=0, append=0)).reshape(-1, 2)
    if not len(edges):
        return []
    apart = np.flatnonzero(edges[1:, 0] - edges[:-1, 1] > 3)
    first = edges[np.append(0, apart + 1), 0]
    last = edges[np.append(apart, len(edges) - 1), 1]
    return list(zip(first.tolist(), last.tolist(), strict=True))


def pauses(x: Audio) -> list[tuple[float, float]]:
    """Silences (start, end) in seconds of at least `PAUSE_S` between two stretches of sound."""
    parts = activity(x)
    return [(a[1], b[0]) for a, b in pairwise(parts)]


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


def _nuclei(x: Audio, track: Pitch | None = None) -> int:
    """Voiced peaks of the vowel band with a dip between each two."""
    if len(x) < 0.1 * SAMPLE_RATE:
        return 0
    level = _band_level(x, _SMOOTH_S)
    floor = float(level.max()) - _NUCLEUS_RANGE_DB
    peaks, _ = find_peaks(np.pad(np.maximum(level, floor), 1, constant_values=floor),
                          prominence=_DIP_DB)  # fmt: skip
    voiced = (track or pitch_track(x)).periodicity > 0
    near = np.convolve(voiced, np.ones(3), "same") > 0
    return int(near[np.clip(peaks - 1, 0, len(near) - 1)].sum())


def syllable_rate(x: Audio, track: Pitch | None = None) -> float:
    """Syllable nuclei per second of active speech (pauses taken out); nan without any sound.

    After N. de Jong and T. Wempe, "Praat script to detect syllable nuclei" (2009): voiced peaks of
    the energy with a dip between. `track` saves a second pitch tracking where one was made.
    """
    seconds = sum(b - a for a, b in activity(x))
    return _nuclei(x, track) / seconds if seconds > 0 else float("nan")


def cpps_db(x: Audio) -> float:
    """Smoothed cepstral peak prominence in dB; the breathier a voice, the lower. nan in silence
    and under 0.1 s.

    J. Hillenbrand and R. Houde (1996): how far the cepstrum's peak at the pitch period (60 to
    400 Hz) rises over its trend, averaged over the loud frames. Compare it within one voice.
    """
    windows = frames(x, 0.04, HOP_S)
    level = envelope_db(x, 0.04, HOP_S)
    loud = level > max(float(level.max()) - 20, _SILENT_DB)
    if not loud.any() or len(x) < 0.1 * SAMPLE_RATE:
        return float("nan")
    hann = np.hanning(windows.shape[1]).astype(np.float32)
    power = np.abs(np.asarray(rfft(windows[loud] * hann, 1024, axis=1))) ** 2
    cepstrum = np.abs(np.asarray(irfft(10 * np.log10(power + 1e-9), axis=1)))[:, :512]
    smooth = uniform_filter(cepstrum, [3, 9])  # 30 ms by 0.5 ms  # pyright: ignore[reportArgumentType]
    prominence = 20 * np.log10(smooth + 1e-6)
    fit = np.arange(16, 480)  # samples of quefrency: from 1 ms on
    slope, offset = np.polyfit(fit, prominence[:, fit].T, 1)
    pitch = np.arange(SAMPLE_RATE // 400, SAMPLE_RATE // 60)
    prominence = prominence[:, pitch] - slope[:, None] * pitch - offset[:, None]
    return float(prominence.max(axis=1).mean())


def snr_db(x: Audio) -> float:
    """Blind signal-to-noise ratio in dB: mean power of the sound over that of its rests.

    The noise is the 10th percentile of the level in 20 ms, the signal the mean power of what lies
    over it by 3 dB, less the noise. nan for silence, under 0.3 s and for a level that never
    moves by 3 dB: it has no rests. Good for bands of 10 dB, not as a number: speech with
    pauses in white noise reads 0.3 dB too high at 20 dB, 1.2 at 10, 2.2 at 5 and 4.1 at 0.
    """
    level = envelope_db(x)
    low, high = np.percentile(level, (10, 95)).tolist()
    if high < _SILENT_DB or high - low <= 3 or len(x) < 0.3 * SAMPLE_RATE:
        return float("nan")
    power = 10 ** (level / 10)
    noise = 10 ** (low / 10)
    signal = float(power[level > low + 3].mean()) - noise
    return float(np.clip(10 * np.log10(signal / noise), -10, 80))


# ---------------------------------------------------------------------------- modulation


def _envelope(x: Audio, rate: int) -> Float[np.ndarray, " n"]:
    """Amplitude (of the analytic signal), `rate` values per second, averaged by power."""
    size = int(next_fast_len(max(len(x), 1)) or 1)
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

    Taken from the first to the last sound, the level floored 40 dB under its peak. Sinusoidal
    modulation by m has a depth of 17.4 (1 - sqrt(1 - m^2)) / m dB. (nan, nan) in silence and
    under 1 s.
    """
    rate = 500
    envelope = _envelope(x, rate)
    sounding = np.flatnonzero(envelope > max(float(envelope.max(initial=0)) / 30, 1e-4))
    if not len(sounding) or sounding[-1] - sounding[0] < rate:
        return float("nan"), float("nan")
    envelope = envelope[sounding[0] : sounding[-1] + 1]
    level = 20 * np.log10(np.maximum(envelope, envelope.max() / 100))
    return modulation(level, rate, low_hz=2.0, high_hz=60.0)


_PART_S = 0.2
_OWN_PITCH_DB = -25.0
_OWN_PERIODICITY = 0.85


def _is_fraction(power: Float[np.ndarray, " bins"], hz: float) -> bool:
    """Is `hz` only a fraction of the true pitch, as a wavering level makes it look?

    The autocorrelation of the spectrum with its resonances flattened (to 4 kHz) tells: a voice's
    own period has no part that repeats too.
    """
    low = power[: len(power) // 2]
    smooth = uniform_filter1d(low, round(500 * _PART_S))
    flat = low / (smooth + smooth.max() / 1000 + 1e-9)
    r = np.asarray(irfft(flat, 4 * len(flat)))

    def height(lag: float) -> float:
        reach = max(2, round(0.03 * lag))
        return float(r[round(lag) - reach : round(lag) + reach + 1].max())

    whole = height(SAMPLE_RATE / hz)
    return any(height(SAMPLE_RATE / hz / part) > 0.55 * whole for part in (2, 3, 4, 5))


def _own_beats(x: Audio, parts: int, track: Pitch | None = None) -> Float[np.ndarray, "parts 2"]:
    """Lowest and highest pitch in hertz of each part whose fundamental sounds; inf elsewhere.

    Two high tones beat at a fundamental that does not sound; a voice beats at one that does.
    """
    track = track or pitch_track(x, 60.0, 400.0)
    size = round(_PART_S * SAMPLE_RATE)
    per_part = round(_PART_S / HOP_S)
    out = np.full((parts, 2), np.inf)
    hann = np.hanning(size)
    bins = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    for i in range(parts):
        here = slice(i * per_part // 2, i * per_part // 2 + per_part)
        hz = track.hz[here][track.periodicity[here] > _OWN_PERIODICITY]
        if not len(hz) or float(np.median(hz)) > 170:
            continue
        low, high = np.percentile(hz, (5, 95)).tolist()
        power = np.abs(np.asarray(rfft(x[i * size // 2 : i * size // 2 + size] * hann))) ** 2
        own = power[(bins > low * 0.9 - 5) & (bins < high * 1.1 + 5)].sum()
        heard = own > power.sum() * 10 ** (_OWN_PITCH_DB / 10)
        if heard and not _is_fraction(power, float(np.median(hz))):
            out[i] = low, high
    return out


def roughness(x: Audio, track: Pitch | None = None) -> float:
    """Depth in dB (middle to peak) of the strongest waver of the level between 20 and 150 Hz.

    Median over the loud stretches of 0.2 s; depth as in `amplitude_modulation`. A low voice beats
    at its own pitch: where the fundamental sounds, its rate and its double are left out. White
    noise reads 0.5 dB. nan in silence and under 0.2 s.
    """
    rate = 1000
    span = round(_PART_S * rate)
    envelope = _envelope(x, rate)
    if len(envelope) < span or float(envelope.max(initial=0)) < 10 ** (_SILENT_DB / 20):
        return float("nan")
    part = np.lib.stride_tricks.sliding_window_view(envelope, span)[:: span // 2]
    mean = part.mean(axis=1)
    loud = mean > mean.max() / 10
    level = 20 * np.log10(np.maximum(part, np.maximum(mean[:, None] / 30, 1e-9)))
    level -= level.mean(axis=1, keepdims=True)
    hann = np.hanning(span)
    line = 2 * np.abs(np.asarray(rfft(level * hann, 1024, axis=1))) / hann.sum()
    hz = np.fft.rfftfreq(1024, 1 / rate)
    line[:, (hz < 20) | (hz > 150)] = 0
    low, high = _own_beats(x, len(part), track).T[:, :, None]
    for k in (1, 2):
        line[(hz > 0.95 * k * low - 10) & (hz < 1.05 * k * high + 10)] = 0
    return float(np.median(line[loud].max(axis=1)))
