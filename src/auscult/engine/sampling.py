"""How the next token is chosen. Pure functions of logits and uniform numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """temperature 0 = greedy; top_k 0 and top_p 1 = off; max_tokens bounds thought and answer
    together. Rows draw from generators of their own, so a result does not depend on what else is in
    the batch. Example: Sampling(temperature=0.7, top_p=0.9, seed=3).

    contrast: strength of audio-aware decoding (`contrasted`), 0 = off, twice the work otherwise.
    without: what it contrasts with, "silence" as long or "nothing" at all (other numbers: they are
    not the same control). certainty: keep each token's certainty (`certainty`).
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    max_tokens: int = 512
    seed: int = 0
    contrast: float = 0.0
    without: str = "silence"
    certainty: bool = False

    def __post_init__(self) -> None:
        checks = (
            (self.temperature >= 0, "temperature", "0 or more", self.temperature),
            (self.top_k >= 0, "top_k", "0 (off) or more", self.top_k),
            (0 < self.top_p <= 1, "top_p", "in (0, 1]", self.top_p),
            (self.repetition_penalty > 0, "repetition_penalty", "> 0", self.repetition_penalty),
            (self.max_tokens >= 1, "max_tokens", "1 or more", self.max_tokens),
            (self.contrast >= 0, "contrast", "0 (off) or more", self.contrast),
            (self.without in ("silence", "nothing"), "without", "silence or nothing", self.without),
        )
        for good, name, expected, value in checks:
            if not good:
                raise ValueError(f"{name} must be {expected}; got {value}")


def contrasted(read: Sequence[Float[Tensor, "B V"]], strength: float) -> Float[Tensor, "B V"]:
    """Audio-aware decoding (arXiv 2506.07233): (1 + a) x logits with the sound - a x logits without
    it. With one reading, its logits as they are."""
    return read[0] if len(read) == 1 else (1 + strength) * read[0] - strength * read[1]


def certainty(logits: Float[Tensor, "B V"]) -> Float[Tensor, " B"]:
    """Self-certainty (arXiv 2502.18581): the divergence of the uniform distribution from the
    model's, KL(U || p) = -log V - mean log p, in nats: 0 when it knows nothing, large when one
    token is certain. At temperature 1, before any rule."""
    return -logits.log_softmax(-1).mean(-1) - math.log(logits.shape[-1])


def penalise(
    logits: Float[Tensor, "B V"], seen: Float[Tensor, "B V"], penalty: float
) -> Float[Tensor, "B V"]:
    """Divide positive and multiply negative logits of tokens already generated (`seen` > 0)."""
    weaker = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen > 0, weaker, logits)


def restrict(logits: Float[Tensor, "B V"], sampling: Sampling) -> Float[Tensor, "B V"]:
    """Temperature, top-k and top-p: the log-probabilities of the sampling policy."""
    scaled = logits / sampling.temperature if sampling.temperature > 0 else logits
    if sampling.top_k and sampling.top_k < logits.shape[-1]:
        least = scaled.topk(sampling.top_k, dim=-1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < least, -torch.inf)
    if sampling.top_p < 1.0:
        ranked, order = scaled.sort(dim=-1, descending=True)
        before = ranked.softmax(-1).cumsum(-1) - ranked.softmax(-1)
        ranked = ranked.masked_fill(before >= sampling.top_p, -torch.inf)
        scaled = torch.full_like(scaled, -torch.inf).scatter(-1, order, ranked)
    return scaled.log_softmax(-1)


def choose(
    logits: Float[Tensor, "B V"], uniform: Float[Tensor, " B"], sampling: Sampling
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """Tokens and their log-probabilities: the largest logit, or inversion of the distribution
    function at `uniform`. Logits that are not finite anywhere in a row are an error."""
    logprobs = restrict(logits, sampling)
    if sampling.temperature == 0:
        tokens = logits.argmax(-1)
    else:
        below = logprobs.exp().double().cumsum(-1)
        target = uniform[:, None].double() * below[:, -1:]
        tokens = (below <= target).sum(-1).clamp(max=logits.shape[-1] - 1)
    chosen = logprobs.gather(-1, tokens[:, None])[:, 0]
    if not bool(torch.isfinite(chosen).all()):
        bad = int((~torch.isfinite(chosen)).sum())
        raise FloatingPointError(
            f"{bad} of {len(chosen)} rows have no finite next-token distribution; the weights or "
            "the audio features hold NaN or infinity"
        )
    return tokens, chosen
