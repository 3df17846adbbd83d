"""What is played: the twelve pitch classes, key, chord and tempo. Equal temperament, any tuning."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.fft import irfft, next_fast_len, rfft

from auscult.audio.hear.measure import frames, mel_db
from auscult.audio.synth import NOTE_NAMES, SAMPLE_RATE
from auscult.types import Audio

# ---------------------------------------------------------------------------- pitch classes

_SIZE = 4096  # 256 ms: neighbouring semitones are apart from 130 Hz up, single notes from 55 Hz
_HOP_S = 0.064
_LOWEST, _HIGHEST = 33, 96  # MIDI numbers: A1 = 55 Hz to C7 = 2,093 Hz
_OVER_FLOOR_DB = 12.0  # noise seldom rises so far over its neighbourhood
_RANGE_DB = 45.0
_HARMONICS = {19: 0.6, 28: 0.45, 31: 0.42, 34: 0.38}
"""Semitones up to the harmonics 3, 5, 6 and 7, and how strong each may be against its note.

Strength is the root of the magnitude. Octaves need no entry: they are the same pitch class."""


def _peaks(x: Audio) -> Float[np.ndarray, "3 n"]:
    """Spectral peaks that stand out of the noise, rows: frame, MIDI number, magnitude.

    Noise, too, has one now and then: with peaks in under a fifth of the loud frames none counts.
    """
    windows = frames(x, _SIZE / SAMPLE_RATE, _HOP_S)
    hann = np.hanning(_SIZE).astype(np.float32)
    block = 32  # bins, 125 Hz: the neighbourhood whose median is the noise
    bins = (int(440 * 2 ** ((_HIGHEST + 1 - 69) / 12) * _SIZE / SAMPLE_RATE) // block + 1) * block
    size = np.abs(np.asarray(rfft(windows * hann, axis=1)))[:, :bins]
    db = 20 * np.log10(size + 1e-6)
    floor = np.median(db.reshape(len(db), -1, block), axis=2).repeat(block, axis=1)
    inner = db[:, 1:-1]
    keep = (inner > db[:, :-2]) & (inner >= db[:, 2:]) & (inner > floor[:, 1:-1] + _OVER_FLOOR_DB)
    keep &= inner > max(float(db.max()) - _RANGE_DB, -60.0)
    row, column = np.nonzero(keep)
    a, b, c = (db[row, column + k] for k in range(3))
    at = column + 1 + 0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9)
    midi = 69 + 12 * np.log2(np.maximum(at, 0.5) * SAMPLE_RATE / _SIZE / 440)
    good = (midi > _LOWEST - 0.5) & (midi < _HIGHEST + 0.5)
    loud = db.max(axis=1) > db.max() - 25
    if np.mean(np.isin(np.flatnonzero(loud), row[good])) < 0.2:
        good[:] = False
    return np.stack([row[good], midi[good], size[row, column + 1][good]]).astype(np.float64)


def _notes(x: Audio) -> Float[np.ndarray, "frames notes"]:
    """Strength of every semitone from A1 to C7 per frame, harmonics taken off, tuning undone."""
    row, midi, size = _peaks(x)
    strength = np.sqrt(size)
    tuning = np.angle(np.sum(strength * np.exp(2j * np.pi * midi))) / (2 * np.pi)
    midi = midi - tuning
    note = np.clip(np.round(midi).astype(int), _LOWEST, _HIGHEST)
    strength = strength * np.cos(np.pi * (midi - note)) ** 2  # what lies between two notes is none
    count, width = int(row.max(initial=0)) + 1, _HIGHEST - _LOWEST + 1
    place = row.astype(int) * width + note - _LOWEST
    found = np.bincount(place, strength, count * width).reshape(count, width).astype(np.float64)
    overtone = np.zeros_like(found)
    for up, share in _HARMONICS.items():
        overtone[:, up:] = np.maximum(overtone[:, up:], share * found[:, :-up])
    return np.maximum(found - overtone, 0)


def _folded(notes: Float[np.ndarray, " notes"]) -> Float[np.ndarray, "12"]:
    return np.bincount((np.arange(len(notes)) + _LOWEST) % 12, notes, 12)


def chroma(x: Audio) -> Float[np.ndarray, "12"]:
    """Share of each pitch class, C to B, of all that sounds with a pitch: sums to 1.

    From spectral peaks, so noise adds nothing; deviation from 440 Hz is estimated and undone.
    All zeros where no peak stands out.
    """
    found = _folded(_notes(x).sum(axis=0))
    total = float(found.sum())
    return found / total if total > 0 else found


# ---------------------------------------------------------------------------- key and chord


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key; `confidence` is the lead of its correlation over the next best key's, 0 to 1.

    Example: Key(tonic="F#", mode="minor", confidence=0.12).
    """

    tonic: str
    mode: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chord:
    """A triad; `confidence` is the lead of its template over the next best quality's, 0 to 1.

    Example: Chord(root="C", quality="maj", confidence=0.3). An augmented triad divides the octave
    evenly: its root is the lowest note.
    """

    root: str
    quality: str
    confidence: float


