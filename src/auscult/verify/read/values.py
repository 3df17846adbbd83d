"""Claims with a number: values with a unit, named intervals, notes, counts, metre, times."""

import re
from collections.abc import Iterator
from dataclasses import replace

from auscult.verify.claims import Claim, Part
from auscult.verify.read.base import (
    BACKGROUNDS,
    EVENTS,
    THINGS,
    adjacent,
    alternative,
    bounded,
    edge,
    make,
    nearer,
    ordinals,
    part,
    relative,
    subject_near,
    sure_of,
    unmeasured_thing,
)
from auscult.verify.read.text import Clause, Token

_DIFFERENCES = frozenset(("interval", "level_change", "pitch_range"))
"""What "5 semitones higher" and "6 dB louder" are values of."""

MOST_DIGITS = 6
"""No measurement here has more; a number that claims more claims what nobody can hear."""

_TIMES = frozenset(("gap", "duration", "reverberation", "time"))
UNITS: dict[str, tuple[float, str, frozenset[str]]] = {
    "Hz": (1.0, "pitch", frozenset(("pitch", "modulation", "brightness"))),
    "kHz": (1000.0, "pitch", frozenset(("pitch", "modulation", "brightness"))),
    "bpm": (1.0, "tempo", frozenset(("tempo",))),
    "s": (1.0, "", _TIMES),
    "ms": (0.001, "", _TIMES),
    "st": (1.0, "interval", frozenset(("interval", "pitch_range"))),
    "tone": (2.0, "interval", frozenset(("interval",))),
    "octave": (12.0, "interval", frozenset(("interval", "pitch_range"))),
    "cent": (0.01, "interval", frozenset(("interval", "pitch_range"))),
    "dB": (1.0, "", frozenset(("snr", "level_change"))),
    "lufs": (1.0, "level", frozenset(("level",))),
    "dbfs": (1.0, "peak", frozenset(("peak",))),
    "wpm": (1.0, "words_per_minute", frozenset(("rate",))),
    "syll": (1.0, "rate", frozenset(("rate",))),
}
"""Unit -> (factor, attribute where no word says otherwise, attributes that a word can name)."""


def _attribute(clause: Clause, unit: Token) -> str:
    """Which quantity a number with this unit measures, by the nearest word that names one."""
    _, default, among = UNITS[unit.senses["unit"].split("|")[0]]
    if among == _TIMES:
        return _time_attribute(clause, unit)
    named = clause.nearest(unit, "attribute", among)
    found = named.among("attribute", among) if named is not None else None
    voiced = any(t.get("subject") == "voice" for c in clause.sentence for t in c.tokens)
    notes = any(t.get("subject") in ("note", "tone") for t in clause.tokens)
    if default == "interval" and notes:
        return "interval"
    if default == "interval" and (sure_of(clause, "pitch_range") or (voiced and found is None)):
        return "pitch_range"
    if not found and unit.get("unit") == "dB":
        loud = sure_of(clause, "level") or any(t.get("subject") == "clip" for t in clause.tokens)
        return "level_change" if loud else ""
    return found or default


_STARTS = re.compile(
    r"(?:\bat(?: the)?|@|\bafter|\baround|\bnear|\bby|\bto|t\s*=|\bmark\b)\s*"
    r"(?:about|around|roughly|some|just|approximately|\W)*\s*$",
    re.IGNORECASE,
)
_FALLS = re.compile(
    r"\b(?:falls?|comes?|is|occurs?|lies|located|begins?|starts?|set|sits|pauses?|one|another|"
    r"second|third|first)\s+(?:right\s+)?(?:at|around|near)\b[\s\w]*$",
    re.IGNORECASE,
)
"""Before the time of a pause, which is no length of it."""
_STARTING = frozenset(("time",))


def _time_attribute(clause: Clause, unit: Token) -> str:
    """Seconds: of reverberation or of a gap where those are spoken of, a moment after "at" or with
    "starts", else a duration if something lasts."""
    number = clause.tokens[clause.tokens.index(unit) - 1]
    if number.get("moment"):
        return "time"
    before = clause.text[: number.start - clause.start]
    if sure_of(clause, "reverberation"):
        return "reverberation"
    after = clause.text[unit.end - clause.start :].lower()
    moment = _STARTS.search(before) is not None or after.startswith((" into", " in,", " mark"))
    happening = subject_near(clause, unit, _HAPPENING) or unmeasured_thing(clause, unit, 80)
    if moment and not ordinals(clause) and happening is None:
        return "duration" if any(t.get("subject") == "clip" for t in clause.tokens) else ""
    things = any(t.among("subject", frozenset(("gap", "pause"))) for t in clause.tokens)
    if moment and things and _FALLS.search(before):
        return "time"
    apart = clause.nearest(unit, "attribute", frozenset(("gap",)), reach=45)
    if things or (apart is not None and not moment):
        return "gap"
    starts = [t for t in clause.tokens if t.among("attribute", _STARTING)]
    if moment or any(t.text.lower() not in ("at", "after", "around", "mark") for t in starts):
        return "time"
    lasting = sure_of(clause, "duration") or re.search(r"\b(?:for|of)\W*$", before, re.I)
    clip = any(t.get("subject") == "clip" for t in clause.tokens)
    return "duration" if lasting or clip else ""


