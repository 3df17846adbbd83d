"""An engine in a process of its own, so that the caller's Python does not slow the engine's.

Requests go in over a socket; events and answers come back as they are made. A ticket that is
cancelled here is withdrawn there. Sessions live where the engine lives: open them there.
"""

import os
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from auscult.engine.engine import Engine
from auscult.engine.pool import (
    GRACE_S,
    Failure,
    end_process,
    failure_of,
    spawn,
    until_parent_ends,
)
from auscult.engine.request import Event, Listen, Request, Ticket, settle
from auscult.model.weights import locate, open_model


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    path: Path
    rows: int
    threads: int
    device: str


def serve_engine(socket: int, parent: int) -> None:
    """What the process runs: open the model, then answer requests as they finish."""
    until_parent_ends(parent)
    connection, lock = Connection(socket), threading.Lock()
    opening: _Folder = connection.recv()
    torch.set_num_threads(opening.threads)

    def send(number: int, answer: Any) -> None:
        with lock, suppress(OSError):
            connection.send((number, answer))

    asked: dict[int, Ticket] = {}

    def answer(number: int, ticket: "Future[Any]") -> None:
        asked.pop(number, None)
        if not ticket.cancelled():
            error = ticket.exception()
            send(number, ticket.result() if error is None else failure_of(error))

    def listener(number: int) -> Listen:
        return lambda event: send(number, event)

    try:
        device = opening.device or None
        engine = Engine(*open_model(opening.path, device=device), rows=opening.rows)
    except Exception as error:
        return send(-1, failure_of(error))
    send(-1, None)
    with suppress(EOFError, OSError):
        while (message := connection.recv()) is not None:
            number, request, listened = message
            if request is None:  # nobody waits for it any more
                if ticket := asked.get(number):
                    ticket.cancel()
            else:
                ticket = engine.submit(request, listen=listener(number) if listened else None)
                asked[number] = ticket
                ticket.add_done_callback(lambda t, number=number: answer(number, t))
    os._exit(0)  # what is in flight is wanted by nobody


class _Life:
    """One life of the process: its socket, and who waits for what."""

    def __init__(self, opening: _Folder) -> None:
        self.waiting: dict[int, Future[Any]] = {}
        self.lock = threading.Lock()
        self.ended = False
        self.process, self.connection = spawn("auscult.engine.process:serve_engine")
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

    def ask(self, number: int, request: Request, ticket: Ticket) -> None:
        """Send a request; a ticket that is cancelled is withdrawn from the process too."""
        self.waiting[number] = ticket
        self.send((number, request, ticket.listen is not None))
        ticket.add_done_callback(
            lambda t: self.send((number, None, False)) if t.cancelled() else None
        )
        if self.ended:  # it died meanwhile, and the reader may have missed this one
            self._fail()

    def close(self) -> None:
        """End the process; what is in flight fails."""
        self.send(None)
        self.reader.join(GRACE_S)

    def _read(self) -> None:
        """Hand each answer to who waits for it, until the process is gone."""
        with suppress(EOFError, OSError):
            while True:
                number, answer = self.connection.recv()
                if isinstance(answer, Event):
                    self._tell(number, answer)
                    continue
                if isinstance(answer, Failure):
                    answer = answer.error("the engine's process")
                if future := self.waiting.pop(number, None):
                    settle(future, answer)
        end_process(self.process, GRACE_S)
        self.ended = True
        self._fail()
        with self.lock:
            self.connection.close()

    def _tell(self, number: int, event: Event) -> None:
        ticket = self.waiting.get(number)
        if isinstance(ticket, Ticket) and ticket.listen is not None and not ticket.done():
            ticket.listen(event)

    def _fail(self) -> None:
        code = self.process.returncode
        said = f"the engine's process: ended with status {code}; see its own message"
        for number in list(self.waiting):
            if future := self.waiting.pop(number, None):
                settle(future, RuntimeError(said))


class EngineProcess:
    """`Engine.submit` in a process of its own; started when first asked, and again if it dies.
    Requests in flight when it dies fail with `RuntimeError`; ask them again."""

    def __init__(
        self, model: str | Path, *, rows: int = 64, threads: int = 1, device: str = ""
    ) -> None:
        """`model` is a shipped name or a checkpoint's folder; device "" = the best there is."""
        folder = locate(model).resolve()
        self.opening = _Folder(path=folder, rows=rows, threads=threads, device=device)
        self.lock = threading.Lock()
        self.count = 0
        self.life: _Life | None = None

    def submit(
        self, request: Request, *, stream: bool = False, listen: Listen | None = None
    ) -> Ticket:
        """See `Engine.submit`; `listen` is called in the thread that reads the socket."""
        ticket = Ticket(listen, stream=stream)
        with self.lock:
            if self.life is None or self.life.ended:
                self.life = _Life(self.opening)
            self.count += 1
            self.life.ask(self.count, request, ticket)
        return ticket

    def close(self) -> None:
        """End the process; requests in flight fail. Asked again, it starts again."""
        with self.lock:
            life, self.life = self.life, None
        if life is not None:
            life.close()
