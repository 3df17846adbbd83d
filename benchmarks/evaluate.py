"""Evaluation against the bare engine: does inspect_ai keep it full?

    python benchmarks/evaluate.py [--model nano] [--n 1000]

The same held-out gym questions (of the tasks without words: espeak-ng would take part of the second
core), greedy, thinking freely: once through `Engine.several` alone in a
process with one thread, and once as `auscult eval` runs them (the framework in this process, the
engine in one of its own; without the check of thoughts, which is measured apart). Tokens per second
and their ratio, for one, two and eight replies to a question. Needs two cores. The framework's
seconds are those of its log: from the task's start to its end, sounds written, scores included.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from machine import on

from auscult import gym
from auscult.bench.gym import load
from auscult.engine import Engine, Sampling, Thinking
from auscult.evaluate.door import Effort, model_named, run
from auscult.evaluate.protocol import Protocol
from auscult.evaluate.results.runs import runs_in
from auscult.gym.render import question_turns
from auscult.model.weights import open_model

TASKS = tuple(t for t in gym.TASKS if t not in gym.SPEECH_TASKS)


def alone(engine: Engine, keys: list[str], samples: int) -> float:
    """Tokens per second of the engine with all conversations in hand."""
    parts = [key.split("/") for key in keys]
    items = [gym.make(p[1], int(p[4]), split=p[2], level=int(p[3])) for p in parts]
    turns = [question_turns(item) for item in items]
    sampling = Sampling(max_tokens=160, temperature=0.0 if samples == 1 else 1.0)
    began = time.perf_counter()
    groups = engine.several(turns, samples, sampling=sampling, thinking=Thinking())
    seconds = time.perf_counter() - began
    return sum(len(r.tokens) for group in groups for r in group) / seconds


def evaluated(protocol: Protocol, model: str) -> tuple[float, float]:
    """Tokens per second through the framework, and the seconds of its log."""
    with tempfile.TemporaryDirectory() as folder:
        effort = Effort(display="none")
        run([protocol], model_named(model), Path(folder), effort)
        (found,) = runs_in(Path(folder))
        written = sum(row.output_tokens for row in found.rows)
        return written / found.seconds, found.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--n", type=int, default=1000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    per_task = max(1, round(args.n / len(TASKS)))
    engine = Engine(*open_model(args.model, device="cpu"), rows=64)
    evaluated(Protocol(suite="gym", data="n=1", verify=False), args.model)  # opens the process
    for samples in (1, 2, 8):
        n = max(1, per_task // min(samples, 4))
        data = f"n={n},tasks={'+'.join(TASKS)}"
        keys = [q.key for q in load(Path(data))]
        protocol = Protocol(
            suite="gym", data=data, samples=samples, verify=False,
            temperature=None if samples == 1 else 1.0,
        )  # fmt: skip
        bare = alone(engine, keys, samples)
        through, seconds = evaluated(protocol, args.model)
        print(
            f"{len(keys)} questions, {samples} replies each: engine alone {bare:6.0f} tok/s, "
            f"evaluation {through:6.0f} tok/s ({seconds:.0f} s), ratio {through / bare:.2f}{on()}"
        )
    checked, seconds = evaluated(
        Protocol(suite="gym", data=f"n={max(1, per_task // 4)}"), args.model
    )
    print(f"with every thought checked: {checked:6.0f} tok/s ({seconds:.0f} s){on()}")


if __name__ == "__main__":
    main()
