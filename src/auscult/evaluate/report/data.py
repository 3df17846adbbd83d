"""What a recipe's run folder holds, as records, and the numbers that the report shows of it.

Reading forgives what is not there yet: a stage that still runs has fewer fields filled. All
intervals are 95 %: Wilson for shares, bootstrap over items (or questions, or steps) for the rest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from auscult.files import json_lines, read_json
from auscult.stats.intervals import grouped_mean, paired_difference, wilson
from auscult.train.feed import awareness
from auscult.types import Estimate

Json = dict[str, Any]
T = TypeVar("T")

FAMILIES: dict[str, tuple[str, ...]] = {
    "notes": (
        "name_note", "note_count", "highest_note", "pitch_direction", "interval", "contour",
        "count_higher",
    ),
    "harmony": ("chord_quality", "scale_mode", "melody_changed", "instrument_order"),
    "musical time": ("tempo", "tempo_change", "meter", "dynamics", "gap_compare"),
    "sound events": (
        "anything_there", "event_name", "event_count", "count_among", "event_order",
        "absent_sound", "longest_sound", "loudest_sound",
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
    "manner of speaking": ("manner_question", "manner_mood", "manner_tremor"),
    "words against sound": (
        "conflict_count", "conflict_whisper", "conflict_pitch", "conflict_rate",
        "conflict_background",
    ),
}  # fmt: skip
"""Family -> its tasks, as `gym.TASKS` groups them; tasks of no family count as "other"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One measured reply. Example: Answer(right=1.0, thought="I hear ...", thought_tokens=23)."""

    right: float
    thought: str = ""
    thought_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """The verifier's numbers for one thought; None where there is nothing to share."""

    grounded: bool
    claims: int = 0
    precision: float | None = None
    lift: float | None = None
    surrogate: float | None = None
    hallucination: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """The reply to one self-cognition prompt."""

    question: str
    thought: str
    answer: str
    denies: bool
    acknowledges: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """measured/NN_stage/result.json: every protocol's answers lie in the order of the keys."""

    keys: tuple[str, ...]
    answers: Mapping[str, tuple[Answer, ...]]
    thoughts: tuple[Thought, ...]
    hearings: tuple[Hearing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One distilled sample; `filter` is the one that rejected it, "" for none."""

    key: str
    keep: bool
    filter: str
    why: str
    thought: str
    answer: str
    truth: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The samples of one distillation round to one kind of question, grouped by question."""

    about: str
    filters: tuple[str, ...]
    groups: tuple[tuple[Judged, ...], ...]
    written: int | None  # replies in kept.jsonl; None while the round still samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """One question offered to reinforcement learning; `silent` is None for text."""

    key: str
    passes: int
    silent: int | None
    keep: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """Everything that one stage left in the run folder.

    Example: StageRun(name="02_text_rlvr", kind="ppo", trained=False, metrics=(11 lines), planned=24
    and the rest empty): reinforcement learning, killed or running after step 11 of 24.
    """

    name: str
    kind: str = ""  # "sft" | "ppo" | "dpo" as run.json says; "" before training begins
    trained: bool = False
    planned: int | None = None
    metrics: tuple[Json, ...] = ()
    runs: Mapping[str, Json] | None = None  # run.json files by their place
    measured: Measured | None = None
    seconds: Mapping[str, float] | None = None
    samplings: tuple[Sampling, ...] = ()
    picked: tuple[Picked, ...] = ()
    band: tuple[int, int, int] | None = None  # low, high, n
    pairs: int | None = None

    @property
    def label(self) -> str:
        """Name for people: "02_text_rlvr" -> "2 text rlvr"."""
        number, _, name = self.name.partition("_")
        return f"{int(number)} {name.replace('_', ' ')}"

    @property
    def state(self) -> str:
        """What is missing; "finished" for nothing."""
        if not self.trained:
            of = "" if self.planned is None else f" of {self.planned}"
            if not self.kind:
                return "training has not begun (its data may be in the making)"
            return f"training is not finished: step {len(self.metrics)}{of}"
        return "finished" if self.measured else "trained, not measured yet"


# --- reading


def _json(file: Path) -> Json:
    return read_json(file, "the record of a run") if file.exists() else {}


def _lines(file: Path) -> list[Json]:
    """JSON lines; a last line that is still being written is left out."""
    return [row for _, row in json_lines(file, torn=True)] if file.exists() else []


def _as(kind: type[T], record: Json) -> T:
    names = {f.name for f in fields(kind)}  # pyright: ignore[reportArgumentType]
    return kind(**{k: v for k, v in record.items() if k in names})


def _measured(folder: Path) -> Measured | None:
    found = _json(folder / "result.json")
    if not found:
        return None
    return Measured(
        keys=tuple(found["keys"]),
        answers={k: tuple(_as(Answer, a) for a in v) for k, v in found["protocols"].items()},
        thoughts=tuple(_as(Thought, g) for g in found["grounding"] if "surrogate" in g),
        hearings=tuple(_as(Hearing, h) for h in found["self_cognition"]),
    )


def _samplings(data: Path) -> tuple[Sampling, ...]:
    config = _json(data / "run.json").get("config", {})
    kept = _lines(data / "kept.jsonl") if (data / "kept.jsonl").exists() else None
    out: list[Sampling] = []
    for name, about, filters in (
        ("judged", "questions about sound", tuple(config.get("filters", ()))),
        ("judged_awareness", "self-cognition prompts", ("novelty", "awareness")),
    ):
        hearing = name == "judged_awareness"
        files = sorted((data / name).glob("*.jsonl"))
        groups = [line["judged"] for file in files for line in _lines(file)]
        if not groups:
            continue
        mine = [r for r in kept or () if r["key"].startswith(f"{awareness.TASK}/") == hearing]
        out.append(
            Sampling(
                about=about,
                filters=filters if hearing else ("perception", *filters),
                groups=tuple(tuple(_as(Judged, r) for r in g) for g in groups),
                written=None if kept is None else len(mine),
            )
        )
    return tuple(out)


def _stage(folder: Path, name: str, seconds: Mapping[str, float] | None) -> StageRun:
    place = folder / name
    run, data = _json(place / "run.json"), _json(place / "data" / "run.json")
    measured = folder / "measured" / name
    given = {"run.json": run, "data/run.json": data, "measured": _json(measured / "run.json")}
    band = data.get("config", {}).get("band")
    pairs = place / "data" / "pairs.jsonl"
    picked = _lines(place / "data" / "selection.jsonl")
    return StageRun(
        name=name,
        kind="start" if name.endswith("_start") and not place.exists() else run.get("stage", ""),
        trained=(place / "done.json").exists() or not place.exists(),
        planned=run.get("config", {}).get("steps"),
        metrics=tuple(_lines(place / "metrics.jsonl")),
        runs={k: v for k, v in given.items() if v},
        measured=_measured(measured),
        seconds=seconds,
        samplings=_samplings(place / "data"),
        picked=tuple(_as(Picked, r) for r in picked),
        band=(band["low"], band["high"], band["n"]) if band else None,
        pairs=len(_lines(pairs)) if pairs.exists() else None,
    )


def read_run(folder: Path) -> list[StageRun]:
    """The stages in order, the start model first. Raises `ValueError` where there are none."""
    places = [*folder.glob("[0-9][0-9]_*"), *(folder / "measured").glob("[0-9][0-9]_*")]
    names = sorted({p.name for p in places if p.is_dir()})
    planned = _json(folder / "recipe.json").get("stages") or names
    names = [name for name in names if name in planned]  # others are of an earlier recipe here
    if not names:
        raise ValueError(f"{folder} holds no stage of a recipe (folders like 01_cold_start)")
    seconds = _json(folder / "seconds.json")
    return [_stage(folder, name, seconds.get(name)) for name in names]


# --- numbers


def share(hits: Iterable[bool | float]) -> Estimate | None:
    """Wilson interval of a share; None of nothing."""
    values = [float(h) for h in hits]
    return wilson(sum(values), len(values)) if values else None


def mean(values: Iterable[float | None]) -> Estimate | None:
    """Bootstrap mean of what is there; None of nothing."""
    found = [v for v in values if v is not None]
    return grouped_mean([found]) if found else None


def rate(values: Iterable[float | None]) -> Estimate | None:
    """`mean` of numbers within [0, 1]. All 0 or all 1 leave a bootstrap without width: Wilson."""
    found = [v for v in values if v is not None]
    return share(found) if set(found) in ({0.0}, {1.0}) else mean(found)


def accuracy(measured: Measured | None, protocol: str) -> Estimate | None:
    """Share of right answers under a protocol."""
    return share(a.right for a in measured.answers.get(protocol, ())) if measured else None


def _paired(one: Sequence[Answer], two: Sequence[Answer]) -> Estimate | None:
    if not one or len(one) != len(two):
        return None
    return paired_difference([a.right for a in one], [a.right for a in two])


def difference(measured: Measured | None, first: str, second: str) -> Estimate | None:
    """Accuracy under `first` minus under `second`, on the same items."""
    answers = measured.answers if measured else {}
    return _paired(answers.get(first, ()), answers.get(second, ()))


def gain(before: Measured | None, after: Measured | None, protocol: str) -> Estimate | None:
    """Accuracy of one stage minus of another, on the same items."""
    if before is None or after is None or before.keys != after.keys:
        return None
    return _paired(after.answers.get(protocol, ()), before.answers.get(protocol, ()))


def thought_tokens(measured: Measured | None, protocol: str) -> Estimate | None:
    """Mean length of the thoughts."""
    return mean(a.thought_tokens for a in measured.answers.get(protocol, ())) if measured else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Accuracy at a thinking budget. Example: Point(name="budget_8", tokens=8.0, accuracy=...)."""

    name: str
    tokens: float
    accuracy: Estimate


def budget_points(measured: Measured | None) -> list[Point]:
    """From no thought over the budgets to thinking at the model's own length, by tokens."""
    if measured is None:
        return []
    found: list[Point] = []
    for name, answers in measured.answers.items():
        if name != "direct" and name != "thinking" and not name.startswith("budget_"):
            continue
        # What was thought, not what was allowed: a thought may end before its budget does.
        tokens = 0.0 if name == "direct" else float(np.mean([a.thought_tokens for a in answers]))
        estimate = accuracy(measured, name)
        found += [Point(name=name, tokens=tokens, accuracy=estimate)] if estimate else []
    return sorted(found, key=lambda p: p.tokens)


def slope(measured: Measured | None, *, direct: bool = True) -> Estimate | None:
    """Least-squares slope of accuracy on log2(1 + tokens of budget): what a doubling of the thought
    brings; with the direct answer as its first point, or without. The slope of the mean is the mean
    of the items' slopes, so the bootstrap resamples items."""
    points = [p for p in budget_points(measured) if direct or p.name != "direct"]
    x = np.log2([1.0 + p.tokens for p in points])
    if measured is None or len(points) < 2 or np.ptp(x) == 0:
        return None
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    right = np.array([[a.right for a in measured.answers[p.name]] for p in points])
    return mean((weights @ right).tolist())


def task_of(key: str) -> str:
    """Task of an item: "tempo/heldout/1/3" -> "tempo"; a manifest's items are one task."""
    return "recordings" if key.startswith("manifest:") else key.partition("/")[0]


def families(stages: Sequence[StageRun]) -> tuple[list[str], dict[str, list[str]]]:
    """(tasks that were measured, families with these tasks), in the order of FAMILIES."""
    seen = list(dict.fromkeys(task_of(k) for s in stages if s.measured for k in s.measured.keys))
    found = {f: [t for t in tasks if t in seen] for f, tasks in FAMILIES.items()}
    found["other"] = [t for t in seen if not any(t in f for f in FAMILIES.values())]
    found = {f: tasks for f, tasks in found.items() if tasks}
    return [t for tasks in found.values() for t in tasks], found


def by_task(measured: Measured, tasks: Sequence[str], protocol: str) -> Estimate | None:
    """Accuracy over the items of some tasks."""
    answers = zip(measured.keys, measured.answers.get(protocol, ()), strict=False)
    return share(a.right for k, a in answers if task_of(k) in tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A curve's first and last quarter of steps, and the change between them."""

    first: Estimate
    last: Estimate
    change: Estimate


def curve(metrics: Sequence[Json], name: str) -> tuple[list[int], list[float]]:
    """(steps, values) of a measurement; steps without it are left out."""
    found = [(int(m["step"]), float(m[name])) for m in metrics if m.get(name) is not None]
    return [s for s, _ in found], [v for _, v in found]


def shift(values: Sequence[float]) -> Shift | None:
    """Last minus first quarter, with a bootstrap over the steps of each; None below four steps."""
    size = len(values) // 4
    if not size:
        return None
    first, last = np.asarray(values[:size]), np.asarray(values[-size:])
    rng = np.random.default_rng(0)
    draws = rng.integers(0, size, size=(2, 2000, size))
    moved = last[draws[0]].mean(axis=1) - first[draws[1]].mean(axis=1)
    low, high = np.percentile(moved, [2.5, 97.5])
    change = Estimate(
        mean=float(last.mean() - first.mean()), low=float(low), high=float(high), n=2 * size
    )
    return Shift(
        first=grouped_mean([first.tolist()]), last=grouped_mean([last.tolist()]), change=change
    )
