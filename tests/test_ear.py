"""The ear: lessons lie anywhere, alignment trains and resumes, probes read."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from auscult.audio.mel import log_mel
from auscult.cli import main
from auscult.ear import probes, spelling
from auscult.ear.align import Align, Clips, about_loss, align, clips_of, read
from auscult.ear.keep import keep
from auscult.ear.lessons import (
    ABOUT,
    LESSONS,
    MARKS,
    Lesson,
    lesson,
    level_class,
    pitch_class,
    placed,
)
from auscult.ear.probes import PROBES, heard, log_mels, run_probes, table
from auscult.ear.readers import Heard, equal_error, fit, measure
from auscult.ear.spelling import edits
from auscult.model import StepAudio2Encoder
from auscult.model.weights import locate, open_model
from auscult.real.bank import bank
from auscult.train.alignment import Aligner, open_aligner, word_loss
from auscult.train.core import Machine, Rate
from auscult.train.feed.pool import of_encoder
from auscult.train.sft import init_nano

ON_SMALL_CACHE = ("synthetic", "digits", "prompt", "voice", "effect", "strokes", "nothing")
"""Lessons that need no soundfont."""
FP32 = Machine(precision="fp32", checkpoint_minutes=0.0)


pytestmark = pytest.mark.usefixtures("small_cache")


# ---------------------------------------------------------------------------- lessons


@pytest.mark.parametrize("kind", ON_SMALL_CACHE)
def test_a_lesson_is_the_same_every_time_and_has_known_marks(kind: str):
    one, again = lesson(5, 3, (kind,)), lesson(5, 3, (kind,))
    np.testing.assert_array_equal(one.clip, again.clip)
    assert (one.words, dict(one.marks)) == (again.words, dict(again.marks))
    assert one.clip.dtype == np.float32 and np.abs(one.clip).max() <= 1.0
    for name, value in one.marks.items():
        assert 0 <= value < MARKS[name](bank("train"))


def test_lessons_lie_anywhere_and_at_any_level():
    x = np.zeros(8000, dtype=np.float32)
    x[:200] = 0.5
    rng = np.random.default_rng(0)
    found = [placed(rng, Lesson(clip=x, marks={}, bare=True)) for _ in range(200)]
    starts = [int(np.flatnonzero(one.clip)[0]) for one in found]
    assert min(starts) == 0 and max(starts) > 16000 and len(set(starts)) > 50
    levels = {one.marks["level"] for one in found}
    assert len(levels) > 8
    assert all("noise" not in one.marks for one in found)


def test_what_noise_would_change_is_left_bare():
    x = np.zeros(4000, dtype=np.float32)
    rng = np.random.default_rng(1)
    for _ in range(40):
        assert not placed(rng, Lesson(clip=x, marks={}, bare=True)).clip.any()


def test_marks_are_measured_in_their_units():
    assert pitch_class(55) == 0 and pitch_class(110) == 12 and pitch_class(10_000) == 41
    t = np.arange(16000) / 16000
    sine = np.sin(2 * np.pi * 440 * t).astype(np.float32)
    assert level_class(sine) == 1  # -3 dB
    assert level_class(0.1 * sine) == 8  # -23 dB


def test_a_caption_is_spelt_or_asked_for_but_never_both():
    kinds = [lesson(3, i, ("synthetic",)) for i in range(60)]
    assert all(bool(one.words) != bool(one.about) for one in kinds)
    assert {one.task for one in kinds} - {""} <= set(ABOUT)
    # The same voice may be low, or rising, or breathy: nobody can spell which is meant.
    assert {"voice_register", "intonation", "breathiness", "real_language"} <= set(ABOUT)
    assert not {"note_count", "event_count", "spoken_digit", "real_digit"} & set(ABOUT)


def test_what_a_task_listens_for_is_read_from_the_task_and_the_sound():
    torch.manual_seed(0)
    head = Aligner(8, 12, {}, questions=2)
    x, valid = torch.randn(4, 5, 8), torch.ones(4, 5, dtype=torch.bool)
    clips = Clips(
        features=x, lengths=torch.tensor([5] * 4), words=torch.full((4, 1), -1), marks={},
        tasks=torch.tensor([0, 1, 0, -1]), about=torch.tensor([[1, 2], [3, -1], [4, 4], [-1, -1]]),
    )  # fmt: skip
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(150):
        loss = about_loss(head, x, torch.tensor([5] * 4), clips)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert head.about is not None
    best = head.about(x[:3], valid[:3], torch.tensor([0, 1, 0]))
    assert set(best[0].topk(2).indices.tolist()) == {1, 2}
    assert best[1].argmax() == 3 and best[2].argmax() == 4
    # Told the other task, it says something else about the same sound.
    assert head.about(x[1:2], valid[1:2], torch.tensor([0]))[0].softmax(-1)[3] < 0.9


def test_shares_are_of_all_lessons():
    assert sum(weight for weight, _ in LESSONS.values()) == pytest.approx(1.0)


# ---------------------------------------------------------------------------- alignment


def test_the_word_loss_counts_what_can_be_spelt():
    words = torch.tensor([[1, 2], [1, 1], [-1, -1], [1, 2]])
    logits = torch.zeros(4, 4, 5)
    logits[0, 0, 1] = logits[0, 1, 4] = logits[0, 2, 2] = logits[0, 3, 4] = 20.0
    loss, counted = word_loss(logits, torch.tensor([2, 1, 2, 2]), words)
    # "1 1" needs a blank between: three frames, and the second clip has two.
    assert counted.tolist() == [True, False, False, True]
    assert float(loss[0]) < 0.01 < float(loss[3])


def test_a_model_with_eighty_bands_says_so_in_its_folder(eighty_bands):
    model, processor = open_model(eighty_bands, device="cpu")
    assert processor.n_mels == 80 and model.config.audio_encoder_config.n_mels == 80
    x = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    assert processor.features(x).shape[0] == 80
    with pytest.raises(ValueError, match="128 mel bins came to an encoder of 80"):
        model.encoder(log_mel(x)[None], torch.tensor([52]))


TINY = Align(
    steps=8, batch_size=4, alone=2, lessons=("digits", "voice", "nothing"), machine=FP32,
    encoder=Rate(peak=1e-3), heads=Rate(peak=1e-2),
)  # fmt: skip


def test_a_kept_ear_hears_and_spells_as_the_one_that_was_aligned(eighty_bands, tmp_path):
    out = align(TINY, eighty_bands, tmp_path / "out")
    kept = keep(out, tmp_path / "kept")
    model, _ = open_model(out, device="cpu")
    ear = StepAudio2Encoder.from_pretrained(kept).float()
    mel, frames = torch.randn(1, 80, 120), torch.tensor([120])
    heard = ear(mel, frames)
    torch.testing.assert_close(
        heard.pooler_output, model.get_audio_features(mel, frames).pooler_output,
        atol=5e-3, rtol=5e-3,
    )  # fmt: skip
    whole, words = (
        open_aligner(f, model.config.hidden_size, model.config.vocab_size) for f in (out, kept)
    )
    assert words.about is None and not words.marks
    torch.testing.assert_close(
        words.word_logits(heard.pooler_output), whole.word_logits(heard.pooler_output),
        atol=5e-3, rtol=5e-3,
    )  # fmt: skip
    with pytest.raises(ValueError, match="auscult align"):
        keep(eighty_bands, tmp_path / "no")


def test_a_nano_that_begins_with_the_shipped_ear_has_its_weights_and_its_words(tmp_path):
    model, processor = open_model(init_nano(tmp_path / "nano", ear="aligned"), device="cpu")
    ear = StepAudio2Encoder.from_pretrained(locate("ear")).float()
    for part in ("encoder", "adapter"):
        own = getattr(model, part).state_dict()
        assert all(torch.equal(own[k], v) for k, v in getattr(ear, part).state_dict().items())
    assert (tmp_path / "nano" / "aligner.safetensors").exists()
    assert len(processor.tokenizer.encode(" F#4 C5")) == 2  # notes are one token each
    assert model.num_parameters() < 16_000_000


def test_alignment_trains_the_ear_and_leaves_the_decoder(eighty_bands, tmp_path):
    out = align(TINY, eighty_bands, tmp_path / "out")
    before, after = (load_file(f / "model.safetensors") for f in (eighty_bands, out))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.startswith("encoder.") for name in changed)
    assert any(name.startswith("adapter.") for name in changed)
    assert not any(name.startswith(("model.", "lm_head.")) for name in changed)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["lr"] == 0.0 and rows[3]["lr"] > 0
    model, processor = open_model(out, device="cpu")
    heads = open_aligner(out, model.config.hidden_size, model.config.vocab_size)
    texts = read(model, heads, processor, [lesson(1, i, ("digits",)) for i in range(3)])
    assert len(texts) == 3


def test_a_stopped_alignment_ends_with_the_same_weights(eighty_bands, tmp_path, monkeypatch):
    whole = align(TINY, eighty_bands, tmp_path / "whole")
    heard_before: list[int] = []
    from auscult.ear import align as module

    plain = module.lesson

    def stops(seed: int, index: int, only: tuple[str, ...] = ()) -> Lesson:
        heard_before.append(index)
        return plain(seed, index, only)

    monkeypatch.setattr(module, "lesson", stops)
    step = module._step

    def killed(learner, model, clips, number, config):
        if number == 5 and len(heard_before) < 64:
            raise KeyboardInterrupt
        return step(learner, model, clips, number, config)

    monkeypatch.setattr(module, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        align(TINY, eighty_bands, tmp_path / "cut")
    monkeypatch.setattr(module, "_step", step)
    again = align(TINY, eighty_bands, tmp_path / "cut")
    a, b = (load_file(f / "model.safetensors") for f in (whole, again))
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
def test_silence_and_noise_are_told_apart_after_a_minute_of_training(eighty_bands, tmp_path):
    tuned = replace(TINY, steps=900, batch_size=8, lessons=("nothing",), machine=Machine())
    out = align(tuned, eighty_bands, tmp_path / "out")
    model, processor = open_model(out, device="cpu")
    heads = open_aligner(out, model.config.hidden_size, model.config.vocab_size)
    asked = [lesson(99, i, ("nothing",)) for i in range(40)]
    texts = read(model, heads, processor, asked)
    right = [a == b.words.strip() for a, b in zip(texts, asked, strict=True)]
    assert np.mean(right) > 0.9


def test_errors_of_spelling_are_edits_per_word_and_named_by_test(eighty_bands, monkeypatch):
    assert edits(["a", "b", "c"], ["a", "c", "d"]) == 2
    assert edits([], ["a"]) == 1 and edits(["a"], []) == 1 and edits(["a"], ["a"]) == 0
    monkeypatch.setattr(spelling, "SPELT", {"events": "event_count", "digits": "real_digit"})
    monkeypatch.setattr(spelling, "read", lambda m, a, p, some: [x.words for x in some])
    model, processor = open_model(eighty_bands, device="cpu")
    heads = open_aligner(eighty_bands, model.config.hidden_size, model.config.vocab_size)
    right = spelling.spell(model, heads, processor, n=4)
    assert [(x.n, x.exact, x.errors) for x in right] == [(4, 1.0, 0.0), (4, 1.0, 0.0)]
    monkeypatch.setattr(spelling, "read", lambda m, a, p, some: ["horn" for _ in some])
    wrong = spelling.spell(model, heads, processor, n=4, shift_s=1.0)
    assert wrong[1].exact == 0.0 and wrong[1].errors == 1.0 and wrong[1].counted == 1.0
    rows = spelling.spelling_table(right, wrong).splitlines()
    assert rows[-1] == "| digits | 4 | 100.0 / 0.0 | 0.0 / 100.0 | 100.0 / 100.0 |"


def test_a_batch_of_lessons_holds_every_mark_or_says_it_is_unknown(processor):
    clips = clips_of([lesson(0, i, ("voice", "nothing")) for i in range(6)], processor)
    assert isinstance(clips, Clips) and set(clips.marks) == set(MARKS)
    assert (clips.marks["speaker"] == -1).any()


# ---------------------------------------------------------------------------- probes


def test_a_reader_finds_what_is_there_and_nothing_where_nothing_is():
    rng = np.random.default_rng(0)
    answers = [str(i % 3) for i in range(240)]
    there = [
        torch.tensor(rng.normal(0, 1, (int(rng.integers(5, 20)), 6)), dtype=torch.float32)
        for _ in answers
    ]
    names = ["0", "1", "2"]
    noise = Heard(features=[x.clone() for x in there], answers=answers)
    for x, answer in zip(there, answers, strict=True):
        x[int(rng.integers(len(x))), int(answer)] += 8.0  # one frame tells it
    data = Heard(features=there, answers=answers)
    first, rest = (
        [Heard(features=d.features[:160], answers=d.answers[:160]),
         Heard(features=d.features[160:], answers=d.answers[160:])]
        for d in (data, noise)
    )  # fmt: skip
    assert measure(fit(first[0], "class", names, steps=150), first[1], "class", names) > 0.95
    assert measure(fit(rest[0], "class", names, steps=150), rest[1], "class", names) < 0.6


def test_the_equal_error_rate_is_that_of_its_definition():
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    apart = torch.stack([a, a, b, b])
    assert equal_error(apart, ["x", "x", "y", "y"]) == 0.0
    rng = np.random.default_rng(0)
    chance = torch.tensor(rng.normal(size=(200, 8)), dtype=torch.float32)
    assert equal_error(chance, [str(i % 5) for i in range(200)]) == pytest.approx(0.5, abs=0.03)


def test_an_ear_hears_a_clip_alone_as_among_others(eighty_bands):
    model, processor = open_model(eighty_bands, device="cpu")
    ear = of_encoder(model.encoder.float(), processor.n_mels)
    rng = np.random.default_rng(0)
    clips = [rng.normal(0, 0.1, n).astype(np.float32) for n in (4000, 12000, 8000)]
    together = ear(clips)
    for x, found in zip(clips, together, strict=True):
        torch.testing.assert_close(ear([x])[0], found, atol=1e-4, rtol=1e-3)
    assert [len(x) for x in log_mels(clips)] == [6, 19, 13]


def test_probes_run_on_held_out_sound_and_make_a_table(monkeypatch):
    monkeypatch.setattr(probes, "fit", partial(fit, steps=40))
    found = run_probes(
        {"log-mel": log_mels}, ["louder of two", "same speaker, EER", "F0 within 3 semitones"],
        n_train=30, n_test=12, seed=0,
    )  # fmt: skip
    assert [one.n for one in found] == [12, 12, 12]
    assert all(0 <= one.share <= 1 for one in found)
    lines = table(found).splitlines()
    assert lines[0] == "| probe | test | n | log-mel |" and len(lines) == 5


def test_a_probe_that_was_read_is_not_read_again(monkeypatch, tmp_path):
    """Killed between two ears, it reads the second alone and comes to the same table."""
    monkeypatch.setattr(probes, "fit", partial(fit, steps=5))
    some = {"n_train": 12, "n_test": 6, "seed": 0}
    names, kept = ["louder of two"], tmp_path / "found.jsonl"
    ears = {"log-mel": log_mels, "half": lambda clips: [x[:, :64] for x in log_mels(clips)]}
    whole = run_probes(ears, names, **some, kept=kept)
    first, _ = kept.read_text().splitlines()
    kept.write_text(first + "\n")

    def never(clips):
        raise AssertionError("read again")

    assert run_probes(ears | {"log-mel": never}, names, **some, kept=kept) == whole
    assert len(kept.read_text().splitlines()) == 2
    with pytest.raises(ValueError, match="other settings"):
        run_probes(ears, names, **some | {"seed": 1}, kept=kept)


def test_every_probe_trains_on_training_sound_and_tests_on_held_out_sound():
    for name, probe in PROBES.items():
        assert probe.way in ("class", "pair", "pitch", "voice"), name
        assert "held out" in probe.tests, name
    train = PROBES["same speaker, EER"].train(20)
    test = PROBES["same speaker, EER"].tests["held out"](20)
    assert not {one.answer for one in train} & {one.answer for one in test}
    shifted = heard(log_mels, train[:1], 1.0).features[0]
    assert len(shifted) == len(heard(log_mels, train[:1]).features[0]) + 25


def test_names_that_do_not_exist_are_refused(eighty_bands, tmp_path):
    assert main(["probe", "--only", "smell"]) != 0
    out = str(tmp_path / "out")
    assert main(["align", "--source", str(eighty_bands), "--out", out, "--lessons", "smell"]) != 0
