"""Manner of speaking (extra `[speech]`): asked or stated, excited or calm, trembling or steady.

The words are drawn apart from the manner, and the melody is put onto a flat voice exactly: played
faster and slower by a known course, which moves its pitch by that course.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from auscult.audio.synth import SAMPLE_RATE, finish, lay
from auscult.gym.base import draft, pick
from auscult.gym.tasks.speech import manner, speaker_facts, spoken
from auscult.types import Audio, Item

TEXTS = (
    "you are coming home now", "we will meet on monday", "nine people live in our town",
    "all of them know my name", "the animal is yellow", "in may we may all be away",
)  # fmt: skip
"""Sentences that are mostly voiced, and may be asked as well as stated."""


def bent(x: Audio, course_st: Float[np.ndarray, " samples"]) -> Audio:
    """x with its pitch moved by a course in semitones, one value per sample of x; where the pitch
    rises the sound is played faster."""
    at = np.concatenate([[0.0], np.cumsum(2.0 ** (-course_st[:-1] / 12))])
    grid = np.arange(int(at[-1]))
    source = np.interp(grid, at, np.arange(len(x)))
    return np.interp(source, np.arange(len(x)), x).astype(np.float32)


def _flat(rng: np.random.Generator, speed: int = 165) -> tuple[Audio, str, dict[str, str | int]]:
    who = replace(manner(rng), range=0, rate=speed)
    text = pick(rng, TEXTS)
    return spoken(text, who), text, speaker_facts(who)


def _item(
    rng: np.random.Generator, level: int, x: Audio, answer: str, options: Sequence[str],
    phrasings: Sequence[str], facts: dict[str, str | int | float], heard: str, feature: str,
) -> Item:  # fmt: skip
    text = facts["words"]
    return draft(
        rng,
        clips=[finish(rng, lay([(0.05, x)], len(x) / SAMPLE_RATE + 0.1), level)],
        phrasings=phrasings,
        options=options,
        answer=answer,
        facts=facts | {"truth": answer},
        features=(feature, "words"),
        heard=[f'I hear the words "{text}", {heard}.'],
        inference=f"So it is {answer}.",
        level=level,
    )


def asked_or_stated(rng: np.random.Generator, level: int) -> Item:
    """Does the voice rise at the end, as in a question, or fall?"""
    answer = pick(rng, ("asked", "stated"))
    size = float(rng.uniform(5, 7) if level == 1 else rng.uniform(3.5, 5))
    x, text, who = _flat(rng)
    t = np.linspace(0, 1, len(x))
    end = np.clip((t - 0.6) / 0.4, 0, 1) * size * (1 if answer == "asked" else -1)
    return _item(
        rng, level, bent(x, end), answer, ("asked", "stated"),
        (
            "Is the sentence asked or stated?",
            "Does the voice ask or state it: asked or stated?",
            "Judging by the voice, is it asked or stated?",
        ),
        who | {"words": text, "end_st": float(end[-1])},
        f"and the voice {'rises' if answer == 'asked' else 'falls'} at the end", "contour",
    )  # fmt: skip


def excited_or_calm(rng: np.random.Generator, level: int) -> Item:
    """Fast with a wide melody, or slow with a narrow one?"""
    answer = pick(rng, ("excited", "calm"))
    wide = (float(rng.uniform(5, 7)), 215) if level == 1 else (float(rng.uniform(4, 5)), 190)
    span, speed = wide if answer == "excited" else (float(rng.uniform(0.3, 0.8)), 130)
    x, text, who = _flat(rng, speed)
    t = np.arange(len(x)) / SAMPLE_RATE
    course = span / 2 * np.sin(2 * np.pi * float(rng.uniform(1.1, 1.6)) * t + rng.uniform(0, 6.28))
    return _item(
        rng, level, bent(x, course), answer, ("excited", "calm"),
        (
            "Does the voice sound excited or calm?",
            "Is the speaker excited or calm?",
            "How is it said, excited or calm?",
        ),
        who | {"words": text, "span_st": span},
        "with a wide melody" if answer == "excited" else "with a narrow melody", "pitch",
    )  # fmt: skip


def trembling_speech(rng: np.random.Generator, level: int) -> Item:
    """Does the speaking voice tremble?"""
    answer = pick(rng, ("trembling", "steady"))
    depth = float(rng.uniform(1.2, 1.8) if level == 1 else rng.uniform(0.8, 1.0))
    x, text, who = _flat(rng)
    t = np.arange(len(x)) / SAMPLE_RATE
    course = depth * np.sin(2 * np.pi * float(rng.uniform(5, 7)) * t) * (answer == "trembling")
    return _item(
        rng, level, bent(x, course), answer, ("trembling", "steady"),
        (
            "Does the speaker's voice tremble or is it steady?",
            "Is the speech trembling or steady?",
            "Judging by the sound, is the speech trembling or steady?",
        ),
        who | {"words": text, "depth_st": depth * (answer == "trembling")},
        "and the voice wavers" if answer == "trembling" else "and the voice holds still", "tremor",
    )  # fmt: skip
