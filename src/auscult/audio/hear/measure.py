"""What can be measured in a sound: level, time, pitch, colour, decay, modulation. Pure numpy.

Every function takes float32 samples at `SAMPLE_RATE` and returns numbers with a unit: seconds,
hertz, semitones, or dB re full scale. Nothing here knows of any task.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from auscult.audio.synth import SAMPLE_RATE, rms_db
from auscult.types import Audio

QUIET_DB = -120.0
"""The level of silence: finite, so that differences of levels stay finite."""


def frames(x: Audio, window_s: float, hop_s: float) -> Float[np.ndarray, "frames window"]:
    """Overlapping windows (a read-only view); frame i is centred at `i * hop_s`.

    The ends are padded with zeros by half a window, so that a sound at the very start or end still
    has frames of its own.
    """
    size, hop = round(window_s * SAMPLE_RATE), round(hop_s * SAMPLE_RATE)
    padded = np.pad(x, (size // 2, size))
    view = np.lib.stride_tricks.sliding_window_view(padded, size)
    return view[: max(len(x), 1) : hop]


def blocks(rows: Float[np.ndarray, "n w"]) -> list[Float[np.ndarray, "part w"]]:
    """Frames in parts: what is made of each by itself needs no more memory for a long clip."""
    return [rows[i : i + 1024] for i in range(0, max(len(rows), 1), 1024)]


def level_db(x: Audio) -> float:
    """RMS level; empty or silent input gives `QUIET_DB`."""
    return rms_db(x) if len(x) and np.any(x) else QUIET_DB


def envelope_db(x: Audio, window_s: float = 0.02, hop_s: float = 0.005) -> Float[np.ndarray, " n"]:
    """RMS level per frame. 20 ms hold a whole period of 50 Hz, so low notes do not ripple."""
    power = np.mean(np.square(frames(x, window_s, hop_s), dtype=np.float64), axis=1)
    return 10 * np.log10(power + 1e-12)


def peak_level_db(x: Audio, window_s: float = 0.02) -> float:
    """Level of the loudest frame; unlike the RMS it does not depend on how long the sound rests."""
    return float(envelope_db(x, window_s).max())


def segments(
    x: Audio,
    *,
    below_peak_db: float = 30.0,
    above_floor_db: float = 10.0,
    min_gap_s: float = 0.02,
    min_length_s: float = 0.03,
) -> list[tuple[float, float]]:
    """Sounding stretches (start, end) in seconds, by an energy gate.

    The gate is `below_peak_db` under the loudest frame, but never less than `above_floor_db` over
    the noise floor (and never above the middle between both), so that hiss is not taken for sound.
    Gaps under `min_gap_s` are closed; stretches under `min_length_s` are dropped.
    """
    hop_s = 0.0025
    envelope = envelope_db(x, 0.01, hop_s)
    peak, floor = float(envelope.max()), float(np.percentile(envelope, 5))
    gate = max(peak - below_peak_db, min(floor + above_floor_db, (peak + floor) / 2))
    edges = np.flatnonzero(np.diff((envelope > gate).astype(int), prepend=0, append=0))
    found: list[tuple[float, float]] = []
    for start, end in edges.reshape(-1, 2) * hop_s:
        if found and start - found[-1][1] < min_gap_s:
            found[-1] = (found[-1][0], float(end))
        else:
            found.append((float(start), float(end)))
    return [(a, b) for a, b in found if b - a >= min_length_s]


def cut(x: Audio, start_s: float, end_s: float) -> Audio:
    """The samples between two times."""
    return x[max(0, round(start_s * SAMPLE_RATE)) : max(0, round(end_s * SAMPLE_RATE))]


def onsets(
    x: Audio,
    *,
    bands: int = 1,
    rise_db: float = 6.0,
    spacing_s: float = 0.08,
    range_db: float = 45.0,
) -> Float[np.ndarray, " n"]:
    """Times in seconds at which something starts, by median-gated flux of band levels.

    The flux is the rise of the level within 40 ms, averaged over the quarter of the `bands` that
    rise most (1: energy flux, immune to vibrato and sweeps; 24: spectral flux, which also finds
    legato changes of pitch, though a pure tone moves only few bands). A peak counts
    when it exceeds the median of its 0.4 s neighbourhood by `rise_db`. Levels are floored
    `range_db` under the loudest frame: below lies only noise, whose rises mean nothing.
    """
    hop_s, lag = 0.005, 8
    level = envelope_db(x, 0.02, hop_s)[:, None] if bands == 1 else mel_db(x, bands, hop_s=hop_s)
    peak, quiet = float(level.max()), float(np.percentile(level, 10))
    if peak <= QUIET_DB:
        return np.zeros(0)
    # A clip that never rests has no floor of its own; what sounds from its start still starts.
    floor = max(peak - range_db, min(quiet + 4, peak - 12))
    level = np.maximum(np.pad(level, ((lag, 0), (0, 0)), constant_values=floor), floor)
    rises = np.sort(np.maximum(level[lag:] - level[:-lag], 0), axis=1)
    flux = rises[:, -max(1, bands // 4) :].mean(axis=1)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(flux, 40), 81)
    gated = flux - np.median(near, axis=1)
    found: list[float] = []
    for i in peaks(gated, rise_db, round(spacing_s / hop_s)):
        # The flux peaks where the rise is complete; the onset is where the first third is done.
        rise = level[i : i + lag + 1].mean(axis=1)
        begin = int(np.argmax(rise > rise[0] + (rise[-1] - rise[0]) / 3))
        found.append(max(0.0, (i + begin - lag) * hop_s))
    return np.array(found)


def peaks(y: Float[np.ndarray, " n"], threshold: float, spacing: int) -> list[int]:
    """Indices of maxima above the threshold, the largest first choice within `spacing`."""
    taken: list[int] = []
    for i in np.argsort(-y):
        if y[i] < threshold:
            break
        if all(abs(int(i) - j) >= spacing for j in taken):
            taken.append(int(i))
    return sorted(taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pitch:
    """A pitch track: one value per frame.

    Example: 1 s of a 200 Hz tone at `hop_s` 0.01 gives hz of shape (100,), all near 200.
        times_s      centre of each frame
        hz           fundamental; meaningless where `periodicity` is low
        periodicity  height of the autocorrelation peak, 0 (noise) to 1 (exactly periodic)
        level_db     RMS level of the frame
    """

    times_s: Float[np.ndarray, " n"]
    hz: Float[np.ndarray, " n"]
    periodicity: Float[np.ndarray, " n"]
    level_db: Float[np.ndarray, " n"]

    def voiced(self, periodicity: float = 0.6, below_peak_db: float = 25.0) -> "Pitch":
        """Only the frames that are periodic and not much quieter than the loudest one."""
        keep = self.level_db > self.level_db.max(initial=QUIET_DB) - below_peak_db
        keep &= self.periodicity >= periodicity
        return Pitch(**{f.name: getattr(self, f.name)[keep] for f in fields(self)})


_UP = 2  # lags per sample: at 1,000 Hz a period is 16 samples, too coarse for sharp peaks


def f0_track(
    x: Audio,
    *,
    low_hz: float = 60.0,
    high_hz: float = 1100.0,
    hop_s: float = 0.01,
    window_s: float = 0.05,
) -> Pitch:
    """Pitch by the normalised autocorrelation (McLeod and Wyvill's NSDF).

    Of all peaks, the first that reaches 84 % of the highest wins: every multiple of the period is
    as high as the period itself, so taking the highest would slip down by octaves, and a strong
    resonance raises lower peaks before it, so taking any first peak would slip up.
    """
    longest, shortest = int(SAMPLE_RATE / low_hz) + 2, int(0.93 * _UP * SAMPLE_RATE / high_hz)
    parts = [_periods(part, longest, shortest) for part in blocks(frames(x, window_s, hop_s))]
    period, height, level = np.concatenate(parts, axis=1)
    times_s, sure = np.arange(len(period)) * hop_s, np.clip(height, 0.0, 1.0)
    return Pitch(times_s=times_s, hz=SAMPLE_RATE / period, periodicity=sure, level_db=level)


def _periods(
    part: Float[np.ndarray, "n w"], longest: int, shortest: int
) -> Float[np.ndarray, "3 n"]:
    """Rows: period in samples, height of its peak, level of the frame."""
    windows = part - part.mean(axis=1, dtype=np.float64, keepdims=True)
    nsdf = _nsdf(windows, longest)
    period, height = _first_peak(nsdf, shortest)
    level = 10 * np.log10(np.mean(windows**2, axis=1) + 1e-12)
    return np.stack([_refine(nsdf, period, height) / _UP, height, level])


def _nsdf(windows: Float[np.ndarray, "n w"], longest: int) -> Float[np.ndarray, "n lags"]:
    """2 r(lag) / (energy of both overlapping parts), for lags 0, 1/2, 1, ... `longest` samples."""
    size = 1 << (windows.shape[1] + longest - 1).bit_length()
    power = np.abs(np.fft.rfft(windows, size)) ** 2
    # Zero-padding the spectrum interpolates the autocorrelation between whole lags.
    power[:, -1] /= 2
    r = np.fft.irfft(power, size * _UP)[:, : longest * _UP] * _UP
    square = np.cumsum(np.pad(windows**2, ((0, 0), (1, 0))), axis=1)
    lag = np.arange(longest)
    width = windows.shape[1]
    both = square[:, width - lag] + square[:, -1:] - square[:, lag]
    both = np.repeat(both, _UP, axis=1)
    both[:, 1:-1:2] = (both[:, :-2:2] + both[:, 2::2]) / 2
    return 2 * r / np.maximum(both, 1e-9)


def _parabola(y: Float[np.ndarray, "n lags"], at: Int[np.ndarray, " n"]) -> tuple[
    Float[np.ndarray, " n"], Float[np.ndarray, " n"]
]:  # fmt: skip
    """Position and height of the peaks near `at`, between the samples."""
    row = np.arange(len(y))
    at = np.clip(at, 1, y.shape[1] - 2)
    a, b, c = y[row, at - 1], y[row, at], y[row, at + 1]
    bend = a - 2 * b + c
    shift = np.where(bend < -1e-12, 0.5 * (a - c) / np.where(bend < -1e-12, bend, 1), 0)
    shift = np.clip(shift, -0.5, 0.5)
    return at + shift, b - 0.25 * (a - c) * shift


def _first_peak(
    nsdf: Float[np.ndarray, "n lags"], shortest: int
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The first peak that is nearly the highest, per frame: (lag, height)."""
    y = nsdf.copy()
    y[:, :shortest] = -1
    # The slope down from lag 0 is no peak: only what follows the first negative value counts.
    y[np.cumsum(nsdf < 0, axis=1) == 0] = -1
    peak = np.zeros(y.shape, dtype=bool)
    peak[:, 1:-1] = (y[:, 1:-1] >= y[:, :-2]) & (y[:, 1:-1] > y[:, 2:]) & (y[:, :-2] > -1)
    best = np.where(peak, y, -1).max(axis=1, keepdims=True)
    first = np.argmax(peak & (y >= 0.84 * best), axis=1)
    lag, height = _parabola(nsdf, first)
    none = first == 0
    return np.where(none, float(nsdf.shape[1]), lag), np.where(none, 0.0, height)


def _refine(
    nsdf: Float[np.ndarray, "n lags"],
    period: Float[np.ndarray, " n"],
    height: Float[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """The same period read off its highest multiple in reach: an error of the lag is divided by
    the multiple, which matters where a period is few samples long."""
    last = nsdf.shape[1] - 5
    multiple = np.clip(last // np.maximum(period, 1), 1, 8)
    near = np.round(multiple * period).astype(int)[:, None] + np.arange(-4, 5)
    near = np.clip(near, 0, nsdf.shape[1] - 1)
    row = np.arange(len(nsdf))
    at = near[row, np.argmax(nsdf[row[:, None], near], axis=1)]
    far, far_height = _parabola(nsdf, at)
    return np.where(far_height > 0.8 * height, far / multiple, period)


def f0_median_hz(x: Audio, *, low_hz: float = 60.0, high_hz: float = 1100.0) -> float:
    """Median pitch of the voiced frames; nan where nothing is periodic."""
    track = f0_track(x, low_hz=low_hz, high_hz=high_hz).voiced()
    return float(np.median(track.hz)) if len(track.hz) else float("nan")


def steady_notes(
    x: Audio, *, tolerance_st: float = 0.5, min_length_s: float = 0.08, periodicity: float = 0.8
) -> list[tuple[float, float, float]]:
    """Stretches of one pitch: (start in s, end in s, hertz), legato notes apart.

    A note ends where the pitch leaves the running median by more than `tolerance_st` or where the
    sound is no longer periodic, so no silence is needed between two notes.
    """
    track = f0_track(x, window_s=0.04).voiced(periodicity=periodicity)
    st = semitones(track.hz)
    found: list[tuple[float, float, float]] = []
    begin = 0
    for i in range(1, len(st) + 1):
        together = i < len(st) and track.times_s[i] - track.times_s[i - 1] < 0.015
        if together and abs(st[i] - np.median(st[begin:i])) <= tolerance_st:
            continue
        start, end = float(track.times_s[begin]), float(track.times_s[i - 1])
        if end - start >= min_length_s:
            found.append((start, end, float(np.median(track.hz[begin:i]))))
        begin = i
    return found


def semitones(hz: Float[np.ndarray, " n"], reference_hz: float = 440.0) -> Float[np.ndarray, " n"]:
    """Distance above the reference in semitones (MIDI number minus 69 for 440 Hz)."""
    return 12 * np.log2(hz / reference_hz)


def periodicity(x: Audio, *, below_peak_db: float = 20.0) -> float:
    """Median height of the autocorrelation peak over the loud frames, 0 (noise) to 1."""
    track = f0_track(x).voiced(periodicity=0.0, below_peak_db=below_peak_db)
    return float(np.median(track.periodicity)) if len(track.hz) else 0.0


def hnr_db(x: Audio) -> float:
    """Harmonics-to-noise ratio: r / (1 - r) of the autocorrelation peak, within -30 to 40 dB."""
    r = float(np.clip(periodicity(x), 1e-3, 1 - 1e-4))
    return 10 * float(np.log10(r / (1 - r)))


@lru_cache(maxsize=8)
def mel_filters(
    bands: int, low_hz: float, high_hz: float, size: int
) -> Float[np.ndarray, "bands bins"]:
    """Triangles of unit sum, equally wide on the mel scale, for an FFT of `size`.

    Unit sum makes a band's value a mean power: white noise is flat and no band is empty.
    """
    top, bottom = 2595 * np.log10(1 + np.array([high_hz, low_hz]) / 700)
    edges = 700 * (10 ** (np.linspace(bottom, top, bands + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    left, middle, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (bins - left) / (middle - left), (right - bins) / (right - middle)
    weight = np.maximum(np.minimum(rise, fall), 0)
    nearest = np.argmin(np.abs(bins - middle), axis=1)
    weight[np.arange(bands), nearest] += 1e-3
    return weight / weight.sum(axis=1, keepdims=True)


def mel_db(
    x: Audio,
    bands: int = 24,
    *,
    low_hz: float = 60.0,
    high_hz: float = 7600.0,
    window_s: float = 0.025,
    hop_s: float = 0.01,
) -> Float[np.ndarray, "frames bands"]:
    """Mean power per mel band and frame, in dB."""
    windows = frames(x, window_s, hop_s)
    hann = np.hanning(windows.shape[1]).astype(np.float32)
    size = 1 << (windows.shape[1] - 1).bit_length()
    filters, scale = mel_filters(bands, low_hz, high_hz, size).T, np.sum(hann**2)
    power = [np.abs(np.fft.rfft(w * hann, size)) ** 2 / scale @ filters for w in blocks(windows)]
    return 10 * np.log10(np.concatenate(power) + 1e-12)


def spectrum(x: Audio) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """Frequencies in hertz and power (Hann window, so a tone does not leak over all bins)."""
    power = np.abs(np.fft.rfft(np.asarray(x, dtype=np.float64) * np.hanning(len(x)))) ** 2
    return np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE), power


def centroid_hz(x: Audio) -> float:
    """Spectral centroid by power: the balance point of the spectrum, "brightness"."""
    hz, power = spectrum(x)
    return float(np.sum(hz * power) / max(float(power.sum()), 1e-20))


def harmonic_levels_db(x: Audio, hz: float, count: int = 4) -> Float[np.ndarray, " count"]:
    """Level of harmonics 2, 3, ... `count` + 1 against the first, at least -60 dB."""
    bins, power = spectrum(x)
    width = max(hz / 8, 2 * SAMPLE_RATE / len(x))
    energy = [power[np.abs(bins - n * hz) <= width].sum() for n in range(1, count + 2)]
    return 10 * np.log10(np.maximum(np.array(energy[1:]) / max(float(energy[0]), 1e-20), 1e-6))


def decay_time_s(x: Audio, *, range_db: float = 35.0) -> float:
    """Time for a fall of 60 dB, from a line through the level after the last loud frame.

    The line ends `range_db` under the peak or 8 dB over the noise floor: below, the floor bends it.
    A sound that never falls gives infinity.
    """
    hop_s = 0.005
    envelope = envelope_db(x, 0.02, hop_s)
    peak = float(envelope.max())
    begin = int(np.flatnonzero(envelope >= peak - 3)[-1])
    limit = max(peak - range_db, float(np.percentile(envelope[begin:], 10)) + 8)
    if limit > peak - 6:
        return float("inf")
    below = np.flatnonzero(envelope[begin:] < limit)
    end = begin + int(below[0]) if len(below) else len(envelope)
    if end - begin < 3:
        return 60 * hop_s / (peak - limit) * (end - begin)
    slope = np.polyfit(np.arange(end - begin) * hop_s, envelope[begin:end], 1)[0]
    return float(-60 / slope) if slope < 0 else float("inf")


def modulation(
    values: Float[np.ndarray, " n"], rate_hz: float, *, low_hz: float = 3.0, high_hz: float = 12.0
) -> tuple[float, float]:
    """Strongest waver of an evenly sampled track: (hertz, depth from middle to peak).

    `values` in semitones give vibrato or tremor, in dB tremolo; `rate_hz` is values per second.
    A line is taken off first, so that a glide is no modulation.
    """
    n = len(values)
    if n < 2 * rate_hz / low_hz:
        return 0.0, 0.0
    t = np.arange(n)
    rest = values - np.polyval(np.polyfit(t, values, 1), t)
    hann = np.hanning(n)
    size = 8 * n
    size_of = 2 * np.abs(np.fft.rfft(rest * hann, size)) / hann.sum()
    hz = np.fft.rfftfreq(size, 1 / rate_hz)
    inside = (hz >= low_hz) & (hz <= high_hz)
    best = int(np.argmax(np.where(inside, size_of, 0)))
    return float(hz[best]), float(size_of[best])
