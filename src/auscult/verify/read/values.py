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
    is_unit,
    make,
    ordinals,
    part,
    relative,
    sure_of,
)
from auscult.verify.read.text import Clause, Token

_DIFFERENCES = frozenset(("interval", "level_change", "pitch_range"))
"""What "5 semitones higher" and "6 dB louder" are values of."""

_PARTIAL = re.compile(r"\s+(?:after|before|between|following|other than|apart from)\b", re.I)
"""Behind a counted thing: not all of them are counted."""

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
    "dbfs": (1.0, "level", frozenset(("level",))),
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
_STARTING = frozenset(("time",))


def _time_attribute(clause: Clause, unit: Token) -> str:
    """Seconds: of reverberation or of a gap where those are spoken of, a moment after "at" or with
    "starts", else a duration if something lasts."""
    before = clause.text[: clause.tokens[clause.tokens.index(unit) - 1].start - clause.start]
    if sure_of(clause, "reverberation"):
        return "reverberation"
    after = clause.text[unit.end - clause.start :].lower()
    moment = _STARTS.search(before) is not None or after.startswith((" into", " in,", " mark"))
    if moment and not ordinals(clause) and _subject(clause, unit, EVENTS | THINGS) is None:
        return "duration" if any(t.get("subject") == "clip" for t in clause.tokens) else ""
    things = any(t.among("subject", frozenset(("gap", "pause"))) for t in clause.tokens)
    apart = clause.nearest(unit, "attribute", frozenset(("gap",)), reach=45)
    if things or (apart is not None and not moment):
        return "gap"
    starts = [t for t in clause.tokens if t.among("attribute", _STARTING)]
    if moment or any(t.text.lower() not in ("at", "after", "around", "mark") for t in starts):
        return "time"
    lasting = sure_of(clause, "duration") or re.search(r"\b(?:for|of)\W*$", before, re.I)
    clip = any(t.get("subject") == "clip" for t in clause.tokens)
    return "duration" if lasting or clip else ""


def _subject(clause: Clause, at: Token, among: frozenset[str]) -> Token | None:
    return clause.nearest(at, "subject", among)


_SOUNDING = EVENTS | THINGS | BACKGROUNDS


def _about(clause: Clause, at: Token, attribute: str) -> Part:
    thing = _subject(clause, at, _SOUNDING)
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
        if attribute == "level":
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


def _time(clause: Clause, number: Token, unit: Token, value: float) -> Iterator[Claim]:
    """ "the bell starts at 0.4 s": a time needs something that happens then."""
    thing = _subject(clause, number, EVENTS | THINGS)
    if thing is None and not ordinals(clause):
        return
    name = thing.senses["subject"] if thing is not None else ""
    yield make(
        clause, "time", "time", value, number, unit, about=part(clause, number, subject=name)
    )


def per_minute(clause: Clause) -> Iterator[Claim]:
    """ "every minute would hold 200 clicks": a tempo in other words."""
    if "minute" not in clause.text.lower():
        return
    for t in clause.tokens:
        beat = _subject(clause, t, frozenset(("click", "beat")))
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


def meter(clause: Clause) -> Iterator[Claim]:
    """ "four beats to the bar", "an accent every 3 beats", "3/4"."""
    if not any(t.is_word("per_bar") for t in clause.tokens):
        return
    for t in clause.tokens:
        if t.number is None or t.used or t.number > 12 or t.number < 2 or alternative(clause, t):
            continue
        if "/" in clause.text[t.end - clause.start : t.end - clause.start + 1]:
            yield make(clause, "count", "meter", t.number, t, about=Part(subject="beat"))
            return
        beat = _subject(clause, t, frozenset(("beat", "click", "note", "sound")))
        if beat is not None:
            yield make(clause, "count", "meter", t.number, t, about=Part(subject="beat"))
            return
    for t in ordinals(clause):
        beat = _subject(clause, t, frozenset(("beat", "click")))
        every = clause.text[max(0, t.start - clause.start - 7) : t.start - clause.start]
        if beat is not None and "every" in every.lower():
            value = float(t.senses["ordinal"])
            yield make(clause, "count", "meter", value, t, about=Part(subject="beat"))
            return


_COUNTED = EVENTS | THINGS | frozenset(("beep", "syllable", "silence", "crickets"))
_NOT_COUNTS = (
    "the",
    "this",
    "that",
    "each",
    "another",
    "which",
    "any",
    "every",
    "no",
    "other",
    "step",
)


def _counts_one(clause: Clause, number: Token) -> bool:
    """ "one" is a number in "one knock", not in "the second one" or "this one"."""
    before = clause.text[: number.start - clause.start].rstrip().rsplit(" ", 1)[-1].lower()
    return before not in _NOT_COUNTS


def _presupposed(clause: Clause, number: Token) -> bool:
    """ "the two notes", "of the two": known before, not claimed."""
    before = clause.text[: number.start - clause.start].rstrip().lower()
    if re.search(r"\b(?:total|made|made up|consists?|sequence|series|up) of$", before):
        return False
    return re.search(r"\b(?:the|these|those|between|of|both|its|our|my)$", before) is not None


