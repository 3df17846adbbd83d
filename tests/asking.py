"""What the tests of the engine share: a small engine with room for long prompts, and requests."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from conftest import randomise, tiny_config

from auscult import gym
from auscult.engine import Engine, Request, Sampling, Thinking
from auscult.gym.render import question_turns
from auscult.model import StepAudio2ForCausalLM
from auscult.types import Reply

TASKS = ("tempo", "background", "note_count")
TURNS = [
    question_turns(gym.make(TASKS[i % 3], i, split="heldout", anywhere=False)) for i in range(12)
]
LOOPS = {"loop": 0, "min_tokens": 10_000}  # written until max_tokens


def small_engine(tokenizer, processor, rows: int = 3, positions: int = 2048, **more) -> Engine:
    """Two layers, random weights that do not shout, clips of up to 30 s."""
    config = tiny_config(tokenizer)
    config = tiny_config(
        tokenizer,
        text_config=config.text_config.to_dict() | {"max_position_embeddings": positions},
        audio_encoder_config={
            "n_audio_ctx": 1500, "n_audio_state": 32, "n_audio_head": 2, "n_audio_layer": 1,
        },
    )  # fmt: skip
    model = StepAudio2ForCausalLM(config).eval()
    randomise(model)
    with torch.no_grad():
        model.lm_head.weight.mul_(0.15)
    return Engine(model, processor, rows=rows, **more)


def request(i: int, n: int = 1, think: Thinking | None = None, **sampling) -> Request:
    given = {"temperature": 1.0, "max_tokens": 4 + i % 7, "seed": i} | sampling
    thinking = think or Thinking(budget=3)
    return Request(turns=TURNS[i % 12], n=n, sampling=Sampling(**given), thinking=thinking)


def forget(engine: Engine) -> None:
    """Nothing is remembered of what was heard and read."""
    engine.memories.clear()
    engine.listener.forget()


def counted(engine: Engine) -> list[int]:
    """How many rows each step of the decoder wrote, as a list that grows."""
    steps, step = [], engine.decoder.step

    def counting(tokens, cache):
        steps.append(len(tokens))
        return step(tokens, cache)

    engine.decoder.step = counting
    return steps


def assert_alike(found: Sequence[Sequence[Reply]], wanted: Sequence[Sequence[Reply]]) -> None:
    """The same words and ends; log-probabilities to what the order of a processor's sums leaves
    open: a row among others is not multiplied in the same blocks everywhere."""
    assert [len(some) for some in found] == [len(some) for some in wanted]
    for a, b in zip(itertools.chain(*found), itertools.chain(*wanted), strict=True):
        assert replace(a, logprobs=()) == replace(b, logprobs=())
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)


def captioned(text: str) -> str:
    """Every sentence of a text, told by a caption."""
    return f"The caption says {text}".replace(". ", ". The caption says ")
