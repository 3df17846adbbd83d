"""Tasks about time: tempo, change of tempo, metre, dynamics, gaps."""

import numpy as np

from auscult.audio.synth import finish, gain, lay, note_hz, tone
from auscult.gym.base import draft, pick, sample
from auscult.types import Audio, Item

TEMPI_BPM = (60, 75, 100, 120, 150, 200)


def click(rng: np.random.Generator, *, accent: bool = False) -> Audio:
    """A short woodblock-like tone; the accent is louder and higher."""
    x = tone(1500 if accent else 1000, 0.05, "plucked")
    return gain(x, 6.0 if accent else -3.0) * np.float32(rng.uniform(0.9, 1.1))


def tempo(rng: np.random.Generator, level: int) -> Item:
    """How many beats per minute?"""
    bpm = pick(rng, TEMPI_BPM)
    period = 60 / bpm
    x = lay([(0.05 + i * period, click(rng)) for i in range(int(2.4 / period) + 1)], 2.6)
    wrong = sample(rng, [b for b in TEMPI_BPM if b != bpm], 3)
    return draft(
        rng,
        clips=[finish(rng, x, level)],
        phrasings=(
            "What is the tempo in beats per minute?",
            "How fast is the beat, in beats per minute?",
            "Which tempo do the clicks have?",
        ),
        options=[str(b) for b in (bpm, *wrong)],
        answer=str(bpm),
        facts={"tempo_bpm": bpm, "period_s": period},
        features=("tempo",),
        heard=[f"I hear clicks {period:.2f} s apart."],
        inference=f"60 / {period:.2f} = {bpm}.",
        level=level,
    )


def tempo_change(rng: np.random.Generator, level: int) -> Item:
    """Does the pulse speed up, slow down or stay steady?"""
    answer = pick(rng, ("speeds up", "slows down", "stays steady"))
    ratio = {1: 1.22, 2: 1.14}.get(level, 1.1)
    ratio = {"speeds up": 1 / ratio, "slows down": ratio, "stays steady": 1.0}[answer]
    gaps = np.array([ratio**i for i in range(6)])
    gaps = gaps / gaps.sum() * rng.uniform(1.8, 2.4)
    onsets = np.concatenate([[0.05], 0.05 + np.cumsum(gaps)])
    x = lay([(float(t), click(rng)) for t in onsets], float(onsets[-1]) + 0.15)
    trend = {"speeds up": "get shorter", "slows down": "get longer", "stays steady": "are equal"}
    return draft(
        rng,
        clips=[finish(rng, x, level)],
        phrasings=(
            "Does the pulse speed up, slow down or stay steady?",
            "How does the tempo change?",
            "What happens to the tempo?",
        ),
        options=list(trend),
        answer=answer,
        facts={"first_gap_s": float(gaps[0]), "last_gap_s": float(gaps[-1])},
        features=("tempo",),
        heard=[f"I hear clicks, first gap {gaps[0]:.1f} s, last gap {gaps[-1]:.1f} s."],
        inference=f"The gaps {trend[answer]}, so it {answer}.",
        level=level,
    )


def meter(rng: np.random.Generator, level: int) -> Item:
    """How many beats lie from one strong beat to the next?"""
    beats = int(rng.integers(2, 5 if level == 1 else 7))
    period = rng.uniform(0.2, 0.26)
    total = 2 * beats + 1
    strong = [i % beats == 0 for i in range(total)]
    x = lay([(0.05 + i * period, click(rng, accent=s)) for i, s in enumerate(strong)])
    pattern = " ".join("strong" if s else "weak" for s in strong)
    return draft(
        rng,
        clips=[finish(rng, lay([(0, x)], len(x) / 16000 + 0.1), level)],
        phrasings=(
            "How many beats are in a bar?",
            "The strong beat returns after how many beats?",
            "What is the metre: how many beats per bar?",
        ),
        answer=str(beats),
        facts={"beats": beats, "period_s": period},
        features=("accent", "count"),
        heard=[f"I hear beats: {pattern}."],
        inference=f"From strong to strong: {', '.join(map(str, range(1, beats + 1)))}.",
        level=level,
    )


def dynamics(rng: np.random.Generator, level: int) -> Item:
    """Do the notes get louder, quieter, or stay the same?"""
    answer = pick(rng, ("louder", "quieter", "same"))
    step = {"louder": 1, "quieter": -1, "same": 0}[answer] * (5.0 if level == 1 else 3.0)
    midi = int(rng.integers(60, 80))
    parts = [
        (0.05 + 0.3 * i, gain(tone(note_hz(midi), 0.25, "hollow"), step * (i - 2)))
        for i in range(5)
    ]
    trend = {"louder": "rises", "quieter": "falls", "same": "is constant"}[answer]
    return draft(
        rng,
        clips=[finish(rng, lay(parts, 1.65), level)],
        phrasings=(
            "Do the notes get louder, quieter or stay the same?",
            "How does the loudness change?",
            "What happens to the volume?",
        ),
        options=("louder", "quieter", "same"),
        answer=answer,
        facts={"step_db": step},
        features=("level",),
        heard=[f"I hear notes whose level {trend}."],
        inference=f"So it is {answer}.",
        level=level,
    )


def gap_compare(rng: np.random.Generator, level: int) -> Item:
    """Three beeps: which gap is longer?"""
    short = rng.uniform(0.2, 0.45)
    long = short * rng.uniform(1.6, 2.2) if level == 1 else short * rng.uniform(1.25, 1.5)
    gaps = [short, long] if rng.random() < 0.5 else [long, short]
    beep = tone(rng.uniform(700, 1200), 0.1)
    onsets = [0.05, 0.15 + gaps[0], 0.25 + gaps[0] + gaps[1]]
    x = lay([(t, beep) for t in onsets], onsets[-1] + 0.2)
    answer = "first" if gaps[0] > gaps[1] else "second"
    return draft(
        rng,
        clips=[finish(rng, x, level)],
        phrasings=(
            "Which gap between the beeps is longer, the first or the second?",
            "Is the first or the second pause longer?",
            "Which of the two silences lasts longer?",
        ),
        options=("first", "second"),
        answer=answer,
        facts={"gap_1_s": gaps[0], "gap_2_s": gaps[1]},
        features=("time",),
        heard=[f"I hear beeps with gaps of {gaps[0]:.1f} s and {gaps[1]:.1f} s."],
        inference=f"The {answer} gap is longer.",
        level=level,
    )
