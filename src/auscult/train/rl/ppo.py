"""On-policy PPO as in section 4.3 of the paper: 16 replies per prompt, a critic that hears the
audio, GAE with gamma = lambda = 1, clip 0.2, no KL, the reward on the last token.

Not given by the paper and chosen here: learning rates, prompts per step, the mean over all tokens
of a step (so long replies weigh more), one update per batch of rollouts, critic warm-up.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from auscult.engine import Thinking
from auscult.engine.remote import logprobs_known
from auscult.train import shard
from auscult.train.core import (
    Learner,
    Machine,
    Rate,
    even,
    make_critic,
    open_for_training,
    save_model,
    share,
)
from auscult.train.feed.batch import Batch, Encoded, encode, micro_batches
from auscult.train.forward import Actor, Critic, autocast, heard
from auscult.train.loop import open_run, train
from auscult.train.losses import approx_kl, explained_variance, ppo_loss, value_loss
from auscult.train.rl.advantages import ADVANTAGES, Signals, gae
from auscult.train.rl.rewards import REWARDS, reasoned, right
from auscult.train.rl.rollout import Asking, Rollouts, conversation, rollouts
from auscult.types import Rollout
from auscult.work import dist


@dataclass(frozen=True, slots=True, kw_only=True)
class Ppo:
    """One reinforcement-learning stage."""

    steps: int
    prompts: int = 8  # per step, all processes together
    samples: int = 16  # replies per prompt
    actor: Rate = Rate(peak=2e-4, end=1.0)
    critic: Rate = Rate(peak=5e-4, end=1.0)
    critic_warmup: int = 3  # first steps, in which only the critic learns
    clip: float = 0.2
    gamma: float = 1.0
    lam: float = 1.0
    advantage: str = "gae"  # name in ADVANTAGES; only gae has a critic
    updates: int = 1  # optimiser steps on the same rollouts
    max_tokens: int = 96  # thought and answer together
    rewards: tuple[str, str] = ("audio", "right")  # names in REWARDS: of sound, of text
    seed: int = 0
    machine: Machine = Machine()


def prompts_of(keys: Sequence[str], config: Ppo, step: int) -> list[str]:
    """The items of a step: the list is gone through again and again, each time shuffled anew."""
    if not keys:
        raise ValueError(
            "no question was selected for reinforcement learning; see the selection file for the "
            "reasons, and sample more questions or widen the band"
        )
    out: list[str] = []
    for place in range(step * config.prompts, (step + 1) * config.prompts):
        turn, within = divmod(place, len(keys))
        order = np.random.default_rng([config.seed, turn]).permutation(len(keys))
        out.append(keys[int(order[within])])
    return out


def rows_of(groups: Sequence[Sequence[Rollout]], asking: Asking, processor: Any) -> list[Encoded]:
    """One row per prompt with all its replies, numbered through."""
    rows: list[Encoded] = []
    number = 0
    for group in groups:
        prompt = encode(conversation(group[0].item, asking), [], processor)
        rows.append(
            replace(
                prompt,
                replies=tuple(r.reply.tokens for r in group),
                forced=tuple(r.reply.forced for r in group),
                sampled=tuple(r.reply.logprobs for r in group)
                if all(logprobs_known(r.reply) for r in group)
                else (),
                numbers=tuple(range(number, number + len(group))),
            )
        )
        number += len(group)
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What one batch adds to the step. Sums over tokens, so that batches and processes add up."""

    loss: Tensor
    sums: dict[str, float]
    values: Tensor | None
    returns: Tensor | None


def batch_losses(
    actor: Actor,
    critic: Critic | None,
    batch: Batch,
    signals: Signals,
    config: Ppo,
    old: tuple[Tensor, Tensor | None] | None = None,
) -> Losses:
    """Policy and value loss of one batch. `old` are log-probabilities and values before the first
    update, recomputed by the trainer; None where there is one update, whose own they are: the ratio
    is 1."""
    logprobs, entropy = actor(batch)
    values = None if critic is None else critic(batch)
    before, known = old or (logprobs.detach(), None if values is None else values.detach())
    given = replace(signals, reply=batch.reply, values=known)
    estimate = (
        partial(gae, gamma=config.gamma, lam=config.lam)
        if config.advantage == "gae"
        else ADVANTAGES[config.advantage]
    )
    advantages, returns = estimate(given)
    policy, clipped = ppo_loss(logprobs, before, advantages, config.clip)
    loss = policy.sum()
    sums = {
        "policy_loss": float(loss.detach()),
        "entropy": float(entropy.sum()),
        "clip_fraction": float(clipped.detach().sum()),
        "approx_kl": float(approx_kl(logprobs.detach(), before).sum()),
        "sampler_gap": 0.0,
        "value_loss": 0.0,
    }
    if batch.sampled is not None:  # wide: sampler and trainer do not compute the same policy
        sums["sampler_gap"] = float((before - batch.sampled).abs().sum())
    if values is not None:
        errors = value_loss(values, returns).sum()
        sums["value_loss"] = float(errors.detach())
        loss = loss + errors
    return Losses(loss=loss, sums=sums, values=given.values, returns=returns)


