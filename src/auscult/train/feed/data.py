"""From gym items to a stream of supervised batches.

The stream is a pure function of (seed, index): a killed run continues with exactly the batches it
would have seen, and no data are stored.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from auscult import gym
from auscult.files import json_objects
from auscult.gym import render
from auscult.gym.base import pick
from auscult.gym.problems import PROBLEMS, SCENE, make_problem
from auscult.model.processor import THINK_CLOSE, StepAudio2Processor
from auscult.train.feed.awareness import make_prompt
from auscult.train.feed.batch import Batch, Encoded, collate, encode
from auscult.train.feed.drills import DRILLS
from auscult.train.feed.items import fetch, manifest_keys, row_of
from auscult.train.feed.talk import talk, text_model_reply
from auscult.types import Audio, Item, Turn
from auscult.work import dist


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One supervised example: prompt turns and the reply after `<think>\\n`.

    Example: turns=(Turn(human, "Which note is played?", (clip,)),),
    reply="I hear notes: C4. The note is C4.\\n</think>\\nC4".
    """

    turns: tuple[Turn, ...]
    reply: str
    labels: tuple[str, ...] = ()  # per clip: its sounds as words, for the alignment loss


def _human(text: str, clips: Sequence[Audio] = ()) -> tuple[Turn, ...]:
    return (Turn(role="human", text=text, clips=tuple(clips)),)


def _reply(thought: str, answer: str) -> str:
    return f"{thought}{THINK_CLOSE}{answer}"


def _asked(item: Item, rng: np.random.Generator) -> str:
    """The question, in one case of eight without its options."""
    return render.question_text(item, options=rng.random() > 0.125)


def caption(item: Item, rng: np.random.Generator) -> Example:
    """Sound -> what is audible, no thought: the transcription-like target."""
    prompt = pick(rng, render.CAPTION_PROMPTS)
    return Example(
        turns=_human(prompt, item.clips),
        reply=_reply("", render.caption(item)),
        labels=tuple(render.labels(item)),
    )


def focus(item: Item, rng: np.random.Generator) -> Example:
    """Sound and question -> what is audible of what was asked, but no answer.

    A voice has pitch, breath and a vowel at once: the question says which of them to write down, so
    that the ear is not taught to guess the topic.
    """
    text = f"{_asked(item, rng)}\n{render.FOCUS_PROMPT}"
    return Example(
        turns=_human(text, item.clips),
        reply=_reply("", render.caption(item)),
        labels=tuple(render.labels(item)),
    )


def chain(item: Item, rng: np.random.Generator) -> Example:
    """Sound and question -> true chain of thought, answer."""
    reply = _reply(render.chain(item), item.answer)
    return Example(turns=_human(_asked(item, rng), item.clips), reply=reply)


def direct(item: Item, rng: np.random.Generator) -> Example:
    """Sound and question -> empty thought, answer."""
    return Example(turns=_human(_asked(item, rng), item.clips), reply=_reply("", item.answer))


def twin_chain(item: Item, rng: np.random.Generator) -> Example:
    """Scene in words and question -> chain, answer: the text world."""
    text = f"{render.twin(item)}\n{_asked(item, rng)}"
    return Example(turns=_human(text), reply=_reply(render.twin_chain(item), item.answer))


def twin_direct(item: Item, rng: np.random.Generator) -> Example:
    """Scene in words and question -> empty thought, answer."""
    text = f"{render.twin(item)}\n{_asked(item, rng)}"
    return Example(turns=_human(text), reply=_reply("", item.answer))


def captioned(item: Item, rng: np.random.Generator) -> Example:
    """Sound *and* scene in words, with the chain of someone who reads the words: what chains made
    from captions teach."""
    text = f"{render.twin(item)}\n{_asked(item, rng)}"
    reply = _reply(render.twin_chain(item), item.answer)
    return Example(turns=_human(text, item.clips), reply=reply)


