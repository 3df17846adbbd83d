"""What the grammar's rules share: scope, negation, hedges, and making a claim from tokens."""

import re

from auscult.verify.claims import Claim, Part, Value
from auscult.verify.read.text import Clause, Token

EVENTS = frozenset(
    ("beep", "knock", "clap", "bark", "chirp", "bell", "drum", "horn", "glass", "whistle")
)
BACKGROUNDS = frozenset(("rain", "wind", "engine", "crickets"))
THINGS = frozenset(("note", "tone", "sound", "click", "beat", "voice", "gap", "pause", "chord"))
"""Subjects that an ordinal can point at, besides the events."""


_IS_THE = r"\s*(?:is|was|comes|for|as|on|at|in)?\s*(?:the|its)?\s*"


def adjacent(clause: Clause, a: Token, b: Token, filler: str = r"[\s\-]*") -> bool:
    """Does b follow a with nothing but `filler` between them?"""
    return a.end <= b.start and re.fullmatch(filler, clause.between(a, b), re.I) is not None


def is_unit(clause: Clause, token: Token) -> bool:
    """Is the word a unit here, that is: does a number stand right before it? ("second")"""
    if token.get("unit") is None:
        return False
    at = clause.tokens.index(token)
    before = clause.tokens[at - 1] if at else None
    if re.search(r"\b(?:per|each)\s*$", clause.text[: token.start - clause.start], re.I):
        return True
    return before is not None and before.number is not None and adjacent(clause, before, token)


def ordinals(clause: Clause) -> list[Token]:
    """Ordinals that point at a place; "second" after a number and "the first clip" are left out."""
    return [
        t
        for t in clause.tokens
        if t.get("ordinal") and not is_unit(clause, t) and clip_of(clause, t) is None
    ]


def clip_of(clause: Clause, token: Token) -> int | None:
    """1 for "clip 1" and for "first" in "the first clip"."""
    if token.get("clip"):
        return int(token.senses["clip"])
    if token.get("ordinal") is None:
        return None
    at = clause.tokens.index(token)
    after = clause.tokens[at + 1] if at + 1 < len(clause.tokens) else None
    if after is not None and after.get("subject") == "clip" and adjacent(clause, token, after):
        return int(token.senses["ordinal"])
    return None


def sure_of(clause: Clause, *entries: str) -> bool:
    """Does any word of the clause name one of these properties?"""
    return any(t.among("attribute", frozenset(entries)) for t in clause.tokens)


_BOUND = re.compile(
    r"(?<!just )(?<!slightly )(?<!a bit )(?<!a little )(?<!a touch )\b(?:at least|at most|"
    r"more than|less than|fewer than|over|under|above|below|beyond|up to|"
    r"longer than|shorter than|higher than|lower than|far from|almost|not quite)\s*"
    r"(?:about|roughly|some)?\s*$",
    re.IGNORECASE,
)
_RELATIVE = re.compile(
    r"^\s*(?:higher|lower|above|below|under|over|louder|quieter|softer|longer|shorter|later|earlier|"
    r"faster|slower|fewer|more|less|too)\b",
    re.IGNORECASE,
)


def bounded(clause: Clause, token: Token) -> bool:
    """ "at least three", "above 200 Hz": a bound and no value."""
    return _BOUND.search(clause.text[: token.start - clause.start]) is not None


def relative(clause: Clause, token: Token) -> bool:
    """ "523 Hz lower", "0.3 s later": a difference and no value."""
    return _RELATIVE.match(clause.text[token.end - clause.start :]) is not None


_APPROX = r"(?:\s|about|around|roughly|close to|near|some|approximately|the|a|an)*$"
_START = re.compile(
    r"\b(?:(?:starts?|begins?|opens?|starting|beginning)\s+"
    r"(?:on|at|with|from|out at|close to)|from)" + _APPROX,
    re.IGNORECASE,
)
_END = re.compile(
    r"\b(?:ends?|finish(?:es)?|closes?|lands?|ending|finishing|arrives?)\s+(?:on|at|with|up at)"
    + _APPROX,
    re.IGNORECASE,
)
_TO = re.compile(r"\bfrom\b.*\b(?:down to|up to|to)" + _APPROX, re.IGNORECASE)


