"""Scores of a thought: how much of what it claims does the sound bear out, and only this sound?"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from auscult.gym.score import normalise
from auscult.verify.claims import CONTRADICTED, REST, SUPPORTED, UNVERIFIABLE, Claim, Finding
from auscult.verify.read.extract import extract
from auscult.verify.read.lexicon import language_of, lexicon
from auscult.verify.verify import Ears, verify

MOST_CLAIMS = 12
"""Claims beyond this many earn nothing: a list of everything is no observation."""

FEATURES: Mapping[str, frozenset[str]] = {
    "pitch": frozenset((
        "pitch", "note", "register", "contour", "interval", "pitch_range", "tremor", "liveliness",
        "sequence",
    )),
    "interval": frozenset(("interval", "note", "sequence")),
    "contour": frozenset(("contour", "pitch", "note", "sequence")),
    "chord": frozenset(("chord", "note", "sequence", "interval")),
    "mode": frozenset(("mode", "key", "note", "sequence", "interval")),
    "timbre": frozenset(("timbre", "sequence", "brightness")),
    "tempo": frozenset(("tempo", "gap", "spacing")),
    "time": frozenset(("time", "gap", "duration")),
    "accent": frozenset(("accent", "meter", "level", "sequence")),
    "level": frozenset(("level", "level_change", "sequence")),
    "brightness": frozenset(("brightness",)),
    "event": frozenset(("presence", "count", "sequence", "before")),
    "count": frozenset(("count", "meter", "sequence", "note")),
    "order": frozenset(("sequence", "before", "pitch", "presence", "note", "level", "duration")),
    "duration": frozenset(("duration", "length", "sequence")),
    "background": frozenset(("presence",)),
    "noise": frozenset(("noise", "snr")),
    "reverberation": frozenset(("room", "reverberation")),
    "tremor": frozenset(("tremor", "modulation", "pitch")),
    "breath": frozenset(("breath",)),
    "vowel": frozenset(("vowel",)),
    "voicing": frozenset(("voicing",)),
    "rate": frozenset(("rate", "duration")),
}  # fmt: skip
"""Feature that an item needs -> attributes of the claims that speak of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a thought gets. Shares are nan where there is nothing to share.

    Example: the true chain "I hear notes: E4, C4. C4 is lower than E4." on its own clip
        claims            1      different claims, at most `MOST_CLAIMS` of them counted
        precision         1.0    supported / (supported + contradicted)
        coverage          1.0    share of the item's features that a supported claim speaks of
        information_bits  3.3    mean over the claims of -log2 of the share of other clips on which
                                 the same claim holds; contradicted claims count as 0
        lift              0.97   support on the own clip minus mean support on other clips
        hallucination     0.0    contradicted / claims
        mentions          2      acoustic words
        acoustic_ratio    .25    acoustic words / words
        surrogate         0.0    share of sentences that speak of a text in place of the sound
        contradictions    0      pairs of claims that cannot both hold
        coherent          True   the answer and the arithmetic follow from what is claimed
    """

    claims: int
    precision: float
    coverage: float
    information_bits: float
    lift: float
    hallucination: float
    mentions: int
    acoustic_ratio: float
    surrogate: float
    contradictions: int
    coherent: bool
    why_incoherent: str = ""


def distinct(findings: Sequence[Finding]) -> list[Finding]:
    """Every claim once: the first `MOST_CLAIMS` of them, and all that are contradicted."""
    kept: dict[object, Finding] = {}
    for f in findings:
        kept.setdefault(f.claim.key, f)
    found = list(kept.values())
    return [f for i, f in enumerate(found) if i < MOST_CLAIMS or f.verdict == CONTRADICTED]


def open_share(findings: Sequence[Finding]) -> float:
    """Share of the claims that no measurement here can decide; 0 without claims."""
    found = distinct(findings)
    return sum(f.verdict == UNVERIFIABLE for f in found) / max(1, len(found))


def earns(finding: Finding) -> bool:
    """Does the finding speak for the thought? A denial that holds does not: what is absent is
    nearly everything, and denying it takes no listening."""
    return finding.verdict == SUPPORTED and not finding.claim.negated


def precision(findings: Sequence[Finding]) -> float:
    """Share of the decided claims that the sound bears out; hedged support counts half, a denial
    that holds does not count, one that fails does. nan where nothing is decided."""
    good = [0.5 if f.claim.hedged else 1.0 for f in findings if earns(f)]
    bad = sum(f.verdict == CONTRADICTED for f in findings)
    return sum(good) / (len(good) + bad) if good or bad else math.nan


def coverage(findings: Sequence[Finding], features: Sequence[str]) -> float:
    """Share of the features that a supported claim speaks of; nan where no features are given.
    Spoken words have no measurement here: they are left out beside others, and alone give 0."""
    wanted = [f for f in features if f in FEATURES]
    if features and not wanted:
        return 0.0
    said = {f.claim.attribute for f in findings if earns(f)}
    return sum(bool(FEATURES[f] & said) for f in wanted) / len(wanted) if wanted else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """How a claim fares on other clips. Example: supported=2, decided=7 of 8: one refused."""

    supported: int
    decided: int

    @property
    def share(self) -> float:
        """Support among the clips that could decide; nan where none could."""
        return self.supported / self.decided if self.decided else math.nan

    @property
    def bits(self) -> float:
        """-log2 of the share, one half added to the count (Krichevsky and Trofimov) so that never
        seen is not infinite; 0 where no other clip could decide."""
        if not self.decided:
            return 0.0
        return -math.log2((self.supported + 0.5) / (self.decided + 1))


def support_elsewhere(claims: Sequence[Claim], others: Sequence[Ears]) -> list[Elsewhere]:
    """For each claim, how many other clips bear it out, of those that could decide it."""
    found: list[Elsewhere] = []
    for claim in claims:
        verdicts = [verify(claim, ears).verdict for ears in others]
        decided = sum(v in (SUPPORTED, CONTRADICTED) for v in verdicts)
        found.append(Elsewhere(supported=verdicts.count(SUPPORTED), decided=decided))
    return found


def information_bits(findings: Sequence[Finding], elsewhere: Sequence[Elsewhere]) -> float:
    """Mean over the claims of the information of those that earn; the others give 0. A claim that
    is true of every sound carries nearly nothing. nan without claims or other clips."""
    if not findings or not any(e.decided for e in elsewhere):
        return math.nan if not findings or not elsewhere else 0.0
    bits = [e.bits if earns(f) else 0.0 for f, e in zip(findings, elsewhere, strict=True)]
    return max(0.0, sum(bits) / len(bits))


def lift(findings: Sequence[Finding], elsewhere: Sequence[Elsewhere]) -> float:
    """Support on the own clip minus on other clips: 0 for a thought that did not listen, and
    negative where other clips bear it out better. nan without claims that the sound could judge."""
    decided = (SUPPORTED, CONTRADICTED)
    pairs = zip(findings, elsewhere, strict=True)
    gains = [
        float(f.verdict == SUPPORTED) - e.share
        for f, e in pairs
        if f.verdict in decided and e.decided
    ]
    return sum(gains) / len(gains) if gains else math.nan


def mentions(text: str) -> tuple[int, float]:
    """(acoustic words, their share of all words): what keyword counting would see."""
    words = lexicon(language_of(text))
    acoustic = {
        "subject",
        "attribute",
        "trend",
        "more",
        "less",
        "most",
        "least",
        "unit",
        "interval",
    }
    found = [m for m in words.pattern.finditer(text) if _is_acoustic(words.meaning(m[0]), acoustic)]
    total = len(re.findall(r"\w+", text)) if words.spaces else max(1, len(text) // 2)
    return len(found), len(found) / max(1, total)


def _is_acoustic(senses: Mapping[str, str], tables: set[str]) -> bool:
    return any(t in tables or t.startswith(("quality_", "trend_")) for t in senses)


def surrogate(text: str) -> float:
    """Share of sentences that reason about a text, caption or transcript instead of the sound."""
    words = lexicon(language_of(text))
    sentences = [s for s in re.split(r"(?<=[.!?。！？])\s*", text) if s.strip()]
    if not sentences:
        return 0.0
    hits = [
        s
        for s in sentences
        if any("surrogate" in words.meaning(m[0]) for m in words.pattern.finditer(s))
    ]
    return len(hits) / len(sentences)


_OPPOSED = {("rising", "falling"), ("rising", "level"), ("falling", "level"), ("more", "less")}


def _opposite(a: Claim, b: Claim) -> bool:
    """Can the two not both hold?"""
    if (a.kind, a.attribute, a.about, a.other) != (b.kind, b.attribute, b.about, b.other):
        return _turned_round(a, b)
    if a.value == b.value:
        return a.negated != b.negated
    if a.negated or b.negated:
        return False
    if a.kind == "quality":
        return a.about.place is not None or a.attribute not in (
            "length",
            "level",
            "timbre",
            "accent",
        )
    if a.kind in ("direction", "comparison"):
        pair = (str(a.value), str(b.value))
        return pair in _OPPOSED or pair[::-1] in _OPPOSED
    return a.kind == "count" or (
        a.kind == "value" and a.about.place is not None and a.attribute != "pitch"
    )


def _miscounts(a: Claim, b: Claim) -> bool:
    """ "I hear a chirp, a horn, a chirp" against "three chirps"."""
    for one, two in ((a, b), (b, a)):
        if one.attribute == "sequence" and two.kind == "count" and isinstance(one.value, tuple):
            subject = two.about.subject
            return subject in one.value and one.value.count(subject) != two.value
    return False


def _turned_round(a: Claim, b: Claim) -> bool:
    """ "the first is higher" against "the second is higher"; "A before B" against "B before A"."""
    if a.negated or b.negated:
        return False
    if (a.kind, a.attribute) != (b.kind, b.attribute):
        return a.about.clip == b.about.clip and _miscounts(a, b)
    if a.kind == "comparison" and a.other is not None and b.other is not None:
        if a.other == REST and b.other == REST:
            return a.value == b.value and a.about != b.about
        return a.value == b.value and a.about == b.other and a.other == b.about
    if a.attribute == "before" and isinstance(a.value, tuple) and isinstance(b.value, tuple):
        return a.value == b.value[::-1]
    return False


def contradictions(claims: Sequence[Claim]) -> int:
    """Pairs of claims that cannot both hold."""
    firm = [c for c in claims if not c.hedged]
    return sum(_opposite(a, b) for i, a in enumerate(firm) for b in firm[i + 1 :])


def score(
    text: str,
    ears: Ears,
    *,
    features: Sequence[str] = (),
    answer: str = "",
    options: Sequence[str] = (),
    question: str = "",
    others: Sequence[Ears] = (),
    claims: Sequence[Claim] | None = None,
) -> tuple[Scores, list[Finding]]:
    """All scores of a thought and the findings behind them.

    `others` are other items' clips (of the same task, if there is one): without them lift and
    information are nan. A claim that the question already makes, and bare claims of several
    options, earn nothing: they are reported, and left out of the shares. `claims` stand in for the
    grammar's, where something else extracted them.
    """
    from auscult.verify.coherence import coherence

    claims = extract(text) if claims is None else claims
    findings = [verify(claim, ears) for claim in claims]
    copied = _copied(text, claims, options)
    counted = [
        f for f in distinct(findings) if not _given(f.claim, question) and f.claim not in copied
    ]
    elsewhere = support_elsewhere([f.claim for f in counted], others)
    found, ratio = mentions(text)
    coherent, why = coherence(text, claims, answer, options)
    total = len(counted)
    wrong = sum(f.verdict == CONTRADICTED for f in counted)
    return (
        Scores(
            claims=total,
            precision=precision(counted),
            coverage=coverage(counted, features),
            information_bits=information_bits(counted, elsewhere) if others else math.nan,
            lift=lift(counted, elsewhere) if others else math.nan,
            hallucination=wrong / total if total else math.nan,
            mentions=found,
            acoustic_ratio=ratio,
            surrogate=surrogate(text),
            contradictions=contradictions(claims),
            coherent=coherent,
            why_incoherent=why,
        ),
        findings,
    )


def _copied(text: str, claims: Sequence[Claim], options: Sequence[str]) -> list[Claim]:
    """Bare claims of two and more options ("I hear a bell. I hear a drum."): the options, said
    again. One option claimed is an observation."""
    words = {normalise(o) for o in options}
    bare: dict[str, list[Claim]] = {w: [] for w in words}
    for c in claims:
        said = c.about.subject if c.kind == "presence" else str(c.value)
        if c.kind in ("presence", "quality") and c.about.place is None and said in words:
            bare[said].append(c)
    alone = {
        w for w in words if re.search(rf"\bhear (?:an? |the )?{re.escape(w)}\s*\.", text.lower())
    }
    said_so = {w for w in words if bare[w]} | alone
    return [c for w in said_so for c in bare[w]] if len(said_so) > 1 else []


def _given(claim: Claim, question: str) -> bool:
    """Is the claim word for word in what was asked? Then it is no observation."""
    if not question:
        return False
    bare = replace(claim, start=0, end=0, hedged=False)
    known = extract(question.rstrip("?") + ".")
    return any(replace(c, start=0, end=0, hedged=False) == bare for c in known)
