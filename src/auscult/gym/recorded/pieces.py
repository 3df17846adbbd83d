"""Tasks about whole pieces, played on sampled instruments: key, form."""

import numpy as np

from auscult.audio.synth import NOTE_NAMES
from auscult.gym.base import draft, pick, sample
from auscult.gym.recorded.notes import coloured
from auscult.real.bank import Bank
from auscult.real.fonts import Note, fonts, play
from auscult.types import Item

CHORDS = {
    "major": ((0, 4, 7), (5, 9, 12), (7, 11, 14)),
    "minor": ((0, 3, 7), (5, 8, 12), (7, 11, 14)),
}
"""First, fourth and fifth chord of a key, in semitones above its tonic; a minor key too has the
major fifth."""

CADENCES = ((0, 1, 2, 0), (0, 2, 1, 2, 0), (0, 1, 0, 2, 0))
FORMS = ("AABA", "ABAB", "AABB", "ABBA", "ABAC", "ABCA")
PROGRAMS = (0, 4, 6, 21, 24, 25, 40, 48, 56, 60, 68, 71, 73)
"""Instruments that play chords and tunes alike."""

PIANO = 0


def key(rng: np.random.Generator, level: int, bank: Bank) -> Item:
    """In which key do these chords end? Two of the wrong keys are near: the same tonic, and a fifth
    away."""
    tonic, mode = int(rng.integers(12)), pick(rng, list(CHORDS))
    name, other = NOTE_NAMES[tonic], "minor" if mode == "major" else "major"
    answer = f"{name} {mode}"
    near = [f"{name} {other}", f"{NOTE_NAMES[(tonic + 7) % 12]} {mode}"]
    far = [f"{n} {m}" for n in NOTE_NAMES for m in CHORDS if f"{n} {m}" not in (answer, *near)]
    cadence, beat = pick(rng, CADENCES), float(rng.uniform(0.5, 0.8))
    notes = [
        Note(48 + tonic + step, i * beat, beat * (1.6 if i == len(cadence) - 1 else 0.95), 90)
        for i, place in enumerate(cadence)
        for step in CHORDS[mode][place]
    ]
    seconds = (len(cadence) + 1) * beat
    x = play(pick(rng, fonts(bank.split)), PIANO, notes, seconds=seconds, folder=bank.folder)
    roots = [NOTE_NAMES[(tonic + CHORDS[mode][place][0]) % 12] for place in cadence]
    return draft(
        rng,
        clips=[coloured(rng, x)],
        phrasings=(
            "In which key are the chords?",
            "What is the key of the music?",
            "Which key do the chords end in?",
        ),
        options=[answer, *near, pick(rng, far)],
        answer=answer,
        facts={"key": answer, "chords": " ".join(roots)},
        features=("pitch", "key"),
        heard=[f"I hear chords on {', '.join(roots)}; the last is {mode}."],
        inference=f"Home is {name}, {mode}, so the key is {answer}.",
        level=level,
    )


def form(rng: np.random.Generator, level: int, bank: Bank) -> Item:
    """How do four phrases follow each other: AABA, ABAB, ...?"""
    answer, *wrong = sample(rng, FORMS, 4)
    beat, low = float(rng.uniform(0.22, 0.32)), int(rng.integers(55, 67))
    tunes: dict[str, list[int]] = {}
    for letter in sorted(set(answer)):
        # Each phrase has its own register of half an octave, so that no two are alike.
        shift = 6 * len(tunes)
        tunes[letter] = [low + shift + int(m) for m in rng.permutation(6)[:4]]
    notes = [
        Note(midi, (5 * i + k) * beat, beat * 0.9, 90)
        for i, letter in enumerate(answer)
        for k, midi in enumerate(tunes[letter])
    ]
    seconds = 20 * beat + 0.3
    font, program = pick(rng, fonts(bank.split)), pick(rng, PROGRAMS)
    x = play(font, program, notes, seconds=seconds, folder=bank.folder)
    return draft(
        rng,
        clips=[coloured(rng, x)],
        phrasings=(
            "Which form do the four phrases have?",
            "How do the four phrases follow each other?",
            "What is the form of the music?",
        ),
        options=[answer, *wrong],
        answer=answer,
        facts={"form": answer, "phrase_s": 5 * beat},
        features=("pitch", "form"),
        heard=[f"I hear phrases: {' '.join(answer)}."],
        inference=f"So the form is {answer}.",
        level=level,
    )
