"""Do two claims say the same? For measuring extraction against labels."""

from dataclasses import replace

from auscult.verify.claims import Claim, Part

TWO_VALUED = {
    "breath": ("breathy", "clear"),
    "liveliness": ("monotone", "lively"),
    "tremor": ("trembling", "steady"),
    "noise": ("noisy", "clean"),
    "room": ("dry", "reverberant"),
    "voicing": ("whispered", "voiced"),
    "rate": ("slow", "fast"),
    "level": ("soft", "loud"),
    "mode": ("major", "minor"),
}
"""Qualities of two words: denying one says the other."""


def plain(claim: Claim) -> Claim:
    """One form for what can be said in two: "not breathy" is clear, two in a row is before."""
    one, two = TWO_VALUED.get(claim.attribute, ("", ""))
    if claim.kind == "quality" and claim.negated and claim.value in (one, two):
        other = two if claim.value == one else one
        claim = replace(claim, value=other, negated=False)
    if claim.kind == "order" and isinstance(claim.value, tuple) and len(claim.value) == 2:
        claim = replace(claim, attribute="before")
    if claim.attribute == "level_change" and isinstance(claim.value, float):
        claim = replace(claim, value=abs(claim.value))
    return claim


def _same_value(a: Claim, b: Claim) -> bool:
    x, y = a.value, b.value
    if isinstance(x, (int, float)) and isinstance(y, (int, float)):
        return abs(x - y) <= 1e-6 + 1e-3 * abs(y)
    return x == y


def where(part: Part | None) -> int | str | None:
    """Place, clip or "rest": what a comparison names."""
    if part is None or part.subject == "rest":
        return "rest" if part is not None else None
    return part.place if part.place is not None else part.clip or part.subject or None


def same_content(a: Claim, b: Claim) -> bool:
    """Kind, attribute, value, negation, and the subject where the subject is the claim."""
    a, b = plain(a), plain(b)
    if (a.kind, a.attribute, a.negated) != (b.kind, b.attribute, b.negated):
        return False
    subject = a.kind in ("presence", "count", "time") and a.attribute != "meter"
    if subject and b.about.subject and a.about.subject != b.about.subject:
        return False
    return _same_value(a, b)


def same_claim(got: Claim, wanted: Claim, *, other_named: bool = True) -> bool:
    """The same content about the same place; of comparisons also against the same other side, where
    the text names it."""
    if not same_content(got, wanted):
        return False
    if isinstance(where(wanted.about), int) and where(got.about) != where(wanted.about):
        return False
    if wanted.other is None or not other_named:
        return True
    return where(got.other) == where(wanted.other)
