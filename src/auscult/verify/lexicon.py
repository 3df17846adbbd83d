"""Words and what they can mean: lexicons as data, one file per language beside this module."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

LANGUAGES = ("en", "zh", "ko")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words of one language.

    Example: `senses["higher"]` is {"more": "pitch"}; `senses["steady"]` names a trend, a quality of
    tremor and more, and the rules choose by what stands beside the word.
        pattern   finds the longest form at each place; `any_of` for forms with a wildcard
    """

    language: str
    spaces: bool
    than: str
    negation: str
    senses: Mapping[str, Mapping[str, str]]
    stems: tuple[tuple[str, Mapping[str, str]], ...]
    pattern: re.Pattern[str]

    def meaning(self, form: str) -> Mapping[str, str]:
        """The senses of a matched form: {table: entry}."""
        form = re.sub(r"\s+", " ", form.lower())
        if form in self.senses:
            return self.senses[form]
        return next((s for stem, s in self.stems if form.startswith(stem)), {})


def _regex(form: str, spaces: bool) -> str:
    stem = re.escape(form.rstrip("*")).replace(r"\ ", r"\s+")
    if not spaces:
        return stem
    tail = r"[a-z]*" if form.endswith("*") else ""
    left = r"(?<![\w#'’])" if form[0].isalnum() else ""
    right = r"(?![\w#])" if form[-1].isalnum() or tail else ""
    return left + stem + tail + right


@lru_cache(maxsize=len(LANGUAGES))
def lexicon(language: str = "en") -> Lexicon:
    """Read once. Raises `ValueError` for a language without a file."""
    if language not in LANGUAGES:
        raise ValueError(f"no lexicon for {language!r}; there are {', '.join(LANGUAGES)}")
    text = (files("auscult.verify") / "lexicon" / f"{language}.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    about = tables.pop("language")
    senses: dict[str, dict[str, str]] = {}
    for table, entries in tables.items():
        for entry, forms in entries.items():
            for form in forms:
                known = senses.setdefault(form.lower(), {})
                # One word may name several properties ("difference"): all are kept, first first.
                known[table] = f"{known[table]}|{entry}" if table in known else entry
    stems = sorted((f for f in senses if f.endswith("*")), key=len, reverse=True)
    ordered = sorted(senses, key=lambda f: (len(f.rstrip("*")), not f.endswith("*")), reverse=True)
    found = "|".join(_regex(form, about["spaces"]) for form in ordered)
    return Lexicon(
        language=language,
        spaces=about["spaces"],
        than=about["than"],
        negation=about["negation"],
        senses={f: s for f, s in senses.items() if not f.endswith("*")},
        stems=tuple((f[:-1], senses[f]) for f in stems),
        pattern=re.compile(found, re.IGNORECASE),
    )


def language_of(text: str) -> str:
    """By script: Hangul is Korean, Han characters Chinese, all else English."""
    if re.search(r"[\uac00-\ud7af]", text):
        return "ko"
    return "zh" if re.search(r"[\u4e00-\u9fff]", text) else "en"
