"""Tasks with spoken words (extra `[speech]`): digits, spoken arithmetic and spoken logic."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from auscult.audio.speech import VOICES, Manner, say
from auscult.audio.synth import band_noise, filtered, finish, lay, reverberate, to_level
from auscult.gym.base import DIGITS, draft, paces, pick, rest_s, sample
from auscult.types import Audio, Item

PITCHES = (25, 50, 75)
RATES = (140, 175, 210)
# Few exact manners, so that the words can be remembered; `channel` makes them differ.


@lru_cache(maxsize=6000)
def spoken(text: str, manner: Manner) -> Audio:
    """`say`, remembered: switching espeak-ng's voice costs 20 ms."""
    return say(text, manner)


def manner(rng: np.random.Generator) -> Manner:
    """A random speaker."""
    return Manner(
        voice=pick(rng, VOICES), pitch=pick(rng, PITCHES), range=50, rate=pick(rng, RATES)
    )


def channel(rng: np.random.Generator, x: Audio, level: int) -> Audio:
    """Speaker size, microphone and room: what makes the same voice sound like many.

    Speed (and with it the resonances) by up to 12 %, a spectral tilt, a telephone band for a
    third of the clips, a small room for a third, then noise by level.
    """
    factor = rng.uniform(0.88, 1.12)
    x = np.interp(np.arange(0, len(x) - 1, factor), np.arange(len(x)), x).astype(np.float32)
    tilt = rng.uniform(-0.5, 0.5)
    x = filtered([[1, -tilt, 0, 1, 0, 0]], x)
    if rng.random() < 0.35:
        telephone = (
            [[0.3, 0.5, 0.2, 1, 0, 0]] if rng.random() < 0.5 else [[0.2, 0.4, 0.2, 1, -0.2, 0]]
        )
        x = filtered(telephone, x)
    if rng.random() < 0.33:
        x = reverberate(rng, x, rng.uniform(0.1, 0.25))
    x = to_level(x, rng.uniform(-24, -18))
    if rng.random() < 0.3:
        x = (
            x
            + to_level(band_noise(rng, len(x) / 16000, 100, 3500), rng.uniform(-55, -42))[: len(x)]
        )
    return finish(rng, lay([(rng.uniform(0.02, 0.1), x)], len(x) / 16000 + 0.15), level)


GAP_S = 0.08
"""Shortest silence between two words."""


def words_apart(words: Sequence[str], who: Manner, gaps_s: Sequence[float] = ()) -> Audio:
    """Words one after another, each spoken alone, with short gaps or those given."""
    parts: list[tuple[float, Audio]] = []
    at = 0.0
    for word, gap_s in zip(words, gaps_s or [GAP_S] * len(words), strict=True):
        x = spoken(word, who)
        parts.append((at, x))
        at += len(x) / 16000 + gap_s
    return lay(parts)


def _utter(rng: np.random.Generator, words: Sequence[str], who: Manner, level: int) -> Audio:
    gaps_s = [rest_s(rng, GAP_S, GAP_S) for _ in words]
    return channel(rng, words_apart(words, who, gaps_s), level)


def speaker_facts(who: Manner) -> dict[str, str | int]:
    """The voice's parameters, in espeak-ng's units."""
    return {"voice": who.voice, "voice_pitch": who.pitch, "voice_rate_wpm": who.rate}


def spoken_digit(rng: np.random.Generator, level: int) -> Item:
    """Which digit is spoken?"""
    n, who = int(rng.integers(10)), manner(rng)
    return draft(
        rng,
        clips=[_utter(rng, [DIGITS[n]], who, level)],
        phrasings=(
            "Which digit is spoken?",
            "What number does the voice say?",
            "Which number is said?",
        ),
        answer=str(n),
        facts=speaker_facts(who) | {"words": DIGITS[n]},
        features=("words",),
        heard=[f'I hear the words "{DIGITS[n]}".'],
        inference=f"That is {n}.",
        level=level,
    )


def largest_digit(rng: np.random.Generator, level: int) -> Item:
    """Which of the spoken digits is the largest or smallest?"""
    numbers, who = sample(rng, list(range(10)), 3 + (level > 1)), manner(rng)
    word = pick(rng, ("largest", "smallest"))
    result = max(numbers) if word == "largest" else min(numbers)
    text = " ".join(DIGITS[n] for n in numbers)
    return draft(
        rng,
        clips=[_utter(rng, text.split(), who, level)],
        phrasings=(
            f"Which of the spoken numbers is the {word}?",
            f"What is the {word} number that is said?",
            f"Of the digits you hear, which is {word}?",
        ),
        answer=str(result),
        facts=speaker_facts(who) | {"words": text},
        features=("words",),
        heard=[f'I hear the words "{text}".'],
        inference=f"The numbers are {', '.join(map(str, numbers))}. The {word} is {result}.",
        level=level,
    )


def spoken_arithmetic(rng: np.random.Generator, level: int) -> Item:
    """Solve a spoken sum or difference."""
    a, b, who = int(rng.integers(10)), int(rng.integers(10)), manner(rng)
    if rng.random() < 0.5:
        word, sign, result = "plus", "+", a + b
        reached = range(a + 1, result + 1)
    else:
        a, b = max(a, b), min(a, b)
        word, sign, result = "minus", "-", a - b
        reached = range(a - 1, result - 1, -1)
    text = f"{DIGITS[a]} {word} {DIGITS[b]}"
    steps = f"In ones {paces(str(a), [str(n) for n in reached])}. " if b else ""
    return draft(
        rng,
        clips=[_utter(rng, text.split(), who, level)],
        phrasings=(
            "Solve the spoken problem.",
            "What is the result of the spoken sum?",
            "Compute what is said.",
        ),
        answer=str(result),
        facts=speaker_facts(who) | {"words": text},
        features=("words",),
        heard=[f'I hear the words "{text}".'],
        inference=f"{steps}{a} {sign} {b} = {result}.",
        level=level,
    )


def spoken_logic(rng: np.random.Generator, level: int) -> Item:
    """Is the spoken statement true?"""
    a, b = sample(rng, list(range(10)), 2)
    word = pick(rng, ("above", "below"))
    who = manner(rng)
    true = (a > b) == (word == "above")
    text = f"{DIGITS[a]} {word} {DIGITS[b]}"
    return draft(
        rng,
        clips=[_utter(rng, text.split(), who, level)],
        phrasings=(
            "Is the spoken statement true?",
            "Is what the voice says true?",
            "True or not: is it so?",
        ),
        options=("yes", "no"),
        answer="yes" if true else "no",
        facts=speaker_facts(who) | {"words": text},
        features=("words",),
        heard=[f'I hear the words "{text}".'],
        inference=f"{a} is {'above' if a > b else 'below'} {b}, so {'yes' if true else 'no'}.",
        level=level,
    )
