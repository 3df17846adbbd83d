"""Advantage estimators, interchangeable: one signature, one table. Pure.

Shapes: R replies of one step, n trained tokens of some or all of them. The tokens of a reply follow
one another and are all there; a step may be given in several parts, with the same R rewards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What an estimator may use.

    rewards [R]: one number per reply, paid at its last token. group [R]: the prompt of each reply.
    reply [n]: the reply of each token. values [n]: the critic's V(s_t), the state *before* token t.
    Example: rewards=(1, 0), group=(0, 0), reply=(0, 0, 1), values=(.4, .6, .5).
    """

    rewards: Float[Tensor, " R"]
    group: Int[Tensor, " R"]
    reply: Int[Tensor, " n"]
    values: Float[Tensor, " n"] | None = None


Advantage = Callable[[Signals], tuple[Tensor, Tensor]]
"""signals -> (advantages [n], returns [n] that a critic should predict)."""


def _place(reply: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """The number of each token within its reply: (4, 4, 4, 1, 1) -> (0, 1, 2, 0, 1)."""
    index = torch.arange(len(reply), device=reply.device)
    begins = torch.ones_like(reply, dtype=torch.bool)
    begins[1:] = reply[1:] != reply[:-1]
    return index - torch.where(begins, index, 0).cummax(0).values


def gae(signals: Signals, gamma: float = 1.0, lam: float = 1.0) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2016 eq. 16) with the reward on the last
    token and V = 0 after it. The paper's gamma = lambda = 1 makes it R - V(s_t)."""
    values, rewards = signals.values, signals.rewards
    if values is None:
        raise ValueError("the estimator gae needs a critic's values; none were given")
    lengths = torch.bincount(signals.reply, minlength=len(rewards))
    steps = _place(signals.reply)
    width = int(lengths.max()) if len(lengths) else 0
    grid = values.new_zeros(len(rewards), width + 1)
    grid[signals.reply, steps] = values
    last = torch.zeros_like(grid)
    filled = lengths > 0
    last[filled, lengths[filled] - 1] = rewards[filled].to(grid)
    out, carried = torch.zeros_like(grid), grid.new_zeros(len(rewards))
    for t in range(width - 1, -1, -1):
        inside = (t < lengths).to(grid)
        delta = last[:, t] + gamma * grid[:, t + 1] - grid[:, t]
        carried = inside * (delta + gamma * lam * carried)
        out[:, t] = carried
    advantages = out[signals.reply, steps]
    return advantages, advantages + values


def _group_sums(signals: Signals) -> tuple[Tensor, Tensor, Tensor]:
    """(number, sum, sum of squares) of the rewards of each reply's group, per reply."""
    r, g = signals.rewards.float(), signals.group
    size = int(g.max()) + 1
    sums = [r.new_zeros(size).index_add(0, g, x)[g] for x in (torch.ones_like(r), r, r * r)]
    return sums[0], sums[1], sums[2]


def group_normalised(signals: Signals) -> tuple[Tensor, Tensor]:
    """(R - mean of the group) / its standard deviation (GRPO, Shao et al. 2024); 0 where all
    replies of a prompt earn the same."""
    n, total, squares = _group_sums(signals)
    mean = total / n
    deviation = (squares / n - mean**2).clamp(min=0).sqrt()
    scaled = torch.where(
        deviation > 1e-6, (signals.rewards - mean) / deviation.clamp(min=1e-6), 0.0
    )
    return scaled[signals.reply], signals.rewards[signals.reply].float()


def leave_one_out(signals: Signals) -> tuple[Tensor, Tensor]:
    """R - mean of the group's other replies (RLOO, Ahmadian et al. 2024); 0 for a lone reply."""
    n, total, _ = _group_sums(signals)
    others = (total - signals.rewards) / (n - 1).clamp(min=1)
    advantage = torch.where(n > 1, signals.rewards - others, 0.0)
    return advantage[signals.reply], signals.rewards[signals.reply].float()


ADVANTAGES: dict[str, Advantage] = {
    "gae": gae,
    "group_normalised": group_normalised,
    "leave_one_out": leave_one_out,
}
"""name -> estimator. Only `gae` needs a critic."""
