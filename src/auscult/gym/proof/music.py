"""Answers about notes, chords and rhythm, found again in the samples."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from auscult.audio.hear import measure
from auscult.audio.synth import SAMPLE_RATE, TIMBRES, note_hz, note_name, tone
from auscult.gym.base import ORDINALS
from auscult.gym.tasks.harmony import CHORDS
from auscult.types import Audio, Item

EDGE_S = 0.02
"""Left off at both ends of a note: there its fade, and the pitch window, reach beyond it."""


def slope(values: Float[np.ndarray, " n"], at: Float[np.ndarray, " n"] | None = None) -> float:
    """Steepness of the line through the values, per unit of `at` (default: per value)."""
    if len(values) < 2:
        raise ValueError(f"a line needs 2 values, not {len(values)}")
    return float(np.polyfit(np.arange(len(values)) if at is None else at, values, 1)[0])


def midi(hz: float) -> float:
    """440 -> 69.0; a quarter tone is 0.5."""
    return 69 + 12 * float(np.log2(hz / 440))


def steady(x: Audio) -> list[float]:
    """Pitch of each stretch of one pitch, neighbours of one pitch together: notes of an instrument
    that rings on or speaks slowly have no onsets, but no two that follow each other are equal."""
    found: list[float] = []
    for _, _, hz in measure.steady_notes(x, tolerance_st=0.7, min_length_s=0.12, periodicity=0.6):
        if not found or abs(found[-1] - midi(hz)) > 0.5:
            found.append(midi(hz))
    return found


def notes(x: Audio) -> list[float]:
    """Pitch of each separate note, as a MIDI number with its fraction: from one onset to the next,
    because in a room the silence between two notes is filled."""
    starts = measure.onsets(x)
    ends = [*starts[1:], len(x) / SAMPLE_RATE]
    parts = [measure.cut(x, a + EDGE_S, b - EDGE_S) for a, b in zip(starts, ends, strict=True)]
    return [midi(measure.f0_median_hz(part)) for part in parts]


HearNotes = Callable[[Audio], list[float]]


def _midis(item: Item, hear: HearNotes = notes) -> list[int]:
    return [round(m) for m in hear(item.clips[0])]


def name_note(item: Item, hear: HearNotes = notes) -> str:
    """Pitch of the first sound, on the grid of semitones."""
    return note_name(_midis(item, hear)[0])


def note_count(item: Item, hear: HearNotes = notes) -> str:
    """Number of stretches between silences."""
    return str(len(_midis(item, hear)))


def highest_note(item: Item, hear: HearNotes = notes) -> str:
    """Place of the highest or lowest measured pitch."""
    pitch = hear(item.clips[0])
    return ORDINALS[int(np.argmax(pitch) if "highest" in item.question else np.argmin(pitch))]


def pitch_direction(item: Item, hear: HearNotes = notes) -> str:
    """Which of the two measured pitches is higher."""
    first, second = hear(item.clips[0])[:2]
    return "higher" if second > first else "lower"


def interval(item: Item, hear: HearNotes = notes) -> str:
    """Distance of the two pitches on the grid of semitones."""
    first, second = _midis(item, hear)[:2]
    return str(abs(second - first))


def contour(item: Item, hear: HearNotes = notes) -> str:
    """Sign of each step between measured pitches."""
    return " ".join("up" if step > 0 else "down" for step in np.diff(hear(item.clips[0])))


def count_higher(item: Item, hear: HearNotes = notes) -> str:
    """Pitches that lie more than a quarter tone above the first."""
    first, *rest = hear(item.clips[0])
    return str(sum(m > first + 0.5 for m in rest))


def sort_tones(item: Item, hear: HearNotes = notes) -> str:
    """Places in the order of their measured pitch."""
    return " ".join(str(int(i) + 1) for i in np.argsort(hear(item.clips[0])))


def chord_quality(item: Item) -> str:
    """Steps between the chord's notes as they are played one by one."""
    # The notes of the chord first come one by one, legato; the chord itself is the fourth sound.
    midis = [round(midi(n[2])) for n in measure.steady_notes(item.clips[0])]
    steps = tuple(m - midis[0] for m in midis[:3])
    return next((kind for kind, shape in CHORDS.items() if shape == steps), "")


