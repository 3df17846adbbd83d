"""How the next token is chosen. Pure functions of logits and uniform numbers; every row of a batch
has settings of its own.

Shapes: B rows, V vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from jaxtyping import Float, Int
from torch import Tensor


def is_whole(value: object) -> bool:
    """A whole number, of Python or of numpy."""
    return isinstance(value, Integral)


def is_text(value: object) -> bool:
    """A text."""
    return isinstance(value, str)


def is_list(value: object) -> bool:
    """A tuple or list, and no text, whose letters would be taken for its parts."""
    return isinstance(value, (tuple, list))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """temperature 0 = greedy; top_k 0 and top_p 1 = off; max_tokens bounds thought and answer
    together, and before min_tokens no end-of-turn token comes. Rows draw from generators of their
    own, so a result does not depend on what else is in flight.
    Example: Sampling(temperature=0.7, top_p=0.9, seed=3).

    stop: the answer ends before one of these texts; stop_ids: the reply ends with one of these
    tokens. loop: a reply ends when its last so many tokens repeat one block at least four times,
    0 = off. logprobs: keep so many of the likeliest tokens beside each chosen one.
    contrast: strength of audio-aware decoding (`contrasted`), 0 = off, twice the work otherwise.
    without: what it contrasts with, "silence" as long or "nothing" at all (other numbers: they are
    not the same control). certainty: keep each token's certainty (`certainty`).
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    max_tokens: int = 512
    min_tokens: int = 0
    seed: int = 0
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    loop: int = 128
    logprobs: int = 0
    contrast: float = 0.0
    without: str = "silence"
    certainty: bool = False

    def __post_init__(self) -> None:
        for name in ("top_k", "max_tokens", "min_tokens", "seed", "loop", "logprobs"):
            if not is_whole(getattr(self, name)):
                raise ValueError(f"{name} must be a whole number; got {getattr(self, name)!r}")
        warm = self.temperature == 0 or 1e-3 <= self.temperature <= 1e3
        texts = is_list(self.stop) and all(is_text(t) and t for t in self.stop)
        ids = is_list(self.stop_ids) and all(is_whole(i) for i in self.stop_ids)
        penalty = self.repetition_penalty
        checks = (
            (warm, "temperature", "0 (greedy) or 0.001 to 1,000", self.temperature),
            (self.seed >= 0, "seed", "0 or more", self.seed),
            (texts, "stop", "a tuple of texts that are not empty", self.stop),
            (ids, "stop_ids", "a tuple of token ids", self.stop_ids),
            (self.top_k >= 0, "top_k", "0 (off) or more", self.top_k),
            (0 < self.top_p <= 1, "top_p", "in (0, 1]", self.top_p),
            (1e-2 <= penalty <= 1e2, "repetition_penalty", "0.01 to 100 (1: off)", penalty),
            (self.max_tokens >= 1, "max_tokens", "1 or more", self.max_tokens),
            (self.min_tokens >= 0, "min_tokens", "0 or more", self.min_tokens),
            (self.loop == 0 or self.loop >= 16, "loop", "0 (off) or 16 or more", self.loop),
            (0 <= self.logprobs <= 20, "logprobs", "0 to 20", self.logprobs),
            (0 <= self.contrast <= 100, "contrast", "0 (off) to 100", self.contrast),
            (self.without in ("silence", "nothing"), "without", "silence or nothing", self.without),
        )
        for good, name, expected, value in checks:
            if not good:
                raise ValueError(f"{name} must be {expected}; got {value}")


def contrasted(
    heard: Float[Tensor, "B V"], deaf: Float[Tensor, "B V"], strength: Float[Tensor, "B 1"]
) -> Float[Tensor, "B V"]:
    """Audio-aware decoding (arXiv 2506.07233): (1 + a) x logits with the sound - a x logits without
    it."""
    return (1 + strength) * heard - strength * deaf


def certainty(logits: Float[Tensor, "B V"]) -> Float[Tensor, " B"]:
    """Self-certainty (arXiv 2502.18581): the divergence of the uniform distribution from the
    model's, KL(U || p) = -log V - mean log p, in nats: 0 when it knows nothing, large when one
    token is certain. At temperature 1, before any rule."""
    return -logits.log_softmax(-1).mean(-1) - math.log(logits.shape[-1])


def penalise(logits: Float[Tensor, " n"], penalty: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Logits of tokens that were already generated: positive ones divided by the penalty, negative
    ones multiplied with it (arXiv 1909.05858)."""
    return torch.where(logits > 0, logits / penalty, logits * penalty)


def restrict(logits: Float[Tensor, "B V"], rows: Sequence[Sampling]) -> Float[Tensor, "B V"]:
    """Temperature, top-k and top-p of each row: the log-probabilities of the sampling policy."""
    warm = torch.tensor([r.temperature or 1.0 for r in rows], device=logits.device)
    scaled = logits / warm[:, None]
    vocabulary = logits.shape[-1]
    cut = [i for i, r in enumerate(rows) if r.top_p < 1.0 or 0 < r.top_k < vocabulary]
    if cut:
        where = torch.tensor(cut, device=logits.device)
        scaled[where] = _likeliest(scaled[where], [rows[i] for i in cut])
    return scaled.log_softmax(-1)


def _likeliest(scaled: Float[Tensor, "B V"], rows: Sequence[Sampling]) -> Float[Tensor, "B V"]:
    """Each row's logits, -inf below its top-k and outside its top-p."""
    last = scaled.shape[-1] - 1
    ranked, order = scaled.sort(dim=-1, descending=True)
    kth = torch.tensor([[min(r.top_k - 1, last) if r.top_k else last] for r in rows])
    ranked.masked_fill_(ranked < ranked.gather(-1, kth.to(ranked.device)), -torch.inf)
    share = ranked.softmax(-1)
    top_p = torch.tensor([[r.top_p if r.top_p < 1.0 else math.inf] for r in rows])
    ranked.masked_fill_(share.cumsum(-1) - share >= top_p.to(ranked.device), -torch.inf)
    return torch.empty_like(scaled).scatter_(-1, order, ranked)


def choose(
    logits: Float[Tensor, "B V"], uniform: Float[Tensor, " B"], rows: Sequence[Sampling]
) -> tuple[Int[Tensor, " B"], Float[Tensor, "B V"]]:
    """Tokens, and the log-probabilities that they were chosen by: the largest logit, or inversion
    of the distribution function at `uniform`. A row without a finite distribution gets NaN."""
    logprobs = restrict(logits, rows)
    tokens = logits.argmax(-1)
    drawn = [i for i, r in enumerate(rows) if r.temperature > 0]
    if drawn:
        where = torch.tensor(drawn, device=logits.device)
        every = len(drawn) == len(rows)
        chances = logprobs if every else logprobs[where]
        below = chances.exp().double().cumsum(-1)
        whole = below[:, -1:]
        target = (uniform if every else uniform[where])[:, None].double() * whole
        # Rounded up to the whole it would find a token without any chance.
        target = torch.minimum(target, torch.nextafter(whole, torch.zeros_like(whole)))
        found = (below <= target).sum(-1).clamp(max=logits.shape[-1] - 1)
        tokens = found if every else tokens.index_copy(0, where, found)
    return tokens, logprobs
