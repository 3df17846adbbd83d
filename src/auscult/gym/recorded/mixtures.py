"""Tasks that put recordings together: what lies behind a voice; is it spoken or sung?"""

from functools import cache

import numpy as np

from auscult.audio.corrupt import mix
from auscult.audio.synth import SAMPLE_RATE
from auscult.audio.voice import VOWELS, contour, vowel
from auscult.gym.base import draft, pick, sample
from auscult.gym.recorded.notes import recorded
from auscult.gym.recorded.task import named
from auscult.gym.recorded.voices import PIECE_S, voices
from auscult.real.bank import Bank, Groups, grouped, levelled
from auscult.real.recording import Recording
from auscult.types import Audio, Item

LASTING_S = 1.5
"""Shortest effect that can lie behind a voice."""

SINGER = "vocobox"


@cache
def lasting(bank: Bank) -> Groups:
    """Effects of known classes that last, by class."""
    return grouped(
        bank.where(
            lambda r: r.kind == "effect" and r.label in bank.taught and r.seconds >= LASTING_S
        ),
        lambda r: r.label,
    )


def behind(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Which sound lies behind the voice? The effect that is asked about, at a stated level."""
    people = voices(bank)
    voice = pick(rng, people[pick(rng, list(people))])
    snr_db = float(rng.uniform(0, 6) if level == 1 else rng.uniform(6, 12))
    effect, x = bank.sound(asked, 6.0), bank.sound(voice, PIECE_S)
    at = int(rng.integers(max(1, len(effect) - len(x))))
    speech = np.pad(x, (at, max(0, len(effect) - at - len(x))))
    others = {k: v[0].family for k, v in lasting(bank).items()}
    wrong = sample(rng, [k for k, family in others.items() if family != asked.family], 3)
    return draft(
        rng,
        clips=[mix(speech, np.resize(effect, len(speech)), snr_db)],
        phrasings=(
            "Which sound lies behind the voice?",
            "What is heard behind the voice?",
            "Beside the voice, which sound is there?",
        ),
        options=[asked.label, *wrong],
        answer=asked.label,
        facts=named([asked, voice]) | {"sound": asked.label, "snr_db": snr_db},
        features=("event", "background"),
        heard=[f"I hear a voice, behind it {asked.label}."],
        inference=f"Behind the voice is {asked.label}.",
        level=level,
    )


def _hummed(rng: np.random.Generator) -> Audio:
    """Three to five notes sung on one vowel by a formant voice."""
    name, low = pick(rng, list(VOWELS)), float(rng.uniform(100, 240))
    steps = [float(s) for s in rng.choice([0, 2, 4, 5, 7, 9], int(rng.integers(3, 6)))]
    notes = [vowel(rng, contour(rng.uniform(0.35, 0.6), [s, s], low), name) for s in steps]
    return np.concatenate(notes)


def _song(rng: np.random.Generator, level: int, bank: Bank) -> Audio:
    """A melody: of the recorded singer where the bank has one, else of a formant voice."""
    if any(r.source == SINGER for r in bank.recordings):
        player = recorded(bank, SINGER, rng)
        return player.play(rng, sample(rng, player.notes, int(rng.integers(3, 6))), level)
    return _hummed(rng)


def spoken_or_sung(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Is it spoken or sung? For half of the items the recording gives way to a melody. No singer
    was recorded on the training side: there a formant voice sings."""
    answer = pick(rng, ("spoken", "sung"))
    x = bank.sound(asked, PIECE_S) if answer == "spoken" else levelled(_song(rng, level, bank))
    facts = named([asked]) if answer == "spoken" else {"sung_s": len(x) / SAMPLE_RATE}
    return draft(
        rng,
        clips=[x],
        phrasings=(
            "Is it spoken or sung?",
            "Does the voice speak or sing: spoken or sung?",
            "Speech or song: is it spoken or sung?",
        ),
        options=("spoken", "sung"),
        answer=answer,
        facts=facts,
        features=("kind",),
        heard=[f"I hear a voice that {'speaks' if answer == 'spoken' else 'sings'}."],
        inference=f"It is {answer}.",
        level=level,
    )
