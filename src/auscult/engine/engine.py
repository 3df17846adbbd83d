"""One engine for many askers: requests of any settings share the rows in flight.

Three threads: whoever asks, one that listens (checks, features, encoder), one that reads and
writes. The last two live only while there is work, and never hold an engine that nobody uses.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import torch

from auscult.engine.cache import Memories
from auscult.engine.constraint import Forms
from auscult.engine.decoder import FastDecoder
from auscult.engine.reading import Listener, Spoken
from auscult.engine.request import Answered, Listen, Pieces, Request, Ticket, settle
from auscult.engine.sampling import Sampling
from auscult.engine.scheduler import Job, Scheduler
from auscult.engine.thinking import Tags, Thinking
from auscult.gym.render import question_turns
from auscult.model import StepAudio2ForCausalLM, StepAudio2Processor
from auscult.types import Item, Reply, Turn


class Engine:
    """Generation for one model, from any number of threads. It is a `Policy`; after training the
    model, call `sync`."""

    def __init__(
        self,
        model: StepAudio2ForCausalLM,
        processor: StepAudio2Processor,
        *,
        rows: int = 64,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
        clip_bytes: int = 64 << 20,
        prompt_bytes: int = 256 << 20,
    ) -> None:
        """rows: lines in flight; sampling, thinking: of those who give none; clip_bytes: for what
        was heard of the last clips; prompt_bytes: for the keys and values of the last prompts."""
        if rows < 1:
            raise ValueError(f"rows must be 1 or more; got {rows}")
        self.model, self.processor, self.rows = model.eval(), processor, rows
        self.sampling, self.thinking = sampling or Sampling(), thinking or Thinking()
        self.decoder = FastDecoder(model)
        self.listener = Listener(model, processor, self.decoder.limit, clip_bytes)
        self.memories = Memories(prompt_bytes)
        eos = model.config.eos_token_id
        self.stops = frozenset([eos] if isinstance(eos, int) else eos or [])
        vocabulary = model.config.vocab_size
        self.tags = Tags(processor.tokenizer, vocabulary, self.stops)
        self.forms = Forms(processor.tokenizer, vocabulary, self.stops)
        self.state = 0  # of the weights: sessions of another one are over
        self.closed = False
        self.lock = threading.Lock()
        self.open: set[Ticket] = set()
        self.inbox: SimpleQueue[Job | None] = SimpleQueue()
        self.scheduler = self._scheduler()
        self.ahead = threading.Semaphore(3 * rows)  # requests that have been heard and not answered
        self.writes: Future[None] | None = None
        self.hears, self.works = ThreadPoolExecutor(1, "hear"), ThreadPoolExecutor(1, "write")

    # --------------------------------------------------------------------------- asking

    def submit(
        self, request: Request, *, stream: bool = False, listen: Listen | None = None,
        so_far: Spoken | None = None, keeps: bool = False,
    ) -> Ticket:  # fmt: skip
        """A promise of the replies; with `stream` the ticket has their events, with `listen` each
        is handed to a function. It fails with `ValueError` for what cannot be read (a bad clip, a
        prompt that is too long, a form that cannot be kept); other requests go on.

        so_far, keeps: a session's, see `Session`.
        """
        ticket = Ticket(listen, stream=stream)
        ticket.keeps = keeps
        with self.lock:
            if self.closed:
                raise ValueError("the engine is closed; make a new one")
            self.open.add(ticket)
            ticket.add_done_callback(self._closed)
            heard = self.hears.submit(self._hear, ticket, request, so_far)
            if self.writes is None:
                self.writes = self.works.submit(self._work)
                self.writes.add_done_callback(self._stopped)
        heard.add_done_callback(lambda done: settle(ticket, e) if (e := done.exception()) else None)
        return ticket

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
        """n replies to each conversation. `draws` number the conversations for the random
        generator, so that a share of a list samples what the whole list would."""
        draws = range(len(conversations)) if draws is None else draws
        asked = [
            Request(
                turns=turns, n=n, sampling=sampling or self.sampling,
                thinking=thinking or self.thinking, draw=draw * n,
            )
            for turns, draw in zip(conversations, draws, strict=True)
        ]  # fmt: skip
        return [answered.replies for answered in self.ask(asked)]

    def ask(self, requests: Sequence[Request]) -> list[Answered]:
        """The answers to all requests; the first error of one withdraws the others."""
        tickets: list[Ticket] = []
        try:
            tickets += [self.submit(request) for request in requests]
            return [ticket.result() for ticket in tickets]
        finally:
            for ticket in tickets:
                ticket.cancel()

    def reply(
        self,
        conversations: Sequence[Sequence[Turn]],
        *,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
    ) -> list[Reply]:
        """One reply to each conversation, in their order."""
        replies = self.several(conversations, 1, sampling=sampling, thinking=thinking)
        return [reply for (reply,) in replies]

    def stream(
        self,
        conversation: Sequence[Turn],
        *,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
    ) -> Iterator[tuple[str, str]]:
        """("thought" | "answer", text) pieces as they come, then ("stop", reason)."""
        sampling, thinking = sampling or self.sampling, thinking or self.thinking
        request = Request(turns=conversation, sampling=sampling, thinking=thinking)
        pieces = Pieces(self.tags, sampling.stop)
        for event in self.submit(request, stream=True).events():
            yield from pieces.feed(event)

    def sync(self) -> None:
        """Read the model's weights again. Raises `ValueError` while requests are in flight."""
        with self.lock:
            if self.open:
                raise ValueError(
                    f"{len(self.open)} requests are in flight; wait for them before the weights "
                    "change"
                )
            self.decoder.sync()
            self.listener.forget()
            self.memories.clear()
            self.state += 1

    def close(self) -> None:
        """Withdraw what is in flight; nothing can be asked any more."""
        with self.lock:
            self.closed = True
            tickets = list(self.open)
        for ticket in tickets:
            ticket.cancel()
        self.hears.shutdown()
        self.works.shutdown()

    # --------------------------------------------------------------------------- the two threads

    def _hear(self, ticket: Ticket, request: Request, so_far: Spoken | None) -> None:
        """What stands before the reading: checks, features, encoder."""
        self.ahead.acquire()
        ticket.add_done_callback(lambda _: self.ahead.release())
        if ticket.done():
            return
        form = request.form
        progress = [self.forms.begin(form) for _ in range(request.n)] if form else []
        prompt = self.listener.prepare(request.turns, request.sampling, so_far, reply=request.n > 0)
        self.inbox.put(Job(ticket, request, prompt, progress))

    @torch.inference_mode()
    def _work(self) -> None:
        """Rounds, until nothing is left to do."""
        scheduler = self.scheduler
        while not (scheduler.idle and self._over()):
            with suppress(Empty):
                while (job := self.inbox.get(block=scheduler.idle)) is not None or scheduler.idle:
                    if job is not None:
                        scheduler.add(job)
                    elif self._over():
                        return
            scheduler.round()

    def _scheduler(self) -> Scheduler:
        never = self.model.config.audio_patch_token_id
        return Scheduler(self.decoder, self.tags, self.stops, never, self.rows, self.memories)

    def _over(self) -> bool:
        """Is nothing asked any more? Then the next request starts this thread again."""
        with self.lock:
            if self.open:
                return False
            self.writes = None
            self.scheduler.rest()
            return True

    def _closed(self, ticket: "Future[Any]") -> None:
        """A promise was kept or withdrawn."""
        assert isinstance(ticket, Ticket)
        with self.lock:
            self.open.discard(ticket)
        self.inbox.put(None)  # wakes who waits for more

    def _stopped(self, done: "Future[None]") -> None:
        """The engine's own error is that of all requests in flight; the next ones start anew."""
        error = done.exception()
        if error is None:
            return
        with self.lock:
            self.writes, self.scheduler = None, self._scheduler()
            tickets = list(self.open)
        for ticket in tickets:
            settle(ticket, error)
