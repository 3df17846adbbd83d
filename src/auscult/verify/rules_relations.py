"""Claims that relate: comparisons, superlatives, courses in time, contours, orders."""

import re
from collections.abc import Iterator
from itertools import pairwise

from auscult.verify.claims import REST, Claim, Part
from auscult.verify.rules_base import (
    EVENTS,
    adjacent,
    alternative,
    clip_of,
    denied,
    is_unit,
    make,
    ordinals,
    part,
    sure_of,
)
from auscult.verify.text import Clause, Token

_OTHER = {1: 2, 2: 1}


def _side(clause: Clause, t: Token) -> Part | None:
    """What one side of a comparison names: an ordinal, a clip, an event; None for other words."""
    clip = clip_of(clause, t)
    if clip is not None:
        return Part(clip=clip)
    if t.get("ordinal") and not is_unit(clause, t):
        return Part(place=int(t.senses["ordinal"]), clip=clause.clip)
    if t.get("subject") in EVENTS:
        return Part(subject=t.senses["subject"], clip=clause.clip)
    return None


def _sides(clause: Clause, key: Token) -> tuple[Part | None, Part | None]:
    """(A, B) of "A is more than B"; None for what is left out."""
    if clause.lexicon.than == "after":
        return _sides_than_after(clause, key)
    named = [(t, s) for t in clause.tokens if (s := _side(clause, t))]
    before = [(t, s) for t, s in named if t.end <= key.start]
    after = [(t, s) for t, s in named if t.start >= key.end]
    rest = any(t.is_word("all") and t.start >= key.start for t in clause.tokens)
    than = [t for t in clause.tokens if t.is_word("than") and t is not key]
    fronted = next((t for t in than if t.end <= key.start), None)
    if fronted is not None and (before or clause.lexicon.language == "zh"):
        return _fronted(clause, fronted, key, named)
    later = next((t for t in than if t.start >= key.start), None)
    if later is None:
        left = before[-1] if before else (after[0] if after else None)
        right = after[0] if before and after and after[0][0].chunk == key.chunk else None
    else:
        middle = [(t, s) for t, s in after if t.end <= later.start]
        right = next(((t, s) for t, s in after if t.start >= later.end), None)
        left = before[-1] if before else (middle[0] if middle else None)
        if middle and key.get("more") == "count":
            left = middle[0]
    return (left[1] if left else None), REST if rest else (right[1] if right else None)


def _fronted(
    clause: Clause, than: Token, key: Token, named: list[tuple[Token, Part]]
) -> tuple[Part | None, Part | None]:
    """ "compared to the first, the second is louder"; Chinese has it the other way round: A 比 B."""
    inside = [(t, s) for t, s in named if than.end <= t.start <= key.start]
    outside = [s for t, s in named if t.end <= than.start]
    if clause.lexicon.language == "zh":
        return (outside[-1] if outside else None), (inside[0][1] if inside else None)
    if len(inside) >= 2:
        return inside[-1][1], inside[0][1]
    later = [s for t, s in named if t.start >= key.end]
    return (later[0] if later else None), (inside[0][1] if inside else None)


def _sides_than_after(clause: Clause, key: Token) -> tuple[Part | None, Part | None]:
    """Korean: what is compared with stands before its marker."""
    than = next((t for t in clause.tokens if t.is_word("than")), None)
    named = [(t, s) for t in clause.tokens if t.start < key.start and (s := _side(clause, t))]
    if than is None:
        return (named[-1][1] if named else None), None
    other = next((s for t, s in reversed(named) if t.end <= than.start), None)
    mine = next((s for _, s in named if s != other), None)
    return mine, other


_OVERRIDES = frozenset(
    ("level", "tempo", "pitch", "noise", "reverberation", "gap", "duration", "brightness", "breath")
)
_NOUNS: dict[str, str] = {"gap": "gap", "pause": "gap", "silence": "gap", "echo": "reverberation"}


