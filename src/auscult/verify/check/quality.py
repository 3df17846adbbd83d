"""Checks of how it sounds and where it goes: qualities and courses in time."""

import math
from collections.abc import Callable
from dataclasses import replace

from auscult.verify.check.base import (
    Outcome,
    focus,
    kinds_of,
    pick_sounds,
    same,
)
from auscult.verify.claims import (
    AMBIGUOUS,
    CONTRADICTED,
    Claim,
)
from auscult.verify.hear import measures, music
from auscult.verify.hear import sound as levels
from auscult.verify.hear.listening import Listening, Refused


def course(name: str) -> Callable[[Listening, Claim], Outcome]:
    """A check of a course in time: equal, or one slope of a rise and fall (ambiguous)."""

    def check(ear: Listening, claim: Claim) -> Outcome:
        about = replace(claim.about, place=None)
        if name != "pitch_course" and about.region in ("start", "end"):
            about = replace(about, region="")  # "it slows towards the end" is heard from all of it
        found = measures.MEASURES[name].function(focus(ear, about))
        verdict = same(claim.value, found)
        part_of = {"rising", "falling"} & set(str(found).split("-"))
        if "-" in str(found) and claim.value in part_of:
            verdict = AMBIGUOUS if not claim.about.region else CONTRADICTED
        return Outcome(verdict=verdict, measured=str(found), function=name)

    return check


pitch_course, tempo_course = course("pitch_course"), course("tempo_course")


def check_tempo_course(ear: Listening, claim: Claim) -> Outcome:
    """Of clicks: their gaps. Of an engine: its pitch."""
    if len(ear.sounds) < 4 and (claim.about.subject == "engine" or "engine" in kinds_of(ear)):
        return pitch_course(ear, claim)
    return tempo_course(ear, claim)


def check_contour(ear: Listening, claim: Claim) -> Outcome:
    """The steps of a melody, all of them; of a voice, its course."""
    steps = " ".join(str(s) for s in claim.value) if isinstance(claim.value, tuple) else ""
    if ear.is_voice and steps in ("up down", "down up"):
        course = "rising-falling" if steps == "up down" else "falling-rising"
        return pitch_course(ear, replace(claim, value=course))
    found = music.contour(ear)
    return Outcome(verdict=same(steps, found), measured=found, function="contour")


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
    if not ear.is_voice and "voice" not in kinds_of(ear):
        raise Refused("the register is one of voices")
    hz = music.pitch(focus(ear, claim.about))
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
    """slow under 3, fast over 4.4 syllables a second; between, nobody would say but "moderate"."""
    found = levels.rate(ear)
    word = "slow" if found < 3.0 else "fast" if found > 4.4 else "moderate"
    verdict = same(claim.value, word)
    if verdict == CONTRADICTED and (
        word == "moderate" or (claim.value == "moderate" and 2.5 < found < 5)
    ):
        verdict = AMBIGUOUS
    return Outcome(verdict=verdict, measured=f"{found:.1f} syllables/s", function="rate")


def check_tempo_word(ear: Listening, claim: Claim) -> Outcome:
    """slow under 80, fast over 125 beats a minute. Half and double are as good a reading, so that
    only "fast" under 64 and "slow" over 150 are contradicted."""
    bpm = music.tempo_bpm(ear)
    word = "slow" if bpm < 80 else "fast" if bpm > 125 else "moderate"
    verdict = same(claim.value, word)
    sure = (bpm < 64 and claim.value == "fast") or (bpm > 150 and claim.value == "slow")
    if verdict == CONTRADICTED and not sure:
        verdict = AMBIGUOUS
    return Outcome(verdict=verdict, measured=f"{bpm:.0f} BPM, {word}", function="tempo")


def check_chord_or_mode(ear: Listening, claim: Claim) -> Outcome:
    """major or minor of what is there: a triad of three or four sounds, or a scale."""
    name = "chord" if len(ear.notes) <= 4 or claim.attribute == "chord" else "mode"
    return _word(name)(ear, claim)


QUALITY_CHECKS: dict[str, Callable[[Listening, Claim], Outcome]] = {
    "breath": check_breath,
    "register": check_register,
    "liveliness": _two("pitch_range", "monotone", "lively", 1.9, 0.3, "semitones"),
    "tremor": _two("vibrato", "steady", "trembling", 0.33, 0.06, "semitones"),
    "noise": _two("snr", "noisy", "clean", 19.0, 2.0, "dB"),
    "room": _two("reverberation", "dry", "reverberant", 0.45, 0.08, "s"),
    "level": check_relative,
    "brightness": _two("brightness", "dark", "bright", 1100.0, 500.0, "Hz"),
    "voicing": _two("periodicity", "whispered", "voiced", 0.50, 0.03, "periodicity"),
    "rate": check_rate_word,
    "tempo": check_tempo_word,
    "key": _word("key"),
    "length": check_relative,
    "vowel": _word("vowel"),
    "timbre": _word("timbre"),
    "mode": check_chord_or_mode,
    "chord": _word("chord"),
    "accent": check_accent,
    "spacing": _word("spacing"),
}
"""Quality -> check. The edges were set between the classes of the gym's training items."""
