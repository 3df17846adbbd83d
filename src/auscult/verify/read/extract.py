"""From free text to typed claims. Text that no rule understands is no claim, never a wrong one."""

from collections.abc import Callable, Iterator, Sequence

from auscult.verify.claims import Claim
from auscult.verify.read.compare import comparisons, equalities, not_as, superlatives
from auscult.verify.read.counts import counts, meter
from auscult.verify.read.courses import contours, directions, orders, told_orders
from auscult.verify.read.quality import keys, nothing, presences, qualities, unmeasured
from auscult.verify.read.text import Clause, Token, clauses
from auscult.verify.read.values import intervals, notes, per_minute, values

RULES: tuple[Callable[[Clause], Iterator[Claim]], ...] = (
    nothing,
    keys,
    values,
    per_minute,
    intervals,
    meter,
    not_as,
    comparisons,
    superlatives,
    equalities,
    notes,
    contours,
    orders,
    told_orders,
    counts,
    directions,
    qualities,
    presences,
    unmeasured,
)
"""Tried in this order on every clause; a word that one rule has used is gone for the next."""


def extract(text: str, language: str = "") -> list[Claim]:
    """The claims of a text in order. `language`: "en", "zh", "ko", or that of each sentence by its
    script."""
    found: list[Claim] = []
    for clause in clauses(text, language):
        found.extend(_tidy([claim for rule in RULES for claim in rule(clause)]))
    return sorted(found, key=lambda c: (c.start, c.end))


def _tidy(claims: list[Claim]) -> list[Claim]:
    """One clause says a thing once; and that something is there goes without saying where the
    clause says more of it ("two barks", "the voice is breathy")."""
    said: dict[object, Claim] = {}
    for claim in claims:
        said.setdefault(claim.key, claim)
    more = {c.about.subject for c in said.values() if c.kind != "presence"}
    for claim in said.values():
        if claim.kind == "order" and isinstance(claim.value, tuple):
            more.update(claim.value)
    return [
        c
        for c in said.values()
        if c.kind != "presence" or c.about.place is not None or c.about.subject not in more
    ]


_OF_SOUND = (
    "attribute", "trend", "trend_level", "trend_tempo", "trend_brightness", "more", "less", "most",
    "least", "unmeasurable", "note", "key",
)  # fmt: skip
"""Tables whose words speak of sound, beside those of qualities."""


def unread(text: str, claims: Sequence[Claim], language: str = "") -> list[str]:
    """The statements in which at least two words speak of sound and out of which no claim was read:
    what the verdict on the text does not know of."""
    found: list[str] = []
    for clause in clauses(text, language):
        end = clause.start + len(clause.text)
        if any(c.start < end and clause.start < c.end for c in claims):
            continue
        words = [t for t in clause.tokens if _speaks(t)]
        if len(words) >= 2:
            found.append(text[clause.start : end].strip(" ,.;\n"))
    return found


def _speaks(token: Token) -> bool:
    tables = token.senses.keys()
    return any(t in _OF_SOUND or t.startswith("quality_") for t in tables)
