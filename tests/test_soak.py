"""Thousands of requests with random settings, a tenth of them bad or cancelled: no other request
changes, and memory stays flat."""

import gc
import random
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest
from asking import TURNS, forget, small_engine

from auscult.engine import Form, Request, Sampling, Thinking
from auscult.types import Turn

N = 10_000
BAD = (
    [Turn(role="human", text="?", clips=(np.full(4000, np.nan, np.float32),))],
    [Turn(role="human", text="?", clips=(np.zeros(0, np.float32),))],
    [Turn(role="human", text="word " * 3000)],
)


def drawn(rng: random.Random) -> Request:
    """A request as anybody might ask it."""
    sampling = Sampling(
        temperature=rng.choice((0.0, 0.7, 1.0, 1.3)), top_k=rng.choice((0, 0, 5)),
        top_p=rng.choice((1.0, 1.0, 0.8)), repetition_penalty=rng.choice((1.0, 1.0, 1.2)),
        max_tokens=rng.randint(1, 24), min_tokens=rng.choice((0, 0, 6)), seed=rng.randint(0, 99),
        stop=rng.choice(((), (), ("e",))), logprobs=rng.choice((0, 0, 2)),
        contrast=rng.choice((0.0,) * 9 + (0.5,)), certainty=rng.random() < 0.1,
    )  # fmt: skip
    thinking = rng.choice((Thinking(), Thinking(budget=0), Thinking(budget=4), Thinking(minimum=5)))
    form = rng.choice((None,) * 8 + (Form(options=("higher", "lower")),))
    return Request(turns=rng.choice(TURNS), n=rng.choice((1, 1, 1, 3)), sampling=sampling,
                   thinking=thinking, form=form)  # fmt: skip


def megabytes() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


class Soak:
    """Requests in flight, at most 150 at once, and what became of them."""

    def __init__(self, engine, kinds: list[Request]) -> None:
        self.engine, self.kinds = engine, kinds
        self.wanted = []
        for kind in kinds:  # each alone, by an engine that remembers nothing
            forget(engine)
            self.wanted.append(engine.ask([kind])[0].replies)
        self.room, self.wrong = threading.Semaphore(150), []
        self.done = dict.fromkeys(("good", "bad", "cancelled"), 0)

    def submit(self, rng: random.Random) -> None:
        """One more: of 20 one is bad, and one is cancelled, most of these in flight."""
        self.room.acquire()
        number = -1 if rng.random() < 0.05 else rng.randrange(len(self.kinds))
        request = Request(turns=rng.choice(BAD)) if number < 0 else self.kinds[number]
        ticket = self.engine.submit(request)
        ticket.add_done_callback(lambda t: self.check(t, number))
        if rng.random() < 0.05:
            threading.Timer(rng.random() / 20, ticket.cancel).start()

    def check(self, ticket, number: int) -> None:
        """A request has ended."""
        self.room.release()
        try:
            replies = ticket.result().replies
        except CancelledError:
            self.done["cancelled"] += 1
        except ValueError:
            self.done["bad"] += 1
            if number >= 0:
                self.wrong.append(number)
        else:
            self.done["good"] += 1
            if number < 0 or [r.tokens for r in replies] != [r.tokens for r in self.wanted[number]]:
                self.wrong.append(number)


@pytest.mark.slow
def test_ten_thousand_requests_of_all_kinds(tokenizer, processor):
    engine = small_engine(tokenizer, processor, rows=48, prompt_bytes=8 << 20, clip_bytes=1 << 20)
    rng = random.Random(0)
    soak, used = Soak(engine, [drawn(rng) for _ in range(300)]), []
    for i in range(N):
        soak.submit(rng)
        if i % 1000 == 999:
            gc.collect()
            used.append(megabytes())
    for _ in range(150):
        assert soak.room.acquire(timeout=120)
    done = soak.done
    assert soak.wrong == [] and sum(done.values()) == N
    assert done["bad"] > N / 30 and done["cancelled"] > N / 60 and done["good"] > 0.85 * N, done
    assert used[-1] - used[1] < 30, used
