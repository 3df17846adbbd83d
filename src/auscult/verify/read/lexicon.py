"""Words and what they can mean: lexicons as data, one file per language beside this module."""

import re
import tomllib
from collections.abc import Iterable, Mapping
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


def _escaped(text: str) -> str:
    return re.escape(text).replace(r"\ ", r"\s+")


def _tail(form: str, spaces: bool) -> str:
    """What follows the first two characters of a form."""
    rest = _escaped(form.rstrip("*")[2:])
    if not spaces:
        return rest
    letters = r"[a-z]*" if form.endswith("*") else ""
    right = r"(?![\w#])" if form[-1].isalnum() or letters else ""
    return rest + letters + right


def _pattern(forms: Iterable[str], spaces: bool) -> re.Pattern[str]:
    """The longest form at each place. Grouped by their first two characters: an alternation of
    three thousand forms, tried one by one at every letter, would take most of the time."""
    longest = sorted(forms, key=lambda f: (len(f.rstrip("*")), not f.endswith("*")), reverse=True)
    groups: dict[str, list[str]] = {}
    for form in longest:
        groups.setdefault(form[:2].rstrip("*"), []).append(_tail(form, spaces))
    parts: list[str] = []
    for start in sorted(groups, key=len, reverse=True):  # a form of one letter comes last
        left = r"(?<![\w#'’])" if spaces and start[0].isalnum() else ""
        parts.append(f"{left}{_escaped(start)}(?:{'|'.join(groups[start])})")
    return re.compile("|".join(parts), re.IGNORECASE)


@lru_cache(maxsize=len(LANGUAGES))
def lexicon(language: str = "en") -> Lexicon:
    """Read once. Raises `ValueError` for a language without a file."""
    if language not in LANGUAGES:
        raise ValueError(f"no lexicon for {language!r}; there are {', '.join(LANGUAGES)}")
    text = (files("auscult.verify.read") / "lexicon" / f"{language}.toml").read_text(
        encoding="utf-8"
    )
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
    return Lexicon(
        language=language,
        spaces=about["spaces"],
        than=about["than"],
        negation=about["negation"],
        senses={f: s for f, s in senses.items() if not f.endswith("*")},
        stems=tuple((f[:-1], senses[f]) for f in stems),
        pattern=_pattern(senses, about["spaces"]),
    )


_SCRIPTS = {"ko": r"[\uac00-\ud7af]", "zh": r"[\u4e00-\u9fff]"}


def language_of(text: str) -> str:
    """By script: where a quarter of the letters are Hangul it is Korean, of Han characters Chinese,
    all else English, in which a name or a word may be written in another script."""
    letters = max(1, len(re.findall(r"[^\W\d_]", text)))
    shares = {name: len(re.findall(script, text)) / letters for name, script in _SCRIPTS.items()}
    return next((name for name, share in shares.items() if share >= 0.25), "en")
