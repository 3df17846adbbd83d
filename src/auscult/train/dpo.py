"""Direct preference optimisation on pairs of the model's own replies (paper section 6.3). The
reference is the model that the stage started from; beta, rate and epochs are not given there."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auscult.files import json_lines
from auscult.gym.render import question_turns
from auscult.train.core import (
    Learner,
    Machine,
    Rate,
    even,
    open_for_training,
    save_model,
    share,
)
from auscult.train.feed.batch import Batch, Encoded, encode, micro_batches
from auscult.train.feed.items import fetch
from auscult.train.forward import Actor, autocast, heard
from auscult.train.loop import open_run, train
from auscult.train.losses import dpo_loss, sum_by_reply
from auscult.work import dist


@dataclass(frozen=True, slots=True, kw_only=True)
class Dpo:
    """One preference stage."""

    steps: int
    pairs: int = 16  # per step, all processes together
    beta: float = 0.1
    rate: Rate = Rate(peak=1e-4, end=1.0)
    seed: int = 0
    machine: Machine = Machine()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two replies to one item, thought and answer as the model wrote them.

    Example: Pair(key="self_cognition/train/1/3", chosen="\\n</think>\\nI hear ...",
    rejected="\\n</think>\\nI cannot hear audio, ...").
    """

    key: str
    chosen: str
    rejected: str


def read_pairs(file: Path) -> list[Pair]:
    """Pairs from JSON lines with the fields of `Pair`."""
    return [Pair(**pair) for _, pair in json_lines(file, "a pair on each line")]


def row_of(pair: Pair, processor: Any) -> Encoded:
    """One row: the prompt once, chosen and rejected after it."""
    return encode(question_turns(fetch(pair.key)), [pair.chosen, pair.rejected], processor)


def numbered(rows: list[Encoded]) -> list[Encoded]:
    """Replies 2 i and 2 i + 1 are chosen and rejected of row i."""
    return [replace(row, numbers=(2 * i, 2 * i + 1)) for i, row in enumerate(rows)]


class DpoStep:
    """One optimiser step on some pairs."""

    def __init__(
        self, config: Dpo, pairs: list[Pair], learner: Learner, reference: Actor, processor: Any
    ) -> None:
        self.config, self.pairs, self.learner = config, pairs, learner
        self.reference, self.processor = reference, processor

    def __call__(self, step: int) -> dict[str, Any]:
        config, learner = self.config, self.learner
        rng = np.random.default_rng([config.seed, step])
        chosen = rng.integers(len(self.pairs), size=config.pairs)
        mine = numbered([row_of(self.pairs[int(i)], self.processor) for i in share(list(chosen))])
        actor: Any = learner.parts["actor"]
        sums: dict[str, float] = dict.fromkeys(("loss", "margin", "right"), 0.0)
        # A pair must not be parted.
        longest = max([learner.machine.micro_tokens, *(row.length for row in mine)])
        for batch, weight in even(micro_batches(mine, longest), learner.machine):
            with autocast(learner.device, learner.bf16):
                found = heard(actor.model, batch.to(learner.device))
                loss, margin = self._losses(actor, found)
            (weight * loss.sum() / config.pairs).backward()
            sums["loss"] += weight * float(loss.detach().sum())
            sums["margin"] += weight * float(margin.sum())
            sums["right"] += weight * float((margin > 0).sum())
        rate = config.rate.at(step, config.steps)
        norm = learner.update({"actor": rate})["actor"]
        means = {k: v / config.pairs for k, v in dist.totals(sums).items()}
        return {**means, "grad_norm": norm, "lr": rate}

    def _losses(self, actor: Actor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """(loss, margin) of the pairs in a batch; both replies of a pair are always in it."""
        numbers = batch.reply.unique()
        place = torch.searchsorted(numbers, batch.reply)
        whole = sum_by_reply(actor(batch)[0], place, len(numbers))
        with torch.no_grad():
            before = sum_by_reply(self.reference(batch)[0], place, len(numbers))
        return dpo_loss(whole[::2], whole[1::2], before[::2], before[1::2], self.config.beta)


def dpo(config: Dpo, pairs: list[Pair], source: Path, out: Path) -> Path:
    """Train the model in `source` to prefer the chosen replies; the result in `out`."""
    run = open_run("dpo", config, source, out)
    if run.done():
        return out
    if not pairs and config.steps:
        raise ValueError("there are no pairs to learn from; see the samples beside the pairs file")
    model, processor = open_for_training(source, config.machine)
    reference, _ = open_for_training(source, Machine(precision=config.machine.precision))
    learner = Learner({"actor": Actor(model)}, config.machine, weight_decay=0.0)
    frozen = Actor(reference.requires_grad_(False).eval())
    step = DpoStep(config, pairs, learner, frozen, processor)
    train(run, learner, config.steps, step, shown="margin")
    model.requires_grad_(True)
    save_model(model, processor, out, config.machine)
    run.finish({"steps": config.steps, "pairs": len(pairs)})
    return out
