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

from auscult.verify.hear import music, sound
from auscult.verify.hear.listening import Listening, Refused


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


MEASURES: dict[str, Measure] = {
    "duration": Measure(function=sound.duration_s, unit="s", what="length of the clip"),
    "sounding": Measure(function=sound.sounding_s, unit="s", what="first onset to last end"),
    "pitch": Measure(function=music.pitch, unit="Hz", what="median fundamental"),
    "pitch_range": Measure(
        function=music.pitch_range_st, unit="semitones", what="5 to 95 % of pitch"
    ),
    "pitch_change": Measure(
        function=music.pitch_change_st, unit="semitones", what="end less beginning"
    ),
    "pitch_course": Measure(function=music.pitch_course, unit="", what="where the pitch goes"),
    "contour": Measure(function=music.contour, unit="", what="steps from note to note"),
    "notes": Measure(function=music.notes, unit="", what="note names"),
    "interval": Measure(function=music.interval_st, unit="semitones", what="first two notes"),
    "tempo": Measure(function=music.tempo_bpm, unit="BPM", what="beats per minute"),
    "tempo_course": Measure(function=music.tempo_course, unit="", what="trend of the gaps"),
    "gaps": Measure(function=music.gaps, unit="s", what="onset to onset"),
    "spacing": Measure(function=music.spacing, unit="", what="evenness of the gaps"),
    "meter": Measure(function=music.meter, unit="beats", what="accent to accent"),
    "loudness": Measure(function=sound.loudness_lufs, unit="LUFS", what="integrated loudness"),
    "level_change": Measure(function=sound.level_change_db, unit="dB", what="end less beginning"),
    "level_course": Measure(function=sound.level_course, unit="", what="where the level goes"),
    "active": Measure(function=sound.active_s, unit="s", what="time with sound, pauses out"),
    "pauses": Measure(function=sound.pauses, unit="", what="silences of 0.15 s and more"),
    "rate": Measure(function=sound.rate, unit="syllables/s", what="speaking rate"),
    "brightness": Measure(function=sound.brightness_hz, unit="Hz", what="spectral centroid"),
    "brightness_course": Measure(
        function=sound.brightness_course, unit="", what="trend of brightness"
    ),
    "hnr": Measure(function=sound.hnr_db, unit="dB", what="harmonics over noise"),
    "cpps": Measure(function=sound.cpps_db, unit="dB", what="cepstral peak prominence"),
    "vibrato": Measure(function=music.vibrato_st, unit="semitones", what="depth of the waver"),
    "modulation": Measure(function=music.modulation_hz, unit="Hz", what="rate of the waver"),
    "tremolo": Measure(function=sound.tremolo_hz, unit="Hz", what="rate of the level's waver"),
    "roughness": Measure(function=sound.roughness_db, unit="dB", what="fast amplitude modulation"),
    "periodicity": Measure(function=sound.periodic, unit="", what="0 whispered to 1 voiced"),
    "snr": Measure(function=sound.snr_db, unit="dB", what="signal over noise, coarse"),
    "reverberation": Measure(function=sound.reverberation_s, unit="s", what="time for 60 dB"),
    "background": Measure(function=sound.background, unit="", what="lasting sound behind"),
    "events": Measure(function=sound.events, unit="", what="class of each sound"),
    "key": Measure(function=music.key, unit="", what="tonic and mode"),
    "chord": Measure(function=music.chord, unit="", what="quality of the triad"),
    "mode": Measure(function=music.mode, unit="", what="major or minor"),
    "vowel": Measure(function=sound.vowel, unit="", what="nearest vowel"),
    "timbre": Measure(function=music.timbre, unit="", what="timbre of a tone"),
}
"""Name -> measurement. To add one, write the function above and a line here."""

SHORTEST_S = 0.02


@lru_cache(maxsize=1)
def reliability() -> dict[str, dict[str, float]]:
    """Measured on the gym: name -> condition ("clean", "20 dB", ...) -> share that agreed."""
    file = files("auscult.verify.hear") / "reliability.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def take(ear: Listening, name: str) -> Measured:
    """One measurement with unit, span and reliability; a refusal is a record, not an error.

    Raises `ValueError` for an unknown name.
    """
    if name not in MEASURES:
        raise ValueError(f"no measurement {name!r}; there are {', '.join(MEASURES)}")
    span = (0.0, ear.seconds)
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
