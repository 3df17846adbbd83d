"""Tasks about how a voice sounds, without words: register, intonation, quality."""

import numpy as np

from auscult.audio.synth import finish, lay
from auscult.audio.voice import VOWELS, contour, tremble, vowel
from auscult.gym.base import draft, pick
from auscult.types import Audio, Item

REGISTERS_HZ = {"low": (80, 115), "middle": (160, 205), "high": (290, 370)}


def _say(
    rng: np.random.Generator,
    pitch_hz: Audio,
    level: int,
    name: str | None = None,
    breath: float = 0.02,
) -> Audio:
    name = name or pick(rng, list(VOWELS))
    x = vowel(rng, pitch_hz, name, breath=breath, tract=rng.uniform(0.97, 1.12))
    return finish(rng, lay([(0.05, x)], len(x) / 16000 + 0.1), level)


def voice_register(rng: np.random.Generator, level: int) -> Item:
    """Is the voice low, middle or high?"""
    answer = pick(rng, list(REGISTERS_HZ))
    hz = rng.uniform(*REGISTERS_HZ[answer])
    return draft(
        rng,
        clips=[_say(rng, contour(0.9, [0, rng.uniform(-1, 1)], hz), level)],
        phrasings=(
            "Is the voice low, middle or high?",
            "How high is the voice?",
            "Which register does the voice have?",
        ),
        options=list(REGISTERS_HZ),
        answer=answer,
        facts={"pitch_hz": hz},
        features=("pitch",),
        heard=[f"I hear a voice with {answer} pitch, about {round(hz, -1):.0f} Hz."],
        inference=f"That is {answer}.",
        level=level,
    )


SHAPES: dict[str, list[float]] = {
    "rising": [-3, 3],
    "falling": [3, -3],
    "level": [0, 0],
    "rising then falling": [-3, 3, -3],
}
"""Intonation contours, in semitones around the middle pitch."""


def intonation(rng: np.random.Generator, level: int) -> Item:
    """Which way does the voice move?"""
    answer = pick(rng, list(SHAPES))
    depth = 1.3 if level == 1 else 0.8
    hz = rng.uniform(100, 220)
    return draft(
        rng,
        clips=[_say(rng, contour(1.0, [depth * p for p in SHAPES[answer]], hz), level)],
        phrasings=(
            "What is the intonation of the voice?",
            "How does the pitch of the voice move?",
            "Which melody does the voice have?",
        ),
        options=list(SHAPES),
        answer=answer,
        facts={"middle_hz": hz, "depth_st": 6 * depth, "shape": answer},
        features=("pitch", "contour"),
        heard=[f"I hear a voice whose pitch is {answer}."],
        inference=f"So it is {answer}.",
        level=level,
    )


def liveliness(rng: np.random.Generator, level: int) -> Item:
    """Is the voice monotone or lively?"""
    answer = pick(rng, ("monotone", "lively"))
    span = {"monotone": 0.4, "lively": 4.5 if level == 1 else 2.5}[answer]
    signs = rng.choice([-1, 1]) * np.array([1, -1, 1, -1, 1])
    points = [float(s) * span * rng.uniform(0.7, 1.0) for s in signs]
    return draft(
        rng,
        clips=[_say(rng, contour(1.3, points, rng.uniform(110, 220)), level)],
        phrasings=(
            "Is the voice monotone or lively?",
            "Does the voice sound monotone or lively?",
            "How lively is the voice?",
        ),
        options=("monotone", "lively"),
        answer=answer,
        facts={"span_st": max(points) - min(points)},
        features=("pitch",),
        heard=[f"I hear a voice whose pitch moves {'little' if answer == 'monotone' else 'much'}."],
        inference=f"So it is {answer}.",
        level=level,
    )


def who_higher(rng: np.random.Generator, level: int) -> Item:
    """Two voices in turn: which is higher?"""
    low = rng.uniform(90, 170)
    high = low * 2 ** (rng.uniform(5, 9) / 12 if level == 1 else rng.uniform(3, 4) / 12)
    pair = [low, high] if rng.random() < 0.5 else [high, low]
    name = pick(rng, list(VOWELS))
    parts = [
        (0.05 + 0.75 * i, vowel(rng, contour(0.6, [0, 0], hz), name)) for i, hz in enumerate(pair)
    ]
    answer = "first" if pair[0] > pair[1] else "second"
    words = " and ".join(f"{round(hz, -1):.0f} Hz" for hz in pair)
    return draft(
        rng,
        clips=[finish(rng, lay(parts, 1.5), level)],
        phrasings=(
            "Which voice is higher, the first or the second?",
            "Who speaks higher, the first or the second voice?",
            "Which of the two voices has the higher pitch?",
        ),
        options=("first", "second"),
        answer=answer,
        facts={"voice_1_hz": pair[0], "voice_2_hz": pair[1]},
        features=("pitch",),
        heard=[f"I hear two voices at {words}."],
        inference=f"The {answer} is higher.",
        level=level,
    )


def which_vowel(rng: np.random.Generator, level: int) -> Item:
    """Which vowel is sung?"""
    answer = pick(rng, list(VOWELS))
    hz = rng.uniform(95, 180 if level == 1 else 260)
    return draft(
        rng,
        clips=[_say(rng, contour(0.7, [0, rng.uniform(-2, 2)], hz), level, answer)],
        phrasings=(
            "Which vowel is this?",
            "Which vowel is sung?",
            "What vowel does the voice hold?",
        ),
        options=list(VOWELS),
        answer=answer,
        facts={"vowel": answer, "pitch_hz": hz, "first_formant_hz": VOWELS[answer][0]},
        features=("vowel",),
        heard=[f"I hear a voice that holds {answer}."],
        inference=f"The vowel is {answer}.",
        level=level,
    )


def tremor(rng: np.random.Generator, level: int) -> Item:
    """Is the voice steady or trembling?"""
    answer = pick(rng, ("steady", "trembling"))
    depth = (rng.uniform(1.2, 2.0) if level == 1 else rng.uniform(0.6, 1.0)) * (
        answer == "trembling"
    )
    hz = contour(1.2, [0, rng.uniform(-2, 2)], rng.uniform(110, 230))
    return draft(
        rng,
        clips=[_say(rng, tremble(hz, rng.uniform(4.5, 6.5), depth), level)],
        phrasings=(
            "Is the voice steady or trembling?",
            "Does the voice tremble or is it steady?",
            "How steady is the voice?",
        ),
        options=("steady", "trembling"),
        answer=answer,
        facts={"tremor_depth_st": depth},
        features=("tremor",),
        heard=[f"I hear a voice whose pitch {'wavers' if depth else 'holds still'}."],
        inference=f"So it is {answer}.",
        level=level,
    )


def breathiness(rng: np.random.Generator, level: int) -> Item:
    """Is the voice breathy or clear?"""
    answer = pick(rng, ("breathy", "clear"))
    breath = {"breathy": 0.6 if level == 1 else 0.35, "clear": 0.02}[answer]
    hz = contour(0.9, [0, rng.uniform(-2, 2)], rng.uniform(100, 230))
    return draft(
        rng,
        clips=[_say(rng, hz, level, breath=breath)],
        phrasings=(
            "Is the voice breathy or clear?",
            "Does the voice sound breathy or clear?",
            "What is the quality of the voice, breathy or clear?",
        ),
        options=("breathy", "clear"),
        answer=answer,
        facts={"breath": breath},
        features=("breath",),
        heard=[f"I hear a voice with {'much' if answer == 'breathy' else 'little'} breath."],
        inference=f"So it is {answer}.",
        level=level,
    )
