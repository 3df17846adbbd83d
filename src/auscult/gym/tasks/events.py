"""Tasks about sound events: name, count, order, presence, length, loudness."""

from collections.abc import Sequence

import numpy as np

from auscult.audio.masking import pink, white
from auscult.audio.synth import (
    EVENTS,
    PLURAL,
    SAMPLE_RATE,
    event,
    finish,
    gain,
    lay,
    to_level,
    tone,
)
from auscult.gym.base import ORDINALS, counting, draft, pick, rest_s, sample
from auscult.types import Audio, Item

NAMES = tuple(EVENTS)


def with_article(name: str) -> str:
    """ "a knock"; glass stands for the sound of breaking glass."""
    return "breaking glass" if name == "glass" else f"a {name}"


def sequence(
    rng: np.random.Generator,
    names: Sequence[str],
    level: int,
    gaps_db: Sequence[float] | None = None,
) -> Audio:
    """Events one after another with clear gaps; the same name keeps one voice within a clip."""
    voices = {name: event(rng, name) for name in dict.fromkeys(names)}
    parts: list[tuple[float, Audio]] = []
    at = 0.05
    for i, name in enumerate(names):
        x = voices[name]
        parts.append((at, gain(x, gaps_db[i]) if gaps_db is not None else x))
        at += min(len(x) / 16000, 0.3) + rest_s(rng, 0.1, 0.2)
    return finish(rng, lay(parts, parts[-1][0] + 0.35), level)


def hear_events(names: Sequence[str]) -> str:
    """The sentence that says what is audible, in order."""
    return f"I hear {', '.join(names)}."


def tally(names: Sequence[str], target: str) -> str:
    """Counting one class aloud: "Counting knock: 1, 2."."""
    return f"Counting {target}: {counting(list(names).count(target))}."


def matched(names: Sequence[str], target: str) -> str:
    """Counting one class among others: "Match: drum no, knock yes. Counting knock: 1."."""
    marks = ", ".join(f"{name} {'yes' if name == target else 'no'}" for name in names)
    return f"Match: {marks}. {tally(names, target)}"


def event_name(rng: np.random.Generator, level: int) -> Item:
    """Which sound is it?"""
    name, *wrong = sample(rng, NAMES, 4)
    names = [name] * int(rng.integers(1, 3))
    return draft(
        rng,
        clips=[sequence(rng, names, level)],
        phrasings=("Which sound is this?", "What do you hear?", "What makes this sound?"),
        options=[name, *wrong],
        answer=name,
        facts={"sound": name, "times": len(names)},
        features=("event",),
        heard=[hear_events(names)],
        inference=f"It is {with_article(name)}.",
        level=level,
    )


NOTHING, NOISE_ALONE = "nothing", "only noise"


def anything_there(rng: np.random.Generator, level: int) -> Item:
    """Is there a sound at all: silence, noise and nothing else, or one of the events?"""
    name, other = sample(rng, NAMES, 2)
    answer = pick(rng, (NOTHING, NOISE_ALONE, name))
    seconds = float(rng.uniform(0.5, 3.0))
    n = round(seconds * SAMPLE_RATE)
    if answer == NOTHING:
        x, heard, step = np.zeros(n, dtype=np.float32), "I hear nothing.", "There is nothing."
    elif answer == NOISE_ALONE:
        x = to_level(pick(rng, (white, pink))(rng, n), -float(rng.uniform(15, 45)))
        heard, step = "I hear nothing but noise.", "There is only noise."
    else:
        x, heard = sequence(rng, [name], level), hear_events([name])
        step = f"It is {with_article(name)}."
    return draft(
        rng,
        clips=[x],
        phrasings=("What do you hear?", "Is there any sound, and which?", "What is there to hear?"),
        options=[NOTHING, NOISE_ALONE, name, other],
        answer=answer,
        facts={"truth": answer},
        features=("event", "noise"),
        heard=[heard],
        inference=step,
        level=level,
    )


def event_count(rng: np.random.Generator, level: int) -> Item:
    """How often does the sound occur?"""
    name = pick(rng, NAMES)
    n = int(rng.integers(1, 7)) + 2 * (level - 1)
    return draft(
        rng,
        clips=[sequence(rng, [name] * n, level)],
        phrasings=(
            "How many times does the sound occur?",
            "How often is the sound heard?",
            "Count the sounds.",
        ),
        answer=str(n),
        facts={"sound": name, "count": n},
        features=("event", "count"),
        heard=[hear_events([name] * n)],
        inference=tally([name] * n, name),
        level=level,
    )


