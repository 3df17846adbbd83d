"""What the ear is taught with: clips from every source, with what is audible in them as words in
the order of time, and marks that hold for the whole clip.

A lesson never begins or ends with its sound: it lies somewhere in silence or noise, at any level. A
new lesson is one function and one line in `LESSONS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np

from auscult import gym
from auscult.audio import corrupt
from auscult.audio.masking import babble, pink, white
from auscult.audio.synth import SAMPLE_RATE, gain, lay, note_name
from auscult.gym import render
from auscult.gym.base import DIGITS, pick
from auscult.gym.recorded.events import classes, hits
from auscult.gym.recorded.notes import coloured, sampled
from auscult.gym.recorded.task import drawn
from auscult.gym.recorded.voices import voices
from auscult.gym.recorded.words import digits, languages, plain, prompts
from auscult.gym.surround import BARE
from auscult.real.bank import Bank, bank
from auscult.train.feed.data import TRAINED
from auscult.train.feed.drills import DRILLS
from auscult.types import Audio, Item

Marks = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One clip and what is to be heard in it.

    Example: Lesson(clip=..., words=" five two", marks={"speaker": 3, "level": 12}). `words`: all
    that is to be heard, in order. `about`: what is heard of that which one task listens for, where
    a clip has more to it than its words say. `marks` holds class numbers of `MARKS`; what is not
    in it is not known. `bare`: noise or a room would change what is to be heard.
    """

    clip: Audio
    words: str = ""
    task: str = ""
    about: str = ""
    marks: Marks
    bare: bool = False


# ---------------------------------------------------------------------------- marks

LOWEST_HZ, SEMITONES = 55.0, 42
LEVELS, LEVEL_STEP_DB = 20, 3.0
NOISES, NOISE_STEP_DB = 14, 3.0
FAMILIES = ("speech", "music", "effect", "noise")


@cache
def speakers(bank: Bank) -> tuple[str, ...]:
    """Voices of the bank, each a class."""
    return tuple(sorted({r.speaker for r in bank.recordings if r.kind == "speech" and r.speaker}))


@cache
def tongues(bank: Bank) -> tuple[str, ...]:
    """Languages that can be asked for, each a class."""
    return tuple(sorted({name.split()[0] for name in languages(bank)}))


MARKS: dict[str, Callable[[Bank], int]] = {
    "speaker": lambda bank: len(speakers(bank)),
    "language": lambda bank: len(tongues(bank)),
    "pitch": lambda _: SEMITONES,  # median F0 of a voice, from 55 Hz
    "level": lambda _: LEVELS,  # active level, 0 to -57 dB
    "noise": lambda _: NOISES,  # signal over noise, from 0 dB; the last class is none added
    "family": lambda _: len(FAMILIES),
}
"""What is known of whole clips: name -> number of classes."""


def pitch_class(hz: float) -> int:
    """The semitone of a voice from 55 Hz on."""
    return int(np.clip(round(12 * np.log2(hz / LOWEST_HZ)), 0, SEMITONES - 1))


def level_class(x: Audio) -> int:
    """The active level in steps of 3 dB under full scale."""
    db = 20 * np.log10(max(corrupt.active_rms(x), 1e-6))
    return int(np.clip(round(-db / LEVEL_STEP_DB), 0, LEVELS - 1))


# ---------------------------------------------------------------------------- where a sound lies

GAIN_DB = (-30.0, 6.0)
MASKS = (white, pink, babble)


def _rest_s(rng: np.random.Generator) -> float:
    kind = rng.random()
    return 0.0 if kind < 0.25 else float(rng.uniform(0, 0.7 if kind < 0.85 else 2.5))


def _masked(rng: np.random.Generator, x: Audio, marks: Marks) -> tuple[Audio, Marks]:
    """Noise of known strength in a quarter of the lessons."""
    if rng.random() > 0.25:
        return x, {**marks, "noise": NOISES - 1}
    step = int(rng.integers(NOISES - 1))
    y = corrupt.mix(x, pick(rng, MASKS)(rng, len(x)), step * NOISE_STEP_DB)
    return y, {**marks, "noise": step}


def _on_its_way(rng: np.random.Generator, x: Audio) -> Audio:
    """A room for an eighth of the lessons, a narrow band or a codec for some of them."""
    if rng.random() < 0.125:
        x = corrupt.room(x, rng, float(rng.uniform(0.1, 0.8)))
    way = rng.random()
    if way < 0.08:
        return corrupt.lowpass(x, float(rng.uniform(3000, 7000)))
    if way < 0.11:
        name = pick(rng, ("mp3_16k", "opus_16k", "vorbis_q0"))
        return corrupt.through(x, corrupt.CODECS[name])
    return x


