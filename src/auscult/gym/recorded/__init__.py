"""Tasks with real sound: recordings of people, effects and instruments, notes of soundfonts.

The same records, chains, twins and scores as the synthetic gym. They need `make real-sound`. The
split is that of the sources: no held-out voice, font or recording is ever heard in training.
"""

from functools import lru_cache, partial

import numpy as np

from auscult.gym.recorded import events, mixtures, notes, pieces, voices, words
from auscult.gym.recorded.task import Played, Recorded, dealt, drawn
from auscult.gym.tasks import harmony, reason, tones
from auscult.real.bank import Bank, bank
from auscult.real.fonts import NoSound
from auscult.real.recording import Recording, Split
from auscult.types import Item


def _notes(task: notes.NoteTask) -> Played:
    return Played(ask=partial(notes.on_instruments, task))


def _single(task: notes.NoteTask, source: str) -> Recorded:
    return Recorded(
        ask=partial(notes.on_recordings, task, source),
        pool=partial(notes.notes_of, source),
        splits=("heldout",),
    )


def _named(source: str) -> Recorded:
    pool = partial(notes.notes_of, source)
    return Recorded(ask=notes.name_of_recorded, pool=pool, splits=("heldout",))


PIANO, SINGER = "salamander", mixtures.SINGER

RECORDED: dict[str, Recorded | Played] = {
    # what is said
    "real_digit": Recorded(ask=words.digit, pool=words.digits),
    "real_largest_digit": Recorded(ask=words.largest_digit, pool=words.digits),
    "real_said": Recorded(ask=words.said, pool=words.prompts),
    "real_transcript": Recorded(ask=words.transcript, pool=words.prompts),
    "real_word_first": Recorded(ask=words.word_first, pool=words.prompts),
    "real_language": Recorded(ask=words.language, pool=words.languages),
    # who says it, and how
    "real_register": Recorded(ask=voices.register, pool=voices.registers),
    "real_who_higher": Recorded(ask=voices.who_higher, pool=voices.pitched),
    "real_same_speaker": Recorded(ask=voices.same_speaker, pool=voices.voices),
    "real_speaker_count": Recorded(ask=voices.speaker_count, pool=voices.voices),
    "real_who_faster": Recorded(ask=voices.who_faster, pool=voices.timed),
    "real_noisier": Recorded(ask=voices.noisier, pool=voices.voices),
    # effects
    "real_event_name": Recorded(ask=events.name, pool=events.classes),
    "real_known": Recorded(ask=events.known, pool=events.known_or_not),
    "real_animal": Recorded(ask=events.animal, pool=events.animals),
    "real_event_count": Recorded(ask=events.count, pool=events.hits),
    "real_loudest": Recorded(ask=events.loudest, pool=events.hits),
    "real_kind": Recorded(ask=events.kind, pool=events.kinds),
    "real_behind": Recorded(ask=mixtures.behind, pool=mixtures.lasting),
    "real_spoken_or_sung": Recorded(ask=mixtures.spoken_or_sung, pool=voices.voices),
    # notes of sampled instruments
    "real_name_note": _notes(tones.name_note),
    "real_note_count": _notes(tones.note_count),
    "real_highest_note": _notes(tones.highest_note),
    "real_pitch_direction": _notes(tones.pitch_direction),
    "real_interval": _notes(tones.interval),
    "real_contour": _notes(tones.contour),
    "real_count_higher": _notes(tones.count_higher),
    "real_scale_mode": _notes(harmony.scale_mode),
    "real_melody_changed": _notes(harmony.melody_changed),
    "real_sort_tones": _notes(reason.sort_tones),
    "real_instrument": Played(ask=notes.instrument),
    "real_key": Played(ask=pieces.key),
    "real_form": Played(ask=pieces.form),
    # notes and phrases that were recorded, held out whole
    "piano_name_note": _named(PIANO),
    "piano_note_count": _single(tones.note_count, PIANO),
    "piano_highest_note": _single(tones.highest_note, PIANO),
    "piano_pitch_direction": _single(tones.pitch_direction, PIANO),
    "sung_name_note": _named(SINGER),
    "sung_note_count": _single(tones.note_count, SINGER),
    "sung_highest_note": _single(tones.highest_note, SINGER),
    "sung_pitch_direction": _single(tones.pitch_direction, SINGER),
    "recorded_instrument": Recorded(
        ask=notes.recorded_instrument, pool=notes.phrases, splits=("heldout",)
    ),
}
"""Every task with real sound by name."""

PLAYED_QUESTIONS = 200
"""Held-out questions of a task whose notes are rendered anew for each."""

_TRIES = 20


@lru_cache(maxsize=128)
def _held_out(task: str, store: Bank) -> tuple[Recording, ...]:
    found = RECORDED[task]
    assert isinstance(found, Recorded)
    return tuple(dealt(found.pool(store)))


def held_out_count(task: str) -> int:
    """How many held-out questions a task has: every recording once."""
    if isinstance(RECORDED[task], Played):
        return PLAYED_QUESTIONS
    return len(_held_out(task, bank("heldout")))


def make_recorded(
    task: str, rng: np.random.Generator, *, index: int, split: Split, level: int
) -> Item:
    """An item, bare. In the held-out split the index says which recording is asked about; from the
    last on they begin again. In training one is drawn, every answer or voice as likely.

    Raises `ValueError` for a task whose recordings are all on the other side of the split and
    `RealSoundError` without real sound.
    """
    found = RECORDED[task]
    if split not in found.splits:
        raise ValueError(f"{task} is made of held-out recordings alone; split {split} has none")
    store = bank(split)
    if isinstance(found, Played):
        return _played(found, rng, level, store)
    if split == "heldout":
        every = _held_out(task, store)
        return _asked(found, rng, level, store, every[index % len(every)])
    return _asked(found, rng, level, store, drawn(rng, found.pool(store)))


def _played(task: Played, rng: np.random.Generator, level: int, store: Bank) -> Item:
    """Drawn anew where an instrument has none of the notes.

    Raises the last `NoSound` where that happens twenty times: a font without sound.
    """
    for _ in range(_TRIES - 1):
        try:
            return task.ask(rng, level, store)
        except NoSound:
            continue
    return task.ask(rng, level, store)


def _asked(
    task: Recorded, rng: np.random.Generator, level: int, store: Bank, recording: Recording
) -> Item:
    """Drawn anew where no other recording fits the one that is asked about."""
    for _ in range(_TRIES):
        try:
            return task.ask(rng, level, store, recording)
        except LookupError:
            continue
    return _asked(task, rng, level, store, drawn(rng, task.pool(store)))
