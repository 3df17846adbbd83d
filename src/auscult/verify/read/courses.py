"""Claims about time: courses, contours, orders."""

import re
from collections.abc import Iterator
from itertools import pairwise

from auscult.verify.claims import Claim, Part
from auscult.verify.read.base import (
    EVENTS,
    adjacent,
    alternative,
    denied,
    make,
    ordinals,
    part,
    told,
)
from auscult.verify.read.compare import WEAK_WORDS
from auscult.verify.read.text import Clause, Token

_STRONG = frozenset(("pitch", "level", "tempo", "brightness"))


def _course(clause: Clause, t: Token, table: str) -> str:
    """The attribute whose course a trend word tells; "" where no word says."""
    if table != "trend":
        return table.removeprefix("trend_")
    named = [w for w in clause.tokens if w is not t and w.among("attribute", _STRONG)]
    strong = [w for w in named if not WEAK_WORDS.fullmatch(w.text)]
    if not named:
        earlier = [c for c in clause.sentence if c.start < clause.start]
        named = [w for c in earlier for w in c.tokens if w.among("attribute", _STRONG)][-1:]
    pool = strong or named
    if not pool:  # "an ascent from 523 to 784 Hz", "a fifth, going upwards"
        return "pitch" if t.get("trend") != "level" and _tonal(clause) else ""
    beside = [w for w in named if adjacent(clause, t, w)]  # "a steady tone and moderate pace"
    strong = [w for w in strong if not beside or w in beside]
    near = min(beside or pool, key=lambda w: abs(w.start - t.start))
    if t.get("quality_tremor") and not strong and t.senses["trend"].startswith("level"):
        return ""
    return near.among("attribute", _STRONG) or ""


def _tonal(clause: Clause) -> bool:
    """Does the sentence speak of notes, by name, interval or frequency?"""
    return any(
        w.get("note") or w.get("interval") or w.get("unit") in ("Hz", "st", "octave")
        for c in clause.sentence
        for w in c.tokens
    )


def contours(clause: Clause) -> Iterator[Claim]:
    """The steps of a melody: "up, up, down"."""
    ways = {"rising": "up", "falling": "down", "level": "same"}
    found = [
        t
        for t in clause.having("trend")
        if t.get("trend") in ways and t.get("attribute") != "level"
    ]
    run: list[Token] = []
    for t in found:
        if run and not adjacent(
            clause, run[-1], t, r"[\s,\-–]*(?:and|then|again|→|->)*[\s,]*(?:then)?\s*"
        ):
            if len(run) > 2:
                break
            run = []
        run.append(t)
    melodic = any(
        t.get("attribute") in ("contour", "interval")
        or t.get("subject") in ("melody", "note", "tone")
        for t in clause.tokens
    )
    labelled = clause.clip is not None and len(run) == 2
    if len(run) > 2 or labelled or (len(run) == 2 and melodic):
        steps = tuple(ways[t.get("trend") or ""] for t in run)
        where = Part(clip=clause.clip)
        yield make(clause, "direction", "contour", steps, *run, about=where)


def directions(clause: Clause) -> Iterator[Claim]:
    """A course in time: "the pitch rises", "it gets louder", "the clicks slow down"."""
    for table in ("trend_level", "trend_tempo", "trend_brightness", "trend"):
        found = clause.having(table)
        if _neither(clause, found):
            attribute = _course(clause, found[0], table)
            if attribute:
                yield make(clause, "direction", attribute, "level", *found, negated=False)
            continue
        for i, t in enumerate(found):
            if t.used or alternative(clause, t):
                continue
            if t.get("attribute") == "level" and len(found) > 1:
                continue  # "the level falls": here "level" names what falls
            attribute = _course(clause, t, table)
            if not attribute or _quality_instead(clause, t, attribute):
                continue
            value, used = t.get(table) or "", [t]
            rest = found[i + 1] if i + 1 < len(found) else None
            if (
                rest is not None
                and _turns(clause, t, rest)
                and {value, rest.get(table)} == {"rising", "falling"}
            ):
                value, used = f"{value}-{rest.get(table)}", [t, rest]
            about = part(clause, t, subject=_who(clause, t))
            yield make(clause, "direction", attribute, value, *used, about=about)


def _neither(clause: Clause, found: list[Token]) -> bool:
    """ "neither rises nor falls": that is level."""
    ways = {t.get("trend") or t.get("trend_level") or t.get("trend_tempo") for t in found}
    both = re.search(r"\bneither\b.*\bnor\b", clause.text, re.IGNORECASE) is not None
    return both and {"rising", "falling"} <= ways


def _turns(clause: Clause, a: Token, b: Token) -> bool:
    """ "rises and then falls", not "no rise, no fall"."""
    words = clause.between(a, b).lower()
    first = clause.text[: a.start - clause.start].lower()
    if re.search(r"\b(?:after|having|once|initial|until)\b", first) and not denied(clause, b):
        return True
    return re.search(
        r"\b(?:then|and|before|followed|back)\b|,\s*$|-", words
    ) is not None and not denied(clause, b)


def _quality_instead(clause: Clause, t: Token, attribute: str) -> bool:
    """ "steady" of a trembling voice, "evenly spaced" clicks: a quality and no course."""
    return (
        attribute == "pitch"
        and t.get("quality_tremor") is not None
        and any(w.get("quality_tremor") == "trembling" for w in clause.tokens)
    )


def _who(clause: Clause, t: Token) -> str:
    thing = clause.nearest(t, "subject", frozenset(("voice", "engine", *EVENTS)))
    return thing.senses["subject"] if thing is not None else ""


