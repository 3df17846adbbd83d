"""The door to inspect_ai: protocols and a model in, logs out; nothing finished is done again."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval_set
from inspect_ai.log import EvalLog
from inspect_ai.model import Model, get_model

import auscult.evaluate.registry  # noqa: F401  the providers, also where nothing is installed
from auscult.evaluate.protocol import Protocol
from auscult.evaluate.tasks import SOUNDS, bench
from auscult.model.weights import SHIPPED, locate
from auscult.train.run import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard to try, and with what. None of it changes a number.

    rows: in flight in our engine. threads: of its process. device: "" = the best there is.
    connections: to a server at once. retries: times that failed questions are asked again, after
    `wait_s`. timeout_s: for one request. inside: the engine in this process (for small things).
    """

    rows: int = 64
    threads: int = 1
    device: str = ""
    connections: int = 16
    retries: int = 2
    wait_s: float = 2.0
    timeout_s: int = 600
    inside: bool = False
    display: str = "plain"


def model_named(name: str, effort: Effort, base_url: str = "") -> Model:
    """Our checkpoint (a shipped name or a folder), or a model as the framework names it
    ("openai-api/SERVICE/NAME", "step-audio/NAME"). Raises `ValueError` for neither."""
    if name in SHIPPED or (Path(name) / "config.json").is_file():
        where: dict[str, Any] = {"rows": effort.rows, "threads": effort.threads}
        where |= {"device": effort.device, "inside": effort.inside}
        weights = fingerprint(locate(name))
        return get_model(f"auscult/{name}", weights=weights, **where)
    if "/" not in name or Path(name).exists() or name.startswith((".", "/")):
        locate(name)  # says what is missing
    return get_model(name, base_url=base_url or None)


def run(
    protocols: Sequence[Protocol], model: Model, out: Path, effort: Effort
) -> tuple[bool, list[EvalLog]]:
    """Evaluate under all protocols, one after the other; logs in `out`/logs, what was heard in
    `out`/sounds. A killed run goes on where it stopped, and questions that failed are asked again.

    (whether all questions were answered, the logs)
    """
    os.environ[SOUNDS] = str((out / "sounds").resolve())
    ours = str(model).startswith("auscult/")
    return eval_set(
        [_task(p) for p in protocols],
        log_dir=str(out / "logs"),
        model=model,
        retry_attempts=effort.retries,
        retry_wait=effort.wait_s,
        retry_connections=1.0,
        continue_on_fail=True,
        retry_on_error=1,
        max_tasks=1,
        max_samples=4 * effort.rows if ours else effort.connections,
        max_connections=4 * effort.rows if ours else effort.connections,
        # Sound is in files beside the logs, and what goes on the wire is known from them.
        log_images=False,
        log_model_api=False,
        log_realtime=False,
        log_buffer=16,
        max_retries=5,
        attempt_timeout=effort.timeout_s,
        display=effort.display,  # pyright: ignore[reportArgumentType]
        log_level="warning",
    )


def _task(protocol: Protocol) -> Task:
    return bench(**protocol.arguments())
