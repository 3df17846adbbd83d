"""Tasks with real sound, on a small cache in the form of the real one, and on the real one itself
where it is there."""

import os
from pathlib import Path

import numpy as np
import pytest
from fixture_bank import VOICES

from auscult import gym
from auscult.bench import real as bench
from auscult.bench.files import MissingData
from auscult.gym.proof.rederive import rederive
from auscult.gym.recorded import PLAYED_QUESTIONS, RECORDED, held_out_count, make_recorded
from auscult.gym.recorded.proofs import BY_SOURCE, PROOFS
from auscult.gym.recorded.task import Played, Recorded, dealt
from auscult.gym.score import distractors, score_answer
from auscult.real.bank import available, bank, grouped
from auscult.real.fonts import NoSound
from auscult.real.recording import RealSoundError, default_folder
from auscult.types import Item

HERE = [
    name for name, task in RECORDED.items()
    if isinstance(task, Recorded) and not name.startswith(("sung", "recorded"))
]  # fmt: skip
"""Tasks that the small cache has sound for."""


pytestmark = pytest.mark.usefixtures("small_cache")


def splits(task: str) -> tuple[str, ...]:
    return RECORDED[task].splits


@pytest.mark.parametrize("task", HERE)
def test_items_are_valid_and_the_same_every_time(task: str):
    for split in splits(task):
        for i in range(4):
            item = gym.make(task, i, split=split)
            assert item.key == f"{task}/{split}/1/{i}"
            assert item.features and item.facts and len(item.heard) == len(item.clips)
            assert all(c.dtype == np.float32 and np.abs(c).max() < 1 for c in item.clips)
            if item.options:
                assert item.answer in item.options and len(set(item.options)) == len(item.options)
            assert score_answer(item, item.answer) == 1.0
            if item.options:
                assert not any(score_answer(item, wrong) for wrong in distractors(item))
            again = gym.make(task, i, split=split)
            assert again.question == item.question
            np.testing.assert_array_equal(again.clips[0], item.clips[0])


@pytest.mark.parametrize("task", HERE)
def test_training_never_hears_a_held_out_recording(task: str):
    keys = {s: {r.key for r in bank(s).recordings} for s in ("train", "heldout")}
    assert not keys["train"] & keys["heldout"]
    for split in splits(task):
        for i in range(6):
            facts = gym.make(task, i, split=split).facts
            used = {str(v) for k, v in facts.items() if k.startswith("recording")}
            assert used <= keys[split]


@pytest.mark.parametrize("task", HERE)
def test_held_out_questions_ask_about_every_recording_once(task: str):
    found = RECORDED[task]
    assert isinstance(found, Recorded)
    pool = [r.key for group in found.pool(bank("heldout")).values() for r in group]
    assert held_out_count(task) == len(pool)
    order = [r.key for r in dealt(found.pool(bank("heldout")))]
    assert sorted(order) == sorted(pool)


def test_recordings_of_many_groups_are_dealt_in_turn():
    pool = grouped(bank("heldout").where(lambda r: r.digit != ""), lambda r: r.speaker)
    first = [r.speaker for r in dealt(pool)[:3]]
    assert set(first) == set(VOICES["heldout"])


@pytest.mark.parametrize("task", [t for t in HERE if t in PROOFS])
def test_signal_processing_finds_the_answer_again(task: str):
    items = [
        gym.make(task, i, split="heldout", anywhere=True)
        for i in range(min(12, held_out_count(task)))
    ]
    assert np.mean([score_answer(item, rederive(item)) for item in items]) > 0.9


def test_every_task_is_proved_or_says_what_is_taken_from_its_source():
    assert set(PROOFS) | set(BY_SOURCE) == set(RECORDED)
    assert not set(PROOFS) & set(BY_SOURCE)


def test_answers_are_drawn_evenly_however_many_recordings_they_have():
    answers = [gym.make("real_register", i).answer for i in range(90)]
    assert all(answers.count(name) > 15 for name in ("low", "middle", "high"))


def test_recordings_that_are_held_out_whole_are_refused_in_training():
    with pytest.raises(ValueError, match="piano_name_note is made of held-out recordings alone"):
        gym.make("piano_name_note", 0)


