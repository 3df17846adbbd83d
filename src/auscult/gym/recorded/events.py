"""Tasks about recorded sound effects and one-shots: which, how many, how loud, what kind."""

from functools import cache

import numpy as np

from auscult.audio.hear import measure
from auscult.audio.masking import pink, white
from auscult.audio.synth import gain, lay, to_level
from auscult.gym.base import ORDINALS, counting, draft, pick, rest_s, sample
from auscult.gym.recorded.task import named
from auscult.real.bank import Bank, Groups, grouped, levelled
from auscult.real.recording import Recording
from auscult.types import Audio, Item

HIT_S = 1.0
"""Longest sound that is repeated and counted."""

HEARD_S = 6.0


@cache
def classes(bank: Bank) -> Groups:
    """Effects by class, of the classes that training has."""
    return grouped(
        bank.where(lambda r: r.kind == "effect" and r.label in bank.taught), lambda r: r.label
    )


@cache
def animals(bank: Bank) -> Groups:
    """The animals among them."""
    return {k: v for k, v in classes(bank).items() if v[0].family == "animal"}


def _countable(bank: Bank, r: Recording) -> bool:
    """Does the sound start once, and anew when it is repeated?"""
    x = bank.sound(r)
    return len(measure.onsets(lay([(i * (len(x) / 16000 + 0.12), x) for i in range(3)]))) == 3


@cache
def hits(bank: Bank) -> Groups:
    """Short effects that can be counted, by source."""
    short = bank.where(lambda r: r.kind == "effect" and r.seconds <= HIT_S)
    return grouped([r for r in short if _countable(bank, r)], lambda r: r.source)


def _which(
    rng: np.random.Generator, level: int, bank: Bank, asked: Recording, wrong: list[str],
    phrasings: tuple[str, ...], label: str = "", inference: str = "",
) -> Item:  # fmt: skip
    label = label or asked.label
    return draft(
        rng,
        clips=[bank.sound(asked, HEARD_S)],
        phrasings=phrasings,
        options=[label, *wrong],
        answer=label,
        facts=named([asked]) | {"sound": label},
        features=("event",),
        heard=[f"I hear {label}."],
        inference=inference or f"It is {label}.",
        level=level,
    )


def name(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Which sound is it? The wrong options are of other families, so that one alone is right."""
    others = {k: v[0].family for k, v in classes(bank).items()}
    wrong = sample(rng, [k for k, family in others.items() if family != asked.family], 3)
    return _which(
        rng, level, bank, asked, wrong,
        ("Which sound is this?", "What do you hear?", "What makes this sound?"),
    )  # fmt: skip


def animal(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Which animal is it?"""
    wrong = sample(rng, [k for k in animals(bank) if k != asked.label], 3)
    return _which(
        rng, level, bank, asked, wrong,
        ("Which animal is this?", "Which animal do you hear?", "What animal makes this sound?"),
    )  # fmt: skip


UNNAMED = "a sound that I cannot name"


@cache
def known_or_not(bank: Bank) -> Groups:
    """Effects of the classes that training has, by class, and about as many groups of those whose
    class it has not."""
    named_ones = classes(bank)
    others = bank.where(lambda r: r.kind == "effect" and r.label not in bank.taught)
    n = max(1, min(len(named_ones), len(others)))
    return {**named_ones, **{f"unnamed {i}": others[i::n] for i in range(n) if others}}


def known(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Which sound is it, or is it one that has no name here?"""
    label = asked.label if asked.label in bank.taught else UNNAMED
    families = {k: v[0].family for k, v in classes(bank).items()}
    wrong = sample(rng, [k for k, f in families.items() if f != asked.family and k != label], 3)
    return _which(
        rng, level, bank, asked, [*wrong[:2], wrong[2] if label == UNNAMED else UNNAMED],
        ("Which sound is this, if you can name it?", "Can you name this sound?",
         "What is this sound, or can you not name it?"),
        label, "It has no name here." if label == UNNAMED else "",
    )  # fmt: skip


def _repeated(rng: np.random.Generator, x: Audio, gains_db: list[float]) -> Audio:
    parts: list[tuple[float, Audio]] = []
    at = 0.0
    for db in gains_db:
        parts.append((at, gain(x, db)))
        at += len(x) / 16000 + rest_s(rng, 0.12, 0.3)
    return lay(parts)


def _named(r: Recording) -> str:
    return r.label or "sound"


def count(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """How often does the sound occur?"""
    n, word = int(rng.integers(1, 7)) + 2 * (level - 1), _named(asked)
    return draft(
        rng,
        clips=[_repeated(rng, bank.sound(asked), [0.0] * n)],
        phrasings=(
            "How many times does the sound occur?",
            "How often is the sound heard?",
            "Count the sounds.",
        ),
        answer=str(n),
        facts=named([asked]) | {"sound": word, "count": n},
        features=("event", "count"),
        heard=[f"I hear {', '.join([word] * n)}."],
        inference=f"Counting {word}: {counting(n)}.",
        level=level,
    )


def loudest(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Which of the repetitions is the loudest?"""
    n, word = 3 + int(rng.integers(2)), _named(asked)
    at = int(rng.integers(n))
    margin = float(rng.uniform(9, 12) if level == 1 else rng.uniform(5, 7))
    levels = [0.0 if i == at else -margin + float(rng.uniform(-1, 1)) for i in range(n)]
    words = ", ".join(f"{'loud' if i == at else 'soft'} {word}" for i in range(n))
    return draft(
        rng,
        clips=[_repeated(rng, bank.sound(asked), levels)],
        phrasings=(
            "Which sound is the loudest?",
            "Which of the sounds is loudest?",
            "Where is the loudest sound?",
        ),
        options=ORDINALS[:n],
        answer=ORDINALS[at],
        facts=named([asked])
        | {f"level_{i}_db": d for i, d in enumerate(levels, 1)}
        | {"sound": word},
        features=("level", "order"),
        heard=[f"I hear {words}."],
        inference=f"The loudest is the {ORDINALS[at]}.",
        level=level,
    )


KINDS = {"speech": "speech", "music": "music", "effect": "a sound effect"}


@cache
def kinds(bank: Bank) -> Groups:
    """Recordings of at least half a second, by kind."""
    return grouped(
        bank.where(lambda r: r.seconds >= 0.5 and r.kind in KINDS), lambda r: KINDS[r.kind]
    )


def kind(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Speech, music, a sound effect, or noise alone? For one in four the recording gives way to
    noise of its length."""
    x, answer, facts = bank.sound(asked, HEARD_S), KINDS[asked.kind], named([asked])
    if rng.random() < 0.25:
        noise = pick(rng, (white, pink))(rng, len(x))
        x, answer, facts = levelled(to_level(noise, -30.0)), "noise", {"noise_s": len(x) / 16000}
    return draft(
        rng,
        clips=[x],
        phrasings=(
            "Is it speech, music, a sound effect or noise?",
            "What kind of sound is it?",
            "What is in the recording: speech, music, a sound effect or noise?",
        ),
        options=(*KINDS.values(), "noise"),
        answer=answer,
        facts=facts,
        features=("kind",),
        heard=[f"I hear {answer}."],
        inference=f"It is {answer}.",
        level=level,
    )
