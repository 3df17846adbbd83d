"""The proof that an answer is in the sound: every task's answer, found again in the samples.

Nothing here reads an item's answer, caption, inference or the facts that hold the truth; spoken
tasks use the facts that say who speaks, because they match the engine's own words.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from auscult import gym
from auscult.gym.proof import music, sounds, voices, words
from auscult.gym.recorded.proofs import PROOFS
from auscult.gym.score import score_answer
from auscult.types import Audio, Item

REDERIVE: dict[str, Callable[[Item], str]] = {
    "name_note": music.name_note,
    "note_count": music.note_count,
    "highest_note": music.highest_note,
    "pitch_direction": music.pitch_direction,
    "interval": music.interval,
    "contour": music.contour,
    "count_higher": music.count_higher,
    "chord_quality": music.chord_quality,
    "scale_mode": music.scale_mode,
    "melody_changed": music.melody_changed,
    "instrument_order": music.instrument_order,
    "tempo": music.tempo,
    "tempo_change": music.tempo_change,
    "meter": music.meter,
    "dynamics": music.dynamics,
    "gap_compare": music.gap_compare,
    "anything_there": sounds.anything_there,
    "event_name": sounds.event_name,
    "event_count": sounds.event_count,
    "count_among": sounds.count_among,
    "event_order": sounds.event_order,
    "absent_sound": sounds.absent_sound,
    "longest_sound": music.longest_sound,
    "loudest_sound": music.loudest_sound,
    "background": words.background,
    "noisier_clip": sounds.noisier_clip,
    "bigger_room": sounds.bigger_room,
    "approach": sounds.approach,
    "engine_speed": sounds.engine_speed,
    "event_arithmetic": sounds.event_arithmetic,
    "more_of_which": sounds.more_of_which,
    "even_or_odd": sounds.even_or_odd,
    "rule_following": sounds.rule_following,
    "sort_tones": music.sort_tones,
    "voice_register": voices.voice_register,
    "intonation": voices.intonation,
    "liveliness": voices.liveliness,
    "who_higher": voices.who_higher,
    "which_vowel": voices.which_vowel,
    "tremor": voices.tremor,
    "breathiness": voices.breathiness,
    "spoken_digit": words.spoken_digit,
    "largest_digit": words.largest_digit,
    "spoken_arithmetic": words.spoken_arithmetic,
    "spoken_logic": words.spoken_logic,
    "manner_question": voices.manner_question,
    "manner_mood": voices.manner_mood,
    "manner_tremor": voices.manner_tremor,
    "conflict_count": words.conflict_count,
    "conflict_whisper": words.conflict_whisper,
    "conflict_pitch": words.conflict_pitch,
    "conflict_rate": words.conflict_rate,
    "conflict_background": words.conflict_background,
}
"""For every task of the gym, the answer measured in the item's clips."""


PEAK = 0.5
"""To which the loudest clip of an item is brought before it is measured."""


def sounding(x: Audio) -> Audio:
    """x without the stretches at its ends in which nothing moves, and without its mean."""
    moves = np.abs(x - x[0]) > 1e-6, np.abs(x - x[-1]) > 1e-6
    if not moves[0].any():
        return np.zeros_like(x)
    begin, end = int(np.argmax(moves[0])), len(x) - int(np.argmax(moves[1][::-1]))
    kept = x[begin:end]
    return kept - np.float32(kept.mean(dtype=np.float64))


def located(item: Item) -> Item:
    """The item with clips that start and end with their sound, at a level of our own: where a sound
    lies, how loud the recording is and on what constant it rides cannot change what is measured."""
    clips = [sounding(clip) for clip in item.clips]
    peak = max(float(np.abs(clip).max(initial=0.0)) for clip in clips)
    return replace(item, clips=tuple(c * np.float32(PEAK / max(peak, 1e-9)) for c in clips))


def rederive(item: Item) -> str:
    """The answer found in the samples, or "" where the sound lacks the parts that the task needs
    (a melody of which no note can be made out, say).

    Raises `KeyError` for tasks of `recorded.proofs.BY_SOURCE`, which no measurement proves.
    """
    measured = REDERIVE.get(item.task) or PROOFS[item.task]
    try:
        return measured(located(item))
    except (IndexError, ValueError):
        return ""


def agreement(task: str, n: int, level: int = 1) -> float:
    """Share of the first n held-out items whose answer is found again in their samples."""
    items = (gym.make(task, i, split="heldout", level=level, anywhere=False) for i in range(n))
    return sum(score_answer(item, rederive(item)) for item in items) / n
