"""The door to inspect_ai: protocols and a model in, logs out; nothing finished is done again."""

import json
import os
import socket
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from inspect_ai import Task, eval_set
from inspect_ai.log import (
    EvalLog,
    list_eval_logs,
    read_eval_log,
    read_eval_log_sample_summaries,
)
from inspect_ai.model import Model, ModelAPI, get_model

import auscult.evaluate.registry  # noqa: F401  # pyright: ignore[reportUnusedImport]
from auscult.evaluate.protocol import Protocol
from auscult.evaluate.provider import Machine, run_on
from auscult.evaluate.results.runs import LogWarning, header_of
from auscult.evaluate.tasks import SOUNDS, bench
from auscult.faults import LastingFault, told_apart
from auscult.files import BadFile
from auscult.model.weights import SHIPPED, locate
from auscult.work.run import fingerprint

BUDGETED = ("auscult", "step-audio", "scripted")
"""Providers that can hold a thought to a budget; at others it would be ignored in silence."""

OWN_DECODING = ("auscult", "scripted")
"""Providers that know audio-aware decoding."""

_FLUSHES = 300  # of one log: each writes the whole file again


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard to try, and with what. None of it changes a number.

    rows: in flight in our engine. threads: of its process. device: "" = the best there is. inside:
    the engine in this process (for small things). connections: to a server at once. tries: times
    that a request is repeated, after 3, 6, 12, ... s. timeout_s: for each. retries: times that
    failed questions are asked again when all others are done, after wait_s, then twice that, ...
    """

    rows: int = 64
    threads: int = 1
    device: str = ""
    connections: int = 16
    tries: int = 5
    timeout_s: int = 600
    retries: int = 2
    wait_s: float = 15.0
    inside: bool = False
    display: str = "plain"


def model_named(name: str, base_url: str = "") -> Model:
    """Our checkpoint (a shipped name or a folder), or a model as the framework names it
    ("openai-api/SERVICE/NAME", "step-audio/NAME"). Raises `ValueError` for neither."""
    if name in SHIPPED or (Path(name) / "config.json").is_file():
        return get_model(f"auscult/{name}", weights=fingerprint(locate(name)))
    if "/" not in name or Path(name).exists() or name.startswith((".", "/")):
        locate(name)  # says what is missing
    return get_model(name, base_url=base_url or None)


def run(
    protocols: Sequence[Protocol], model: Model, out: Path, effort: Effort
) -> tuple[bool, list[EvalLog]]:
    """Evaluate under all protocols, one after the other; logs in `out`/logs, what was heard in
    `out`/sounds. A run that was killed or interrupted (False is returned after Ctrl-C) goes on
    where it stopped, and questions that failed are asked again.
    Raises `ValueError` where logs there are of other questions under the same protocol.

    (whether all questions were answered, the logs)
    """
    os.environ[SOUNDS] = str((out / "sounds").resolve())
    for protocol in protocols:
        fits(protocol, str(model))
    run_on(Machine(rows=effort.rows, threads=effort.threads, device=effort.device,
                   inside=effort.inside))  # fmt: skip
    tasks = [bench(**p.arguments()) for p in protocols]
    _same_questions(tasks, out / "logs")
    ours = str(model).startswith("auscult/")
    flying = 4 * effort.rows if ours else effort.connections
    if not ours:
        _reach(str(getattr(model.api, "base_url", "") or ""))
        # All connections have failed twice with all tries; a few bad questions never get there.
        most = max(50, 2 * flying * (effort.tries + 1))
        model.api.generate = Patience.around(model.api, most)
    whole, logs = _once(tasks, model, out, effort, flying)
    for attempt in range(effort.retries):
        if whole or all(fault.lasting for fault in faults(logs)):
            break
        # After all others are done, not at once: what failed them may have passed by then.
        time.sleep(effort.wait_s * 2**attempt)
        whole, logs = _once(tasks, model, out, effort, flying)
    # A run that is interrupted returns no log, and "all of none are whole".
    return whole and len(logs) == len(tasks), logs


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A question that got no answer. Example: Fault(key="mmsu/3", why="AudioError: 3.wav is empty
    (0 bytes); ...", lasting=True): the same would happen again."""

    key: str
    why: str
    lasting: bool


def faults(logs: Sequence[EvalLog]) -> list[Fault]:
    """The questions that got no answer, with the reason of each."""
    said: list[tuple[str, str]] = []
    for log in logs:
        heads = read_eval_log_sample_summaries(log.location)
        own = [(str(head.id), head.error) for head in heads if head.error]
        said += own or ([(log.eval.task, log.error.message)] if log.error else [])
    mark = f"{LastingFault.__name__}("
    return [
        Fault(
            key=key,
            why=why.removeprefix(mark).removesuffix(")").strip("'\""),
            lasting=why.startswith(mark),
        )
        for key, why in said
    ]


