"""Accuracy on the held-out gym, with the controls that show whether the model listened."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from auscult import gym
from auscult.engine import Engine, Thinking
from auscult.evaluate.stats import grouped_mean, paired_difference, wilson
from auscult.gym.render import question_text, question_turns, twin
from auscult.gym.score import score_answer
from auscult.types import Estimate, Item, Reply, Turn


def _own(items: Sequence[Item], i: int) -> list[Turn]:
    return question_turns(items[i])


def _silence(items: Sequence[Item], i: int) -> list[Turn]:
    clips = tuple(np.zeros_like(clip) for clip in items[i].clips)
    return [Turn(role="human", text=question_text(items[i]), clips=clips)]


def _swapped(items: Sequence[Item], i: int) -> list[Turn]:
    """The question with the sound of the next item of the same task."""
    other = items[(i + 1) % len(items)].clips
    return [Turn(role="human", text=question_text(items[i]), clips=other)]


def _twin(items: Sequence[Item], i: int) -> list[Turn]:
    return [Turn(role="human", text=f"{twin(items[i])}\n{question_text(items[i])}")]


CONDITIONS: dict[str, Callable[[Sequence[Item], int], list[Turn]]] = {
    "sound": _own,
    "silence": _silence,
    "swapped": _swapped,
    "twin": _twin,
}
"""What stands in the place of the item's sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One answered item. Example: Score(key="tempo/heldout/1/3", right=1.0, thought="I hear ...",
    answer="120", truth="120", stop="end", thought_tokens=23)."""

    key: str
    right: float
    thought: str
    answer: str
    truth: str
    stop: str
    thought_tokens: int


def run_task(
    engine: Engine, task: str, *, n: int, level: int, condition: str, thinking: Thinking
) -> list[Score]:
    """The first n held-out items of a task under one condition."""
    items = [gym.make(task, i, split="heldout", level=level) for i in range(n)]
    turns = [CONDITIONS[condition](items, i) for i in range(n)]
    replies = engine.reply(turns, thinking=thinking)
    return [_scored(item, reply) for item, reply in zip(items, replies, strict=True)]


def _scored(item: Item, reply: Reply) -> Score:
    return Score(
        key=item.key,
        right=score_answer(item, reply.answer),
        thought=reply.thought,
        answer=reply.answer,
        truth=item.answer,
        stop=reply.stop,
        thought_tokens=reply.thought_tokens,
    )


def blind_guess(task: str, *, n: int, level: int, fit: int = 400) -> Estimate:
    """Chance, measured: always the most common training answer to the same wording and options."""
    common: dict[tuple[str, tuple[str, ...]], dict[str, int]] = {}
    for i in range(fit):
        item = gym.make(task, i, split="train", level=level)
        counts = common.setdefault(_wording(item), {})
        counts[item.answer] = counts.get(item.answer, 0) + 1
    total: dict[str, int] = {}
    for counts in common.values():
        for answer, k in counts.items():
            total[answer] = total.get(answer, 0) + k
    right = 0.0
    for i in range(n):
        item = gym.make(task, i, split="heldout", level=level)
        counts = common.get(_wording(item), total)
        allowed = {a: k for a, k in counts.items() if not item.options or a in item.options}
        guess = max(allowed, key=lambda a: allowed[a]) if allowed else item.options[0]
        right += score_answer(item, guess)
    return wilson(right, n)


def _wording(item: Item) -> tuple[str, tuple[str, ...]]:
    return item.question, tuple(sorted(item.options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One column of the results: what is in place of the sound, and how much is thought."""

    name: str
    condition: str
    thinking: Thinking
    n: int


def standard_protocols(n: int, n_controls: int) -> list[Protocol]:
    """Thinking, direct, and the three controls (thinking on)."""
    think, none = Thinking(), Thinking(budget=0)
    return [
        Protocol(name="thinking", condition="sound", thinking=think, n=n),
        Protocol(name="direct", condition="sound", thinking=none, n=n),
        Protocol(name="silence", condition="silence", thinking=think, n=n_controls),
        Protocol(name="swapped", condition="swapped", thinking=think, n=n_controls),
        Protocol(name="twin", condition="twin", thinking=think, n=n_controls),
    ]


