"""What a task with recordings is: what can be asked about, and how it is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from auscult.audio.synth import lay
from auscult.gym.base import pick
from auscult.real.bank import Bank, Groups
from auscult.real.recording import Recording, Split
from auscult.types import Audio, Fact, Item

SEED = 12
"""Of the order in which held-out recordings are asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A task that asks about recordings.

    ask: (generator, level, bank, the recording that is asked about) -> item.
    pool: what can be asked about, by answer or by voice, so that none is drawn more often for
        having more recordings; cached. The held-out split asks about each recording once.
    splits: where it exists; some sound is held out whole.
    """

    ask: Callable[[np.random.Generator, int, Bank, Recording], Item]
    pool: Callable[[Bank], Groups]
    splits: tuple[Split, ...] = ("train", "heldout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A task whose notes are rendered anew for each item, by the fonts of the split."""

    ask: Callable[[np.random.Generator, int, Bank], Item]
    splits: tuple[Split, ...] = ("train", "heldout")


def dealt(groups: Groups) -> list[Recording]:
    """Every recording once, one of each group in turn: shuffled, and the same every time."""
    rng = np.random.default_rng(SEED)
    columns = [[g[int(i)] for i in rng.permutation(len(g))] for g in groups.values()]
    return [r for row in zip_longest(*columns) for r in row if r is not None]


def drawn(rng: np.random.Generator, groups: Groups) -> Recording:
    """One of a group that is drawn first, so that all groups are as likely."""
    return pick(rng, groups[pick(rng, list(groups))])


def in_turn(rng: np.random.Generator, clips: Sequence[Audio]) -> Audio:
    """Clips one after another with 0.3 to 0.8 s between them."""
    parts: list[tuple[float, Audio]] = []
    at = 0.0
    for x in clips:
        parts.append((at, x))
        at += len(x) / 16000 + float(rng.uniform(0.3, 0.8))
    return lay(parts)


def named(recordings: Sequence[Recording]) -> dict[str, Fact]:
    """The recordings of an item as facts: what their question must not be counted twice for."""
    facts: dict[str, Fact] = {}
    for i, recording in enumerate(recordings, 1):
        facts[f"recording_{i}"] = recording.key
        if recording.speaker:
            facts[f"speaker_{i}"] = recording.speaker
    return facts


def another(
    rng: np.random.Generator, among: Sequence[Recording], fits: Callable[[Recording], bool]
) -> Recording:
    """One of `among` that fits, drawn evenly from them.

    Raises `LookupError` where none does; `recorded.make` then draws anew.
    """
    for _ in range(40):
        if fits(found := pick(rng, among)):
            return found
    every = [r for r in among if fits(r)]
    if not every:
        raise LookupError("no recording fits")
    return pick(rng, every)
