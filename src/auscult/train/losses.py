"""Losses and their diagnostics. Pure: tensors in, tensors out.

Shapes: n trained tokens of all replies, R replies, V words, D width.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

CHUNK = 2048
"""Tokens whose logits stand in memory at once: 2,048 x 152,064 float32 = 1.2 GB."""


def _chunk(
    states: Float[Tensor, "m D"], head: Float[Tensor, "V D"], targets: Int[Tensor, " m"]
) -> tuple[Tensor, Tensor]:
    logits = F.linear(states, head).float()
    norm = logits.logsumexp(-1)
    logprobs = logits.gather(-1, targets[:, None])[:, 0] - norm
    with torch.no_grad():
        entropy = norm - (logits.softmax(-1) * logits).sum(-1)
    return logprobs, entropy


def token_logprobs(
    states: Float[Tensor, "n D"],
    head: Float[Tensor, "V D"],
    targets: Int[Tensor, " n"],
    chunk: int = CHUNK,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """(log-probability of each target, entropy of each distribution without gradient), nats.

    Logits are made `chunk` tokens at a time and again in the backward pass, so that the 10,240
    tokens of one answer (paper section 4.3) need no 6 GB of them.
    """
    if len(targets) <= chunk:
        return _chunk(states, head, targets)
    parts = [
        checkpoint(_chunk, s, head, t, use_reentrant=False)
        for s, t in zip(states.split(chunk), targets.split(chunk), strict=True)
    ]
    logprobs, entropies = zip(*parts, strict=True)  # pyright: ignore[reportArgumentType]
    return torch.cat(logprobs), torch.cat(entropies)


def sum_by_reply(
    values: Float[Tensor, " n"], reply: Int[Tensor, " n"], replies: int
) -> Float[Tensor, " R"]:
    """Per-token values summed over each reply."""
    return values.new_zeros(replies).index_add(0, reply, values)


def ppo_loss(
    logprobs: Float[Tensor, " n"],
    old: Float[Tensor, " n"],
    advantages: Float[Tensor, " n"],
    clip: float = 0.2,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """(clipped surrogate loss of each token, 1 where the clip binds), Schulman et al. 2017 eq. 7.

    -min(r A, clip(r, 1 - c, 1 + c) A) with r = exp(logprobs - old). No KL and no entropy term
    (paper section 4.3).
    """
    ratio = (logprobs - old).exp()
    free = -advantages * ratio
    held = -advantages * ratio.clamp(1 - clip, 1 + clip)
    return torch.maximum(free, held), (held > free).float()


def value_loss(values: Float[Tensor, " n"], returns: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Half the squared error of each token's value."""
    return 0.5 * (values - returns) ** 2


def approx_kl(logprobs: Float[Tensor, " n"], old: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """r - 1 - log r per token: never negative, its mean is KL(old || new) (Schulman 2020)."""
    difference = logprobs - old
    return difference.exp() - 1 - difference


def explained_variance(values: Float[Tensor, " n"], returns: Float[Tensor, " n"]) -> float:
    """1 - Var(returns - values) / Var(returns): 1 = the critic knows, 0 = no better than the mean;
    nan where all returns are the same."""
    variance = float(returns.var(unbiased=False))
    if variance < 1e-12:
        return float("nan")
    return 1 - float((returns - values).var(unbiased=False)) / variance


def dpo_loss(
    chosen: Float[Tensor, " p"],
    rejected: Float[Tensor, " p"],
    reference_chosen: Float[Tensor, " p"],
    reference_rejected: Float[Tensor, " p"],
    beta: float,
) -> tuple[Float[Tensor, " p"], Float[Tensor, " p"]]:
    """(loss, margin) of each pair from log-probabilities of whole replies, Rafailov et al. 2023
    eq. 7: -log sigmoid(margin), margin = beta ((chosen - its reference) - (rejected - its)).
    Equal policies give log 2 = 0.6931."""
    margin = beta * ((chosen - reference_chosen) - (rejected - reference_rejected))
    return -F.logsigmoid(margin), margin.detach()
