"""Pitch over time: candidates from the autocorrelation, the path through them by Viterbi.

The candidates and their costs follow P. Boersma, "Accurate short-term analysis of the fundamental
frequency" (1993). Two things are added: short periods are measured in a short window, so that
vibrato is followed although 60 Hz fits too; and a period whose half or third part repeats as well
pays for it, so that a melody may leap by an octave.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.fft import irfft, next_fast_len, rfft

from auscult.audio.hear.measure import QUIET_DB, Pitch, blocks, frames
from auscult.audio.synth import SAMPLE_RATE
from auscult.types import Audio

HOP_S = 0.01

_PERIODS = 3.0  # of the lowest pitch in a window
_SHORT_S = 0.025
_BLEND = (90, 130)  # lags in samples: below, the short window rules; above, the long one
_UP = 2  # lags per sample: at 1,000 Hz a period is 16 samples, too coarse for sharp peaks
_CANDIDATES = 8
_CROWD = 0.1
_VOICING = 0.48  # strength of staying unvoiced
_OCTAVE = 0.02  # bonus per octave above the lowest pitch
_PARTS = 0.75  # penalty per excess of a part's height over `_PARTS_FROM` of the period's
_PARTS_FROM = 0.85
_JUMP, _JUMP_MOST = 0.35, 0.3  # cost per octave between two frames, and at most
_SWITCH = 0.14  # cost of turning voiced or unvoiced
_QUIET_BELOW_PEAK_DB = 40.0
_SILENT_DB = -90.0


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Possible periods of every frame; `strength` is -inf where a frame has fewer."""

    hz: Float[np.ndarray, "frames candidates"]
    height: Float[np.ndarray, "frames candidates"]
    strength: Float[np.ndarray, "frames candidates"]


def pitch_track(x: Audio, low_hz: float = 60.0, high_hz: float = 800.0) -> Pitch:
    """Fundamental in hertz every 10 ms; unvoiced frames have `periodicity` 0 and `hz` nan.

    `periodicity` is the height of the autocorrelation (0 to 1) at the chosen period. Silence, noise
    and clips too short for a period are unvoiced throughout; an empty clip has one such frame.
    """
    window_s = max(_SHORT_S, _PERIODS / low_hz)
    longest = int(SAMPLE_RATE / low_hz) + 3
    parts = blocks(frames(x, window_s, HOP_S).astype(np.float32))
    power = np.concatenate([np.mean(np.square(part), axis=1) for part in parts])
    level = 10 * np.log10(power + 10 ** (QUIET_DB / 10))
    found = _joined([_candidates(_blended(part, longest), low_hz, high_hz) for part in parts])
    unvoiced = np.maximum(level.max() - _QUIET_BELOW_PEAK_DB - level, 0) / 10 + _VOICING
    path = _best_path(found, np.where(level < _SILENT_DB, np.inf, unvoiced))
    row = np.arange(len(path))
    voiced = path >= 0
    return Pitch(
        times_s=row * HOP_S,
        hz=np.where(voiced, found.hz[row, path], np.nan),
        periodicity=np.where(voiced, np.clip(found.height[row, path], 0.0, 1.0), 0.0),
        level_db=level.astype(np.float64),
    )


def _joined(parts: list[_Candidates]) -> _Candidates:
    return _Candidates(
        hz=np.concatenate([p.hz for p in parts]),
        height=np.concatenate([p.height for p in parts]),
        strength=np.concatenate([p.strength for p in parts]),
    )


def _blended(windows: Float[np.ndarray, "n w"], longest: int) -> Float[np.ndarray, "n lags"]:
    """Autocorrelation of every frame: short periods from its middle, long ones from all of it."""
    whole = _autocorrelation(windows, longest)
    width, short = windows.shape[1], round(_SHORT_S * SAMPLE_RATE)
    if width <= short:
        return whole
    begin = (width - short) // 2
    count = min(_BLEND[1], longest)
    middle = _autocorrelation(windows[:, begin : begin + short], count)
    share = np.clip((np.arange(count * _UP) / _UP - _BLEND[0]) / (_BLEND[1] - _BLEND[0]), 0, 1)
    part = whole[:, : count * _UP]
    part += (middle - part) * (1 - share).astype(np.float32)
    return whole


