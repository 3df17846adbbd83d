"""`auscult eval gym | fsdd`: accuracies with intervals, as a table and as JSONL."""

import time
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from auscult import gym
from auscult.audio import speech
from auscult.engine import Engine, Sampling, Thinking
from auscult.evaluate import fsdd
from auscult.evaluate.gym_suite import markdown, run_suite, standard_protocols
from auscult.model.weights import locate, open_model
from auscult.train.run import fingerprint


def evaluate(
    suite: Annotated[Literal["gym", "fsdd"], tyro.conf.Positional],
    /,
    *,
    model: str = "nano",
    out: Path = Path("runs/eval"),
    n: int = 200,
    controls: int = 200,
    tasks: tuple[str, ...] = (),
    level: int = 1,
    data: Path | None = None,
    threads: int = 1,
) -> None:
    """Evaluate a model; greedy decoding, thinking on unless a column says otherwise.

    Args:
        suite: gym (held-out items with controls) or fsdd (real spoken digits).
        model: nano, nano-base, or a folder with a checkpoint.
        out: folder of the answers and the table; a killed run continues there.
        n: items per task (gym) or recordings (fsdd, 0 = all).
        controls: items per task under silence, swapped sound and text twin.
        tasks: only these tasks; default all that can be made here.
        level: difficulty.
        data: folder of the recordings (fsdd).
        threads: CPU threads.
    """
    if n < 0 or (suite == "gym" and n == 0):
        raise ValueError(f"--n is {n}; expected at least 1 item per task")
    torch.set_num_threads(threads)
    engine = Engine(*open_model(model), sampling=Sampling(max_tokens=160))
    began = time.perf_counter()
    if suite == "fsdd":
        table = _fsdd(engine, data, n)
    else:
        chosen = tasks or _available()
        protocols = [p for p in standard_protocols(n, controls) if p.n > 0]
        weights = fingerprint(locate(model))
        results = run_suite(engine, chosen, protocols, out, level=level, weights=weights)
        table = markdown(results, out, level=level)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{suite}.md").write_text(table)
    print(table)
    print(f"{time.perf_counter() - began:.0f} s; written to {out / f'{suite}.md'}")


def _available() -> tuple[str, ...]:
    """All tasks that can be made here; says what is left out."""
    if speech.available():
        return tuple(gym.TASKS)
    print(
        f"{len(gym.SPEECH_TASKS)} tasks with spoken words are left out: "
        "pip install 'auscult[speech]'"
    )
    return tuple(t for t in gym.TASKS if t not in gym.SPEECH_TASKS)


def _fsdd(engine: Engine, data: Path | None, n: int) -> str:
    if data is None:
        raise ValueError("pass --data with the folder of the Free Spoken Digit Dataset recordings")
    files = fsdd.digit_files(data, n or None)
    rows = ["| mode | speaker | n | accuracy % | 95 % interval |", "|---|---|---|---|---|"]
    for mode, thinking in (("thinking", Thinking()), ("direct", Thinking(budget=0))):
        for speaker, e in fsdd.run(engine, files, thinking).items():
            interval = f"{100 * e.low:.1f} to {100 * e.high:.1f}"
            rows.append(f"| {mode} | {speaker} | {e.n} | {100 * e.mean:.1f} | {interval} |")
    return "\n".join(rows) + "\n"