# D. Temperley, Music and Probability (2007), from the Kostka-Payne corpus, tonic first.
_PROFILES = {
    "major": (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400),
    "minor": (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330),
}
TRIADS = {"maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8)}
"""Semitones above the root."""


def _turned(shape: Float[np.ndarray, "12"]) -> Float[np.ndarray, "12 12"]:
    """Row r: the shape moved up by r semitones."""
    return np.stack([np.roll(shape, r) for r in range(12)])


def _standard(y: Float[np.ndarray, "*rows 12"]) -> Float[np.ndarray, "*rows 12"]:
    y = y - y.mean(axis=-1, keepdims=True)
    return y / np.maximum(np.linalg.norm(y, axis=-1, keepdims=True), 1e-12)


def key(x: Audio) -> Key | None:
    """The key whose Temperley profile correlates best with the chroma.

    None without 3 pitches or where no key correlates by 0.65. The square root of the chroma is
    taken: that a note occurs says more of the key than how often.
    """
    found = np.sqrt(chroma(x))
    if np.count_nonzero(found > 0.14) < 3:
        return None
    r = np.stack([_standard(_turned(np.array(p))) @ _standard(found) for p in _PROFILES.values()])
    if float(r.max()) < 0.65:
        return None
    order = np.argsort(r, axis=None)
    mode, tonic = divmod(int(order[-1]), 12)
    lead = float(r.flat[order[-1]] - r.flat[order[-2]])
    return Key(tonic=NOTE_NAMES[tonic], mode=list(_PROFILES)[mode], confidence=min(lead, 1.0))


def chord(x: Audio) -> Chord | None:
    """The triad (maj, min, dim or aug) of the clip as a whole; None where no triad fits.

    The template of three equal pitch classes with the greatest cosine to the chroma wins; under
    0.8 nothing is named.
    """
    notes = _notes(x).sum(axis=0)
    found = _folded(notes)
    found = found / max(float(np.linalg.norm(found)), 1e-12)
    shapes = [np.isin(np.arange(12), t) / np.sqrt(3) for t in TRIADS.values()]
    fit = np.stack([_turned(s) @ found for s in shapes])
    quality, root = divmod(int(fit.argmax()), 12)
    best = float(fit.max())
    if best < 0.8:
        return None
    name = list(TRIADS)[quality]
    if name == "aug":
        root = (_LOWEST + int(np.argmax(notes > 0.3 * notes.max()))) % 12
    others = np.delete(fit, quality, axis=0)
    return Chord(root=NOTE_NAMES[root], quality=name, confidence=best - float(others.max()))


# ---------------------------------------------------------------------------- tempo


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """Beats per minute; `confidence` is how well the onsets repeat after one, two or four
    beats (the best of the autocorrelations), 0 to 1.

    Example: Tempo(bpm=119.98, confidence=0.63).
    """

    bpm: float
    confidence: float


_FLUX_HOP_S = 0.01
_LAG = 3  # frames over which a rise is taken
_SHORTEST_S = 2.0
_LEAST_CONFIDENCE = 0.5
_LEAST_FLUX_DB = 2.0
_SPAN_BPM = (57.0, 207.0)

# How strongly the onsets repeat after a quarter, a half, one, two and four beats: what a beat
# looks like. It has few onsets within itself (or it would be two beats) and a bar above it. Fitted
# by logistic regression to synthetic pieces, then rounded; the last two: octaves from 110 BPM, and
# their square.
_BEATS = np.array([0.25, 0.5, 1, 2, 4])
_METRE = np.array([-1.5, -1.0, 1.0, 1.0, -0.5, 0.3, -0.35])


def _flux(x: Audio) -> Float[np.ndarray, " frames"]:
    """Mean rise in dB over 24 mel bands within 30 ms, smoothed over 70 ms; a value per 10 ms."""
    level = mel_db(x, 24, hop_s=_FLUX_HOP_S)
    level = np.maximum(level, max(float(level.max()) - 45, -100.0))
    rise = np.maximum(level[_LAG:] - level[:-_LAG], 0).mean(axis=1)
    bell = np.hanning(9)[1:-1]
    return np.convolve(rise, bell / bell.sum(), "same")


def _repeats(flux: Float[np.ndarray, " n"]) -> Float[np.ndarray, " lags"]:
    """Autocorrelation per lag, 1 at lag 0; 0 where less than a quarter of the clip overlaps."""
    y = flux - flux.mean()
    n = len(y)
    r = np.asarray(irfft(np.abs(np.asarray(rfft(y, next_fast_len(2 * n)))) ** 2))[: 3 * n // 4]
    r = r * n / (n - np.arange(len(r)))
    return r / r[0] if r[0] > 1e-9 else np.zeros(len(r))


def _at(r: Float[np.ndarray, " lags"], bpm: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """The autocorrelation at one beat of each tempo."""
    return np.interp(60 / (_FLUX_HOP_S * bpm), np.arange(len(r)), r, right=0.0)


def _beat_bpm(r: Float[np.ndarray, " lags"]) -> float:
    """First what repeats best at once, twice and four times, the faster of equals; then which of
    its octaves is a beat."""
    bpm = np.geomspace(50, 210, 400)
    merit = _at(r, bpm) + 0.5 * _at(r, bpm / 2) + 0.25 * _at(r, bpm / 4)
    family = bpm[np.argmax(merit - 0.1 * np.log2(bpm / 160) ** 2)] * 2.0 ** np.arange(-2, 3)
    family = family[(family >= _SPAN_BPM[0]) & (family <= _SPAN_BPM[1])]
    octave = np.log2(family / 110)
    looks = np.vstack([_at(r, family / _BEATS[:, None]), octave, octave**2])
    return float(family[np.argmax(_METRE @ looks)])


def _line_fit(flux: Float[np.ndarray, " n"], beat: float) -> float:
    """The beat in frames, from a line through the onsets nearest to a regular grid of beats."""
    grid = [flux[np.arange(p, len(flux), beat).astype(int)].mean() for p in range(int(beat))]
    start = float(np.argmax(grid))
    for reach in (0.2, 0.1):
        count = int((len(flux) - 1 - start) / beat) + 1
        if count < 3:
            return beat
        expected = start + beat * np.arange(count)
        near = expected[:, None] + np.arange(-int(reach * beat), int(reach * beat) + 1)
        near = np.clip(np.round(near).astype(int), 1, len(flux) - 2)
        at = near[np.arange(count), flux[near].argmax(axis=1)]
        a, b, c = flux[at - 1], flux[at], flux[at + 1]
        shift = np.clip(0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9), -0.5, 0.5)
        slope, start = np.polyfit(np.arange(count), at + shift, 1, w=b + 1e-9)
        if abs(slope / beat - 1) > 0.04:
            return beat
        beat, start = float(slope), max(float(start), 0.0)
    return beat


def tempo(x: Audio) -> Tempo | None:
    """Beats per minute, 57 to 207, from the autocorrelation of spectral flux and a line through
    the beats.

    None under 2 s of sound or where onsets do not repeat. An octave too slow or too fast is the
    usual error: nothing but the metre tells 70 from 140.
    """
    if len(x) < _SHORTEST_S * SAMPLE_RATE:
        return None
    flux = _flux(x)
    r = _repeats(flux)
    bpm = _beat_bpm(r)
    confidence = float(np.clip(_at(r, bpm / np.array([1, 2, 4])).max(), 0, 1))
    if confidence < _LEAST_CONFIDENCE or float(flux.max()) < _LEAST_FLUX_DB:
        return None
    beat = _line_fit(flux, 60 / (_FLUX_HOP_S * bpm))
    return Tempo(bpm=60 / (_FLUX_HOP_S * beat), confidence=confidence)
