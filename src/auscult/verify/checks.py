"""Claim against sound: one function per kind of claim, one line in `CHECKS`.

A check returns what it measured and how that stands to the claim. A difference between one and two
tolerances is *ambiguous*, so that a claim is called true or false only where the sound is clear.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auscult.audio import measure
from auscult.audio.synth import note_name
from auscult.verify import measures
from auscult.verify.claims import (
    AMBIGUOUS,
    CONTRADICTED,
    REST,
    SUPPORTED,
    UNVERIFIABLE,
    Claim,
    Finding,
    Part,
)
from auscult.verify.listening import NOTES, Listening, Sound
from auscult.verify.measures import Refused
from auscult.verify.rules_base import BACKGROUNDS, EVENTS

_SILENCE = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a check says: verdict, measured value in words, tolerance in words, where, by which
    measurement. Example: Outcome(verdict="supported", measured="392 Hz", tolerance="1 semitone")."""

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


# ------------------------------------------------------------------ what a claim points at


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
        at = about.place if about.place < 0 else about.place - 1
        found = [found[at]] if -len(found) <= at < len(found) else []
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


# ------------------------------------------------------------------ numbers


def _semitones(hz: float) -> float:
    return float(measure.semitones(np.array([hz]))[0])


def _pitches(ear: Listening, about: Part) -> list[float]:
    """Every pitch (Hz) that the part can mean."""
    sounds = [s.hz for s in pick_sounds(ear, about) if not math.isnan(s.hz)]
    if about.place is not None and sounds:
        return sounds
    if about.place is not None or about.region or about.span is not None:
        return [measures.pitch(focus(ear, about))]
    if ear.is_voice:
        return [measures.pitch(ear), *sounds]
    found = [s.hz for s in ear.notes if not math.isnan(s.hz)]
    return found or [measures.pitch(ear)]


def _nearest_pitch(claimed_st: float, found: Sequence[float], text: str) -> Outcome:
    """The pitch nearest to the claimed one; a whole number of octaves off is ambiguous."""
    st = [_semitones(hz) for hz in found]
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
        _nearest_pitch(_semitones(_number(claim)), found, "{hz:.0f} Hz"), function="pitch"
    )


def check_note(ear: Listening, claim: Claim) -> Outcome:
    """A note name, with or without its octave."""
    found = _pitches(ear, claim.about)
    if not found:
        raise Refused("nothing has a pitch there")
    names = [note_name(round(69 + _semitones(hz))) for hz in found]
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
    st = [_semitones(s.hz) for s in (ear.notes if not ear.is_voice else ear.sounds) if s.hz == s.hz]
    if len(st) < 2:
        raise Refused("an interval needs two notes")
    found = [abs(float(d)) for d in np.diff(st)] + ([abs(st[-1] - st[0])] if len(st) > 2 else [])
    best = min(found, key=lambda d: abs(d - _number(claim)))
    tolerance = 0.5 if not ear.is_voice else 0.8
    return Outcome(
        verdict=judged(best - _number(claim), tolerance),
        measured=f"{best:.1f} semitones",
        tolerance=f"{tolerance} semitones",
        function="interval",
    )


def _number(claim: Claim) -> float:
    value = claim.value
    if not isinstance(value, (int, float)):
        raise Refused(f"{value!r} is not a number")
    digits = f"{abs(float(value)):.9g}".replace(".", "").lstrip("0").rstrip("0")
    if len(digits) > 6:
        raise Refused(f"{value} claims more digits than any measurement here has")
    return float(value)


def check_tempo(ear: Listening, claim: Claim) -> Outcome:
    """Beats per minute; half and double are ambiguous."""
    bpm, claimed = measures.tempo_bpm(ear), _number(claim)
    verdict = judged(claimed / bpm - 1, 0.04)
    if verdict == CONTRADICTED and any(
        abs(claimed / bpm / k - 1) < 0.04 for k in (0.5, 2, 3, 1 / 3)
    ):
        verdict = AMBIGUOUS
    return Outcome(verdict=verdict, measured=f"{bpm:.0f} BPM", tolerance="4 %", function="tempo")


def _gaps(ear: Listening) -> list[tuple[float, float]]:
    """(silence, onset to onset) between each sound and the next."""
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
        index = at if at < 0 else at - 1
        if not -len(found) <= index < len(found):
            return Outcome(verdict=CONTRADICTED, measured=f"{len(found)} gaps", function="onsets")
        found = [found[index]]
    claimed = _number(claim)
    tolerance = max(0.1 * claimed, 0.05)
    best = min((g for pair in found for g in pair), key=lambda g: abs(g - claimed))
    return Outcome(
        verdict=judged(best - claimed, tolerance),
        measured=f"{best:.2f} s",
        tolerance=f"{tolerance:.2f} s",
        function="onsets",
    )


