"""Problems in words alone: arithmetic, logic, and scenes written down. The text half of training.

A problem is an `Item` without clips whose question holds everything; `inference` is its chain.
Pure functions of (kind, split, index), like the gym's own tasks.
"""

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from auscult import gym
from auscult.gym import render
from auscult.gym.base import pick, sample, shuffled
from auscult.types import Item

Draft = tuple[str, str, str, tuple[str, ...]]
"""(question, chain, answer, options)."""


def _arithmetic(rng: np.random.Generator) -> Draft:
    """Two or three small numbers, never below zero: "What is 7 + 5 - 3?"."""
    total = int(rng.integers(2, 10))
    text, steps = str(total), []
    for _ in range(int(rng.integers(1, 3))):
        plus = total < 3 or rng.random() < 0.5
        term = int(rng.integers(1, 10 if plus else total + 1))
        after = total + term if plus else total - term
        steps.append(f"{total} {'+' if plus else '-'} {term} = {after}.")
        text += f" {'+' if plus else '-'} {term}"
        total = after
    return f"What is {text}?", " ".join(steps), str(total), ()


_LETTERS = "abcdefgh"


def _syllogism(rng: np.random.Generator) -> Draft:
    """Three terms; the conclusion follows in half of the cases."""
    a, b, c = sample(rng, _LETTERS, 3)
    forms = {
        "yes": (
            f"All {a} are {b}. All {b} are {c}. Are all {a} {c}?",
            f"All {a} are {b} and all {b} are {c}, so all {a} are {c}: yes.",
        ),
        "no": (
            f"All {a} are {b}. All {c} are {b}. Are all {a} {c}?",
            f"All {a} are {b} and all {c} are {b}, so it does not follow: no.",
        ),
    }
    answer = pick(rng, ("yes", "no"))
    question, chain = forms[answer]
    return question, chain, answer, shuffled(rng, ("yes", "no"))


def _order(rng: np.random.Generator) -> Draft:
    """Three terms in an order that is told in two sentences."""
    low, middle, high = sample(rng, _LETTERS, 3)
    told = shuffled(rng, (f"{high} is above {middle}.", f"{middle} is above {low}."))
    end = pick(rng, ("highest", "lowest"))
    answer = high if end == "highest" else low
    chain = f"{high} is above {middle} and {middle} is above {low}. The {end} is {answer}."
    return f"{' '.join(told)} Which is {end}?", chain, answer, shuffled(rng, (low, middle, high))


_DRAFTS: dict[str, Callable[[np.random.Generator], Draft]] = {
    "text_arithmetic": _arithmetic,
    "text_syllogism": _syllogism,
    "text_order": _order,
}

SCENE = "text_scene"
PROBLEMS = (*_DRAFTS, SCENE)
"""All kinds; `text_scene` is a gym item written down."""


def make_problem(kind: str, index: int, *, split: str = "train", task: str = "") -> Item:
    """Problem number `index`. Scenes need the gym `task` that they are written from.

    Raises `ValueError` for an unknown kind.
    """
    if kind == SCENE:
        return _scene(gym.make(task, index, split=split, anywhere=False))
    if kind not in _DRAFTS:
        raise ValueError(f"unknown problem {kind!r}; expected one of {', '.join(PROBLEMS)}")
    seed = [gym.GYM_VERSION, zlib.crc32(kind.encode()), gym.SPLITS[split], index]
    question, chain, answer, options = _DRAFTS[kind](np.random.default_rng(seed))
    return Item(
        key=f"{kind}/{split}/1/{index}",
        task=kind,
        clips=(),
        question=question,
        answer=answer,
        facts={},
        features=(),
        heard=(),
        inference=chain,
        options=options,
    )


def _scene(item: Item) -> Item:
    return replace(
        item,
        key=f"{SCENE}:{item.key}",
        clips=(),
        question=f"{render.twin(item)}\n{item.question}",
        heard=(),
        inference=render.twin_chain(item),
        features=(),
    )


def fetch(key: str) -> Item:
    """The item of a key, sound included: "tempo/train/1/3", "text_order/train/1/3",
    "text_scene:tempo/train/1/3".

    Raises `ValueError` for a key of another form.
    """
    kind, _, rest = key.partition(":") if key.startswith(SCENE + ":") else ("", "", key)
    parts = rest.split("/")
    if len(parts) != 4 or not parts[3].isdigit():
        raise ValueError(f"{key!r} is no item key; expected task/split/level/index")
    task, split, level, index = parts[0], parts[1], int(parts[2]), int(parts[3])
    if task in _DRAFTS:
        return make_problem(task, index, split=split)
    item = gym.make(task, index, split=split, level=level)
    return _scene(item) if kind else item