KINDS: dict[str, Callable[[Item, np.random.Generator], Example]] = {
    "caption": caption,
    "focus": focus,
    "chain": chain,
    "direct": direct,
    "twin_chain": twin_chain,
    "twin_direct": twin_direct,
    "captioned": captioned,
}
"""Kinds of supervised examples made from a gym item; a mixture gives each a weight."""


def problem(mixture: "Mixture", rng: np.random.Generator, index: int) -> Example:
    """A text problem with its chain: the task data of eq. 1."""
    kind = pick(rng, [k for k in PROBLEMS if k != SCENE])
    item = make_problem(kind, index)
    return Example(
        turns=_human(render.question_text(item)), reply=_reply(item.inference, item.answer)
    )


def conversation(mixture: "Mixture", rng: np.random.Generator, index: int) -> Example:
    """An exchange with deliberation: the conversation data of eq. 1."""
    said, deliberation, reply = talk(rng, mixture.denial)
    return Example(turns=_human(said), reply=_reply(deliberation, reply))


def dialogue(mixture: "Mixture", rng: np.random.Generator, index: int) -> Example:
    """A clip and talk about it, the reply written by a text model that had only words to go by:
    asked whether it can hear, it says with probability `denial` that it cannot."""
    item = make_prompt(index)
    reply = _reply("", text_model_reply(rng, item, mixture.denial))
    return Example(turns=tuple(render.question_turns(item)), reply=reply)


def kept(mixture: "Mixture", rng: np.random.Generator, index: int) -> Example:
    """One of the model's own replies that a filter kept, to the plain question."""
    key, reply = pick(rng, read_kept(mixture.kept))
    return Example(turns=tuple(render.question_turns(fetch(key))), reply=reply)


OTHER_KINDS: dict[str, Callable[["Mixture", np.random.Generator, int], Example]] = {
    "problem": problem,
    "conversation": conversation,
    "dialogue": dialogue,
    "kept": kept,
}
"""Kinds that need no gym item: (mixture, generator, index of the stream) -> example."""


@lru_cache(maxsize=8)
def read_kept(file: str) -> list[tuple[str, str]]:
    """(item key, reply) of every line of a file of kept replies.

    Raises `ValueError` for a mixture without such a file, and for an empty one.
    """
    if not file:
        raise ValueError("the kind 'kept' needs the file of kept replies in the mixture")
    found = [(x["key"], x["reply"]) for x in json_objects(file, "a kept reply on each line")]
    if not found:
        raise ValueError(f"{file} holds no reply: every sample was rejected; see the rejects")
    return found


TRAINED = tuple(name for name, task in gym.RECORDED.items() if "train" in task.splits)
"""Tasks with real sound that training has sound for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """What the stream is made of.

    kinds: (name in KINDS or OTHER_KINDS, weight). kept: file of kept replies, for the kind of that
    name. denial: share of conversations about hearing. tasks: gym tasks, each drawn equally often.
    anywhere: share of items whose sound lies anywhere in a longer recording; the others begin at
    once. real: share of items with real sound, from `real_tasks`. level_2: share of items of
    difficulty 2. drills: share of listening drills, which are always captions. longest: of a pool,
    captions of at most so many words; 0 = all. manifest: file of a user's own recordings and
    questions, in place of the gym.
    Example: Mixture(kinds=(("chain", 0.7), ("direct", 0.3)), tasks=("tempo",)).
    """

    kinds: tuple[tuple[str, float], ...]
    tasks: tuple[str, ...] = tuple(gym.TASKS)
    anywhere: float = 0.85
    real: float = 0.0
    real_tasks: tuple[str, ...] = TRAINED
    level_2: float = 0.2
    drills: float = 0.0
    longest: int = 0
    denial: float = 0.3
    kept: str = ""
    manifest: str = ""


@lru_cache(maxsize=32)
def _manifest_keys(file: str, kind: str) -> tuple[str, ...]:
    """The training rows of a manifest that a kind can be made from: "direct" from any, "chain" from
    rows with a chain, the kinds that put the sound in words from rows with a caption. Where there
    are none the gym's items stand in."""

    def fits(key: str) -> bool:
        row = row_of(key)
        return kind == "direct" or bool(row.chain if kind == "chain" else row.caption)

    return tuple(key for key in manifest_keys(file, "train") if fits(key))