def test_the_bench_clusters_by_voice_and_counts_each_recording_once():
    questions = bench.load(Path("n=40,tasks=real_digit+real_event_name"))
    digits = [q for q in questions if q.task == "real_digit"]
    assert {q.cluster for q in digits} == set(VOICES["heldout"])
    assert len(digits) == held_out_count("real_digit") == 30
    assert len({q.key for q in questions}) == len(questions) == 44


def test_the_bench_names_a_setting_and_a_task_that_it_does_not_know():
    with pytest.raises(ValueError, match="unknown task 'tempo'"):
        bench.load(Path("tasks=tempo"))
    with pytest.raises(ValueError, match="the gym takes settings"):
        bench.load(Path("many=3"))


def test_without_real_sound_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AUSCULT_REAL", str(tmp_path))
    with pytest.raises(RealSoundError, match="make real-sound"):
        gym.make("real_digit", 0)
    with pytest.raises(MissingData, match="make real-sound"):
        bench.load(Path("n=2,tasks=real_digit"))


def test_pitch_is_measured_once_and_a_line_cut_by_a_kill_is_measured_again(cache: Path):
    store = bank("train")
    first = dict(store.pitch_hz)
    path = cache / "pitch.jsonl"
    whole = path.read_text()
    path.write_text(whole[:-5])
    from auscult.real.pitch import median_pitches

    speech = store.where(lambda r: r.kind == "speech")
    assert dict(median_pitches(cache, speech)) == first
    assert abs(first["anna/digits/3"] - 250) < 15


def test_notes_that_an_instrument_lacks_are_drawn_anew(cache: Path, monkeypatch):
    tries: list[int] = []
    item = gym.make("tempo", 0)

    def ask(rng: np.random.Generator, level: int, store: object) -> Item:
        tries.append(int(rng.integers(100)))
        if len(tries) < 3:
            raise NoSound("tuba makes no sound with these notes")
        return item

    monkeypatch.setitem(RECORDED, "real_interval", Played(ask=ask))  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    made = make_recorded("real_interval", rng, index=0, split="train", level=1)
    assert made is item and len(set(tries)) == 3

    def silent(rng: np.random.Generator, level: int, store: object) -> Item:
        raise NoSound("tuba makes no sound with these notes")

    monkeypatch.setitem(RECORDED, "real_interval", Played(ask=silent))  # type: ignore[arg-type]
    with pytest.raises(NoSound, match="tuba"):
        make_recorded("real_interval", rng, index=0, split="train", level=1)


class TestOnTheRealCache:
    """Slow, and only where `make real-sound` has run."""

    @pytest.fixture(autouse=True)
    def _whole(self, small_cache: None, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.delenv("AUSCULT_REAL")
        if not available() or not os.environ.get("AUSCULT_TEST_REAL"):
            pytest.skip(f"NO REAL SOUND asked for in {default_folder()}: AUSCULT_TEST_REAL=1")

    @pytest.mark.slow
    @pytest.mark.parametrize("task", list(PROOFS))
    def test_answers_are_found_again_in_held_out_sound(self, task: str):
        n = min(40, held_out_count(task))
        items = [gym.make(task, i, split="heldout", anywhere=True) for i in range(n)]
        assert np.mean([score_answer(item, rederive(item)) for item in items]) >= 0.85

    @pytest.mark.slow
    @pytest.mark.parametrize("task", list(RECORDED))
    def test_items_can_be_made_in_every_split_they_have(self, task: str):
        for split in splits(task):
            for i in range(8):
                item = gym.make(task, i, split=split, level=1 + i % 3, anywhere=True)
                assert item.answer and all(np.abs(c).max() < 1 for c in item.clips)
        assert isinstance(RECORDED[task], Recorded) or held_out_count(task) == PLAYED_QUESTIONS

    @pytest.mark.slow
    def test_no_held_out_voice_recording_or_font_is_heard_in_training(self):
        train, held = bank("train"), bank("heldout")
        assert not {r.md5 for r in train.recordings} & {r.md5 for r in held.recordings}
        fonts = {
            split: {
                str(gym.make(task, i, split=split).facts.get("font", ""))
                for task in ("real_instrument",) for i in range(20)
            }
            for split in ("train", "heldout")
        }  # fmt: skip
        assert not fonts["train"] & fonts["heldout"]
        assert isinstance(RECORDED["real_instrument"], Played)
