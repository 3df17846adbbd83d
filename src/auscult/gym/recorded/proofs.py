"""How signal processing finds the answers of tasks with real sound again, where it can.

What a recording says, in which language, who speaks and what makes a sound is known from its
source alone; `auscult real check` tests such labels by means of their own.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from auscult.audio.hear import measure
from auscult.audio.synth import NOTE_NAMES
from auscult.gym.base import ORDINALS
from auscult.gym.proof import music, sounds
from auscult.gym.recorded.voices import REGISTERS_HZ
from auscult.types import Audio, Item


def _register(item: Item) -> str:
    """Register whose middle is nearest to the median pitch."""
    hz = measure.f0_median_hz(item.clips[0], high_hz=500)
    middle = {name: float(np.sqrt(a * b)) for name, (a, b) in REGISTERS_HZ.items()}
    return min(middle, key=lambda name: abs(np.log(middle[name] / hz)))


def _who_higher(item: Item) -> str:
    """Median pitch of the first and of the last third of the voiced frames."""
    hz = measure.f0_track(item.clips[0], high_hz=500).voiced().hz
    third = max(1, len(hz) // 3)
    return "first" if np.median(hz[:third]) > np.median(hz[-third:]) else "second"


def _count(item: Item) -> str:
    """Number of onsets."""
    return str(len(measure.onsets(item.clips[0])))


def _loudest(item: Item) -> str:
    """The onset after which the level is highest."""
    x = item.clips[0]
    starts = measure.onsets(x)
    ends = [*starts[1:], len(x) / 16000]
    peaks = [
        measure.peak_level_db(measure.cut(x, a, b - 0.01))
        for a, b in zip(starts, ends, strict=True)
    ]
    return ORDINALS[int(np.argmax(peaks))]


def _chroma(x: Audio) -> np.ndarray:
    """Energy by pitch class, 80 to 1,000 Hz."""
    hz, power = measure.spectrum(x)
    inside = (hz > 80) & (hz < 1000)
    classes = np.round(12 * np.log2(hz[inside] / 440) + 69).astype(int) % 12
    return np.bincount(classes, np.sqrt(power[inside]), minlength=12)


def _key(item: Item) -> str:
    """Root and third of the last chord, by the three strongest pitch classes."""
    x = item.clips[0]
    starts = measure.onsets(x, spacing_s=0.35, rise_db=3.0)
    chroma = _chroma(x[round(starts[-1] * 16000) :])
    scores = {
        f"{NOTE_NAMES[root]} {mode}": chroma[[root, (root + third) % 12, (root + 7) % 12]].sum()
        for root in range(12)
        for mode, third in (("major", 4), ("minor", 3))
    }
    return max(item.options, key=lambda name: scores[name])


def _form(item: Item) -> str:
    """Which of the four phrases have the same pitches."""
    x = item.clips[0]
    first, last = measure.segments(x)[0][0], measure.segments(x)[-1][1]
    step = (last - first) / 3.95
    pieces = [measure.cut(x, first + i * step, first + (i + 0.76) * step) for i in range(4)]
    colours = [_chroma(piece) for piece in pieces]
    colours = [c / np.linalg.norm(c) for c in colours]

    def fits(form: str) -> float:
        same = [[a == b for b in form] for a in form]
        alike = np.array(colours) @ np.array(colours).T
        return float(np.mean(alike[np.array(same)]) - np.mean(alike[~np.array(same)]))

    return max(item.options, key=fits)


PROOFS: dict[str, Callable[[Item], str]] = {
    "real_register": _register,
    "real_who_higher": _who_higher,
    "real_noisier": sounds.noisier_clip,
    "real_event_count": _count,
    "real_loudest": _loudest,
    "real_key": _key,
    "real_form": _form,
    "real_name_note": partial(music.name_note, hear=music.steady),
    "real_note_count": partial(music.note_count, hear=music.steady),
    "real_highest_note": partial(music.highest_note, hear=music.steady),
    "real_pitch_direction": partial(music.pitch_direction, hear=music.steady),
    "real_interval": partial(music.interval, hear=music.steady),
    "real_contour": partial(music.contour, hear=music.steady),
    "real_count_higher": partial(music.count_higher, hear=music.steady),
    "real_scale_mode": partial(music.scale_mode, hear=music.steady),
    "real_melody_changed": partial(music.melody_changed, hear=music.steady),
    "real_sort_tones": partial(music.sort_tones, hear=music.steady),
    "piano_name_note": music.name_note,
    "piano_note_count": music.note_count,
    "piano_highest_note": music.highest_note,
    "piano_pitch_direction": music.pitch_direction,
    "sung_name_note": music.name_note,
    "sung_note_count": music.note_count,
    "sung_highest_note": music.highest_note,
    "sung_pitch_direction": music.pitch_direction,
}
"""For tasks with real sound, the answer measured in the item's clips."""

BY_SOURCE: dict[str, str] = {
    "real_digit": "words",
    "real_largest_digit": "words",
    "real_said": "words",
    "real_transcript": "words",
    "real_word_first": "words",
    "real_language": "language",
    "real_same_speaker": "speaker",
    "real_speaker_count": "speaker",
    "real_who_faster": "words",
    "real_event_name": "class",
    "real_known": "class",
    "real_animal": "class",
    "real_kind": "class",
    "real_behind": "class",
    "real_spoken_or_sung": "kind",
    "real_instrument": "instrument",
    "recorded_instrument": "instrument",
}
"""Tasks whose answer no measurement of ours finds, with what is taken from the source."""
