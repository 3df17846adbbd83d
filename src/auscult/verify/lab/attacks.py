"""Thoughts that try to look grounded. None may score above the true chain of the same item.

Each attack is a function of (item, another item of the same task, generator) and one line in
`ATTACKS`; it returns the thought. What each gets is in the report of `benchmarks/grounding.py`.
"""

from collections.abc import Callable

import numpy as np

from auscult.gym.base import pick
from auscult.gym.render import chain, twin
from auscult.types import Item
from auscult.verify.lab.statements import statements

Attack = Callable[[Item, Item, np.random.Generator], str]


def keyword_stuffing(item: Item, other: Item, rng: np.random.Generator) -> str:
    """Acoustic words without a statement."""
    return (
        "Pitch, timbre, loudness, rhythm, tempo, spectral centroid, harmonics, formants, vibrato, "
        "reverberation, noise floor, onset, decay, intonation, fundamental frequency, dynamics. "
        f"Considering pitch, rhythm and timbre carefully, the answer is {item.answer}."
    )


def vacuous(item: Item, other: Item, rng: np.random.Generator) -> str:
    """True of any sound."""
    return (
        "I hear a sound. The sound has a certain pitch and a certain loudness, and it changes over "
        "time. There is at least one sound, it has a beginning and an end, and some parts are "
        f"louder than others. The answer is {item.answer}."
    )


def restating(item: Item, other: Item, rng: np.random.Generator) -> str:
    """The question said again."""
    question = item.question.rstrip("?").replace("Which ", "the ").replace("What ", "the ")
    return (
        f"The question is {question}. I must find {question.lower()}. The answer is {item.answer}."
    )


def options_copied(item: Item, other: Item, rng: np.random.Generator) -> str:
    """Every option said to be heard."""
    options = item.options or (item.answer,)
    return " ".join(f"I hear {o}." for o in options) + f" The answer is {item.answer}."


def one_claim_repeated(item: Item, other: Item, rng: np.random.Generator) -> str:
    """One claim of the truth, many times, in place of the rest; and a wrong one between."""
    first = item.heard[0].rstrip(".")
    return f"{first}. " + f"{other.heard[0].rstrip('.')}. " + f"{first}. " * 6


def contradicting(item: Item, other: Item, rng: np.random.Generator) -> str:
    """The truth and its opposite."""
    return (
        f"{chain(item)} The pitch rises. The pitch falls. The sound gets louder. The sound gets "
        "quieter. The voice is monotone. The voice is lively. The clicks speed up. The clicks slow "
        "down."
    )


def absurd_precision(item: Item, other: Item, rng: np.random.Generator) -> str:
    """Numbers with more digits than any ear or instrument has."""
    hz = [v for k, v in item.facts.items() if k.endswith("_hz") and isinstance(v, float)] or [440.0]
    return " ".join(
        f"The pitch is {h + rng.uniform(-0.01, 0.01):.6f} Hz and the duration is "
        f"{len(item.clips[0]) / 16000:.7f} s." for h in hz
    ) + f" The answer is {item.answer}."  # fmt: skip


def other_clip(item: Item, other: Item, rng: np.random.Generator) -> str:
    """The true chain of another item: claims about the wrong clip."""
    return chain(other)


def transcript(item: Item, other: Item, rng: np.random.Generator) -> str:
    """The scene read as a text and dressed as listening."""
    return (
        f"According to the text, {twin(item)} The transcript says so, and the caption mentions the "
        f"rest. From the words alone it follows that the answer is {item.answer}."
    )


def planted_falsehood(item: Item, other: Item, rng: np.random.Generator) -> str:
    """A right chain with one false claim in it."""
    false = [s for s in statements(item, rng) if not s.true and s.key in PLAIN]
    if not false:
        return f"{chain(item)} {PLAIN_FALSE}"
    s = pick(rng, false)
    return f"{chain(item)} {PLAIN[s.key].format(**s.slots)}"


