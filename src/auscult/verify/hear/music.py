"""Measurements of pitch, notes and time; each refuses where the sound does not allow it."""

import numpy as np

from auscult.audio.hear import measure, music
from auscult.audio.synth import note_name
from auscult.gym.proof.music import midi
from auscult.gym.tasks.harmony import CHORDS
from auscult.verify.hear.combine import commonest, typical
from auscult.verify.hear.listening import Listening, Refused, over_windows


def _voiced_s(ear: Listening) -> float:
    return 0.01 * float(np.sum(ear.tones.voiced().periodicity > 0.6))


def pitch(ear: Listening) -> float:
    """Median fundamental of the voiced frames."""
    if _voiced_s(ear) < 0.05:
        raise Refused("under 0.05 s are periodic")
    hz = ear.pitch_hz(voice=ear.is_voice or ear.is_unknown)
    if np.isnan(hz):
        raise Refused("nothing is periodic")
    return hz


def _pitch_course(ear: Listening) -> np.ndarray:
    if len(ear.pitch_st) < 15:
        raise Refused("under 0.2 s are voiced")
    return ear.pitch_st


def _held(ear: Listening) -> np.ndarray:
    """The pitch of the longest sound: from note to note it would seem to waver."""
    if len(ear.sounds) < 2:
        return _pitch_course(ear)
    return _pitch_course(ear.within(max(ear.sounds, key=lambda s: s.length_s).span))


def pitch_range_st(ear: Listening) -> float:
    """Span of the pitch between its 5 % and 95 % points."""
    low, high = np.percentile(_pitch_course(ear), (5, 95))
    return float(high - low)


def pitch_change_st(ear: Listening) -> float:
    """Pitch of the last seventh less that of the first."""
    parts = np.array_split(_pitch_course(ear), 7)
    return float(np.median(parts[-1]) - np.median(parts[0]))


STILL_ST = 1.5
"""A voice that ends within this of its beginning is level."""


def pitch_course(ear: Listening) -> str:
    """rising, falling, level, rising-falling or falling-rising, from beginning, middle and end; of
    separate notes, from their pitches."""
    if not ear.is_voice and len(ear.notes) > 1:
        return _note_course([s.hz for s in ear.notes])
    parts = np.array_split(_pitch_course(ear), 7)
    begin, middle, end = (float(np.median(parts[i])) for i in (0, 3, 6))
    if middle - max(begin, end) > STILL_ST:
        return "rising-falling"
    if min(begin, end) - middle > STILL_ST:
        return "falling-rising"
    if abs(end - begin) < STILL_ST:
        return "level"
    return "rising" if end > begin else "falling"


def _note_course(hz: list[float]) -> str:
    steps = np.diff(measure.semitones(np.array(hz)))
    if np.all(np.abs(steps) < 0.5):
        return "level"
    if np.all(steps > -0.5):
        return "rising"
    if np.all(steps < 0.5):
        return "falling"
    turn = int(np.argmax(np.cumsum(steps)))
    if np.all(steps[: turn + 1] > 0) and np.all(steps[turn + 1 :] < 0):
        return "rising-falling"
    turn = int(np.argmin(np.cumsum(steps)))
    if np.all(steps[: turn + 1] < 0) and np.all(steps[turn + 1 :] > 0):
        return "falling-rising"
    raise Refused("the notes go up and down")


def contour(ear: Listening) -> str:
    """The step from each note to the next: "up down same"."""
    steps = np.diff(measure.semitones(np.array([s.hz for s in ear.notes])))
    if not len(steps):
        raise Refused("a contour needs two notes")
    return " ".join("same" if abs(s) < 0.5 else "up" if s > 0 else "down" for s in steps)


def notes(ear: Listening) -> str:
    """Names of the notes in order of time."""
    if not ear.notes:
        raise Refused("nothing with a pitch")
    return " ".join(note_name(round(midi(s.hz))) for s in ear.notes)


def interval_st(ear: Listening) -> float:
    """Distance of the first two notes."""
    if len(ear.notes) < 2:
        raise Refused("an interval needs two notes")
    a, b = measure.semitones(np.array([ear.notes[0].hz, ear.notes[1].hz]))
    return float(abs(b - a))


def _onset_gaps(ear: Listening) -> np.ndarray:
    gaps = np.diff([s.start_s for s in ear.sounds])
    if not len(gaps):
        raise Refused("under two sounds")
    return gaps


