"""Which option does a free text choose? The official letter rule, and a strict one of our own."""

import re
from collections.abc import Sequence

from auscult.bench.wrappers import readings

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


def chosen_option(text: str, options: Sequence[str]) -> str | None:
    """The one option that an answer names, whatever is wrapped around it (`wrappers.readings`); the
    reading of our strict scores. None = none, or more than one."""
    found = (bare_option(reading, options) for reading in readings(text))
    return next((option for option in found if option is not None), None)


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
