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
from safetensors.torch import load_file

from auscult import gym
from auscult.gym import render
from auscult.model import StepAudio2ForCausalLM
from auscult.train import checkpoint
from auscult.train.data import KINDS, Mixture, Stream, batches, collate, draw, encode
from auscult.train.drills import DRILLS
from auscult.train.sft import Sft, learning_rate, losses, sft

TASKS = ("pitch_direction", "event_count", "noisier_clip")
MIXTURE = Mixture(kinds=(("chain", 0.5), ("direct", 0.3), ("twin_chain", 0.2)), tasks=TASKS)
CONFIG = Sft(mixture=MIXTURE, steps=6, batch_size=2, warmup=2, lr=1e-2, precision="fp32")


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
    row = encode(KINDS[kind](item, rng), processor)
    batch = collate([row, encode(KINDS["direct"](gym.make("event_count", 1), rng), processor)])
    trained = batch.input_ids[0, 1:][batch.trains[0, :-1]].tolist()
    assert trained == row.ids[row.reply_at :]
    assert trained[-1] == processor.tokenizer.eos_token_id
    prompt = processor.tokenizer.decode(row.ids[: row.reply_at])
    assert prompt.endswith("<think>\n")
    patch = processor.tokenizer.convert_tokens_to_ids("<audio_patch>")
    assert patch not in trained
    assert not batch.trains[batch.attention_mask == 0].any()
    assert (patch in row.ids) == (not kind.startswith("twin"))


def test_the_loss_does_not_see_padding_or_neighbours(model, processor, rng):
    rows = [encode(KINDS["chain"](gym.make(t, 5), rng), processor) for t in TASKS]
    together, _ = losses(model, collate(rows), None)
    alone = sum(losses(model, collate([row]), None)[0] for row in rows)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-3)


def test_the_reply_loss_is_the_naive_one(model, processor, rng):
    row = encode(KINDS["chain"](gym.make("event_count", 2), rng), processor)
    batch = collate([row])
    logits = model(batch.input_ids, batch.input_features, batch.feature_lengths).logits[0]
    naive = -sum(
        float(logits[i - 1].log_softmax(-1)[row.ids[i]]) for i in range(row.reply_at, len(row.ids))
    )
    assert float(losses(model, batch, None)[0].detach()) == pytest.approx(naive, rel=1e-4)


def test_the_alignment_loss_falls_when_frames_spell_the_labels(model, processor, rng):
    row = encode(KINDS["caption"](gym.make("event_count", 2), rng), processor)
    aligner = torch.nn.Linear(32, model.config.vocab_size + 1)
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


def test_batches_started_in_the_middle_are_the_same(processor):
    stream = Stream(MIXTURE, processor, 2, 0)
    every = [b.input_ids for b in batches(stream, 0, 11, 0)]
    late = [b.input_ids for b in batches(stream, 7, 11, 0)]
    assert len(every) == 11
    assert all(torch.equal(a, b) for a, b in zip(every[7:], late, strict=True))


def test_two_processes_share_the_examples_without_overlap(processor):
    whole = Stream(MIXTURE, processor, 4, 0)[0]
    parts = [Stream(MIXTURE, processor, 4, 0, (rank, 2))[0] for rank in (0, 1)]

    def rows(group) -> list[tuple[int, ...]]:
        return sorted(
            tuple(ids[mask > 0].tolist())
            for batch in group
            for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True)
        )

    assert rows(whole) == sorted(rows(parts[0]) + rows(parts[1]))
    with pytest.raises(ValueError, match="cannot be shared by 3 processes"):
        Stream(MIXTURE, processor, 4, 0, (0, 3))


def test_the_learning_rate_warms_up_and_decays_to_a_tenth():
    config = replace(CONFIG, steps=100, warmup=10, lr=1.0)
    rates = [learning_rate(s, config) for s in range(100)]
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
        sft(replace(CONFIG, lr=3e-3), source, out)


def test_training_lowers_the_loss(source, tmp_path):
    mixture = Mixture(kinds=(("twin_direct", 1.0),), tasks=("pitch_direction",))
    config = replace(CONFIG, mixture=mixture, steps=40, batch_size=8)
    out = sft(config, source, tmp_path / "out")
    loss = [json.loads(x)["loss"] for x in (out / "metrics.jsonl").read_text().splitlines()]
    assert np.mean(loss[-5:]) < 0.5 * np.mean(loss[:3])


def test_a_checkpoint_of_another_model_is_refused(model, tokenizer, tmp_path):
    optimizer = torch.optim.AdamW(model.parameters())
    checkpoint.save(tmp_path / "c", model, optimizer, {"step": 1})
    other = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match="is of another model"):
        checkpoint.load(tmp_path / "c", other, torch.optim.AdamW(other.parameters()))


def test_a_checkpoint_interrupted_between_renames_is_still_found(tokenizer, tmp_path):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoint.save(tmp_path / "c", model, optimizer, {"step": 7})
    (tmp_path / "c").rename(tmp_path / "c.old")
    again = torch.nn.Linear(3, 2)
    fresh = torch.optim.AdamW(again.parameters())
    assert checkpoint.load(tmp_path / "c", again, fresh) == {"step": 7}
    assert torch.equal(again.weight, model.weight)
    moments = fresh.state[again.weight]["exp_avg"]
    assert torch.equal(moments, optimizer.state[model.weight]["exp_avg"])


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_train import CONFIG
from dataclasses import replace
from auscult.train.sft import sft
sft(replace(CONFIG, steps=30, checkpoint_minutes=0.0005), Path({source!r}), Path({out!r}))
"""


def test_a_run_killed_at_any_moment_ends_with_the_same_weights(source, tmp_path):
    config = replace(CONFIG, steps=30, checkpoint_minutes=0.0005)
    straight = sft(config, source, tmp_path / "straight")
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
    sft(config, source, out)
    a, b = weights(straight), weights(out)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert (out / "metrics.jsonl").read_text().count("\n") == 30


def test_drills_are_captions_of_dense_scenes(rng):
    for name in ("notes", "sounds"):
        item = DRILLS[name](rng, 1)
        assert len(render.labels(item)[0].split()) >= 4
