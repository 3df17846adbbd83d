"""True and false claims about gym items, from the generator's facts alone.

Each statement has a key, under which phrases for it are kept, the words to fill in, and the claim
itself. Falsehoods keep a margin of at least twice the tolerance of the check.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from auscult.audio.synth import TIMBRES
from auscult.audio.voice import VOWELS
from auscult.gym.base import pick
from auscult.types import Audio, Item
from auscult.verify.claims import Claim, Part
from auscult.verify.lab import made as facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One claim that is known to be true or false.

    Example: key "value.tempo", slots {"value": "120"}, true=True, and the claim that any phrase
    under that key makes with those words; `clips` are what it is about.
    """

    key: str
    slots: dict[str, str]
    claim: Claim
    true: bool
    clips: tuple[Audio, ...] = field(repr=False)
    item: str = ""


STATEMENTS: dict[str, Callable[[Item, np.random.Generator], Iterator[facts.Made]]] = {
    **dict.fromkeys(
        ("name_note", "note_count", "highest_note", "pitch_direction", "interval", "contour",
         "count_higher", "scale_mode", "sort_tones"), facts.notes),
    **dict.fromkeys(
        ("event_name", "event_count", "count_among", "event_order", "absent_sound",
         "event_arithmetic", "more_of_which", "even_or_odd"), facts.events),
    "chord_quality": facts.worded(
        "chord", ("major", "minor", "diminished", "augmented"), "chord", 0),
    "instrument_order": facts.worded("timbre", tuple(TIMBRES), "timbre", 3),
    "tempo": facts.tempo,
    "tempo_change": facts.tempo_change,
    "meter": facts.meter,
    "dynamics": facts.dynamics,
    "gap_compare": facts.gaps_of,
    "longest_sound": facts.lengths,
    "loudest_sound": facts.levels_of,
    "background": facts.background,
    "conflict_background": facts.background,
    "noisier_clip": facts.two_clips("noise", "snr_"),
    "bigger_room": facts.two_clips("reverberation", "rt60_"),
    "approach": facts.approach,
    "intonation": facts.intonation,
    "who_higher": facts.higher_voice,
    "which_vowel": facts.worded("vowel", tuple(VOWELS), "vowel", 0),
    "voice_register": facts.quality("register", ("low", "middle", "high"), lambda i: i.answer),
    "liveliness": facts.quality("liveliness", ("monotone", "lively"), lambda i: i.answer),
    "tremor": facts.quality("tremor", ("trembling", "steady"), lambda i: i.answer),
    "breathiness": facts.quality("breath", ("breathy", "clear"), lambda i: i.answer),
    "conflict_whisper": facts.quality(
        "voicing", ("whispered", "voiced"),
        lambda i: "whispered" if i.answer == "whispered" else "voiced"),
    "conflict_rate": facts.quality("rate", ("slow", "fast"), lambda i: i.answer),
}  # fmt: skip
"""Gym task -> the statements that its facts allow."""

_VOICED = frozenset(
    (
        "voice_register",
        "intonation",
        "liveliness",
        "tremor",
        "breathiness",
        "which_vowel",
        "who_higher",
    )
)


def _of_single_clips(
    item: Item, rng: np.random.Generator
) -> Iterator[tuple[facts.Made, tuple[Audio, ...]]]:
    """Statements about one clip of a pair, and about any single clip."""
    at = int(rng.integers(len(item.clips)))
    clip = item.clips[at]
    if item.task == "noisier_clip":
        true = "clean" if float(item.facts[f"snr_{at + 1}_db"]) > 17 else "noisy"
        for made in facts.listed(rng, "quality.noise", "quality.noise", ("noisy", "clean"), true):
            yield made, (clip,)
    if item.task == "bigger_room":
        true = "dry" if float(item.facts[f"rt60_{at + 1}_s"]) < 0.4 else "reverberant"
        for made in facts.listed(rng, "quality.room", "quality.room", ("dry", "reverberant"), true):
            yield made, (clip,)
    if len(item.clips) > 1:
        return
    seconds = len(clip) / 16000
    if rng.random() < 0.3:
        for value in (seconds, seconds + max(0.3, seconds * pick(rng, (0.4, 0.7)))):
            claim = facts.stated("value", "duration", round(value, 1))
            said = {"value": f"{value:.1f}"}
            yield ("value.duration", said, claim, value == seconds), item.clips
    voiced = item.task in _VOICED
    if voiced or (item.task in STATEMENTS and "conflict" not in item.task and rng.random() < 0.15):
        claim = facts.stated("presence", "presence", True, Part(subject="voice"))
        yield ("presence.voice", {}, claim, voiced), item.clips
        denial = facts.stated("presence", "presence", True, Part(subject="voice"), negated=True)
        yield ("presence.voice.absent", {}, denial, not voiced), item.clips


def statements(item: Item, rng: np.random.Generator) -> list[Statement]:
    """Every kind of true and false statement that the item's facts allow, a few of each."""
    made = (
        [(m, item.clips) for m in STATEMENTS[item.task](item, rng)]
        if item.task in STATEMENTS
        else []
    )
    made += list(_of_single_clips(item, rng))
    if item.task in ("scale_mode",):
        mode = facts.quality("mode", ("major", "minor"), lambda i: i.answer)
        made += [(m, item.clips) for m in mode(item, rng)]
    return [
        Statement(key=key, slots=slots, claim=claim, true=true, clips=clips, item=item.key)
        for (key, slots, claim, true), clips in made
    ]
