"""The records of the verifier: what a text claims of a sound, and what the sound says to it."""

from dataclasses import dataclass, field

Value = float | str | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a claim speaks of: a thing, and where in the sound it is.

    Example: "the second bell in clip 1, between 1 and 2 s" is
        subject  "bell"     from the lexicon; "" for the clip as a whole or an unnamed sound
        clip     1          counted from 1; None where only one clip is meant
        place    2          the how-many-th sound or note of its clip; -1 the last; None for any
        span     (1., 2.)   seconds; None for the whole clip
        region   ""         "start" | "end" | "middle" | "first half" | "second half"
    """

    subject: str = ""
    clip: int | None = None
    place: int | None = None
    span: tuple[float, float] | None = None
    region: str = ""

    @property
    def at(self) -> str:
        """The place in short: "2", "last", "clip 1", "1.0-2.0", "start", or ""."""
        if self.place is not None:
            return "last" if self.place == -1 else str(self.place)
        if self.clip is not None:
            return f"clip {self.clip}"
        if self.span is not None:
            return f"{self.span[0]:.1f}-{self.span[1]:.1f}"
        return self.region


REST = Part(subject="rest")
"""The other side of a superlative: all the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement of a text that measuring the sound can bear out or not.

    Example: "I think the second note is not higher than the first." is
        kind       "comparison"   value | count | direction | comparison | presence | order | time
                                  | quality
        attribute  "pitch"
        value      "more"         number, word, list of words or True, by kind and attribute
        about      Part(place=2)
        other      Part(place=1)  comparisons only
        negated    True           `value` is then what is denied
        hedged     True
        within     0.0           half the width of a range: "3 to 4 s" is 3.5 within 0.5
        start, end 8, 51          characters of the text
    """

    kind: str
    attribute: str
    value: Value
    about: Part = field(default_factory=Part)
    other: Part | None = None
    negated: bool = False
    hedged: bool = False
    within: float = 0.0
    start: int = 0
    end: int = 0

    @property
    def key(self) -> tuple[object, ...]:
        """What is claimed, wherever it stands in the text: equal keys say the same."""
        return (self.kind, self.attribute, self.value, self.about, self.other, self.negated)


SUPPORTED, CONTRADICTED, AMBIGUOUS, UNVERIFIABLE = (
    "supported",
    "contradicted",
    "ambiguous",
    "unverifiable",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the sound says to a claim.

    Example: the claim "at 440 Hz" on a tone of 392 Hz gives
        claim     the claim
        verdict   "contradicted"     supported | contradicted | ambiguous | unverifiable
        measured  "392 Hz"           "" where nothing was measured
        tolerance "1 semitone"
        function  "pitch"            the measurement; its reliability is in the table of that name
        says      "contradicted: claimed 440 Hz, measured 392 Hz (tolerance 1 semitone)"
        span      (0.05, 0.35)       seconds of the clip that were measured
        clip      1
    """

    claim: Claim
    verdict: str
    measured: str = ""
    tolerance: str = ""
    function: str = ""
    says: str = ""
    span: tuple[float, float] | None = None
    clip: int = 1
