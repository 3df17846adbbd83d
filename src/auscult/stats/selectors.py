"""Choosing one of n answers: every selector on the same pool of samples, so that they compare.

The five methods of arXiv 2503.23395 (no code published) are `PAPER`; beside them self-certainty
(arXiv 2502.18581), the grounding verifier, and the oracle that bounds them all. A selector gives
the expected score of what it chooses: ties are averaged, so nothing is drawn.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64, Int64

from auscult.stats.paired import bootstrap_mean
from auscult.types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer to an item with everything it may be chosen by; nan = not known.

    Example: Sample(answer="B", right=1.0, mean_logprob=-0.21, total_logprob=-88.2,
    certainty=14.8, verifier=0.75, judge=0.9, tokens=420).
        answer         what votes are counted on; "" = could not be read
        right          its score
        mean_logprob   per token
        total_logprob  of the whole reply: the likelihood, which favours short ones
        certainty      self-certainty: KL divergence of the next-token distribution from the
                       uniform one, KL(U || p) in nats, mean over the tokens
        verifier       the grounding verifier's score of the thought, 0 to 1
        judge          a language model's score of the reply, 0 to 1
        tokens         generated
    """

    answer: str
    right: float
    mean_logprob: float = math.nan
    total_logprob: float = math.nan
    certainty: float = math.nan
    verifier: float = math.nan
    judge: float = math.nan
    tokens: int = 0


Score = Callable[[Sample], float]
Selector = Callable[[Sequence[Sample]], float]
Drawn = Int64[np.ndarray, "draws size"]
Worth = Float64[np.ndarray, " draws"]

_SCORES: Mapping[str, Score] = {
    "mean_logprob": lambda s: s.mean_logprob,
    "total_logprob": lambda s: s.total_logprob,
    "certainty": lambda s: s.certainty,
    "verifier": lambda s: s.verifier,
    "judge": lambda s: s.judge,
}

PAPER = ("single", "majority", "total_logprob", "judge", "judge_vote")
"""Chain of thought alone, self-consistency, likelihood best-of-n, the verifier's first choice and
the verifier-weighted vote."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """A pool in numbers. codes: of the answers, 0 = could not be read."""

    rights: Float64[np.ndarray, " n"]
    codes: Int64[np.ndarray, " n"]
    scores: Float64[np.ndarray, " n"]

    @classmethod
    def of(cls, samples: Sequence[Sample], score: Score | None) -> "_Pool":
        """Without a score all have 1."""
        seen: dict[str, int] = {"": 0}
        return cls(
            rights=np.array([s.right for s in samples], dtype=float),
            codes=np.array([seen.setdefault(s.answer, len(seen)) for s in samples]),
            scores=np.array([score(s) if score else 1.0 for s in samples], dtype=float),
        )


Choose = Callable[[_Pool, Drawn], Worth]


def _any(pool: _Pool, drawn: Drawn) -> Worth:
    return pool.rights[drawn].mean(axis=1)


def _oracle(pool: _Pool, drawn: Drawn) -> Worth:
    return pool.rights[drawn].max(axis=1)


def _best(pool: _Pool, drawn: Drawn) -> Worth:
    """The highest known score; where none is known, any."""
    scores = np.where(np.isnan(pool.scores), -np.inf, pool.scores)[drawn]
    top = scores == scores.max(axis=1, keepdims=True)
    return (pool.rights[drawn] * top).sum(axis=1) / top.sum(axis=1)


def _vote(pool: _Pool, drawn: Drawn) -> Worth:
    """The answer with most weight behind it, worth what its samples are worth on average.

    A vote of unknown weight counts nothing; where no weight is known all count the same. Answers
    that could not be read win only if there are no others.
    """
    codes, weights = pool.codes[drawn], pool.scores[drawn]
    voters = (codes > 0) | ~(codes > 0).any(axis=1, keepdims=True)
    known = (voters & ~np.isnan(weights)).any(axis=1, keepdims=True)
    weights = np.where(known, np.nan_to_num(weights), 1.0)
    own = (codes[:, :, None] == np.arange(pool.codes.max() + 1)) & voters[:, :, None]
    votes = own.sum(axis=1)
    worth = (own * pool.rights[drawn][:, :, None]).sum(axis=1) / np.maximum(votes, 1)
    totals = np.where(votes > 0, (own * weights[:, :, None]).sum(axis=1), -np.inf)
    most = totals.max(axis=1, keepdims=True)
    winners = totals >= most - 1e-9 * most
    return (worth * winners).sum(axis=1) / winners.sum(axis=1)


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one selector chooses, and which number of a sample it needs ("" = none)."""

    choose: Choose
    needs: str = ""
    votes: bool = False

    def check(self, samples: Sequence[Sample], where: str = "the pool") -> None:
        """Raises `ValueError` where the choice cannot be made from this pool."""
        if not samples:
            raise ValueError(f"{where} holds no samples to choose from")
        if any(math.isnan(s.right) for s in samples):
            raise ValueError(f"{where} holds a sample whose `right` is nan")
        if not self.needs:
            return
        found = [_SCORES[self.needs](s) for s in samples]
        if all(map(math.isnan, found)):
            raise ValueError(f"no sample of {where} has a known `{self.needs}` to choose by")
        if self.votes and min(x for x in found if not math.isnan(x)) < 0:
            raise ValueError(f"{where} holds a negative `{self.needs}`, which cannot weigh a vote")

    def __call__(self, samples: Sequence[Sample]) -> float:
        self.check(samples)
        return self.worth(samples, np.arange(len(samples))[None])

    def worth(self, samples: Sequence[Sample], drawn: Drawn) -> float:
        """Mean worth of what is chosen from each of the subsets (places in the pool)."""
        pool = _Pool.of(samples, _SCORES[self.needs] if self.needs else None)
        return float(self.choose(pool, drawn).mean())


