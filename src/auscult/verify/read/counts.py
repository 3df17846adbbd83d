"""Claims that count: things, times, metre."""

import re
from collections.abc import Iterator

from auscult.verify.claims import Claim, Part
from auscult.verify.read.base import (
    EVENTS,
    THINGS,
    adjacent,
    alternative,
    bounded,
    is_unit,
    make,
    nearer,
    ordinals,
    part,
    relative,
    subject_near,
    told,
    unmeasured_thing,
)
from auscult.verify.read.text import Clause, Token

_PARTIAL = re.compile(r"\s+(?:after|before|between|following|other than|apart from)\b", re.I)
"""Behind a counted thing: not all of them are counted."""


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
        beat = subject_near(clause, t, frozenset(("beat", "click", "note", "sound")))
        if beat is not None:
            yield make(clause, "count", "meter", t.number, t, about=Part(subject="beat"))
            return
    for t in ordinals(clause):
        beat = subject_near(clause, t, frozenset(("beat", "click")))
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
        thing = subject_near(clause, t, EVENTS) or subject_near(
            clause, t, _COUNTED - {"beat", "gap"}
        )
        other = unmeasured_thing(clause, t)
        after = clause.text[t.end - clause.start :].lower()
        if after.startswith((" as many", " as often", " as much")):
            continue
        if other is not None and (thing is None or nearer(t, other, thing)):
            thing = other
        if thing is None:
            continue
        name = thing.text.lower() if thing is other else thing.senses["subject"]
        about = Part(subject=name, clip=part(clause, t).clip)
        yield make(clause, "count", "count", float(value), t, thing, about=about)
    for t in clause.tokens:
        after = clause.text[t.end - clause.start :].lstrip().lower()
        if t.number is None or t.used or not after.startswith(("times", "x ", "×")):
            continue
        thing = subject_near(clause, t, _COUNTED - {"beat", "gap"})
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
    least = None if t.number is None else t.number - t.spread
    if least is None or t.used or least != int(least) or alternative(clause, t):
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
    thing = next((w for w in after if w.get("subject") in _COUNTED or _told(w)), None)
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


def _told(t: Token) -> bool:
    return told(t) and t.get("subject") not in _COUNTED


def _numbered(clause: Clause) -> Iterator[Claim]:
    for i, t in enumerate(clause.tokens):
        thing = _counted_thing(clause, i) if _is_count(clause, t) else None
        if thing is None or t.number is None:
            continue
        subject = thing.text.lower() if _told(thing) else thing.senses["subject"]
        about = Part(subject=subject, clip=part(clause, t).clip)
        if t.number == 0 and subject in EVENTS | {"voice", "speech"}:
            yield make(clause, "presence", "presence", True, t, thing, about=about, negated=True)
            continue
        yield make(clause, "count", "count", t.number, t, thing, about=about)
