"""What the checks share: outcomes, tolerance, and what a claim points at in the sound."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from auscult.audio.hear import measure
from auscult.verify.claims import (
    AMBIGUOUS,
    CONTRADICTED,
    SUPPORTED,
    Claim,
    Part,
)
from auscult.verify.hear.listening import Listening, Sound
from auscult.verify.hear.measures import Refused
from auscult.verify.read.base import EVENTS

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a check says: verdict, measured value in words, tolerance in words, where, by which
    measurement. Example: Outcome(verdict="supported", measured="392 Hz", tolerance="0.5 st")."""

    verdict: str
    measured: str = ""
    tolerance: str = ""
    function: str = ""
    span: tuple[float, float] | None = None


def judged(difference: float, tolerance: float) -> str:
    """supported up to the tolerance, contradicted beyond 1.6 of it, ambiguous between."""
    if abs(difference) <= tolerance:
        return SUPPORTED
    return CONTRADICTED if abs(difference) > 1.6 * tolerance else AMBIGUOUS


def same(claimed: object, measured: object) -> str:
    """For words: equal or not."""
    return SUPPORTED if claimed == measured else CONTRADICTED


def at_place(values: Sequence[T], place: int) -> T | None:
    """The how-many-th of a list, counted from 1; -1 is the last. None where there is none."""
    at = place if place < 0 else place - 1
    return values[at] if -len(values) <= at < len(values) else None


def pick_sounds(ear: Listening, about: Part) -> list[Sound]:
    """The sounds that a part can mean: by its kind, its place among those, its time."""
    found = ear.sounds
    if about.subject in EVENTS:
        found = [s for s in found if s.kind == about.subject] or found
    elif about.subject in ("note", "tone"):
        found = ear.notes or found
    elif about.subject == "voice":
        found = [s for s in found if s.kind == "voice"] or found
    if about.place is not None:
        one = at_place(found, about.place)
        found = [one] if one is not None else []
    if about.span is not None:
        a, b = about.span
        found = [s for s in found if s.start_s < b and s.end_s > a]
    return found


_REGIONS = {
    "start": (0.0, 0.2),
    "end": (0.8, 1.0),
    "middle": (0.4, 0.6),
    "first half": (0.0, 0.5),
    "second half": (0.5, 1.0),
}


def focus(ear: Listening, about: Part) -> Listening:
    """The stretch of the clip that a part means: a sound, a span, a region, or all of it."""
    if about.place is not None:
        found = pick_sounds(ear, about)
        if not found:
            raise Refused(f"there is no sound number {about.place}")
        return ear.within((found[0].start_s + 0.015, found[0].end_s - 0.005))
    if about.span is not None:
        return ear.within(about.span)
    if about.region in _REGIONS:
        a, b = _REGIONS[about.region]
        first = ear.sounds[0].start_s if ear.sounds else 0.0
        last = ear.sounds[-1].end_s if ear.sounds else ear.seconds
        return ear.within((first + a * (last - first), first + b * (last - first)))
    return ear


def semitones(hz: float) -> float:
    """Semitones over 440 Hz. Refused for what is no frequency."""
    if not (math.isfinite(hz) and hz > 0):
        raise Refused(f"{hz:g} Hz is no pitch")
    return float(measure.semitones(np.array([hz]))[0])


def number_of(claim: Claim) -> float:
    """The claimed number. Refused for a word, and for more digits than any measurement has."""
    value = claim.value
    if not isinstance(value, (int, float)):
        raise Refused(f"{value!r} is not a number")
    digits = f"{abs(float(value)):.9g}".replace(".", "").lstrip("0").rstrip("0")
    if len(digits) > 6:
        raise Refused(f"{value} claims more digits than any measurement here has")
    return float(value)


def kinds_of(ear: Listening) -> list[str]:
    """Class of every sound, in order of time."""
    return [s.kind for s in ear.sounds]
