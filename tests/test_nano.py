"""The shipped checkpoints are what their card says."""

import json
import re
from collections.abc import Sequence

import pytest
import torch

from auscult import gym
from auscult.audio import speech
from auscult.engine import Engine, Sampling
from auscult.gym.score import score_answer
from auscult.model import StepAudio2Encoder
from auscult.model.weights import SHIPPED, locate, open_model
from auscult.train.rl.rollout import Asking, conversation
from auscult.types import Item, Reply

TASKS = [
    t for t in gym.TASKS
    if (speech.available() or t not in gym.SPEECH_TASKS) and not t.startswith("manner")
]  # fmt: skip
"""What the shipped models were taught: no manner of speaking, and sounds that begin at once."""


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


def test_the_shipped_ear_is_stored_once_in_sixteen_bits_and_says_how_it_was_made():
    folder = locate("ear")
    weights = sum(f.stat().st_size for f in folder.parent.rglob("*.safetensors"))
    assert weights <= 40 * 2**20
    assert StepAudio2Encoder.from_pretrained(folder).dtype == torch.float16
    assert {"config", "environment", "result"} <= json.loads(
        (folder / "training.json").read_text()
    ).keys()
    card = (folder / "README.md").read_text()
    for word in ("licence", "seed", "Command", "held-out", "interval", "Limits", "GPL", "MIT"):
        assert word.lower() in card.lower(), word
    assert "MIT License" in (folder / "LICENSE.whisper").read_text()


def answered(
    engine: Engine, tasks: Sequence[str], n: int, sound: str = "own"
) -> tuple[list[Item], list[Reply]]:
    """The first n held-out items of each task and the replies to them."""
    items = [gym.make(task, i, split="heldout") for task in tasks for i in range(n)]
    return items, engine.reply([conversation(item, Asking(sound=sound)) for item in items])


def mean(engine: Engine, tasks: Sequence[str], n: int, sound: str = "own") -> float:
    """Share of right answers; every task counts the same."""
    pairs = zip(*answered(engine, tasks, n, sound), strict=True)
    values = [score_answer(item, reply.answer) for item, reply in pairs]
    return sum(values) / len(values)


def test_nano_is_far_above_chance_on_a_sample_of_held_out_items(engine: Engine):
    assert mean(engine, TASKS, 8) > 0.7


def test_nano_needs_the_sound(engine: Engine):
    tasks = ("event_name", "note_count", "background", "tempo")
    own, silent, swapped = (mean(engine, tasks, 24, s) for s in ("own", "silence", "swapped"))
    assert own - silent > 0.25 and own - swapped > 0.25


def test_nano_answers_in_bf16_as_it_does_in_float32(engine: Engine):
    other = Engine(
        *open_model("nano", device="cpu", dtype=torch.bfloat16), sampling=Sampling(max_tokens=160)
    )
    a, b = ([r.answer for r in answered(e, TASKS[:6], 8)[1]] for e in (engine, other))
    assert sum(x == y for x, y in zip(a, b, strict=True)) >= 0.85 * len(a)
