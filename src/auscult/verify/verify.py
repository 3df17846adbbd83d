"""Claims against clips: the finding for each, with a sentence for a person."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from auscult.types import Audio
from auscult.verify.check.base import Outcome, focus, pick_sounds
from auscult.verify.check.checks import CHECKS
from auscult.verify.check.compare import check_comparison
from auscult.verify.claims import (
    AMBIGUOUS,
    CONTRADICTED,
    SUPPORTED,
    UNVERIFIABLE,
    Claim,
    Finding,
    Part,
)
from auscult.verify.hear.listening import Listening, Refused
from auscult.verify.hear.long import Held, Source, hear

Ears = tuple[Listening, ...]

_BEST = {SUPPORTED: 0, AMBIGUOUS: 1, CONTRADICTED: 2, UNVERIFIABLE: 3}
_FLIPPED = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}


def listen(clips: Sequence[Audio | Source], *, progress: bool = False) -> Ears:
    """The clips of an item, measured lazily, those of over a minute in windows. Raises `ValueError`
    for none."""
    if not clips:
        raise ValueError("there are no clips; a claim needs at least one sound to be checked")
    sources = [Held(clip) if isinstance(clip, np.ndarray) else clip for clip in clips]
    return tuple(hear(source, progress=progress) for source in sources)


def verify(claim: Claim, ears: Ears) -> Finding:
    """The finding of one claim. A clip that is not named may be any: the best verdict counts, and a
    denial is judged after that, so that it speaks of all clips."""
    if claim.kind == "comparison":
        return _finding(claim, _tried(lambda: check_comparison(ears, claim)), 1)
    if (claim.kind, claim.attribute) not in CHECKS:
        nothing = Outcome(verdict=UNVERIFIABLE, measured=f"{claim.attribute} is not measured here")
        return _finding(claim, nothing, 1)
    clips = [claim.about.clip] if claim.about.clip is not None else range(1, len(ears) + 1)
    found = [(_in_clip(claim, ears, clip), clip) for clip in clips]
    outcome, clip = min(found, key=lambda pair: _BEST[pair[0].verdict])
    verdicts = {o.verdict for o, _ in found}
    if claim.negated and claim.kind != "presence" and {SUPPORTED, CONTRADICTED} <= verdicts:
        # "the first note is D5 and not A4": true of the one clip, false of the other.
        outcome = replace(outcome, verdict=AMBIGUOUS)
    return _finding(claim, outcome, clip)


RANGE_VALUES = 25


def _in_clip(claim: Claim, ears: Ears, clip: int) -> Outcome:
    """What one clip says to the claim as it stands without its negation."""
    if not 1 <= clip <= len(ears):
        return Outcome(verdict=UNVERIFIABLE, measured=f"there is no clip {clip}")
    ear, span = ears[clip - 1], claim.about.span
    if span is not None and not (0 <= span[0] < span[1] and span[0] < ear.seconds):
        where = f"{span[0]:g} to {span[1]:g} s"
        return Outcome(verdict=UNVERIFIABLE, measured=f"{where} is no part of the clip")
    check = CHECKS[claim.kind, claim.attribute]
    tried = (_tried(lambda one=one: check(ear, one)) for one in _ranged(claim))
    outcome = min(tried, key=lambda o: _BEST[o.verdict])
    return replace(outcome, span=_span(ear, claim.about))


def _ranged(claim: Claim) -> list[Claim]:
    """The claim once, or for a range ("180 to 220 Hz") once for every value that it can mean: near
    enough to each other for every tolerance, whole ones of a count."""
    if not claim.within or not isinstance(claim.value, float):
        return [claim]
    low, high = claim.value - claim.within, claim.value + claim.within
    n = round(high - low) + 1 if claim.kind == "count" else RANGE_VALUES
    return [replace(claim, value=float(f"{v:.4g}")) for v in np.linspace(low, high, n)]


def _tried(check: object) -> Outcome:
    """A refused measurement makes the claim unverifiable and says why."""
    assert callable(check)
    try:
        outcome = check()
    except Refused as refusal:
        return Outcome(verdict=UNVERIFIABLE, measured=str(refusal))
    assert isinstance(outcome, Outcome)
    return outcome


def _span(ear: Listening, about: Part) -> tuple[float, float] | None:
    """Where in the clip the claim is to be seen."""
    if about.span is not None:
        return about.span
    if about.place is not None or about.subject:
        found = pick_sounds(ear, about)
        if found and (about.place is not None or len(found) < len(ear.sounds) or len(found) == 1):
            return found[0].start_s, found[-1].end_s
    if about.region:
        try:
            part = focus(ear, about).seconds
        except Refused:
            return None
        return (
            (0.0, part)
            if about.region in ("start", "first half")
            else (ear.seconds - part, ear.seconds)
        )
    return 0.0, ear.seconds


def describe(claim: Claim) -> str:
    """A claim in short: "not pitch rising", "count knock 3"."""
    value = " ".join(claim.value) if isinstance(claim.value, tuple) else claim.value
    if isinstance(value, float):
        value = f"{value:g}"
    words = [claim.attribute if claim.attribute != claim.kind else claim.kind, claim.about.subject]
    words += [str(value) if value is not True else "", claim.about.at and f"@{claim.about.at}"]
    if claim.other is not None:
        words.append(f"than {claim.other.subject or claim.other.at}")
    return ("not " if claim.negated else "") + " ".join(w for w in words if w)


def _finding(claim: Claim, outcome: Outcome, clip: int) -> Finding:
    verdict = _FLIPPED.get(outcome.verdict, outcome.verdict) if claim.negated else outcome.verdict
    says = f"{verdict}: claimed {describe(claim)}"
    if verdict == UNVERIFIABLE:
        says += f"; {outcome.measured}" if outcome.measured else ""
    elif outcome.measured:
        says += f", measured {outcome.measured}"
        says += f" (tolerance {outcome.tolerance})" if outcome.tolerance else ""
    return Finding(
        claim=claim,
        verdict=verdict,
        measured=outcome.measured,
        tolerance=outcome.tolerance,
        function=outcome.function,
        says=says,
        span=outcome.span,
        clip=clip,
    )


def check_text(text: str, clips: Sequence[Audio] | Ears) -> list[Finding]:
    """Every claim of a text against the clips: extraction, then verification."""
    from auscult.verify.read.extract import extract

    ears = clips if clips and isinstance(clips[0], Listening) else listen(clips)  # pyright: ignore[reportArgumentType]
    return [verify(claim, ears) for claim in extract(text)]  # pyright: ignore[reportArgumentType]
