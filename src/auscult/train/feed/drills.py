"""Listening drills: dense scenes that are only described, never asked about.

Eight notes in two seconds teach the ear more per second of computing than two notes do. They exist
for pretraining alone; held-out results never use them.
"""

import numpy as np

from auscult.gym.base import DIGITS, draft, pick, sample
from auscult.gym.tasks.events import NAMES, hear_events, sequence
from auscult.gym.tasks.speech import channel, manner, words_apart
from auscult.gym.tasks.tones import HIGHEST, LOWEST, any_timbre, hear_notes
from auscult.types import Audio, Item, Task

WORDS: tuple[str, ...] = (*DIGITS, "plus", "minus", "above", "below")


def _drill(rng: np.random.Generator, clip: Audio, heard: str, level: int) -> Item:
    return draft(
        rng, clips=[clip], phrasings=("",), answer="", facts={}, features=(), heard=[heard],
        inference="", level=level,
    )  # fmt: skip


def notes(rng: np.random.Generator, level: int) -> Item:
    """Five to eight notes."""
    midis = [int(m) for m in rng.integers(LOWEST, HIGHEST + 1, int(rng.integers(5, 9)))]
    return _drill(rng, any_timbre(rng).play(rng, midis, level), hear_notes(midis), level)


def sounds(rng: np.random.Generator, level: int) -> Item:
    """Four to seven events of mostly different classes."""
    names = [pick(rng, NAMES) for _ in range(int(rng.integers(4, 8)))]
    return _drill(rng, sequence(rng, names, level), hear_events(names), level)


def words(rng: np.random.Generator, level: int) -> Item:
    """Three or four spoken words."""
    chosen = sample(rng, WORDS, 3 + int(rng.integers(2)))
    x = channel(rng, words_apart(chosen, manner(rng)), level)
    return _drill(rng, x, f'I hear the words "{" ".join(chosen)}".', level)


DRILLS: dict[str, Task] = {"notes": notes, "sounds": sounds, "words": words}
