"""What can be measured in a clip, by name: value, unit, and when a measurement is refused.

A measurement is a function of a `Listening` and one line in `MEASURES`. It returns a number or a
word, or raises `Refused` with the reason; a refused measurement makes a claim *unverifiable*, never
wrong. How far each can be trusted was measured on the gym and is in `reliability.json`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from auscult.audio import measure, music, speaking
from auscult.audio.synth import SAMPLE_RATE, note_name
from auscult.verify.listening import TONES, Listening, Sound


class Refused(ValueError):
    """A measurement that this sound does not allow; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A named measurement. Example: MEASURES["pitch"] gives hertz and says what it is."""

    function: Callable[[Listening], float | str]
    unit: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measurement made. Example: Measured(name="pitch", value=392.0, unit="Hz", span=(0, 1.2),
    reliability=.99, refused=""): the share of gym clips on which it agreed with the truth; where it
    was refused, `value` is None and `refused` says why."""

    name: str
    value: float | str | None
    unit: str
    span: tuple[float, float]
    reliability: float | None
    refused: str = ""


def _voiced_s(ear: Listening) -> float:
    return 0.01 * float(np.sum(ear.tones.voiced().periodicity > 0.6))


def duration_s(ear: Listening) -> float:
    """Length of the clip."""
    return ear.seconds


def sounding_s(ear: Listening) -> float:
    """From the first onset to the end of the last sound."""
    if not ear.sounds:
        raise Refused("nothing sounds")
    return ear.sounds[-1].end_s - ear.sounds[0].start_s


def pitch(ear: Listening) -> float:
    """Median fundamental of the voiced frames."""
    if _voiced_s(ear) < 0.05:
        raise Refused("under 0.05 s are periodic")
    hz = ear.pitch_hz(voice=ear.is_voice)
    if np.isnan(hz):
        raise Refused("nothing is periodic")
    return hz


def _pitch_course(ear: Listening) -> np.ndarray:
    if len(ear.pitch_st) < 15:
        raise Refused("under 0.2 s are voiced")
    return ear.pitch_st


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
    midis = [69 + measure.semitones(np.array([s.hz]))[0] for s in ear.notes]
    return " ".join(note_name(round(float(m))) for m in midis)


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


def silences_s(ear: Listening) -> list[float]:
    """Silence between each sound and the next."""
    return [b.start_s - a.end_s for a, b in zip(ear.sounds[:-1], ear.sounds[1:], strict=True)]


def meter(ear: Listening) -> float:
    """Beats from one accent to the next: the period at which loud beats return."""
    levels = np.array([s.level_db for s in ear.sounds])
    if len(levels) < 3 or levels.max() - levels.min() < 4:
        raise Refused("no accents over 4 dB")
    strong = np.flatnonzero(levels > (levels.max() + levels.min()) / 2)
    if len(strong) < 2:
        raise Refused("under two accents")
    return float(round(float(np.median(np.diff(strong)))))


def loudness_lufs(ear: Listening) -> float:
    """Integrated loudness, BS.1770."""
    if not np.isfinite(ear.lufs):
        raise Refused("loudness needs 0.4 s of sound")
    return ear.lufs


def level_change_db(ear: Listening) -> float:
    """Level at the end less that at the beginning, by a line through the levels of the sounds or,
    of one lasting sound, through its envelope."""
    if len(ear.sounds) >= 3:
        levels = np.array([s.level_db for s in ear.sounds])
    else:
        levels = measure.envelope_db(ear.clip, 0.1, 0.05)[1:-1]
    if len(levels) < 3:
        raise Refused("too short for a course of the level")
    slope = float(np.polyfit(np.linspace(0, 1, len(levels)), levels, 1)[0])
    return slope


def level_course(ear: Listening) -> str:
    """rising, falling or level (within 3.5 dB)."""
    change = level_change_db(ear)
    return "level" if abs(change) < 3.5 else "rising" if change > 0 else "falling"


def rate(ear: Listening) -> float:
    """Syllables per second of speech."""
    found = speaking.syllable_rate(ear.clip)
    if not np.isfinite(found) or ear.seconds < 0.4:
        raise Refused("no speech of 0.4 s")
    return found


def brightness_hz(ear: Listening) -> float:
    """Spectral centroid."""
    if ear.silent:
        raise Refused("silence has no colour")
    return measure.centroid_hz(ear.clip)


