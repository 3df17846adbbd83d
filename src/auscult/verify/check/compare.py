"""Comparisons: which of two parts of the sound has more of a property."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auscult.verify.check.base import Outcome, at_place, focus, pick_sounds, semitones
from auscult.verify.check.things import counted, known
from auscult.verify.claims import AMBIGUOUS, CONTRADICTED, REST, SUPPORTED, Claim, Part
from auscult.verify.hear import music
from auscult.verify.hear import sound as levels
from auscult.verify.hear.listening import Listening, Refused
from auscult.verify.read.base import EVENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How a property is compared: its measure for a part, and the least difference that counts."""

    measure: Callable[[Listening, Part], float]
    least: float
    unit: str
    function: str


def _pitch(ear: Listening, part: Part) -> float:
    """Semitones; of a sound where one is meant, else of the clip."""
    sounds = [s.hz for s in pick_sounds(ear, part) if s.hz == s.hz] if _one(part) else []
    hz = float(np.median(sounds)) if sounds else music.pitch(focus(ear, part))
    return semitones(hz)


def _one(part: Part) -> bool:
    return part.place is not None or part.subject in EVENTS


def _level(ear: Listening, part: Part) -> float:
    if _one(part):
        found = [s.level_db for s in pick_sounds(ear, part)]
        if not found:
            raise Refused("there is no such sound")
        return max(found)
    return focus(ear, part).rms_db


def _duration(ear: Listening, part: Part) -> float:
    if _one(part):
        found = [s.length_s for s in pick_sounds(ear, part)]
        if not found:
            raise Refused("there is no such sound")
        return math.log(max(found))
    return math.log(focus(ear, part).seconds)


def _gap(ear: Listening, part: Part) -> float:
    gaps = music.silences_s(ear)
    if part.place is None or not gaps:
        raise Refused("which gap is meant is open")
    gap = at_place(gaps, part.place)
    if gap is None:
        raise Refused(f"there is no gap number {part.place}")
    return math.log(max(gap, 0.005))


def _tempo(ear: Listening, part: Part) -> float:
    return math.log(music.tempo_bpm(focus(ear, part)))


def _noise(ear: Listening, part: Part) -> float:
    """Of a recording its noise, of a voice its breath: what is not periodic."""
    return -levels.hnr_db(focus(ear, part))


def _reverberation(ear: Listening, part: Part) -> float:
    return math.log(max(levels.late_decay_s(focus(ear, part)), 0.01))


def _brightness(ear: Listening, part: Part) -> float:
    return math.log(levels.brightness_hz(focus(ear, part)))


def _rate(ear: Listening, part: Part) -> float:
    found = levels.rate(focus(ear, part))
    if not found > 0:
        raise Refused("no speech")
    return math.log(found)


def _count(ear: Listening, part: Part) -> float:
    return float(counted(ear, part.subject))


SCALES: dict[str, Scale] = {
    "pitch": Scale(measure=_pitch, least=0.5, unit="semitones", function="pitch"),
    "level": Scale(measure=_level, least=1.5, unit="dB", function="loudness"),
    "duration": Scale(measure=_duration, least=0.1, unit="(log s)", function="duration"),
    "gap": Scale(measure=_gap, least=0.12, unit="(log s)", function="gaps"),
    "tempo": Scale(measure=_tempo, least=0.05, unit="(log BPM)", function="tempo"),
    "noise": Scale(measure=_noise, least=1.5, unit="dB of HNR", function="hnr"),
    "reverberation": Scale(
        measure=_reverberation, least=0.15, unit="(log s)", function="reverberation"
    ),
    "brightness": Scale(measure=_brightness, least=0.08, unit="(log Hz)", function="brightness"),
    "breath": Scale(measure=_noise, least=1.0, unit="dB of HNR", function="hnr"),
    "rate": Scale(measure=_rate, least=0.15, unit="(log /s)", function="rate"),
    "count": Scale(measure=_count, least=0.5, unit="", function="events"),
}
"""Property -> how it is compared. A logarithm compares ratios: 0.1 is ten per cent."""

_OF_CLIPS = frozenset(
    ("noise", "reverberation", "breath", "rate", "brightness", "tempo", "duration")
)


def _place_is_clip(ears: tuple[Listening, ...], part: Part, attribute: str) -> bool:
    """ "the first is noisier" of two clips means clip 1."""
    return (
        part.clip is None
        and part.place is not None
        and len(ears) >= max(part.place, 2)
        and (attribute in _OF_CLIPS or all(len(e.sounds) <= 1 for e in ears))
    )


def _resolve(ears: tuple[Listening, ...], part: Part, attribute: str) -> tuple[Listening, Part]:
    if _place_is_clip(ears, part, attribute):
        return ears[(part.place or 1) - 1], Part(subject=part.subject)
    clip = part.clip or 1
    if clip > len(ears):
        raise Refused(f"there is no clip {clip}")
    return ears[clip - 1], part


def _others(
    ears: tuple[Listening, ...], about: Part, attribute: str
) -> list[tuple[Listening, Part]]:
    """All the parts that a superlative leaves behind."""
    ear, part = _resolve(ears, about, attribute)
    if part.place is None and part.subject not in EVENTS:
        return [(e, Part()) for e in ears if e is not ear]
    if part.subject in EVENTS and part.place is None:
        kinds = {s.kind for s in ear.sounds} - {part.subject}
        return [(ear, Part(subject=k)) for k in kinds if k in EVENTS]
    n = len(music.silences_s(ear)) if attribute == "gap" else len(ear.sounds)
    own = part.place if (part.place or 0) > 0 else n + 1 + (part.place or 0)
    return [(ear, Part(place=i)) for i in range(1, n + 1) if i != own]


def check_comparison(ears: tuple[Listening, ...], claim: Claim) -> Outcome:
    """A against B, or against all others; differences under the least that counts are the same."""
    scale = SCALES.get(claim.attribute)
    if scale is None or claim.other is None:
        raise Refused(f"{claim.attribute} is not compared here")
    for side in (claim.about, claim.other):
        if side.subject and side.place is None and side.clip is None and side != REST:
            known(side.subject)
    mine = scale.measure(*_resolve(ears, claim.about, claim.attribute))
    if claim.other == REST:
        rest = _others(ears, claim.about, claim.attribute)
    else:
        rest = [_resolve(ears, claim.other, claim.attribute)]
    if not rest:
        raise Refused("there is nothing to compare with")
    differences = [mine - scale.measure(*other) for other in rest]
    sign = -1 if claim.value == "less" else 1
    worst = min(sign * d for d in differences)
    if claim.value == "same":
        worst = max(abs(d) for d in differences)
        verdict = SUPPORTED if worst < scale.least else CONTRADICTED
    elif worst >= scale.least:
        verdict = SUPPORTED
    else:
        verdict = CONTRADICTED if worst < 0.4 * scale.least else AMBIGUOUS
    return Outcome(
        verdict=verdict,
        measured=f"{sign * worst:+.2f} {scale.unit}".strip(),
        tolerance=f"{scale.least:g} {scale.unit}".strip(),
        function=scale.function,
    )
