"""An engine that is asked by many at once: requests join the rows in flight as they come.

`Live` runs an engine in a thread; `LiveProcess` runs one in a process of its own, so that the
caller's Python does not slow the engine's. A request's reply does not depend on what else is in
flight: its random numbers have a seed of their own.
"""

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from auscult.engine.engine import Engine, Prompt
from auscult.engine.pool import (
    GRACE_S,
    Failure,
    end_process,
    failure_of,
    spawn,
    until_parent_ends,
)
from auscult.engine.sampling import Sampling
from auscult.engine.thinking import Thinking
from auscult.model.weights import locate, open_model
from auscult.types import Reply, Turn

_GATHER_S = 0.01  # a first request waits this long for company


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """n replies to one conversation. Their random numbers come from the sampling's seed alone, so
    the same request gives the same replies, whoever else asks.

    Example: Request(turns=(Turn(role="human", text="Hello"),), n=1, sampling=Sampling(seed=7),
    thinking=Thinking(budget=0)).
    """

    turns: Sequence[Turn]
    n: int
    sampling: Sampling
    thinking: Thinking

    @property
    def kind(self) -> tuple[Sampling, Thinking]:
        """Requests of one kind can be in flight together."""
        return replace(self.sampling, seed=0), self.thinking


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The replies to a request, the tokens of its prompt, and the seconds from when it was taken in
    to its last token (others were written at the same time)."""

    replies: list[Reply]
    prompt_tokens: int
    seconds: float


class _Waiting:
    """A request with its promise and the replies that have come."""

    def __init__(self, request: Request, future: "Future[Answered]") -> None:
        self.request, self.future = request, future
        self.prompt: Prompt | None = None  # once it has been prepared
        self.replies: dict[int, Reply] = {}
        self.began = 0.0


def settle(future: "Future[Any]", found: Any) -> None:
    """Keep a promise with a result or an error, unless nobody waits for it any more."""
    with suppress(InvalidStateError):
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(found)


class Live:
    """One engine in a thread. `submit` may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.inbox: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self.later: deque[_Waiting] = deque()  # of another kind, or too long for this batch
        self.closed = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def submit(self, request: Request) -> "Future[Answered]":
        """A promise of the n replies. It fails with `ValueError` for a prompt that is too long and
        with the engine's own error otherwise; other requests go on."""
        if self.closed:
            raise ValueError("the engine is closed; make a new one")
        future: Future[Answered] = Future()
        self.inbox.put(_Waiting(request, future))
        return future

    def close(self) -> None:
        """Finish what is in flight and end the thread."""
        self.closed = True
        self.inbox.put(None)
        self.thread.join()

    def _run(self) -> None:
        open_for_more = True
        while open_for_more or self.later:
            if not self.later:
                first = self.inbox.get()
                if first is None:
                    return
                self.later.append(first)
                time.sleep(_GATHER_S)
            open_for_more = self._drain() and open_for_more
            _Flight(self, self.later[0].request.kind).run()

    def _drain(self) -> bool:
        """Move what came in to `later`; False once the engine is being closed."""
        still_open = True
        with suppress(queue.Empty):
            while True:
                waiting = self.inbox.get_nowait()
                if waiting is None:
                    still_open = False
                    self.inbox.put(None)  # for the loop, which ends when all is done
                    break
                self.later.append(waiting)
        return still_open


class _Flight:
    """Requests of one kind, from the first until none is left."""

    def __init__(self, live: Live, kind: tuple[Sampling, Thinking]) -> None:
        self.live, self.kind = live, kind
        self.sampling, self.thinking = kind
        self.flying: dict[int, tuple[_Waiting, int]] = {}  # prompt's number -> request, which reply
        self.count = 0

    def run(self) -> None:
        """Write all replies. An error of the engine is that of all requests in flight."""
        engine = self.live.engine
        try:
            prompts = self.feed(engine.decoder.limit)
            for event in engine.flow(prompts, self.sampling, self.thinking, self.feed):
                if event.stop:
                    self._land(event.request, engine.reply_of(event.row, event.stop))
        except Exception as error:
            for waiting, _ in self.flying.values():
                settle(waiting.future, error)

    def feed(self, longest: int) -> list[Prompt]:
        """Prompts of the requests of this kind that are waiting and fit."""
        self.live._drain()  # pyright: ignore[reportPrivateUsage]
        prompts: list[Prompt] = []
        kept: deque[_Waiting] = deque()
        while self.live.later:
            waiting = self.live.later.popleft()
            some = self._prompts(waiting, longest) if waiting.request.kind == self.kind else None
            if some is None:
                kept.append(waiting)
            else:
                prompts += some
        self.live.later = kept
        return prompts

    def _prompts(self, waiting: _Waiting, longest: int) -> list[Prompt] | None:
        """A request's prompts, one for each reply; None where they are too long for this batch."""
        request = waiting.request
        if waiting.future.cancelled():
            return []
        try:
            prompt = waiting.prompt or self.live.engine.prepare(0, request.turns, request.sampling)
        except Exception as error:
            settle(waiting.future, error)
            return []
        waiting.prompt = prompt
        if max(len(prompt.ids), len(prompt.deaf.ids) if prompt.deaf else 0) > longest:
            return None
        numbers = range(self.count, self.count + request.n)
        self.count += request.n
        waiting.began = time.perf_counter()
        self.flying |= {number: (waiting, k) for k, number in enumerate(numbers)}
        seed = request.sampling.seed
        return [
            replace(prompt, number=i, source=numbers[0], seed=(seed, k))
            for k, i in enumerate(numbers)
        ]

    def _land(self, number: int, reply: Reply) -> None:
        waiting, k = self.flying.pop(number)
        waiting.replies[k] = reply
        if len(waiting.replies) == waiting.request.n and waiting.prompt is not None:
            answered = Answered(
                replies=[waiting.replies[i] for i in range(waiting.request.n)],
                prompt_tokens=len(waiting.prompt.ids),
                seconds=time.perf_counter() - waiting.began,
            )
            settle(waiting.future, answered)


