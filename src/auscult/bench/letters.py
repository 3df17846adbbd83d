"""Which option does a free text choose? The official letter rule, and a strict one of our own."""

import re
from collections.abc import Sequence
from itertools import islice

from auscult.bench.announced import denies, withdrawn
from auscult.bench.wrappers import readings, wrapped

_LETTER = re.compile(r"\(?([A-Za-z])\s*[).:]\s*(.*)", re.S)


def outer_letter(text: str) -> str | None:
    """The rule of AIR-Bench and MMSU: the first character if it is one of ABCD, else the last but
    one. "Actually, no" chooses A. None = neither."""
    text = text.strip().replace("\n", "")
    if text and text[0] in "ABCD":
        return text[0]
    if len(text) > 1 and text[-2] in "ABCD":
        return text[-2]
    return None


def _plain(text: str) -> str:
    """Lower case, single spaces, no marks around it."""
    return re.sub(r"\s+", " ", re.sub(r"[*`]", "", text).strip().lower()).strip(" .,!;:\"'")


_BOTH = re.compile(
    r"(?P<before>.+?)\s*\((?P<after>[A-Z])\)|\(?(?P<first>[A-Z])\)?\s*[-–—]\s+(?P<text>.+)"
)
_CUT = re.compile(
    r"[.!]\)?\s+|\s*\n+\s*|,?\s+(?=(?:since|because|as|given|due)\b)"
    r"|,\s+(?=(?:for|in|which|it|this|there)\b)",
    re.I,
)
"""Where an explanation may begin."""
_MOST_CUTS = 4
_LISTED = re.compile(r"(?:^|[\n,;]\s*)\(?[A-J][.):]\s")
"""One option after the other: a list, no explanation."""


def chosen_option(text: str, options: Sequence[str]) -> str | None:
    """The one option that an answer names, whatever is wrapped around it (`wrappers.readings`) and
    whatever explanation follows it; the reading of our strict scores. None = none, or several."""
    whole = [option for option in options if option.strip() == text.strip()]
    if whole:
        return whole[0]
    given = [option for option in options if _plain(option) == _plain(text)]
    if given:
        return given[0] if len(set(given)) == 1 else None
    found = (_option_of(reading, options) for reading in readings(text))
    return next((option for option in found if option is not None), None)


def _option_of(text: str, options: Sequence[str]) -> str | None:
    return bare_option(text, options) or _both(text, options) or _explained(text, options)


def _both(text: str, options: Sequence[str]) -> str | None:
    """ "Cat (B)", "B - Cat": letter and text, which must agree."""
    match = _BOTH.fullmatch(text.strip())
    if match is None:
        return None
    place = ord(match["after"] or match["first"]) - ord("A")
    said = _plain(match["before"] or match["text"])
    return options[place] if place < len(options) and _plain(options[place]) == said else None


def _explained(text: str, options: Sequence[str]) -> str | None:
    """The option before an explanation that names no other one and takes nothing back."""
    for cut in islice(_CUT.finditer(text), _MOST_CUTS):
        head, rest = text[: cut.start()], text[cut.end() :]
        if wrapped(rest) or withdrawn(head, rest) or _LISTED.search(rest):
            continue
        named = (bare_option(r, options) or _both(r, options) for r in readings(head))
        option = next((o for o in named if o is not None), None)
        if option is not None:
            return option if _agrees(rest, option, options) else None
    return None


def _agrees(rest: str, option: str, options: Sequence[str]) -> bool:
    """Does the sentence after an answer name no other option, or the chosen one, too?"""
    sentence = _plain(re.split(r"[.!?]\s|\n", rest)[0])

    def names(other: str) -> bool:
        return re.search(rf"(?<!\w){re.escape(_plain(other))}(?!\w)", sentence) is not None

    return names(option) or not any(map(names, options))


def bare_option(text: str, options: Sequence[str]) -> str | None:
    """The one option that a short answer names, by text, by letter ("B", "(B)", "B.") or by both,
    which must agree; a lead-in ("The answer is B.") is allowed. None = none, or more than one.

    An option's text wins over a letter of the same name.
    """
    text = re.sub(r"[*`]", "", text).strip()
    lead = re.compile(r"(so |therefore,? )?(the )?(correct |right |final )?(answer|option|choice)"
                      r"( is|:)[: ]*", re.I)  # fmt: skip
    text = lead.sub("", text, count=1) if lead.match(text) else text
    given = _plain(text)
    same = [o for o in options if _plain(o) == given]
    if same:
        return same[0] if len(set(same)) == 1 else None
    if re.fullmatch(r"\(?[A-Za-z]\)?\.?", text.strip()):
        place = ord(given.strip("()")) - ord("a")
        return options[place] if 0 <= place < len(options) else None
    match = _LETTER.fullmatch(text)
    if match is None:
        return None
    place = ord(match[1].lower()) - ord("a")
    agrees = 0 <= place < len(options) and _plain(match[2]) == _plain(options[place])
    return options[place] if agrees else None


_STATED = re.compile(
    r"(?i:\b(?:answer|option|choice)\b(?: is| would be|:)*)[\s:]*\(?([A-D])"
    r"(?=\)|\s*(?:[.,:;]|$)| (?i:is|because)\b(?! not\b| incorrect\b| wrong\b))"
)
_NAMED = re.compile(r"(?<!not )\(([A-D])\)|(?<![\w.'])(?<!not )([A-D])(?=[.):](?:\s|$))")


def clear_letter(reply: str) -> str | None:
    """Our own, stricter reading: the whole reply is a letter; or it says which letter is the answer
    and names one; or it names only one; whatever is wrapped around it. None = none, or several."""
    return next(filter(None, map(_clear_letter, readings(reply))), None)


def _clear_letter(reply: str) -> str | None:
    plain = re.sub(r"[*`\"'_\\]", "", reply).strip()
    first, _, rest = plain.partition("\n")
    whole = re.fullmatch(r"\(?([A-Da-d])\)?[.,:]?", first.strip())
    if whole and not (withdrawn(first, rest) or _STATED.search(rest) or _NAMED.search(rest)):
        return whole[1].upper()
    if denies(reply):
        return None
    found = list(_STATED.finditer(plain)) or list(_NAMED.finditer(plain))
    letters = {match[match.lastindex or 0] for match in found}
    if len(letters) != 1 or withdrawn(letter := letters.pop(), plain[found[-1].end() :]):
        return None
    return letter