def count_among(rng: np.random.Generator, level: int) -> Item:
    """How often does one class occur among others?"""
    target, *others = sample(rng, NAMES, 3)
    total = 4 + int(rng.integers(2)) + level - 1
    n = int(rng.integers(1, 5))
    names = sample(rng, [target] * n + [pick(rng, others) for _ in range(total - n)], total)
    return draft(
        rng,
        clips=[sequence(rng, names, level)],
        phrasings=(
            f"How many {PLURAL[target]} are there?",
            f"How often is {with_article(target)} heard?",
            f"Count only the {PLURAL[target]}.",
        ),
        answer=str(n),
        facts={"sound": target, "count": n, "total": total},
        features=("event", "count"),
        heard=[hear_events(names)],
        inference=matched(names, target),
        level=level,
    )


def event_order(rng: np.random.Generator, level: int) -> Item:
    """Which sound comes at the asked place?"""
    *names, absent = sample(rng, NAMES, 4 + (level > 1))
    at = int(rng.integers(len(names)))
    word = "last" if at == len(names) - 1 else ORDINALS[at]
    asked, options = [f"Which sound comes {word}?", f"What is the {word} sound?"], names
    if at > 0 and rng.random() < 1 / 3:
        # The sound that is named cannot follow itself: an absent one takes its place.
        before = names[at - 1]
        asked = [f"Which sound follows the {before}?", f"What is heard after the {before}?"]
        options = [absent if name == before else name for name in names]
    return draft(
        rng,
        clips=[sequence(rng, names, level)],
        phrasings=asked,
        options=options,
        answer=names[at],
        facts={f"sound_{i}": n for i, n in enumerate(names, 1)},
        features=("event", "order"),
        heard=[hear_events(names)],
        inference=f"The {word} is the {names[at]}.",
        level=level,
    )


def absent_sound(rng: np.random.Generator, level: int) -> Item:
    """Is the asked sound there at all? Half of the time it is not."""
    chosen = sample(rng, NAMES, 4)
    names = chosen[: 2 + (level > 1)]
    present = bool(rng.integers(2))
    target = pick(rng, names) if present else chosen[-1]
    found = "in" if present else "not in"
    return draft(
        rng,
        clips=[sequence(rng, names, level)],
        phrasings=(
            f"Is there {with_article(target)} in the recording?",
            f"Can {with_article(target)} be heard?",
            f"Does the recording contain {with_article(target)}?",
        ),
        options=("yes", "no"),
        answer="yes" if present else "no",
        facts={f"sound_{i}": n for i, n in enumerate(names, 1)} | {"asked": target},
        features=("event",),
        heard=[hear_events(names)],
        inference=f"The {target} is {found} the list.",
        level=level,
    )


def longest_sound(rng: np.random.Generator, level: int) -> Item:
    """Which tone is the longest?"""
    n = 3 + (level > 1)
    at = int(rng.integers(n))
    ratio = rng.uniform(1.8, 2.4) if level == 1 else rng.uniform(1.4, 1.6)
    lengths = [rng.uniform(0.17, 0.22) for _ in range(n)]
    lengths[at] = max(lengths) * ratio
    hz, parts, t = rng.uniform(400, 900), [], 0.05
    for length in lengths:
        parts.append((t, tone(hz, length, "hollow")))
        t += length + 0.12
    return draft(
        rng,
        clips=[finish(rng, lay(parts, t), level)],
        phrasings=(
            "Which tone is the longest?",
            "Which of the tones lasts longest?",
            "Where is the longest tone?",
        ),
        options=ORDINALS[:n],
        answer=ORDINALS[at],
        facts={f"length_{i}_s": d for i, d in enumerate(lengths, 1)},
        features=("duration", "order"),
        heard=[f"I hear tones: {', '.join('long' if i == at else 'short' for i in range(n))}."],
        inference=f"The longest is the {ORDINALS[at]}.",
        level=level,
    )


def loudest_sound(rng: np.random.Generator, level: int) -> Item:
    """Which of the sounds is the loudest?"""
    n = 3 + int(rng.integers(2))
    at = int(rng.integers(n))
    name = pick(rng, ("beep", "knock", "clap", "drum", "bark"))
    margin = rng.uniform(9, 12) if level == 1 else rng.uniform(5, 7)
    levels = [0.0 if i == at else -margin + rng.uniform(-1, 1) for i in range(n)]
    words = ", ".join(f"{'loud' if i == at else 'soft'} {name}" for i in range(n))
    return draft(
        rng,
        clips=[sequence(rng, [name] * n, level, levels)],
        phrasings=(
            "Which sound is the loudest?",
            "Which of the sounds is loudest?",
            "Where is the loudest sound?",
        ),
        options=ORDINALS[:n],
        answer=ORDINALS[at],
        facts={f"level_{i}_db": d for i, d in enumerate(levels, 1)} | {"sound": name},
        features=("level", "order"),
        heard=[f"I hear {words}."],
        inference=f"The loudest is the {ORDINALS[at]}.",
        level=level,
    )
