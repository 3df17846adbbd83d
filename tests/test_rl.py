"""Reinforcement learning and preferences: losses and advantages against their slow definitions,
what trains and what does not, several processes, and a kill."""

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
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from test_train import FP32, source, weights  # noqa: F401 - source is a fixture

from auscult import gym
from auscult.train import losses
from auscult.train.advantages import ADVANTAGES, Signals, gae, group_normalised, leave_one_out
from auscult.train.batch import Encoded, collate, micro_batches, split_row, visible
from auscult.train.core import Learner, Rate, make_critic, merged, open_for_training
from auscult.train.dpo import Dpo, Pair, dpo
from auscult.train.forward import Actor, heard
from auscult.train.ppo import Ppo, PpoStep, batch_losses, ppo, prompts_of, rows_of
from auscult.train.rewards import REWARDS
from auscult.train.rollout import Actor as Rollouts
from auscult.train.rollout import Asking, rollouts

KEYS = [f"{t}/train/1/{i}" for t in ("pitch_direction", "noisier_clip") for i in range(3)]
KEYS += ["text_arithmetic/train/1/5", "text_order/train/1/2"]
# A random model is never right: something that it can earn takes the place of the paper's reward.
REWARDS["odd"] = lambda rollout: float(sum(rollout.reply.tokens) % 2)
PPO = Ppo(
    steps=3, prompts=2, samples=3, actor=Rate(peak=1e-2, end=1.0), critic_warmup=1, max_tokens=8,
    rewards=("odd", "odd"), machine=FP32,
)  # fmt: skip


def _rows(rng: np.random.Generator, n: int = 2) -> list[Encoded]:
    rows = []
    for b in range(n):
        prompt = tuple(int(x) for x in rng.integers(6, 90, 4 + b))
        replies = tuple(tuple(int(x) for x in rng.integers(6, 90, k)) for k in (3, 1, 5))
        rows.append(Encoded(prompt=prompt, replies=replies, numbers=tuple(range(3 * b, 3 * b + 3))))
    return rows


# --- rows and masks


def test_a_reply_in_a_packed_row_is_the_reply_on_its_own(model, rng):
    actor = Actor(model)
    rows = _rows(rng)
    packed, _ = actor(collate(rows))
    alone = [
        actor(collate([replace(row, replies=(reply,), numbers=(0,))]))[0]
        for row in rows
        for reply in row.replies
    ]
    torch.testing.assert_close(packed, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_no_reply_sees_another_and_padding_sees_nothing_but_is_never_a_source(rng):
    batch = collate(_rows(rng))
    seen = visible(batch.segments)
    for b, segments in enumerate(batch.segments.tolist()):
        for i, mine in enumerate(segments):
            for j, other in enumerate(segments):
                allowed = j <= i and (other in (mine, 0))
                assert bool(seen[b, i, j]) == allowed
    assert (batch.segments.flatten()[batch.source] >= 0).all()


def test_forced_tokens_are_read_and_never_trained_on(model, rng):
    row = _rows(rng, 1)[0]
    forced = tuple(tuple(t == 0 for t in range(len(r))) for r in row.replies)
    batch = collate([replace(row, forced=forced)])
    assert batch.targets.tolist() == [t for r in row.replies for t in r[1:]]
    all_of_it = collate([row])
    kept = torch.tensor([t != 0 for r in row.replies for t in range(len(r))])
    torch.testing.assert_close(Actor(model)(batch)[0], Actor(model)(all_of_it)[0][kept])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(5, 30))
def test_splitting_rows_loses_and_doubles_nothing(lengths, room):
    replies = tuple(tuple(range(10, 10 + n)) for n in lengths)
    row = Encoded(prompt=(1, 2, 3), replies=replies, numbers=tuple(range(len(replies))))
    parts = list(split_row(row, room))
    assert [r for p in parts for r in p.replies] == list(replies)
    assert [n for p in parts for n in p.numbers] == list(range(len(replies)))
    assert all(p.length <= room or len(p.replies) == 1 for p in parts)
    batches = micro_batches([row, row], room)
    assert sum(len(b.targets) for b in batches) == 2 * sum(lengths)


