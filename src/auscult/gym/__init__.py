"""The acoustic gym: procedural audio with exact ground truth.

A task is one function (generator, level) -> Item, and one line in `TASKS`. `make` gives the item
with a stable key; the split is part of the seed, so train and held-out never share one.
"""

import zlib
from dataclasses import replace

import numpy as np

from auscult.gym.recorded import RECORDED, make_recorded
from auscult.gym.surround import one_gain, surround
from auscult.gym.tasks import (
    conflict,
    events,
    harmony,
    manner,
    reason,
    rhythm,
    scenes,
    speech,
    tones,
    voices,
)
from auscult.real.recording import Split
from auscult.types import Item, Task

GYM_VERSION = 2
"""Part of every seed: raise it when a task's sound or wording changes."""

TASKS: dict[str, Task] = {
    # music: notes
    "name_note": tones.name_note,
    "note_count": tones.note_count,
    "highest_note": tones.highest_note,
    "pitch_direction": tones.pitch_direction,
    "interval": tones.interval,
    "contour": tones.contour,
    "count_higher": tones.count_higher,
    # music: harmony and instruments
    "chord_quality": harmony.chord_quality,
    "scale_mode": harmony.scale_mode,
    "melody_changed": harmony.melody_changed,
    "instrument_order": harmony.instrument_order,
    # music: time
    "tempo": rhythm.tempo,
    "tempo_change": rhythm.tempo_change,
    "meter": rhythm.meter,
    "dynamics": rhythm.dynamics,
    "gap_compare": rhythm.gap_compare,
    # sound events
    "anything_there": events.anything_there,
    "event_name": events.event_name,
    "event_count": events.event_count,
    "count_among": events.count_among,
    "event_order": events.event_order,
    "absent_sound": events.absent_sound,
    "longest_sound": events.longest_sound,
    "loudest_sound": events.loudest_sound,
    # scenes and mixtures
    "background": scenes.background,
    "noisier_clip": scenes.noisier_clip,
    "bigger_room": scenes.bigger_room,
    "approach": scenes.approach,
    "engine_speed": scenes.engine_speed,
    # several steps
    "event_arithmetic": reason.event_arithmetic,
    "more_of_which": reason.more_of_which,
    "even_or_odd": reason.even_or_odd,
    "rule_following": reason.rule_following,
    "sort_tones": reason.sort_tones,
    # voices without words
    "voice_register": voices.voice_register,
    "intonation": voices.intonation,
    "liveliness": voices.liveliness,
    "who_higher": voices.who_higher,
    "which_vowel": voices.which_vowel,
    "tremor": voices.tremor,
    "breathiness": voices.breathiness,
    # spoken words: extra [speech]
    "spoken_digit": speech.spoken_digit,
    "largest_digit": speech.largest_digit,
    "spoken_arithmetic": speech.spoken_arithmetic,
    "spoken_logic": speech.spoken_logic,
    # manner of speaking: extra [speech]
    "manner_question": manner.asked_or_stated,
    "manner_mood": manner.excited_or_calm,
    "manner_tremor": manner.trembling_speech,
    # words against sound: extra [speech]
    "conflict_count": conflict.conflict_count,
    "conflict_whisper": conflict.conflict_whisper,
    "conflict_pitch": conflict.conflict_pitch,
    "conflict_rate": conflict.conflict_rate,
    "conflict_background": conflict.conflict_background,
}

SPOKEN = ("spoken", "largest_digit", "manner", "conflict")
SPEECH_TASKS = frozenset(name for name in TASKS if name.startswith(SPOKEN))
"""Tasks that need the extra `[speech]`."""

SPLITS = {"train": 0, "heldout": 1}


def make(
    task: str, index: int, *, split: str = "train", level: int = 1, anywhere: bool = True
) -> Item:
    """Item number `index` of a task. Pure: the same arguments give the same samples.

    Its sound lies somewhere in a longer recording (`surround`); without `anywhere` it is as the
    task made it, which begins 0.05 s before its first sound and ends with its last.

    Raises `ValueError` for an unknown task, split or a level below 1, and `SpeechUnavailable` for
    spoken tasks without the extra.
    """
    if task not in TASKS and task not in RECORDED:
        count = len(TASKS) + len(RECORDED)
        raise ValueError(f"unknown task {task!r}; `auscult gym list` shows all {count}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; expected one of {', '.join(SPLITS)}")
    if level < 1:
        raise ValueError(f"level is {level}; the easiest level is 1")
    seed = [GYM_VERSION, zlib.crc32(task.encode()), SPLITS[split], level, index]
    rng = np.random.default_rng(seed)
    if task in RECORDED:
        side: Split = "heldout" if split == "heldout" else "train"
        item = make_recorded(task, rng, index=index, split=side, level=level)
    else:
        item = TASKS[task](rng, level)
    item = replace(item, key=f"{task}/{split}/{level}/{index}", task=task)
    if anywhere:
        return surround(np.random.default_rng([*seed, 1]), item)
    return replace(item, clips=one_gain(item.clips, 0.0))
