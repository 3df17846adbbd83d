"""Claims about how something sounds, and about what is there at all."""

import re
from collections.abc import Callable, Iterator

from auscult.verify.claims import Claim, Part
from auscult.verify.read.base import (
    BACKGROUNDS,
    EVENTS,
    adjacent,
    alternative,
    denied,
    denied_between,
    make,
    ordinals,
    part,
)
from auscult.verify.read.text import Clause, Token


def _sentence_has(clause: Clause, table: str, *entries: str) -> bool:
    return any(t.get(table) in entries for c in clause.sentence for t in c.tokens)


def _of_voice(clause: Clause) -> bool:
    return _sentence_has(clause, "subject", "voice", "speech") or _sentence_has(
        clause, "attribute", "rate"
    )


def _follows(clause: Clause, token: Token) -> Token | None:
    after = clause.tokens[clause.tokens.index(token) + 1 :][:1]
    return after[0] if after and adjacent(clause, token, after[0], r"[\s\-]*") else None


def _sure(clause: Clause, token: Token) -> bool:
    return True


def _breath(clause: Clause, token: Token) -> bool:
    return token.senses["quality_breath"] == "breathy" or (
        _of_voice(clause) and not _sentence_has(clause, "quality_noise", "noisy")
    )


def _register(clause: Clause, token: Token) -> bool:
    """ "low" of a pitch or a voice, not of a noise floor or a volume."""
    behind = _follows(clause, token)
    if behind is not None and (
        behind.get("attribute") not in (None, "pitch", "pitch_range") or behind.get("part")
    ):
        return False
    if "pitch" in token.text.lower() or "register" in token.text.lower():
        return True
    near = clause.nearest(token, "attribute", frozenset(("pitch",)), reach=40)
    return near is not None or _of_voice(clause)


def _liveliness(clause: Clause, token: Token) -> bool:
    return (
        len(token.text.split()) > 1
        or _of_voice(clause)
        or (clause.nearest(token, "attribute", frozenset(("pitch",))) is not None)
    )


def _tremor(clause: Clause, token: Token) -> bool:
    if token.senses["quality_tremor"] == "trembling" or "vibrato" in token.text.lower():
        return True
    near = clause.nearest(token, "attribute", frozenset(("tempo", "level", "pitch")), reach=40)
    return _of_voice(clause) and (near is None or near.senses["attribute"] == "pitch")


def _level(clause: Clause, token: Token) -> bool:
    behind = _follows(clause, token)
    things = EVENTS | {"sound", "voice", "note", "tone"}
    beats = token.get("quality_accent") and clause.nearest(token, "subject", things) is None
    return not beats and (behind is None or behind.get("subject") != "noise")


def _rate(clause: Clause, token: Token) -> bool:
    told = _of_voice(clause) or re.search(r"\bpace\b", token.text, re.I) is not None
    return told and not _sentence_has(clause, "trend_tempo", "rising", "falling")


def _length(clause: Clause, token: Token) -> bool:
    behind = _follows(clause, token)
    measured = any(t.get("unit") and adjacent(clause, t, token) for t in clause.tokens)
    return not measured and (behind is None or behind.get("attribute") in (None, "pitch", "gap"))


def _vowel(clause: Clause, token: Token) -> bool:
    before = clause.text[: token.start - clause.start].rstrip().lower()
    named = (
        re.search(r"(vowel|holds|sings?|sung|sustained|long|sound|an?|the|held|is|/)$", before)
        is not None
    )
    return named or "vowel" in clause.text.lower()


def _mode(clause: Clause, token: Token) -> bool:
    return not _chord(clause, token)


def _chord(clause: Clause, token: Token) -> bool:
    return token.get("quality_chord") in ("diminished", "augmented") or _sentence_has(
        clause, "subject", "chord"
    )


def _accent(clause: Clause, token: Token) -> bool:
    return clause.nearest(token, "subject", frozenset(("beat", "click"))) is not None and bool(
        ordinals(clause)
    )


