"""The token matcher of MMAU and MMAR, and the three ways in which a lettered answer is scored.

The matcher wants the option's text: with options shown as "A. ...", an answer of "B" alone is
wrong under it. So one answer gets three scores: `official_raw` (the matcher on the reply as it
is), `official` (the matcher after a letter was replaced by the text it stands for: our headline)
and `letter_parse` (only the letter counts). Rule: github Sakshi113/MMAU and ddlBoJack/MMAR,
`evaluation.py`.
"""

import re
from collections.abc import Sequence

from auscult.bench.letters import bare_option, chosen_option
from auscult.bench.question import Answer, Mark, Question

_ALONE = re.compile(r"\(?([A-Za-z])\)?[.:]?")
_FIRST = re.compile(r"(?:\(([A-Z])\)|([A-Z])[).:])(?=\s|$)")
_WITHIN = re.compile(r"\(([A-Z])\)|\b(?i:answer|option|choice)(?: is)?[:\s]+([A-Z])(?=[).:,]|\s*$)")


def tokens(text: str) -> set[str]:
    """The words of a text: lower case, each once, in no order. A run of Chinese is one word."""
    return set(re.findall(r"\w+", text.lower()))


def string_match(answer: str, prediction: str, options: Sequence[str]) -> bool:
    """Official: every word of the answer is said, and no word that only other options have.

    An option with the answer's words in another order is no other option, so it counts as right.
    An empty prediction is wrong. An answer without words ("+") is right for any that says no word
    of another option.
    """
    said, wanted = tokens(prediction), tokens(answer)
    banned = set[str]().union(*map(tokens, options)) - wanted
    return bool(said) and wanted <= said and not said & banned


def letter_to_text(reply: str, options: Sequence[str]) -> str:
    """The text of the one option that the reply names by its letter or text ("B", "(B) A dog",
    "The answer is B."); any other reply as it is."""
    return bare_option(reply, options) or reply


def lettered_option(reply: str, options: Sequence[str]) -> str | None:
    """The option whose letter the reply gives, whatever text stands beside it: alone or first, else
    the only one given as "(B)" or after "answer is". None = none, several, or one not shown.

    The text of an option ("F. Smith") is no letter, unless it is a single one. No guess is made.
    """
    reply = re.sub(r"[*`]", "", reply).strip()
    if len(reply) > 1 and any(reply == option.strip() for option in options):
        return None
    match = _ALONE.fullmatch(reply) or _FIRST.match(reply)
    found = [match] if match else list(_WITHIN.finditer(reply))
    letters = {next(g for g in m.groups() if g).upper() for m in found}
    place = ord(letters.pop()) - ord("A") if len(letters) == 1 else -1
    return options[place] if 0 <= place < len(options) else None


def mark_choice(question: Question, answer: Answer) -> Mark:
    """All scores of one answer to a question with an answer.

    official = the matcher after the letter map; strict = the one option that was named is right;
    parts: `official_raw` and `letter_parse`, 0 or 1 each.
    """
    right, options = question.answers[0], question.options
    choice = chosen_option(answer.text, options)
    lettered = lettered_option(answer.text, options)
    mapped = letter_to_text(answer.text, options)
    return Mark(
        official=float(string_match(right, mapped, options)),
        strict=float(choice == right),
        parsed=choice is not None,
        answer=choice or "",
        parts={
            "official_raw": float(string_match(right, answer.text, options)),
            "letter_parse": float(lettered == right),
        },
        why="" if choice is not None else "no single option was named: matched by words alone",
    )