def told(groups: Sequence[Sequence[Rollout]], rewards: Sequence[float]) -> dict[str, float]:
    """Sums over replies: reward by kind and part, length, stop reasons."""
    out: dict[str, float] = dict.fromkeys(
        ("audio", "reward/audio", "right/audio", "reasoned/audio", "text", "reward/text",
         "right/text", "reasoned/text", "thought_tokens", "tokens", "stop/end", "stop/length",
         "stop/loop", "closed/model", "closed/open", "empty_thought"), 0.0,
    )  # fmt: skip
    flat = [r for group in groups for r in group]
    for rollout, reward in zip(flat, rewards, strict=True):
        kind, reply = "audio" if rollout.item.clips else "text", rollout.reply
        for name, value in (
            (kind, 1.0),
            (f"reward/{kind}", reward),
            (f"right/{kind}", right(rollout)),
            (f"reasoned/{kind}", reasoned(rollout)),
            ("thought_tokens", reply.thought_tokens),
            ("tokens", len(reply.tokens)),
            (f"stop/{reply.stop}", 1.0),
            (f"closed/{'open' if reply.closed == 'open' else 'model'}", 1.0),
            ("empty_thought", float(not reply.thought)),
        ):
            out[name] += value
    return out


class PpoStep:
    """Sample, reward, update: called once per step."""

    def __init__(
        self, config: Ppo, keys: Sequence[str], learner: Learner, processor: Any, sampler: Rollouts
    ) -> None:
        self.config, self.keys, self.learner = config, keys, learner
        self.processor, self.sampler = processor, sampler
        self.asking = Asking(
            n=config.samples, thinking=Thinking(minimum=0), max_tokens=config.max_tokens
        )

    def __call__(self, step: int) -> dict[str, Any]:
        config, began = self.config, time.perf_counter()
        asking = replace(self.asking, seed=config.seed * 100_003 + step)
        keys = prompts_of(self.keys, config, step)
        groups = rollouts(self.sampler.refresh(), share(keys), asking, share(range(len(keys))))
        sampled = time.perf_counter()
        rewards = [self._reward(r) for group in groups for r in group]
        rows = rows_of(groups, asking, self.processor)
        metrics = self.update(rows, groups, rewards, step)
        return metrics | {
            "seconds_sampling": sampled - began,
            "seconds_learning": time.perf_counter() - sampled,
        }

    def _reward(self, rollout: Rollout) -> float:
        sound, text = self.config.rewards
        return REWARDS[sound if rollout.item.clips else text](rollout)

    def update(
        self,
        rows: Sequence[Encoded],
        groups: Sequence[Sequence[Rollout]],
        rewards: Sequence[float],
        step: int,
    ) -> dict[str, Any]:
        """The optimiser steps on these rollouts; all measurements."""
        config, learner = self.config, self.learner
        actor: Any = learner.parts["actor"]
        critic: Any = dict(learner.parts).get("critic")
        signals = Signals(
            rewards=torch.tensor(rewards, device=learner.device),
            group=torch.tensor(
                [g for g, row in enumerate(rows) for _ in row.replies], device=learner.device
            ),
            reply=torch.zeros(0, dtype=torch.long),
        )
        with autocast(learner.device, learner.bf16):
            batches = [
                (heard(actor.model, b.to(learner.device)), weight)
                for b, weight in even(
                    micro_batches(rows, learner.machine.micro_tokens, learner.machine.row_tokens),
                    learner.machine,
                )
            ]
        trained = sum(w * len(b.targets) for b, w in batches)
        sums = dist.totals(told(groups, rewards) | {"trained": float(trained)})
        old = (
            [self._before(actor, critic, b) for b, _ in batches]
            if config.updates > 1
            else [None] * len(batches)
        )
        rates = {"actor": config.actor.at(step, config.steps)}
        if critic is not None:
            rates["critic"] = config.critic.at(step, config.steps)
            rates["actor"] *= step >= config.critic_warmup
        found: list[Losses] = []
        results: list[Losses] = []
        norms: dict[str, float] = {}
        for number in range(config.updates):
            found = []
            for (batch, weight), before in zip(batches, old, strict=True):
                with autocast(learner.device, learner.bf16):
                    part = batch_losses(actor, critic, batch, signals, config, before)
                (weight * part.loss / sums["trained"]).backward()
                found += [replace(part, loss=part.loss.detach())] if weight else []
            norms = learner.update(rates)
            results = results if number else found
        return (
            _measurements(sums, found, results)
            | {f"grad_norm/{name}": norm for name, norm in norms.items()}
            | {"lr/actor": rates["actor"]}
        )

    def _before(self, actor: Any, critic: Any, batch: Batch) -> tuple[Tensor, Tensor | None]:
        with torch.no_grad(), autocast(self.learner.device, self.learner.bf16):
            return actor(batch)[0], None if critic is None else critic(batch)


