"""Tasks about single notes and melodies: pitch, interval, contour, counting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from auscult.audio.synth import TIMBRES, finish, lay, note_hz, note_name, tone
from auscult.gym.base import ORDINALS, counting, draft, paces, pick, rest_s, sample
from auscult.types import Audio, Fact, Item

LOWEST, HIGHEST = 60, 83  # C4 to B5: two octaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """Who plays the notes of an item, and which notes there are.

    play: (generator, MIDI numbers, level) -> the notes one after another.
    notes: from low to high; with gaps (a piano recorded in thirds) only for tasks that take `grid`.
    Example: Player(play=partial(melody, timbre="pure")) plays tones between C4 and B5.
    """

    play: Callable[[np.random.Generator, Sequence[int], int], Audio]
    notes: tuple[int, ...] = tuple(range(LOWEST, HIGHEST + 1))

    @property
    def lowest(self) -> int:
        """The lowest note."""
        return self.notes[0]

    @property
    def highest(self) -> int:
        """The highest note."""
        return self.notes[-1]

    def grid(self, rng: np.random.Generator, spread: int) -> list[int]:
        """Notes at least `spread` semitones apart, from one of the lowest `spread` on."""
        found: list[int] = []
        for midi in self.notes[int(rng.integers(spread)) :]:
            if not found or midi - found[-1] >= spread:
                found.append(midi)
        return found


ChoosePlayer = Callable[[np.random.Generator], Player]


def note_times(
    rng: np.random.Generator,
    n: int,
    length_s: tuple[float, float] = (0.22, 0.3),
    gap_s: tuple[float, float] = (0.04, 0.09),
) -> tuple[float, list[float]]:
    """(length, starts) in seconds of n notes: evenly, but for a rest now and then."""
    length, gap = rng.uniform(*length_s), rng.uniform(*gap_s)
    starts, at = [], 0.05
    for _ in range(n):
        starts.append(at)
        at += length + rest_s(rng, gap, gap)
    return length, starts


def melody(rng: np.random.Generator, midis: Sequence[int], level: int, *, timbre: str) -> Audio:
    """The notes one after another, all in one timbre."""
    length, starts = note_times(rng, len(midis))
    parts = [(t, tone(note_hz(m), length, timbre)) for t, m in zip(starts, midis, strict=True)]
    return finish(rng, lay(parts, starts[-1] + length + 0.05), level)


def any_timbre(rng: np.random.Generator) -> Player:
    """Tones of one synthetic timbre."""
    return Player(play=partial(melody, timbre=pick(rng, list(TIMBRES))))


def names(midis: list[int]) -> str:
    """[60, 64] -> "C4, E4"."""
    return ", ".join(note_name(m) for m in midis)


def hear_notes(midis: list[int]) -> str:
    """The sentence that says what is audible."""
    return f"I hear notes: {names(midis)}."


def pitch_facts(midis: list[int]) -> dict[str, Fact]:
    """note_1_hz, note_2_hz, ..."""
    return {f"note_{i}_hz": round(note_hz(m), 2) for i, m in enumerate(midis, 1)}


def semitones(low: int, high: int) -> str:
    """Two notes -> "Semitones from A4: A#4 1, B4 2, C5 3."."""
    between = [note_name(m) for m in range(low + 1, high + 1)]
    return f"Semitones {paces(note_name(low), between)}."


def _different(rng: np.random.Generator, n: int, level: int, player: Player) -> list[int]:
    """n notes at least 2 semitones apart (1 from level 2 on), in random order."""
    return sample(rng, player.grid(rng, 2 if level == 1 else 1), n)


def name_note(rng: np.random.Generator, level: int, choose: ChoosePlayer = any_timbre) -> Item:
    """Which note is played?"""
    player = choose(rng)
    # All options lie on one grid, so that none can be ruled out by its distance to the others.
    options = sample(rng, player.grid(rng, 3 if level == 1 else 1), 4)
    midi = options[0]
    return draft(
        rng,
        clips=[player.play(rng, [midi], level)],
        phrasings=("Which note is played?", "What note is this?", "Name the note."),
        options=[note_name(m) for m in options],
        answer=note_name(midi),
        facts=pitch_facts([midi]),
        features=("pitch",),
        heard=[hear_notes([midi])],
        inference=f"The note is {note_name(midi)}.",
        level=level,
    )


def note_count(rng: np.random.Generator, level: int, choose: ChoosePlayer = any_timbre) -> Item:
    """How many notes are there?"""
    player = choose(rng)
    n = int(rng.integers(2, 8)) + level - 1
    midis = _different(rng, n, level, player)
    return draft(
        rng,
        clips=[player.play(rng, midis, level)],
        phrasings=(
            "How many notes are played?",
            "Count the notes.",
            "How many notes does the melody have?",
        ),
        answer=str(n),
        facts=pitch_facts(midis) | {"notes": n},
        features=("pitch", "count"),
        heard=[hear_notes(midis)],
        inference=f"Counting: {counting(n)}.",
        level=level,
    )


def highest_note(rng: np.random.Generator, level: int, choose: ChoosePlayer = any_timbre) -> Item:
    """Which position holds the highest (or lowest) note?"""
    player = choose(rng)
    n = 3 + int(rng.integers(2)) + level - 1
    midis = _different(rng, n, level, player)
    word = pick(rng, ("highest", "lowest"))
    target = max(midis) if word == "highest" else min(midis)
    place = midis.index(target)
    passed = [f"{ORDINALS[i]} {note_name(m)}" for i, m in enumerate(midis[: place + 1])]
    return draft(
        rng,
        clips=[player.play(rng, midis, level)],
        phrasings=(
            f"Which note is the {word}?",
            f"Which of the notes is {word} in pitch?",
            f"Where in the melody is the {word} note?",
        ),
        options=ORDINALS[:n],
        answer=ORDINALS[place],
        facts=pitch_facts(midis),
        features=("pitch", "order"),
        heard=[hear_notes(midis)],
        inference=f"The {word} is {note_name(target)}. "
        f"In order: {', '.join(passed)}. So it is the {ORDINALS[place]}.",
        level=level,
    )


def pitch_direction(
    rng: np.random.Generator, level: int, choose: ChoosePlayer = any_timbre
) -> Item:
    """Is the second note higher or lower?"""
    player = choose(rng)
    midis = _different(rng, 2, level, player)
    answer = "higher" if midis[1] > midis[0] else "lower"
    return draft(
        rng,
        clips=[player.play(rng, midis, level)],
        phrasings=(
            "Is the second note higher or lower than the first?",
            "Does the pitch go to a higher or a lower note?",
            "Compared with the first note, is the second higher or lower?",
        ),
        options=("higher", "lower"),
        answer=answer,
        facts=pitch_facts(midis),
        features=("pitch",),
        heard=[hear_notes(midis)],
        inference=f"{note_name(midis[1])} is {answer} than {note_name(midis[0])}.",
        level=level,
    )


def interval(rng: np.random.Generator, level: int, choose: ChoosePlayer = any_timbre) -> Item:
    """How many semitones lie between the two notes?"""
    player = choose(rng)
    size = int(rng.integers(1, 9 if level == 1 else 13))
    low = int(rng.integers(player.lowest, player.highest - size + 1))
    midis = [low, low + size] if rng.random() < 0.5 else [low + size, low]
    return draft(
        rng,
        clips=[player.play(rng, midis, level)],
        phrasings=(
            "How many semitones lie between the two notes?",
            "How large is the interval in semitones?",
            "By how many semitones do the notes differ?",
        ),
        answer=str(size),
        facts=pitch_facts(midis) | {"interval_st": size},
        features=("pitch", "interval"),
        heard=[hear_notes(midis)],
        inference=f"{semitones(min(midis), max(midis))} "
        f"Between {note_name(min(midis))} and {note_name(max(midis))} are {size}.",
        level=level,
    )


def contour(rng: np.random.Generator, level: int, choose: ChoosePlayer = any_timbre) -> Item:
    """Which way does each step of the melody go?"""
    player = choose(rng)
    n = 3 + (level > 1)
    steps = [pick(rng, ("up", "down")) for _ in range(n)]
    jumps = [int(rng.integers(2 if level == 1 else 1, 6)) for _ in steps]
    offsets = [0]
    for step, jump in zip(steps, jumps, strict=True):
        offsets.append(offsets[-1] + (jump if step == "up" else -jump))
    # The start is chosen last and fits the melody into the range, so every contour is as likely.
    start = int(rng.integers(player.lowest - min(offsets), player.highest - max(offsets) + 1))
    midis = [start + offset for offset in offsets]
    answer = " ".join(steps)
    every = [" ".join("up" if k >> i & 1 else "down" for i in range(n)) for k in range(2**n)]
    wrong = sample(rng, [o for o in every if o != answer], 3)
    return draft(
        rng,
        clips=[player.play(rng, midis, level)],
        phrasings=(
            "How does the melody move?",
            "Which way does each step of the melody go?",
            "What is the contour of the melody?",
        ),
        options=[answer, *wrong],
        answer=answer,
        facts=pitch_facts(midis),
        features=("pitch", "contour"),
        heard=[hear_notes(midis)],
        inference=f"The steps go {answer}.",
        level=level,
    )


def count_higher(rng: np.random.Generator, level: int, choose: ChoosePlayer = any_timbre) -> Item:
    """How many later notes are higher than the first?"""
    player = choose(rng)
    n = 4 + level - 1
    ordered = sorted(_different(rng, n, level, player))
    above = int(rng.integers(n))
    first = ordered.pop(n - 1 - above)
    rest = sample(rng, ordered, n - 1)
    marks = ", ".join(f"{note_name(m)} {'higher' if m > first else 'lower'}" for m in rest)
    return draft(
        rng,
        clips=[player.play(rng, [first, *rest], level)],
        phrasings=(
            "How many notes are higher than the first?",
            "Count the notes that lie above the first note.",
            "After the first note, how many notes are higher than it?",
        ),
        answer=str(above),
        facts=pitch_facts([first, *rest]) | {"higher": above},
        features=("pitch", "count"),
        heard=[hear_notes([first, *rest])],
        inference=f"Against {note_name(first)}: {marks}. Higher: {counting(above)}.",
        level=level,
    )
