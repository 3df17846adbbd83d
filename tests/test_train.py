"""The training core: masks, schedule, resume after a kill, and that it learns at all."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_config
from safetensors.torch import load_file, save_file

from auscult import gym
from auscult.gym import render
from auscult.model import StepAudio2ForCausalLM
from auscult.recipe import nano
from auscult.train import checkpoint
from auscult.train.alignment import Aligner
from auscult.train.core import Learner, Machine, Rate
from auscult.train.feed import awareness
from auscult.train.feed.batch import collate
from auscult.train.feed.data import KINDS, Mixture, Stream, batches, draw, encoded, read_kept
from auscult.train.feed.drills import DRILLS
from auscult.train.feed.talk import text_model_reply
from auscult.train.sft import Sft, losses, sft
from auscult.work import dist
from auscult.work.run import RunFolder, config_hash

TASKS = ("pitch_direction", "event_count", "noisier_clip")
MIXTURE = Mixture(
    kinds=(("chain", 0.5), ("direct", 0.3), ("twin_chain", 0.2)), tasks=TASKS, anywhere=0.0
)
FP32 = Machine(precision="fp32")
CONFIG = Sft(mixture=MIXTURE, steps=6, batch_size=2, rate=Rate(peak=1e-2, warmup=2), machine=FP32)


@pytest.fixture
def source(tokenizer, processor, tmp_path) -> Path:
    """A tiny random model folder."""
    folder = tmp_path / "source"
    torch.manual_seed(0)
    config = tiny_config(tokenizer, audio_encoder_config={
        "n_audio_ctx": 400, "n_audio_state": 32, "n_audio_head": 2, "n_audio_layer": 1,
        "adapter_state": 24,
    })  # fmt: skip
    StepAudio2ForCausalLM(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_reply_trains(kind: str, processor, rng):
    item = gym.make("noisier_clip", 3)
    row = encoded(KINDS[kind](item, rng), processor)
    batch = collate([row, encoded(KINDS["direct"](gym.make("event_count", 1), rng), processor)])
    mine = batch.source < batch.input_ids.shape[1]
    assert tuple(batch.targets[mine].tolist()) == row.replies[0]
    assert row.replies[0][-1] == processor.tokenizer.eos_token_id
    prompt = processor.tokenizer.decode(list(row.prompt))
    assert prompt.endswith("<think>\n")
    patch = processor.tokenizer.convert_tokens_to_ids("<audio_patch>")
    assert patch not in batch.targets.tolist()
    assert (batch.segments.flatten()[batch.source] >= 0).all()
    assert (patch in row.prompt) == (not kind.startswith("twin"))


def test_the_loss_does_not_see_padding_or_neighbours(model, processor, rng):
    rows = [encoded(KINDS["chain"](gym.make(t, 5, anywhere=False), rng), processor) for t in TASKS]
    together, _ = losses(model, collate(rows), None)
    alone = sum(losses(model, collate([row]), None)[0] for row in rows)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-3)


def test_the_reply_loss_is_the_naive_one(model, processor, rng):
    row = encoded(KINDS["chain"](gym.make("event_count", 2), rng), processor)
    batch = collate([row])
    logits = model(batch.input_ids, batch.input_features, batch.feature_lengths).logits[0]
    naive = -sum(
        float(logits[len(row.prompt) + t - 1].detach().log_softmax(-1)[token])
        for t, token in enumerate(row.replies[0])
    )
    assert float(losses(model, batch, None)[0].detach()) == pytest.approx(naive, rel=1e-4)


def test_the_alignment_loss_falls_when_frames_spell_the_labels(model, processor, rng):
    row = encoded(KINDS["caption"](gym.make("event_count", 2), rng), processor)
    aligner = Aligner(32, model.config.vocab_size, {})
    optimizer = torch.optim.Adam(aligner.parameters(), lr=0.05)
    values = []
    for _ in range(25):
        loss = losses(model, collate([row]), aligner)[1]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        values.append(float(loss.detach()))
    assert values[-1] < 0.5 * values[0]


def test_labels_are_the_bare_sounds_in_order():
    item = gym.make("note_count", 0)
    notes = item.heard[0].removeprefix("I hear notes: ").rstrip(".").split(", ")
    assert render.labels(item)[0].split() == ["notes", *notes]


def test_the_stream_is_a_pure_function_of_seed_and_index():
    a, b = draw(MIXTURE, 3, 17), draw(MIXTURE, 3, 17)
    assert a.reply == b.reply and a.turns[0].text == b.turns[0].text
    others = {draw(MIXTURE, 3, i).turns[0].text + draw(MIXTURE, 3, i).reply for i in range(20)}
    assert len(others) > 10


def test_kinds_without_a_gym_item_are_drawn_too(tmp_path):
    kept = tmp_path / "kept.jsonl"
    kept.write_text(json.dumps({"key": "tempo/train/1/3", "reply": "I hear.\n</think>\n60"}) + "\n")
    for kind, clips in (("problem", 0), ("conversation", 0), ("dialogue", 1), ("kept", 1)):
        mixture = Mixture(kinds=((kind, 1.0),), kept=str(kept))
        example = draw(mixture, 1, 5)
        assert len(example.turns[0].clips) == clips and "</think>" in example.reply
        assert example.reply == draw(mixture, 1, 5).reply
    with pytest.raises(ValueError, match="needs the file of kept replies"):
        draw(Mixture(kinds=(("kept", 1.0),)), 1, 5)
    kept.write_text("")
    read_kept.cache_clear()
    with pytest.raises(ValueError, match="every sample was rejected"):
        draw(Mixture(kinds=(("kept", 1.0),), kept=str(kept)), 1, 5)


def test_the_cold_start_shows_no_chain_about_sound_without_words_beside_it():
    stage = nano(seed=0).stages[0]
    for i in range(300):
        example = draw(stage.config.mixture, stage.config.seed, i)
        thought = example.reply.split("</think>")[0].strip()
        if example.turns[0].clips and thought:
            assert "Scene" in example.turns[0].text and thought.startswith("I read")


def test_a_text_model_denies_only_where_it_is_asked_whether_it_hears(rng):
    said = [text_model_reply(rng, awareness.make_prompt(i), 1.0) for i in range(16)]
    asked = [awareness.make_prompt(i).question for i in range(16)]
    content = ("What do you hear", "Tell me what", "What is in")
    for question, reply in zip(asked, said, strict=True):
        assert awareness.denies(reply) != any(c.lower() in question.lower() for c in content)


def test_batches_started_in_the_middle_are_the_same(processor):
    stream = Stream(MIXTURE, processor, 2, 0)
    every = [b.input_ids for b in batches(stream, 0, 11, 0)]
    late = [b.input_ids for b in batches(stream, 7, 11, 0)]
    assert len(every) == 11
    assert all(torch.equal(a, b) for a, b in zip(every[7:], late, strict=True))


def test_two_processes_share_the_examples_without_overlap(processor, monkeypatch):
    def part(rank: int, world: int) -> Stream:
        monkeypatch.setattr(dist, "rank", lambda: rank)
        monkeypatch.setattr(dist, "world", lambda: world)
        return Stream(MIXTURE, processor, 4, 0)

    def rows(group) -> list[tuple[int, ...]]:
        return sorted(
            tuple(ids[segments >= 0].tolist())
            for batch in group
            for ids, segments in zip(batch.input_ids, batch.segments, strict=True)
        )

    whole = part(0, 1)[0]
    assert rows(whole) == sorted(rows(part(0, 2)[0]) + rows(part(1, 2)[0]))
    with pytest.raises(ValueError, match="cannot be shared by 3 processes"):
        part(0, 3)


def test_the_learning_rate_warms_up_and_decays_to_a_tenth():
    rates = [Rate(peak=1.0, warmup=10).at(s, 100) for s in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_a_stage_trains_freezes_the_ear_and_is_skipped_when_done(source, tmp_path):
    out = sft(CONFIG, source, tmp_path / "out")
    before, after = weights(source), weights(out)
    changed = {n.split(".")[0] for n in before if not torch.equal(before[n], after[n])}
    assert changed == {"adapter", "model", "lm_head"}
    lines = [json.loads(x) for x in (out / "metrics.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines] == list(range(1, 7))
    stamp = (out / "model.safetensors").stat().st_mtime_ns
    sft(CONFIG, source, out)
    assert (out / "model.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(ValueError, match="holds a run with another configuration"):
        sft(replace(CONFIG, rate=Rate(peak=3e-3)), source, out)


def test_a_run_is_told_by_what_its_files_hold_and_not_where_they_lie(tmp_path):
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    a.write_text("x")
    b.write_text("x")
    one, two = ({"mixture": {"kept": str(f), "seed": 1}} for f in (a, b))
    assert config_hash(one, "p") == config_hash(two, "p")
    b.write_text("y")
    assert config_hash(one, "p") != config_hash(two, "p")
    fast = {"mixture": {"kept": str(a), "seed": 1}, "machine": {"threads": 7}}
    assert config_hash(fast, "p") == config_hash(one | {"machine": {}}, "p")


def test_training_lowers_the_loss(source, tmp_path):
    mixture = Mixture(kinds=(("twin_direct", 1.0),), tasks=("pitch_direction",))
    config = replace(CONFIG, mixture=mixture, steps=40, batch_size=8)
    out = sft(config, source, tmp_path / "out")
    loss = [json.loads(x)["loss"] for x in (out / "metrics.jsonl").read_text().splitlines()]
    assert np.mean(loss[-5:]) < 0.5 * np.mean(loss[:3])


def _learner(*shape: int) -> Learner:
    return Learner({"actor": torch.nn.Linear(*shape)}, FP32)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    checkpoint.store(tmp_path / "c", _learner(2, 2), 1)
    other = Learner({"critic": torch.nn.Linear(2, 2)}, FP32)
    with pytest.raises(ValueError, match="is of another model"):
        checkpoint.restore(tmp_path / "c", other)


def test_a_checkpoint_interrupted_between_renames_is_still_found(tmp_path):
    learner, again = _learner(3, 2), _learner(3, 2)
    learner.parts["actor"](torch.ones(1, 3)).sum().backward()
    learner.update({"actor": 0.1})
    checkpoint.store(tmp_path / "c", learner, 7)
    (tmp_path / "c").rename(tmp_path / "c.old")
    assert checkpoint.restore(tmp_path / "c", again) == 7
    a, b = learner.parts["actor"].weight, again.parts["actor"].weight
    assert torch.equal(a, b)
    moments = again.optimizer.state[b]["exp_avg"]
    assert torch.equal(moments, learner.optimizer.state[a]["exp_avg"])


OFTEN = replace(CONFIG, steps=30, machine=replace(FP32, checkpoint_minutes=0.0005))
KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_train import OFTEN
from auscult.train.sft import sft
sft(OFTEN, Path({source!r}), Path({out!r}))
"""