# ------------------------------------------------------------------------- a process of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    path: Path
    rows: int
    threads: int
    device: str


def serve_live(socket: int, parent: int) -> None:
    """What the process runs: open the model, then answer requests as they finish."""
    until_parent_ends(parent)
    connection, lock = Connection(socket), threading.Lock()
    opening: _Folder = connection.recv()
    torch.set_num_threads(opening.threads)

    def send(number: int, answer: Any) -> None:
        with lock, suppress(OSError):
            connection.send((number, answer))

    asked: dict[int, Future[Answered]] = {}

    def answer(number: int, future: "Future[Answered]") -> None:
        asked.pop(number, None)
        if not future.cancelled():
            error = future.exception()
            send(number, future.result() if error is None else failure_of(error))

    try:
        device = opening.device or None
        live = Live(Engine(*open_model(opening.path, device=device), rows=opening.rows))
    except Exception as error:
        return send(-1, failure_of(error))
    send(-1, None)
    with suppress(EOFError, OSError):
        while (message := connection.recv()) is not None:
            number, request = message
            if request is None:  # nobody waits for it any more
                if future := asked.get(number):
                    future.cancel()
            else:
                asked[number] = live.submit(request)
                asked[number].add_done_callback(lambda f, number=number: answer(number, f))
    os._exit(0)  # what is in flight is wanted by nobody


class _Session:
    """One life of the process: its socket, and who waits for what."""

    def __init__(self, opening: _Folder) -> None:
        self.waiting: dict[int, Future[Any]] = {}
        self.lock = threading.Lock()
        self.ended = False
        self.process, self.connection = spawn("auscult.engine.live:serve_live")
        opened: Future[None] = Future()
        self.waiting[-1] = opened
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.send(opening)
        opened.result()

    def send(self, message: Any) -> None:
        """A dead process is noticed by the reader."""
        with self.lock, suppress(OSError):
            self.connection.send(message)

    def ask(self, number: int, request: Request) -> "Future[Answered]":
        """A promise; one that is cancelled is withdrawn from the process too."""
        future: Future[Answered] = Future()
        self.waiting[number] = future
        self.send((number, request))
        future.add_done_callback(lambda f: self.send((number, None)) if f.cancelled() else None)
        if self.ended:  # it died meanwhile, and the reader may have missed this one
            self._fail()
        return future

    def close(self) -> None:
        """End the process; what is in flight fails."""
        self.send(None)
        self.reader.join(GRACE_S)

    def _read(self) -> None:
        """Hand each answer to who waits for it, until the process is gone."""
        with suppress(EOFError, OSError):
            while True:
                number, answer = self.connection.recv()
                if isinstance(answer, Failure):
                    answer = answer.error("the engine's process")
                if future := self.waiting.pop(number, None):
                    settle(future, answer)
        end_process(self.process, GRACE_S)
        self.ended = True
        self._fail()
        with self.lock:
            self.connection.close()

    def _fail(self) -> None:
        code = self.process.returncode
        said = f"the engine's process: ended with status {code}; see its own message"
        for number in list(self.waiting):
            if future := self.waiting.pop(number, None):
                settle(future, RuntimeError(said))


class LiveProcess:
    """`Live` in a process of its own; started when first asked, and again if it dies. Requests in
    flight when it dies fail with `RuntimeError`; ask them again."""

    def __init__(
        self, model: str | Path, *, rows: int = 64, threads: int = 1, device: str = ""
    ) -> None:
        """`model` is a shipped name or a checkpoint's folder; device "" = the best there is."""
        folder = locate(model).resolve()
        self.opening = _Folder(path=folder, rows=rows, threads=threads, device=device)
        self.lock = threading.Lock()
        self.count = 0
        self.session: _Session | None = None

    def submit(self, request: Request) -> "Future[Answered]":
        """See `Live.submit`."""
        with self.lock:
            if self.session is None or self.session.ended:
                self.session = _Session(self.opening)
            self.count += 1
            return self.session.ask(self.count, request)

    def close(self) -> None:
        """End the process; requests in flight fail. Asked again, it starts again."""
        with self.lock:
            session, self.session = self.session, None
        if session is not None:
            session.close()
