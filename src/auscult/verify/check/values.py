"""Checks of numbers: pitch, notes, intervals, tempo, gaps, lengths, levels."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from auscult.audio.synth import note_name
from auscult.verify.check.base import (
    Outcome,
    at_place,
    focus,
    judged,
    number_of,
    pick_sounds,
    semitones,
)
from auscult.verify.claims import (
    AMBIGUOUS,
    CONTRADICTED,
    SUPPORTED,
    Claim,
    Part,
)
from auscult.verify.hear import measures, music
from auscult.verify.hear import sound as levels
from auscult.verify.hear.listening import Listening, Refused
from auscult.verify.read.base import EVENTS


def _pitches(ear: Listening, about: Part) -> list[float]:
    """Every pitch (Hz) that the part can mean."""
    sounds = [s.hz for s in pick_sounds(ear, about) if not math.isnan(s.hz)]
    if about.place is not None and sounds:
        return sounds
    if about.region in ("start", "end") and len(ear.notes) > 1:
        return [ear.notes[0 if about.region == "start" else -1].hz]
    if about.place is not None or about.region or about.span is not None:
        return [music.pitch(focus(ear, about))]
    if ear.is_voice:
        return [music.pitch(ear), *sounds]
    found = [s.hz for s in ear.notes if not math.isnan(s.hz)]
    return found or [music.pitch(ear)]


def _nearest_pitch(claimed_st: float, found: Sequence[float], text: str) -> Outcome:
    """The pitch nearest to the claimed one; a whole number of octaves off is ambiguous."""
    st = [semitones(hz) for hz in found]
    best = min(st, key=lambda s: abs(s - claimed_st))
    verdict = judged(best - claimed_st, 1.0)
    octaves = (best - claimed_st) / 12
    if verdict == CONTRADICTED and abs(octaves - round(octaves)) < 0.05 and len(found) == 1:
        verdict = AMBIGUOUS
    hz = 440 * 2 ** (best / 12)
    return Outcome(verdict=verdict, measured=text.format(hz=hz), tolerance="1 semitone")


def check_pitch(ear: Listening, claim: Claim) -> Outcome:
    """A frequency in hertz."""
    found = _pitches(ear, claim.about)
    if not found:
        raise Refused("nothing has a pitch there")
    return replace(
        _nearest_pitch(semitones(number_of(claim)), found, "{hz:.0f} Hz"), function="pitch"
    )


def check_note(ear: Listening, claim: Claim) -> Outcome:
    """A note name, with or without its octave."""
    found = _pitches(ear, claim.about)
    if not found:
        raise Refused("nothing has a pitch there")
    names = [note_name(round(69 + semitones(hz))) for hz in found]
    name = str(claim.value)
    has_octave = name[-1].isdigit()
    letters = [n.rstrip("-0123456789") for n in names]
    heard = " ".join(names)
    if (name in names) if has_octave else (name in letters):
        return Outcome(verdict=SUPPORTED, measured=heard, function="notes")
    octave = has_octave and name.rstrip("-0123456789") in letters and len(names) == 1
    return Outcome(verdict=AMBIGUOUS if octave else CONTRADICTED, measured=heard, function="notes")


def check_interval(ear: Listening, claim: Claim) -> Outcome:
    """Semitones between two neighbouring notes, or two voices."""
    st = [semitones(s.hz) for s in (ear.notes if not ear.is_voice else ear.sounds) if s.hz == s.hz]
    if len(st) < 2:
        raise Refused("an interval needs two notes")
    found = [abs(float(d)) for d in np.diff(st)] + ([abs(st[-1] - st[0])] if len(st) > 2 else [])
    best = min(found, key=lambda d: abs(d - number_of(claim)))
    tolerance = 0.5 if not ear.is_voice else 0.8
    return Outcome(
        verdict=judged(best - number_of(claim), tolerance),
        measured=f"{best:.1f} semitones",
        tolerance=f"{tolerance} semitones",
        function="interval",
    )


def check_tempo(ear: Listening, claim: Claim) -> Outcome:
    """Beats per minute; half and double are ambiguous."""
    bpm, claimed = music.tempo_bpm(ear), number_of(claim)
    verdict = judged(claimed / bpm - 1, 0.04)
    if verdict == CONTRADICTED and any(
        abs(claimed / bpm / k - 1) < 0.04 for k in (0.5, 2, 3, 1 / 3)
    ):
        verdict = AMBIGUOUS
    return Outcome(verdict=verdict, measured=f"{bpm:.0f} BPM", tolerance="4 %", function="tempo")


def _gaps(ear: Listening) -> list[tuple[float, float]]:
    """(silence, onset to onset) between each sound and the next; of speech, its pauses."""
    if (ear.is_voice or len(ear.sounds) < 2) and len(ear.activity) > 1:
        return [(b[0] - a[1], b[0] - a[0]) for a, b in itertools.pairwise(ear.activity)]
    pairs = zip(ear.sounds[:-1], ear.sounds[1:], strict=True)
    return [(b.start_s - a.end_s, b.start_s - a.start_s) for a, b in pairs]


def check_gap(ear: Listening, claim: Claim) -> Outcome:
    """Seconds between two sounds, as silence or from onset to onset."""
    found = _gaps(ear)
    if not found:
        raise Refused("a gap needs two sounds")
    place, region = claim.about.place, claim.about.region
    at = place if place is not None else {"start": 1, "end": -1}.get(region)
    if at is not None:
        gap = at_place(found, at)
        if gap is None:
            return Outcome(verdict=CONTRADICTED, measured=f"{len(found)} gaps", function="gaps")
        found = [gap]
    claimed = number_of(claim)
    tolerance = max(0.1 * claimed, 0.05)
    best = min((g for pair in found for g in pair), key=lambda g: abs(g - claimed))
    return Outcome(
        verdict=judged(best - claimed, tolerance),
        measured=f"{best:.2f} s",
        tolerance=f"{tolerance:.2f} s",
        function="gaps",
    )


def check_duration(ear: Listening, claim: Claim) -> Outcome:
    """Seconds: of a sound where one is meant, else of the clip (in all, or first to last sound)."""
    about, claimed = claim.about, number_of(claim)
    found = [ear.seconds]
    if ear.sounds:
        found.append(levels.sounding_s(ear))
    if about.place is not None or (about.subject in EVENTS | {"note", "tone", "sound"}):
        found = [s.length_s for s in pick_sounds(ear, about)]
    elif about.subject in ("gap", "pause"):
        return check_gap(ear, claim)
    if not found:
        raise Refused("nothing sounds there")
    best = min(found, key=lambda s: abs(s - claimed))
    tolerance = max(0.12 * claimed, 0.05)
    return Outcome(
        verdict=judged(best - claimed, tolerance), measured=f"{best:.2f} s",
        tolerance=f"{tolerance:.2f} s", function="duration",
    )  # fmt: skip


def check_peak(ear: Listening, claim: Claim) -> Outcome:
    """The largest sample in decibels under full scale."""
    peak = 20 * math.log10(max(float(np.abs(focus(ear, claim.about).clip).max(initial=0.0)), 1e-5))
    return Outcome(
        verdict=judged(peak - number_of(claim), 1.0), measured=f"{peak:.1f} dBFS",
        tolerance="1.0 dB", function="",
    )  # fmt: skip


def check_level_change(ear: Listening, claim: Claim) -> Outcome:
    """Decibels between beginning and end (or the loudest and softest sound), without sign."""
    claimed = abs(number_of(claim))
    found = [abs(levels.level_change_db(focus(ear, replace(claim.about, place=None))))]
    heard = [s.level_db for s in ear.sounds]
    if len(heard) > 1:
        found += [max(heard) - min(heard), abs(float(np.mean(np.diff(heard))))]
    best = min(found, key=lambda d: abs(d - claimed))
    tolerance = max(1.5, 0.15 * claimed)
    return Outcome(
        verdict=judged(best - claimed, tolerance), measured=f"{best:.1f} dB",
        tolerance=f"{tolerance:.1f} dB", function="level_change",
    )  # fmt: skip


def plain_number(
    name: str, unit: str, relative: float, absolute: float
) -> Callable[[Listening, Claim], Outcome]:
    """A check of one measured number within a relative or absolute tolerance, the larger."""

    def check(ear: Listening, claim: Claim) -> Outcome:
        claimed = number_of(claim)
        found = measures.MEASURES[name].function(focus(ear, claim.about))
        assert isinstance(found, float)
        tolerance = max(absolute, relative * abs(claimed))
        return Outcome(
            verdict=judged(found - claimed, tolerance), measured=f"{found:.2f} {unit}",
            tolerance=f"{tolerance:.2f} {unit}", function=name,
        )  # fmt: skip

    return check
