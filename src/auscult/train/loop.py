"""What every training stage does around its steps: skip when done, resume, log, checkpoint."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from auscult.train import checkpoint
from auscult.train.core import Learner, Machine
from auscult.work import dist
from auscult.work.run import RunFolder

Step = Callable[[int], dict[str, Any]]
"""step number, from 0 -> its measurements."""


def open_run(stage: str, config: Any, source: Path, out: Path, **more: str) -> RunFolder:
    """The stage's folder; joins the other processes first. `more` belongs to the configuration
    without being in it. Raises `ValueError` where the folder holds a run with another one."""
    rank, world = dist.start()
    record = asdict(config) | {"processes": world} | more
    run = RunFolder(out, stage=stage, config=record, parent=source, writes=rank == 0)
    if run.done() and rank == 0:
        print(f"{out} is finished already; nothing to do")
    dist.barrier()
    return run


def train(run: RunFolder, learner: Learner, steps: int, step: Step, *, shown: str) -> None:
    """Run the steps that are still to do. `shown` is the measurement on the progress bar."""
    machine = learner.machine
    start = checkpoint.restore(run.checkpoint, learner)
    run.truncate_metrics(start)
    saved = time.monotonic()
    bar = tqdm(
        total=steps, initial=start, desc=run.path.name, mininterval=5, disable=dist.rank() > 0
    )
    for number in range(start, steps):
        began = time.perf_counter()
        metrics = step(number)
        run.log({"step": number + 1, **metrics, "seconds": time.perf_counter() - began})
        bar.update()
        bar.set_postfix({shown: f"{metrics[shown]:.3f}"})
        if _due(saved, machine):
            checkpoint.store(run.checkpoint, learner, number + 1)
            saved = time.monotonic()
    bar.close()


def _due(saved: float, machine: Machine) -> bool:
    """All processes of a sharded run write a checkpoint together: the first one's clock counts."""
    due = dist.rank() == 0 and time.monotonic() - saved > 60 * machine.checkpoint_minutes
    return dist.total(float(due)) > 0