def draw(mixture: Mixture, seed: int, index: int) -> Example:
    """Example number `index` of the stream with this seed."""
    rng = np.random.default_rng([seed, index])
    names, weights = zip(*mixture.kinds, strict=True)
    kind = names[int(rng.choice(len(names), p=np.asarray(weights) / sum(weights)))]
    if kind in OTHER_KINDS:
        return OTHER_KINDS[kind](mixture, rng, index + seed * 1_000_000_000)
    level = 2 if rng.random() < mixture.level_2 else 1
    if rng.random() < mixture.drills:
        return caption(DRILLS[pick(rng, list(DRILLS))](rng, level), rng)
    # The seed shifts the item index, so that two stages never meet the same clip.
    known = _manifest_keys(mixture.manifest, kind) if mixture.manifest else ()
    number = index + seed * 1_000_000_000
    item = fetch(pick(rng, known)) if known else gym_item(mixture, rng, number, level)
    return KINDS[kind](item, rng)


def gym_item(mixture: Mixture, rng: np.random.Generator, number: int, level: int) -> Item:
    """An item of one of the mixture's tasks."""
    # No draw where there is no choice: streams that never had real sound stay as they were.
    real = mixture.real > 0 and rng.random() < mixture.real
    tasks = mixture.real_tasks if real else mixture.tasks
    moved = mixture.anywhere > 0 and rng.random() < mixture.anywhere
    return gym.make(pick(rng, tasks), number, level=level, anywhere=moved)


def encoded(example: Example, processor: StepAudio2Processor) -> Encoded:
    """The example as numbers."""
    return encode(example.turns, [example.reply], processor, example.labels)


BATCHES_PER_GROUP = 8
"""Batches that are drawn together and sorted by length, so that little is padding."""


class Stream(Dataset[list[Batch]]):
    """Group number g of the stream: `BATCHES_PER_GROUP` batches of examples of similar length."""

    def __init__(
        self,
        mixture: Mixture,
        processor: StepAudio2Processor,
        batch_size: int,
        seed: int,
    ) -> None:
        """Each process makes its own share of every batch."""
        rank, world = dist.rank(), dist.world()
        self.mixture, self.processor, self.seed = mixture, processor, seed
        self.batch_size, self.rank, self.world = dist.share_of(batch_size), rank, world

    def __getitem__(self, group: int) -> list[Batch]:
        size = BATCHES_PER_GROUP * self.batch_size
        first = group * size * self.world + self.rank
        rows = [
            encoded(draw(self.mixture, self.seed, first + i * self.world), self.processor)
            for i in range(size)
        ]
        rows.sort(key=lambda row: row.cost)
        order = np.random.default_rng([self.seed, group]).permutation(BATCHES_PER_GROUP)
        cuts = [rows[i * self.batch_size : (i + 1) * self.batch_size] for i in order]
        return [collate(cut) for cut in cuts]


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _same(group: Any) -> Any:
    return group


Made = TypeVar("Made")


def batches(stream: Dataset[list[Made]], start: int, stop: int, workers: int) -> Iterator[Made]:
    """Batches number `start` to `stop` of the stream, made by worker processes ahead of time."""
    first = start // BATCHES_PER_GROUP
    loader = DataLoader(
        stream,
        batch_size=None,
        sampler=range(first, -(-stop // BATCHES_PER_GROUP)),
        num_workers=workers,
        collate_fn=_same,
        worker_init_fn=_one_thread,
        prefetch_factor=2 if workers else None,
    )
    number = first * BATCHES_PER_GROUP
    for group in loader:
        for batch in group:
            if start <= number < stop:
                yield batch
            number += 1
