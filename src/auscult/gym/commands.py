"""`auscult gym list | show | validate | export`."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from auscult import gym
from auscult.audio import speech
from auscult.audio.io import write_audio
from auscult.gym import render
from auscult.real.bank import available as real_sound
from auscult.types import Item


def _available(tasks: tuple[str, ...]) -> list[str]:
    """The asked tasks, or all that can be made here; says what is left out."""
    if tasks:
        return list(tasks)
    if speech.available():
        return list(gym.TASKS)
    print(
        f"({len(gym.SPEECH_TASKS)} tasks with spoken words are left out; "
        "they need: pip install 'auscult[speech]')"
    )
    return [t for t in gym.TASKS if t not in gym.SPEECH_TASKS]


def list_tasks() -> None:
    """All tasks, each with an example question, its options and its answer."""
    for task in gym.TASKS:
        if task in gym.SPEECH_TASKS and not speech.available():
            print(f"{task:20} needs the extra 'speech': pip install 'auscult[speech]'")
            continue
        _print_example(gym.make(task, 0))
    print(f"{len(gym.TASKS)} tasks, {len(gym.SPEECH_TASKS)} of them with spoken words\n")
    for task, recorded in gym.RECORDED.items():
        if real_sound():
            _print_example(gym.make(task, 0, split=recorded.splits[0]))
        else:
            print(f"{task:20} needs real sound: make real-sound")
    print(f"{len(gym.RECORDED)} tasks with real sound")


def _print_example(item: Item) -> None:
    options = f" ({', '.join(item.options)})" if item.options else ""
    print(f"{item.task:20} {item.question}{options} -> {item.answer}")


def _record(item: Item, files: list[str]) -> dict[str, object]:
    record: dict[str, object] = {k: v for k, v in asdict(item).items() if k != "clips"}
    words: dict[str, object] = {
        "chain": render.chain(item),
        "caption": render.caption(item),
        "twin": render.twin(item),
        "files": files,
    }
    return record | words


def show(
    task: Annotated[str, tyro.conf.Positional],
    /,
    *,
    index: int = 0,
    split: str = "train",
    level: int = 1,
    out: Path = Path("gym_item"),
) -> None:
    """One item to hear and see: wav per clip, spectrogram PNG, and everything known about it.

    Args:
        task: a name from `auscult gym list`.
        index: number of the item.
        split: train or heldout.
        level: difficulty, 1 is easiest.
        out: folder for the wav and PNG files.
    """
    from auscult.plot import plot_answer

    item = gym.make(task, index, split=split, level=level)
    out.mkdir(parents=True, exist_ok=True)
    stem = item.key.replace("/", "_")
    files = [str(out / f"{stem}_{i}.wav") for i in range(1, len(item.clips) + 1)]
    for file, clip in zip(files, item.clips, strict=True):
        write_audio(file, clip)
    picture = out / f"{stem}.png"
    plot_answer(
        item.clips, render.question_text(item), render.chain(item), item.answer, picture,
        title=item.key,
    )  # fmt: skip
    print(json.dumps(_record(item, files), indent=1))
    print(f"picture: {picture}")


def validate(*, tasks: tuple[str, ...] = (), n: int = 40, level: int = 1) -> None:
    """Let every task prove itself: the true answer scores 1, wrong ones 0, and signal processing
    finds the answer again in the samples.

    Args:
        tasks: only these; default all that can be made here.
        n: held-out items per task.
        level: difficulty.
    """
    from auscult.gym.proof.rederive import agreement
    from auscult.gym.score import distractors, score_answer

    failed: list[str] = []
    for task in _available(tasks):
        items = [gym.make(task, i, split="heldout", level=level) for i in range(n)]
        gold = sum(score_answer(i, i.answer) for i in items)
        wrong = sum(score_answer(i, d) for i in items for d in distractors(i))
        found = agreement(task, n, level)
        good = gold == n and wrong == 0 and found >= 0.95
        print(f"{'ok  ' if good else 'FAIL'} {task:20} re-derived {100 * found:5.1f} % of {n}")
        failed += [] if good else [task]
    if failed:
        raise ValueError(f"{len(failed)} tasks failed: {', '.join(failed)}")


def export(
    out: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    n: int = 100,
    tasks: tuple[str, ...] = (),
    splits: tuple[str, ...] = ("train", "heldout"),
    level: int = 1,
) -> None:
    """Items as FLAC and JSONL, one JSONL per split; train and held-out never share a seed.

    Args:
        out: the folder to write.
        n: items per task and split.
        tasks: only these; default all that can be made here.
        splits: train, heldout or both.
        level: difficulty.
    """
    chosen = _available(tasks)
    began = time.perf_counter()
    for split in splits:
        folder = out / split
        folder.mkdir(parents=True, exist_ok=True)
        with (out / f"{split}.jsonl").open("w") as lines:
            for task in tqdm(chosen, desc=split):
                for index in range(n):
                    item = gym.make(task, index, split=split, level=level)
                    lines.write(json.dumps(_record(item, _write(item, out, split, index))) + "\n")
    total = n * len(chosen) * len(splits)
    print(f"{total} items in {out} ({total / (time.perf_counter() - began):.0f} per second)")


def _write(item: Item, out: Path, split: str, index: int) -> list[str]:
    files = [f"{split}/{item.task}_{index}_{i}.flac" for i in range(1, len(item.clips) + 1)]
    for file, clip in zip(files, item.clips, strict=True):
        write_audio(out / file, clip)
    return files