def placed(rng: np.random.Generator, lesson: Lesson) -> Lesson:
    """The lesson somewhere in silence, at a level of its own; in noise and rooms if it may be."""
    x, marks = lesson.clip, lesson.marks
    if not lesson.bare:
        x = _on_its_way(rng, x)
    before, after = (round(_rest_s(rng) * SAMPLE_RATE) for _ in range(2))
    x = np.pad(x, (before, after))
    if not lesson.bare:
        x, marks = _masked(rng, x, marks)
    db = float(rng.uniform(*GAIN_DB))
    peak = float(np.abs(x).max(initial=0.0))
    x = x * np.float32(min(10 ** (db / 20), 0.99 / max(peak, 1e-9)))
    if peak > 0:
        marks = {**marks, "level": level_class(x)}
    return replace(lesson, clip=x.astype(np.float32), marks=marks)


# ---------------------------------------------------------------------------- lessons

LONGEST_S = 10.0

COMPARED = frozenset({"real_same_speaker"})
"""Tasks whose words about one clip need the other one."""

TAUGHT = tuple(name for name in TRAINED if name not in COMPARED)

SPELT = frozenset(
    {
        "name_note", "note_count", "highest_note", "pitch_direction", "interval", "contour",
        "count_higher", "scale_mode", "melody_changed", "sort_tones",
        "event_name", "event_count", "count_among", "event_order", "absent_sound",
        "event_arithmetic", "more_of_which", "even_or_odd", "rule_following", "digit",
        "spoken_digit", "largest_digit", "spoken_arithmetic", "spoken_logic", "said", "transcript",
        "word_first", "animal", "anything_there", "known",
    }
)  # fmt: skip
"""Tasks whose captions say all that is in a clip. The captions of the others say what the task
listens for: the same voice is low, or French, or noisy, and no ear can guess which is meant."""

ABOUT: tuple[str, ...] = tuple(
    name for name in (*gym.TASKS, *gym.RECORDED)
    if name.removeprefix("real_") not in SPELT and name not in COMPARED
)  # fmt: skip
"""Tasks whose captions are read by a head that is told the task."""


def _of_item(rng: np.random.Generator, item: Item) -> Lesson:
    words = render.labels(item)
    i = int(rng.integers(len(item.clips)))
    clip = item.clips[i][: round(LONGEST_S * SAMPLE_RATE)]
    marks = {"family": FAMILIES.index("music")} if words[i].startswith(" notes") else {}
    bare = bool(BARE & {*item.features})
    if item.task in ABOUT:
        return Lesson(clip=clip, task=item.task, about=words[i], marks=marks, bare=bare)
    return Lesson(clip=clip, words=words[i], marks=marks, bare=bare)


def _number(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 40))


def synthetic(rng: np.random.Generator, bank: Bank) -> Lesson:
    """A clip of a task of the gym."""
    item = gym.make(
        pick(rng, tuple(gym.TASKS)), _number(rng), level=1 + int(rng.random() < 0.3), anywhere=False
    )
    return _of_item(rng, item)


def recorded(rng: np.random.Generator, bank: Bank) -> Lesson:
    """A clip of a task with real sound."""
    item = gym.make(
        pick(rng, TAUGHT), _number(rng), level=1 + int(rng.random() < 0.3), anywhere=False
    )
    return _of_item(rng, item)


def drill(rng: np.random.Generator, bank: Bank) -> Lesson:
    """Many notes, events or words in little time."""
    return _of_item(rng, DRILLS[pick(rng, tuple(DRILLS))](rng, 1))


def melody(rng: np.random.Generator, bank: Bank) -> Lesson:
    """One to seven notes of a sampled instrument."""
    n = int(rng.integers(1, 8))
    player = sampled(bank, rng)
    midis = [pick(rng, player.notes) for _ in range(n)]
    clip = coloured(rng, player.play(rng, midis, 1))
    words = " notes " + " ".join(note_name(m) for m in midis)
    return Lesson(clip=clip, words=words, marks={"family": FAMILIES.index("music")})


def _speed(rng: np.random.Generator) -> Fraction:
    """As it is, or up to a tenth slower or faster: another voice says the same."""
    return Fraction(int(rng.integers(18, 23)), 20) if rng.random() < 0.6 else Fraction(1)


def counting_voice(rng: np.random.Generator, bank: Bank) -> Lesson:
    """One to four English digits, one after another."""
    groups = digits(bank)
    parts: list[tuple[float, Audio]] = []
    at, words = 0.0, []
    factor = _speed(rng)
    for _ in range(int(rng.integers(1, 5))):
        r = drawn(rng, groups)
        x = bank.sound(r)
        parts.append((at, x if factor == 1 else corrupt.speed(x, factor)))
        at += len(parts[-1][1]) / SAMPLE_RATE + float(rng.uniform(0.05, 0.4))
        words.append(DIGITS[int(r.digit)])
    return Lesson(
        clip=lay(parts), words=" words " + " ".join(words),
        marks={"family": FAMILIES.index("speech")},
    )  # fmt: skip


