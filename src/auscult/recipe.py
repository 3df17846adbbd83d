"""Step-Audio-R1 on one page: cold start, text RLVR, T rounds of modality-grounded reasoning
distillation, self-cognition correction. A stage is a function from a model folder to a model
folder; a recipe is a list of stages with their configurations.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auscult.evaluate.stage import Measure, measure
from auscult.train import dist
from auscult.train.core import Machine, Rate
from auscult.train.data import Mixture
from auscult.train.distil import Distil
from auscult.train.dpo import Dpo
from auscult.train.ppo import Ppo
from auscult.train.select import Band
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
    ("problem", 0.06), ("twin_chain", 0.24), ("captioned", 0.2), ("conversation", 0.05),
    ("direct", 0.33), ("focus", 0.1), ("caption", 0.02),
)  # fmt: skip
"""Eq. 1: task questions with chains (problems, scenes in words, scenes in words beside their
sound), conversations, and audio with the empty think. No chain of thought about sound itself: the
10 % of them that the paper has are "self-distilled after audio reasoning was elicited", which is
what the rounds below do; `chain_share` puts them in."""


def nano(
    *,
    rounds: int = 2,
    k: int = 8,
    seed: int = 0,
    scale: float = 1.0,
    tasks: tuple[str, ...] = NANO_TASKS,
    chain_share: float = 0.0,
) -> Recipe:
    """The recipe at laptop size: from `nano-base` to a report in a quarter of an hour on two cores.

    scale multiplies all steps and questions; chain_share is the share of audio chains, distilled
    from the shipped nano, in the cold start's audio data.
    """

    def times(n: int) -> int:
        return max(1, round(n * scale))

    audio = sum(w for kind, w in COLD_START if kind in ("direct", "focus", "caption"))
    chains = (("kept", chain_share * audio),) if chain_share else ()
    first = Mixture(kinds=(*COLD_START, *chains), tasks=tasks, level_2=0.0)
    refine = Mixture(
        kinds=(("kept", 0.6), ("problem", 0.12), ("twin_chain", 0.18), ("direct", 0.1)),
        tasks=tasks, level_2=0.0,
    )  # fmt: skip
    stages = [
        Stage(
            name="cold_start", run=cold_start,
            config=Sft(
                mixture=first, steps=times(240), rate=Rate(peak=1e-3, warmup=30), seed=100 + seed
            ),
        ),
        Stage(
            name="text_rlvr", run=rlvr,
            config=Rl(
                ppo=Ppo(steps=times(24), actor=Rate(peak=1e-4, end=1.0), seed=seed),
                tasks=tasks, text=times(400), seed=seed,
            ),
        ),
    ]  # fmt: skip
    for t in range(1, rounds + 1):
        number = seed * 100 + t
        stages += [
            Stage(
                name=f"distil_{t}", run=distil,
                config=Distil(
                    sft=Sft(
                        mixture=refine, steps=times(70), rate=Rate(peak=4e-4, warmup=10),
                        seed=200 + number,
                    ),
                    questions=times(240), k=k, seed=number,
                ),
            ),
            Stage(
                name=f"rl_{t}", run=joint_rl,
                config=Rl(
                    ppo=Ppo(steps=times(24), actor=Rate(peak=1e-4, end=1.0), seed=number),
                    tasks=tasks, audio=times(240), text=times(120), band=Band(), seed=number,
                ),
            ),
        ]  # fmt: skip
    stages.append(
        Stage(
            name="self_cognition", run=self_cognition,
            config=SelfCognition(dpo=Dpo(steps=times(24), seed=seed), seed=seed),
        )
    )  # fmt: skip
    return Recipe(stages=tuple(stages), measure=Measure(tasks=tasks), start="nano-base")


def run(recipe: Recipe, out: Path) -> list[dict[str, Any]]:
    """All stages one after another, each measured; what is done already is skipped. The measured
    stages, first the start model, in order."""
    from auscult.model.weights import locate

    dist.start()
    model = locate(recipe.start)
    found: list[dict[str, Any]] = []
    for number, stage in enumerate((None, *recipe.stages)):
        name = stage.name if stage else "start"
        began = time.monotonic()
        if stage:
            model = stage.run(stage.config, model, out / f"{number:02d}_{name}")
        trained = time.monotonic()
        result = measure(recipe.measure, model, out / "measured" / f"{number:02d}_{name}")
        spent = {"training": trained - began, "measuring": time.monotonic() - trained}
        found.append({"stage": name, "folder": model, "result": result, "seconds": spent})
        if dist.rank() == 0:
            _note_seconds(out, f"{number:02d}_{name}", spent)
    return found


def _note_seconds(out: Path, name: str, spent: dict[str, float]) -> None:
    """Add what this start spent on a stage to what earlier ones did."""
    file = out / "seconds.json"
    before: dict[str, dict[str, float]] = json.loads(file.read_text()) if file.exists() else {}
    mine = before.get(name, {})
    before[name] = {k: round(mine.get(k, 0.0) + v, 2) for k, v in spent.items()}
    part = file.with_suffix(".part")
    part.write_text(json.dumps(before, indent=1))
    part.replace(file)


def in_processes(processes: int) -> None:
    """Start this very command again as several processes (torchrun), unless it already is one."""
    if processes <= 1 or "WORLD_SIZE" in os.environ:
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, "--nproc-per-node", str(processes), "-m", "auscult", *sys.argv[1:]]
    os.execv(sys.executable, command)


__all__ = ["Machine", "Recipe", "Stage", "nano", "replace", "run"]
