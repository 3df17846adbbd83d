"""Items that a frozen ear has heard once: a decoder that learns from them reads them many times.

Hearing a clip and making it cost more than a step of a small decoder. `gather` makes items and
keeps what the ear made of their clips, `PoolStream` turns them into batches of any kind of example.

Shapes: F frames of all clips of a part at 25 Hz, S width of the ear.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from auscult.audio.mel import log_mel
from auscult.files import json_lines, read_json
from auscult.gym import render
from auscult.gym.base import pick
from auscult.gym.surround import BARE
from auscult.gym.tasks.events import NOISE_ALONE, NOTHING
from auscult.model import StepAudio2Processor
from auscult.model.encoder import AudioEncoder, pooled_frames
from auscult.model.processor import pad_features
from auscult.model.weights import open_model
from auscult.train.core import use_bf16
from auscult.train.feed.batch import Batch, collate, encode
from auscult.train.feed.data import (
    BATCHES_PER_GROUP,
    KINDS,
    OTHER_KINDS,
    Example,
    Mixture,
    draw,
    encoded,
    gym_item,
)
from auscult.train.feed.drills import DRILLS
from auscult.train.forward import autocast
from auscult.types import Audio, Item
from auscult.work import dist
from auscult.work.run import fingerprint, write_whole

PART = 500
"""Items that are heard and written together."""


Features = Float[Tensor, "T S"]
Hearing = Callable[[Sequence[Audio]], list[Features]]
"""Clips -> what an ear makes of each of them."""

_TOGETHER = 16


def of_encoder(encoder: AudioEncoder, n_mels: int, *, bf16: bool = False) -> Hearing:
    """The ear of a model, before its adaptor."""
    encoder.eval()

    @torch.inference_mode()
    def hear(clips: Sequence[Audio]) -> list[Features]:
        out: dict[int, Features] = {}
        order = sorted(range(len(clips)), key=lambda i: len(clips[i]))
        for start in range(0, len(order), _TOGETHER):
            chosen = order[start : start + _TOGETHER]
            mel, lengths = pad_features([log_mel(clips[i], n_mels=n_mels) for i in chosen])
            with autocast(mel.device, bf16):
                found = encoder(mel, lengths).float()
            for i, row, n in zip(chosen, found, lengths.tolist(), strict=True):
                out[i] = row[: pooled_frames(int(n))].clone()
        return [out[i] for i in range(len(clips))]

    return hear


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """Which items. `mixture`: tasks and shares; its kinds do not count here. `longest_s`: items
    with a longer clip are left out. `precision` of the ear: what a bf16 product rounds off is less
    than a hundredth of a feature, and it hears nearly twice as fast."""

    mixture: Mixture
    items: int = 60_000
    longest_s: float = 12.0
    seed: int = 0
    precision: str = "auto"


def _item(config: Gather, index: int) -> Item:
    rng = np.random.default_rng([13, config.seed, index])
    level = 2 if rng.random() < config.mixture.level_2 else 1
    if rng.random() < config.mixture.drills:
        return DRILLS[pick(rng, list(DRILLS))](rng, level)
    return gym_item(config.mixture, rng, index + config.seed * 1_000_000_000, level)


def _record(item: Item, first: int, frames: list[int]) -> dict[str, Any]:
    """An item as a line: everything but its samples, and where its frames lie."""
    held = asdict(replace(item, clips=()))
    return held | {
        "samples": [len(x) for x in item.clips],
        "first": first,
        "frames": frames,
    }


def gather(config: Gather, source: Path, out: Path) -> Path:
    """Let the ear of the model in `source` hear items and keep them in `out`. Goes on where it was
    killed; several processes share the parts.

    Raises `ValueError` where `out` holds what another ear or another mixture made.
    """
    rank, world = dist.start()
    out.mkdir(parents=True, exist_ok=True)
    record = {"ear": fingerprint(source), "config": json.loads(json.dumps(asdict(config)))}
    if (out / "pool.json").exists():
        if read_json(out / "pool.json", "the record of a pool") != record:
            raise ValueError(
                f"{out} was made by another ear or of another mixture; choose another folder or "
                "delete it"
            )
    elif rank == 0:
        write_whole(out / "pool.json", json.dumps(record))
    model, processor = open_model(source, device="cpu")
    bf16 = use_bf16(config.precision, torch.device("cpu"))
    hear = of_encoder(model.encoder.float(), processor.n_mels, bf16=bf16)
    parts = range(rank, -(-config.items // PART), world)
    for part in tqdm(parts, desc=f"heard by {rank}", mininterval=5, disable=rank > 0):
        if not (out / f"{part:05}.jsonl").exists():
            _write(out, part, _part(config, part), hear)
    dist.barrier()
    return out


def _part(config: Gather, part: int) -> list[Item]:
    indices = range(part * PART, min((part + 1) * PART, config.items))
    items = [_item(config, i) for i in indices]
    longest = round(config.longest_s * 16000)
    return [item for item in items if max(map(len, item.clips), default=0) <= longest]


def _write(out: Path, part: int, items: list[Item], hear: Hearing) -> None:
    heard = hear([x for item in items for x in item.clips])
    lines: list[str] = []
    at = clip = 0
    for item in items:
        frames = [len(heard[clip + i]) for i in range(len(item.clips))]
        lines.append(json.dumps(_record(item, at, frames)))
        at, clip = at + sum(frames), clip + len(item.clips)
    whole = torch.cat(heard).half().numpy() if heard else np.zeros((0, 1), dtype=np.float16)
    np.save(out / f"{part:05}.part.npy", whole)
    (out / f"{part:05}.part.npy").replace(out / f"{part:05}.npy")
    write_whole(out / f"{part:05}.jsonl", "\n".join(lines) + "\n")


class Pool:
    """Items with what was heard of them, read from disk when they are asked for.

    Example: Pool(folder).item(3), Pool(folder).heard(3).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: list[tuple[str, dict[str, Any]]] = [
            (file.stem, row)
            for file in sorted(folder.glob("[0-9]*.jsonl"))
            for _, row in json_lines(file, "an item that was heard")
        ]
        if not self._rows:
            raise ValueError(f"{folder} holds no items that were heard; run `gather` first")

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def _open(self) -> dict[str, np.ndarray]:
        return {p: np.load(self.folder / f"{p}.npy", mmap_mode="r") for p, _ in self._rows}

    @cached_property
    def by_task(self) -> dict[str, list[int]]:
        """Numbers of the items of each task; drills, which have no question, under ""."""
        found: dict[str, list[int]] = {}
        for i, (_, row) in enumerate(self._rows):
            found.setdefault(row["task"] if row["question"] else "", []).append(i)
        return found

    def words(self, index: int) -> int:
        """How many words the sounds of the item take."""
        return sum(len(label.split()) for label in render.labels(self.item(index)))

    def item(self, index: int) -> Item:
        """An item whose clips are silence of their length: no more than lengths is read of them."""
        row = dict(self._rows[index][1])
        samples, _, _ = row.pop("samples"), row.pop("first"), row.pop("frames")
        row["clips"] = tuple(np.broadcast_to(np.float32(0), n) for n in samples)
        row |= {name: tuple(row[name]) for name in ("features", "heard", "options")}
        return Item(**row)

    def heard(self, index: int) -> list[Tensor]:
        """Features [F, S] of each clip, as float16."""
        part, row = self._rows[index]
        at, found = int(row["first"]), list[Tensor]()
        for n in row["frames"]:
            found.append(torch.from_numpy(np.array(self._open[part][at : at + n])))
            at += n
        return found