def _measurements(
    sums: dict[str, float], found: Sequence[Losses], first: Sequence[Losses]
) -> dict[str, Any]:
    """Means over replies and tokens of all processes, but for the explained variance, which is of
    the first process's share. `first` are the losses of the first update:
    what the critic knew before it saw the rewards."""
    parts = {name: sum(p.sums[name] for p in found) for name in found[0].sums}
    per_token = {k: v / max(1.0, sums["trained"]) for k, v in dist.totals(parts).items()}
    replies = sums["audio"] + sums["text"]
    out: dict[str, Any] = {"replies": replies}
    for name, value in sums.items():
        kind = name.rpartition("/")[2]
        if kind in ("audio", "text") and "/" in name:
            out[name] = value / sums[kind] if sums[kind] else None
        elif name not in ("audio", "text", "trained"):
            out[name] = value / replies
    rewards = sums["reward/audio"] + sums["reward/text"]
    known = [(p.values, p.returns) for p in first if p.values is not None and p.returns is not None]
    variance = (
        explained_variance(torch.cat([v for v, _ in known]), torch.cat([r for _, r in known]))
        if known
        else float("nan")
    )
    out |= {"reward": rewards / replies}
    out["explained_variance"] = None if variance != variance else variance
    return out | per_token


def load_critic(critic: Critic, folder: Path) -> bool:
    """The critic of an earlier stage goes on, where that stage left one beside its model."""
    file = folder / "critic" / "critic.safetensors"
    if not file.exists():
        return False
    critic.load_state_dict(load_file(file))
    return True


def _save_critic(critic: Critic, folder: Path, machine: Machine) -> None:
    weights = shard.full_weights(critic) if machine.shard else dict(critic.state_dict())
    if dist.rank() == 0:
        (folder / "critic").mkdir(exist_ok=True)
        whole = {k: v.detach().contiguous() for k, v in weights.items()}
        save_file(whole, folder / "critic" / "critic.safetensors")


def _check(config: Ppo) -> None:
    if config.prompts < dist.world():
        raise ValueError(
            f"{config.prompts} prompts a step cannot be shared by {dist.world()} processes; take "
            "more prompts or fewer processes"
        )
    if config.machine.rollouts.startswith("http") and config.steps:
        raise ValueError(
            "a server cannot follow the weights from step to step; sample for PPO with rollouts "
            "'engine' or 'pool:N'"
        )


def ppo(config: Ppo, keys: Sequence[str], source: Path, out: Path, critic_from: Path) -> Path:
    """Train the model in `source` on the items of `keys`; the result, with its critic, in `out`."""
    told_by = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:12]
    run = open_run("ppo", config, source, out, questions=told_by, critic_from=str(critic_from))
    if run.done():
        return out
    _check(config)
    model, processor = open_for_training(source, config.machine)
    sampler = Rollouts(model, processor, config.machine)
    parts: dict[str, torch.nn.Module] = {"actor": Actor(model)}
    critic = None
    if config.advantage == "gae":
        torch.manual_seed(config.seed)
        critic = parts["critic"] = make_critic(model)
        load_critic(critic, critic_from)
    learner = Learner(parts, config.machine, weight_decay=0.0)
    step = PpoStep(config, keys, learner, processor, sampler)
    train(run, learner, config.steps, step, shown="reward")
    if critic is not None:
        _save_critic(critic, out, config.machine)
    model.requires_grad_(True)
    save_model(model, processor, out, config.machine)
    run.finish({"steps": config.steps, "questions": len(keys)})
    return out
