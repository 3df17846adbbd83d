"""The acoustic gym as a benchmark: held-out items, made on the spot, with exact truth.

There are no files. In place of a folder stand settings: "n=20,level=1,tasks=tempo+meter", each of
them optional. The spoken tasks need the extra `[speech]`, and are left out without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from auscult import gym
from auscult.audio import speech
from auscult.bench.letters import chosen_option
from auscult.bench.question import Answer, Mark, Prompt, Question, Sound, Suite, Worded
from auscult.bench.wrappers import readings
from auscult.gym.render import question_text, twin
from auscult.gym.score import normalise, score_answer
from auscult.types import Audio, Item

PER_TASK = 20


def made(key: str) -> Item:
    """The item of a key "task/split/level/index", with its sound."""
    task, split, level, index = key.split("/")
    return gym.make(task, int(index), split=split, level=int(level))


@cache
def told(key: str) -> Item:
    """The same without its sound, remembered."""
    return replace(made(key), clips=())


@lru_cache(maxsize=64)
def _clips(key: str) -> tuple[Audio, ...]:
    return made(key).clips


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which items are asked for. Example: Wanted(n=50, level=2, tasks=("tempo", "meter"))."""

    n: int
    level: int
    tasks: tuple[str, ...]


def wanted(settings: Path, *, n: int, tasks: tuple[str, ...]) -> Wanted:
    """What "n=50,level=2,tasks=tempo+meter" asks for, with what is usual where it says nothing.

    Raises `ValueError` for a setting that does not exist.
    """
    found = {"n": str(n), "level": "1", "tasks": "+".join(tasks)}
    for part in str(settings).split(",") if str(settings) not in ("", ".") else []:
        name, equal, value = part.partition("=")
        if name not in found or not equal:
            raise ValueError(
                f"the gym takes settings in place of a folder, such as n=50,level=2,"
                f"tasks={'+'.join(tasks[:2])}; got {part!r}"
            )
        found[name] = value
    return Wanted(
        n=_number(found, "n"), level=_number(found, "level"),
        tasks=tuple(dict.fromkeys(found["tasks"].split("+"))),
    )  # fmt: skip


def load(folder: Path) -> list[Question]:
    """Held-out items of every task. Raises `ValueError` for a setting that does not exist."""
    asked = wanted(folder, n=PER_TASK, tasks=available())
    keys = [f"{t}/heldout/{asked.level}/{i}" for t in asked.tasks for i in range(asked.n)]
    return [question_of("gym", key) for key in keys]


def _number(settings: Mapping[str, str], name: str) -> int:
    if not settings[name].isdigit() or int(settings[name]) < 1:
        raise ValueError(f"the gym's {name} is a number from 1 on; got {settings[name]!r}")
    return int(settings[name])


def available() -> tuple[str, ...]:
    """The tasks that can be made here."""
    return tuple(t for t in gym.TASKS if speech.available() or t not in gym.SPEECH_TASKS)


def question_of(suite: str, key: str, cluster: str = "") -> Question:
    """The item of a key as a question of a suite; its sound is made when it is read."""
    item = told(key)
    return Question(
        key=f"{suite}/{key}",
        text=item.question,
        sounds=tuple(
            Sound(name=f"{key}#{i}", read=lambda i=i: _clips(key)[i])
            for i in range(len(item.heard))
        ),
        answers=(item.answer,),
        options=item.options,
        task=item.task,
        groups={"task": item.task},
        cluster=cluster,
        transcript=str(item.facts.get("words", "")),
        caption=twin(item),
        extra={"features": item.features, "item": key},
    )


def word(question: Question) -> Worded:
    """The question as the gym's models were taught to hear it."""
    item = told(question.extra["item"])
    asked = question_text(item)
    return Worded(after=asked.replace(item.question, question.text, 1))


def mark(question: Question, answer: Answer) -> Mark:
    """Official is the gym's own score: one unambiguous answer and nothing around it. Strict takes
    off what is wrapped around it."""
    item = told(question.extra["item"])
    right = score_answer(item, answer.text)
    choice = chosen_option(answer.text, item.options)
    strict = max(score_answer(item, reading) for reading in readings(answer.text))
    strict = max(strict, float(choice is not None and choice == item.answer))
    said = normalise(choice if choice is not None else answer.text)
    parsed = strict == 1.0 or (choice is not None if item.options else bool(said))
    return Mark(official=right, strict=strict, parsed=parsed, answer=said)


SUITE = Suite(
    name="gym",
    about="the acoustic gym's held-out items: 52 tasks with exact truth, made on the spot",
    source="this repository",
    fetch="pip install 'auscult[speech]'  # nothing to fetch; spoken tasks need espeak-ng",
    load=load,
    prompts={"auscult": Prompt(word=word, temperature=0.0, max_tokens=2048)},
    mark=mark,
    made=True,
)
