"""Scores, intervals and the gym suite."""

import json

import numpy as np
import pytest
from conftest import tiny_config
from hypothesis import given
from hypothesis import strategies as st

from auscult import gym
from auscult.engine import Engine, Sampling, Thinking
from auscult.evaluate import fsdd
from auscult.evaluate.gym_suite import (
    CONDITIONS,
    Protocol,
    blind_guess,
    markdown,
    run_suite,
)
from auscult.evaluate.stats import grouped_mean, paired_difference, wilson
from auscult.gym.score import normalise, score_answer
from auscult.model import StepAudio2ForCausalLM


def test_wilson_matches_the_textbook():
    e = wilson(180, 200)
    assert (round(e.mean, 3), round(e.low, 3), round(e.high, 3)) == (0.9, 0.851, 0.934)
    with pytest.raises(ValueError, match="at least one observation"):
        wilson(0, 0)


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilson_holds_the_mean_and_stays_in_range(right: int, extra: int):
    e = wilson(right, right + extra)
    assert 0 <= e.low <= e.mean <= e.high <= 1


def test_wilson_of_none_right_begins_at_none():
    assert wilson(0, 3).low == 0.0 and wilson(3, 3).high == 1.0


def test_paired_differences_use_the_pairs():
    first, second = [1.0, 1.0, 0.0, 1.0] * 25, [0.0, 1.0, 0.0, 1.0] * 25
    e = paired_difference(first, second)
    assert e.mean == 0.25 and 0.1 < e.low < 0.25 < e.high < 0.4
    with pytest.raises(ValueError, match="same items twice"):
        paired_difference([1.0], [])


def test_every_task_counts_the_same_in_the_mean():
    e = grouped_mean([[1.0] * 90, [0.0] * 10])
    assert e.mean == 0.5 and e.n == 100


@pytest.mark.parametrize(
    ("given_", "score"),
    [
        ("lower", 1), (" Lower. ", 1), ("The answer is lower", 1), ("B", 1), ("b.", 1),
        ("(B) lower", 1), ("higher", 0), ("A", 0), ("A. lower", 0), ("B. higher", 0), ("C", 0),
        ("", 0), ("lower or higher", 0), ("it is lower than that", 0), ("lowerlower", 0),
    ],
)  # fmt: skip
def test_answers_by_text_letter_or_both_and_nothing_else(given_: str, score: float):
    item = gym.make("pitch_direction", 0)
    item = type(item)(
        **{f: getattr(item, f) for f in type(item).__slots__}
        | {"options": ("higher", "lower"), "answer": "lower"}
    )
    assert score_answer(item, given_) == score


def test_number_words_are_numbers():
    assert normalise("Four.") == normalise(" 4 ") == "4"


def test_controls_change_the_sound_and_nothing_else():
    items = [gym.make("tempo", i, split="heldout") for i in range(3)]
    own, silent, swapped = (CONDITIONS[c](items, 2)[0] for c in ("sound", "silence", "swapped"))
    assert own.text == silent.text == swapped.text
    assert not np.any(silent.clips[0]) and len(silent.clips[0]) == len(own.clips[0])
    assert swapped.clips[0] is items[0].clips[0]
    assert CONDITIONS["twin"](items, 2)[0].clips == ()


def test_guessing_without_sound_is_measured_as_chance():
    e = blind_guess("pitch_direction", n=200, level=1)
    assert e.low < 0.5 < e.high


def test_the_suite_resumes_and_its_table_has_every_task(tokenizer, processor, tmp_path):
    config = tiny_config(tokenizer, audio_encoder_config={
        "n_audio_ctx": 400, "n_audio_state": 32, "n_audio_head": 2, "n_audio_layer": 1,
    })  # fmt: skip
    engine = Engine(StepAudio2ForCausalLM(config), processor, sampling=Sampling(max_tokens=4))
    protocols = [
        Protocol(name="thinking", condition="sound", thinking=Thinking(), n=3),
        Protocol(name="direct", condition="sound", thinking=Thinking(budget=0), n=3),
    ]
    tasks = ("tempo", "background")
    results = run_suite(engine, tasks, protocols, tmp_path)
    stamps = {f: f.stat().st_mtime_ns for f in tmp_path.iterdir()}
    assert len(stamps) == 5  # four pairs of task and protocol, and whose they are
    assert run_suite(engine, tasks, protocols, tmp_path) == results
    assert {f: f.stat().st_mtime_ns for f in tmp_path.iterdir()} == stamps
    line = json.loads(next(f for f in stamps if f.suffix == ".jsonl").read_text().splitlines()[0])
    assert {"key", "right", "thought", "answer", "truth", "stop"} <= line.keys()
    with pytest.raises(ValueError, match="holds answers under other conditions"):
        run_suite(engine, tasks, protocols, tmp_path, weights="another model")
    table = markdown(results, tmp_path)
    assert all(f"| {t} | 3 |" in table for t in tasks) and "mean of tasks" in table


def test_real_digits_need_the_published_names(tmp_path):
    with pytest.raises(ValueError, match="holds no file named"):
        fsdd.digit_files(tmp_path)
    for name in ("3_anna_0.wav", "notes.wav", "7_anna_1.wav"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in fsdd.digit_files(tmp_path)] == ["3_anna_0.wav", "7_anna_1.wav"]
