"""Claims that compare: more, less, the same, the most, the least."""

import re
from collections.abc import Iterator

from auscult.verify.claims import REST, Claim, Part
from auscult.verify.read.base import (
    EVENTS,
    alternative,
    clip_of,
    denied,
    denied_between,
    is_unit,
    make,
    sure_of,
    told,
)
from auscult.verify.read.text import Clause, Token

WEAK_WORDS = re.compile(r"voice|hum|note|tone|line|beats?|clicks?|clicking|pulse|speed|click", re.I)

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
    found = _placed_sides(clause, key)
    return found if found != (None, None) else _things(clause, key)


def _placed_sides(clause: Clause, key: Token) -> tuple[Part | None, Part | None]:
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
        right = after[0] if before and after and after[0][1] != before[-1][1] else None
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
    """ "compared to the first, the second is louder"; in Chinese the other way round: A 比 B."""
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


def _property(clause: Clause, key: Token, table: str) -> str:
    """The property compared: what the nouns say first, then the word's own."""
    own = key.senses[table].split("|")[0]
    if own == "any":
        return _nearest_property(clause, key)
    if own == "pitch" and sure_of(clause, "snr"):
        return "snr"
    if own in ("duration", "size", "tempo") and _of_gaps(clause):
        return "gap"
    if own == "level":  # "the reverb is stronger", "the noise is weaker"
        nouns = [noun for noun in ("reverberation", "noise") if sure_of(clause, noun)]
        return nouns[0] if nouns else own
    if own == "duration" and sure_of(clause, "reverberation"):
        return "reverberation"
    named = clause.nearest(key, "attribute", _OVERRIDES, reach=14)
    beside = (named.among("attribute", _OVERRIDES) or "") if named is not None else ""
    if own == "size":
        return beside
    behind = named is not None and key.end <= named.start and named.start - key.end < 4
    return beside or own if own == "pitch" and behind else own


def _nearest_property(clause: Clause, key: Token) -> str:
    """For words that compare anything ("exceeds", ">"): the nearest noun that names a property."""
    known = _OVERRIDES | {"snr"}
    words = [t for t in clause.tokens if t.among("attribute", known)]
    sure = [t for t in words if not WEAK_WORDS.fullmatch(t.text)] or words
    near = min(sure, key=lambda t: abs(t.start - key.start), default=None)
    return (near.among("attribute", known) or "") if near is not None else ""


def _of_gaps(clause: Clause) -> bool:
    """Are gaps compared? Their "longer" and "over quicker" speak of time."""
    return any(t.get("subject") in ("gap", "pause", "silence") for t in clause.tokens)


def _between_notes(clause: Clause) -> bool:
    """ "C5 is above A4" compares names and not sounds: logic, no claim."""
    return bool(clause.having("note", used=True))


_NOT_AS = re.compile(r"(?:\bnot|n't)\b[^,]*?\b(?:as|so)\s+(\w+)\s+as\b", re.IGNORECASE)


def not_as(clause: Clause) -> Iterator[Claim]:
    """ "the first is not as loud as the second": less of it."""
    m = _NOT_AS.search(clause.text)
    if m is None or m[1].lower() not in _EXTREME or _between_notes(clause):
        return
    attribute, value = _EXTREME[m[1].lower()]
    sides = [(t, s) for t in clause.tokens if (s := _side(clause, t))]
    left = [s for t, s in sides if t.end - clause.start <= m.start() + 1]
    right = [s for t, s in sides if t.start - clause.start >= m.end()]
    if not left or not right:
        return
    if attribute == "duration" and _of_gaps(clause):
        attribute = "gap"
    inside = [t for t in clause.tokens if m.start() <= t.start - clause.start < m.end()]
    less = {"more": "less", "less": "more"}[value]
    claim = make(
        clause, "comparison", attribute, less, *inside, about=left[-1], other=right[0],
        negated=False,
    )  # fmt: skip
    yield claim


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


_HEARD_BESIDE = frozenset(("voice", "speech", "music", "noise"))


def _things(clause: Clause, key: Token) -> tuple[Part | None, Part | None]:
    """ "the voice is louder than the music": things that sound at once, both named."""
    than = next((t for t in clause.tokens if t.is_word("than") and t.start >= key.end), None)
    named = [(t, s) for t in clause.tokens if (s := _thing(t))]
    before = [s for t, s in named if t.end <= key.start]
    after = [s for t, s in named if than is not None and t.start >= than.end]
    if not before or not after or before[-1] == after[0]:
        return None, None
    return Part(subject=before[-1], clip=clause.clip), Part(subject=after[0], clip=clause.clip)


def _thing(t: Token) -> str:
    subject = t.among("subject", _HEARD_BESIDE)
    return subject or (t.text.lower() if told(t) else "")


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
    "noisy": ("noise", "more"), "clean": ("noise", "less"), "hissy": ("noise", "more"),
    "reverberant": ("reverberation", "more"), "dry": ("reverberation", "less"),
    "echoey": ("reverberation", "more"), "breathy": ("breath", "more"),
    "bright": ("brightness", "more"),
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
            attribute = _property(clause, t, table)
            if not sides or not attribute:
                continue
            places = [p for p in sides if p[1].place is not None] or sides
            word, about = min(places, key=lambda p: abs(p[0].start - t.start))
            no = denied(clause, t) or denied_between(clause, t, word)
            yield make(
                clause, "comparison", attribute, value, t, about=about, other=REST, negated=no
            )


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