def brightness_course(ear: Listening) -> str:
    """rising, falling or level (within 12 %), by the centroid of the first and last third."""
    third = len(ear.clip) // 3
    if ear.silent or third < 800:
        raise Refused("too short for a course of the brightness")
    a, b = measure.centroid_hz(ear.clip[:third]), measure.centroid_hz(ear.clip[-third:])
    change = float(np.log(max(b, 1) / max(a, 1)))
    return "level" if abs(change) < 0.12 else "rising" if change > 0 else "falling"


def hnr_db(ear: Listening) -> float:
    """Harmonics-to-noise ratio of the loud frames."""
    if ear.silent:
        raise Refused("nothing sounds")
    return measure.hnr_db(ear.clip)


def cpps_db(ear: Listening) -> float:
    """Cepstral peak prominence: lower in a breathier voice."""
    found = speaking.cpps_db(ear.clip)
    if not np.isfinite(found):
        raise Refused("nothing sounds")
    return found


def vibrato_st(ear: Listening) -> float:
    """Depth of the pitch's waver between 3.5 and 8 Hz."""
    return measure.modulation(_pitch_course(ear), 100.0, low_hz=3.5, high_hz=8.0)[1]


def modulation_hz(ear: Listening) -> float:
    """Rate of the pitch's waver."""
    hz, depth = measure.modulation(_pitch_course(ear), 100.0, low_hz=3.0, high_hz=9.0)
    if depth < 0.3:
        raise Refused("the pitch does not waver")
    return hz


def roughness_db(ear: Listening) -> float:
    """Depth of the amplitude modulation between 20 and 150 Hz."""
    return speaking.roughness(ear.clip)


def snr_db(ear: Listening) -> float:
    """Blind signal-to-noise ratio: bands of 10 dB, no more. Of a lasting tone its HNR."""
    if ear.silent:
        raise Refused("nothing sounds")
    found = speaking.snr_db(ear.clip)
    return found if np.isfinite(found) and found >= 8 else max(hnr_db(ear), found)


def reverberation_s(ear: Listening) -> float:
    """Time for a fall of 60 dB, from the decay after the last sound."""
    found = measure.decay_time_s(ear.clip)
    if not np.isfinite(found) or ear.snr_db < 20:
        raise Refused("no free decay of 20 dB after a sound")
    return found


def background(ear: Listening) -> str:
    """Class of the lasting sound behind the others."""
    if ear.seconds < 0.5:
        raise Refused("under 0.5 s")
    name, sure = ear.background
    if name == "unknown" or sure < 0.6:
        raise Refused("unlike every known background")
    return name


def events(ear: Listening) -> str:
    """Class of every sound, in order."""
    if not ear.sounds:
        raise Refused("nothing sounds")
    return " ".join(s.kind for s in ear.sounds)


def key(ear: Listening) -> str:
    """Tonic and mode of the piece."""
    found = music.key(ear.clip)
    if found is None or len(ear.notes) < 4:
        raise Refused("a key needs four notes")
    return f"{found.tonic} {found.mode}"


CHORDS = {(4, 3): "major", (3, 4): "minor", (3, 3): "diminished", (4, 4): "augmented"}
_QUALITY = {"maj": "major", "min": "minor", "dim": "diminished", "aug": "augmented"}


def chord(ear: Listening) -> str:
    """Quality of the triad: by its notes where they are played one by one, else by template."""
    midis = [round(69 + float(measure.semitones(np.array([s.hz]))[0])) for s in ear.notes[:3]]
    if len(midis) == 3:
        quality = CHORDS.get((midis[1] - midis[0], midis[2] - midis[1]))
        if quality is not None:
            return quality
    found = music.chord(ear.clip)
    if found is None:
        raise Refused("no triad")
    return _QUALITY.get(found.quality, found.quality)


def mode(ear: Listening) -> str:
    """major or minor: by the third over the lowest note of a scale, else by the key."""
    midis = sorted({round(69 + float(measure.semitones(np.array([s.hz]))[0])) for s in ear.notes})
    if len(midis) >= 3:
        above = {m - midis[0] for m in midis}
        if (3 in above) != (4 in above):
            return "major" if 4 in above else "minor"
    return key(ear).split()[1]


def vowel(ear: Listening) -> str:
    """Nearest of five vowels."""
    if not ear.is_voice:
        raise Refused("no voice")
    name, sure = ear.vowel
    if name == "unknown" or sure < 0.6:
        raise Refused("unlike every known vowel")
    return name


_PURE_DB = -26.0


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


