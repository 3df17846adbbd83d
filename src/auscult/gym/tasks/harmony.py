"""Tasks about chords, scales, repeated melodies and instruments."""

import numpy as np

from auscult.audio.synth import TIMBRES, finish, lay, note_hz, note_name, to_level, tone
from auscult.gym.base import ORDINALS, draft, pick, sample
from auscult.gym.tasks.tones import (
    LOWEST,
    ChoosePlayer,
    any_timbre,
    hear_notes,
    names,
    pitch_facts,
    semitones,
)
from auscult.types import Item

CHORDS = {"major": (0, 4, 7), "minor": (0, 3, 7), "diminished": (0, 3, 6), "augmented": (0, 4, 8)}
SCALES = {"major": (0, 2, 4, 5, 7), "minor": (0, 2, 3, 5, 7)}


def chord_quality(rng: np.random.Generator, level: int) -> Item:
    """Major or minor (level 2: also diminished and augmented)?"""
    kinds = ["major", "minor"] if level == 1 else list(CHORDS)
    kind = pick(rng, kinds)
    root = int(rng.integers(LOWEST, LOWEST + 12))
    midis = [root + st for st in CHORDS[kind]]
    timbre = pick(rng, ("pure", "buzzy", "plucked"))
    together = sum(tone(note_hz(m), 0.6, timbre) for m in midis)
    apart = [(0.05 + 0.2 * i, tone(note_hz(m), 0.2, timbre)) for i, m in enumerate(midis)]
    x = lay([*apart, (0.7, to_level(together, -20.0))], 1.4)  # pyright: ignore[reportArgumentType]
    gaps = f"{midis[1] - midis[0]} and {midis[2] - midis[1]}"
    return draft(
        rng,
        clips=[finish(rng, x, level)],
        phrasings=(
            "What kind of chord is this?",
            "Which quality does the chord have?",
            "Is the chord " + " or ".join(kinds) + "?",
        ),
        options=kinds,
        answer=kind,
        facts=pitch_facts(midis) | {"chord": kind},
        features=("pitch", "chord"),
        heard=[f"I hear a chord: {names(midis)}."],
        inference=f"{semitones(*midis[:2])} {semitones(*midis[1:])} "
        f"The steps are {gaps}, so it is {kind}.",
        level=level,
    )


def scale_mode(rng: np.random.Generator, level: int, choose: ChoosePlayer = any_timbre) -> Item:
    """Is the five-note scale major or minor?"""
    player = choose(rng)
    kind = pick(rng, ("major", "minor"))
    root = int(rng.integers(player.lowest, player.highest - 7))
    midis = [root + st for st in SCALES[kind]]
    if level > 1:
        midis = midis[::-1]
    third = note_name(root + SCALES[kind][2])
    return draft(
        rng,
        clips=[player.play(rng, midis, level)],
        phrasings=(
            "Is the scale major or minor?",
            "What mode is this scale in?",
            "Does the scale sound major or minor?",
        ),
        options=("major", "minor"),
        answer=kind,
        facts=pitch_facts(midis) | {"mode": kind},
        features=("pitch", "mode"),
        heard=[hear_notes(midis)],
        inference=f"{semitones(root, root + SCALES[kind][2])} "
        f"The third over {note_name(root)} is {third}, so it is {kind}.",
        level=level,
    )


def melody_changed(rng: np.random.Generator, level: int, choose: ChoosePlayer = any_timbre) -> Item:
    """Two clips: is the second melody the same as the first?"""
    player = choose(rng)
    n = 3 + level - 1
    first = sample(rng, list(range(player.lowest, player.highest + 1)), n)
    second = list(first)
    changed = bool(rng.integers(2))
    where = int(rng.integers(n))
    if changed:
        shift = int(rng.integers(3 if level == 1 else 2, 7))
        second[where] += shift if second[where] + shift <= player.highest else -shift
    equal = [f"{note_name(m)} equals {note_name(m)}." for m in first]
    if changed:
        new, old = note_name(second[where]), note_name(first[where])
        found = f"{old} differs from {new}. The {ORDINALS[where]} note is {new} and not {old}."
        why = " ".join([*equal[:where], found])
    else:
        why = " ".join([*equal, "All notes are equal."])
    return draft(
        rng,
        clips=[player.play(rng, m, level) for m in (first, second)],
        phrasings=(
            "Is the second melody the same as the first or different?",
            "Are the two melodies the same or different?",
            "Same or different melody?",
        ),
        options=("same", "different"),
        answer="different" if changed else "same",
        facts={f"first_{k}": v for k, v in pitch_facts(first).items()}
        | {f"second_{k}": v for k, v in pitch_facts(second).items()},
        features=("pitch",),
        heard=[hear_notes(first), hear_notes(second)],
        inference=why,
        level=level,
    )


def instrument_order(rng: np.random.Generator, level: int) -> Item:
    """Which timbre comes at the asked position?"""
    order = sample(rng, list(TIMBRES), 3)
    base = int(rng.integers(LOWEST, LOWEST + 12))
    midis = [base + int(rng.integers(0, 1 if level == 1 else 5)) for _ in order]
    parts = [
        (0.05 + 0.45 * i, tone(note_hz(m), 0.38, timbre))
        for i, (m, timbre) in enumerate(zip(midis, order, strict=True))
    ]
    at = int(rng.integers(3))
    word = ("first", "second", "last")[at]
    return draft(
        rng,
        clips=[finish(rng, lay(parts, 1.45), level)],
        phrasings=(
            f"Which timbre does the {word} note have?",
            f"How does the {word} note sound?",
            f"What is the tone colour of the {word} note?",
        ),
        options=list(TIMBRES),
        answer=order[at],
        facts=pitch_facts(midis) | {f"timbre_{i}": t for i, t in enumerate(order, 1)},
        features=("timbre", "order"),
        heard=[f"I hear timbres: {', '.join(order)}."],
        inference=f"The {word} is {order[at]}.",
        level=level,
    )
