"""Transcript against voice (extra `[speech]`): the words say one thing, the sound another.

Words and truth are drawn independently, so whoever answers from the words is right by chance only.
"""

from dataclasses import replace

import numpy as np

from auscult.audio.speech import FEMALE_VOICES, MALE_VOICES, WHISPER_VOICES, Manner
from auscult.audio.synth import BACKGROUNDS, PLURAL, event, finish, lay, to_level
from auscult.gym.base import DIGITS, draft, pick, rest_s
from auscult.gym.tasks.events import hear_events, tally
from auscult.gym.tasks.speech import manner, speaker_facts, spoken, words_apart
from auscult.types import Audio, Item


def _clip(rng: np.random.Generator, x: Audio, level: int) -> Audio:
    return finish(rng, lay([(0.05, x)], len(x) / 16000 + 0.1), level)


def conflict_count(rng: np.random.Generator, level: int) -> Item:
    """The voice announces a number of sounds; how many are there really?"""
    name = pick(rng, ("knock", "beep", "clap", "drum", "bell"))
    said, n = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    who = manner(rng)
    text = f"{DIGITS[said]} {PLURAL[name] if said != 1 else name}"
    x = words_apart(text.split(), who)
    sound = event(rng, name)
    parts, at = [(0.0, x)], len(x) / 16000 + rest_s(rng, 0.15, 0.2)
    for _ in range(n):
        parts.append((at, sound))
        at += min(len(sound) / 16000, 0.25) + rest_s(rng, 0.08, 0.14)
    x = lay(parts)
    return draft(
        rng,
        clips=[_clip(rng, x, level)],
        phrasings=(
            f"How many {PLURAL[name]} are really heard?",
            f"Not counting the words, how many {PLURAL[name]} are there?",
            f"How many {PLURAL[name]} follow the voice?",
        ),
        answer=str(n),
        facts=speaker_facts(who) | {"words": text, "sound": name, "count": n},
        features=("event", "count", "words"),
        heard=[f'I hear the words "{text}". {hear_events([name] * n)}'],
        inference=tally([name] * n, name),
        level=level,
    )


def _conflict(
    rng: np.random.Generator,
    level: int,
    who: Manner,
    text: str,
    phrasings: tuple[str, ...],
    options: tuple[str, ...],
    answer: str,
    sounds: str,
    feature: str,
) -> Item:
    return draft(
        rng,
        clips=[_clip(rng, spoken(text, who), level)],
        phrasings=phrasings,
        options=options,
        answer=answer,
        facts=speaker_facts(who) | {"words": text, "truth": answer},
        features=(feature, "words"),
        heard=[f'I hear the words "{text}", {sounds}.'],
        inference=f"The sound decides: {answer}.",
        level=level,
    )


def conflict_whisper(rng: np.random.Generator, level: int) -> Item:
    """Whispered or spoken with full voice, whatever the words say?"""
    answer = pick(rng, ("whispered", "full voice"))
    who = manner(rng)
    if answer == "whispered":
        who = replace(who, voice=pick(rng, WHISPER_VOICES))
    text = pick(rng, ("this is a whisper", "this is my full voice"))
    return _conflict(
        rng, level, who, text,
        (
            "Is it whispered or spoken with full voice?",
            "How is it said, whispered or with full voice?",
            "Judging by the sound, whispered or full voice?",
        ),
        ("whispered", "full voice"), answer,
        "all breath" if answer == "whispered" else "with a clear tone", "voicing",
    )  # fmt: skip


def conflict_pitch(rng: np.random.Generator, level: int) -> Item:
    """Is the voice low or high, whatever the words say?"""
    answer = pick(rng, ("low", "high"))
    voices, pitches = (MALE_VOICES, (10, 30)) if answer == "low" else (FEMALE_VOICES, (70, 90))
    who = replace(manner(rng), voice=pick(rng, voices), pitch=pick(rng, pitches))
    text = pick(rng, ("my voice is low", "my voice is high"))
    return _conflict(
        rng, level, who, text,
        (
            "Does the voice sound low or high?",
            "Judging by the sound, is the voice low or high?",
            "Is the pitch of the speaker low or high?",
        ),
        ("low", "high"), answer, f"with {answer} pitch", "pitch",
    )  # fmt: skip


def conflict_rate(rng: np.random.Generator, level: int) -> Item:
    """Slow or fast speech, whatever the words say?"""
    answer = pick(rng, ("slow", "fast"))
    rates = (95, 115) if answer == "slow" else (270, 320)
    who = replace(manner(rng), rate=pick(rng, rates))
    text = pick(rng, ("now I speak slowly", "now I speak quickly"))
    return _conflict(
        rng, level, who, text,
        (
            "Is the speech slow or fast?",
            "Does the voice speak slow or fast?",
            "Judging by the sound, is it slow or fast?",
        ),
        ("slow", "fast"), answer, f"at a {answer} rate", "rate",
    )  # fmt: skip


def conflict_background(rng: np.random.Generator, level: int) -> Item:
    """What is really behind the voice?"""
    kinds = [*BACKGROUNDS, "silence"]
    answer, said = pick(rng, kinds), pick(rng, kinds)
    who = manner(rng)
    text = f"there is {said}" if said != "crickets" else "there are crickets"
    x = lay([(0.2, spoken(text, who))], 1.6)
    if answer != "silence":
        noise = BACKGROUNDS[answer](rng, len(x) / 16000)[: len(x)]
        x = x + to_level(lay([(0, noise)], len(x) / 16000)[: len(x)], -28.0 - 4 * (level - 1))
    return draft(
        rng,
        clips=[finish(rng, x, level)],
        phrasings=(
            "What is really in the background?",
            "Which background is heard behind the voice?",
            "Whatever is said, what is the background?",
        ),
        options=kinds,
        answer=answer,
        facts=speaker_facts(who) | {"words": text, "background": answer},
        features=("background", "words"),
        heard=[f'I hear the words "{text}", behind it {answer}.'],
        inference=f"The background is {answer}.",
        level=level,
    )