def _best_by(name: str) -> _Rule:
    return _Rule(_best, needs=name)


def _vote_by(name: str) -> _Rule:
    return _Rule(_vote, needs=name, votes=True)


_RULES: Mapping[str, _Rule] = {
    "single": _Rule(_any),
    "majority": _Rule(_vote),
    "mean_logprob": _best_by("mean_logprob"),
    "total_logprob": _best_by("total_logprob"),
    "self_certainty": _best_by("certainty"),
    "grounding": _best_by("verifier"),
    "judge": _best_by("judge"),
    "grounding_vote": _vote_by("verifier"),
    "judge_vote": _vote_by("judge"),
    # arXiv 2502.18581 votes by ranks (Borda); here the certainty itself is the weight.
    "certainty_vote": _vote_by("certainty"),
    "oracle": _Rule(_oracle),
}

SELECTORS: Mapping[str, Selector] = MappingProxyType(_RULES)
"""name -> samples -> expected score of the chosen one. single: any of them (pass@1); oracle: the
best of them (pass@n). `ValueError` where the number that a selector goes by is nan in all."""


def _rule(selector: str) -> _Rule:
    if selector not in _RULES:
        raise ValueError(f"no selector {selector!r}; there are {', '.join(_RULES)}")
    return _RULES[selector]


def pass_at(rights: Sequence[float], k: int) -> float:
    """Expected best of k of these, over all subsets. For c ones among n: 1 - C(n-c, k) / C(n, k).

    Example: pass_at((1, 0, 0, 0), 2) = 0.5.
    """
    if not 1 <= k <= len(rights):
        raise ValueError(f"{k} of {len(rights)} samples cannot be drawn")
    ways = math.comb(len(rights), k)
    return math.fsum(
        r * (math.comb(i, k - 1) / ways) for i, r in enumerate(sorted(rights)) if i >= k - 1
    )


@lru_cache(maxsize=64)
def _all_subsets(n: int, size: int) -> Drawn:
    return np.array(list(combinations(range(n), size)))


@lru_cache(maxsize=1 << 14)
def _subsets(n: int, size: int, draws: int, seed: tuple[int, ...]) -> Drawn:
    """All subsets if they are no more than `draws`, else that many at random."""
    if math.comb(n, size) <= draws:
        return _all_subsets(n, size)
    order = np.random.default_rng(seed).random((draws, n)).argsort(axis=1)
    return order[:, :size]


def at_size(
    pools: Sequence[Sequence[Sample]], size: int, selector: str, seed: int = 0, draws: int = 200
) -> list[float]:
    """Expected score of every item where `size` samples are drawn from its pool.

    Exact for single and oracle, for the whole pool and wherever `draws` subsets are all there are;
    else the mean over random subsets, the same ones for every selector, so that two selectors
    compare by `paired_bootstrap`. Raises `ValueError` for a pool that is too small or lacks what
    the selector goes by.
    """
    rule = _rule(selector)
    values: list[float] = []
    for i, pool in enumerate(pools):
        rule.check(pool, f"pool {i}")
        if not 1 <= size <= len(pool):
            raise ValueError(f"pool {i} holds {len(pool)} samples; {size} cannot be drawn from it")
        if selector == "single":
            values.append(math.fsum(s.right for s in pool) / len(pool))
        elif selector == "oracle":
            values.append(pass_at([s.right for s in pool], size))
        else:
            values.append(rule.worth(pool, _subsets(len(pool), size, draws, (seed, size, i))))
    return values


def curve(
    pools: Sequence[Sequence[Sample]],
    sizes: Sequence[int],
    selector: str,
    seed: int = 0,
    draws: int = 200,
    *,
    clusters: Sequence[str] | None = None,
) -> list[Estimate]:
    """Score at every size (1, 2, 4, 8, 16), with a 95 % interval over resampled clusters of items
    (`clusters` as in `auscult.stats.paired`). One pool for each item; n counts the items."""
    return [
        bootstrap_mean(at_size(pools, size, selector, seed, draws), clusters, seed, 2000)
        for size in sizes
    ]