def _spacing(clause: Clause, token: Token) -> bool:
    near = clause.nearest(token, "subject", EVENTS | {"click", "beat", "gap", "sound", "note"})
    return near is not None


QUALITIES: dict[str, Callable[[Clause, Token], bool]] = {
    "breath": _breath,
    "voicing": _sure,
    "liveliness": _liveliness,
    "tremor": _tremor,
    "noise": _sure,
    "room": _sure,
    "chord": _chord,
    "mode": _mode,
    "tempo": _sure,
    "rate": _rate,
    "vowel": _vowel,
    "timbre": _sure,
    "accent": _accent,
    "spacing": _spacing,
    "register": _register,
    "length": _length,
    "level": _level,
    "brightness": _sure,
}
"""Quality -> does the word carry it here? In the order in which an ambiguous word is tried."""


def qualities(clause: Clause) -> Iterator[Claim]:
    """ "breathy", "in a minor key", "a soft drum", "the first timbre is hollow"."""
    if _enumeration(clause):
        return
    for name, fits in QUALITIES.items():
        for t in clause.having(f"quality_{name}"):
            if alternative(clause, t) or not fits(clause, t):
                continue
            thing = clause.nearest(
                t, "subject", frozenset(("voice", *EVENTS, "note", "tone", "beat")), reach=40
            )
            subject = thing.senses["subject"] if thing is not None else ""
            about = part(clause, t, subject=subject)
            yield make(clause, "quality", name, t.senses[f"quality_{name}"], t, about=about)


def keys(clause: Clause) -> Iterator[Claim]:
    """ "in B flat major"."""
    for t in clause.having("key"):
        if not alternative(clause, t):
            yield make(clause, "quality", "key", t.senses["key"], t, about=Part(clip=clause.clip))


def _enumeration(clause: Clause) -> bool:
    """ "pitch, timbre, vibrato, rhythm, decay": terms in a row state nothing."""
    terms = [t for t in clause.tokens if t.get("attribute") and not t.get("subject")]
    heard = any(t.is_word("hear") for t in clause.tokens)
    return len(terms) >= 4 and clause.text.count(",") >= 4 and not heard


_ARTICLE = re.compile(
    r"(?:\ba|\ban|\bsome|\banother|\bno|\bonly|\bjust|\bany|\bsoft|\bloud)(?:\s+[\w-]+){0,2}\s*$",
    re.I,
)
_DEFINITE = re.compile(r"\b(?:the|this|that|each|every|its|their)(?:\s+[\w-]+){0,2}\s*$", re.I)
_PRESENT = (
    EVENTS
    | BACKGROUNDS
    | {"silence", "pause", "voice", "speech", "music", "echo", "noise", "melody", "chord"}
)


def _stated(clause: Clause, t: Token) -> bool:
    """Is the thing said to be there, rather than named in passing ("the bell is loud")?"""
    before = clause.text[: t.start - clause.start]
    heard = any(w.is_word("hear") and w is not t for w in clause.tokens)
    quiet = t.get("subject") in BACKGROUNDS | {"silence"}
    behind = quiet and any(w.is_word("behind") for w in clause.tokens)
    timed = quiet and any(w.get("span") for w in clause.tokens)
    if heard or behind or timed or denied(clause, t):
        return True
    if _DEFINITE.search(before):
        return bool(re.search(r"\bis\s+(?:the\s+)?(?:sound of\s+)?(?:the\s+)?$", before, re.I))
    alone = not re.search(r"\w", before) and len(clause.text.split()) <= 4
    named = re.search(r"\b(?:is|was|are|it's|like|of|be)\s+$", before, re.I) is not None
    return bool(_ARTICLE.search(before)) or alone or named