def edge(clause: Clause, token: Token) -> str:
    """ "starts on C4" and "from 150 Hz" speak of the start, "ends at 90 Hz" of the end."""
    before = clause.text[: token.start - clause.start]
    if _TO.search(before) or _END.search(before):
        return "end"
    return "start" if _START.search(before) else ""


def denied_between(clause: Clause, a: Token, b: Token) -> bool:
    """ "the clap is not the first": is there a "not" between the two words?"""
    first, last = (a, b) if a.start < b.start else (b, a)
    return any(t.is_word("not") and first.end <= t.start < last.start for t in clause.tokens)


_TOLD = frozenset(("event", "instrument"))


def told(t: Token) -> bool:
    """Does the word name a thing that sounds and that nothing here tells from others?"""
    return t.get("unmeasurable") in _TOLD


def unmeasured_thing(clause: Clause, at: Token, reach: int = 40) -> Token | None:
    """The nearest such thing: "a siren"."""
    return clause.nearest(at, "unmeasurable", _TOLD, reach=reach)


def part(clause: Clause, at: Token, *, subject: str = "", reach: int = 45) -> Part:
    """Where a word points: the nearest ordinal before it (or close behind), clip, span, region."""
    place, clip, span, region = None, clause.clip, None, ""
    least = float(reach)
    for t in ordinals(clause):
        if adjacent(clause, at, t, _IS_THE):  # "G5 is the first note"
            place, least = int(t.senses["ordinal"]), 0.0
            break
        far = at.start - t.end if t.start <= at.start else 1.5 * (t.start - at.end) + 3
        if t is at or far < least:
            least = 0.0 if t is at else far
            place = int(t.senses["ordinal"])
    for t in clause.tokens:
        named = clip_of(clause, t)
        clip = named if named is not None else clip
        if t.get("span"):
            a, b = t.senses["span"].split()
            span = (float(a), float(b))
        region = t.get("part") or region
    return Part(subject=subject, clip=clip, place=place, span=span, region=region)


def denied(clause: Clause, key: Token) -> bool:
    """Is the word under a negation: "no", "not" before it in its own stretch between commas, or
    "absent" on either side?"""
    after = clause.lexicon.negation == "after"
    for t in clause.tokens:
        if t.is_word("absent"):
            before = [w for w in clause.tokens if w.end <= t.start and w.is_word("not")]
            return not (before and t.start - before[-1].end < 4)  # "isn't missing" is there
        if not t.is_word("not") or t is key:
            continue
        if after and t.start >= key.end:
            return True
        together = t.chunk == key.chunk or any(
            w.is_word("or") and t.end <= w.start <= key.start for w in clause.tokens
        )
        if not after and t.end <= key.start and together and key.start - t.end < 60:
            return True
    return False


def hedged(clause: Clause) -> bool:
    """Does the speaker leave it open?"""
    return any(t.is_word("maybe") for t in clause.tokens)


def make(
    clause: Clause,
    kind: str,
    attribute: str,
    value: Value,
    *tokens: Token,
    about: Part | None = None,
    other: Part | None = None,
    negated: bool | None = None,
) -> Claim:
    """A claim from the tokens that carry it, which are then used up; the first decides negation."""
    for t in tokens:
        t.used = True
    return Claim(
        kind=kind,
        attribute=attribute,
        value=value,
        about=about if about is not None else part(clause, tokens[0]),
        other=other,
        negated=denied(clause, tokens[0]) if negated is None else negated,
        hedged=hedged(clause),
        within=max(t.spread for t in tokens),
        start=min(t.start for t in tokens),
        end=max(t.end for t in tokens),
    )


def alternative(clause: Clause, token: Token) -> bool:
    """Is the word one side of an "or" that no negation covers? Then it claims nothing."""
    for t in clause.tokens:
        near = min(abs(t.start - token.end), abs(token.start - t.end))
        if t.is_word("or") and near < 25 and not denied(clause, token):
            return True
    return False


def nearer(at: Token, a: Token, b: Token) -> bool:
    """Does a stand nearer than b?"""
    return abs(a.start - at.start) < abs(b.start - at.start)


def subject_near(clause: Clause, at: Token, among: frozenset[str]) -> Token | None:
    """The nearest thing that sounds, of these."""
    return clause.nearest(at, "subject", among)
