"""Generation: our engine against `model.generate`, side by side in one run on the nano model.

    python benchmarks/engine.py [--model nano] [--dtype float32]

Equal lengths: 64 prompts, every reply exactly 96, then exactly 256 tokens (the shorter the reply,
the more of the time is the prompt's, which both read alike). Mixed lengths: 256 prompts whose
replies end after 8 to 192 tokens (long-tailed, as thoughts are); `generate` runs them in batches of
64 and each batch waits for its longest reply. Both decode greedily in one precision on one thread,
and the reply lengths are imposed on both in the same way: no end-of-turn token before the row's
length, one at it. Prints tokens per second and the ratio, best of three alternating rounds.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch
from machine import on
from transformers import LogitsProcessor, LogitsProcessorList

from auscult import gym
from auscult.engine import Engine, Sampling, Thinking
from auscult.engine import engine as engine_module
from auscult.gym.render import question_turns
from auscult.model.weights import open_model
from auscult.types import Turn

TASKS = [t for t in gym.TASKS if t not in gym.SPEECH_TASKS]


def conversations(n: int) -> list[list[Turn]]:
    """n held-out gym questions."""
    items = [gym.make(TASKS[i % len(TASKS)], i, split="heldout") for i in range(n)]
    return [question_turns(item) for item in items]


class Lengths(LogitsProcessor):
    """Ends each row of a `generate` batch after its own number of tokens."""

    def __init__(self, lengths: Sequence[int], prompt: int, eos: int) -> None:
        self.lengths, self.prompt, self.eos = torch.tensor(lengths), prompt, eos

    def __call__(self, input_ids, scores):  # type of transformers' interface
        last = input_ids.shape[1] - self.prompt + 1 >= self.lengths
        scores[:, self.eos] = torch.where(last, 1e9, -1e9)
        return scores


def run_generate(model, processor, turns, lengths, batch: int) -> float:
    """Seconds for all prompts in batches, sound and prompts included."""
    eos = processor.tokenizer.eos_token_id
    began = time.perf_counter()
    for at in range(0, len(turns), batch):
        texts, clips = zip(*[processor.render(t) for t in turns[at : at + batch]], strict=True)
        inputs = processor(list(texts), audio=list(clips))
        rule = Lengths(lengths[at : at + batch], inputs["input_ids"].shape[1], eos)
        with torch.inference_mode():
            model.generate(
                **inputs, do_sample=False, max_new_tokens=max(lengths[at : at + batch]),
                logits_processor=LogitsProcessorList([rule]),
            )  # fmt: skip
    return time.perf_counter() - began


def run_engine(engine: Engine, turns, lengths) -> float:
    """Seconds for all prompts with refill, the same lengths imposed."""
    eos = engine.processor.tokenizer.eos_token_id
    plain = engine_module._Batch._masked

    def masked(self, logits, rows):
        logits = plain(self, logits, rows)
        last = torch.tensor([len(r.tokens) + 1 >= lengths[r.request] for r in rows])
        logits[:, eos] = torch.where(last, 1e9, -1e9)
        return logits

    engine_module._Batch._masked = masked
    began = time.perf_counter()
    replies = engine.reply(
        turns, sampling=Sampling(max_tokens=max(lengths)), thinking=Thinking(minimum=0)
    )
    seconds = time.perf_counter() - began
    engine_module._Batch._masked = plain
    made = [len(r.tokens) for r in replies]
    if made != list(lengths):
        raise RuntimeError(f"lengths differ: {made[:8]} instead of {list(lengths)[:8]}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, processor = open_model(args.model, device="cpu", dtype=getattr(torch, args.dtype))
    engine = Engine(model, processor, rows=64)
    rng = np.random.default_rng(0)
    mixed = np.clip(rng.lognormal(3.5, 0.8, 256), 8, 192).astype(int).tolist()
    cases = (("equal 96", [96] * 64), ("equal 256", [256] * 64), ("mixed", mixed))
    for name, lengths in cases:
        turns = conversations(len(lengths))
        best = {"generate": float("inf"), "engine": float("inf")}
        for _ in range(args.rounds):
            best["generate"] = min(
                best["generate"], run_generate(model, processor, turns, lengths, 64)
            )
            best["engine"] = min(best["engine"], run_engine(engine, turns, lengths))
        rate = {k: sum(lengths) / v for k, v in best.items()}
        print(
            f"{name:9} lengths: generate {rate['generate']:7.0f} tok/s, "
            f"engine {rate['engine']:7.0f} tok/s, "
            f"ratio {rate['engine'] / rate['generate']:.2f}{on()}"
        )


if __name__ == "__main__":
    main()