_SOUNDING = EVENTS | THINGS | BACKGROUNDS


def _about(clause: Clause, at: Token, attribute: str) -> Part:
    thing = subject_near(clause, at, _SOUNDING)
    name = thing.senses["subject"] if thing is not None else ""
    if attribute in ("gap", "tempo", "interval", "reverberation", "snr", "level_change"):
        name = ""
    return part(clause, at, subject=name)


def values(clause: Clause) -> Iterator[Claim]:
    """A number with its unit: "440 Hz", "120 bpm", "0.4 s apart", "down by 6 dB"."""
    for i, number in enumerate(clause.tokens[:-1]):
        unit = clause.tokens[i + 1]
        if number.number is None or number.used or not unit.get("unit"):
            continue
        if not adjacent(clause, number, unit) or alternative(clause, unit):
            continue
        if bounded(clause, number):
            continue
        attribute = _attribute(clause, unit)
        if not attribute or (attribute not in _DIFFERENCES and relative(clause, unit)):
            continue
        value = abs(number.number) * UNITS[unit.senses["unit"].split("|")[0]][0]
        if attribute in ("level", "peak"):
            value = number.number
        digits = len(re.sub(r"\D", "", number.text).lstrip("0"))
        if digits > MOST_DIGITS:  # no check has this name: the claim stays open
            attribute = f"{attribute} to {digits} digits"
        if attribute == "time":
            yield from _time(clause, number, unit, value)
            continue
        about = _about(clause, number, attribute)
        if attribute == "pitch" and about.place is None:
            about = replace(about, region=edge(clause, number) or about.region)
        yield make(clause, "value", attribute, round(value, 6), number, unit, about=about)


_HAPPENING = EVENTS | THINGS | {"music"}


def _time(clause: Clause, number: Token, unit: Token, value: float) -> Iterator[Claim]:
    """ "the bell starts at 0.4 s": a time needs something that happens then."""
    thing = subject_near(clause, number, _HAPPENING)
    other = unmeasured_thing(clause, number, 80)
    if thing is None and other is None and not ordinals(clause):
        return
    name = thing.senses["subject"] if thing is not None else ""
    if other is not None and (thing is None or nearer(number, other, thing)):
        name = other.text.lower()
    yield make(
        clause, "time", "time", value, number, unit, about=part(clause, number, subject=name)
    )


def per_minute(clause: Clause) -> Iterator[Claim]:
    """ "every minute would hold 200 clicks": a tempo in other words."""
    if "minute" not in clause.text.lower():
        return
    for t in clause.tokens:
        beat = subject_near(clause, t, frozenset(("click", "beat")))
        if t.number is not None and not t.used and t.number >= 20 and beat is not None:
            yield make(clause, "value", "tempo", t.number, t, about=Part(clip=clause.clip))


def intervals(clause: Clause) -> Iterator[Claim]:
    """A named interval: "a perfect fifth apart"."""
    for t in clause.having("interval"):
        if alternative(clause, t) or bounded(clause, t):
            continue
        yield make(clause, "value", "interval", float(t.senses["interval"]), t)


def notes(clause: Clause) -> Iterator[Claim]:
    """Note names: one is a value, several in a row are a sequence in time."""
    found = clause.having("note")
    if not found or any(clause.having(table) for table in ("more", "less", "same")):
        return
    if _NAMED.search(clause.text):
        return
    groups: list[list[Token]] = []
    for t in found:
        if groups and adjacent(
            clause,
            groups[-1][-1],
            t,
            r"[\s,]*(?:(?:and|then|to|->|→|–|-|followed by|up to|down to)[\s,]*){0,2}",
        ):
            groups[-1].append(t)
        elif not alternative(clause, t):
            groups.append([t])
    for group in groups:
        if _related(clause, group[0]):
            continue
        names = tuple(t.senses["note"] for t in group)
        if len(group) == 1:
            about = part(clause, group[0])
            if about.place is None:
                about = replace(about, region=edge(clause, group[0]) or about.region)
            yield make(clause, "value", "note", names[0], group[0], about=about)
        else:
            where = part(clause, group[0], reach=0)
            yield make(clause, "order", "sequence", names, *group, about=where)


_NAMED = re.compile(r"\bsemitones? from\b|\bdiffers? from\b", re.IGNORECASE)
"""Names that are counted through or compared ("Semitones from A4: A#4 1, B4 2."), not heard."""

_RELATION = re.compile(
    r"\b(?:between|over|against|above|below|under|than|from low to high|lowest first|low to high|"
    r"ranked|sorted|order of pitch|ascending order|descending order|from high to low)\W*$",
    re.IGNORECASE,
)


def _related(clause: Clause, first: Token) -> bool:
    """ "between C4 and E4", "from low to high: C4, A4": names in relation, not heard in turn."""
    return _RELATION.search(clause.text[: first.start - clause.start]) is not None