def check_duration(ear: Listening, claim: Claim) -> Outcome:
    """Seconds: of a sound where one is meant, else of the clip (in all, or first to last sound)."""
    about, claimed = claim.about, _number(claim)
    found = [ear.seconds]
    if ear.sounds:
        found.append(measures.sounding_s(ear))
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


def check_level_change(ear: Listening, claim: Claim) -> Outcome:
    """Decibels between beginning and end (or the loudest and softest sound), without sign."""
    claimed = abs(_number(claim))
    found = [abs(measures.level_change_db(focus(ear, replace(claim.about, place=None))))]
    levels = [s.level_db for s in ear.sounds]
    if len(levels) > 1:
        found += [max(levels) - min(levels), abs(float(np.mean(np.diff(levels))))]
    best = min(found, key=lambda d: abs(d - claimed))
    tolerance = max(1.5, 0.15 * claimed)
    return Outcome(
        verdict=judged(best - claimed, tolerance), measured=f"{best:.1f} dB",
        tolerance=f"{tolerance:.1f} dB", function="level_change",
    )  # fmt: skip


def _plain(
    name: str, unit: str, relative: float, absolute: float
) -> Callable[[Listening, Claim], Outcome]:
    """A check of one measured number within a relative or absolute tolerance, the larger."""

    def check(ear: Listening, claim: Claim) -> Outcome:
        claimed = _number(claim)
        found = measures.MEASURES[name].function(focus(ear, claim.about))
        assert isinstance(found, float)
        tolerance = max(absolute, relative * abs(claimed))
        return Outcome(
            verdict=judged(found - claimed, tolerance), measured=f"{found:.2f} {unit}",
            tolerance=f"{tolerance:.2f} {unit}", function=name,
        )  # fmt: skip

    return check


def check_unmeasured(ear: Listening, claim: Claim) -> Outcome:
    """A quantity that nothing here measures."""
    raise Refused(f"{claim.attribute} is not measured here")


# ------------------------------------------------------------------ counts, order, time, presence


def _kinds(ear: Listening) -> list[str]:
    return [s.kind for s in ear.sounds]


def counted(ear: Listening, subject: str) -> int:
    """How many of a subject there are."""
    if subject in EVENTS and subject != "beep":
        return _kinds(ear).count(subject)
    if subject == "beep":
        kinds = _kinds(ear)
        return kinds.count("beep") or sum(k in NOTES for k in kinds)
    if subject in ("gap", "pause"):
        return max(0, len(ear.sounds) - 1)
    if subject in ("note", "tone"):
        pitched = [s for s in ear.sounds if s.kind in NOTES]
        return len(ear.notes) if len(pitched) == len(ear.sounds) else len(pitched)
    if subject in ("voice", "speech"):
        return _voices(ear)
    return len(ear.sounds)


def _voices(ear: Listening) -> int:
    """Groups of voiced sounds whose pitches lie under 3 semitones apart."""
    st = sorted(_semitones(s.hz) for s in ear.sounds if s.kind == "voice" and s.hz == s.hz)
    if not st:
        return 0
    return 1 + sum(b - a > 3 for a, b in zip(st[:-1], st[1:], strict=True))


def check_count(ear: Listening, claim: Claim) -> Outcome:
    """A number of things. Clips of running speech have no countable onsets."""
    subject = claim.about.subject
    if ear.is_voice and subject in ("sound", "note", "tone", "syllable"):
        raise Refused("a voice's sounds are not counted")
    if "unknown" in _kinds(ear) and subject in EVENTS and not ear.is_voice:
        raise Refused("some sounds are of no known kind")
    part = ear.within(claim.about.span) if claim.about.span is not None else ear
    found = counted(part, subject)
    return Outcome(
        verdict=same(_number(claim), float(found)), measured=f"{found}", function="events"
    )


def check_meter(ear: Listening, claim: Claim) -> Outcome:
    """Beats from accent to accent."""
    found = measures.meter(ear)
    return Outcome(
        verdict=same(_number(claim), found), measured=f"{found:.0f} beats", function="meter"
    )


