"""Tasks about who speaks and how, in recordings of people: pitch, speaker, rate, noise."""

from collections.abc import Mapping
from functools import cache
from math import log2

import numpy as np

from auscult.audio.corrupt import mix
from auscult.audio.masking import pink, white
from auscult.gym.base import draft, pick, sample
from auscult.gym.recorded.task import another, in_turn, named
from auscult.real.bank import Bank, Groups, grouped
from auscult.real.recording import Recording
from auscult.types import Item

REGISTERS_HZ: Mapping[str, tuple[float, float]] = {
    "low": (65, 135), "middle": (155, 205), "high": (225, 450),
}  # fmt: skip
"""Median pitch of a voice that counts as low, middle or high; what lies between is not asked."""

PIECE_S = 3.0
"""At most so much of a recording is heard where two or more follow each other."""


def _voice(r: Recording) -> bool:
    return r.kind == "speech" and bool(r.speaker) and r.seconds >= 0.7


@cache
def voices(bank: Bank) -> Groups:
    """Speech of at least 0.7 s, by voice."""
    return grouped(bank.where(_voice), lambda r: r.speaker)


@cache
def pitched(bank: Bank) -> Groups:
    """The same where a pitch can be measured."""
    return grouped(bank.where(lambda r: _voice(r) and bank.pitch_hz[r.key] > 0), _speaker)


def _speaker(r: Recording) -> str:
    return r.speaker


def register_of(hz: float) -> str:
    """ "low", "middle", "high", or "" between them."""
    return next((name for name, (a, b) in REGISTERS_HZ.items() if a <= hz <= b), "")


@cache
def registers(bank: Bank) -> Groups:
    """Speech by register."""
    return grouped(bank.where(_voice), lambda r: register_of(bank.pitch_hz[r.key]))


