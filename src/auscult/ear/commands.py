"""`auscult align | spell | probe`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import tyro

from auscult.ear.align import Align
from auscult.ear.align import align as align_stage
from auscult.ear.keep import keep
from auscult.ear.lessons import LESSONS
from auscult.ear.probes import PROBES, open_ear, run_probes, table
from auscult.ear.spelling import SHIFT_S, spelling_table
from auscult.ear.spelling import spell as spell_all
from auscult.model.weights import open_model
from auscult.train.alignment import ALIGNER, open_aligner
from auscult.work.run import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignOptions:
    """What can be changed from the command line; what is not given keeps the stage's value."""

    steps: int | None = None
    """optimiser steps"""
    batch_size: int | None = None
    """clips per step, all processes together"""
    seed: int | None = None
    """of the lessons and of the heads' weights"""
    lessons: tuple[str, ...] | None = None
    """only these kinds of lessons"""
    checkpoint_minutes: float | None = None
    """time between checkpoints"""


def align(
    source: Path, out: Path, *,
    options: Annotated[AlignOptions, tyro.conf.arg(name="")] = AlignOptions(),
) -> None:  # fmt: skip
    """Ear and adaptor learn to name what they hear; the decoder stays as it is.

    Needs `make real-sound`.

    Args:
        source: folder of a fresh model (`auscult init FOLDER --ear tiny.en`).
        out: folder of the result; a killed run continues there.
        options: changes to the stage.
    """
    base = Align()
    odd = [name for name in options.lessons or () if name not in LESSONS]
    if odd:
        raise ValueError(f"unknown lesson {odd[0]!r}; expected some of {', '.join(LESSONS)}")
    given = {
        name: getattr(options, name)
        for name in ("steps", "batch_size", "seed", "lessons")
        if getattr(options, name) is not None
    }
    if options.checkpoint_minutes is not None:
        machine = replace(base.machine, checkpoint_minutes=options.checkpoint_minutes)
        given["machine"] = machine
    print(align_stage(replace(base, **given), source, out))


def spell(source: Path, *, n: int = 200, out: Path | None = None) -> None:
    """What an aligned ear spells in held-out sound: notes, digits, phrases, strokes. Each cell: per
    cent as made / behind a second of silence. Needs `make real-sound`.

    Args:
        source: folder that `auscult align` wrote.
        n: most held-out clips of each test.
        out: a file for the table.
    """
    if not (source / ALIGNER).is_file():
        raise ValueError(f"{source} holds no {ALIGNER}; give a folder that `auscult align` wrote")
    torch.set_num_threads(1)
    model, processor = open_model(source, device="cpu")
    heads = open_aligner(source, model.config.hidden_size, model.config.vocab_size).eval()
    text = spelling_table(
        spell_all(model, heads, processor, n=n),
        spell_all(model, heads, processor, n=n, shift_s=SHIFT_S),
    )
    print(text)
    if out is not None:
        write_whole(out, text + "\n")


def keep_ear(source: Path, out: Path) -> None:
    """The ear of an alignment alone, in 16 bits: encoder, adaptor, and the heads that spell.

    Args:
        source: folder that `auscult align` wrote.
        out: the folder to ship.
    """
    print(keep(source, out))


def probe(
    ears: tuple[str, ...] = ("nano", "tiny.en", "log-mel"),
    *,
    only: tuple[str, ...] = (),
    n_train: int = 1200,
    n_test: int = 400,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """What ears carry: small readers on their frozen features, on sound that none of them learned
    from. Each cell: per cent as made / behind a second of silence. Needs `make real-sound`.

    Args:
        ears: a shipped model or a model's folder, "tiny.en" (or a wheel with it), "log-mel".
        only: some of the probes; default all.
        n_train: clips from which each reader learns.
        n_test: most held-out clips of each test.
        seed: of the readers.
        out: a file for the table; beside it, in FILE.jsonl, every result is kept as it comes, and a
            killed run goes on there.
    """
    odd = [name for name in only if name not in PROBES]
    if odd:
        raise ValueError(f"unknown probe {odd[0]!r}; expected some of {', '.join(PROBES)}")
    torch.set_num_threads(1)
    opened = {Path(ear).name if Path(ear).exists() else ear: open_ear(ear) for ear in ears}
    found = run_probes(
        opened, only or tuple(PROBES), n_train=n_train, n_test=n_test, seed=seed,
        kept=out and out.with_suffix(".jsonl"),
    )  # fmt: skip
    text = table(found)
    print(text)
    if out is not None:
        write_whole(out, text + "\n")
