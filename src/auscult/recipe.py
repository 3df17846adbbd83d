"""Step-Audio-R1 on one page: cold start, text RLVR, T rounds of modality-grounded reasoning
distillation, self-cognition correction. A stage is a function from a model folder to a model
folder; a recipe is a list of stages with their configurations.
"""

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from auscult.evaluate.stage import Measure, measure
from auscult.files import read_json
from auscult.train.core import Machine, Rate
from auscult.train.distil import Distil
from auscult.train.dpo import Dpo
from auscult.train.feed.data import Mixture
from auscult.train.rl.ppo import Ppo
from auscult.train.rl.select import Band
from auscult.train.sft import Sft
from auscult.train.stages import (
    Rl,
    SelfCognition,
    cold_start,
    distil,
    joint_rl,
    rlvr,
    self_cognition,
)
from auscult.work import dist
from auscult.work.run import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a recipe: its name in folders and plots, its function, its configuration."""

    name: str
    run: Callable[[Any, Path, Path], Path]
    config: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Stages in order, and what is measured after each."""

    stages: tuple[Stage, ...]
    measure: Measure
    start: str  # model name or folder


NANO_TASKS = (
    "highest_note", "note_count", "pitch_direction", "count_higher", "contour", "instrument_order",
    "tempo", "tempo_change", "dynamics", "gap_compare", "event_count", "event_order",
    "more_of_which", "even_or_odd", "event_arithmetic", "longest_sound", "loudest_sound",
)  # fmt: skip
"""Questions about notes, time and events of which nano-base can hear what is asked."""

COLD_START = (
    ("problem", 0.06), ("twin_chain", 0.24), ("captioned", 0.2),  # task: questions with chains
    ("conversation", 0.04), ("dialogue", 0.06),
    ("direct", 0.3), ("focus", 0.08), ("caption", 0.02),  # audio: empty think
)  # fmt: skip
"""Eq. 1. Chains are about words only: problems, scenes in words, and scenes in words beside their
sound. The paper's 10 % of audio chains are "self-distilled after audio reasoning was elicited",
which is what the rounds do; `chain_share` puts them in from the start."""

REFINE = (("kept", 0.6), ("problem", 0.12), ("twin_chain", 0.18), ("direct", 0.1))
"""Eq. 5: the kept audio chains and the original text reasoning, with some direct answers."""


def nano(
    *,
    rounds: int = 2,
    k: int = 8,
    seed: int = 0,
    scale: float = 1.0,
    tasks: tuple[str, ...] = NANO_TASKS,
    manifest: str = "",
    chains: str = "",
    chain_share: float = 0.0,
    start: str = "nano-base",
) -> Recipe:
    """The recipe at laptop size: from `nano-base` to a report in a quarter of an hour on two cores.

    scale multiplies all steps and questions. manifest: a user's own recordings in place of the
    gym's sounds. chain_share: share of audio chains in the cold start's audio data, from the file
    `chains` of an earlier run's kept replies.
    """
    audio = sum(w for kind, w in COLD_START if kind in ("direct", "focus", "caption"))
    early = (("kept", chain_share / (1 - chain_share) * audio),) if chain_share else ()
    world = Mixture(kinds=REFINE, tasks=tasks, level_2=0.0, manifest=manifest)
    first = replace(world, kinds=(*COLD_START, *early), kept=chains, denial=0.6)
    begin = Sft(
        mixture=first, steps=_times(280, scale), rate=Rate(peak=1e-3, warmup=30), seed=100 + seed
    )
    words = Rl(
        ppo=_nano_ppo(20, seed, scale),
        tasks=tasks,
        audio=0,
        text=_times(400, scale),
        band=None,
        seed=seed,
    )
    # At 1e-4 it cost seven points of accuracy with thinking and cured nothing more.
    prefer = Dpo(steps=_times(24, scale), rate=Rate(peak=1e-5, end=1.0), seed=seed)
    return Recipe(
        start=start,
        measure=Measure(tasks=tasks, manifest=manifest, n=_times(12, scale)),
        stages=(
            Stage(name="cold_start", run=cold_start, config=begin),
            Stage(name="text_rlvr", run=rlvr, config=words),
            *(s for t in range(1, rounds + 1) for s in _nano_round(t, world, k, seed, scale)),
            Stage(
                name="self_cognition", run=self_cognition,
                config=SelfCognition(dpo=prefer, seed=seed),
            ),
        ),
    )  # fmt: skip


def _times(n: int, scale: float) -> int:
    return max(2, round(n * scale))


def _nano_ppo(steps: int, seed: int, scale: float) -> Ppo:
    """Low rates and many questions: at 3e-4 and 100 questions nano learned them by heart."""
    return Ppo(
        steps=_times(steps, scale), prompts=12, actor=Rate(peak=5e-5, end=1.0),
        critic=Rate(peak=1e-3, end=1.0), critic_warmup=4, seed=seed,
    )  # fmt: skip


def _nano_round(t: int, world: Mixture, k: int, seed: int, scale: float) -> Iterator[Stage]:
    """Round t: distillation, then joint reinforcement learning."""
    number = seed * 100 + t
    lesson = Sft(
        mixture=world, steps=_times(80, scale), rate=Rate(peak=4e-4, warmup=10), seed=200 + number
    )
    samples = Distil(
        sft=lesson, manifest=world.manifest, questions=_times(272, scale), k=k, seed=number
    )
    yield Stage(name=f"distil_{t}", run=distil, config=samples)
    joint = Rl(
        ppo=_nano_ppo(28, number, scale), tasks=world.tasks, manifest=world.manifest,
        audio=_times(544, scale), text=_times(160, scale), band=Band(), seed=number,
    )  # fmt: skip
    yield Stage(name=f"rl_{t}", run=joint_rl, config=joint)