class Choice:
    """Which items of a pool a mixture means: its tasks, as often as it names them, real ones with
    its share, drills as captions. Raises `ValueError` where the pool has none of them."""

    def __init__(self, pool: Pool, mixture: Mixture, most_words: int = 0) -> None:
        self.mixture = mixture

        def fitting(task: str) -> list[int]:
            found = pool.by_task.get(task, [])
            return [i for i in found if pool.words(i) <= most_words] if most_words else found

        kept = {task: fitting(task) for task in {"", *mixture.tasks, *mixture.real_tasks}}
        self.drills = kept[""]
        self.made = [kept[task] for task in mixture.tasks if kept[task]]
        self.real = [kept[task] for task in mixture.real_tasks if kept[task]]
        if not (self.made or self.real):
            raise ValueError(f"{pool.folder} holds no item of the tasks of this mixture")

    def draw(self, rng: np.random.Generator, kind: str) -> tuple[str, int]:
        """(kind, number of an item)."""
        if self.drills and rng.random() < self.mixture.drills:
            return "caption", pick(rng, self.drills)
        real = rng.random() < self.mixture.real
        groups = (self.real or self.made) if real else (self.made or self.real)
        return kind, pick(rng, pick(rng, groups))


IN_WORDS = ("twin_chain", "twin_direct")
"""Kinds without sound: their scenes are new ones, for there are more scenes than a pool holds."""