def _labelled(clause: Clause) -> Iterator[Claim]:
    """ "horns: 6", "barks = 2"."""
    if clause.having("attribute", "count", used=True):
        return  # "Counting knock: 1, 2, 3": the last number counts, see below
    for i, t in enumerate(clause.tokens[:-1]):
        number = clause.tokens[i + 1]
        if t.get("subject") not in _COUNTED or t.used or number.number is None or number.used:
            continue
        if number.number == int(number.number) and adjacent(clause, t, number, r"\s*[:=]\s*"):
            about = Part(subject=t.senses["subject"], clip=clause.clip)
            yield make(clause, "count", "count", number.number, number, t, about=about)


def counts(clause: Clause) -> Iterator[Claim]:
    """ "three knocks", "it rings twice", "the count of barks is 2"."""
    yield from _times(clause)
    yield from _labelled(clause)
    yield from _tally(clause)
    yield from _numbered(clause)


def _times(clause: Clause) -> Iterator[Claim]:
    for t in clause.tokens:
        value = t.get("times")
        if t.used or value is None or alternative(clause, t):
            continue
        thing = _subject(clause, t, EVENTS) or _subject(clause, t, _COUNTED - {"beat", "gap"})
        after = clause.text[t.end - clause.start :].lower()
        if thing is None or after.startswith((" as many", " as often", " as much")):
            continue
        about = Part(subject=thing.senses["subject"], clip=part(clause, t).clip)
        yield make(clause, "count", "count", float(value), t, thing, about=about)
    for t in clause.tokens:
        after = clause.text[t.end - clause.start :].lstrip().lower()
        if t.number is None or t.used or not after.startswith(("times", "x ", "×")):
            continue
        thing = _subject(clause, t, _COUNTED - {"beat", "gap"})
        if thing is not None and not alternative(clause, t):
            about = Part(subject=thing.senses["subject"], clip=part(clause, t).clip)
            yield make(clause, "count", "count", t.number, t, thing, about=about)


def _tally(clause: Clause) -> Iterator[Claim]:
    """ "Counting knock: 1, 2, 3." and "number of barks: 2": the last number of the run counts."""
    for word in clause.having("attribute", "count", used=True):
        run = [t for t in clause.tokens if t.number is not None and t.start > word.end]
        thing = clause.nearest(word, "subject", _COUNTED, reach=30)
        if not run or thing is None or any(t.used for t in run[:1]):
            continue
        last = run[0]
        for t in run[1:]:
            if (
                adjacent(clause, last, t, r"[\s,]*(?:and)?\s*")
                and t.number == (last.number or 0) + 1
            ):
                last = t
            else:
                break
        if clause.text[last.end - clause.start :].strip(" .,") and last is run[0]:
            following = clause.tokens[clause.tokens.index(last) + 1 :][:1]
            if following and (following[0].get("unit") or following[0].get("subject")):
                continue
        about = Part(subject=thing.senses["subject"], clip=clause.clip)
        value = float(last.number or 0)
        yield make(
            clause, "count", "count", value, last, *run[: run.index(last)], thing, about=about
        )


def _is_count(clause: Clause, t: Token) -> bool:
    """A whole number that no bound ("at least"), article or alternative takes its force from."""
    if t.number is None or t.used or t.number != int(t.number) or alternative(clause, t):
        return False
    if bounded(clause, t):
        return False
    if t.number == 1 and not _counts_one(clause, t):
        return False
    return not (t.number == 2 and _presupposed(clause, t))


def _counted_thing(clause: Clause, i: int) -> Token | None:
    """What the number at i counts: the next thing in its stretch, with nothing else to count."""
    t = clause.tokens[i]
    after = [w for w in clause.tokens[i + 1 :] if w.start - t.end < 28 and w.chunk == t.chunk]
    thing = next((w for w in after if w.get("subject") in _COUNTED), None)
    if thing is None or thing.used or is_unit(clause, thing):
        return None
    rest = clause.text[thing.end - clause.start :]
    if relative(clause, thing) or _PARTIAL.match(rest):
        return None
    between = after[: after.index(thing)]
    if any(w.number is not None or w.get("unit") or w.get("note") for w in between):
        return None
    if t.number == 1 and (
        thing.get("subject") in ("beat", "gap") or "of" in clause.between(t, thing).split()
    ):
        return None
    return thing


def _numbered(clause: Clause) -> Iterator[Claim]:
    for i, t in enumerate(clause.tokens):
        thing = _counted_thing(clause, i) if _is_count(clause, t) else None
        if thing is None or t.number is None:
            continue
        subject = thing.senses["subject"]
        about = Part(subject=subject, clip=part(clause, t).clip)
        if t.number == 0 and subject in EVENTS | {"voice", "speech"}:
            yield make(clause, "presence", "presence", True, t, thing, about=about, negated=True)
            continue
        yield make(clause, "count", "count", t.number, t, thing, about=about)