def test_a_run_killed_at_any_moment_ends_with_the_same_weights(source, tmp_path):
    straight = sft(OFTEN, source, tmp_path / "straight")
    out = tmp_path / "killed"
    code = KILLED.format(tests=str(Path(__file__).parent), source=str(source), out=str(out))
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    metrics = out / "metrics.jsonl"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.exists() and metrics.read_text().count("\n") >= 8:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "done.json").exists(), "the run was over before it could be killed"
    assert (out / "checkpoint").exists() or (out / "checkpoint.old").exists()
    sft(OFTEN, source, out)
    a, b = weights(straight), weights(out)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert (out / "metrics.jsonl").read_text().count("\n") == 30


def test_drills_are_captions_of_dense_scenes(rng):
    for name in ("notes", "sounds"):
        item = DRILLS[name](rng, 1)
        assert len(render.labels(item)[0].split()) >= 4


def test_a_part_whose_rate_is_zero_does_not_move_by_momentum_or_decay():
    parts = {name: torch.nn.Linear(3, 2) for name in ("actor", "critic")}
    learner = Learner(dict(parts), FP32, weight_decay=0.5)

    def step(critic: float) -> None:
        for part in parts.values():
            part(torch.ones(1, 3)).sum().backward()
        learner.update({"actor": 0.1, "critic": critic})

    step(0.1)
    resting, moving = (parts[n].weight.detach().clone() for n in ("critic", "actor"))
    before = [s["exp_avg"].clone() for s in learner.optimizer.state.values()]
    step(0.0)
    assert torch.equal(parts["critic"].weight, resting)
    assert not torch.equal(parts["actor"].weight, moving)
    after = [s["exp_avg"] for s in learner.optimizer.state.values()]
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)].count(True) == 2


def test_a_run_that_began_from_other_weights_does_not_go_on(tmp_path):
    for name, value in (("one", 0.0), ("other", 1.0)):
        (tmp_path / name).mkdir()
        save_file({"x": torch.full((2,), value)}, tmp_path / name / "model.safetensors")
    given: dict = {"stage": "sft", "config": {"steps": 3}}
    RunFolder(tmp_path / "out", parent=tmp_path / "one", **given)
    RunFolder(tmp_path / "out", parent=tmp_path / "one", **given)
    with pytest.raises(ValueError, match="another configuration"):
        RunFolder(tmp_path / "out", parent=tmp_path / "other", **given)
