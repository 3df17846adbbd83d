"""From a text to clauses of tokens: what the grammar's rules read."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from auscult.audio.synth import NOTE_NAMES
from auscult.verify.read import numbers
from auscult.verify.read.lexicon import Lexicon, language_of, lexicon
from auscult.verify.read.masking import mask

_SENTENCE = re.compile(r"(?<=[.!?])[)\"']*\s+|\n+|(?<=[。！？])")
_CLAUSE = re.compile(
    r"\s*;\s*|\s+[—–-]{1,2}\s+|—|(?<=\s)\(|\)(?!\s*[<>=|])|(?<!anything)(?<!nothing),?\s+\b(?:but|while|"
    r"whereas|although|though|yet|however|because|since|so)\b\s+|[；，](?=但|而|却)|…|\.\.\.",
    re.IGNORECASE,
)
_NUMBER = r"(?<![A-Za-z\d_.#])[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![A-Za-z\d#]*#)"
_NOTE = (
    r"(?<![A-Za-z\d#])[A-G](?:(?:#|♯|♭|b|[\s-]sharp|[\s-]flat)\s?)?-?[0-8]"
    r"(?![A-Za-z\d.]*\d|[A-Za-z\d])"
)
_CLASS = (
    r"(?<![\w#])[A-G](?:#|♯|♭|[\s-]sharp|[\s-]flat)(?![\w#])|(?<=note )[A-G](?!\w)|"
    r"(?<=notes )[A-G](?!\w)|(?<=root )[A-G](?!\w)"
)
_KEY = (
    r"(?<![\w#])[A-G](?:#|♯|♭|b|[\s-][Ss]harp|[\s-][Ff]lat)?[\s-][Mm](?:ajor|inor)\b"
    r"(?!\s+(?:chord|triad|third|seventh|sixth))"
)
_CLIP = (
    r"\b(?:clip|recording|sample|track|take|file|excerpt|audio)\s*(?:#|no\.?\s*)?"
    r"(?:[12345]|(?<!\w)(?:[AB](?!\w)|one\b|two\b))"
)
_PLACE = (
    r"\b(?:(?:note|tone|sound|event|beep|voice|gap|speaker|click|syllable|pause|knock|beat|thump|hit|"
    r"stroke|strike|clap|bark|bell|chirp|horn|drum|whistle|pip|wait)\s+(?:#|no\.?\s*|number\s+)?|"
    r"number\s+)(?P<n>[1-8]|one|two|three|four|five|six)(?![\w.]*\d|\s*(?:hz|khz|bpm|s\b|sec|ms|db|semi|half|beats))"
)
_SPAN = (
    r"\b(?:between|from)\s+(?P<a>\d+(?:\.\d+)?)\s*(?:s|sec|seconds)?\s*(?:and|to|until|-)\s*"
    r"(?P<b>\d+(?:\.\d+)?)\s*(?:s|sec|seconds)\b"
)
_SPECIAL = re.compile(
    f"(?P<clip>{_CLIP})|(?P<key>(?-i:{_KEY}))|(?P<place>{_PLACE})|(?P<span>{_SPAN})|{numbers.FORMS}|"
    rf"(?P<note>middle C\b|(?-i:{_NOTE}|{_CLASS}))|(?P<num>{_NUMBER})",
    re.IGNORECASE,
)
_DIGITS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"}
_FLATS = {"D": "C#", "E": "D#", "G": "F#", "A": "G#", "B": "A#", "C": "B", "F": "E"}


_OTHER_NAMES = {
    "number": "sound", "pip": "beep", "thump": "drum", "hit": "sound", "stroke": "beat",
    "strike": "sound", "speaker": "voice", "event": "sound", "wait": "gap",
}  # fmt: skip


def _counted_as(text: str) -> str:
    """The subject of "note 3", "number three"."""
    first = text.split()[0].lower()
    return _OTHER_NAMES.get(first, first)


def note_of(text: str) -> str:
    """The name with a sharp: "Bb3" and "B flat 3" -> "A#3"; without octave "Bb" -> "A#"."""
    letter, octave = text[0], re.search(r"-?\d", text)
    rest = text[1:].lower()
    if "sharp" in rest or "#" in rest or "♯" in rest:
        letter += "#"
    elif "flat" in rest or "♭" in rest or rest.startswith("b"):
        letter = _FLATS[letter]
    known = {"E#": "F", "B#": "C"}
    letter = known.get(letter, letter)
    assert letter in NOTE_NAMES, letter
    return letter + (octave[0] if octave else "")


@dataclass(slots=True)
class Token:
    """A word or phrase with a meaning. Example: "higher" -> senses {"more": "pitch"}.

    `number` is set for numerals and number words, `spread` is half the width of a range ("3 to 4
    seconds"), `chunk` counts the commas before it.
    """

    text: str
    start: int
    end: int
    senses: Mapping[str, str]
    number: float | None = None
    spread: float = 0.0
    chunk: int = 0
    used: bool = False

    def get(self, table: str) -> str | None:
        """The entry of the table that the word stands for, if any; the first of several."""
        found = self.senses.get(table)
        return found.split("|")[0] if found is not None else None

    def among(self, table: str, entries: frozenset[str]) -> str | None:
        """The first of the word's entries in the table that is one of these."""
        return next((e for e in self.senses.get(table, "").split("|") if e in entries), None)

    def is_word(self, entry: str) -> bool:
        """Is it the small word `entry` (table `word`)?"""
        return self.senses.get("word") == entry


@dataclass(slots=True)
class Clause:
    """One statement: its tokens, and the clip that an earlier label ("Clip 2:") put in force.

    Example: "the second is higher than the first" has tokens second, higher, than, first.
    """

    text: str
    start: int
    tokens: list[Token]
    lexicon: Lexicon
    clip: int | None = None
    sentence: list["Clause"] = field(default_factory=list)

    def between(self, a: Token, b: Token) -> str:
        """The text between two tokens."""
        return self.text[a.end - self.start : b.start - self.start]

    def having(self, table: str, entry: str | None = None, *, used: bool = False) -> list[Token]:
        """Tokens with a sense in the table (a given entry of it), used ones only when asked."""
        found = [t for t in self.tokens if t.get(table) is not None and (used or not t.used)]
        return found if entry is None else [t for t in found if t.senses[table] == entry]

    def nearest(
        self, at: Token, table: str, among: frozenset[str] | None = None, *, reach: int = 80
    ) -> Token | None:
        """The closest token with a sense in the table; one that follows counts as a bit further."""
        best, least = None, float(reach)
        for t in self.tokens:
            entry = t.get(table) if among is None else t.among(table, among)
            if t is at or entry is None:
                continue
            far = at.start - t.end if t.start < at.start else 1.3 * (t.start - at.end) + 4
            if far < least:
                best, least = t, far
        return best


def _special(m: re.Match[str], offset: int) -> Token:
    """A token with a value of its own: clip label, numbered note, span, note name, number."""
    senses: dict[str, str] = {}
    number = None
    if m["clip"]:
        name = re.split(r"[\s#.]+", m[0].upper())[-1]
        senses = {"clip": {"A": "1", "B": "2", "ONE": "1", "TWO": "2"}.get(name, name[-1])}
    elif m["key"]:
        name, mode = m[0][:-6], m[0][-5:].lower()
        senses = {"key": f"{note_of(name)} {mode}"}
    elif m["place"]:
        senses = {
            "ordinal": _DIGITS.get(m["n"].lower(), m["n"]),
            "subject": _counted_as(m[0]),
        }
    elif m["span"]:
        senses = {"span": f"{m['a']} {m['b']}"}
    elif (form := numbers.read(m)) is not None:
        return Token(m[0], offset + m.start(), offset + m.end(), *form)
    elif m["note"]:
        senses = {"note": "C4" if m[0].lower() == "middle c" else note_of(m[0])}
    else:
        text = m[0].replace(",", "").replace("−", "-")
        number = float(text) if len(text) <= 12 else None  # longer: no quantity, but noise
    return Token(m[0], offset + m.start(), offset + m.end(), senses, number)


def _tokens(text: str, offset: int, lexicon: Lexicon) -> list[Token]:
    found: list[Token] = []
    blank = list(text)
    for m in _SPECIAL.finditer(text):
        if m["note"] and not m[0][0].isupper() and m[0].lower() != "middle c":
            continue
        found.append(_special(m, offset))
        if "moment" in found[-1].senses:  # its seconds are not written
            found.append(Token("", offset + m.end(), offset + m.end(), {"unit": "s"}))
        blank[m.start() : m.end()] = "\x00" * len(m[0])
    for m in lexicon.pattern.finditer("".join(blank)):
        senses = lexicon.meaning(m[0])
        word = senses.get("number")
        number = float(word) if word is not None else None
        found.append(Token(m[0], offset + m.start(), offset + m.end(), senses, number))
    found.sort(key=lambda t: t.start)
    for t in found:
        t.chunk = len(re.findall(r"[,，、](?!\d{3})", text[: t.start - offset]))
    return found


def _pieces(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    at = 0
    for m in pattern.finditer(text):
        if text[at : m.start()].strip():
            yield at, text[at : m.start()]
        at = m.end()
    if text[at:].strip():
        yield at, text[at:]


_EXCEPT = re.compile(
    r"\b(?:no|nothing|none|nobody)\b.*\b(?:other than|except|besides|apart from|without)\b", re.I
)
"""Exceptions to a denial: what is denied and what is not takes more than these rules."""

LONGEST = 500
"""Characters of a clause. Text without any full stop is cut at spaces: rules look at all pairs of
words, which would take minutes on a page in one clause."""


def _short(pieces: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for at, piece in pieces:
        while len(piece) > LONGEST:
            cut = piece.rfind(" ", 1, LONGEST) + 1 or LONGEST
            yield at, piece[:cut]
            at, piece = at + cut, piece[cut:]
        yield at, piece


_LABEL = re.compile(rf"\s*({_CLIP}|(?:first|second)\s+(?:clip|recording))\s*:", re.IGNORECASE)


def clauses(text: str, language: str = "") -> Iterator[Clause]:
    """The statements of a text, in order; questions, quotations and conditions are left out.
    `language`: of all of it; without one each sentence has its own."""

    def words(part: str) -> Lexicon:
        return lexicon(language or language_of(part))

    for at, sentence in _pieces(mask(text, words), _SENTENCE):
        label = _LABEL.match(sentence)
        clip: int | None = None
        if label:
            name = label[1].lower()
            clip = 1 if name.startswith("first") or name.endswith(("1", "a", "one")) else 2
        group: list[Clause] = []
        for shift, piece in _short(_pieces(sentence, _CLAUSE)):
            tokens = _tokens(piece, at + shift, words(sentence))
            if any(t.is_word("if") for t in tokens) or _EXCEPT.search(piece):
                continue
            group.append(Clause(piece, at + shift, tokens, words(sentence), clip))
        for clause in group:
            clause.sentence = group
            yield clause