def _autocorrelation(
    windows: Float[np.ndarray, "n w"], longest: int
) -> Float[np.ndarray, "n lags"]:
    """Of the Hann-windowed frames over that of the window itself, for lags 0, 1/2, ... `longest`.

    The division undoes the window's own decay (Boersma 1993, equation 9).
    """
    width = windows.shape[1]
    hann = np.hanning(width + 2)[1:-1].astype(np.float32)
    shaped = (windows - windows.mean(axis=1, keepdims=True)) * hann
    size = 2 * int(next_fast_len((width + longest + 1) // 2) or 0)  # even: it has a last bin
    both = np.concatenate([shaped, hann[None]])
    power = np.abs(np.asarray(rfft(both, size, axis=1))) ** 2
    # Zero-padding the spectrum interpolates the autocorrelation between whole lags.
    power[:, -1] /= 2
    r = np.asarray(irfft(power, size * _UP, axis=1))[:, : longest * _UP]
    r /= np.maximum(r[:, :1], 1e-12)
    return r[:-1] / r[-1:]


def _candidates(r: Float[np.ndarray, "n lags"], low_hz: float, high_hz: float) -> _Candidates:
    """The highest peaks of every frame, their places refined by a parabola."""
    shortest = max(2, int(0.97 * _UP * SAMPLE_RATE / high_hz))
    y = r[:, shortest - 1 :]
    peak = (y[:, 1:-1] >= y[:, :-2]) & (y[:, 1:-1] > y[:, 2:])
    merit = np.where(peak, y[:, 1:-1], -1)
    count = min(_CANDIDATES, merit.shape[1])
    # All multiples of a short period are as high as it: the shorter ones must not be crowded out.
    ranked = merit - _CROWD * np.log2(np.arange(merit.shape[1]) + shortest)
    at = np.argpartition(ranked, -count, axis=1)[:, -count:]
    good = np.take_along_axis(merit, at, axis=1) > 0.2
    lag, height = _parabola(r, at + shortest)
    hz = _UP * SAMPLE_RATE / lag
    good &= (hz >= low_hz) & (hz <= high_hz)
    height = np.minimum(height, 2 - height)  # noise can lift it over 1
    strength = height + _OCTAVE * np.log2(hz / low_hz)
    strength -= _PARTS * _excess_of_parts(r, lag, height)
    return _Candidates(hz, height, np.where(good, strength, -np.inf))


def _parabola(
    r: Float[np.ndarray, "n lags"], at: Int[np.ndarray, "n candidates"]
) -> tuple[Float[np.ndarray, "n candidates"], Float[np.ndarray, "n candidates"]]:
    """Lag and height of the peaks at `at`, read between the samples."""
    a, b, c = (np.take_along_axis(r, at + k, axis=1).astype(np.float64) for k in (-1, 0, 1))
    bend = np.minimum(a - 2 * b + c, -1e-9)
    shift = np.clip(0.5 * (a - c) / bend, -0.5, 0.5)
    return at + shift, b - 0.25 * (a - c) * shift


def _excess_of_parts(
    r: Float[np.ndarray, "n lags"],
    lag: Float[np.ndarray, "n candidates"],
    height: Float[np.ndarray, "n candidates"],
) -> Float[np.ndarray, "n candidates"]:
    """How much a half or a third of the period repeats better than speech's own resonances do."""
    excess = np.zeros(lag.shape)
    for part in (2, 3):
        near = np.round(lag / part).astype(int)
        best = np.max([np.take_along_axis(r, near + k, axis=1) for k in (-1, 0, 1)], axis=0)
        excess = np.maximum(excess, best / np.maximum(height, 0.1) - _PARTS_FROM)
    return excess


def _best_path(found: _Candidates, unvoiced: Float[np.ndarray, " frames"]) -> Int[
    np.ndarray, " frames"
]:  # fmt: skip
    """Per frame the chosen candidate, -1 for unvoiced: the path of the greatest total strength."""
    count = found.hz.shape[1]
    silent = np.isinf(unvoiced)
    strength = np.concatenate([found.strength, np.where(silent, 0, unvoiced)[:, None]], axis=1)
    strength[silent, :count] = -np.inf
    octave = np.log2(found.hz)
    total = strength[0]
    back = np.zeros(strength.shape, dtype=np.intp)
    cost = np.full((count + 1, count + 1), _SWITCH)
    cost[count, count] = 0.0
    for i in range(1, len(strength)):
        jump = np.abs(octave[i][:, None] - octave[i - 1])
        cost[:count, :count] = np.minimum(_JUMP * jump, _JUMP_MOST)
        reach = total - cost
        back[i] = reach.argmax(axis=1)
        total = reach.max(axis=1) + strength[i]
    path = np.zeros(len(strength), dtype=np.intp)
    path[-1] = int(total.argmax())
    for i in range(len(strength) - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    return np.where(path == count, -1, path)
