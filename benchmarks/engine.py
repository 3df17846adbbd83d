"""Generation: our engine against `model.generate` and against itself, on the nano model.

    python benchmarks/engine.py [--only lengths settings prompts latency] [--clock cpu]

lengths: 64 prompts with replies of exactly 96, then exactly 256 tokens (the shorter the reply, the
more of the time is the prompt's, which both read alike), then 256 prompts whose replies end after 8
to 192 tokens (long-tailed, as thoughts are); `generate` runs them in batches of 64 and each batch
waits for its longest reply. The reply lengths are imposed on both.
prompts: 56 short questions and 8 about 100 s of sound, 64 tokens each; `generate` runs them sorted
by length in batches of 8.
settings: 64 requests of 48 tokens with eight settings mixed in one call, against the mean of eight
calls of equal settings (the same requests), and against all of them greedy.
latency: time from `submit` to the first token while 15 other replies are being written, and of the
second turn over a 20 s clip in a session and without one.

Everything runs in turns in one process that is held to one core (the engine hears in a thread of
its own, `generate` does not), and of all rounds the best counts. On a machine that others use, too,
`--clock cpu` counts the seconds that the core worked for this process.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from machine import on
from transformers import LogitsProcessor, LogitsProcessorList

from auscult import gym
from auscult.engine import Engine, Request, Sampling, Session, Thinking
from auscult.gym.render import question_turns
from auscult.model.weights import open_model
from auscult.types import Turn

TASKS = [t for t in gym.TASKS if t not in gym.SPEECH_TASKS]
FREE = Thinking(minimum=0)
SETTINGS: tuple[tuple[Sampling, Thinking], ...] = (
    (Sampling(), FREE),
    (Sampling(temperature=1.0), FREE),
    (Sampling(temperature=0.7, top_p=0.9), FREE),
    (Sampling(temperature=1.0, top_k=40), Thinking()),
    (Sampling(repetition_penalty=1.1), FREE),
    (Sampling(temperature=1.0), Thinking(budget=16)),
    (Sampling(), Thinking(budget=0)),
    (Sampling(temperature=1.0, certainty=True, logprobs=2), FREE),
)


def conversations(n: int, first: int = 0) -> list[list[Turn]]:
    """n held-out gym questions."""
    numbers = range(first, first + n)
    return [question_turns(gym.make(TASKS[i % len(TASKS)], i, split="heldout")) for i in numbers]


class Lengths(LogitsProcessor):
    """Ends each row of a `generate` batch after its own number of tokens."""

    def __init__(self, lengths: Sequence[int], prompt: int, eos: int) -> None:
        self.lengths, self.prompt, self.eos = torch.tensor(lengths), prompt, eos

    def __call__(self, input_ids, scores):  # type of transformers' interface
        last = input_ids.shape[1] - self.prompt + 1 >= self.lengths
        scores[:, self.eos] = torch.where(last, 1e9, -1e9)
        return scores


def run_generate(model, processor, turns, lengths, batch: int) -> None:
    """All prompts in batches, sound and prompts included."""
    eos = processor.tokenizer.eos_token_id
    for at in range(0, len(turns), batch):
        texts, clips = zip(*[processor.render(t) for t in turns[at : at + batch]], strict=True)
        inputs = processor(list(texts), audio=list(clips))
        rule = Lengths(lengths[at : at + batch], inputs["input_ids"].shape[1], eos)
        with torch.inference_mode():
            model.generate(
                **inputs, do_sample=False, max_new_tokens=max(lengths[at : at + batch]),
                logits_processor=LogitsProcessorList([rule]),
            )  # fmt: skip


def exactly(turns, length: int, sampling: Sampling = SETTINGS[0][0], thinking=FREE) -> Request:
    """A request whose reply has so many tokens."""
    sampling = replace(sampling, max_tokens=length, min_tokens=length + 1, loop=0)
    return Request(turns=turns, sampling=sampling, thinking=thinking)


def run_engine(engine: Engine, requests: Sequence[Request]) -> None:
    """All requests at once, by an engine that remembers nothing of them."""
    engine.memories.clear()
    engine.listener.forget()
    for request, answered in zip(requests, engine.ask(requests), strict=True):
        made = len(answered.replies[0].tokens)
        if made != request.sampling.max_tokens:
            raise RuntimeError(f"{made} tokens instead of {request.sampling.max_tokens}")


def best(args: argparse.Namespace, ways: dict[str, Callable[[], None]]) -> dict[str, float]:
    """The least seconds of each way, run in turns."""
    clock = time.process_time if args.clock == "cpu" else time.perf_counter
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(args.rounds):
        for name, way in ways.items():
            began = clock()
            way()
            seconds[name] = min(seconds[name], clock() - began)
    return seconds


def tell(name: str, tokens: int, seconds: dict[str, float]) -> None:
    """Tokens per second of both ways and the ratio of the second to the first."""
    (a, first), (b, second) = seconds.items()
    print(
        f"{name:28} {a} {tokens / first:6.0f} tok/s, {b} {tokens / second:6.0f} tok/s, "
        f"ratio {first / second:.2f}{on()}",
        flush=True,
    )


def lengths(engine: Engine, args: argparse.Namespace) -> None:
    """Replies of equal and of mixed lengths."""
    rng = np.random.default_rng(0)
    mixed = np.clip(rng.lognormal(3.5, 0.8, 256), 8, 192).astype(int).tolist()
    for name, made in (("equal 96", [96] * 64), ("equal 256", [256] * 64), ("mixed", mixed)):
        turns = conversations(len(made))
        asked = [exactly(t, n) for t, n in zip(turns, made, strict=True)]
        tell(f"{name} lengths", sum(made), best(args, {
            "generate": lambda turns=turns, made=made:
                run_generate(engine.model, engine.processor, turns, made, 64),
            "engine": lambda asked=asked: run_engine(engine, asked),
        }))  # fmt: skip


def prompts(engine: Engine, args: argparse.Namespace) -> None:
    """Prompts of mixed length."""
    rng = np.random.default_rng(1)
    pieces = 0.1 * rng.standard_normal((8, 4, 25 * 16_000)).astype(np.float32)
    long = [[Turn(role="human", text="What is heard?", clips=tuple(p))] for p in pieces]
    short = conversations(56)
    turns = [t for i in range(8) for t in (*short[i * 7 : i * 7 + 7], long[i])]
    tell("56 short prompts, 8 of 100 s", 64 * 64, best(args, {
        "generate": lambda: run_generate(
            engine.model, engine.processor, [*short, *long], [64] * 64, 8
        ),
        "engine": lambda: run_engine(engine, [exactly(t, 64) for t in turns]),
    }))  # fmt: skip


def settings(engine: Engine, args: argparse.Namespace) -> None:
    """One call of eight settings, eight calls of one each, and all greedy."""
    turns = conversations(64)

    def asked(*kinds: int) -> Callable[[], None]:
        requests = [exactly(t, 48, *SETTINGS[kinds[i % len(kinds)]]) for i, t in enumerate(turns)]
        return lambda: run_engine(engine, requests)

    ways = {f"equal {k}": asked(k) for k in range(8)}
    found = best(args, ways | {"mixed": asked(*range(8))})
    tokens, equal = 64 * 48, sum(found[name] for name in ways) / 8
    tell("mixed settings, mean of equal", tokens, {"equal": equal, "mixed": found["mixed"]})
    tell("mixed settings, all greedy", tokens, {"equal": found["equal 0"], "mixed": found["mixed"]})


def latency(engine: Engine, args: argparse.Namespace) -> None:
    """Milliseconds to the first token among others, and of a second turn."""
    small = Engine(engine.model, engine.processor, rows=16)
    waits: list[float] = []
    for i in range(8 * args.rounds):
        others = [small.submit(exactly(t, 1500), stream=True) for t in conversations(15, 100)]
        for other in others:
            next(other.queue.get() for _ in range(1))
        began = time.perf_counter()
        ticket = small.submit(exactly(conversations(1, 300 + i)[0], 4), stream=True)
        next(ticket.events())
        waits.append(1000 * (time.perf_counter() - began))
        for other in others:
            other.cancel()
    low, middle, high = np.percentile(waits, (10, 50, 90))
    print(f"first token beside 15 replies: median {middle:.0f} ms ({low:.0f} to {high:.0f})")
    clip = 0.1 * np.random.default_rng(2).standard_normal(20 * 16_000).astype(np.float32)
    first = Turn(role="human", text="What is heard?", clips=(clip,))
    then = Turn(role="human", text="How often?")
    session = Session(small)
    session.reply(first, sampling=Sampling(max_tokens=16, loop=0)).result()

    def again(fresh: bool) -> None:
        run_engine(small, [])  # forgets
        turns = [first, Turn(role="assistant", text="Noise."), then] if fresh else [then]
        if fresh:
            small.ask([exactly(turns, 1)])
        else:
            session.fork().reply(then, sampling=Sampling(max_tokens=1)).result()

    seconds = best(args, {"anew": lambda: again(True), "session": lambda: again(False)})
    print(
        f"second turn over 20 s, first token: anew {1000 * seconds['anew']:.0f} ms, in a session "
        f"{1000 * seconds['session']:.0f} ms, ratio "
        f"{seconds['anew'] / seconds['session']:.1f}{on()}"
    )


PARTS = {"lengths": lengths, "prompts": prompts, "settings": settings, "latency": latency}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    model, processor = open_model(args.model, device="cpu", dtype=getattr(torch, args.dtype))
    engine = Engine(model, processor, rows=64)
    for name in args.only:
        PARTS[name](engine, args)


if __name__ == "__main__":
    main()