def presences(clause: Clause) -> Iterator[Claim]:
    """ "I hear a bell", "no rain", "the second sound is a bark"."""
    if _enumeration(clause):
        return
    weak = {"noise", "echo", "melody", "chord", "music", "speech", "voice"}
    for t in clause.having("subject"):
        subject = t.senses["subject"]
        if subject not in _PRESENT or alternative(clause, t) or not _stated(clause, t):
            continue
        others = [w for w in clause.tokens if w.used and w is not t]
        plays = subject == "music" and any(w.is_word("hear") for w in clause.tokens)
        if subject in weak and others and not plays and not denied(clause, t):
            continue
        about = part(clause, t, subject=subject, reach=80 if _numbered(clause) else 25)
        behind = [o for o in ordinals(clause) if o.start > t.end]
        no = denied(clause, t) or bool(behind and denied_between(clause, t, behind[0]))
        yield make(clause, "presence", "presence", True, t, about=about, negated=no)


_ALWAYS = frozenset((
    "emotion", "age", "voice_quality", "accent", "event", "stereo", "attack", "language", "gender",
    "instrument",
))  # fmt: skip
"""What is said of a sound wherever the word stands; the other words must be said to be there."""


_OWN = re.compile(r"\bmakes? me\b|\bi feel\b|\bi(?: a|')m\b", re.IGNORECASE)
"""What the listener feels."""


def unmeasured(clause: Clause) -> Iterator[Claim]:
    """What can be heard and is measured by nobody here: "a violin", "he sounds bored", "a siren".
    Such claims stay open, and are counted."""
    if _enumeration(clause):
        return
    for t in clause.having("unmeasurable", used=True):
        kind = t.get("unmeasurable") or ""
        if alternative(clause, t) or not (kind in _ALWAYS or _stated(clause, t)):
            continue
        if kind == "emotion" and _OWN.search(clause.text):
            continue
        about = part(clause, t, subject=t.text.lower(), reach=25)
        yield make(clause, "presence", kind, True, t, about=about)


_NOISE = r"(?:a\s+|some\s+|steady\s+|white\s+|pink\s+)*(?:noise|hiss|static)"
_NOTHING = re.compile(
    r"\b(?:(?:hear|is|there's)\s+(?:nothing|no sounds?|not a sound)"
    r"|(?:nothing|no sounds?)\s+(?:is|can be)\s+heard)"
    r"(?:\s+(?:at all|to hear|to be heard|here))*"
    rf"(?P<but>\s*,?\s*(?:but|only)\s+{_NOISE})?\s?[.!]*\s?$",
    re.IGNORECASE,
)
_NOISE_ALONE = re.compile(
    rf"\b(?:hear|is|there's)\s+(?P<but>(?:only|just)\s+{_NOISE})\s?[.!]*\s?$", re.IGNORECASE
)
_UNNAMED = re.compile(
    r"\b(?:hear|is|there's) (?:a|some) sound (?:that |which )?i "
    r"(?:cannot|can't|could not|do not know how to) (?:name|identify|place)\s?[.!]*\s?$",
    re.IGNORECASE,
)


def nothing(clause: Clause) -> Iterator[Claim]:
    """ "I hear nothing", "there is no sound but noise", "I hear a sound that I cannot name"."""
    for pattern in (_NOTHING, _NOISE_ALONE, _UNNAMED):
        found = pattern.search(clause.text)
        if found is None:
            continue
        inside = [t for t in clause.tokens if t.end > clause.start + found.start()]
        for t in inside:
            t.used = True
        but_noise = found.groupdict().get("but") is not None
        about = Part(subject="noise alone" if but_noise else "sound", clip=clause.clip)
        yield Claim(
            kind="presence", attribute="presence", value=True, about=about,
            negated=pattern is _NOTHING and not but_noise,
            start=clause.start + found.start(), end=clause.start + found.end(),
        )  # fmt: skip


def _numbered(clause: Clause) -> bool:
    """ "the second sound ... is a bell": the ordinal is the bell's, however far it stands."""
    return any(
        adjacent(clause, a, b, r"\s*") and b.get("subject") in ("sound", "one")
        for a in ordinals(clause)
        for b in clause.tokens
    )
