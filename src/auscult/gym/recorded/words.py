"""Tasks about what is said, in recordings of people: digits, words, short prompts, languages."""

import re
from functools import cache

import numpy as np

from auscult.gym.base import DIGITS, draft, pick, sample
from auscult.gym.recorded.task import another, in_turn, named
from auscult.real.bank import Bank, Groups, grouped
from auscult.real.recording import Recording
from auscult.types import Item

LANGUAGES = {
    "en": "English", "es": "Spanish", "fr": "French", "it": "Italian", "ru": "Russian",
    "zh": "Mandarin", "ca": "Catalan", "lt": "Lithuanian",
}  # fmt: skip
"""Languages that have voices of their own on both sides of the split."""

LONGEST_S = 4.0
WORDS = (1, 5)
"""How many words a short prompt has."""


def plain(text: str) -> str:
    """ "Two wild boars!" -> "two wild boars"."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def _english(r: Recording) -> bool:
    return r.kind == "speech" and r.language == "en" and r.exact


@cache
def digits(bank: Bank) -> Groups:
    """English digits, by digit."""
    return grouped(bank.where(lambda r: _english(r) and r.digit != ""), lambda r: r.digit)


@cache
def _by_voice(bank: Bank) -> Groups:
    return grouped(bank.where(lambda r: _english(r) and r.digit != ""), lambda r: r.speaker)


@cache
def prompts(bank: Bank) -> Groups:
    """Short English prompts, by voice; those of a synthesiser by its source."""
    low, high = WORDS

    def fits(r: Recording) -> bool:
        known = _english(r) and not r.digit and r.seconds <= LONGEST_S
        return known and low <= len(plain(r.text).split()) <= high and len(plain(r.text)) > 1

    return grouped(bank.where(fits), lambda r: r.speaker or r.source)


@cache
def languages(bank: Bank) -> Groups:
    """Speech in the languages that can be asked for, by language and voice."""

    def fits(r: Recording) -> bool:
        return r.kind == "speech" and r.language in LANGUAGES and bool(r.speaker)

    return grouped(bank.where(fits), lambda r: f"{r.language} {r.speaker}")


def _heard(text: str) -> str:
    return f'I hear the words "{text}".'


def digit(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Which digit is spoken?"""
    return draft(
        rng,
        clips=[bank.sound(asked)],
        phrasings=(
            "Which digit is spoken?",
            "What number does the voice say?",
            "Which number is said?",
        ),
        answer=asked.digit,
        facts=named([asked]) | {"words": DIGITS[int(asked.digit)]},
        features=("words",),
        heard=[_heard(DIGITS[int(asked.digit)])],
        inference=f"That is {asked.digit}.",
        level=level,
    )


def largest_digit(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Three digits of one voice: which is the largest, which the smallest?"""
    own = [r for r in _by_voice(bank)[asked.speaker] if r.digit != asked.digit]
    chosen = [asked]
    while len(chosen) < 3 + (level > 1):
        taken = {r.digit for r in chosen}
        chosen.append(another(rng, own, lambda r, taken=taken: r.digit not in taken))
    chosen = sample(rng, chosen, len(chosen))
    numbers = [int(r.digit) for r in chosen]
    word = pick(rng, ("largest", "smallest"))
    result = max(numbers) if word == "largest" else min(numbers)
    text = " ".join(DIGITS[n] for n in numbers)
    return draft(
        rng,
        clips=[in_turn(rng, [bank.sound(r) for r in chosen])],
        phrasings=(
            f"Which of the spoken numbers is the {word}?",
            f"What is the {word} number that is said?",
            f"Of the digits you hear, which is {word}?",
        ),
        answer=str(result),
        facts=named(chosen) | {"words": text},
        features=("words",),
        heard=[_heard(text)],
        inference=f"The numbers are {', '.join(map(str, numbers))}. The {word} is {result}.",
        level=level,
    )


def _others(rng: np.random.Generator, bank: Bank, asked: Recording, n: int) -> list[Recording]:
    """n prompts with other words, as many of them of the same voice as there are."""
    groups = prompts(bank)
    among = groups[asked.speaker]
    if len({plain(r.text) for r in among}) <= n:
        among = [r for group in groups.values() for r in group]
    found = [asked]
    while len(found) <= n:
        taken = {plain(r.text) for r in found}
        found.append(another(rng, among, lambda r, taken=taken: plain(r.text) not in taken))
    return found[1:]


def said(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """What is said, of two or four?"""
    text = plain(asked.text)
    wrong = [plain(r.text) for r in _others(rng, bank, asked, pick(rng, (1, 3)))]
    return draft(
        rng,
        clips=[bank.sound(asked)],
        phrasings=("What is said?", "Which words are spoken?", "What does the voice say?"),
        options=[text, *wrong],
        answer=text,
        facts=named([asked]) | {"words": text},
        features=("words",),
        heard=[_heard(text)],
        inference=f'The words are "{text}".',
        level=level,
    )


def transcript(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """What is said, in the listener's own words?"""
    text = plain(asked.text)
    return draft(
        rng,
        clips=[bank.sound(asked)],
        phrasings=("Write down what is said.", "Transcribe the words.", "Which words are said?"),
        answer=text,
        facts=named([asked]) | {"words": text},
        features=("words",),
        heard=[_heard(text)],
        inference=f'The words are "{text}".',
        level=level,
    )


def word_first(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Two prompts of one voice: which comes first?"""
    pair = sample(rng, [asked, *_others(rng, bank, asked, 1)], 2)
    texts = [plain(r.text) for r in pair]
    a, b = sample(rng, texts, 2)
    return draft(
        rng,
        clips=[in_turn(rng, [bank.sound(r) for r in pair])],
        phrasings=(
            f'Which comes first, "{a}" or "{b}"?',
            f'What is said first, "{a}" or "{b}"?',
            f'Does "{a}" or "{b}" come first?',
        ),
        options=texts,
        answer=texts[0],
        facts=named(pair) | {"words": " ".join(texts)},
        features=("words", "order"),
        heard=[_heard(", ".join(texts))],
        inference=f'First comes "{texts[0]}".',
        level=level,
    )


def language(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Which of five languages is spoken?"""
    answer = LANGUAGES[asked.language]
    wrong = sample(rng, [name for name in LANGUAGES.values() if name != answer], 4)
    return draft(
        rng,
        clips=[bank.sound(asked, 6.0)],
        phrasings=(
            "Which language is spoken?",
            "What language does the voice speak?",
            "In which language is this said?",
        ),
        options=[answer, *wrong],
        answer=answer,
        facts=named([asked]) | {"language": answer},
        features=("language",),
        heard=[f"I hear a voice that speaks {answer}."],
        inference=f"The language is {answer}.",
        level=level,
    )
