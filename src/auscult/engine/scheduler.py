"""Who is read and who is written, and when. This file can be read alone.

A job is one request; each of its replies takes a seat, and a seat one line of the cache (two where
it contrasts what it hears with silence). Jobs wait in the order they came; nothing else about them
matters, so no kind of request can starve another. One round of work is:

1. dismiss   seats of requests that were cancelled lose their lines.
2. admit     free lines go to those who wait. A job that wants many replies takes `BURST` seats and
             then stands behind the others.
3. read      some tokens of the prompts of new seats: a share that keeps those who write waiting no
             longer than a few steps, and everything while nobody writes. What is remembered of an
             equal beginning is copied and not read again.
4. write     one token in every seat whose prompt has been read. Each row has settings of its own;
             a row that ends leaves at once.

A round is the only unit of time: cancelling takes effect before the next token, and a long prompt
delays the others by its share of a round. An error of one row is that of its request alone.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from auscult.engine.cache import BLOCK, Line, Memories, Memory, shared
from auscult.engine.constraint import Progress
from auscult.engine.decoder import FastDecoder
from auscult.engine.reading import Prompt
from auscult.engine.request import Answered, Event, Request, Ticket, settle
from auscult.engine.sampling import certainty, choose, contrasted
from auscult.engine.thinking import Tags
from auscult.engine.writing import Choice, Writer, ruled
from auscult.types import Reply

BURST = 8
READ_TOKENS = 512
"""Prompt tokens that are read between two steps while few seats wait; more, the more of them do."""
PASS_TOKENS = 2048
"""Prompt tokens that are read at once, which bounds the memory that it takes."""


@dataclass(slots=True, eq=False)
class Job:
    """A request that is ready to be read. `progress`: one per reply, for an answer with a form."""

    ticket: Ticket
    request: Request
    prompt: Prompt
    progress: Sequence[Progress] = ()
    began: float = field(default_factory=time.perf_counter)
    seats: int = 0  # handed out so far
    read_tokens: int = 0
    read: dict[Prompt, Memory] = field(default_factory=dict[Prompt, Memory])
    replies: dict[int, Reply] = field(default_factory=dict[int, Reply])

    @property
    def wanted(self) -> int:
        """Seats in all; one that only reads for a request of no replies."""
        return max(1, self.request.n)

    @property
    def prompts(self) -> list[Prompt]:
        """What each seat reads: the conversation, and for contrast the same without its sound."""
        return [self.prompt] if self.prompt.deaf is None else [self.prompt, self.prompt.deaf]


@dataclass(slots=True, eq=False)
class Reading:
    """A prompt in a line, as far as it has been read; `state` [D] once it has been read whole."""

    prompt: Prompt
    line: Line
    state: Tensor | None = None


@dataclass(slots=True, eq=False)
class Seat:
    """Reply `number` of a job: being read until all its readings have a state, then written."""

    job: Job
    number: int
    writer: Writer
    readings: list[Reading] = field(default_factory=list[Reading])
    token: int = 0  # the last one chosen, which the lines have not read yet

    @property
    def lines(self) -> list[Line]:
        """Its places in the cache."""
        return [reading.line for reading in self.readings]

    @property
    def read(self) -> bool:
        """Have its prompts been read whole?"""
        return bool(self.readings) and all(r.state is not None for r in self.readings)


class Scheduler:
    """All jobs of one engine. Nothing here is shared with another thread but `Job.ticket`."""

    def __init__(
        self, decoder: FastDecoder, tags: Tags, ends: frozenset[int], never: int, rows: int,
        memories: Memories,
    ) -> None:  # fmt: skip
        """ends: tokens that end a reply; never: the token that no reply may hold; rows: lines in
        use at once."""
        self.decoder, self.tags, self.ends, self.never = decoder, tags, ends, never
        self.rows, self.memories = rows, memories
        self.cache = decoder.cache()
        self.waiting: deque[Job] = deque()
        self.reading: deque[Seat] = deque()
        self.writing: list[Seat] = []

    @property
    def idle(self) -> bool:
        """Is there nothing to do?"""
        return not (self.waiting or self.reading or self.writing)

    def add(self, job: Job) -> None:
        """The job waits behind those that came before."""
        self.waiting.append(job)

    def round(self) -> None:
        """One round of work; see the head of this file."""
        self._dismiss()
        self._admit()
        read = self._read()
        if self.writing or read:
            self._write(read)

    def rest(self) -> None:
        """Nothing is asked any more: give the room of the cache back."""
        self.cache.rest()

    # ------------------------------------------------------------------ 1. dismiss, 2. admit

    def _dismiss(self) -> None:
        for seat in [*self.reading, *self.writing]:
            if seat.job.ticket.done():
                self._leave(seat)
        self.reading = deque(s for s in self.reading if not s.job.ticket.done())
        self.writing = [s for s in self.writing if not s.job.ticket.done()]
        self.waiting = deque(job for job in self.waiting if not job.ticket.done())

    def _admit(self) -> None:
        used = sum(len(seat.job.prompts) for seat in [*self.reading, *self.writing])
        while self.waiting:
            job = self.waiting[0]
            used += len(job.prompts)
            if used > max(self.rows, len(job.prompts)):
                return
            try:
                self.reading.append(self._seat(job))
            except Exception as error:
                settle(job.ticket, error)
                used -= len(job.prompts)
                self.waiting.popleft()
                continue
            if job.seats == job.wanted:
                self.waiting.popleft()
            elif job.seats % BURST == 0:
                self.waiting.rotate(-1)

    def _seat(self, job: Job) -> Seat:
        request, number = job.request, job.seats
        job.seats += 1
        seed = (request.sampling.seed, request.draw + number)
        progress = job.progress[number] if job.progress else None
        return Seat(job, number, Writer(
            self.tags, self.ends, request.sampling, request.thinking, progress, seed
        ))  # fmt: skip

    # ------------------------------------------------------------------------------ 3. read

    def _read(self) -> list[Seat]:
        """Read for one share of time; the seats whose prompts have now been read whole."""
        share = READ_TOKENS * max(1, 8 * len(self.reading) // max(1, len(self.writing)))
        found: list[Seat] = []
        while self.reading and share > 0:
            share -= self._pass(min(share, PASS_TOKENS))
            while self.reading and self.reading[0].read:
                found.append(self.reading.popleft())
        return found

    def _pass(self, share: int) -> int:
        """Read at most `share` tokens for the first seats, all at once; how many it were."""
        batch: list[tuple[Job, Reading, Tensor]] = []
        left = share
        for seat in self.reading:
            if not left or not self._open(seat, [reading.prompt for _, reading, _ in batch]):
                break
            for reading in seat.readings:
                if left and reading.state is None:
                    part = reading.prompt.tail(reading.line.length)[:left]
                    left -= len(part)
                    batch.append((seat.job, reading, part))
        if batch:
            self._extend(batch)
        return share - left

    def _open(self, seat: Seat, others: list[Prompt]) -> bool:
        """Give a seat its lines, with what is remembered of its prompts' beginnings. False where
        one of the others, which are about to be read, shares more with it: then it can wait."""
        if seat.readings:
            return True
        found = [self._remembered(seat.job, prompt) for prompt in seat.job.prompts]
        for prompt, (_, known) in zip(seat.job.prompts, found, strict=True):
            if known < len(prompt.symbols) and any(
                other is prompt or shared(other.symbols, prompt.symbols) >= known + BLOCK
                for other in others
            ):
                return False
        for prompt, (memory, known) in zip(seat.job.prompts, found, strict=True):
            state = None
            if memory is not None and known == len(prompt.symbols):
                state = memory.state if len(memory.symbols) == known else None
                known -= state is None  # the last token is read again, for the state after it
            line = self.cache.open(memory, known, len(prompt.symbols) + 1)
            seat.readings.append(Reading(prompt, line, state))
        return True

    def _remembered(self, job: Job, prompt: Prompt) -> tuple[Memory | None, int]:
        """The memory with the longest beginning of a prompt, and how many symbols that is."""
        if (whole := job.read.get(prompt)) is not None:
            return whole, len(prompt.symbols)
        memory, known = self.memories.find(prompt.symbols)
        if prompt.memory is not None and known < prompt.known:
            return prompt.memory, prompt.known
        return memory, known

    def _extend(self, batch: list[tuple[Job, Reading, Tensor]]) -> None:
        states = self.decoder.extend([(r.line, part) for _, r, part in batch], self.cache)
        for (job, reading, part), state in zip(batch, states, strict=True):
            job.read_tokens += len(part)
            if reading.line.length == len(reading.prompt.symbols):
                reading.state = state
                memory = self.cache.memory(reading.line, reading.prompt.symbols, state)
                job.read[reading.prompt] = memory
                self.memories.put(memory)

    # ----------------------------------------------------------------------------- 4. write

    def _write(self, read: list[Seat]) -> None:
        """The next token of every seat that writes, and the first of those just read."""
        seats = self.writing + [seat for seat in read if seat.job.request.n]
        self.writing = []
        for seat in read:
            if not seat.job.request.n:
                self._finish(seat)
                self._leave(seat)
        if not seats:
            return
        choices = self._choose(seats, self._logits(seats))
        for seat, choice in zip(seats, choices, strict=True):
            if self._take(seat, choice):
                self.writing.append(seat)
            else:
                self._leave(seat)

    def _logits(self, seats: list[Seat]) -> Tensor:
        """Logits [lines, V] of all lines of all seats, in their order."""
        old = {line: seat.token for seat in seats for line in self._fed(seat)}
        new = [r.state for seat in seats for r in seat.readings if r.state is not None]
        parts: list[Tensor] = []
        if old:
            for line in old:
                self.cache.make_room(line, line.length + 1)
            self.cache.tidy()
            parts.append(self.decoder.step(old, self.cache))
        if new:
            parts.append(self.decoder.logits(torch.stack(new)))
        for seat in seats:
            for reading in seat.readings:
                reading.state = None
        return torch.cat(parts)

    @staticmethod
    def _fed(seat: Seat) -> list[Line]:
        """The lines that have to read the seat's last token."""
        return [] if seat.readings[0].state is not None else seat.lines

    def _choose(self, seats: list[Seat], logits: Tensor) -> list[Choice]:
        """A choice for every seat, each by its own settings."""
        writers = [seat.writer for seat in seats]
        rows = [writer.sampling for writer in writers]
        heard = self._contrasted(seats, logits)
        sure: dict[int, float] = {}
        if asked := [i for i, row in enumerate(rows) if row.certainty]:
            known = certainty(logits[torch.tensor(_firsts(seats))][torch.tensor(asked)])
            sure = dict(zip(asked, known.tolist(), strict=True))
        uniform = torch.tensor(
            [w.draws.random() for w in writers], dtype=torch.float64, device=heard.device
        )
        tokens, logprobs = choose(ruled(heard, writers, self.never), uniform, rows)
        values = logprobs.gather(-1, tokens[:, None])[:, 0]
        likeliest = {
            i: _likeliest(logprobs[i], row.logprobs) for i, row in enumerate(rows) if row.logprobs
        }
        return [
            Choice(token=token, logprob=value, certainty=sure.get(i), likeliest=likeliest.get(i))
            for i, (token, value) in enumerate(zip(tokens.tolist(), values.tolist(), strict=True))
        ]

    @staticmethod
    def _contrasted(seats: list[Seat], logits: Tensor) -> Tensor:
        """Logits [seats, V], contrasted where a seat has two readings."""
        if len(logits) == len(seats):
            return logits
        firsts = torch.tensor(_firsts(seats), device=logits.device)
        heard = logits[firsts]
        twice = torch.tensor([i for i, s in enumerate(seats) if len(s.readings) == 2])
        strength = [[s.writer.sampling.contrast] for s in seats if len(s.readings) == 2]
        heard[twice] = contrasted(
            heard[twice], logits[firsts[twice] + 1], torch.tensor(strength, device=logits.device)
        )
        return heard

    def _take(self, seat: Seat, choice: Choice) -> bool:
        """Give a seat its token, and the event to who listens; does it go on?"""
        ticket = seat.job.ticket
        room = max(line.length for line in seat.lines) + 1 < self.decoder.limit
        try:
            step = seat.writer.take(choice, room=room)
            if ticket.listen is not None and not ticket.done():
                ticket.listen(Event(
                    reply=seat.number, token=step.token, logprob=step.logprob, forced=step.forced,
                    taken_back=step.taken_back, stop=step.stop,
                ))  # fmt: skip
        except Exception as error:
            settle(ticket, error)
            return False
        seat.token = step.token
        for line in seat.lines:
            line.length -= step.taken_back
        if step.stop:
            seat.job.replies[seat.number] = seat.writer.reply(step.stop)
            self._finish(seat)
        return not step.stop

    def _finish(self, seat: Seat) -> None:
        """A reply has ended, or a prompt that was only to be read; the last keeps the promise."""
        job = seat.job
        if job.ticket.keeps:
            self._keep(seat)
        if len(job.replies) == job.request.n:
            settle(job.ticket, Answered(
                replies=[job.replies[k] for k in range(job.request.n)],
                prompt_tokens=len(job.prompt.symbols), read_tokens=job.read_tokens,
                seconds=time.perf_counter() - job.began,
            ))  # fmt: skip

    def _keep(self, seat: Seat) -> None:
        """Remember for a session what the seat has read and written."""
        line, symbols = seat.lines[0], (*seat.job.prompt.symbols, *seat.writer.row.tokens)
        memory = self.cache.memory(line, symbols[: line.length])
        seat.job.ticket.kept = memory, symbols[line.length :]

    def _leave(self, seat: Seat) -> None:
        for line in seat.lines:
            self.cache.close(line)
        seat.readings = []


def _firsts(seats: list[Seat]) -> list[int]:
    """The number of each seat's first line among all lines."""
    at, found = 0, list[int]()
    for seat in seats:
        found.append(at)
        at += len(seat.readings)
    return found


def _likeliest(logprobs: Tensor, n: int) -> tuple[tuple[int, float], ...]:
    values, tokens = logprobs.topk(n)
    return tuple(zip(tokens.tolist(), values.tolist(), strict=True))
