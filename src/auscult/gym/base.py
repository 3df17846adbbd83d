"""Small helpers that every task uses: phrasing, options, words for positions and counts."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from auscult.types import Audio, Fact, Item

T = TypeVar("T")

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def pick(rng: np.random.Generator, values: Sequence[T]) -> T:
    """One of `values`, uniformly."""
    return values[int(rng.integers(len(values)))]


def sample(rng: np.random.Generator, values: Sequence[T], n: int) -> list[T]:
    """n different ones of `values`, in random order."""
    return [values[int(i)] for i in rng.permutation(len(values))[:n]]


def shuffled(rng: np.random.Generator, options: Sequence[str]) -> tuple[str, ...]:
    """The options in random order, so that no position is favoured."""
    return tuple(options[int(i)] for i in rng.permutation(len(options)))


def rest_s(rng: np.random.Generator, low: float, high: float) -> float:
    """A silence between two sounds: mostly within the two ends (s), for one in five up to 1 s."""
    return float(rng.uniform(low, high) if rng.random() < 0.8 else rng.uniform(high, 1.0))


def counting(n: int) -> str:
    """3 -> "1, 2, 3": counting aloud turns one hard step into n easy ones."""
    return ", ".join(str(i) for i in range(1, n + 1)) if n else "0"


def paces(start: str, reached: Sequence[str]) -> str:
    """("A4", ["A#4", "B4"]) -> "from A4: A#4 1, B4 2": each pace beside its number, so that
    neither the next name nor the last number has to be known at once."""
    return f"from {start}: " + ", ".join(f"{name} {i}" for i, name in enumerate(reached, 1))


def draft(
    rng: np.random.Generator,
    *,
    clips: Sequence[Audio],
    phrasings: Sequence[str],
    answer: str,
    facts: Mapping[str, Fact],
    features: Sequence[str],
    heard: Sequence[str],
    inference: str,
    level: int,
    options: Sequence[str] = (),
) -> Item:
    """An item without its key and task name, which `gym.make` fills in."""
    return Item(
        key="",
        task="",
        clips=tuple(clips),
        question=pick(rng, phrasings),
        options=shuffled(rng, options),
        answer=answer,
        facts=dict(facts),
        features=tuple(features),
        heard=tuple(heard),
        inference=inference,
        level=level,
    )
