"""Answers about wordless voices, found again in the samples."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from auscult.audio.hear import measure
from auscult.audio.synth import finish
from auscult.audio.voice import VOWELS, contour, vowel
from auscult.gym.proof.sounds import OWN_SEED, Discriminant, fit
from auscult.gym.tasks.voices import REGISTERS_HZ
from auscult.types import Audio, Item


def _pitch_st(x: Audio) -> Float[np.ndarray, " n"]:
    """Pitch in semitones, 100 values per second, the ends (fades) left off.

    A window of 30 ms: over 50 ms a trembling voice moves too far to be periodic.
    """
    track = measure.f0_track(x, low_hz=70, high_hz=500, window_s=0.03).voiced(below_peak_db=15)
    times = np.arange(track.times_s[0], track.times_s[-1], 0.01)
    return np.interp(times, track.times_s, measure.semitones(track.hz))[3:-3]


def voice_register(item: Item) -> str:
    """Nearest register by the median pitch."""
    hz = measure.f0_median_hz(item.clips[0], high_hz=500)
    middle = {name: float(np.sqrt(low * high)) for name, (low, high) in REGISTERS_HZ.items()}
    return min(middle, key=lambda name: abs(np.log(middle[name] / hz)))


def intonation(item: Item) -> str:
    """Pitch at the beginning, in the middle and at the end."""
    thirds = np.array_split(_pitch_st(item.clips[0]), 7)
    begin, middle, end = (float(np.median(thirds[i])) for i in (0, 3, 6))
    if middle - max(begin, end) > 1.5:
        return "rising then falling"
    return "level" if abs(end - begin) < 1.5 else "rising" if end > begin else "falling"


def liveliness(item: Item) -> str:
    """Span of the pitch between its 5 % and 95 % points."""
    low, high = np.percentile(_pitch_st(item.clips[0]), (5, 95))
    return "lively" if high - low > 1.7 else "monotone"


def who_higher(item: Item) -> str:
    """The voice with the higher median pitch."""
    found = measure.segments(item.clips[0], below_peak_db=20)
    begin, end = found[0][0], found[-1][1]
    # Both last equally long, so the change is in the middle, even where a room fills the gap.
    middle = (begin + end) / 2
    parts = (begin, middle - 0.05), (middle + 0.05, end)
    first, second = (
        measure.f0_median_hz(measure.cut(item.clips[0], a, b), high_hz=500) for a, b in parts
    )
    return "first" if first > second else "second"


def _vowel_features(x: Audio) -> Float[np.ndarray, " f"]:
    power = 10 ** (measure.mel_db(x, 24, low_hz=150, high_hz=4500) / 10)
    level = 10 * np.log10(power.mean(axis=0))
    # Harmonics of a high voice lie further apart than the bands; smoothing fills the holes.
    level = np.convolve(np.pad(level, 1, mode="edge"), (0.25, 0.5, 0.25), "valid")
    return np.maximum(level - level.max(), -50)


@lru_cache(maxsize=1)
def _vowel_classes() -> Discriminant:
    rows: list[Float[np.ndarray, " f"]] = []
    labels: list[str] = []
    for k in range(60):
        for name in VOWELS:
            rng = np.random.default_rng([OWN_SEED, 2, k, len(labels)])
            hz = contour(0.7, [0, rng.uniform(-2, 2)], rng.uniform(95, 260))
            x = vowel(rng, hz, name, tract=rng.uniform(0.97, 1.12))
            rows.append(_vowel_features(finish(rng, x, 1 + k % 2)))
            labels.append(name)
    return fit(rows, labels)


def which_vowel(item: Item) -> str:
    """Nearest vowel by the smoothed spectrum."""
    return _vowel_classes().name(_vowel_features(item.clips[0]))


def tremor(item: Item) -> str:
    """Depth of the pitch's modulation between 3.5 and 8 Hz."""
    depth = measure.modulation(_pitch_st(item.clips[0]), 100.0, low_hz=3.5, high_hz=8.0)[1]
    return "trembling" if depth > 0.3 else "steady"


@lru_cache(maxsize=8)
def _breath_threshold_db(level: int) -> float:
    """Half-way between clear and breathy voices of our own seeds."""
    middle: list[float] = []
    for breath in (0.02, 0.6 if level == 1 else 0.35):
        found: list[float] = []
        for k in range(20):
            rng = np.random.default_rng([OWN_SEED, 3, k])
            hz = contour(0.9, [0, rng.uniform(-2, 2)], rng.uniform(100, 230))
            x = vowel(rng, hz, list(VOWELS)[k % 5], breath=breath, tract=rng.uniform(0.97, 1.12))
            found.append(measure.hnr_db(finish(rng, x, level)))
        middle.append(float(np.mean(found)))
    return sum(middle) / 2


def breathiness(item: Item) -> str:
    """Harmonics-to-noise ratio against that of known clear and breathy voices."""
    return (
        "breathy" if measure.hnr_db(item.clips[0]) < _breath_threshold_db(item.level) else "clear"
    )


def _speech_pitch(x: Audio) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """(times in s, semitones) of the voiced frames of speech, octave slips left out."""
    track = measure.f0_track(x, high_hz=500, window_s=0.03).voiced()
    st = measure.semitones(track.hz)
    near = np.abs(st - np.median(st)) < 9
    return track.times_s[near], st[near]


def manner_question(item: Item) -> str:
    """Pitch of the last twelfth of the voiced frames against the first half."""
    _, st = _speech_pitch(item.clips[0])
    rise = np.median(st[-max(3, len(st) // 12) :]) - np.median(st[: len(st) // 2])
    return "asked" if rise > 1 else "stated"


def manner_mood(item: Item) -> str:
    """Span of the pitch between its 10 % and 90 % points."""
    low, high = np.percentile(_speech_pitch(item.clips[0])[1], (10, 90))
    return "excited" if high - low > 2.3 else "calm"


def manner_tremor(item: Item) -> str:
    """Depth of the pitch's modulation between 4.3 and 8 Hz, unvoiced stretches bridged."""
    times, st = _speech_pitch(item.clips[0])
    even = np.interp(np.arange(times[0], times[-1], 0.01), times, st)
    depth = measure.modulation(even, 100.0, low_hz=4.3, high_hz=8.0)[1]
    return "trembling" if depth > 0.5 else "steady"