def periodic(ear: Listening) -> float:
    """Median height of the autocorrelation peak of the loud frames: 0 whispered, 1 voiced."""
    if ear.silent:
        raise Refused("nothing sounds")
    return measure.periodicity(ear.clip)


MEASURES: dict[str, Measure] = {
    "duration": Measure(function=duration_s, unit="s", what="length of the clip"),
    "sounding": Measure(function=sounding_s, unit="s", what="first onset to last end"),
    "pitch": Measure(function=pitch, unit="Hz", what="median fundamental"),
    "pitch_range": Measure(function=pitch_range_st, unit="semitones", what="5 to 95 % of pitch"),
    "pitch_change": Measure(function=pitch_change_st, unit="semitones", what="end less beginning"),
    "pitch_course": Measure(function=pitch_course, unit="", what="where the pitch goes"),
    "contour": Measure(function=contour, unit="", what="steps from note to note"),
    "notes": Measure(function=notes, unit="", what="note names"),
    "interval": Measure(function=interval_st, unit="semitones", what="first two notes"),
    "tempo": Measure(function=tempo_bpm, unit="BPM", what="beats per minute"),
    "tempo_course": Measure(function=tempo_course, unit="", what="trend of the gaps"),
    "spacing": Measure(function=spacing, unit="", what="evenness of the gaps"),
    "meter": Measure(function=meter, unit="beats", what="accent to accent"),
    "loudness": Measure(function=loudness_lufs, unit="LUFS", what="integrated loudness"),
    "level_change": Measure(function=level_change_db, unit="dB", what="end less beginning"),
    "level_course": Measure(function=level_course, unit="", what="where the level goes"),
    "rate": Measure(function=rate, unit="syllables/s", what="speaking rate"),
    "brightness": Measure(function=brightness_hz, unit="Hz", what="spectral centroid"),
    "brightness_course": Measure(function=brightness_course, unit="", what="trend of brightness"),
    "hnr": Measure(function=hnr_db, unit="dB", what="harmonics over noise"),
    "cpps": Measure(function=cpps_db, unit="dB", what="cepstral peak prominence"),
    "vibrato": Measure(function=vibrato_st, unit="semitones", what="depth of the waver"),
    "modulation": Measure(function=modulation_hz, unit="Hz", what="rate of the waver"),
    "roughness": Measure(function=roughness_db, unit="dB", what="fast amplitude modulation"),
    "periodicity": Measure(function=periodic, unit="", what="0 whispered to 1 voiced"),
    "snr": Measure(function=snr_db, unit="dB", what="signal over noise, coarse"),
    "reverberation": Measure(function=reverberation_s, unit="s", what="time for 60 dB"),
    "background": Measure(function=background, unit="", what="lasting sound behind"),
    "events": Measure(function=events, unit="", what="class of each sound"),
    "key": Measure(function=key, unit="", what="tonic and mode"),
    "chord": Measure(function=chord, unit="", what="quality of the triad"),
    "mode": Measure(function=mode, unit="", what="major or minor"),
    "vowel": Measure(function=vowel, unit="", what="nearest vowel"),
    "timbre": Measure(function=timbre, unit="", what="timbre of a tone"),
}
"""Name -> measurement. To add one, write the function above and a line here."""

SHORTEST_S = 0.02


@lru_cache(maxsize=1)
def reliability() -> dict[str, dict[str, float]]:
    """Measured on the gym: name -> condition ("clean", "20 dB", ...) -> share that agreed."""
    file = files(__package__) / "reliability.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def take(ear: Listening, name: str) -> Measured:
    """One measurement with unit, span and reliability; a refusal is a record, not an error.

    Raises `ValueError` for an unknown name.
    """
    if name not in MEASURES:
        raise ValueError(f"no measurement {name!r}; there are {', '.join(MEASURES)}")
    span = (0.0, len(ear.clip) / SAMPLE_RATE)
    trust = reliability().get(name, {}).get("clean")
    try:
        if ear.seconds < SHORTEST_S:
            raise Refused(f"{ear.seconds:.3f} s are too short, the least is {SHORTEST_S} s")
        value = MEASURES[name].function(ear)
    except Refused as error:
        return Measured(
            name=name, value=None, unit=MEASURES[name].unit, span=span, reliability=trust,
            refused=str(error),
        )  # fmt: skip
    return Measured(name=name, value=value, unit=MEASURES[name].unit, span=span, reliability=trust)


__all__ = ["MEASURES", "TONES", "Measure", "Measured", "Refused", "Sound", "take"]
