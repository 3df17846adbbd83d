"""Tasks that need several steps after hearing: arithmetic, comparison, rules, sorting."""

import numpy as np

from auscult.audio.synth import PLURAL, event, finish, lay, note_hz, note_name, tone
from auscult.gym.base import draft, pick, rest_s, sample
from auscult.gym.tasks.events import NAMES, hear_events, matched, sequence, tally
from auscult.gym.tasks.tones import (
    HIGHEST,
    LOWEST,
    ChoosePlayer,
    any_timbre,
    hear_notes,
    names,
    pitch_facts,
)
from auscult.types import Item


def _two_classes(rng: np.random.Generator, n: int, m: int) -> tuple[str, str, list[str]]:
    a, b = sample(rng, NAMES, 2)
    return a, b, sample(rng, [a] * n + [b] * m, n + m)


def event_arithmetic(rng: np.random.Generator, level: int) -> Item:
    """Sum, difference or product of two counts."""
    top = 4 if level == 1 else 5
    n, m = int(rng.integers(1, top)), int(rng.integers(1, top))
    a, b, order = _two_classes(rng, n, m)
    sign = pick(rng, ("+", "x") if n < m else ("+", "-", "x"))
    result = {"+": n + m, "-": n - m, "x": n * m}[sign]
    word = {"+": "plus", "-": "minus", "x": "times"}[sign]
    return draft(
        rng,
        clips=[sequence(rng, order, level)],
        phrasings=(
            f"What is the number of {PLURAL[a]} {word} the number of {PLURAL[b]}?",
            f"Compute {PLURAL[a]} {word} {PLURAL[b]}.",
            f"How much is the count of {PLURAL[a]} {word} the count of {PLURAL[b]}?",
        ),
        answer=str(result),
        facts={"first": a, "first_count": n, "second": b, "second_count": m},
        features=("event", "count"),
        heard=[hear_events(order)],
        inference=f"{tally(order, a)} {tally(order, b)} {n} {sign} {m} = {result}.",
        level=level,
    )


def more_of_which(rng: np.random.Generator, level: int) -> Item:
    """Which of two sounds occurs more often?"""
    n = int(rng.integers(1, 4 + level))
    m = pick(rng, [k for k in range(1, 4 + level) if k != n])
    a, b, order = _two_classes(rng, n, m)
    answer = a if n > m else b
    first, second = sample(rng, (a, b), 2)
    return draft(
        rng,
        clips=[sequence(rng, order, level)],
        phrasings=(
            f"Are there more {PLURAL[first]} or more {PLURAL[second]}?",
            f"Which is heard more often, the {first} or the {second}?",
            f"What is more frequent, {PLURAL[first]} or {PLURAL[second]}?",
        ),
        options=(a, b),
        answer=answer,
        facts={"first": a, "first_count": n, "second": b, "second_count": m},
        features=("event", "count"),
        heard=[hear_events(order)],
        inference=f"{tally(order, a)} {tally(order, b)} There are more {PLURAL[answer]}.",
        level=level,
    )


def even_or_odd(rng: np.random.Generator, level: int) -> Item:
    """Is the number of sounds even or odd?"""
    name = pick(rng, NAMES)
    n = int(rng.integers(1, 7)) + 2 * (level - 1)
    answer = "odd" if n % 2 else "even"
    return draft(
        rng,
        clips=[sequence(rng, [name] * n, level)],
        phrasings=(
            "Is the number of sounds even or odd?",
            "Count the sounds: is the result even or odd?",
            "Are the sounds even or odd in number?",
        ),
        options=("even", "odd"),
        answer=answer,
        facts={"sound": name, "count": n},
        features=("event", "count"),
        heard=[hear_events([name] * n)],
        inference=f"{tally([name] * n, name)} {n} is {answer}.",
        level=level,
    )


def rule_following(rng: np.random.Generator, level: int) -> Item:
    """A rule about two notes says which of two counts to answer."""
    midis = sample(rng, list(range(LOWEST, HIGHEST + 1, 2 if level == 1 else 1)), 2)
    n, m = (int(k) for k in rng.permutation(np.arange(1, 4 + (level > 1)))[:2])
    a, b, order = _two_classes(rng, n, m)
    higher = midis[1] > midis[0]
    target = a if higher else b
    result = n if higher else m
    voices = {name: event(rng, name) for name in (a, b)}
    parts = [(0.05 + 0.3 * i, tone(note_hz(k), 0.26, "hollow")) for i, k in enumerate(midis)]
    at = 0.8
    for name in order:
        parts.append((at, voices[name]))
        at += min(len(voices[name]) / 16000, 0.3) + rest_s(rng, 0.1, 0.2)
    relation = "higher" if higher else "lower"
    return draft(
        rng,
        clips=[finish(rng, lay(parts, parts[-1][0] + 0.35), level)],
        phrasings=(
            f"If the second note is higher than the first, how many {PLURAL[a]}, "
            f"else how many {PLURAL[b]}?",
            f"When the notes go up count the {PLURAL[a]}, when they go down count the {PLURAL[b]}.",
        ),
        answer=str(result),
        facts=pitch_facts(midis) | {"first": a, "first_count": n, "second": b, "second_count": m},
        features=("pitch", "event", "count"),
        heard=[f"{hear_notes(midis)} {hear_events(order)}"],
        inference=f"{note_name(midis[1])} is {relation} than {note_name(midis[0])}. "
        f"{matched(order, target)}",
        level=level,
    )


def sort_tones(rng: np.random.Generator, level: int, choose: ChoosePlayer = any_timbre) -> Item:
    """Put the notes in order from low to high."""
    n = 3
    player = choose(rng)
    midis = sample(rng, player.grid(rng, 3 if level == 1 else 1), n)
    ranked = sorted(range(n), key=lambda i: midis[i])
    answer = " ".join(str(i + 1) for i in ranked)
    every = {" ".join(str(int(i) + 1) for i in rng.permutation(n)) for _ in range(40)} - {answer}
    return draft(
        rng,
        clips=[player.play(rng, midis, level)],
        phrasings=(
            "Put the notes in order from lowest to highest.",
            "Which order of the notes goes from low to high?",
            "Sort the notes by pitch, lowest first.",
        ),
        options=[answer, *sample(rng, sorted(every), 3)],
        answer=answer,
        facts=pitch_facts(midis),
        features=("pitch", "order"),
        heard=[hear_notes(midis)],
        inference=f"From low to high: {names([midis[i] for i in ranked])}. That is {answer}.",
        level=level,
    )