def register(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Is the voice low, middle or high?"""
    hz = bank.pitch_hz[asked.key]
    answer = register_of(hz)
    return draft(
        rng,
        clips=[bank.sound(asked, 2 * PIECE_S)],
        phrasings=(
            "Is the voice low, middle or high?",
            "How high is the voice?",
            "Which register does the voice have?",
        ),
        options=list(REGISTERS_HZ),
        answer=answer,
        facts=named([asked]) | {"pitch_hz": hz},
        features=("pitch",),
        heard=[f"I hear a voice with {answer} pitch, about {round(hz, -1):.0f} Hz."],
        inference=f"That is {answer}.",
        level=level,
    )


def who_higher(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Two people in turn: who speaks higher?"""
    apart, own = (4.0 if level == 1 else 2.5), bank.pitch_hz[asked.key]

    def fits(r: Recording) -> bool:
        return abs(12 * log2(bank.pitch_hz[r.key] / own)) >= apart

    groups = pitched(bank)
    others = [name for name in groups if name != asked.speaker]
    other = another(rng, [pick(rng, groups[pick(rng, others)]) for _ in range(30)], fits)
    pair = sample(rng, [asked, other], 2)
    hz = [bank.pitch_hz[r.key] for r in pair]
    answer = "first" if hz[0] > hz[1] else "second"
    words = " and ".join(f"{round(f, -1):.0f} Hz" for f in hz)
    return draft(
        rng,
        clips=[in_turn(rng, [bank.sound(r, PIECE_S) for r in pair])],
        phrasings=(
            "Which voice is higher, the first or the second?",
            "Who speaks higher, the first or the second voice?",
            "Which of the two voices has the higher pitch?",
        ),
        options=("first", "second"),
        answer=answer,
        facts=named(pair) | {"voice_1_hz": hz[0], "voice_2_hz": hz[1]},
        features=("pitch",),
        heard=[f"I hear two voices at {words}."],
        inference=f"The {answer} is higher.",
        level=level,
    )


def same_speaker(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Two clips: the same voice or two?"""
    groups = voices(bank)
    own = [r for r in groups[asked.speaker] if r.key != asked.key]
    same = bool(own) and bool(rng.integers(2))
    if same:
        other = pick(rng, own)
    else:
        other = pick(rng, groups[pick(rng, [name for name in groups if name != asked.speaker])])
    pair = sample(rng, [asked, other], 2)
    answer = "same" if same else "different"
    return draft(
        rng,
        clips=[bank.sound(r, 2 * PIECE_S) for r in pair],
        phrasings=(
            "Is it the same speaker in both clips or a different one?",
            "Same or different speaker?",
            "Do both clips have the same speaker or different speakers?",
        ),
        options=("same", "different"),
        answer=answer,
        facts=named(pair),
        features=("speaker",),
        heard=["I hear a voice.", f"I hear {'the same' if same else 'another'} voice."],
        inference=f"The speaker is {'the same' if same else 'different'}.",
        level=level,
    )


def speaker_count(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Three or four phrases: how many people speak?"""
    groups, total = voices(bank), 3 + (level > 1)
    n = int(rng.integers(1, total + 1))
    others = sample(rng, [name for name in groups if name != asked.speaker], n - 1)
    names = [asked.speaker, *others]
    names += [pick(rng, names) for _ in range(total - n)]
    turns = [asked, *(pick(rng, groups[name]) for name in names[1:])]
    turns = sample(rng, turns, total)
    order = list(dict.fromkeys(r.speaker for r in turns))
    letters = " ".join("ABCD"[order.index(r.speaker)] for r in turns)
    return draft(
        rng,
        clips=[in_turn(rng, [bank.sound(r, PIECE_S) for r in turns])],
        phrasings=(
            "How many different people speak?",
            "How many speakers are there?",
            "Count the different voices.",
        ),
        answer=str(n),
        facts=named(turns) | {"speakers": n},
        features=("speaker", "count"),
        heard=[f"I hear voices in turn: {letters}."],
        inference=f"Different voices: {', '.join(map(str, range(1, n + 1)))}.",
        level=level,
    )


@cache
def timed(bank: Bank) -> Groups:
    """Speech of which the words are known and the length says how fast it is, by language."""

    def fits(r: Recording) -> bool:
        return _voice(r) and r.exact and len(r.text) >= 15 and 1.2 <= r.seconds <= 6

    return grouped(bank.where(fits), lambda r: r.language)


def _letters(r: Recording) -> int:
    return sum(c.isalpha() for c in r.text)


def rate(bank: Bank, r: Recording) -> float:
    """Letters per second of what sounds."""
    return _letters(r) / (len(bank.sound(r)) / 16000)


def who_faster(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """Two phrases of one language: which is spoken faster?"""
    times, own = (1.5 if level == 1 else 1.3), rate(bank, asked)

    def apart(ratio: float) -> bool:
        return ratio >= times or ratio <= 1 / times

    def fits(r: Recording) -> bool:
        # The length of the whole file tells at once which are worth reading.
        return apart(_letters(r) / r.seconds / own) and apart(rate(bank, r) / own)

    among = timed(bank)[asked.language]
    other = another(rng, [pick(rng, among) for _ in range(60)], fits)
    pair = sample(rng, [asked, other], 2)
    rates = [rate(bank, r) for r in pair]
    answer = "first" if rates[0] > rates[1] else "second"
    slow, fast = ("slow", "fast") if answer == "second" else ("fast", "slow")
    return draft(
        rng,
        clips=[in_turn(rng, [bank.sound(r) for r in pair])],
        phrasings=(
            "Which voice speaks faster, the first or the second?",
            "Who speaks faster, the first or the second voice?",
            "Which of the two phrases is spoken faster?",
        ),
        options=("first", "second"),
        answer=answer,
        facts=named(pair) | {"letters_per_s_1": rates[0], "letters_per_s_2": rates[1]},
        features=("rate",),
        heard=[f"I hear two voices, one {slow}, then one {fast}."],
        inference=f"The {answer} is faster.",
        level=level,
    )


NOISES = (white, pink)


def noisier(rng: np.random.Generator, level: int, bank: Bank, asked: Recording) -> Item:
    """A phrase in noise, twice: which is noisier? Mixtures at exact ratios."""
    high = float(rng.uniform(14, 24))
    low = high - float(rng.uniform(9, 14) if level == 1 else rng.uniform(6, 8))
    snrs = sample(rng, (high, low), 2)
    noise, x = pick(rng, NOISES), bank.sound(asked, PIECE_S)
    answer = "first" if snrs[0] < snrs[1] else "second"
    return draft(
        rng,
        clips=[mix(x, noise(rng, len(x)), snr_db) for snr_db in snrs],
        phrasings=(
            "Which clip is noisier, the first or the second?",
            "In which clip is the noise stronger?",
            "Which recording has more noise?",
        ),
        options=("first", "second"),
        answer=answer,
        facts=named([asked]) | {"snr_1_db": snrs[0], "snr_2_db": snrs[1]},
        features=("noise",),
        heard=[f"I hear a voice in {'weak' if s == high else 'strong'} noise." for s in snrs],
        inference=f"The {answer} has more noise.",
        level=level,
    )