def _sequence(ear: Listening, names: Sequence[str]) -> list[str]:
    """The clip in the words of the list: notes, timbres or events."""
    if all(
        n[0] in "ABCDEFG" and (n[-1].isdigit() or n.endswith("#") or len(n) == 1) for n in names
    ):
        found = measures.notes(ear).split()
        return found if names[0][-1].isdigit() else [n.rstrip("-0123456789") for n in found]
    if set(names) <= {"pure", "buzzy", "hollow", "plucked"}:
        return [measures.timbre(ear.within((s.start_s + 0.02, s.end_s - 0.01))) for s in ear.sounds]
    for words in (("strong", "weak"), ("long", "short"), ("loud", "soft")):
        if set(names) <= set(words):
            return _by_halves(ear, *words)
    return [s.kind for s in ear.sounds if s.kind != "voice"]


def _by_halves(ear: Listening, upper: str, lower: str) -> list[str]:
    """Every sound as above or below the middle between the extremes of length or level."""
    length = upper == "long"
    values = [math.log(max(s.length_s, 0.01)) if length else s.level_db for s in ear.sounds]
    if len(values) < 2 or max(values) - min(values) < (0.35 if length else 4.0):
        raise Refused("the sounds do not differ enough to tell them apart")
    return [upper if v > (max(values) + min(values)) / 2 else lower for v in values]


def check_sequence(ear: Listening, claim: Claim) -> Outcome:
    """A list in time: the whole clip, or of four and more a stretch without a gap."""
    names = [str(n) for n in claim.value] if isinstance(claim.value, tuple) else []
    if not names:
        raise Refused("an order needs names")
    found = _sequence(ear, names)
    heard = " ".join(found)
    merged = [n for i, n in enumerate(found) if i == 0 or n != found[i - 1]]
    runs = [found[i : i + len(names)] for i in range(max(1, len(found) - len(names) + 1))]
    if found == names or merged == names or names in (runs if len(names) > 1 else []):
        return Outcome(verdict=SUPPORTED, measured=heard, function="events")
    return Outcome(verdict=CONTRADICTED, measured=heard, function="events")


def check_before(ear: Listening, claim: Claim) -> Outcome:
    """One thing before another."""
    if not isinstance(claim.value, tuple) or len(claim.value) != 2:
        raise Refused("an order needs two things")
    first, second = claim.value
    kinds = _kinds(ear)
    if first not in kinds or second not in kinds:
        return Outcome(verdict=CONTRADICTED, measured=" ".join(kinds), function="events")
    right = kinds.index(first) < kinds.index(second)
    verdict = SUPPORTED if right else CONTRADICTED
    return Outcome(verdict=verdict, measured=" ".join(kinds), function="events")


def check_time(ear: Listening, claim: Claim) -> Outcome:
    """When something starts, within 0.1 s."""
    found = [s.start_s for s in pick_sounds(ear, claim.about)]
    if claim.about.subject in EVENTS and claim.about.subject not in _kinds(ear):
        return Outcome(verdict=CONTRADICTED, measured="not heard", function="onsets")
    if not found:
        raise Refused("nothing sounds")
    best = min(found, key=lambda t: abs(t - _number(claim)))
    return Outcome(
        verdict=judged(best - _number(claim), 0.1), measured=f"{best:.2f} s",
        tolerance="0.1 s", function="onsets",
    )  # fmt: skip


def check_presence(ear: Listening, claim: Claim) -> Outcome:
    """Is there such a thing? Events by class, backgrounds by what is heard in the rests."""
    subject = claim.about.subject
    if subject in BACKGROUNDS:
        kind = "the main sound" if subject in _kinds(ear) else measures.background(ear)
        heard = kind == subject or subject in _kinds(ear)
        return Outcome(verdict=_is(heard), measured=f"behind: {kind}", function="background")
    if subject in EVENTS:
        found = [s.kind for s in pick_sounds(ear, replace(claim.about, subject=""))]
        unsure = "unknown" in found and subject not in found
        if unsure:
            raise Refused("some sounds are of no known kind")
        heard = subject in found
        return Outcome(verdict=_is(heard), measured=" ".join(found), function="events")
    if subject in ("voice", "speech"):
        kinds = _kinds(ear)
        share = sum(s.length_s for s in ear.sounds if s.kind == "voice")
        clear = share > 0.25
        if "unknown" in kinds and not clear:
            raise Refused("some sounds are of no known kind")
        return Outcome(verdict=_is(clear), measured=f"{share:.1f} s of voice", function="events")
    if subject == _SILENCE:
        quiet = ear.silent or (measures.background(ear) == _SILENCE)
        return Outcome(
            verdict=_is(quiet), measured="rests are silent" if quiet else "sound throughout"
        )
    if subject == "noise":
        ratio = measures.snr_db(ear)
        return Outcome(
            verdict=AMBIGUOUS if 20 < ratio < 35 else _is(ratio <= 20),
            measured=f"{ratio:.0f} dB SNR",
        )
    if subject == "echo":
        return check_quality(ear, replace(claim, attribute="room", value="reverberant"))
    raise Refused(f"whether there is {subject} is not measured here")