def _property(clause: Clause, key: Token, table: str) -> str:
    """The property compared: the word's own, unless one stands right beside it."""
    own = key.senses[table].split("|")[0]
    named = clause.nearest(key, "attribute", _OVERRIDES, reach=14)
    if own == "any":
        known = _OVERRIDES | {"snr"}
        words = [t for t in clause.tokens if t.among("attribute", known)]
        sure = [t for t in words if not _WEAK_WORDS.fullmatch(t.text)] or words
        near = min(sure, key=lambda t: abs(t.start - key.start), default=None)
        return (near.among("attribute", known) or "") if near is not None else ""
    if own == "pitch" and sure_of(clause, "snr"):
        return "snr"
    if own in ("duration", "size", "tempo") and _of_gaps(clause, key):
        return "gap"
    if own == "size":
        return (named.among("attribute", _OVERRIDES) or "") if named is not None else ""
    thing = clause.nearest(key, "subject", reach=30)
    if own == "duration":
        noun = _NOUNS.get(thing.senses["subject"], "") if thing is not None else ""
        if noun:
            return noun
        if sure_of(clause, "reverberation"):
            return "reverberation"
        if any(t.get("subject") in ("gap", "pause") for t in clause.tokens):
            return "gap"
    behind = named is not None and key.end <= named.start and named.start - key.end < 4
    if own == "pitch" and named is not None and behind:
        return named.among("attribute", _OVERRIDES) or own
    return own


def _of_gaps(clause: Clause, key: Token) -> bool:
    """Are gaps compared? Their "longer" and "over quicker" speak of time."""
    return any(t.get("subject") in ("gap", "pause", "silence") for t in clause.tokens)


def _between_notes(clause: Clause) -> bool:
    """ "C5 is above A4" compares names and not sounds: logic, no claim."""
    return bool(clause.having("note", used=True))


def comparisons(clause: Clause) -> Iterator[Claim]:
    """ "the second is louder than the first"; "the bell is longer than the knock"."""
    for table in ("more", "less"):
        for t in clause.having(table):
            if _between_notes(clause) or alternative(clause, t):
                continue
            a, b = _sides(clause, t)
            turned = _turned(clause, t, a, b)
            if turned is not None:
                a, b = turned, REST
            attribute, value = _property(clause, t, table), table
            if not attribute or (a is None and (b is None or b == REST)):
                continue
            if attribute == "gap" and t.get(table) == "tempo":  # a gap that is over quicker
                value = {"more": "less", "less": "more"}[table]
            if turned is not None and _everything_before(clause, t):
                value = {"more": "less", "less": "more"}[table]
            if attribute == "snr":  # a lower ratio is more noise
                attribute, value = "noise", {"more": "less", "less": "more"}[table]
            a, b = a or _opposite(b), b or _opposite(a)
            if a is not None and b is not None and a != b:
                yield make(clause, "comparison", attribute, value, t, about=a, other=b)


def _everything_before(clause: Clause, key: Token) -> bool:
    return any(t.is_word("all") and t.end <= key.start for t in clause.tokens)


def _turned(clause: Clause, key: Token, a: Part | None, b: Part | None) -> Part | None:
    """ "every other tone is shorter than the first", "louder than the second it never gets": what
    stands after "than" is the extreme."""
    if b is None or b == REST:
        return None
    never = re.search(r"\bnever\b", clause.text, re.IGNORECASE) is not None
    if _everything_before(clause, key) or (never and a in (None, REST)):
        return b
    return None


def _opposite(side: Part | None) -> Part | None:
    """The other of two; more than two have no such thing."""
    if side is None:
        return None
    if side.subject:
        return REST
    if side.clip is not None and side.place is None:
        return Part(clip=_OTHER[side.clip]) if side.clip in _OTHER else REST
    if side.place in _OTHER:
        return Part(place=_OTHER[side.place], clip=side.clip)
    return REST


_NONE_AS = re.compile(r"\b(?:no|none|nothing)\b.*\bas\s+(\w+)\s+as\b", re.IGNORECASE)
_EXTREME: dict[str, tuple[str, str]] = {
    "high": ("pitch", "more"), "low": ("pitch", "less"), "deep": ("pitch", "less"),
    "loud": ("level", "more"), "soft": ("level", "less"), "quiet": ("level", "less"),
    "long": ("duration", "more"), "short": ("duration", "less"), "brief": ("duration", "less"),
}  # fmt: skip


