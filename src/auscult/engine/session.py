"""A conversation of several turns, of which each is read once.

    session = Session(engine, [Turn(role="system", text="You hear well.")])
    session.append(Turn(role="human", clips=(piece,), text=""))       # read as it comes in
    other = session.fork()                                            # shares all that was read
    ticket = session.reply(Turn(role="human", text="What was that?"), stream=True)
    for event in ticket.events(): ...                                 # ticket.cancel() at any time

What was read and written stays as keys and values; only what is new is read. A piece of sound is
encoded by itself, so a piece is the unit in which sound comes in. A reply that is cancelled or
fails leaves the session as it was before; what was heard of it can be appended as a turn.
"""

from collections.abc import Sequence

from auscult.engine.constraint import Form
from auscult.engine.engine import Engine
from auscult.engine.reading import Spoken
from auscult.engine.request import Listen, Request, Ticket
from auscult.engine.sampling import Sampling
from auscult.engine.thinking import Thinking
from auscult.model.processor import THINK_OPEN
from auscult.types import Turn


class Session:
    """See the head of this file. For one thread at a time; a call waits for the one before."""

    def __init__(self, engine: Engine, turns: Sequence[Turn] = ()) -> None:
        """turns: what comes first; it is read with the first call."""
        self.engine, self.unread, self.state = engine, tuple(turns), engine.state
        self.so_far: Spoken | None = None
        self.last: tuple[Ticket, tuple[Turn, ...]] | None = None  # in flight, with its turns

    @property
    def tokens(self) -> int:
        """How many tokens the session holds."""
        self._wait()
        return 0 if self.so_far is None else len(self.so_far.memory.symbols) + len(self.so_far.rest)

    def append(self, *turns: Turn) -> Ticket:
        """Read turns without a reply: pieces of sound as they come, words that were spoken."""
        return self._ask(Request(turns=(), n=0), turns)

    def reply(
        self, *turns: Turn, sampling: Sampling | None = None, thinking: Thinking | None = None,
        form: Form | None = None, stream: bool = False, listen: Listen | None = None,
    ) -> Ticket:  # fmt: skip
        """Read turns, think and answer; the reply becomes part of the session when it has ended."""
        engine = self.engine
        request = Request(
            turns=(), sampling=sampling or engine.sampling, thinking=thinking or engine.thinking,
            form=form,
        )  # fmt: skip
        if request.sampling.contrast:
            raise ValueError("contrast is not for sessions; ask with the whole conversation")
        return self._ask(request, turns, stream=stream, listen=listen)

    def fork(self) -> "Session":
        """Another session that goes on from here; what was read is shared."""
        self._wait()
        other = Session(self.engine, self.unread)
        other.so_far, other.state = self.so_far, self.state
        return other

    def cancel(self) -> None:
        """Withdraw what is in flight; the session is as it was before."""
        if self.last is not None:
            self.last[0].cancel()

    def _ask(
        self, request: Request, turns: Sequence[Turn], *, stream: bool = False,
        listen: Listen | None = None,
    ) -> Ticket:  # fmt: skip
        self._wait()
        if self.state != self.engine.state:
            raise ValueError("the weights have changed since this session began; open a new one")
        new = (*self.unread, *turns)
        asked = Request(
            turns=new, n=request.n, sampling=request.sampling, thinking=request.thinking,
            form=request.form,
        )  # fmt: skip
        ticket = self.engine.submit(
            asked, stream=stream, listen=listen, so_far=self.so_far, keeps=True
        )
        self.last = ticket, new
        return ticket

    def _wait(self) -> None:
        """Take in what the last call has read and written, once it is done."""
        if self.last is None:
            return
        (ticket, turns), self.last = self.last, None
        if ticket.cancelled() or ticket.exception() is not None or ticket.kept is None:
            return
        before = () if self.so_far is None else self.so_far.turns
        said = tuple(
            Turn(role="assistant", text=THINK_OPEN + self.engine.tags.text(list(reply.tokens)))
            for reply in ticket.result().replies
        )
        memory, rest = ticket.kept
        self.unread, self.so_far = (), Spoken((*before, *turns, *said), memory, rest)