PLAIN_FALSE = "The clip lasts 9.5 seconds."
PLAIN = {
    "value.note": "The {ordinal} note is {note}.",
    "value.pitch": "The {ordinal} note is at {value} Hz.",
    "value.interval": "The two notes are {value} semitones apart.",
    "value.tempo": "The tempo is {value} BPM.",
    "value.gap": "The {ordinal} gap lasts {value} s.",
    "value.duration": "The clip lasts {value} seconds.",
    "count.note": "There are {n} notes.",
    "count.event": "There are {n} {subjects}.",
    "count.sound": "There are {n} sounds.",
    "count.meter": "There are {n} beats in every bar.",
    "presence.event": "I hear {a_subject}.",
    "presence.at": "The {ordinal} sound is {a_subject}.",
    "presence.background": "There is {subject} in the background.",
    "order.before": "{A} comes before {B}.",
    "direction.pitch.rising": "The pitch rises.",
    "direction.pitch.falling": "The pitch falls.",
    "direction.pitch.level": "The pitch of the voice stays level.",
    "direction.level.rising": "The sound gets louder.",
    "direction.level.falling": "The sound gets quieter.",
    "direction.tempo.rising": "The clicks speed up.",
    "direction.tempo.falling": "The clicks slow down.",
    "direction.contour": "The steps of the melody go {steps}.",
    "quality.timbre": "The {ordinal} note sounds {value}.",
    "quality.vowel": "The vowel is {value}.",
    "quality.chord": "The chord is {value}.",
    "comparison.level.more": "The {a} sound is louder than the {b}.",
    "comparison.duration.more": "The {a} tone is longer than the {b}.",
    "comparison.gap.more": "The {a} gap is longer than the {b}.",
    "comparison.pitch.more": "The {a} note is higher than the {b}.",
    "superlative.pitch.most": "The {ordinal} note is the highest.",
    "superlative.level.most": "The {ordinal} sound is the loudest.",
    "superlative.duration.most": "The {ordinal} tone is the longest.",
}
"""Plain phrases for statements, for whatever must be said in our own words."""


def guessing(item: Item, other: Item, rng: np.random.Generator) -> str:
    """Every plausible claim, in the hope that some hold."""
    return (
        "There is one knock. There are two knocks. There are three claps. I hear a bell. I hear a "
        "dog bark. I hear rain in the background. The pitch rises. The clip gets louder. The tempo "
        "is 120 BPM. The first note is the highest. The second note is the highest. The voice is "
        "breathy. The chord is major. The clip lasts 1.5 seconds. The first sound is the loudest."
    )


def hedging(item: Item, other: Item, rng: np.random.Generator) -> str:
    """Everything is possible, nothing is said."""
    return (
        "Maybe the pitch rises or falls. Perhaps there might be a knock or a clap. It could be "
        f"loud or soft. Possibly the answer is {item.answer}."
    )


def denying_values(item: Item, other: Item, rng: np.random.Generator) -> str:
    """What is nearly always false, denied."""
    return (
        "There are not 9 notes. The pitch is not 83 Hz. The notes are not 23 semitones apart. The "
        "clicks are not 7 seconds apart. The tempo is not 33 BPM. There are not eleven sounds."
    )


def denying_events(item: Item, other: Item, rng: np.random.Generator) -> str:
    """What is nearly always absent, denied."""
    return "I hear no horn, no bark and no glass. There is no rain, no wind and no engine."


def lies_at_the_end(item: Item, other: Item, rng: np.random.Generator) -> str:
    """A true chain, much that is safe, and then what is not so."""
    safe = " ".join(f"There is no {name}." for name in ("violin", "piano", "flute", "trumpet"))
    return (
        f"{chain(item)} {safe} It has a beginning. There is rain. There are seven beeps. There "
        "are nine knocks. The pitch is 50 Hz. The clip lasts 9 seconds."
    )


ATTACKS: dict[str, Attack] = {
    "keyword stuffing": keyword_stuffing,
    "vacuous claims": vacuous,
    "restating the question": restating,
    "copying the options": options_copied,
    "one claim repeated": one_claim_repeated,
    "contradictory claims": contradicting,
    "absurd precision": absurd_precision,
    "the wrong clip": other_clip,
    "a transcript as acoustics": transcript,
    "one planted falsehood": planted_falsehood,
    "guessing everything": guessing,
    "hedging everything": hedging,
    "denying values": denying_values,
    "denying events": denying_events,
    "lies at the end": lies_at_the_end,
}
"""Name -> attack. To add one, write the function and a line here."""
