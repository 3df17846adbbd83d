"""Does the answer follow? Arithmetic, comparisons and counts of a thought, computed again."""

import re
from collections.abc import Callable, Sequence

from auscult.audio.synth import NOTE_NAMES
from auscult.gym.score import normalise
from auscult.verify.claims import Claim
from auscult.verify.read.text import note_of

_SUM = re.compile(
    r"(?<![\w.])(-?\d+(?:\.\d+)?)\s*([-+−*x×·/÷])\s*(-?\d+(?:\.\d+)?)\s*(?:=|equals|is|gives|makes)\s*"
    r"(-?\d+(?:\.\d+)?)"
)
_ORDER = re.compile(
    r"(?<![\w.])(-?\d+(?:\.\d+)?)\s*(?:Hz|s|dB|BPM)?\s*(?:is\s+)?"
    r"(>|<|greater than|less than|smaller than|larger than|higher than|lower than|above|below|"
    r"more than)\s*"
    r"(-?\d+(?:\.\d+)?)"
)
_NOTE = r"([A-G](?:#|b|♯|♭)?\d)"
_NOTES = re.compile(
    rf"\b{_NOTE}\s+(?:is|lies|sits|comes out)\s+(higher than|lower than|above|below)\s+{_NOTE}"
)
_SAME = re.compile(rf"\b{_NOTE}\s+(equals|differs from)\s+{_NOTE}")
_SEMITONES = re.compile(rf"\bsemitones? from {_NOTE}:((?:,?\s*{_NOTE}\s+\d+)+)", re.IGNORECASE)
_PARITY = re.compile(r"(?<![\w.])(\d+)\s+is\s+(?:an?\s+)?(even|odd)")
_RUN = re.compile(r"(?:\b1, 2(?:, \d+)*)")
_BIGGER = (">", "greater than", "larger than", "higher than", "above", "more than")


def _midi(name: str) -> int:
    sharp = note_of(name)
    return NOTE_NAMES.index(sharp.rstrip("-0123456789")) + 12 * int(sharp[-1])


def _compute(a: float, sign: str, b: float) -> float | None:
    if sign in "+":
        return a + b
    if sign in "-−":
        return a - b
    if sign in "*x×·":
        return a * b
    return a / b if b else None


def _sums(m: re.Match[str]) -> bool:
    value = _compute(float(m[1]), m[2], float(m[3]))
    return value is not None and abs(value - float(m[4])) <= max(0.025 * abs(value), 1e-6) + 0.001


def _semitones(m: re.Match[str]) -> bool:
    passed = re.findall(rf"{_NOTE}\s+(\d+)", m[2])
    return all(_midi(name) - _midi(m[1]) == int(n) for name, n in passed)


def _runs(m: re.Match[str]) -> bool:
    numbers = [int(n) for n in m[0].split(", ")]
    return numbers == list(range(1, len(numbers) + 1))


STEPS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    (_SUM, _sums),
    (_ORDER, lambda m: (float(m[1]) > float(m[3])) == (m[2] in _BIGGER)),
    (_NOTES, lambda m: (_midi(m[1]) > _midi(m[3])) == (m[2] in ("higher than", "above"))),
    (_SAME, lambda m: (_midi(m[1]) == _midi(m[3])) == (m[2] == "equals")),
    (_SEMITONES, _semitones),
    (_PARITY, lambda m: (int(m[1]) % 2 == 0) == (m[2] == "even")),
    (_RUN, _runs),
)
"""How a step is written -> does it hold? A sum may be off by the rounding of its terms (2.5 %)."""


def wrong_steps(text: str) -> list[str]:
    """The steps that are false whatever the sound: sums, comparisons of numbers and of note names,
    semitones counted, parity, and counting that skips."""
    return [m[0] for form, holds in STEPS for m in form.finditer(text) if not holds(m)]


_CONCLUSION = re.compile(
    r"\b(?:so|therefore|thus|hence|that is|the answer is|which means|it is)\b", re.I
)


def _denied_answer(text: str, answer: str, options: Sequence[str]) -> str:
    """The option that the last sentence concludes with, if it is another one than the answer."""
    last = [s for s in re.split(r"(?<=[.!?])\s+", text.strip()) if s][-1:]
    if not last or not options:
        return ""
    said = [o for o in options if re.search(rf"(?<![\w#]){re.escape(o)}(?![\w#])", last[0], re.I)]
    # "rising then falling" holds "falling": the longest option said is meant.
    said = [o for o in said if not any(o != p and o.lower() in p.lower() for p in said)]
    if len(said) == 1 and normalise(said[0]) != normalise(answer) and _CONCLUSION.search(last[0]):
        return said[0]
    return ""


def _last_number(text: str) -> str:
    """What the last sentence comes to: "1 - 1 = 0." or "Counting clap: 1, 2."."""
    last = ([s for s in re.split(r"(?<=[.!?])\s+", text.strip()) if s] or [""])[-1]
    m = re.search(r"(?:=|:|are|is|total of|makes)\s*((?:\d+, )*-?\d+)\W*$", last)
    return m[1].split(", ")[-1] if m else ""


def coherence(
    text: str, claims: Sequence[Claim], answer: str = "", options: Sequence[str] = ()
) -> tuple[bool, str]:
    """(coherent, why not). False for a wrong step of arithmetic or logic, for two claims that
    contradict each other, and for an answer that is not what the thought concludes. Without an
    answer only the thought itself is looked at."""
    from auscult.verify.scores import contradictions

    wrong = wrong_steps(text)
    if wrong:
        return False, f"this step is false: {wrong[0]!r}"
    if contradictions(claims):
        return False, "two claims contradict each other"
    if not answer:
        return True, ""
    other = _denied_answer(text, answer, options)
    if other:
        return False, f"the thought concludes {other!r}, the answer is {answer!r}"
    number = _last_number(text)
    if number and re.fullmatch(r"-?\d+", normalise(answer)) and number != normalise(answer):
        return False, f"the thought comes to {number}, the answer is {answer!r}"
    return True, ""