# --- losses against their definitions


def test_chunked_logprobs_equal_the_plain_ones_and_their_gradients(rng):
    states = torch.randn(23, 8, requires_grad=True)
    head = torch.randn(50, 8, requires_grad=True)
    targets = torch.randint(0, 50, (23,))
    plain = torch.log_softmax(states @ head.T, -1)[torch.arange(23), targets]
    entropy = torch.distributions.Categorical(logits=states @ head.T).entropy()
    for chunk in (4, 23, 100):
        states.grad = head.grad = None
        found, h = losses.token_logprobs(states, head, targets, chunk)
        torch.testing.assert_close(found, plain)
        torch.testing.assert_close(h, entropy)
        found.sum().backward()
        wanted = torch.autograd.grad(plain.sum(), [states, head], retain_graph=True)
        torch.testing.assert_close(states.grad, wanted[0])
        torch.testing.assert_close(head.grad, wanted[1])


def test_the_clipped_loss_is_its_definition_token_by_token(rng):
    new, old, a = (torch.tensor(rng.normal(size=40), dtype=torch.float32) for _ in range(3))
    loss, clipped = losses.ppo_loss(new, old, a, 0.2)
    for i in range(40):
        r = math.exp(new[i] - old[i])
        held = min(max(r, 0.8), 1.2)
        assert float(loss[i]) == pytest.approx(-min(r * float(a[i]), held * float(a[i])), rel=1e-5)
        assert bool(clipped[i]) == (held * float(a[i]) < r * float(a[i]) - 1e-9)


def test_clipped_tokens_have_no_gradient():
    new = torch.tensor([0.5, -0.5, 0.5, -0.5], requires_grad=True)
    a = torch.tensor([1.0, -1.0, -1.0, 1.0])
    losses.ppo_loss(new, torch.zeros(4), a, 0.2)[0].sum().backward()
    assert new.grad is not None
    assert new.grad[:2].tolist() == [0.0, 0.0] and (new.grad[2:] != 0).all()


def test_the_kl_estimate_is_zero_for_equal_policies_and_positive_else(rng):
    new, old = (torch.tensor(rng.normal(size=30), dtype=torch.float32) for _ in range(2))
    assert (losses.approx_kl(old, old) == 0).all()
    assert (losses.approx_kl(new, old) > 0).all()


def test_dpo_of_equal_policies_is_log_2_and_falls_with_the_margin():
    x = torch.tensor([-3.0, -5.0])
    loss, margin = losses.dpo_loss(x, x - 1, x, x - 1, 0.1)
    torch.testing.assert_close(loss, torch.full((2,), math.log(2)))
    assert margin.tolist() == [0.0, 0.0]
    better, _ = losses.dpo_loss(x + 2, x - 3, x, x - 1, 0.1)
    torch.testing.assert_close(better, torch.full((2,), math.log(1 + math.exp(-0.4))))


def test_explained_variance_is_one_for_a_perfect_critic_and_zero_for_a_constant_one():
    returns = torch.tensor([0.0, 1.0, 0.5, 1.0])
    assert losses.explained_variance(returns, returns) == 1.0
    assert losses.explained_variance(torch.full((4,), 0.3), returns) == pytest.approx(0.0)
    assert math.isnan(losses.explained_variance(returns, torch.ones(4)))


# --- advantages against their definitions


def _slow_gae(rewards, values, gamma, lam) -> list[float]:
    """One reply, straight from the sums of the definition."""
    n = len(values)
    after = [*values[1:], 0.0]
    deltas = [(rewards if t == n - 1 else 0.0) + gamma * after[t] - values[t] for t in range(n)]
    return [sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, n)) for t in range(n)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 99),
    st.sampled_from([(1.0, 1.0), (0.9, 0.8), (1.0, 0.0)]),
)  # fmt: skip
def test_gae_is_its_definition_for_replies_in_any_order(lengths, seed, factors):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    reply = torch.tensor([int(r) for r in order for _ in range(lengths[r])])
    values = torch.tensor(rng.normal(size=len(reply)), dtype=torch.float32)
    rewards = torch.tensor(rng.normal(size=len(lengths)), dtype=torch.float32)
    signals = Signals(
        rewards=rewards, group=torch.zeros(len(lengths), dtype=torch.long), reply=reply,
        values=values,
    )  # fmt: skip
    found, returns = gae(signals, *factors)
    for r in range(len(lengths)):
        mine = reply == r
        slow = _slow_gae(float(rewards[r]), values[mine].tolist(), *factors)
        assert found[mine].tolist() == pytest.approx(slow, abs=1e-5)
    torch.testing.assert_close(returns, found + values)


