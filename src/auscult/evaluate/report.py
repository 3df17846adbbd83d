"""The report of a recipe run: one page, the same as Markdown, and all its numbers as JSON.

Every section says how it is read and, from the numbers, what came out. What is missing, because a
stage still runs or never was, is said in its place.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from auscult.evaluate import report_data as data
from auscult.evaluate import report_plots as plots
from auscult.evaluate.report_data import Measured, Sampling, StageRun
from auscult.evaluate.report_page import (
    Block,
    Cell,
    Examples,
    Section,
    Table,
    numbers,
    side,
    table,
    value,
    verdict,
    page,
    markdown,
)
from auscult.evaluate.report_plots import Line
from auscult.types import Estimate

FAMILIES: dict[str, tuple[str, ...]] = {
    "notes": (
        "name_note", "note_count", "highest_note", "pitch_direction", "interval", "contour",
        "count_higher",
    ),
    "harmony and instruments": ("chord_quality", "scale_mode", "melody_changed", "instrument_order"),
    "musical time": ("tempo", "tempo_change", "meter", "dynamics", "gap_compare"),
    "sound events": (
        "event_name", "event_count", "count_among", "event_order", "absent_sound", "longest_sound",
        "loudest_sound",
    ),
    "scenes": ("background", "noisier_clip", "bigger_room", "approach", "engine_speed"),
    "several steps": (
        "event_arithmetic", "more_of_which", "even_or_odd", "rule_following", "sort_tones",
    ),
    "voices": (
        "voice_register", "intonation", "liveliness", "who_higher", "which_vowel", "tremor",
        "breathiness",
    ),
    "spoken words": ("spoken_digit", "largest_digit", "spoken_arithmetic", "spoken_logic"),
    "words against sound": (
        "conflict_count", "conflict_whisper", "conflict_pitch", "conflict_rate",
        "conflict_background",
    ),
}  # fmt: skip
"""Family -> its tasks, as `gym.TASKS` groups them; tasks of no family count as "other"."""

Stages = Sequence[StageRun]
Measurement = tuple[str, Callable[[Measured], Estimate | None]]
"""(unit, estimate of a measured stage)"""


def _accuracy(protocol: str) -> Measurement:
    return "%", lambda m: data.accuracy(m, protocol)


def _difference(first: str, second: str) -> Measurement:
    return "points", lambda m: data.difference(m, first, second)


DENIES: Measurement = ("%", lambda m: data.share(h.denies for h in m.hearings))

HEADLINE: dict[str, Measurement] = {
    "thinking": _accuracy("thinking"),
    "direct": _accuracy("direct"),
    "free": _accuracy("free"),
    "thinking - direct": _difference("thinking", "direct"),
    "silence": _accuracy("silence"),
    "swapped sound": _accuracy("swapped"),
    "prompted": _accuracy("prompted"),
    "grounded": ("%", lambda m: data.share(t.grounded for t in m.thoughts)),
    "surrogate rate": ("%", lambda m: data.mean(t.surrogate for t in m.thoughts)),
    "self-cognition error": DENIES,
}
GROUNDING: dict[str, Measurement] = {
    "grounded": HEADLINE["grounded"],
    "claim precision": ("%", lambda m: data.mean(t.precision for t in m.thoughts)),
    "hallucination": ("%", lambda m: data.mean(t.hallucination for t in m.thoughts)),
    "lift": ("points", lambda m: data.mean(t.lift for t in m.thoughts)),
    "surrogate rate": HEADLINE["surrogate rate"],
    "without claims": ("%", lambda m: data.share(t.claims == 0 for t in m.thoughts)),
}
CONTROLS: dict[str, Measurement] = {
    "own sound": _accuracy("thinking"),
    "silence": _accuracy("silence"),
    "swapped sound": _accuracy("swapped"),
    "own - silence": _difference("thinking", "silence"),
    "own - swapped": _difference("thinking", "swapped"),
    "prompted": _accuracy("prompted"),
    "prompted - own": _difference("prompted", "thinking"),
}


def _estimates(stages: Stages, measurement: Measurement) -> list[Estimate | None]:
    return [measurement[1](s.measured) if s.measured else None for s in stages]


def _labels(stages: Stages) -> list[str]:
    return [s.label for s in stages]


def _known(stages: Stages) -> list[StageRun]:
    return [s for s in stages if s.measured]


def _measured_table(title: str, stages: Stages, wanted: Mapping[str, Measurement]) -> Table:
    columns = {k: [value(e, w[0]) for e in _estimates(stages, w)] for k, w in wanted.items()}
    return table(title, _labels(stages), columns)


# --- sections


def _headline(stages: Stages) -> Section:
    known = _known(stages)
    found = "No stage is measured yet."
    if known:
        first, last = known[0], known[-1]
        change = data.gain(first.measured, last.measured, "thinking")
        moved = verdict(change, "rose", "fell", "did not clearly change")
        paired = data.difference(last.measured, "thinking", "direct")
        helps = verdict(paired, "helps", "hurts", "makes no clear difference")
        at = {k: value(w[1](last.measured)) for k, w in HEADLINE.items() if last.measured}
        found = (
            f"From {first.label} to {last.label}, accuracy with thinking {moved}, to "
            f"{at['thinking']}. After {last.label}, thinking {helps} against the direct answer; "
            f"{at['grounded']} of the thoughts are grounded, and {at['self-cognition error']} of "
            "the self-cognition prompts are answered with a denial of hearing."
        )
    pictures = [
        plots.by_stage("accuracy", "Accuracy after each stage", _labels(stages), {
            k: _estimates(stages, HEADLINE[k]) for k in ("thinking", "direct", "free")
        }, wide=True),
        plots.by_stage("difference", "Thinking minus direct answer", _labels(stages), {
            "thinking - direct": _estimates(stages, HEADLINE["thinking - direct"])
        }, unit="points"),
    ]  # fmt: skip
    return Section(
        title="Headline",
        read="All stages answer the same held-out items, greedily. thinking: an empty thought is "
        "forbidden; direct: no thought; free: the model chooses; prompted: a control whose prompt "
        "alone asks for evidence. In brackets 95 % intervals; differences are paired over items.",
        found=found,
        blocks=[_measured_table("Every stage", stages, HEADLINE), pictures],
    )


def _budget_lines(stages: Stages) -> list[Line]:
    out: list[Line] = []
    for i, stage in enumerate(stages):
        points = data.budget_points(stage.measured)
        out.append(
            Line(
                name=stage.label, colour=plots.colour(i),
                x=[np.log2(1 + p.tokens) for p in points],
                y=[100 * p.accuracy.mean for p in points],
                low=[100 * p.accuracy.low for p in points],
                high=[100 * p.accuracy.high for p in points],
            )
        )  # fmt: skip
    return out


def _budgets(stages: Stages) -> Section:
    known = _known(stages)
    slopes = [data.slope(s.measured) for s in known]
    lines = _budget_lines(known)
    tokens = sorted({round(p.tokens) for s in known for p in data.budget_points(s.measured)
                     if p.name != "thinking"})  # fmt: skip
    look: dict[str, Any] = {
        "labels": ("tokens of thought allowed (last point of free length)", "accuracy %"),
        "ticks": ([np.log2(1 + t) for t in tokens], [str(t) for t in tokens]),
    }
    bare = [_changed(x, low=(), high=()) for x in lines]
    pictures = [plots.lines("budget_all", "All stages", bare, **look)] if lines else []
    pictures += [
        plots.lines(
            f"budget_{s.name}", s.label,
            [*(_changed(b, soft=True) for b in bare if b.name != s.label), lines[i]], **look,
        )
        for i, s in enumerate(known)
    ]  # fmt: skip
    names = list(dict.fromkeys(p.name for s in known for p in data.budget_points(s.measured)))
    names.sort(key=lambda n: (n == "thinking", int(n.rpartition("_")[2]) if "_" in n else 0))
    columns: dict[str, Sequence[Cell]] = {
        n.replace("_", " "): [value(data.accuracy(s.measured, n)) for s in known] for n in names
    }
    length = [value(data.thought_tokens(s.measured, "thinking"), "") for s in known]
    said = [
        f"{s.label}: longer thought "
        + verdict(e, "helps", "hurts: inverse scaling", "has no clear effect")
        for s, e in zip(known, slopes, strict=True)
    ]
    verdicts: list[Cell] = [x.partition("longer thought ")[2].partition(" (")[0] for x in said]
    return Section(
        title="Accuracy against thinking budget",
        read="The thought is closed by force after so many tokens (0 is the direct answer); the "
        "point between is thinking at its own mean length. The slope is what one doubling of "
        "1 + tokens brings, in points of accuracy, by least squares; its interval resamples items. "
        "A budget beyond the length of the thoughts changes nothing.",
        found="; ".join(said) + "." if said else "No stage is measured yet.",
        blocks=[
            table("Slope per doubling", _labels(known), {
                "slope, points": [value(e, "points") for e in slopes], "longer thought": verdicts,
                "tokens of thought": length,
            }),
            pictures,
            table("Accuracy by budget", _labels(known), columns, folded=True),
        ],
    )  # fmt: skip


def _changed(line: Line, **changes: Any) -> Line:
    from dataclasses import replace

    return replace(line, **changes)
