"""Replies to many items, from any policy: sampled in chunks that survive a kill.

A policy is our engine on the model in training, several engine processes, or any OpenAI-compatible
server; what it must offer is `Sampler`.
"""

import copy
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from tqdm import tqdm

from auscult.engine import Engine, Sampling, Thinking
from auscult.files import json_lines
from auscult.gym.render import question_text
from auscult.gym.score import score_answer
from auscult.model import StepAudio2ForCausalLM, StepAudio2Processor
from auscult.train import shard
from auscult.train.core import Machine, merged, open_for_training
from auscult.train.feed.items import fetch, neighbour
from auscult.types import Audio, Item, Reply, Rollout, Turn
from auscult.work import dist
from auscult.work.run import write_whole


@runtime_checkable
class Sampler(Protocol):
    """What the stages need of a policy; `Engine`, `EnginePool` and `Endpoint` have it."""

    def several(
        self,
        conversations: Sequence[Sequence[Turn]],
        n: int,
        *,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
        draws: Sequence[int] | None = None,
    ) -> list[list[Reply]]:
        """n replies to each conversation, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How items are put to a policy.

    suffix: words after the question (the prompt that asks for acoustic evidence). sound: name in
    SOUNDS, what is heard in place of the item's own.
    Example: Asking(n=8, thinking=Thinking(), seed=3).
    """

    n: int = 8
    suffix: str = ""
    sound: str = "own"
    thinking: Thinking = Thinking()
    temperature: float = 1.0
    max_tokens: int = 96
    seed: int = 0

    @property
    def sampling(self) -> Sampling:
        """The engine's settings."""
        return Sampling(temperature=self.temperature, max_tokens=self.max_tokens, seed=self.seed)


def _silence(item: Item) -> tuple[Audio, ...]:
    return tuple(np.zeros_like(clip) for clip in item.clips)


SOUNDS: dict[str, Callable[[Item], tuple[Audio, ...]]] = {
    "own": lambda item: item.clips,
    "silence": _silence,
    "swapped": lambda item: fetch(neighbour(item.key)).clips,
}
"""What stands in the place of the item's sound: it, silence as long, another item's sound."""


def conversation(item: Item, asking: Asking) -> list[Turn]:
    """The item as it is put to the policy."""
    clips = SOUNDS[asking.sound](item) if item.clips else ()
    return [Turn(role="human", text=question_text(item) + asking.suffix, clips=clips)]


def rollouts(
    policy: Sampler, keys: Sequence[str], asking: Asking, draws: Sequence[int] | None = None
) -> list[list[Rollout]]:
    """n scored replies to each item."""
    items = [fetch(key) for key in keys]
    groups = policy.several(
        [conversation(item, asking) for item in items],
        asking.n, sampling=asking.sampling, thinking=asking.thinking, draws=draws,
    )  # fmt: skip
    return [_scored(item, group) for item, group in zip(items, groups, strict=True)]


def _scored(item: Item, replies: Sequence[Reply]) -> list[Rollout]:
    return [Rollout(item=item, reply=r, score=score_answer(item, r.answer)) for r in replies]


CHUNK = 24
"""Items treated at once, by one process, and written as one file."""

Record = dict[str, Any]


