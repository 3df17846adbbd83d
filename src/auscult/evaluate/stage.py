"""What a stage made of the model: accuracy by task, with budgets and controls, grounding of its
thoughts, and self-cognition, all on held-out items that are the same for every stage.

The answers of one protocol lie in one folder, so measuring goes on after a kill.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from auscult.engine import Engine, Thinking
from auscult.files import read_json
from auscult.train.core import Machine, open_for_training
from auscult.train.distil import EVIDENCE
from auscult.train.feed import awareness
from auscult.train.feed.items import manifest_keys
from auscult.train.loop import open_run
from auscult.train.rl.filters import scored
from auscult.train.rl.rollout import Asking, Record, by_chunks, collect, write_lines
from auscult.types import Rollout
from auscult.verify.grounded import grounded
from auscult.work import dist


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is measured after each stage.

    tasks: gym tasks, `n` held-out items each; manifest: a user's own recordings in their place, all
    that are held out.
    budgets: thought tokens after which the thought is closed by force. self_cognition: prompts in
    wordings that no stage has trained on.
    """

    tasks: tuple[str, ...] = ()
    n: int = 12
    manifest: str = ""
    budgets: tuple[int, ...] = (4, 8, 16, 32)
    self_cognition: int = 64
    max_tokens: int = 128
    machine: Machine = Machine()


def heldout_keys(config: Measure) -> list[str]:
    """The items that every stage is measured on."""
    if config.manifest:
        return list(manifest_keys(config.manifest, "heldout"))
    return [f"{task}/heldout/1/{i}" for task in config.tasks for i in range(config.n)]


def protocols(config: Measure) -> dict[str, Asking]:
    """name -> how the items are put. Greedy; "thinking" forbids an empty thought, "free" leaves it
    to the model, "prompted" is the control arm that only asks for acoustic evidence."""
    think = Asking(n=1, temperature=0.0, max_tokens=config.max_tokens)
    as_given = {
        "thinking": think,
        "direct": replace(think, thinking=Thinking(budget=0)),
        "free": replace(think, thinking=Thinking(minimum=0)),
        "prompted": replace(think, suffix=EVIDENCE),
        "silence": replace(think, sound="silence"),
        "swapped": replace(think, sound="swapped"),
    }
    limited = {f"budget_{b}": replace(think, thinking=Thinking(budget=b)) for b in config.budgets}
    return as_given | limited


def measure(config: Measure, model: Path, out: Path) -> Record:
    """All protocols for one model folder; the records in `out`/result.json, which is returned."""
    run = open_run("measure", config, model, out)
    if not run.done():
        opened, processor = open_for_training(model, config.machine)
        engine = Engine(opened, processor, rows=128)
        keys = heldout_keys(config)
        answers = {
            name: collect(engine, keys, asking, out / name)
            for name, asking in protocols(config).items()
        }
        result: Record = {
            "keys": keys,
            "protocols": {name: _answers(groups) for name, groups in answers.items()},
            "grounding": _grounding(answers["thinking"], out / "grounding"),
            "self_cognition": _self_cognition(engine, config, out / "self_cognition"),
        }
        if dist.rank() == 0:
            write_lines(out / "result.json", [result])
        run.finish({"n": len(keys)})
    return read_json(out / "result.json", "the result of a stage")


def _answers(groups: Sequence[Sequence[Rollout]]) -> list[Record]:
    return [
        {
            "right": rollout.score,
            "thought": rollout.reply.thought,
            "answer": rollout.reply.answer,
            "truth": rollout.item.answer,
            "thought_tokens": rollout.reply.thought_tokens,
            "tokens": len(rollout.reply.tokens),
            "stop": rollout.reply.stop,
        }
        for (rollout,) in groups
    ]


def _grounding(groups: Sequence[Sequence[Rollout]], folder: Path) -> list[Record]:
    """The verifier's scores of each thought; None where there is nothing to share."""

    def make(numbers: range) -> list[Record]:
        return [_scores(groups[i][0]) for i in numbers]

    about = {"thoughts": [g[0].reply.thought for g in groups]}
    return by_chunks(folder, about, len(groups), make)


def _scores(rollout: Rollout) -> Record:
    return thought_scores(rollout.item.key, rollout.reply.thought, rollout.reply.answer)


def thought_scores(key: str, thought: str, answer: str) -> Record:
    """The verifier's scores of one thought about an item's sound."""
    found = scored(key, thought, answer)
    numbers = {
        k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(found).items()
    }
    return numbers | {"grounded": grounded(found).keep}


def _self_cognition(engine: Engine, config: Measure, folder: Path) -> list[Record]:
    """Does the model deny hearing, asked in wordings it has never seen?"""
    keys = [f"{awareness.TASK}/heldout/1/{i}" for i in range(config.self_cognition)]
    asking = Asking(
        n=1, temperature=0.0, thinking=Thinking(minimum=0), max_tokens=config.max_tokens
    )
    return [
        {
            "question": r.item.question,
            "thought": r.reply.thought,
            "answer": r.reply.answer,
            "denies": awareness.denies(r.reply.thought) or awareness.denies(r.reply.answer),
            "acknowledges": awareness.acknowledges(r.reply.thought, r.reply.answer),
        }
        for (r,) in collect(engine, keys, asking, folder)
    ]