def test_with_gamma_and_lambda_one_the_advantage_is_reward_minus_value():
    values = torch.tensor([0.1, 0.4, 0.2, 0.9])
    signals = Signals(
        rewards=torch.tensor([1.0, 0.0]), group=torch.tensor([0, 0]),
        reply=torch.tensor([0, 0, 0, 1]), values=values,
    )  # fmt: skip
    advantages, returns = gae(signals)
    torch.testing.assert_close(advantages, torch.tensor([1.0, 1.0, 1.0, 0.0]) - values)
    torch.testing.assert_close(returns, torch.tensor([1.0, 1.0, 1.0, 0.0]))


def test_group_estimators_are_their_definitions(rng):
    rewards = torch.tensor(rng.normal(size=8), dtype=torch.float32)
    group = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2])
    signals = Signals(rewards=rewards, group=group, reply=torch.arange(8))
    scaled, _ = group_normalised(signals)
    alone, _ = leave_one_out(signals)
    for i in range(8):
        mine = rewards[group == group[i]]
        others = [float(rewards[j]) for j in range(8) if group[j] == group[i] and j != i]
        if len(mine) > 1:
            wanted = (rewards[i] - mine.mean()) / mine.std(unbiased=False)
            assert float(scaled[i]) == pytest.approx(float(wanted), abs=1e-4)
            assert float(alone[i]) == pytest.approx(float(rewards[i]) - np.mean(others), abs=1e-5)
        else:
            assert float(scaled[i]) == float(alone[i]) == 0.0


@pytest.mark.parametrize("name", ["group_normalised", "leave_one_out"])
def test_equal_rewards_teach_nothing_without_a_critic(name):
    signals = Signals(
        rewards=torch.ones(4), group=torch.tensor([0, 0, 1, 1]), reply=torch.arange(4)
    )
    assert ADVANTAGES[name](signals)[0].tolist() == [0.0] * 4


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
    old = step._before(actor, batches)
    for batch, before in zip(batches, old, strict=True):
        assert torch.equal(actor(batch)[0].detach(), before)
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
    rows, grads = _rows(rng), []
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


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from dataclasses import replace
from test_rl import KEYS, PPO, FP32
from auscult.train.ppo import ppo
machine = replace(FP32, shard={shard}, checkpoint_minutes={minutes})
config = replace(PPO, machine=machine, steps={steps}, prompts=2)
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


@pytest.mark.parametrize("shard", [False, True])
def test_two_processes_end_with_the_weights_of_one(shard, source, tmp_path):  # noqa: F811
    """Plain copies, and FSDP2 shards over gloo: rollouts, losses and weights are the same."""
    one = replace(PPO, steps=2)
    single = ppo(one, KEYS, source, tmp_path / "one", source)
    out = tmp_path / "two"
    process = _run(2, source=str(source), out=str(out), shard=shard, minutes=9, steps=2)
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


@pytest.mark.parametrize("shard", [False, True])
def test_a_killed_run_goes_on_to_the_same_weights(shard, source, tmp_path):  # noqa: F811
    processes = 2 if shard else 1
    given = {"source": str(source), "shard": shard, "minutes": 0.0005, "steps": 8}
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
    from auscult.train.rollout import conversation

    silent = conversation(item, Asking(sound="silence"))[0].clips
    swapped = conversation(item, Asking(sound="swapped"))[0].clips
    assert not silent[0].any() and len(silent[0]) == len(item.clips[0])
    np.testing.assert_array_equal(swapped[0], gym.make("pitch_direction", 4).clips[0])