def _once(
    tasks: Sequence[Task], model: Model, out: Path, effort: Effort, flying: int
) -> tuple[bool, list[EvalLog]]:
    ours = str(model).startswith("auscult/")
    return eval_set(
        list(tasks),
        log_dir=str(out / "logs"),
        # A folder may hold other suites, protocols and models: all of them stay.
        log_dir_allow_dirty=True,
        model=model,
        retry_immediate=False,
        retry_attempts=1,
        continue_on_fail=True,
        retry_on_error=1,
        max_tasks=1,
        max_samples=flying,
        max_connections=flying,
        # Sound is in files beside the logs, and what goes on the wire is known from them.
        log_images=False,
        log_model_api=False,
        log_realtime=False,
        log_buffer=max(1, min(16, max(len(t.dataset) for t in tasks) // _FLUSHES)),
        max_retries=effort.tries,
        # Our own engine has a queue and no line that could stall.
        attempt_timeout=None if ours else effort.timeout_s,
        score_display=False,  # it would score everything anew after every answer
        display=effort.display,  # pyright: ignore[reportArgumentType]
        log_level="warning",
    )


def _reach(url: str) -> None:
    """Raises `ValueError` where nothing can answer at an address: no such host, nobody listening.
    What a server says there is of no matter."""
    place = urlsplit(url)
    if not place.hostname:
        return
    if place.scheme in getproxies() and not proxy_bypass(place.hostname):
        return  # the way leads through another machine
    port = place.port or (443 if place.scheme == "https" else 80)
    try:
        socket.create_connection((place.hostname, port), timeout=10).close()
    except TimeoutError:
        return  # busy, perhaps
    except OSError as error:
        raise ValueError(
            f"no server answers at {url} ({error}); start it, or give its address with --base-url"
        ) from error


def fits(protocol: Protocol, model: str) -> None:
    """Can the model of this name be asked so? Raises `ValueError` before anything is asked."""
    provider = model.split("/")[0]
    if protocol.budget is not None and provider not in BUDGETED:
        raise ValueError(
            f"{model} takes no budget for its thought (think {protocol.think}); use free thought, "
            f"or one of the providers {', '.join(BUDGETED)}"
        )
    if protocol.contrast and provider not in OWN_DECODING:
        raise ValueError(
            f"{model} cannot contrast two readings (contrast {protocol.contrast}); audio-aware "
            "decoding needs a model of our own engine"
        )
    if protocol.constrained and provider not in OWN_DECODING:
        raise ValueError(
            f"{model} cannot hold its answers to options; that needs a model of our own engine"
        )
    if provider == "step-audio" and protocol.budget and protocol.samples > 1:
        raise ValueError(
            "a budget and several replies need one request each at a server: use --samples 1"
        )


def _same_questions(tasks: Sequence[Task], logs: Path) -> None:
    """The framework knows a run by its arguments alone, and would take finished answers to the
    questions of yesterday's files for answers to today's."""
    now = {_told(t.metadata, "protocol"): _told(t.metadata, "questions") for t in tasks}
    for file in sorted(logs.rglob("*.eval")) if logs.is_dir() else []:
        _set_aside_if_broken(file)
    for info in list_eval_logs(str(logs)) if logs.is_dir() else []:
        about = read_eval_log(info, header_only=True).eval.metadata
        protocol, questions = _told(about, "protocol"), _told(about, "questions")
        if now.get(protocol, questions) != questions:
            raise ValueError(
                f"{info.name} holds answers to other questions (fingerprint {questions}) than "
                f"{protocol} gives today ({now[protocol]}): the data have changed. Give "
                "another --out, or remove that log"
            )


def _set_aside_if_broken(file: Path) -> None:
    """A log that a killed run or a full disk cut must not end the next one."""
    try:
        header_of(file)
    except BadFile as error:
        place = file.with_name(file.name + ".broken")
        file.rename(place)
        warnings.warn(
            f"{error}; it is kept as {place.name}, and its questions are asked again",
            LogWarning,
            stacklevel=2,
        )


def _told(metadata: Mapping[str, Any] | None, name: str) -> str:
    return json.dumps((metadata or {}).get(name, ""), sort_keys=True)


class Patience:
    """A provider's `generate` that stops asking a server that is gone: after `most` failures in a
    row every request fails at once, but for one try every `every_s`."""

    def __init__(self, generate: Callable[..., Any], most: int, every_s: float = 30.0) -> None:
        self.generate, self.most, self.every_s = generate, most, every_s
        self.failed, self.last = 0, 0.0
        self.why: BaseException | None = None

    @classmethod
    def around(cls, api: ModelAPI, most: int) -> "Patience":
        """Begun anew; a provider that has one keeps what is below it."""
        found = api.generate
        return cls(found.generate if isinstance(found, Patience) else found, most)

    async def __call__(self, *args: Any, **named: Any) -> Any:
        """As the provider's. Raises `ConnectionError` where the server is taken for gone, and
        `LastingFault` where it refuses all."""
        now = time.monotonic()
        if self.failed >= self.most and now - self.last < self.every_s:
            kind = LastingFault if isinstance(self.why, LastingFault) else ConnectionError
            raise kind(
                f"the server is not asked: its last {self.failed} requests have failed, the last "
                f"with {self.why}"
            )
        self.last = now
        try:
            with told_apart():
                answer = await self.generate(*args, **named)
                # Some providers return an error beside the request that met it.
                if isinstance(answer, tuple) and isinstance(answer[0], Exception):
                    raise answer[0]
        except BaseException as error:  # a time-out cancels
            self.failed, self.why = self.failed + 1, error
            raise
        self.failed = 0
        return answer