def _is(true: bool) -> str:
    return SUPPORTED if true else CONTRADICTED


# ------------------------------------------------------------------ courses


def _course(name: str) -> Callable[[Listening, Claim], Outcome]:
    def check(ear: Listening, claim: Claim) -> Outcome:
        found = measures.MEASURES[name].function(focus(ear, replace(claim.about, place=None)))
        verdict = same(claim.value, found)
        part_of = {"rising", "falling"} & set(str(found).split("-"))
        if "-" in str(found) and claim.value in part_of:
            verdict = AMBIGUOUS if not claim.about.region else CONTRADICTED
        return Outcome(verdict=verdict, measured=str(found), function=name)

    return check


_pitch_course, _tempo_course = _course("pitch_course"), _course("tempo_course")


def check_tempo_course(ear: Listening, claim: Claim) -> Outcome:
    """Of clicks: their gaps. Of an engine: its pitch."""
    if len(ear.sounds) < 4 and (claim.about.subject == "engine" or "engine" in _kinds(ear)):
        return _pitch_course(ear, claim)
    return _tempo_course(ear, claim)


def check_contour(ear: Listening, claim: Claim) -> Outcome:
    """The steps of a melody, all of them; of a voice, its course."""
    steps = " ".join(str(s) for s in claim.value) if isinstance(claim.value, tuple) else ""
    if ear.is_voice and steps in ("up down", "down up"):
        course = "rising-falling" if steps == "up down" else "falling-rising"
        return _pitch_course(ear, replace(claim, value=course))
    found = measures.contour(ear)
    return Outcome(verdict=same(steps, found), measured=found, function="contour")


# ------------------------------------------------------------------ qualities


def _two(
    name: str, low: str, high: str, edge: float, slack: float, unit: str
) -> Callable[[Listening, Claim], Outcome]:
    """Two words for the two sides of a threshold; within `slack` of it the sound is unclear."""

    def check(ear: Listening, claim: Claim) -> Outcome:
        found = measures.MEASURES[name].function(focus(ear, claim.about))
        assert isinstance(found, float)
        word = low if found < edge else high
        verdict = AMBIGUOUS if abs(found - edge) < slack else same(claim.value, word)
        return Outcome(
            verdict=verdict, measured=f"{found:.2f} {unit}".strip(),
            tolerance=f"{high} from {edge:g} {unit}".strip(), function=name,
        )  # fmt: skip

    return check


def check_register(ear: Listening, claim: Claim) -> Outcome:
    """low to 140 Hz, middle from 160 to 205 Hz, high from 270 Hz; nobody agrees on what lies
    between, where only the word for the other side is contradicted."""
    if not ear.is_voice and "voice" not in _kinds(ear):
        raise Refused("the register is one of voices")
    hz = measures.pitch(focus(ear, claim.about))
    low, high = ("low", "high")
    word = low if hz < 150 else "middle" if hz < 235 else high
    between = (
        {"middle", low} if 140 < hz < 160 else {"middle", high} if 205 < hz < 270 else set[str]()
    )
    verdict = AMBIGUOUS if claim.value in between else same(claim.value, word)
    return Outcome(verdict=verdict, measured=f"{hz:.0f} Hz, {word}", function="pitch")


_edge_of_breath = _two("hnr", "breathy", "clear", 9.0, 1.0, "dB HNR")


def check_breath(ear: Listening, claim: Claim) -> Outcome:
    """Of a held voice. In running speech consonants lower the ratio as much as breath does."""
    if len(ear.sounds) > 2:
        raise Refused("breath is judged on a held voice, and this is running speech")
    return _edge_of_breath(ear, claim)


def _word(name: str) -> Callable[[Listening, Claim], Outcome]:
    def check(ear: Listening, claim: Claim) -> Outcome:
        found = measures.MEASURES[name].function(focus(ear, claim.about))
        return Outcome(verdict=same(claim.value, found), measured=str(found), function=name)

    return check