def superlatives(clause: Clause) -> Iterator[Claim]:
    """ "the third note is the highest"; "no other note is as high as the third"."""
    none = _NONE_AS.search(clause.text)
    sides = [(w, s) for w in clause.tokens if (s := _side(clause, w))]
    if none is not None and none[1].lower() in _EXTREME and sides:
        attribute, value = _EXTREME[none[1].lower()]
        for t in clause.tokens:
            t.used = True
        yield make(
            clause, "comparison", attribute, value, sides[-1][0], about=sides[-1][1], other=REST,
            negated=False,
        )  # fmt: skip
        return
    for table, value in (("most", "more"), ("least", "less")):
        for t in clause.having(table):
            if alternative(clause, t):
                continue
            named = [(abs(w.start - t.start), s) for w, s in sides]
            attribute = _property(clause, t, table)
            if not named or not attribute:
                continue
            places = [p for p in named if p[1].place is not None] or named
            about = min(places, key=lambda p: p[0])[1]
            yield make(clause, "comparison", attribute, value, t, about=about, other=REST)


_AS_WORD = re.compile(r"\b(?:equally|as)\s+(\w+)", re.IGNORECASE)


def equalities(clause: Clause) -> Iterator[Claim]:
    """ "both clips are equally noisy"; "the two notes have the same pitch"."""
    for t in clause.having("same"):
        near = clause.nearest(t, "attribute", _OVERRIDES, reach=30)
        name = near.among("attribute", _OVERRIDES) if near is not None else None
        word = _AS_WORD.search(clause.text)
        if word is not None and word[1].lower() in _EXTREME:
            name = _EXTREME[word[1].lower()][0]
        if name is None or alternative(clause, t):
            continue
        if any(w.get("subject") in ("gap", "pause", "silence") for w in clause.tokens):
            name = "gap"
        sides = [s for w in clause.tokens if (s := _side(clause, w))]
        pair = re.search(r"\b(?:both|two|pair|each other)\b", clause.text, re.IGNORECASE)
        if len(sides) != 2 and not pair:
            continue
        a, b = sides[:2] if len(sides) == 2 else (Part(place=1), Part(place=2))
        yield make(clause, "comparison", name, "same", t, about=a, other=b)


_STRONG = frozenset(("pitch", "level", "tempo", "brightness"))
_WEAK_WORDS = re.compile(
    r"voice|hum|note|tone|line|beats?|clicks?|clicking|pulse|speed|click", re.I
)


def _course(clause: Clause, t: Token, table: str) -> str:
    """The attribute whose course a trend word tells; "" where no word says."""
    if table != "trend":
        return table.removeprefix("trend_")
    named = [w for w in clause.tokens if w is not t and w.among("attribute", _STRONG)]
    strong = [w for w in named if not _WEAK_WORDS.fullmatch(w.text)]
    if not named:
        earlier = [c for c in clause.sentence if c.start < clause.start]
        named = [w for c in earlier for w in c.tokens if w.among("attribute", _STRONG)][-1:]
    pool = strong or named
    if not pool:
        return ""
    near = min(pool, key=lambda w: abs(w.start - t.start))
    if t.get("quality_tremor") and not strong and t.senses["trend"].startswith("level"):
        return ""
    return near.among("attribute", _STRONG) or ""


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


_LIST = r"(?:[\s,]|\b(?:and|then|a|an|another|one|more|finally|by|is|followed|next|lastly|the|last|of|after|that|also|->|→)\b|→|->)*"


def orders(clause: Clause) -> Iterator[Claim]:
    """What comes after what: a list in time, or one thing before another."""
    found = [t for t in clause.having("subject", used=False) if t.senses["subject"] in EVENTS]
    for table in ("quality_timbre", "quality_accent", "quality_length", "quality_level"):
        words = clause.having(table)
        if len(words) > 1 and _in_a_row(clause, words):
            names = tuple(t.senses[table] for t in words)
            yield make(clause, "order", "sequence", names, *words, about=Part(clip=clause.clip))
    if len(found) < 2 or any(alternative(clause, t) for t in found):
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
