"""The shipped checkpoints are what their card says."""

import json
import re

import pytest
import torch

from auscult import gym
from auscult.audio import speech
from auscult.engine import Engine, Sampling, Thinking
from auscult.evaluate.gym_suite import run_task
from auscult.evaluate.stats import grouped_mean
from auscult.model.weights import SHIPPED, locate, open_model

TASKS = [t for t in gym.TASKS if speech.available() or t not in gym.SPEECH_TASKS]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(*open_model("nano", device="cpu"), sampling=Sampling(max_tokens=160))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_are_small_and_say_how_they_were_made(name: str):
    folder = locate(name)
    assert (folder / "model.safetensors").stat().st_size <= 16 * 2**20
    record = json.loads((folder / "training.json").read_text())
    assert {"config", "environment", "parent", "result"} <= record.keys()
    card = (folder / "README.md").read_text()
    for word in ("licence", "seed", "Command", "held-out", "interval", "Limits"):
        assert re.search(word, card, re.IGNORECASE), word
    assert open_model(name, device="cpu")[0].num_parameters() <= 4_000_000


def test_nano_is_far_above_chance_on_a_sample_of_held_out_items(engine: Engine):
    groups = [
        [s.right for s in run_task(
            engine, task, n=8, level=1, condition="sound", thinking=Thinking()
        )]
        for task in TASKS
    ]  # fmt: skip
    assert grouped_mean(groups).mean > 0.7


def test_nano_needs_the_sound(engine: Engine):
    tasks = ("event_name", "note_count", "background", "tempo")

    def mean(condition: str) -> float:
        return grouped_mean([
            [s.right for s in run_task(
                engine, t, n=24, level=1, condition=condition, thinking=Thinking()
            )]
            for t in tasks
        ]).mean  # fmt: skip

    own = mean("sound")
    assert own - mean("silence") > 0.25 and own - mean("swapped") > 0.25


def test_nano_answers_in_bf16_as_it_does_in_float32(engine: Engine):
    other = Engine(
        *open_model("nano", device="cpu", dtype=torch.bfloat16), sampling=Sampling(max_tokens=160)
    )
    a, b = (
        [s.answer for t in TASKS[:6] for s in run_task(
            e, t, n=8, level=1, condition="sound", thinking=Thinking()
        )]
        for e in (engine, other)
    )  # fmt: skip
    assert sum(x == y for x, y in zip(a, b, strict=True)) >= 0.85 * len(a)
