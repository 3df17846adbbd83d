"""Is an answer right? One normalisation and one comparison for every gym task."""

import re

from auscult.types import Item

_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_TEENS = (
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
)  # fmt: skip
_NUMBER_WORDS = {word: str(i) for i, word in enumerate((*_UNITS, *_TEENS))}


def normalise(text: str) -> str:
    """Lower case, single spaces, no closing punctuation, number words as digits.

    "  The answer is: Four. " -> "4"; "B. lower" keeps its letter, see `score_answer`.
    """
    text = re.sub(r"\s+", " ", text.strip().lower()).strip(" .,!;:\"'")
    text = re.sub(r"^(so |therefore )?(the )?answer( is|:)[: ]*", "", text).strip(" .,!;:\"'")
    return _NUMBER_WORDS.get(text, text)


def score_answer(item: Item, text: str) -> float:
    """1.0 for the true answer, 0.0 otherwise. With options, the option's text, its letter in the
    order shown ("B"), or both ("B. lower") are accepted; letter and text must then agree. An empty
    answer, two answers or an answer with other words around it score 0."""
    given, truth = normalise(text), normalise(item.answer)
    if given == truth:
        return 1.0
    if not item.options:
        return 0.0
    shown = [normalise(option) for option in item.options]
    match = re.fullmatch(r"\(?([a-z])[.):]?(?: (.*))?", given)
    if (
        match is None
        or given in shown
        or ((rest := match[2]) and not re.match(r"\(?[a-z][.):]", given))
    ):
        return 0.0
    place = ord(match[1]) - ord("a")
    if place >= len(shown) or (rest and normalise(rest) != shown[place]):
        return 0.0
    return float(shown[place] == truth)


def distractors(item: Item) -> list[str]:
    """Wrong answers: the other options, or the neighbouring numbers of an open count."""
    if item.options:
        return [o for o in item.options if o != item.answer]
    return [str(int(item.answer) + d) for d in (-2, -1, 1, 2) if int(item.answer) + d >= 0]
