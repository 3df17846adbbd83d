"""The stages of the recipe: each a function from a model folder to a model folder.

cold_start (section 3.1), rlvr (3.2), distil (4.2), joint_rl (4.2, 4.3), self_cognition (6.3). All
are skipped when done, go on where they were killed, and keep on file what they rejected.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from auscult.engine import Thinking
from auscult.files import json_lines, read_json
from auscult.gym.problems import PROBLEMS, SCENE
from auscult.model.processor import THINK_CLOSE
from auscult.train.distil import distil, question_keys
from auscult.train.dpo import Dpo, Pair, dpo, read_pairs
from auscult.train.feed import awareness
from auscult.train.loop import open_run
from auscult.train.rl.ppo import Ppo, ppo
from auscult.train.rl.rollout import Asking, Sampler, collect, policy_of, write_lines
from auscult.train.rl.select import Band, select
from auscult.train.sft import Sft, sft
from auscult.types import Rollout
from auscult.work import dist

__all__ = ["cold_start", "distil", "joint_rl", "rlvr", "self_cognition"]


def cold_start(config: Sft, source: Path, out: Path) -> Path:
    """SFT on task questions with chains, conversations, and audio with the empty think (eq. 1)."""
    return sft(config, source, out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rl:
    """Questions for reinforcement learning and the optimiser's settings."""

    ppo: Ppo
    tasks: tuple[str, ...]
    manifest: str = ""  # a user's own questions; "" = gym questions of the tasks
    audio: int = 240  # questions about sound before selection
    text: int = 160  # problems in words before selection
    band: Band | None = Band()  # None = no selection
    seed: int = 0


def text_keys(tasks: tuple[str, ...], n: int, seed: int) -> list[str]:
    """n problems in words, their kinds in turn; scenes are written from gym items of the tasks."""
    rng = np.random.default_rng([11, seed])
    first = int(rng.integers(1 << 28))
    out: list[str] = []
    for i in range(n):
        kind, number = PROBLEMS[i % len(PROBLEMS)], first + i // len(PROBLEMS)
        task = tasks[(i // len(PROBLEMS)) % len(tasks)]
        out.append(
            f"{SCENE}:{task}/train/1/{number}" if kind == SCENE else f"{kind}/train/1/{number}"
        )
    return out


def rlvr(config: Rl, source: Path, out: Path) -> Path:
    """Text RLVR: PPO on arithmetic, logic and scenes in words, reward 1 for the right answer (eq.
    2). The number of problems is not given by the paper; they are not selected."""
    return ppo(config.ppo, text_keys(config.tasks, config.text, config.seed), source, out, source)


def joint_rl(config: Rl, source: Path, out: Path) -> Path:
    """Multimodal RL of one round: questions of middling difficulty for the model of the SFT that
    need the sound, text problems beside them (eq. 8)."""
    sound = question_keys(config.tasks, config.audio, 1000 + config.seed, config.manifest)
    keys = sound + text_keys(config.tasks, config.text, config.seed)
    if config.band is not None:
        run = open_run("select", config, source, out / "data")
        if not run.done():
            policy = policy_of(source, config.ppo.machine)
            ask = Asking(
                n=config.band.n, thinking=Thinking(minimum=0), seed=config.seed,
                max_tokens=config.ppo.max_tokens,
            )  # fmt: skip
            found = select(policy, keys, config.band, ask, out / "data")
            run.finish({"selected": len(found)})
        chosen = json_lines(out / "data" / "selection.jsonl")
        keys = [row["key"] for _, row in chosen if row["keep"]]
    settings = config.ppo
    if not keys:  # the reasons stand in selection.jsonl
        print(f"no question was selected: {out.name} passes the model on as it is")
        settings = replace(settings, steps=0)
    return ppo(settings, keys, source, out, earlier_critic(source))


def earlier_critic(source: Path) -> Path:
    """The nearest stage before this one that left a critic, found through the run files."""
    folder = source
    while not (folder / "critic").exists():
        file = folder / "run.json"
        if not file.exists():
            return source
        folder = Path(read_json(file, "the record of a run")["parent"])
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCognition:
    """Preference pairs from the model's own replies to prompts that tempt it to deny hearing."""

    dpo: Dpo
    prompts: int = 96
    k: int = 8
    most: int = 3  # pairs per prompt
    max_tokens: int = 96  # thought and answer together
    seed: int = 0


def pairs_of(group: list[Rollout], most: int) -> list[Pair]:
    """Own replies that acknowledge hearing against own replies that deny it."""
    good, bad = [], []
    for rollout in group:
        reply = rollout.reply
        if reply.stop != "end" or reply.closed == "open":
            continue  # not a reply as the model would end it
        text = f"{reply.thought}{THINK_CLOSE}{reply.answer}"
        if awareness.acknowledges(reply.thought, reply.answer):
            good.append(text)
        elif awareness.denies(reply.thought) or awareness.denies(reply.answer):
            bad.append(text)
    good, bad = list(dict.fromkeys(good)), list(dict.fromkeys(bad))
    key = group[0].item.key
    pairs = max(len(good), len(bad)) if good and bad else 0
    return [
        Pair(key=key, chosen=good[i % len(good)], rejected=bad[i % len(bad)])
        for i in range(min(most, pairs))
    ]


def sample_pairs(policy: Sampler, config: SelfCognition, data: Path) -> list[Pair]:
    """Pairs from two samplings of the same prompts: as they are, where a model denies, and with the
    request for acoustic evidence, where it rather acknowledges."""
    from auscult.train.distil import EVIDENCE

    first = 50_000 + config.seed * 10_000
    keys = [f"{awareness.TASK}/train/1/{first + i}" for i in range(config.prompts)]
    plain = Asking(
        n=config.k, thinking=Thinking(minimum=0), max_tokens=config.max_tokens, seed=config.seed
    )
    asked = replace(plain, suffix=EVIDENCE, thinking=Thinking(opening="I hear"))
    tempted = collect(policy, keys, plain, data / "tempted")
    elicited = collect(policy, keys, asked, data / "elicited")
    both = [a + b for a, b in zip(tempted, elicited, strict=True)]
    return [pair for group in both for pair in pairs_of(group, config.most)]


def self_cognition(config: SelfCognition, source: Path, out: Path) -> Path:
    """Self-cognition correction: sampling of pairs in `out`/data, then DPO. A model that never
    denies hearing gives no pairs: then nothing is trained and the model is passed on."""
    run = open_run("self_cognition", config, source, out / "data")
    if not run.done():
        policy = policy_of(source, config.dpo.machine)
        pairs = sample_pairs(policy, config, out / "data")
        if dist.rank() == 0:
            write_lines(
                out / "data" / "pairs.jsonl",
                [{"key": p.key, "chosen": p.chosen, "rejected": p.rejected} for p in pairs],
            )
        run.finish({"pairs": len(pairs)})
    pairs = read_pairs(out / "data" / "pairs.jsonl")
    settings = config.dpo if pairs else replace(config.dpo, steps=0)
    return dpo(settings, pairs, source, out)