def prompt(rng: np.random.Generator, bank: Bank) -> Lesson:
    """A short English phrase whose words are known, a third of them by people's voices."""
    groups = prompts(bank)
    people = {name: rows for name, rows in groups.items() if rows[0].speaker}
    synthesised = {name: rows for name, rows in groups.items() if name not in people}
    r = drawn(rng, synthesised if synthesised and rng.random() < 2 / 3 else people)
    x, factor = bank.sound(r), _speed(rng)
    return Lesson(
        clip=x if factor == 1 else corrupt.speed(x, factor),
        words=f" words {plain(r.text)}",
        marks={"family": FAMILIES.index("speech")},
    )


def voice(rng: np.random.Generator, bank: Bank) -> Lesson:
    """Somebody speaks: who, in what language, how high."""
    groups = languages(bank) if rng.random() < 0.5 else voices(bank)
    r = drawn(rng, groups)
    x = bank.sound(r)
    size = round(float(rng.uniform(1.2, 3.0)) * SAMPLE_RATE)
    start = int(rng.integers(max(1, len(x) - size)))
    marks = {"family": FAMILIES.index("speech"), "speaker": speakers(bank).index(r.speaker)}
    if r.language in tongues(bank):
        marks["language"] = tongues(bank).index(r.language)
    hz = bank.pitch_hz.get(r.key, 0.0)
    if hz > LOWEST_HZ and len(x) <= size:
        marks["pitch"] = pitch_class(hz)
    return Lesson(clip=x[start : start + size], marks=marks)


def effect(rng: np.random.Generator, bank: Bank) -> Lesson:
    """A sound with a name."""
    r = drawn(rng, classes(bank))
    x = bank.sound(r, float(rng.uniform(1.5, 4.0)))
    return Lesson(clip=x, words=f" {r.label}", marks={"family": FAMILIES.index("effect")})


def strokes(rng: np.random.Generator, bank: Bank) -> Lesson:
    """One to seven short sounds, each with its name or without one."""
    groups = hits(bank)
    chosen = [drawn(rng, groups) for _ in range(int(rng.integers(1, 3)))]
    parts: list[tuple[float, Audio]] = []
    at, words = 0.0, []
    for _ in range(int(rng.integers(1, 8))):
        r = pick(rng, chosen)
        x = bank.sound(r)
        parts.append((at, gain(x, float(rng.uniform(-6, 0)))))
        at += len(x) / SAMPLE_RATE + float(rng.uniform(0.12, 0.5))
        words.append(r.label or "sound")
    marks = {"family": FAMILIES.index("effect")}
    return Lesson(clip=lay(parts), words=" " + " ".join(words), marks=marks)


def nothing(rng: np.random.Generator, bank: Bank) -> Lesson:
    """Silence, or noise and nothing else."""
    n = round(float(rng.uniform(0.5, 3.0)) * SAMPLE_RATE)
    if rng.random() < 0.4:
        return Lesson(clip=np.zeros(n, dtype=np.float32), words=" nothing", marks={}, bare=True)
    x = pick(rng, (white, pink))(rng, n)
    clip = gain(x, -float(rng.uniform(6, 40)))
    marks = {"family": FAMILIES.index("noise")}
    return Lesson(clip=clip, words=" nothing but noise", marks=marks, bare=True)


LESSONS: dict[str, tuple[float, Callable[[np.random.Generator, Bank], Lesson]]] = {
    "synthetic": (0.17, synthetic),
    "recorded": (0.14, recorded),
    "drill": (0.06, drill),
    "melody": (0.17, melody),
    "digits": (0.08, counting_voice),
    "prompt": (0.21, prompt),
    "voice": (0.08, voice),
    "effect": (0.03, effect),
    "strokes": (0.04, strokes),
    "nothing": (0.02, nothing),
}
"""Every kind of lesson with its share."""


def lesson(seed: int, index: int, only: tuple[str, ...] = ()) -> Lesson:
    """Lesson number `index` of the stream with this seed; pure."""
    rng = np.random.default_rng([seed, index])
    store = bank("train")
    table = {name: LESSONS[name] for name in only or LESSONS}
    weights = np.array([weight for weight, _ in table.values()])
    while True:
        name = list(table)[int(rng.choice(len(table), p=weights / weights.sum()))]
        try:
            return placed(rng, table[name][1](rng, store))
        except LookupError:  # no recording fits this draw
            continue