def r1(*, start: str, manifest: str, rounds: int = 3, k: int = 16, seed: int = 0) -> Recipe:
    """The recipe at the paper's size, for 8B and 33B checkpoints on GPUs, on a manifest of audio.

    From the paper: 5 million cold-start samples; 3,000 audio and 2,000 text questions; band [3, 6]
    of 8; 16 replies per prompt; 10,240 tokens; clip 0.2; 8,000 preference pairs. From Step-Audio 2,
    whose recipe the paper follows: learning rates 1e-5 to 1e-6 (SFT), 1e-6 and 2.5e-6 (PPO), 64
    prompts. Read off its plots: 59 iterations, 3 rounds. Everything else is chosen here.
    """
    machine = Machine(
        precision="bf16", shard=True, micro_tokens=16_384, row_tokens=16_384, recompute=True
    )
    mixture = Mixture(kinds=(("direct", 0.8), ("problem", 0.15), ("conversation", 0.05)),
                      manifest=manifest)  # fmt: skip
    rate = Rate(peak=1e-5, warmup=100)
    begin = Sft(
        mixture=mixture, steps=9_766, batch_size=512, rate=rate, seed=100 + seed, machine=machine
    )
    ppo = Ppo(
        steps=59, prompts=64, actor=Rate(peak=1e-6, end=1.0), critic=Rate(peak=2.5e-6, end=1.0),
        critic_warmup=5, max_tokens=10_240, seed=seed, machine=machine,
    )  # fmt: skip
    joint = Rl(ppo=ppo, tasks=NANO_TASKS, manifest=manifest, audio=12_000, text=8_000, seed=seed)
    prefer = Dpo(steps=250, pairs=32, rate=Rate(peak=5e-7, end=1.0), seed=seed, machine=machine)
    last = SelfCognition(dpo=prefer, prompts=4_000, most=2, max_tokens=10_240, seed=seed)
    return Recipe(
        start=start,
        measure=Measure(
            manifest=manifest, budgets=(256, 512, 1024, 2048), max_tokens=10_240,
            self_cognition=5_000, machine=machine,
        ),
        stages=(
            Stage(name="cold_start", run=cold_start, config=begin),
            Stage(name="text_rlvr", run=rlvr, config=replace(joint, audio=0, band=None)),
            *(
                stage
                for t in range(1, rounds + 1)
                for stage in (
                    Stage(
                        name=f"distil_{t}", run=distil,
                        config=_r1_distil(seed * 100 + t, begin, k),
                    ),
                    Stage(name=f"rl_{t}", run=joint_rl, config=_r1_rl(seed * 100 + t, joint)),
                )
            ),
            Stage(name="self_cognition", run=self_cognition, config=last),
        ),
    )  # fmt: skip


def _r1_rl(number: int, joint: Rl) -> Rl:
    return replace(joint, seed=number, ppo=replace(joint.ppo, seed=number))


def _r1_distil(number: int, begin: Sft, k: int) -> Distil:
    kinds = (("kept", 0.6), ("problem", 0.4))
    mixture = replace(begin.mixture, kinds=kinds)
    lesson = replace(begin, mixture=mixture, steps=400, batch_size=128, seed=200 + number)
    return Distil(
        sft=lesson, manifest=mixture.manifest, questions=10_000, k=k, opening="", max_tokens=10_240,
        suffix="\nReason from the acoustic evidence: pitch, timbre, rhythm, loudness, timing.",
        seed=number, machine=begin.machine,
    )  # fmt: skip


def run(recipe: Recipe, out: Path) -> Path:
    """All stages one after another, each measured; what is done already is skipped. Returns the
    last model's folder."""
    from auscult.model.weights import locate

    dist.start()
    model = locate(recipe.start)
    if dist.rank() == 0:
        out.mkdir(parents=True, exist_ok=True)
        names = ["start", *(stage.name for stage in recipe.stages)]
        plan = {"stages": [f"{i:02d}_{name}" for i, name in enumerate(names)]}
        command = shlex.join(["auscult", *sys.argv[1:]])
        (out / "recipe.json").write_text(json.dumps(plan | {"command": command}))
    dist.barrier()
    for number, stage in enumerate((None, *recipe.stages)):
        name = f"{number:02d}_{stage.name if stage else 'start'}"
        began = time.monotonic()
        if stage:
            model = stage.run(stage.config, model, out / name)
        trained = time.monotonic()
        measure(recipe.measure, model, out / "measured" / name)
        if dist.rank() == 0:
            _note(out, name, trained - began, time.monotonic() - trained, stage)
    return model


def _note(out: Path, name: str, training: float, measuring: float, stage: Stage | None) -> None:
    """Add what this start spent on a stage to what earlier ones did, and keep its settings."""
    for file, mine in (
        ("seconds.json", {"training": training, "measuring": measuring}),
        ("configs.json", asdict(stage.config) if stage else {}),
    ):
        path = out / file
        known: dict[str, Any] = read_json(path) if path.exists() else {}
        before = known.get(name, {})
        if file == "seconds.json":
            mine = {k: round(before.get(k, 0.0) + v, 2) for k, v in mine.items()}
        write_whole(path, json.dumps(known | {name: mine}, indent=1, default=str))
