"""`auscult demo`: a few gym clips, one question about each, and the nano model's reply beside the
truth."""

import importlib.util
from pathlib import Path
from typing import Annotated

import tyro

from auscult import gym
from auscult.audio.io import pieces, read_audio, write_audio
from auscult.types import Item, Reply, Turn

TASKS = ("event_count", "highest_note", "event_order", "background", "tempo", "more_of_which")


def demo(
    file: Annotated[Path | None, tyro.conf.Positional] = None,
    /,
    *,
    out: Path = Path("demo"),
    model: str = "nano",
    index: int = 0,
    plot: bool = True,
) -> None:
    """Make six clips, ask about each, and write sound and pictures to a folder.

    Args:
        file: a recording of yours to describe as well.
        out: where the clips (.wav) and pictures (.png) go.
        model: nano, nano-base, or a folder with a checkpoint.
        index: which held-out items; another number gives other clips.
        plot: draw a picture per clip.
    """
    import torch

    from auscult.engine import Engine
    from auscult.gym.render import question_turns
    from auscult.model.weights import open_model

    if plot and importlib.util.find_spec("matplotlib") is None:
        print("(no pictures: they need the extra 'plot': pip install 'auscult[plot]')")
        plot = False
    torch.set_num_threads(1)
    engine = Engine(*open_model(model))
    items = [gym.make(task, index, split="heldout") for task in TASKS]
    turns = [question_turns(item) for item in items]
    if file is not None:
        heard = pieces([read_audio(file)])
        turns.append([Turn(role="human", text="Describe what you hear.", clips=heard)])
    replies = engine.reply(turns)
    out.mkdir(parents=True, exist_ok=True)
    right = 0
    for item, reply in zip(items, replies, strict=False):
        right += _tell(item, reply)
        _write(item, reply, out, plot=plot)
    print(f"{right} of {len(items)} right; sounds and pictures are in {out}/")
    if file is not None:
        print(f"\n{file.name}\n  thinks:  {replies[-1].thought}\n  answers: {replies[-1].answer}")


def _tell(item: Item, reply: Reply) -> int:
    from auscult.gym.score import score_answer

    right = int(score_answer(item, reply.answer))
    print(f"{item.task}: {item.question}")
    print(f"  thinks:  {reply.thought}")
    print(f"  answers: {reply.answer}   (truth: {item.answer}; {'right' if right else 'wrong'})\n")
    return right


def _write(item: Item, reply: Reply, out: Path, *, plot: bool) -> None:
    for number, clip in enumerate(item.clips, 1):
        suffix = f"_{number}" if len(item.clips) > 1 else ""
        write_audio(out / f"{item.task}{suffix}.wav", clip)
    if plot:
        from auscult.plot import plot_answer

        plot_answer(
            item.clips, item.question, reply.thought, reply.answer,
            out / f"{item.task}.png", title=item.key,
        )  # fmt: skip
