"""Note tasks of the gym on sampled instruments, a recorded piano and a singer."""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial

import numpy as np
from scipy.signal import tf2sos

from auscult.audio.corrupt import room
from auscult.audio.synth import SAMPLE_RATE, fade, filtered, lay
from auscult.gym.base import draft, pick, sample
from auscult.gym.recorded.task import named
from auscult.gym.tasks.tones import ChoosePlayer, Player, note_times
from auscult.real.bank import Bank, Groups, grouped, levelled
from auscult.real.fonts import Note, fonts, play
from auscult.real.programs import INSTRUMENTS, PITCHED
from auscult.real.recording import Recording
from auscult.types import Audio, Item

LOWEST = (36, 48, 60)
"""C2, C3 or C4: where the two octaves of an item begin."""

LENGTH_S, GAP_S = (0.3, 0.45), (0.08, 0.15)
"""Sampled instruments speak later than tones do and ring on."""

UNCLEAR = frozenset({10, 12, 13, 14, 22, 28, 48, 49, 50, 51, 52, 53, 54, 62, 63, 67, 74})
"""Programs whose short notes run into each other or sound an octave off in one of the fonts: fewer
than three in four melodies of four notes are found again by two trackers."""

MELODIC = tuple(p for p in PITCHED if p < 80 and p not in UNCLEAR)
"""Programs that play the notes of an item; not the pads and leads of synthesisers, some of which
take seconds to speak."""

NoteTask = Callable[[np.random.Generator, int, ChoosePlayer], Item]


def peak_filter(hz: float, db: float, width: float = 1.0) -> np.ndarray:
    """Second-order section that lifts or lowers about an octave around `hz` (Bristow-Johnson)."""
    a, w = 10 ** (db / 40), 2 * np.pi * hz / SAMPLE_RATE
    alpha = np.sin(w) * np.sinh(np.log(2) / 2 * width * w / np.sin(w))
    b = np.array([1 + alpha * a, -2 * np.cos(w), 1 - alpha * a])
    c = np.array([1 + alpha / a, -2 * np.cos(w), 1 - alpha / a])
    return np.asarray(tf2sos(b, c))


def coloured(rng: np.random.Generator, x: Audio) -> Audio:
    """Another instrument of the same kind, another microphone, for a third another room: one font
    alone teaches one font."""
    for _ in range(3):
        hz = float(np.exp(rng.uniform(np.log(120), np.log(6000))))
        x = filtered(peak_filter(hz, float(rng.uniform(-9, 9))), x)
    if rng.random() < 1 / 3:
        x = room(x, rng, float(rng.uniform(0.08, 0.18)))
    return levelled(x)


def _sampled(
    rng: np.random.Generator, midis: Sequence[int], level: int, *, bank: Bank, font: str,
    program: int,
) -> Audio:  # fmt: skip
    length, starts = note_times(rng, len(midis), LENGTH_S, GAP_S)
    velocity = int(rng.integers(75, 115))
    notes = [Note(m, t, length, velocity) for m, t in zip(midis, starts, strict=True)]
    x = play(font, program, notes, seconds=starts[-1] + length + 0.3, folder=bank.folder)
    return coloured(rng, x)


def sampled(bank: Bank, rng: np.random.Generator) -> Player:
    """Any instrument of any font of the bank's split, in two of four octaves."""
    font, program = pick(rng, fonts(bank.split)), pick(rng, MELODIC)
    low = pick(rng, LOWEST)
    return Player(
        play=partial(_sampled, bank=bank, font=font, program=program),
        notes=tuple(range(low, low + 24)),
    )


@lru_cache(maxsize=8)
def _takes(bank: Bank, source: str) -> dict[int, list[Recording]]:
    found: dict[int, list[Recording]] = {}
    for r in bank.where(lambda r: r.kind == "note" and r.source == source):
        found.setdefault(r.midi, []).append(r)
    return dict(sorted(found.items()))