@over_windows(typical)
def tempo_bpm(ear: Listening) -> float:
    """Beats per minute: of evenly spaced sounds from their onsets, else from the onset flux."""
    if len(ear.sounds) >= 3:
        gaps = _onset_gaps(ear)
        if gaps.std() < 0.06 * gaps.mean():
            return float(60 / np.median(gaps))
    found = music.tempo(ear.clip)
    if found is None:
        raise Refused("no beat that repeats")
    return found.bpm


def tempo_course(ear: Listening) -> str:
    """rising (speeds up), falling or level, from the trend of the gaps."""
    gaps = _onset_gaps(ear)
    if len(gaps) < 2:
        raise Refused("a course of the tempo needs three sounds")
    trend = float(np.polyfit(np.arange(len(gaps)), np.log(gaps), 1)[0])
    return "level" if abs(trend) < 0.045 else "falling" if trend > 0 else "rising"


def spacing(ear: Listening) -> str:
    """regular or irregular, from the spread of the gaps between onsets."""
    gaps = _onset_gaps(ear)
    if len(gaps) < 2:
        raise Refused("the spacing needs three sounds")
    return "regular" if gaps.std() < 0.08 * gaps.mean() else "irregular"


def gaps(ear: Listening) -> str:
    """Seconds from the start of each sound to the start of the next."""
    return " ".join(f"{g:.2f}" for g in _onset_gaps(ear))


def silences_s(ear: Listening) -> list[float]:
    """Silence between each sound and the next."""
    return [b.start_s - a.end_s for a, b in zip(ear.sounds[:-1], ear.sounds[1:], strict=True)]


@over_windows(typical)
def meter(ear: Listening) -> float:
    """Beats from one accent to the next: the period at which loud beats return."""
    levels = np.array([s.level_db for s in ear.sounds])
    if len(levels) < 3 or levels.max() - levels.min() < 4:
        raise Refused("no accents over 4 dB")
    strong = np.flatnonzero(levels > (levels.max() + levels.min()) / 2)
    if len(strong) < 2:
        raise Refused("under two accents")
    return float(round(float(np.median(np.diff(strong)))))


def vibrato_st(ear: Listening) -> float:
    """Depth of the pitch's waver between 3.5 and 8 Hz."""
    return measure.modulation(_held(ear), 100.0, low_hz=3.5, high_hz=8.0)[1]


def modulation_hz(ear: Listening) -> float:
    """Rate of the pitch's waver."""
    hz, depth = measure.modulation(_held(ear), 100.0, low_hz=3.0, high_hz=9.0)
    if depth < 0.3:
        raise Refused("the pitch does not waver")
    return hz


@over_windows(commonest)
def key(ear: Listening) -> str:
    """Tonic and mode of the piece."""
    found = music.key(ear.clip)
    if found is None or len(ear.notes) < 4:
        raise Refused("a key needs four notes")
    return f"{found.tonic} {found.mode}"


_QUALITY = {"maj": "major", "min": "minor", "dim": "diminished", "aug": "augmented"}


@over_windows(commonest)
def chord(ear: Listening) -> str:
    """Quality of the triad: by its notes where they are played one by one, else by template."""
    midis = [round(midi(s.hz)) for s in ear.notes[:3]]
    if len(midis) == 3:
        steps = tuple(m - midis[0] for m in midis)
        quality = next((kind for kind, shape in CHORDS.items() if shape == steps), None)
        if quality is not None:
            return quality
    found = music.chord(ear.clip)
    if found is None:
        raise Refused("no triad")
    return _QUALITY.get(found.quality, found.quality)


@over_windows(commonest)
def mode(ear: Listening) -> str:
    """major or minor: by the third over the lowest note of a scale, else by the key."""
    midis = sorted({round(midi(s.hz)) for s in ear.notes})
    if len(midis) >= 3:
        above = {m - midis[0] for m in midis}
        if (3 in above) != (4 in above):
            return "major" if 4 in above else "minor"
    return key(ear).split()[1]


_PURE_DB = -26.0


@over_windows(commonest)
def timbre(ear: Listening) -> str:
    """pure, buzzy, hollow or plucked: levels of harmonics 2 to 4, and the decay."""
    hz = ear.pitch_hz()
    if np.isnan(hz) or ear.seconds < 0.06:
        raise Refused("nothing with a pitch")
    second, third, fourth = measure.harmonic_levels_db(ear.clip, hz, 3)
    size = len(ear.clip) // 3
    fall = measure.level_db(ear.clip[:size]) - measure.level_db(ear.clip[-size:])
    if max(second, third, fourth) < _PURE_DB:
        return "pure"
    if second < third - 8:
        return "hollow"
    return "plucked" if fall * 0.25 / max(ear.seconds, 0.05) > 2.5 else "buzzy"
