"""Reinforcement learning and preferences: what trains and what does not, adapters, several
processes, and a kill."""

import json
import math
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
from safetensors.torch import load_file
from test_losses import some_rows
from test_train import FP32, source, weights  # noqa: F401 - source is a fixture

from auscult import gym
from auscult.train import losses
from auscult.train.core import Learner, Rate, make_critic, merged, open_for_training
from auscult.train.dpo import Dpo, Pair, dpo
from auscult.train.feed.batch import Encoded, collate, micro_batches
from auscult.train.forward import Actor, heard
from auscult.train.rl.advantages import Signals
from auscult.train.rl.ppo import Ppo, PpoStep, batch_losses, ppo, prompts_of, rows_of
from auscult.train.rl.rewards import REWARDS
from auscult.train.rl.rollout import Asking, Rollouts, rollouts

KEYS = [f"{t}/train/1/{i}" for t in ("pitch_direction", "noisier_clip") for i in range(3)]
KEYS += ["text_arithmetic/train/1/5", "text_order/train/1/2"]
# A random model is never right: something that it can earn takes the place of the paper's reward.
REWARDS["odd"] = lambda rollout: float(sum(rollout.reply.tokens) % 2)
PPO = Ppo(
    steps=3, prompts=2, samples=3, actor=Rate(peak=1e-2, end=1.0), critic_warmup=1, max_tokens=8,
    rewards=("odd", "odd"), machine=FP32,
)  # fmt: skip


# --- the loop


@pytest.fixture
def parts(source):  # noqa: F811
    """(learner, step) of a small run."""
    model, processor = open_for_training(source, FP32)
    learner = Learner({"actor": Actor(model), "critic": make_critic(model)}, FP32, weight_decay=0.0)
    return learner, PpoStep(PPO, KEYS, learner, processor, Rollouts(model, processor, FP32))


def _sampled(step: PpoStep, keys=KEYS[:2]):
    asking = replace(step.asking, seed=1)
    groups = rollouts(step.sampler.refresh(), keys, asking)
    return rows_of(groups, asking, step.processor), groups


def test_the_trainer_computes_the_samplers_own_logprobs(parts):
    learner, step = parts
    rows, groups = _sampled(step, KEYS)
    metrics = step.update(rows, groups, [0.5] * sum(map(len, groups)), 0)
    # Not zero: the sampler never draws the placeholder for sound, one word of some 360 here.
    assert metrics["sampler_gap"] < 0.005
    del learner


def test_before_the_first_update_the_ratio_is_exactly_one(parts):
    _, step = parts
    rows, groups = _sampled(step)
    metrics = step.update(rows, groups, [1.0, 0.0, 0.5] * 2, 0)
    assert metrics["approx_kl"] == 0.0 and metrics["clip_fraction"] == 0.0


def test_old_logprobs_recomputed_for_several_updates_start_at_ratio_one_and_leave_it(parts):
    learner, step = parts
    step.config = replace(PPO, updates=2, critic_warmup=0)
    rows, groups = _sampled(step)
    actor = learner.parts["actor"]
    batches = [heard(actor.model, b) for b in micro_batches(rows, 4096)]
    critic = learner.parts["critic"]
    for batch in batches:
        before, values = step._before(actor, critic, batch)
        assert torch.equal(actor(batch)[0].detach(), before)
        assert values is not None and torch.equal(critic(batch).detach(), values)
    metrics = step.update(rows, groups, [1.0, 0.0, 0.5] * 2, 1)
    assert metrics["approx_kl"] > 0


def test_the_critic_alone_learns_in_its_warm_up(parts):
    learner, step = parts
    before = {n: p.detach().clone() for n, p in learner.parts.named_parameters()}
    step(0)
    changed = {n.split(".")[0] for n, p in learner.parts.named_parameters()
               if not torch.equal(p, before[n])}  # fmt: skip
    assert changed == {"critic"}
    step(1)
    changed = {n for n, p in learner.parts.named_parameters() if not torch.equal(p, before[n])}
    assert any(n.startswith("actor") for n in changed)
    assert not any(".encoder." in n for n in changed)


def test_the_critic_hears_the_sound(parts):
    learner, step = parts
    critic = learner.parts["critic"]
    torch.nn.init.normal_(critic.score.weight)
    rows, _ = _sampled(step, KEYS[:1])
    actor = learner.parts["actor"]
    own = heard(actor.model, collate(rows))
    deaf = [replace(row, mels=tuple(torch.zeros_like(m) for m in row.mels)) for row in rows]
    silent = heard(actor.model, collate(deaf))
    assert not torch.allclose(critic(own), critic(silent))


def test_values_belong_to_the_state_before_each_token(parts):
    """V(s_t) must not see token t: changing the last token leaves every value as it was."""
    learner, _ = parts
    critic = learner.parts["critic"]
    torch.nn.init.normal_(critic.score.weight)
    row = Encoded(prompt=(7, 8, 9), replies=((10, 11, 12),))
    other = replace(row, replies=((10, 11, 55),))
    torch.testing.assert_close(critic(collate([row])), critic(collate([other])))
    early = replace(row, replies=((44, 11, 12),))
    a, b = critic(collate([row])), critic(collate([early]))
    assert float(a[0]) == pytest.approx(float(b[0])) and not torch.allclose(a[1:], b[1:])