ABSENT = "absent"
"""The kind that asks about what is not there: silence, or noise and nothing else."""


def _empty(pool: Pool) -> list[int]:
    """Items of silence, and of noise and nothing else.

    Raises `ValueError` where the pool has none.
    """
    found = [
        i for i in pool.by_task.get("anything_there", [])
        if pool.item(i).answer in (NOTHING, NOISE_ALONE)
    ]  # fmt: skip
    if not found:
        raise ValueError(
            f"{pool.folder} holds no silence, of which the kind {ABSENT!r} is made; gather items "
            "of the task anything_there"
        )
    return found


def absent(empty: Item, asked: Item, rng: np.random.Generator) -> Example:
    """Silence and a question about a sound -> "I hear nothing", in three of four by a thought."""
    item = replace(empty, question=asked.question, options=asked.options)
    return KINDS["chain" if rng.random() < 0.75 else "direct"](item, rng)


class PoolStream(Dataset[list[Batch]]):
    """Group number g of a stream of examples from a pool; kinds in words need none. A pure function
    of seed and number."""

    def __init__(
        self, pool: Pool, mixture: Mixture, processor: StepAudio2Processor, batch_size: int,
        seed: int,
    ) -> None:  # fmt: skip
        self.pool, self.mixture, self.processor, self.seed = pool, mixture, processor, seed
        self.choice = Choice(pool, mixture)
        self.short = Choice(pool, mixture, mixture.longest) if mixture.longest else self.choice
        self.empty = _empty(pool) if ABSENT in dict(mixture.kinds) else []
        self.rank, self.world = dist.rank(), dist.world()
        self.size = dist.share_of(batch_size)

    def _row(self, index: int) -> Any:
        rng = np.random.default_rng([17, self.seed, index])
        names, weights = zip(*self.mixture.kinds, strict=True)
        kind = names[int(rng.choice(len(names), p=np.asarray(weights) / sum(weights)))]
        if kind in OTHER_KINDS or kind in IN_WORDS:
            only = replace(self.mixture, kinds=((kind, 1.0),), real=0.0, anywhere=0.0, drills=0.0)
            return encoded(draw(only, self.seed, index), self.processor)
        if kind == ABSENT:
            chosen = pick(rng, self.empty)
            example = absent(self.pool.item(chosen), self._asked(rng), rng)
        else:
            kind, chosen = (self.short if kind == "caption" else self.choice).draw(rng, kind)
            example = KINDS[kind](self.pool.item(chosen), rng)
        clips = sum(len(turn.clips) for turn in example.turns)
        heard = self.pool.heard(chosen) if clips else []
        return encode(example.turns, [example.reply], self.processor, example.labels, heard)

    def _asked(self, rng: np.random.Generator) -> Item:
        """An item with a question about one sound that is not noise."""
        for _ in range(200):
            item = self.pool.item(self.choice.draw(rng, "chain")[1])
            about_noise = BARE & set(item.features) or "noise" in item.options
            if item.question and len(item.clips) == 1 and not about_noise:
                return item
        raise ValueError(f"the tasks of this mixture in {self.pool.folder} ask about no one sound")

    def __getitem__(self, group: int) -> list[Batch]:
        count = BATCHES_PER_GROUP * self.size
        first = group * count * self.world + self.rank
        rows = [self._row(first + i * self.world) for i in range(count)]
        rows.sort(key=lambda row: row.length)
        order = np.random.default_rng([self.seed, group]).permutation(BATCHES_PER_GROUP)
        return [collate(rows[i * self.size : (i + 1) * self.size]) for i in order]
