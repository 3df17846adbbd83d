"""Several engines on this machine, each in a process of its own with one thread.

Random numbers are seeded by draw number, so a share of the conversations samples what the whole
list would: a pool gives the replies of one `Engine`. Tokens and texts are the same; log-probs
agree to rounding, which depends on what else is in a batch (as it does between engines of other
`rows`).

Processes are started anew (nothing is forked, and the caller's main module is not run again), talk
over one socket each, and end when the pool is closed, is collected, or its process dies.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from auscult.engine.engine import Engine
from auscult.engine.sampling import Sampling
from auscult.engine.thinking import Thinking
from auscult.gym.render import question_turns
from auscult.model.weights import compare_names, locate, open_model
from auscult.types import Item, Reply, Turn

GRACE_S = 3.0  # what a process may take to end by itself before it is killed
ERRORS: dict[str, type[Exception]] = {
    e.__name__: e for e in (ValueError, TypeError, FloatingPointError, MemoryError)
}
"""Errors of a worker that are raised as what they are; all others become `RuntimeError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    folder: Path
    rows: int
    weights: Path | None  # trained weights in place of those in the folder


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sync:
    weights: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    conversations: list[Sequence[Turn]]
    n: int
    sampling: Sampling
    thinking: Thinking
    draws: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error on its way from a process to the one that asked."""

    kind: str
    message: str

    def error(self, place: str) -> Exception:
        """The error as the caller sees it."""
        return ERRORS.get(self.kind, RuntimeError)(f"{place}: {self.message}")


def failure_of(error: BaseException) -> Failure:
    """An error in a form that travels. numpy and others derive from the built-in errors: the one
    that callers know is named."""
    names = [c.__name__ for c in type(error).__mro__ if c.__name__ in ERRORS]
    said = str(error) if names else f"{type(error).__name__}: {error}"
    return Failure(kind=names[0] if names else "", message=said)


# ------------------------------------------------------------------------------ the worker's side


def _read_weights(engine: Engine, file: Path) -> None:
    """Copy trained weights into the engine's model, if they are all there."""
    weights = load_file(file)
    parameters = dict(engine.model.named_parameters())
    compare_names(
        {name: tuple(p.shape) for name, p in parameters.items()},
        {name: tuple(w.shape) for name, w in weights.items()},
        Path("the model given to sync"),
    )
    with torch.no_grad():
        for name, value in weights.items():
            parameters[name].copy_(value)
    engine.sync()


def _answer(engine: Engine | None, message: Any) -> tuple[Engine | None, Any]:
    """(the engine from now on, what to send back)."""
    if isinstance(message, _Open):
        engine = Engine(*open_model(message.folder, device="cpu"), rows=message.rows)
        if message.weights is not None:
            _read_weights(engine, message.weights)
        return engine, None
    assert engine is not None
    if isinstance(message, _Sync):
        return engine, _read_weights(engine, message.weights)
    replies = engine.several(
        message.conversations, message.n,
        sampling=message.sampling, thinking=message.thinking, draws=message.draws,
    )  # fmt: skip
    return engine, replies


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone, even in the middle of work."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def until_parent_ends(parent: int) -> None:
    """This process lives as long as the one that started it, which alone minds Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def serve(socket: int, parent: int) -> None:
    """What a worker runs: answer messages from the inherited file descriptor `socket` until the
    other end closes, then exit. `parent` is the id of the process to end with."""
    until_parent_ends(parent)
    torch.set_num_threads(1)
    connection = Connection(socket)
    engine: Engine | None = None
    with suppress(EOFError, OSError):  # the pool is gone
        while True:
            message = connection.recv()
            try:
                engine, answer = _answer(engine, message)
            except Exception as error:
                answer = failure_of(error)
            connection.send(answer)
    os._exit(0)  # nothing is left to do, and unloading torch takes longer than it does good


# ------------------------------------------------------------------------------ the pool's side


def spawn(target: str) -> tuple["subprocess.Popen[bytes]", Connection]:
    """A process that runs the function `module:name` with (its socket's number, our process id),
    and our end of the socket. It uses one thread unless it says otherwise."""
    module, name = target.split(":")
    ours, theirs = Pipe()
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        f"from {module} import {name}\n"
        f"{name}({theirs.fileno()}, {os.getpid()})"
    )
    single = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL, env=os.environ | single, pass_fds=[theirs.fileno()],
        )  # fmt: skip
    return process, ours


def end_process(process: "subprocess.Popen[bytes]", grace: float) -> None:
    """Wait until a process ends by itself, and kill one that goes on after `grace` s."""
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Worker:
    """A process with an engine, and our end of its socket."""

    def __init__(self, number: int, opening: _Open) -> None:
        self.number = number
        self.process, self.connection = spawn("auscult.engine.pool:serve")
        self.send(opening)

    def send(self, message: Any) -> None:
        """Hand over a message; a process that died is noticed when its answer does not come."""
        with suppress(OSError):
            self.connection.send(message)

    def opened(self) -> None:
        """Wait until the model is read. Raises the worker's own error, or `RuntimeError`."""
        try:
            answer = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self.died("while it read the model") from error
        if isinstance(answer, Failure):
            raise answer.error(f"engine process {self.number}")

    def died(self, when: str) -> RuntimeError:
        """What to raise for a process whose socket is closed."""
        self.end(GRACE_S)
        code = self.process.returncode
        cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return RuntimeError(
            f"engine process {self.number} ended with {cause} {when}; its own message, if any, is "
            "on standard error. SIGKILL mostly means that memory ran out: use fewer processes or "
            "rows"
        )

    def end(self, grace: float) -> None:
        """Close the socket, which ends an idle process; kill one that goes on after `grace` s."""
        self.connection.close()
        end_process(self.process, grace)


class EnginePool:
    """A `Policy` of several engine processes on this machine's CPU; use it in a `with` block.

    A worker that dies is replaced once within a call, and its share is run again; when the
    replacement dies too, or cannot start, the call raises `RuntimeError` and the pool is closed.
    The pool is closed, too, by anything that interrupts a call (Ctrl-C). One call at a time.

    Example: with EnginePool("nano", processes=4) as pool: replies = pool.sample(items, 8)
    """

    def __init__(
        self,
        model: str | Path = "nano",
        processes: int = 2,
        rows: int = 64,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
    ) -> None:
        """`model` is a shipped name or a checkpoint's folder; `rows` are those of each process.
        Raises `ValueError` for a bad number or model, `RuntimeError` if a process cannot start."""
        for name, value in (("processes", processes), ("rows", rows)):
            if value < 1:
                raise ValueError(f"{name} must be 1 or more; got {value}")
        self.sampling, self.thinking = sampling or Sampling(), thinking or Thinking()
        self.folder, self.rows = locate(model).resolve(), rows
        self.weights: Path | None = None  # the last ones given to `sync`
        self.syncs = 0
        self.exchange = tempfile.TemporaryDirectory(prefix="auscult-pool-")
        self.workers: list[_Worker] = []
        try:
            self.workers += [_Worker(i, self._opening()) for i in range(processes)]
            for worker in self.workers:
                worker.opened()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "EnginePool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes and remove the weights; closing twice is fine."""
        for worker in self.workers:
            worker.connection.close()
        deadline = time.monotonic() + GRACE_S
        for worker in self.workers:
            worker.end(max(0.01, deadline - time.monotonic()))
        self.workers = []
        self.exchange.cleanup()

    def sample(self, items: Sequence[Item], n: int = 1) -> list[list[Reply]]:
        """n replies for each item; see `Policy`."""
        return self.several([question_turns(item) for item in items], n)

    def several(
        self,
        conversations: Sequence[Sequence[Turn]],
        n: int,
        *,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
        draws: Sequence[int] | None = None,
    ) -> list[list[Reply]]:
        """n replies to each conversation, as `Engine.several` gives them for the same `draws`.

        Raises `ValueError` for what the engine refuses and for a closed pool, `RuntimeError` where
        a worker died twice.
        """
        self._check_open()
        draws = range(len(conversations)) if draws is None else draws
        if len(draws) != len(conversations):
            raise ValueError(
                f"expected one draw number per conversation; got {len(draws)} for "
                f"{len(conversations)}"
            )
        shares = self._shares(conversations)
        answers = self._ask({
            w: _Work(
                conversations=[conversations[i] for i in share], n=n,
                sampling=sampling or self.sampling, thinking=thinking or self.thinking,
                draws=[draws[i] for i in share],
            )
            for w, share in enumerate(shares) if share
        })  # fmt: skip
        replies: list[list[Reply]] = [[] for _ in conversations]
        for w, answer in answers.items():
            for i, some in zip(shares[w], answer, strict=True):
                replies[i] = some
        return replies

    def sync(self, model: nn.Module) -> None:
        """Give the weights of the trained `model` to all engines.

        They go through one safetensors file in a temporary folder ($TMPDIR), which must have room
        for two copies. Raises `ValueError` where names or shapes are not those of the pool's model
        (merge adapters, gather shards first); the engines then keep the weights they had.
        """
        self._check_open()
        self.syncs += 1
        folder = Path(self.exchange.name)
        new, file = folder / "new", folder / f"weights-{self.syncs}.safetensors"
        weights = {name: p.detach().cpu().contiguous() for name, p in model.named_parameters()}
        save_file(weights, new, metadata={"format": "pt"})
        os.replace(new, file)
        try:
            self._ask({w: _Sync(weights=file) for w in range(len(self.workers))})
        except ValueError:  # all refused it alike
            file.unlink(missing_ok=True)
            raise
        except BaseException:  # some may have it and some not
            self.close()
            raise
        if self.weights is not None:
            self.weights.unlink()
        self.weights = file

    def _opening(self) -> _Open:
        return _Open(folder=self.folder, rows=self.rows, weights=self.weights)

    def _check_open(self) -> None:
        if not self.workers:
            raise ValueError("the pool is closed and has no engines; make a new EnginePool")

    def _shares(self, conversations: Sequence[Sequence[Turn]]) -> list[list[int]]:
        """Numbers of the conversations for each worker: dealt out from long to short."""

        def length(i: int) -> int:
            turns = conversations[i]  # a token is about 640 samples of sound or 4 letters
            return sum(len(t.text) * 160 + sum(len(c) for c in t.clips) for t in turns)

        order = sorted(range(len(conversations)), key=length, reverse=True)
        return [order[w :: len(self.workers)] for w in range(len(self.workers))]

    def _ask(self, messages: Mapping[int, _Work | _Sync]) -> dict[int, Any]:
        """Send each worker its message and wait for all answers; the first error is raised after
        the last answer came, so that no answer is left in a socket."""
        self._check_open()
        answers: dict[int, Any] = {}
        renewed: set[int] = set()
        try:
            for w, message in messages.items():
                self.workers[w].send(message)
            while left := {self.workers[w].connection: w for w in messages.keys() - answers.keys()}:
                for connection in wait(list(left)):
                    assert isinstance(connection, Connection)
                    w = left[connection]
                    try:
                        answers[w] = connection.recv()
                    except (EOFError, OSError) as error:
                        death = self.workers[w].died("in the middle of its work")
                        if w in renewed:
                            raise death from error
                        renewed.add(w)
                        self._renew(w, messages[w])
        except BaseException:
            self.close()
            raise
        for w in sorted(answers):
            if isinstance(answers[w], Failure):
                raise answers[w].error(f"engine process {w}")
        return answers

    def _renew(self, w: int, message: _Work | _Sync) -> None:
        """A fresh process in place of worker w, which starts on the same message."""
        self.workers[w] = _Worker(w, self._opening())
        self.workers[w].opened()
        self.workers[w].send(message)