def test_a_rewarded_reply_becomes_likelier_and_an_unrewarded_one_less(parts):
    learner, step = parts
    rows, groups = _sampled(step, KEYS[:1])
    learner.machine = FP32
    actor = learner.parts["actor"]
    batch = heard(actor.model, collate(rows))
    first = actor(batch)[0].detach()
    step.config = replace(PPO, critic_warmup=0, advantage="leave_one_out")
    step.update(rows, groups, [1.0, 0.0, 0.0], 0)
    change = losses.sum_by_reply(actor(batch)[0].detach() - first, batch.reply, 3)
    same = [groups[0][0].reply.tokens == groups[0][k].reply.tokens for k in (1, 2)]
    assert float(change[0]) > 0
    assert all(s or float(change[k]) < float(change[0]) for k, s in zip((1, 2), same, strict=True))


def test_questions_are_gone_through_before_any_comes_again():
    keys = [str(i) for i in range(5)]
    config = replace(PPO, prompts=2)
    seen = [k for step in range(5) for k in prompts_of(keys, config, step)]
    assert sorted(seen[:5]) == keys and sorted(seen[5:]) == keys
    with pytest.raises(ValueError, match="no question was selected"):
        prompts_of([], config, 0)


def test_gae_without_a_critic_is_refused(parts):
    learner, step = parts
    rows, _ = _sampled(step, KEYS[:1])
    signals = Signals(
        rewards=torch.ones(3), group=torch.zeros(3, dtype=torch.long), reply=torch.zeros(0).long()
    )
    batch = heard(learner.parts["actor"].model, collate(rows))
    with pytest.raises(ValueError, match="needs a critic"):
        batch_losses(learner.parts["actor"], None, batch, signals, PPO)


def test_a_gradient_that_is_not_finite_stops_the_run(parts):
    learner, _ = parts
    for p in learner.parts["actor"].parameters():
        p.grad = torch.full_like(p, float("nan"))
    with pytest.raises(FloatingPointError, match="gradient of the actor is not finite"):
        learner.update({"actor": 1e-3, "critic": 1e-3})


