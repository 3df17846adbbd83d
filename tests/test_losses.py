"""Rows, masks, losses and advantages against their slow definitions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.train import losses
from auscult.train.feed.batch import Encoded, collate, micro_batches, split_row, visible
from auscult.train.forward import Actor
from auscult.train.rl.advantages import ADVANTAGES, Signals, gae, group_normalised, leave_one_out


def some_rows(rng: np.random.Generator, n: int = 2) -> list[Encoded]:
    rows = []
    for b in range(n):
        prompt = tuple(int(x) for x in rng.integers(6, 90, 4 + b))
        replies = tuple(tuple(int(x) for x in rng.integers(6, 90, k)) for k in (3, 1, 5))
        rows.append(Encoded(prompt=prompt, replies=replies, numbers=tuple(range(3 * b, 3 * b + 3))))
    return rows


# --- rows and masks


def test_a_reply_in_a_packed_row_is_the_reply_on_its_own(model, rng):
    actor = Actor(model)
    rows = some_rows(rng)
    packed, _ = actor(collate(rows))
    alone = [
        actor(collate([replace(row, replies=(reply,), numbers=(0,))]))[0]
        for row in rows
        for reply in row.replies
    ]
    torch.testing.assert_close(packed, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_no_reply_sees_another_and_padding_sees_nothing_but_is_never_a_source(rng):
    batch = collate(some_rows(rng))
    seen = visible(batch.segments)
    for b, segments in enumerate(batch.segments.tolist()):
        for i, mine in enumerate(segments):
            for j, other in enumerate(segments):
                allowed = j <= i and (other in (mine, 0))
                assert bool(seen[b, i, j]) == allowed
    assert (batch.segments.flatten()[batch.source] >= 0).all()


def test_forced_tokens_are_read_and_never_trained_on(model, rng):
    row = some_rows(rng, 1)[0]
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
