"""Where a sound lies in its recording changes nothing about it, for every task."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult import gym
from auscult.audio import speech
from auscult.audio.hear.measure import onsets, segments
from auscult.audio.synth import SAMPLE_RATE
from auscult.gym.proof.rederive import rederive
from auscult.gym.surround import surround
from auscult.types import Item

TASKS = [t for t in gym.TASKS if speech.available() or t not in gym.SPEECH_TASKS]


def moved(item: Item, before: int, after: int, gain_db: float, offset: float) -> Item:
    """Samples before and after, a change of level for all clips, a constant."""
    factor = np.float32(10 ** (gain_db / 20))
    clips = [
        (np.pad(c, (before, after)) * factor + np.float32(offset)).astype(np.float32)
        for c in item.clips
    ]
    return replace(item, clips=tuple(clips))


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(
    index=st.integers(0, 30),
    before=st.integers(0, 3 * SAMPLE_RATE),
    after=st.integers(0, 3 * SAMPLE_RATE),
    gain_db=st.floats(-20, 0),
    offset=st.floats(-0.05, 0.05),
)
def test_moving_padding_gain_and_a_constant_leave_the_answer_as_it_was(
    task: str, index: int, before: int, after: int, gain_db: float, offset: float
):
    item = gym.make(task, index, split="heldout", anywhere=False)
    assert rederive(moved(item, before, after, gain_db, offset)) == rederive(item)


@pytest.mark.parametrize("task", TASKS)
def test_question_answer_and_words_are_those_of_the_bare_item(task: str):
    for level in (1, 2):
        bare = gym.make(task, 3, level=level, anywhere=False)
        found = gym.make(task, 3, level=level)
        assert replace(found, clips=()) == replace(bare, clips=())
        assert all(len(a) >= len(b) for a, b in zip(found.clips, bare.clips, strict=True))


def starts(task: str, n: int) -> list[float]:
    """When the first sound of each of n items begins, in seconds."""
    return [segments(gym.make(task, i).clips[0], below_peak_db=20)[0][0] for i in range(n)]


def test_sounds_begin_anywhere_within_three_seconds():
    found = np.array(starts("event_count", 150))
    assert np.mean(found < 0.1) > 0.05
    assert np.mean(found > 1.0) > 0.25
    assert len(np.unique(np.round(found, 2))) > 60


def test_sounds_end_anywhere_too():
    clips = [gym.make("note_count", i).clips[0] for i in range(150)]
    rest = np.array([len(c) / SAMPLE_RATE - segments(c, below_peak_db=20)[-1][1] for c in clips])
    assert np.mean(rest < 0.15) > 0.05 and np.mean(rest > 1.0) > 0.25


def test_a_few_recordings_are_long():
    seconds = [len(gym.make("event_name", i).clips[0]) / SAMPLE_RATE for i in range(400)]
    long = [s for s in seconds if s > 10]
    assert 1 <= len(long) <= 25 and max(seconds) <= 30.0 + 1e-6


def test_rests_between_sounds_are_sometimes_long():
    gaps = [
        g
        for i in range(60)
        for g in np.diff(onsets(gym.make("event_count", i, anywhere=False).clips[0]))
    ]
    assert np.mean(np.array(gaps) > 0.6) > 0.03


def test_levels_differ_between_items_and_never_between_the_clips_of_one():
    bare = [gym.make("melody_changed", i, anywhere=False) for i in range(60)]
    found = [gym.make("melody_changed", i) for i in range(60)]

    def peaks(item: Item) -> np.ndarray:
        return np.array([np.abs(clip).max() for clip in item.clips])

    gains = [peaks(f) / peaks(b) for f, b in zip(found, bare, strict=True)]
    decibel = 20 * np.log10(np.array(gains))
    assert np.ptp(decibel[:, 0]) > 15
    # What lies behind may add to a peak; the gain itself is one.
    assert np.abs(decibel[:, 0] - decibel[:, 1]).max() < 0.5


@pytest.mark.parametrize("task", ["noisier_clip", "background", "breathiness"])
@pytest.mark.parametrize("level", [1, 3])
def test_nothing_is_added_to_a_sound_that_is_asked_about_its_noise_or_room(task: str, level: int):
    for i in range(12):
        item, bare = gym.make(task, i, level=level), gym.make(task, i, level=level, anywhere=False)
        for clip, own in zip(item.clips, bare.clips, strict=True):
            begin = int(np.argmax(clip != 0))
            inside = clip[begin : begin + len(own)]
            factor = np.dot(inside, own) / np.dot(own, own)
            np.testing.assert_allclose(inside, own * factor, atol=1e-6)
            assert not clip[:begin].any() and not clip[begin + len(own) :].any()


def test_the_surroundings_are_a_pure_function_of_the_generator():
    item = gym.make("event_count", 1, level=2, anywhere=False)
    a, b = (surround(np.random.default_rng(5), item) for _ in range(2))
    np.testing.assert_array_equal(a.clips[0], b.clips[0])
