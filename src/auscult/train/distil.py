"""Modality-grounded reasoning distillation, one round (paper section 4.2): perception questions,
K samples each under a prompt that asks for acoustic evidence, three filters, and SFT on what is
left together with text reasoning (eq. 5).
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from auscult.engine import Thinking
from auscult.gym import render
from auscult.model.processor import THINK_CLOSE
from auscult.train.core import Machine
from auscult.train.feed import awareness
from auscult.train.feed.items import fetch, manifest_keys
from auscult.train.loop import open_run
from auscult.train.rl.filters import judge
from auscult.train.rl.rollout import (
    Asking,
    Record,
    Sampler,
    by_chunks,
    collect,
    policy_of,
    write_lines,
)
from auscult.train.sft import Sft, sft
from auscult.types import Rollout
from auscult.work import dist

EVIDENCE = "\nSay what you hear, then answer."
"""The prompt that asks for acoustic evidence; the wording of the paper is not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distil:
    """One round of sampling and SFT.

    A reply begins with `opening`, forced: a model of nano's size follows a new instruction only
    when the first words are put into its mouth. The SFT then teaches it to begin so by itself.
    """

    sft: Sft
    manifest: str = ""  # a user's own questions; "" = gym questions of the mixture's tasks
    questions: int = 240
    k: int = 8
    silent: int = 4  # samples with silence, for the choice of perception questions; 0 = no choice
    suffix: str = EVIDENCE
    opening: str = "I hear"
    filters: tuple[str, ...] = ("novelty", "correctness", "coherence", "grounding")
    most: int = 3  # kept replies per question
    awareness: int = 24  # self-cognition prompts beside the questions
    truth: bool = False  # true chains of the questions in place of samples: the ceiling
    max_tokens: int = 96  # thought and answer together
    seed: int = 0
    machine: Machine = Machine()


def question_keys(tasks: Sequence[str], n: int, seed: int, manifest: str = "") -> list[str]:
    """n questions for training, another seed gives others: of the gym's tasks in turn, or drawn
    from a manifest (all of it where it has fewer)."""
    rng = np.random.default_rng([7, seed])
    if manifest:
        known = manifest_keys(manifest, "train")
        return [known[int(i)] for i in rng.permutation(len(known))[:n]]
    first = int(rng.integers(1 << 28))
    return [f"{tasks[i % len(tasks)]}/train/1/{first + i // len(tasks)}" for i in range(n)]


def distil(config: Distil, source: Path, out: Path) -> Path:
    """One round: samples and kept replies in `out`/data, the refined model in `out`."""
    data = out / "data"
    run = open_run("distil", config, source, data)
    if not run.done():
        policy = policy_of(source, config.machine)
        reasoning = _reasoning(policy, config, data)
        if not reasoning:
            raise ValueError(
                f"no reply about a sound passed the filters of {out.name}; see "
                f"{data / 'judged.json'} for the reasons"
            )
        kept = [*reasoning, *_hearing(policy, config, data)]
        if dist.rank() == 0:
            write_lines(data / "kept.jsonl", kept)
        run.finish({"kept": len(kept)})
    mixture = replace(config.sft.mixture, kept=str(data / "kept.jsonl"))
    return sft(replace(config.sft, mixture=mixture), source, out)


def perception(
    groups: Sequence[Sequence[Rollout]], silent: Sequence[Sequence[Rollout]]
) -> list[bool]:
    """Does each question need the sound? Its samples must be right more often with the sound than
    with silence ("the model cannot rely on textual surrogates")."""

    def rate(group: Sequence[Rollout]) -> float:
        return sum(r.score for r in group) / len(group)

    return [rate(a) > rate(b) for a, b in zip(groups, silent, strict=True)]


def _asking(config: Distil) -> Asking:
    """K samples under the request for acoustic evidence."""
    return Asking(
        n=config.k, suffix=config.suffix, thinking=Thinking(opening=config.opening),
        max_tokens=config.max_tokens, seed=config.seed,
    )  # fmt: skip


def _reasoning(policy: Sampler, config: Distil, data: Path) -> list[Record]:
    keys = question_keys(config.sft.mixture.tasks, config.questions, config.seed, config.manifest)
    if config.truth:
        return [{"key": key, "reply": _true_reply(key)} for key in keys]
    ask = _asking(config)
    groups = collect(policy, keys, ask, data / "samples")
    needs = [True] * len(keys)
    if config.silent:
        quiet = collect(
            policy, keys, replace(ask, n=config.silent, sound="silence"), data / "silence"
        )
        needs = perception(groups, quiet)
    return _judged(groups, needs, config.filters, config.most, data, "judged")


def _true_reply(key: str) -> str:
    item = fetch(key)
    return f"{render.chain(item)}{THINK_CLOSE}{item.answer}"


def _hearing(policy: Sampler, config: Distil, data: Path) -> list[Record]:
    """Replies to self-cognition prompts that acknowledge hearing (paper section 6.3: filtered
    self-distillation, inside each round)."""
    if not config.awareness:
        return []
    first = config.seed * 10_000
    keys = [f"{awareness.TASK}/train/1/{first + i}" for i in range(config.awareness)]
    groups = collect(policy, keys, _asking(config), data / "awareness")
    needs = [True] * len(keys)
    filters = ("novelty", "awareness")
    return _judged(groups, needs, filters, config.most, data, "judged_awareness")


def _judged(
    groups: Sequence[Sequence[Rollout]],
    needs: Sequence[bool],
    filters: Sequence[str],
    most: int,
    data: Path,
    name: str,
) -> list[Record]:
    """The kept replies. All judgements, kept or not, lie in `data`/`name`, and their tally in
    `name`.json."""

    def make(numbers: range) -> list[Record]:
        return [{"judged": _judge_group(groups[i], needs[i], filters)} for i in numbers]

    about = {"filters": list(filters), "needs": [int(x) for x in needs]}
    found = by_chunks(data / name, about, len(groups), make)
    every = [r for group in found for r in group["judged"]]
    tally = Counter((r["filter"], r["why"]) for r in every)
    if dist.rank() == 0:
        lines = [{"filter": f, "why": w, "n": n} for (f, w), n in tally.most_common()]
        (data / f"{name}.json").write_text(json.dumps(lines, indent=1))
    dist.barrier()
    kept = [[r for r in group["judged"] if r["keep"]][:most] for group in found]
    return [
        {"key": r["key"], "reply": f"{r['thought']}{THINK_CLOSE}{r['answer']}"}
        for group in kept
        for r in group
    ]


def _judge_group(group: Sequence[Rollout], needed: bool, filters: Sequence[str]) -> list[Record]:
    out: list[Record] = []
    for rollout in group:
        if needed:
            by, verdict = judge(rollout, group, filters)
            keep, why = verdict.keep, verdict.why
        else:
            by, keep, why = "perception", False, "as often right with silence"
        out.append({
            "key": rollout.item.key, "keep": keep, "filter": by, "why": why,
            "thought": rollout.reply.thought, "answer": rollout.reply.answer,
            "truth": rollout.item.answer,
        })  # fmt: skip
    return out
