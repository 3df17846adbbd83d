"""The shipped checkpoints are what their card says."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from auscult import gym
from auscult.audio import speech
from auscult.engine import Engine, Sampling
from auscult.gym.score import score_answer
from auscult.model import StepAudio2Encoder
from auscult.model.weights import SHIPPED, locate, open_model
from auscult.train.rl.rollout import Asking, conversation
from auscult.types import Item, Reply, Turn

TASKS = [t for t in gym.TASKS if speech.available() or t not in gym.SPEECH_TASKS]
HEARD = ("name_note", "event_name", "spoken_digit", "tempo", "background", "approach")
"""Tasks of one step, which nano answers nearly always."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(*open_model("nano", device="cpu"), sampling=Sampling(max_tokens=160))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_are_small_and_say_how_they_were_made(name: str):
    folder = locate(name)
    assert not (folder / "model.safetensors").exists()  # the ear is stored once for both
    record = json.loads((folder / "training.json").read_text())
    assert {"config", "environment", "parent", "result"} <= record.keys()
    card = (folder / "README.md").read_text()
    for word in ("licence", "seed", "Command", "held-out", "interval", "Limits"):
        assert re.search(word, card, re.IGNORECASE), word
    assert open_model(name, device="cpu")[0].num_parameters() <= 16_000_000


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
    return right(*answered(engine, tasks, n, sound))


def right(items: Sequence[Item], replies: Sequence[Reply]) -> float:
    """Share of right answers."""
    scores = [score_answer(i, r.answer) for i, r in zip(items, replies, strict=True)]
    return sum(scores) / len(scores)


def test_nano_is_far_above_chance_on_a_sample_of_held_out_items(engine: Engine):
    assert mean(engine, TASKS, 8) > 0.7


def test_it_does_not_matter_where_in_the_recording_a_sound_lies(engine: Engine):
    """The models before knew clips that begin at once, and nothing half a second later."""
    tasks = [t for t in HEARD if t in TASKS]
    bare = [
        gym.make(t, i, split="heldout", anywhere=False) for t in tasks for i in range(12)
    ]  # fmt: skip
    for seconds in (0.0, 0.5, 2.0):
        before = np.zeros(round(16_000 * seconds), np.float32)
        moved = [
            replace(x, clips=tuple(np.concatenate([before, c]) for c in x.clips)) for x in bare
        ]
        replies = engine.reply([conversation(item, Asking()) for item in moved])
        assert right(moved, replies) > 0.85, seconds


def test_nano_says_that_there_is_nothing_where_there_is_nothing(engine: Engine):
    rng = np.random.default_rng(0)
    quiet = [np.zeros(n, np.float32) for n in (8_000, 24_000, 40_000)]
    noise = [rng.normal(0, g, 24_000).astype(np.float32) for g in (0.003, 0.03, 0.1)]
    for question in ("What do you hear?", "What is heard?", "Is anything to be heard?"):
        asked = [[Turn(role="human", text=question, clips=(x,))] for x in quiet + noise]
        for reply in engine.reply(asked):
            assert "nothing" in f"{reply.thought} {reply.answer}", reply


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
