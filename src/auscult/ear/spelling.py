"""How well an aligned ear spells what is in held-out sound, before there is a decoder.

The words are those of the lessons, read by the alignment's own head; errors are edits per word.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from auscult import gym
from auscult.audio.synth import SAMPLE_RATE
from auscult.ear.align import read
from auscult.ear.lessons import Lesson
from auscult.gym import render
from auscult.gym.recorded import RECORDED, held_out_count
from auscult.gym.recorded.task import Played
from auscult.model import StepAudio2ForCausalLM, StepAudio2Processor
from auscult.train.alignment import Aligner

SPELT: dict[str, str] = {
    "digits, unseen voices and sources": "real_digit",
    "short English prompts": "real_said",
    "notes, unseen font": "real_note_count",
    "notes, recorded piano": "piano_note_count",
    "notes, sung": "sung_note_count",
    "strokes, unseen sources": "real_event_count",
    "notes of the gym": "note_count",
    "events of the gym": "count_among",
    "digits of the gym": "largest_digit",
}
"""Test -> task whose held-out clips are spelt."""

SHIFT_S = 1.0
_TOGETHER = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelt:
    """One line of the table. `exact`: share of clips without an error; `errors`: edits per word;
    `counted`: share with the right number of words, whatever they are."""

    test: str
    n: int
    exact: float
    errors: float
    counted: float


def edits(said: Sequence[str], found: Sequence[str]) -> int:
    """Insertions, deletions and substitutions from one list of words to another."""
    row = list(range(len(found) + 1))
    for i, a in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(found, 1):
            best = min(before + (a != b), row[j] + 1, row[j - 1] + 1)
            before, row[j] = row[j], best
    return row[-1]


def _words(text: str) -> list[str]:
    """Words of a caption; "notes" and "words" only say what follows, articles nothing."""
    return [word for word in text.split() if word not in ("notes", "words", "the", "a")]


def _lessons(task: str, n: int, shift_s: float) -> list[Lesson]:
    if task in RECORDED and not isinstance(RECORDED[task], Played):
        n = min(n, held_out_count(task))
    before = round(shift_s * SAMPLE_RATE)
    items = (gym.make(task, i, split="heldout", anywhere=False) for i in range(n))
    return [
        Lesson(clip=np.pad(item.clips[0], (before, 0)), words=render.labels(item)[0], marks={})
        for item in items
    ]


def spell(
    model: StepAudio2ForCausalLM, aligner: Aligner, processor: StepAudio2Processor, *,
    n: int = 200, shift_s: float = 0.0,
) -> list[Spelt]:  # fmt: skip
    """Every test on at most `n` held-out clips, behind `shift_s` of silence."""
    out: list[Spelt] = []
    for test, task in tqdm(SPELT.items(), desc="spelt"):
        lessons = _lessons(task, n, shift_s)
        found = [
            text
            for i in range(0, len(lessons), _TOGETHER)
            for text in read(model, aligner, processor, lessons[i : i + _TOGETHER])
        ]
        pairs = [
            (_words(one.words), _words(text)) for one, text in zip(lessons, found, strict=True)
        ]
        out.append(
            Spelt(
                test=test,
                n=len(pairs),
                exact=float(np.mean([a == b for a, b in pairs])),
                errors=sum(edits(a, b) for a, b in pairs) / sum(len(a) for a, _ in pairs),
                counted=float(np.mean([len(a) == len(b) for a, b in pairs])),
            )
        )
    return out


def spelling_table(as_made: Sequence[Spelt], shifted: Sequence[Spelt]) -> str:
    """Markdown: per cent, as made / behind a second of silence."""
    lines = [
        "| what is spelt | n | exact | errors per word | right number |",
        "|---|---|---|---|---|",
    ]
    for a, b in zip(as_made, shifted, strict=True):
        cells = [
            f"{100 * x:.1f} / {100 * y:.1f}"
            for x, y in ((a.exact, b.exact), (a.errors, b.errors), (a.counted, b.counted))
        ]
        lines.append(f"| {a.test} | {a.n} | {' | '.join(cells)} |")
    return "\n".join(lines)
