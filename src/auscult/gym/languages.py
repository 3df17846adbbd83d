"""Every question of the gym in Chinese, Spanish and German: the sound stays, the words change.

`languages.json` maps each English wording to its translations. A wording may hold slots for names
of sounds: {sound} and {other} for one ("knock"), {sounds} and {others} for many ("knocks"). These
names stay English, in quotation marks, as do options and answers: they are labels. The translations
have not been reviewed by native speakers.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from auscult.audio.synth import EVENTS, PLURAL

LANGUAGES = ("zh", "es", "de")
"""Codes of ISO 639-1."""

SLOTS: dict[str, tuple[str, ...]] = {
    "sound": tuple(EVENTS),
    "other": tuple(EVENTS),
    "sounds": tuple(PLURAL.values()),
    "others": tuple(PLURAL.values()),
}
"""What may stand in each slot."""


@lru_cache(maxsize=1)
def wordings() -> Mapping[str, Mapping[str, str]]:
    """English wording -> language -> translation, slots in braces.

    Example: wordings()["How many {sounds} are there?"]["es"] == "¿Cuántos «{sounds}» hay?".
    """
    return json.loads((files("auscult.gym") / "languages.json").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """(pattern with one named group per slot, wording)."""
    found: list[tuple[re.Pattern[str], str]] = []
    for wording in wordings():
        pattern = re.escape(wording)
        for slot, values in SLOTS.items():
            pattern = pattern.replace(rf"\{{{slot}\}}", f"(?P<{slot}>{'|'.join(values)})")
        found.append((re.compile(pattern), wording))
    return tuple(found)


def matches(question: str) -> list[tuple[str, dict[str, str]]]:
    """Every (wording, slot -> value) that the question is an instance of: one, or none at all."""
    return [
        (wording, match.groupdict())
        for pattern, wording in _patterns()
        if (match := pattern.fullmatch(question))
    ]


def translated(question: str, language: str) -> str:
    """The question of a gym item in another language.

    Example: translated("How many knocks are there?", "de") == "Wie viele „knocks“ gibt es?".
    Raises `ValueError` for a language or a wording that is not known.
    """
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}; expected one of {', '.join(LANGUAGES)}")
    found = matches(question)
    if not found:
        raise ValueError(
            f"no translation of {question!r}; add its wording to src/auscult/gym/languages.json"
        )
    wording, values = found[0]
    return wordings()[wording][language].format(**values)