def _claim(out: Path, engine: Engine, weights: str) -> None:
    """The folder belongs to one set of weights and one version of the gym."""
    out.mkdir(parents=True, exist_ok=True)
    limits = {"gym_version": gym.GYM_VERSION, "max_tokens": engine.sampling.max_tokens}
    about = {"weights": weights, **limits}
    file = out / "suite.json"
    if not file.exists():
        file.write_text(json.dumps(about))
    elif json.loads(file.read_text()) != about:
        raise ValueError(
            f"{out} holds answers under other conditions ({file.read_text()}; now "
            f"{json.dumps(about)}); choose another --out"
        )


def run_suite(
    engine: Engine,
    tasks: Sequence[str],
    protocols: Sequence[Protocol],
    out: Path,
    *,
    level: int = 1,
    weights: str = "",
) -> dict[str, dict[str, list[Score]]]:
    """All tasks under all protocols; finished (task, protocol) pairs in `out` are read back, so a
    killed run goes on where it stopped. `weights` is the model's fingerprint: answers of one model
    are never read as another's."""
    _claim(out, engine, weights)
    results: dict[str, dict[str, list[Score]]] = {}
    jobs = [(task, protocol) for task in tasks for protocol in protocols]
    for task, protocol in tqdm(jobs, desc="gym", mininterval=5):
        file = out / f"{task}.{protocol.name}.level{level}.n{protocol.n}.jsonl"
        if not file.exists():
            scores = run_task(
                engine, task, n=protocol.n, level=level,
                condition=protocol.condition, thinking=protocol.thinking,
            )  # fmt: skip
            part = file.with_suffix(".part")
            part.write_text("".join(json.dumps(asdict(s)) + "\n" for s in scores))
            part.rename(file)
        lines = file.read_text().splitlines()
        results.setdefault(task, {})[protocol.name] = [Score(**json.loads(x)) for x in lines]
    return results


def _cell(e: Estimate) -> str:
    return f"{100 * e.mean:.1f} [{100 * e.low:.1f}, {100 * e.high:.1f}]"


def _chance(task: str, out: Path, level: int) -> Estimate:
    """`blind_guess`, measured once per folder."""
    file = out / f"{task}.chance.level{level}.json"
    if not file.exists():
        file.write_text(json.dumps(asdict(blind_guess(task, n=200, level=level))))
    return Estimate(**json.loads(file.read_text()))


def markdown(results: dict[str, dict[str, list[Score]]], out: Path, *, level: int = 1) -> str:
    """The results as a table: per task and protocol the accuracy in percent with its 95 % interval,
    chance measured blind, and the paired gain of thinking over answering directly."""
    names = list(next(iter(results.values())))
    head = ["task", "n", *names, "chance (blind)", "thinking - direct"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    doubtful: list[str] = []
    for task, by_name in results.items():
        right = {name: [s.right for s in scores] for name, scores in by_name.items()}
        cells = [_cell(wilson(sum(r), len(r))) for r in right.values()]
        chance = _chance(task, out, level)
        best = wilson(sum(right[names[0]]), len(right[names[0]]))
        doubtful += [task] if best.low <= chance.high else []
        gain = paired_difference(right["thinking"], right["direct"]) if "direct" in right else None
        n = len(right[names[0]])
        rows.append(
            f"| {task} | {n} | "
            + " | ".join([*cells, _cell(chance), _cell(gain) if gain else ""])
            + " |"
        )
    means = [
        _cell(grouped_mean([[s.right for s in by_name[name]] for by_name in results.values()]))
        for name in names
    ]
    rows.append("| **mean of tasks** | | " + " | ".join(means) + " | | |")
    inside = ", ".join(doubtful) or "none"
    rows.append(f"\nTasks whose interval with thinking touches that of chance: {inside}.")
    return "\n".join(rows) + "\n"
