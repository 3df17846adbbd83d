"""Numbers as people write them: fractions, ranges, clock times, the first two seconds."""

import re
from collections.abc import Callable, Mapping

WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "couple of": 2,
}  # fmt: skip

_N = r"\d+(?:\.\d+)?"
_WORD = r"one|two|three|four|five|six|seven|eight|nine|ten"
_ANY = rf"(?:{_N}|{_WORD})"
_SECONDS = r"(?:s|sec|secs|seconds)\b"
_CLOCK = r"\d{1,2}:\d{2}(?:\.\d+)?"
_MEASURED = (
    r"(?=\s*-?\s*(?:k?hz|hertz|bpm|beats|m?s\b|sec|milli|db|lufs|semi|cents?|octave|wpm|words|times|"
    r"notes?|tones?|knocks?|claps?|barks?|beeps?|clicks?|bells?|drums?|horns?|chirps?|sounds?|"
    r"voices?|speakers?|pauses?|syllables?))"
)

FORMS = (
    rf"(?P<clocks>\[?\b(?P<c1>{_CLOCK})\s*(?:[-–—~]|to|and|until)\s*(?P<c2>{_CLOCK})\b\]?)|"
    rf"(?P<clock>\[?\b(?P<c0>{_CLOCK})\b\]?)|"
    rf"(?P<numbered>\bseconds?\s+(?P<s1>{_N})\s*(?:[-–—~]|to|and|until|through)\s*(?:second\s+)?"
    rf"(?P<s2>{_N})\b)|"
    rf"(?P<opening>\b(?:first|opening|initial)\s+(?P<o1>{_ANY}|couple of)\s*{_SECONDS})|"
    rf"(?P<ending>\b(?:last|final|closing)\s+(?:{_ANY}|couple of|few)\s*{_SECONDS})|"
    rf"(?P<range>(?<![\w.#:])(?P<r1>{_ANY})\s*(?:-|–|—|~|to|or)\s*(?P<r2>{_ANY}){_MEASURED})|"
    rf"(?P<both>\bbetween\s+(?P<b1>{_N})\s*and\s*(?P<b2>{_N})(?=\s*(?:k?hz|hertz|bpm|db)))|"
    rf"(?P<around>(?<![\w.#:])(?P<a1>{_N})\s*(?:±|\+/-|plus or minus)\s*(?P<a2>{_N}))|"
    rf"(?P<half>(?<![\w.])(?P<h1>{_ANY})\s+and\s+a\s+half\b)|"
    r"(?P<one_half>\ban?(?=\s+(?:second|octave|minute)s?\s+and\s+a\s+half\b))|"
    r"(?P<fraction>\b(?:half\s+(?:of\s+)?an?(?=\s+(?:sec|oct|min))|a\s+quarter\s+of\s+an?|"
    r"three[- ]quarters\s+of\s+an?))"
)
"""Alternatives of a pattern; `read` says what a match of one of them stands for."""

Form = tuple[Mapping[str, str], float | None, float]
"""(senses, number, spread)."""


def value(text: str) -> float:
    """ "3", "0:07" and "three" as a number."""
    text = text.lower()
    if ":" in text:
        minutes, seconds = text.split(":")
        return 60 * int(minutes) + float(seconds)
    return float(WORDS[text]) if text in WORDS else float(text)


def read(m: re.Match[str]) -> Form | None:
    """What a match of `FORMS` stands for; None for another match. Of a range whose ends are the
    wrong way round ("3 to 1") nothing is sure."""
    return next((form(m) for name, form in _READ.items() if m[name]), None)


def _span(a: float, b: float) -> Form:
    return {"span": f"{min(a, b):g} {max(a, b):g}"}, None, 0.0


def _range(a: float, b: float) -> Form:
    if a >= b:
        return {}, None, 0.0
    return {}, (a + b) / 2, (b - a) / 2


def _fraction(m: re.Match[str]) -> Form:
    kind = m["fraction"].lower()
    return {}, 0.75 if "three" in kind else 0.25 if "quarter" in kind else 0.5, 0.0


_READ: dict[str, Callable[[re.Match[str]], Form]] = {
    "clocks": lambda m: _span(value(m["c1"]), value(m["c2"])),
    "clock": lambda m: ({"moment": "1"}, value(m["c0"]), 0.0),
    "numbered": lambda m: _span(value(m["s1"]), value(m["s2"])),
    "opening": lambda m: _span(0.0, value(m["o1"])),
    "ending": lambda _: ({"part": "end"}, None, 0.0),
    "range": lambda m: _range(value(m["r1"]), value(m["r2"])),
    "both": lambda m: _range(value(m["b1"]), value(m["b2"])),
    "around": lambda m: ({}, value(m["a1"]), value(m["a2"])),
    "half": lambda m: ({}, value(m["h1"]) + 0.5, 0.0),
    "one_half": lambda _: ({}, 1.5, 0.0),
    "fraction": _fraction,
}