def scale_mode(item: Item, hear: HearNotes = notes) -> str:
    """Distance from the lowest note to the third lowest: 4 semitones or 3."""
    midis = sorted(_midis(item, hear))
    return "major" if midis[2] - midis[0] == 4 else "minor"


def melody_changed(item: Item, hear: HearNotes = notes) -> str:
    """Do all pitches of the two clips agree within a quarter tone?"""
    first, second = (hear(clip) for clip in item.clips)
    same = len(first) == len(second) and np.allclose(first, second, atol=0.5)
    return "same" if same else "different"


def _timbre(x: Audio) -> Float[np.ndarray, " 4"]:
    """Levels of harmonics 2 to 4 against the first, and the fall over the note, in dB."""
    third = len(x) // 3
    fall = measure.level_db(x[:third]) - measure.level_db(x[-third:])
    harmonics = np.maximum(measure.harmonic_levels_db(x, measure.f0_median_hz(x), 3), -30)
    return np.append(harmonics, 3 * fall)


def instrument_order(item: Item) -> str:
    """Nearest timbre by the levels of the harmonics and by the decay."""
    x = item.clips[0]
    parts = [measure.cut(x, a + EDGE_S, b - EDGE_S) for a, b in measure.segments(x)]
    at = next(i for i, word in enumerate(("first", "second", "last")) if word in item.question)
    heard = _timbre(parts[at])
    known = {name: _timbre(tone(note_hz(66), 0.38, name)[320:-320]) for name in TIMBRES}
    return min(known, key=lambda name: float(np.sum((known[name] - heard) ** 2)))


def tempo(item: Item) -> str:
    """The offered tempo nearest to the median time between onsets."""
    onsets = measure.onsets(item.clips[0])
    if len(onsets) < 2:
        raise ValueError("no tempo without two onsets")
    period = float(np.median(np.diff(onsets)))
    return min(item.options, key=lambda bpm: abs(np.log(int(bpm) * period / 60)))


def tempo_change(item: Item) -> str:
    """Slope of the logarithm of the gaps: ratios, not differences, are constant."""
    gaps = np.log(np.diff(measure.onsets(item.clips[0])))
    trend = slope(gaps)
    return "stays steady" if abs(trend) < 0.045 else "slows down" if trend > 0 else "speeds up"


def _levels(x: Audio) -> Float[np.ndarray, " n"]:
    """Level of the loudest 20 ms of each sound."""
    starts = measure.onsets(x)
    ends = [*starts[1:], len(x) / 16000]
    parts = [measure.cut(x, a, b - 0.015) for a, b in zip(starts, ends, strict=True)]
    return np.array([measure.peak_level_db(part) for part in parts])


def meter(item: Item) -> str:
    """Onsets from one loud click to the next."""
    level = _levels(item.clips[0])
    strong = np.flatnonzero(level > (level.max() + level.min()) / 2)
    return str(round(float(np.median(np.diff(strong))))) if len(strong) > 1 else ""


def dynamics(item: Item) -> str:
    """Slope of the level over the notes."""
    level = _levels(item.clips[0])
    trend = slope(level)
    return "same" if abs(trend) < 1.5 else "louder" if trend > 0 else "quieter"


def gap_compare(item: Item) -> str:
    """Lengths of the two silences."""
    first, second, third = measure.segments(item.clips[0])[:3]
    return "first" if second[0] - first[1] > third[0] - second[1] else "second"


def longest_sound(item: Item) -> str:
    """Longest stretch between silences."""
    return ORDINALS[int(np.argmax([b - a for a, b in measure.segments(item.clips[0])]))]


def loudest_sound(item: Item) -> str:
    """Highest level among the sounds."""
    return ORDINALS[int(np.argmax(_levels(item.clips[0])))]
