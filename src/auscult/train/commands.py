"""`auscult init | pretrain | sft | pack`: the commands that made the shipped nano models.

Run them under `torchrun --nproc-per-node 2 --no-python auscult ...` for one process per core.
"""

import json
from dataclasses import replace
from pathlib import Path

import torch

from auscult import gym
from auscult.train.data import KINDS, Mixture
from auscult.train.sft import Sft, init_nano, sft

Kinds = dict[str, float]

PRETRAIN = Sft(
    mixture=Mixture(
        kinds=(("caption", 0.75), ("twin_chain", 0.15), ("twin_direct", 0.1)),
        # Real voices differ more than tones do: digits are heard three times as often.
        tasks=(*gym.TASKS, "spoken_digit", "spoken_digit"),
        drills=0.3,
    ),
    alignment=1.0,
    steps=5500,
    warmup=200,
    lr=1e-3,
    freeze_encoder=False,
    seed=1,
)
"""Ear, adaptor and decoder together, on captions and on the text world."""

FINETUNE = Sft(
    mixture=Mixture(
        kinds=(
            ("chain", 0.58),
            ("direct", 0.2),
            ("caption", 0.1),
            ("twin_chain", 0.08),
            ("twin_direct", 0.04),
        ),
    ),
    steps=4000,
    warmup=100,
    lr=6e-4,
    freeze_encoder=True,
    seed=2,
)
"""The encoder frozen: true chains and direct answers."""


def init(out: Path, *, seed: int = 0) -> None:
    """A nano model with random weights and its tokenizer.

    Args:
        out: the new folder.
        seed: of the weights.
    """
    print(init_nano(out, seed=seed))


def _varied(
    base: Sft, kinds: Kinds | None, tasks: tuple[str, ...], **changes: float | int | str
) -> Sft:
    """The stage with other settings; unknown names of kinds or tasks are errors."""
    kinds = kinds or {}
    for given, known, what in ((kinds, KINDS, "kind"), (tasks, gym.TASKS, "task")):
        odd = [name for name in given if name not in known]
        if odd:
            raise ValueError(f"unknown {what} {odd[0]!r}; expected one of {', '.join(known)}")
    mixture = replace(
        base.mixture,
        kinds=tuple(kinds.items()) or base.mixture.kinds,
        tasks=tasks or base.mixture.tasks,
    )
    return replace(base, mixture=mixture, **changes)  # pyright: ignore[reportArgumentType]


def pretrain(
    source: Path, out: Path, *, steps: int = PRETRAIN.steps, batch_size: int = 32,
    lr: float = PRETRAIN.lr, precision: str = "auto", threads: int = 1, workers: int = 0,
    kinds: Kinds | None = None, tasks: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Train ear and decoder together: captions of gym clips, and the gym's scenes in words.

    Args:
        source: folder of a fresh model (`auscult init`).
        out: folder of the result; a killed run continues there.
        steps: optimiser steps.
        batch_size: examples per step, all processes together.
        lr: peak learning rate.
        precision: auto, bf16 or fp32.
        threads: per process.
        workers: data processes per training process; 0 makes the data in the loop.
        kinds: weights of the mixture, for example `--kinds caption 0.8 twin_chain 0.2`.
        tasks: only these gym tasks.
    """
    sft(
        _varied(
            PRETRAIN, kinds, tasks, steps=steps, batch_size=batch_size, lr=lr,
            precision=precision, threads=threads, workers=workers,
        ),
        source, out,
    )  # fmt: skip


def finetune(
    source: Path, out: Path, *, steps: int = FINETUNE.steps, batch_size: int = 32,
    lr: float = FINETUNE.lr, precision: str = "auto", threads: int = 1, workers: int = 0,
    kinds: Kinds | None = None, tasks: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Supervised fine-tuning with the encoder frozen: true chains and direct answers.

    Args:
        source: folder of a pretrained model.
        out: folder of the result; a killed run continues there.
        steps: optimiser steps.
        batch_size: examples per step, all processes together.
        lr: peak learning rate.
        precision: auto, bf16 or fp32.
        threads: per process.
        workers: data processes per training process; 0 makes the data in the loop.
        kinds: weights of the mixture, for example `--kinds chain 0.7 direct 0.3`.
        tasks: only these gym tasks.
    """
    sft(
        _varied(
            FINETUNE, kinds, tasks, steps=steps, batch_size=batch_size, lr=lr,
            precision=precision, threads=threads, workers=workers,
        ),
        source, out,
    )  # fmt: skip


def pack(source: Path, out: Path) -> None:
    """Write a trained model as a bf16 checkpoint with what it was trained on.

    Args:
        source: folder of a finished run.
        out: the folder to ship.
    """
    from auscult.model.weights import open_model

    model, processor = open_model(source, device="cpu")
    model.to(torch.bfloat16).save_pretrained(out)  # pyright: ignore[reportArgumentType]
    processor.save_pretrained(out)
    record = json.loads((source / "run.json").read_text())
    record["result"] = json.loads((source / "done.json").read_text())
    (out / "training.json").write_text(json.dumps(record, indent=1))
    size = (out / "model.safetensors").stat().st_size
    print(f"{out}: {model.num_parameters():,} parameters, {size / 2**20:.1f} MiB of weights")