def test_dpo_prefers_the_chosen_reply(source, tmp_path):  # noqa: F811
    key = KEYS[0]
    pairs = [Pair(key=key, chosen="\n</think>\nhigher", rejected="\n</think>\nlower")]
    config = Dpo(steps=6, pairs=2, rate=Rate(peak=1e-2, end=1.0), machine=FP32)
    out = dpo(config, pairs, source, tmp_path / "dpo")
    lines = [json.loads(x) for x in (out / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert lines[-1]["margin"] > 0 and lines[-1]["right"] == 1.0
    with pytest.raises(ValueError, match="no pairs"):
        dpo(config, [], source, tmp_path / "none")


def test_recomputed_activations_give_the_same_gradients(source, rng):  # noqa: F811
    rows, grads = some_rows(rng), []
    for recompute in (False, True):
        model, _ = open_for_training(source, replace(FP32, recompute=recompute))
        Actor(model)(collate(rows))[0].sum().backward()
        grads.append(model.model.layers[0].self_attn.q_proj.weight.grad)
    torch.testing.assert_close(grads[0], grads[1])
    assert grads[0].abs().sum() > 0


def test_adapters_train_alone_and_merge_into_the_saved_model(source, tmp_path):  # noqa: F811
    machine = replace(FP32, lora_rank=2)
    pairs = [Pair(key=KEYS[0], chosen="\n</think>\nhigher", rejected="\n</think>\nlower")]
    config = Dpo(steps=3, pairs=1, rate=Rate(peak=5e-2, end=1.0), machine=machine)
    out = dpo(config, pairs, source, tmp_path / "lora")
    before, after = weights(source), weights(out)
    assert before.keys() == after.keys()
    changed = {n for n in before if not torch.equal(before[n], after[n])}
    assert any("q_proj" in n for n in changed)
    assert all("_proj" in n or n.startswith("adapter.") for n in changed)
    model, _ = open_for_training(source, machine)
    wrapped = {n for n, _ in model.named_parameters() if "lora_" in n}
    assert wrapped and not any(n.startswith("encoder") for n in wrapped)
    plain = {n for n, _ in merged(model).named_parameters()}
    assert not any("lora_" in n for n in plain)


@pytest.mark.slow
def test_an_optimiser_of_8_bit_states_trains(source, tmp_path):  # noqa: F811
    """Compiles for most of a minute on a CPU."""
    pytest.importorskip("torchao")
    pairs = [Pair(key=KEYS[0], chosen="\n</think>\nhigher", rejected="\n</think>\nlower")]
    machine = replace(FP32, optimizer="adamw8bit")
    config = Dpo(steps=4, pairs=1, rate=Rate(peak=1e-2, end=1.0), machine=machine)
    out = dpo(config, pairs, source, tmp_path / "eight")
    lines = [json.loads(x) for x in (out / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["margin"] > 0


def test_more_processes_than_prompts_are_refused(source, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("auscult.work.dist.world", lambda: 5)
    with pytest.raises(ValueError, match="2 prompts a step cannot be shared by 5 processes"):
        ppo(PPO, KEYS, source, tmp_path / "out", source)


def test_other_questions_are_another_run(source, tmp_path):  # noqa: F811
    ppo(replace(PPO, steps=1), KEYS, source, tmp_path / "out", source)
    with pytest.raises(ValueError, match="another configuration"):
        ppo(replace(PPO, steps=1), KEYS[:3], source, tmp_path / "out", source)


def test_a_server_cannot_serve_on_policy_training(source, tmp_path):  # noqa: F811
    config = replace(PPO, machine=replace(FP32, rollouts="http://localhost:1/v1#m"))
    with pytest.raises(ValueError, match="cannot follow the weights"):
        ppo(config, KEYS, source, tmp_path / "out", source)


def test_adapters_and_shards_exclude_each_other(source):  # noqa: F811
    with pytest.raises(ValueError, match="adapters"):
        open_for_training(source, replace(FP32, shard=True, lora_rank=2))


def test_an_unknown_optimiser_is_named(source):  # noqa: F811
    model, _ = open_for_training(source, FP32)
    with pytest.raises(ValueError, match="expected adamw or adamw8bit"):
        Learner({"actor": Actor(model)}, replace(FP32, optimizer="sgd"))


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from dataclasses import replace
from test_rl import KEYS, PPO, FP32
from auscult.train.rl.ppo import ppo
machine = replace(FP32, shard={shard}, checkpoint_minutes={minutes})
config = replace(PPO, machine=machine, steps={steps}, prompts=2, critic_warmup={warmup})
ppo(config, KEYS, Path({source!r}), Path({out!r}), Path({source!r}))
"""


def _run(processes: int, **values) -> subprocess.Popen:
    code = SCRIPT.format(tests=str(Path(__file__).parent), **values)
    file = Path(values["out"]).with_suffix(".py")
    file.write_text(code)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, "--nproc-per-node", str(processes)] if processes > 1 else [sys.executable]
    return subprocess.Popen(
        [*command, str(file)], env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("shard", [pytest.param(False, marks=pytest.mark.slow), True])
def test_two_processes_end_with_the_weights_of_one(shard, source, tmp_path):  # noqa: F811
    """Plain copies, and FSDP2 shards over gloo: rollouts, losses and weights are the same."""
    one = replace(PPO, steps=2)
    single = ppo(one, KEYS, source, tmp_path / "one", source)
    out = tmp_path / "two"
    process = _run(2, source=str(source), out=str(out), shard=shard, minutes=9, steps=2, warmup=1)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors.decode()[-3000:]
    lines = [
        [json.loads(x) for x in (f / "metrics.jsonl").read_text().splitlines()]
        for f in (single, out)
    ]
    for a, b in zip(*lines, strict=True):
        for name in ("reward", "policy_loss", "value_loss", "entropy", "tokens"):
            assert a[name] == pytest.approx(b[name], rel=1e-4, abs=1e-5), name
    for x, y in ((single, out), (single / "critic", out / "critic")):
        name = "model.safetensors" if x is single else "critic.safetensors"
        first, second = load_file(x / name), load_file(y / name)
        assert first.keys() == second.keys()
        for key in first:
            torch.testing.assert_close(first[key], second[key], rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("shard", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_to_the_same_weights(shard, source, tmp_path):  # noqa: F811
    processes = 2 if shard else 1
    given = {"source": str(source), "shard": shard, "minutes": 0.0005, "steps": 8, "warmup": 5}
    straight = tmp_path / "straight"
    process = _run(processes, out=str(straight), **given)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors.decode()[-3000:]
    out = tmp_path / "killed"
    process = _run(processes, out=str(out), **given)
    metrics = out / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.exists() and metrics.read_text().count("\n") >= 3:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "done.json").exists(), "the run was over before it could be killed"
    time.sleep(1.0)  # children of a killed launcher end by themselves
    process = _run(processes, out=str(out), **given)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors.decode()[-3000:]
    a, b = load_file(straight / "model.safetensors"), load_file(out / "model.safetensors")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert (out / "metrics.jsonl").read_text().count("\n") == 8


def test_asking_with_silence_and_a_neighbours_sound():
    item = gym.make("pitch_direction", 3)
    from auscult.train.rl.rollout import conversation

    silent = conversation(item, Asking(sound="silence"))[0].clips
    swapped = conversation(item, Asking(sound="swapped"))[0].clips
    assert not silent[0].any() and len(silent[0]) == len(item.clips[0])
    np.testing.assert_array_equal(swapped[0], gym.make("pitch_direction", 4).clips[0])