def _replayed(
    rng: np.random.Generator, midis: Sequence[int], level: int, *, bank: Bank, source: str
) -> Audio:
    length, starts = note_times(rng, len(midis), LENGTH_S, GAP_S)
    parts: list[tuple[float, Audio]] = []
    for midi, at in zip(midis, starts, strict=True):
        x = bank.sound(pick(rng, _takes(bank, source)[midi]))
        parts.append((at, fade(x[: round(length * SAMPLE_RATE)], 0.02)))
    return lay(parts)


def recorded(bank: Bank, source: str, rng: np.random.Generator) -> Player:
    """Recorded notes themselves, C2 to B5."""
    known = tuple(m for m in _takes(bank, source) if 36 <= m <= 83)
    return Player(play=partial(_replayed, bank=bank, source=source), notes=known)


def on_instruments(task: NoteTask, rng: np.random.Generator, level: int, bank: Bank) -> Item:
    """A note task of the gym, played on a sampled instrument."""
    return task(rng, level, partial(sampled, bank))


def on_recordings(
    task: NoteTask, source: str, rng: np.random.Generator, level: int, bank: Bank,
    asked: Recording,
) -> Item:  # fmt: skip
    """A note task of the gym, played by recordings of single notes."""
    return task(rng, level, partial(recorded, bank, source))


@cache
def notes_of(source: str, bank: Bank) -> Groups:
    """The recorded notes of a source by name."""
    return grouped(
        bank.where(lambda r: r.source == source and 36 <= r.midi <= 83), lambda r: r.label
    )


def name_of_recorded(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Which note is it? The whole recording, at most 2 s of it."""
    others = [label for label in notes_of(asked.source, bank) if label != asked.label]
    return draft(
        rng,
        clips=[bank.sound(asked, 2.0)],
        phrasings=("Which note is played?", "What note is this?", "Name the note."),
        options=[asked.label, *sample(rng, others, 3)],
        answer=asked.label,
        facts=named([asked]) | {"midi": asked.midi},
        features=("pitch",),
        heard=[f"I hear notes: {asked.label}."],
        inference=f"The note is {asked.label}.",
        level=level,
    )


def instrument(rng: np.random.Generator, level: int, bank: Bank) -> Item:
    """Which instrument plays, of four?"""
    word, *wrong = sample(rng, list(INSTRUMENTS), 4)
    low = pick(rng, (48, 55, 60))
    midis = [low + int(m) for m in rng.integers(0, 18, int(rng.integers(3, 7)))]
    font, program = pick(rng, fonts(bank.split)), pick(rng, INSTRUMENTS[word])
    return draft(
        rng,
        clips=[_sampled(rng, midis, level, bank=bank, font=font, program=program)],
        phrasings=("Which instrument plays?", "What instrument is this?", "Name the instrument."),
        options=[word, *wrong],
        answer=word,
        facts={"instrument": word, "font": font, "program": program},
        features=("timbre",),
        heard=[f"I hear the instrument {word}."],
        inference=f"It is the {word}.",
        level=level,
    )


@cache
def phrases(bank: Bank) -> Groups:
    """Recorded phrases of the instruments that can be asked for."""
    return grouped(
        bank.where(lambda r: r.kind == "music" and r.label in INSTRUMENTS), lambda r: r.label
    )


def recorded_instrument(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Which instrument plays, in a recorded phrase?"""
    wrong = sample(rng, [word for word in INSTRUMENTS if word != asked.label], 3)
    return draft(
        rng,
        clips=[bank.sound(asked, 6.0)],
        phrasings=("Which instrument plays?", "What instrument is this?", "Name the instrument."),
        options=[asked.label, *wrong],
        answer=asked.label,
        facts=named([asked]) | {"instrument": asked.label},
        features=("timbre",),
        heard=[f"I hear the instrument {asked.label}."],
        inference=f"It is the {asked.label}.",
        level=level,
    )
