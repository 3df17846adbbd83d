"""What is asked of an engine and what comes back: requests, promises, token events, text pieces."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from auscult.engine.cache import Memory
from auscult.engine.constraint import Form
from auscult.engine.sampling import Sampling, is_whole
from auscult.engine.thinking import CLOSE_TAG, Tags, Thinking
from auscult.types import Reply, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """n replies to one conversation, with settings of their own; n = 0 only reads it. Reply k draws
    its random numbers from the sampling's seed and `draw` + k alone, so the same request gives the
    same replies, whoever else asks. form: what the answer must look like.

    Example: Request(turns=(Turn(role="human", text="Hello"),), sampling=Sampling(seed=7),
    thinking=Thinking(budget=0)).
    """

    turns: Sequence[Turn]
    n: int = 1
    sampling: Sampling = Sampling()
    thinking: Thinking = Thinking()
    form: Form | None = None
    draw: int = 0

    def __post_init__(self) -> None:
        if not is_whole(self.n) or self.n < 0:
            raise ValueError(f"n must be 0 (only read) or more replies; got {self.n!r}")
        if not is_whole(self.draw) or self.draw < 0:
            raise ValueError(f"draw must be a number of 0 or more; got {self.draw!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One token of reply `reply` of a request. `taken_back` tokens that came before it are
    withdrawn; `stop` is "" until the last token.

    Example: Event(reply=0, token=88, logprob=-0.3, forced=False, taken_back=0, stop="end").
    """

    reply: int
    token: int
    logprob: float
    forced: bool
    taken_back: int
    stop: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The replies to a request. prompt_tokens: of its prompt, of which `read_tokens` had to be read
    (once for all replies) and the others were remembered; seconds: from when it was taken in to its
    last token (others were written at the same time)."""

    replies: list[Reply]
    prompt_tokens: int
    read_tokens: int
    seconds: float


Listen = Callable[[Event], None]
"""Called with every event, in the thread that writes: it must be quick. Where it raises, that is
the error of its own request."""


def _both(first: Listen, second: Listen | None) -> Listen:
    def listen(event: Event) -> None:
        first(event)
        if second is not None:
            second(event)

    return listen


class Ticket(Future[Answered]):
    """The promise of the replies. `cancel` frees their rows before the next token is written;
    `events` are the tokens as they come, where the request was submitted with stream=True."""

    def __init__(self, listen: Listen | None = None, *, stream: bool = False) -> None:
        super().__init__()
        self.keeps = False  # for a session, which then finds here what was read and written
        self.kept: tuple[Memory, tuple[int, ...]] | None = None
        self.queue: queue.SimpleQueue[Event | None] | None = None
        self.listen = listen
        self._cancelling = threading.Lock()
        if stream:
            waiting: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
            self.queue, self.listen = waiting, _both(waiting.put, listen)
            self.add_done_callback(lambda _: waiting.put(None))

    def cancel(self) -> bool:
        """Withdraw the request; whoever waits for it by `concurrent.futures` is told."""
        with self._cancelling:
            fresh = not self.cancelled()
            withdrawn = super().cancel()
            if withdrawn and fresh:
                self.set_running_or_notify_cancel()
        return withdrawn

    def events(self) -> Iterator[Event]:
        """Events until the last reply has ended; then the request's own error, if it failed. An
        iterator that is closed early cancels the request."""
        if self.queue is None:
            raise ValueError("no events are kept for this request; submit it with stream=True")
        try:
            while (event := self.queue.get()) is not None:
                yield event
            self.queue.put(None)  # whoever asks again finds the end
        finally:
            self.cancel()
        self.result()


def settle(future: "Future[Any]", found: Any) -> None:
    """Keep a promise with a result or an error, unless nobody waits for it any more."""
    with suppress(InvalidStateError):
        if isinstance(found, BaseException):
            future.set_exception(found)
        else:
            future.set_result(found)


class Pieces:
    """Turns the events of one reply into text, without cutting characters or showing the tag."""

    def __init__(self, tags: Tags, stop: Sequence[str] = ()) -> None:
        self.tags, self.stop = tags, stop
        self.tokens: list[int] = []
        self.sent = {"thought": 0, "answer": 0}

    def feed(self, event: Event) -> Iterator[tuple[str, str]]:
        """("thought" | "answer", text) that can be shown now and was not shown before, and after
        the last token ("stop", reason)."""
        del self.tokens[len(self.tokens) - event.taken_back :]
        self.tokens.append(event.token)
        final = bool(event.stop)
        thought, tag, answer = self.tags.text(self.tokens).partition(CLOSE_TAG)
        if not tag and not final:
            # Hold back what could still become the tag, or half a character.
            cut = thought.rfind("<")
            thought = thought[:cut] if cut >= 0 and CLOSE_TAG.startswith(thought[cut:]) else thought
        answer = before(answer.lstrip("\n"), self.stop, final=final)
        parts = {"thought": thought.strip("\n"), "answer": answer}
        for name, value in parts.items():
            value = value if final else value.rstrip("\ufffd")
            if len(value) > self.sent[name]:
                yield name, value[self.sent[name] :]
                self.sent[name] = len(value)
        if final:
            yield "stop", event.stop


def before(text: str, stops: Sequence[str], *, final: bool = True) -> str:
    """The text before the first of some stop texts; unless it is final, also without an end that
    could become one."""
    cuts = [at for stop in stops if (at := text.find(stop)) >= 0]
    if cuts:
        return text[: min(cuts)]
    if final or not stops:
        return text
    longest = max(len(stop) for stop in stops) - 1
    for n in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-n:]) for stop in stops):
            return text[:-n]
    return text