def check_relative(ear: Listening, claim: Claim) -> Outcome:
    """soft and loud, short and long: against the other sounds of the clip, if they differ."""
    loudness = claim.attribute == "level"
    values = [s.level_db if loudness else math.log(max(s.length_s, 0.01)) for s in ear.sounds]
    gap = 4.0 if loudness else 0.35
    if len(values) < 2 or max(values) - min(values) < gap:
        raise Refused("nothing in the clip to compare with")
    found = pick_sounds(ear, claim.about)
    if len(found) != 1:
        raise Refused("which sound is meant is open")
    own = found[0].level_db if loudness else math.log(max(found[0].length_s, 0.01))
    upper = own > (max(values) + min(values)) / 2
    word = ("loud" if upper else "soft") if loudness else ("long" if upper else "short")
    shown = f"{own:.1f} dB" if loudness else f"{math.exp(own):.2f} s"
    return Outcome(verdict=same(claim.value, word), measured=f"{shown}, {word}")


def check_accent(ear: Listening, claim: Claim) -> Outcome:
    """Is a beat strong or weak?"""
    return check_relative(
        ear,
        replace(claim, attribute="level", value="loud" if claim.value == "strong" else "soft"),
    )


def check_rate_word(ear: Listening, claim: Claim) -> Outcome:
    """slow under 3, fast over 4.4 syllables a second; between, nobody would say."""
    found = measures.rate(ear)
    word = "slow" if found < 3.0 else "fast" if found > 4.4 else ""
    verdict = same(claim.value, word) if word else AMBIGUOUS
    return Outcome(verdict=verdict, measured=f"{found:.1f} syllables/s", function="rate")


def check_chord_or_mode(ear: Listening, claim: Claim) -> Outcome:
    """major or minor of what is there: a triad of three or four sounds, or a scale."""
    name = "chord" if len(ear.notes) <= 4 or claim.attribute == "chord" else "mode"
    return _word(name)(ear, claim)


def check_quality(ear: Listening, claim: Claim) -> Outcome:
    """Looks the word up in `QUALITY_CHECKS`."""
    return QUALITY_CHECKS[claim.attribute](ear, claim)


QUALITY_CHECKS: dict[str, Callable[[Listening, Claim], Outcome]] = {
    "breath": check_breath,
    "register": check_register,
    "liveliness": _two("pitch_range", "monotone", "lively", 1.9, 0.3, "semitones"),
    "tremor": _two("vibrato", "steady", "trembling", 0.33, 0.06, "semitones"),
    "noise": _two("snr", "noisy", "clean", 19.0, 2.0, "dB"),
    "room": _two("reverberation", "dry", "reverberant", 0.45, 0.08, "s"),
    "level": check_relative,
    "brightness": check_unmeasured,
    "voicing": _two("periodicity", "whispered", "voiced", 0.47, 0.06, "periodicity"),
    "rate": check_rate_word,
    "length": check_relative,
    "vowel": _word("vowel"),
    "timbre": _word("timbre"),
    "mode": check_chord_or_mode,
    "chord": _word("chord"),
    "accent": check_accent,
    "spacing": _word("spacing"),
}
"""Quality -> check. The edges were set between the classes of the gym's training items."""

CHECKS: dict[tuple[str, str], Callable[[Listening, Claim], Outcome]] = {
    ("value", "pitch"): check_pitch,
    ("value", "note"): check_note,
    ("value", "interval"): check_interval,
    ("value", "tempo"): check_tempo,
    ("value", "gap"): check_gap,
    ("value", "duration"): check_duration,
    ("value", "level_change"): check_level_change,
    ("value", "level"): _plain("loudness", "LUFS", 0.0, 1.5),
    ("value", "reverberation"): _plain("reverberation", "s", 0.25, 0.05),
    ("value", "modulation"): _plain("modulation", "Hz", 0.15, 0.8),
    ("value", "pitch_range"): _plain("pitch_range", "semitones", 0.25, 1.0),
    ("value", "snr"): _plain("snr", "dB", 0.25, 5.0),
    ("value", "rate"): _plain("rate", "syllables/s", 0.25, 0.5),
    ("value", "brightness"): _plain("brightness", "Hz", 0.15, 100.0),
    ("count", "count"): check_count,
    ("count", "meter"): check_meter,
    ("order", "sequence"): check_sequence,
    ("order", "before"): check_before,
    ("time", "time"): check_time,
    ("presence", "presence"): check_presence,
    ("direction", "pitch"): _pitch_course,
    ("direction", "level"): _course("level_course"),
    ("direction", "tempo"): check_tempo_course,
    ("direction", "brightness"): _course("brightness_course"),
    ("direction", "contour"): check_contour,
    **{("quality", name): check for name, check in QUALITY_CHECKS.items()},
}
"""(kind, attribute) -> check. Comparisons are in `compare`. What is not here is unverifiable."""

__all__ = ["CHECKS", "REST", "UNVERIFIABLE", "Finding", "Outcome", "focus", "pick_sounds"]