def orders(clause: Clause) -> Iterator[Claim]:
    """What comes after what: a list in time, or one thing before another."""
    found = [t for t in clause.having("subject", used=False) if t.senses["subject"] in EVENTS]
    for table in ("quality_timbre", "quality_accent", "quality_length", "quality_level"):
        words = clause.having(table)
        if len(words) > 1 and _in_a_row(clause, words):
            names = tuple(t.senses[table] for t in words)
            yield make(clause, "order", "sequence", names, *words, about=Part(clip=clause.clip))
    if len(found) < 2 or any(alternative(clause, t) or denied(clause, t) for t in found):
        return
    if _placed(clause, found) or _SOME_OF.search(clause.text):
        return
    marks = [t for t in clause.tokens if t.is_word("before") or t.is_word("after")]
    if len(found) == 2 and found[0].senses["subject"] != found[1].senses["subject"]:
        inner = [m for m in marks if found[0].end <= m.start and m.end <= found[1].start]
        if inner or _ordered(clause):
            pair = tuple(t.senses["subject"] for t in found)
            turned = inner and inner[0].is_word("after")
            fronted = not inner and any(
                m.is_word("after") and m.end <= found[0].start for m in marks
            )
            pair = pair[::-1] if turned and not fronted else pair
            yield make(clause, "order", "before", pair, *found, about=Part(clip=clause.clip))
            return
    yield from _listed(clause, found, marks)


_BESIDE = frozenset(("voice", "speech", "music", "silence"))


def told_orders(clause: Clause) -> Iterator[Claim]:
    """ "music plays first and then a woman speaks": an order of things that are not all events."""
    named = [
        (t, t.among("subject", EVENTS | _BESIDE) or t.text.lower())
        for t in clause.tokens
        if t.among("subject", EVENTS | _BESIDE) or told(t)
    ]
    distinct = list(dict.fromkeys(name for _, name in named))
    if (
        len(distinct) != 2
        or set(distinct) <= EVENTS
        or any(alternative(clause, t) for t, _ in named)
    ):
        return
    first, second = named[0][0], next(t for t, name in named if name == distinct[1])
    marks = [t for t in clause.tokens if t.is_word("before") or t.is_word("after")]
    inner = [m for m in marks if first.end <= m.start and m.end <= second.start]
    opened = re.search(r"\b(?:first|at first|initially)\b.*\b(?:and|then|,)\b", clause.text, re.I)
    if not inner and not opened:
        return
    turned = bool(inner) and inner[0].is_word("after")
    pair = tuple(reversed(distinct) if turned else distinct)
    yield Claim(
        kind="order", attribute="before", value=pair, about=Part(clip=clause.clip),
        start=first.start, end=second.end,
    )  # fmt: skip


_SOME_OF = re.compile(r"\b(?:all|every|any|each|both)\s+(?:of\s+)?(?:the\s+)?\w+", re.IGNORECASE)


def _placed(clause: Clause, found: list[Token]) -> bool:
    """ "the drum comes second, the knock first": places and no list."""
    return any(
        found[0].end <= o.start
        and adjacent(clause, t, o, r"\s*(?:comes|is|was|goes|,)?\s*(?:the)?\s*")
        for o in ordinals(clause)
        for t in found
    )


_ORDERED = re.compile(
    r"order|succession|sequence|→|->|one after|in turn|going from|afterwards|first.*next"
)


def _ordered(clause: Clause) -> bool:
    """Do the words say that a list is in order of time?"""
    return _ORDERED.search(clause.text.lower()) is not None


def _in_a_row(clause: Clause, words: list[Token]) -> bool:
    """ "short, long, short", "soft drum, loud drum": a list, and not words scattered about."""
    gaps = [clause.between(a, b) for a, b in pairwise(words)]
    return all((len(gap.split()) <= 3 and "," in gap) or not gap.strip() for gap in gaps)


def _listed(clause: Clause, found: list[Token], marks: list[Token]) -> Iterator[Claim]:
    """ "a knock, two claps and then a bell" with the numbers spelled out; bare lists as in "knock,
    knock, bell". Articles and "and" alone make no order: those are presences."""
    names: list[str] = []
    found = [
        t for i, t in enumerate(found)  # "a dog barking" is one bark
        if i == 0
        or t.senses["subject"] != found[i - 1].senses["subject"]
        or clause.between(found[i - 1], t).strip()
    ]  # fmt: skip
    if len(found) < 2:
        return
    for t in found:
        before = [w for w in clause.tokens if w.end <= t.start and t.start - w.end < 12]
        number = before[-1].number if before and before[-1].number is not None else 1
        if before and before[-1].number is not None and not before[-1].get("ordinal"):
            before[-1].used = True
        names += [t.senses["subject"]] * int(number)
    gaps = [clause.between(a, b) for a, b in pairwise(found)]
    bare = all(re.fullmatch(r"[\s,→>\-]*", gap) for gap in gaps)
    ordered = bool(marks) or bool(ordinals(clause)) or bare or _ordered(clause)
    listed = all(re.fullmatch(r"(?:[\s,.→>\-]|\w+[\s,]){0,8}", gap) for gap in gaps)
    if not (ordered and listed):
        return
    about = Part(clip=clause.clip)
    if len(set(names)) == 1:
        about = Part(subject=names[0], clip=clause.clip)
        yield make(clause, "count", "count", float(len(names)), *found, about=about)
    else:
        yield make(clause, "order", "sequence", tuple(names), *found, about=about)