def by_chunks(
    folder: Path, about: Record, count: int, make: Callable[[range], list[Record]]
) -> list[Record]:
    """`make` for all numbers below `count`, one record each, in order.

    Each process makes its share of the chunks, and all read all of them. Chunks that lie in
    `folder` are not made again, so a killed run goes on; `about` says what the folder holds.
    Raises `ValueError` where it holds something else.
    """
    if dist.rank() == 0:
        folder.mkdir(parents=True, exist_ok=True)
        _claim(folder, about)
    dist.barrier()
    chunks = [range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
    mine = range(dist.rank(), len(chunks), dist.world())
    for number in tqdm(mine, desc=folder.name, mininterval=5, disable=dist.rank() > 0):
        file = folder / f"{number:05d}.jsonl"
        if not file.exists():
            write_lines(file, make(chunks[number]))
    dist.barrier()
    files = [folder / f"{number:05d}.jsonl" for number in range(len(chunks))]
    return [record for file in files for _, record in json_lines(file)]


def write_lines(file: Path, records: Iterable[Record]) -> None:
    """JSON lines, whole or not at all."""
    write_whole(file, "".join(json.dumps(record) + "\n" for record in records))


def _claim(folder: Path, about: Record) -> None:
    file = folder / "about.json"
    text = json.dumps(about, default=str)
    if not file.exists():
        write_whole(file, text)
    elif file.read_text() != text:
        raise ValueError(f"{folder} was made with other settings or questions; delete it")


def collect(
    policy: Sampler, keys: Sequence[str], asking: Asking, folder: Path
) -> list[list[Rollout]]:
    """Replies to all items, in order, by all processes together (`by_chunks`)."""

    def make(numbers: range) -> list[Record]:
        groups = rollouts(policy, [keys[i] for i in numbers], asking, numbers)
        return [{"replies": [asdict(r.reply) for r in group]} for group in groups]

    about = {"asking": asdict(asking), "keys": list(keys)}
    return [
        _scored(fetch(key), [reply_of(r) for r in record["replies"]])
        for key, record in zip(keys, by_chunks(folder, about, len(keys), make), strict=True)
    ]


def reply_of(record: Record) -> Reply:
    """A `Reply` from its JSON."""
    given: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
    return Reply(**given)


class Rollouts:
    """The policy of a model in training; `refresh` brings it up to date.

    Our engine on the model itself; where the trained weights are sharded or carry adapters, on a
    plain copy. `Machine.rollouts` may name several engine processes or a server instead.
    """

    def __init__(
        self, model: StepAudio2ForCausalLM, processor: StepAudio2Processor, machine: Machine,
        rows: int = 128,
    ) -> None:  # fmt: skip
        self.trained, self.processor, self.machine, self.rows = model, processor, machine, rows
        self.policy: Any = None
        # Copied before the model is sharded: a whole twin for the engine.
        self.twin = copy.deepcopy(model) if machine.shard else None

    def refresh(self) -> Sampler:
        """The policy with the present weights.

        Raises `ValueError` for a server that has sampled already: it cannot follow the training.
        """
        kind, _, rest = self.machine.rollouts.partition(":")
        if kind == "pool":
            self._pool(int(rest or 2))
        elif kind in ("http", "https"):
            self._server(self.machine.rollouts)
        elif kind == "engine":
            self._engine()
        else:
            raise ValueError(
                f"rollouts is {self.machine.rollouts!r}; expected engine, pool:N or "
                "http://HOST:PORT/v1#MODEL"
            )
        return self.policy

    def _engine(self) -> None:
        if self.machine.lora_rank:
            self.policy = Engine(merged(self.trained), self.processor, rows=self.rows)
        elif self.policy is None:
            self.policy = Engine(self._plain(), self.processor, rows=self.rows)
            self.trained.train()
        else:
            if self.machine.shard:
                shard.copy_into(self.policy.model, self.trained)
            self.policy.sync()

    def _pool(self, processes: int) -> None:
        """The processes start from the weights on disk and then take the trained ones."""
        from auscult.engine.pool import EnginePool

        if self.policy is None:
            folder = Path(str(self.trained.config.name_or_path))
            self.policy = EnginePool(folder, processes=processes, rows=self.rows)
        self.policy.sync(merged(self.trained) if self.machine.lora_rank else self._plain())

    def _server(self, address: str) -> None:
        from auscult.engine.remote import Endpoint

        if self.policy is None:
            url, _, name = address.partition("#")
            self.policy = Endpoint(url, name, self.processor)
        else:
            self.policy.sync()

    def _plain(self) -> StepAudio2ForCausalLM:
        """The model itself, or an unsharded twin with its weights."""
        if self.twin is None or not shard.is_split(self.trained):
            return self.trained
        shard.copy_into(self.twin, self.trained)
        return self.twin


def policy_of(source: Path, machine: Machine) -> Sampler:
    """The policy of a folder's model as it stands, for sampling before a stage trains it: no
    adapters, no shards, no second copy."""
    plain = replace(machine, lora_rank=0, shard=False)
    return Rollouts(*open_for_training(source, plain), plain).refresh()
