"""Does longer thought help? The slope within items, and the pooled one that difficulty confounds.

Hard questions get long thoughts and wrong answers, so buckets of length over all answers fall even
where thinking helps. With K answers to the same item the item is its own control: lengths and
scores are taken relative to the item's means (fixed effects) before the slope is fitted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from auscult.stats.paired import clustered_mean, percentiles, ratio, resampled
from auscult.types import Estimate

_Numbers = Float64[np.ndarray, " N"]
_Codes = Int64[np.ndarray, " N"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One of the answers to an item.

    Example: Attempt(item="mmar/7", tokens=412, right=1.0, cluster="video 3").
        tokens   of the thought; 0 counts as 1 in the logarithm
        cluster  items that share it are not independent; "" = the item alone
    """

    item: str
    tokens: int
    right: float
    cluster: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Answers of like length.

    Example: Bucket(low=120, high=340, n=200, right=Estimate(...0.61...), items_right=0.66): these
    answers are right in 61 %, all answers to the same items in 66 %; the raw bucket is unfair by
    as much as `items_right` differs from bucket to bucket.
    """

    low: int
    high: int
    n: int
    right: Estimate
    items_right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingSlope:
    """Change of the score for every doubling of the thought.

    Example: within 0.03 [0.01, 0.05], pooled -0.08 [-0.10, -0.06]: twice the thought gains three
    points on the same item, though long thoughts are mostly seen on items that are missed.
        within       fixed effects; its n are the items whose lengths vary
        pooled       all answers in one fit; its n are the answers
        items        all of them
        same_length  items whose thoughts are all as long: they say nothing (in no sum)
        same_score   items whose answers are all worth the same: their own slope is 0, and they
                     pull `within` towards it if their lengths vary
        buckets      by quantiles of length, short to long
    """

    within: Estimate
    pooled: Estimate
    items: int
    answers: int
    same_length: int
    same_score: int
    buckets: tuple[Bucket, ...]


def thinking_slope(
    attempts: Sequence[Attempt], *, buckets: int = 5, seed: int = 0, draws: int = 2000
) -> ThinkingSlope:
    """Slopes on log2 of the thought's tokens, with percentile intervals over resampled clusters.

    A slope that no data determine (all lengths alike) is nan. Raises `ValueError` for no attempts,
    a score that is not finite, or an item in two clusters.
    """
    item, unit = _codes(attempts)
    tokens = np.array([a.tokens for a in attempts])
    x = np.log2(np.maximum(tokens, 1).astype(float))
    y = np.array([a.right for a in attempts], dtype=float)
    if not np.isfinite(y).all():
        raise ValueError("a slope needs the score of every attempt; one is not finite")
    moves, wavers = _varies(x, item), _varies(y, item)
    return ThinkingSlope(
        within=_within(x, y, item, unit, moves, seed=seed, draws=draws),
        pooled=_pooled(x, y, unit, seed=seed, draws=draws),
        items=len(moves),
        answers=len(attempts),
        same_length=int((~moves).sum()),
        same_score=int((~wavers).sum()),
        buckets=_buckets(tokens, y, item, unit, buckets),
    )


def _codes(attempts: Sequence[Attempt]) -> tuple[_Codes, _Codes]:
    """Numbers of the items, and of the units that are resampled."""
    if not attempts:
        raise ValueError("a slope needs at least one attempt; got none")
    items: dict[str, int] = {}
    units: dict[tuple[str, str], int] = {}
    cluster_of: dict[str, str] = {}
    for a in attempts:
        if cluster_of.setdefault(a.item, a.cluster) != a.cluster:
            raise ValueError(
                f"item {a.item!r} is in two clusters, {cluster_of[a.item]!r} and {a.cluster!r}"
            )
        items.setdefault(a.item, len(items))
        units.setdefault(_unit(a), len(units))
    return (
        np.array([items[a.item] for a in attempts]),
        np.array([units[_unit(a)] for a in attempts]),
    )


def _unit(attempt: Attempt) -> tuple[str, str]:
    """A cluster may have the name of an item that is not in it."""
    return ("cluster", attempt.cluster) if attempt.cluster else ("item", attempt.item)


def _varies(values: _Numbers, item: _Codes) -> Bool[np.ndarray, " items"]:
    """Has the item two different values?"""
    n = int(item.max()) + 1
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, item, values)
    np.maximum.at(high, item, values)
    return low < high


def _item_means(values: _Numbers, item: _Codes) -> _Numbers:
    """For every answer, the mean over its item's answers."""
    return (np.bincount(item, weights=values) / np.bincount(item))[item]


def _within(
    x: _Numbers,
    y: _Numbers,
    item: _Codes,
    unit: _Codes,
    moves: Bool[np.ndarray, " items"],
    *,
    seed: int,
    draws: int,
) -> Estimate:
    """sum(dx dy) / sum(dx dx) over the deviations from the items' means."""
    # Exactly 0 where an item's lengths agree: a mean may be off by rounding.
    dx = np.where(moves[item], x - _item_means(x, item), 0.0)
    dy = y - _item_means(y, item)
    sums = np.stack([np.bincount(unit, weights=v) for v in (dx * dy, dx * dx)], axis=1)
    sums = sums[sums[:, 1] > 0]
    n = int(moves.sum())
    if not len(sums):
        return Estimate(mean=math.nan, low=math.nan, high=math.nan, n=n)
    drawn = resampled(sums, seed=seed, draws=draws)
    low, high = percentiles(drawn[:, 0] / drawn[:, 1], len(sums))
    top, bottom = sums.sum(axis=0)
    return Estimate(mean=float(top / bottom), low=low, high=high, n=n)


def _pooled(x: _Numbers, y: _Numbers, unit: _Codes, *, seed: int, draws: int) -> Estimate:
    """The least-squares slope through all answers, items ignored; clusters are resampled."""
    n = len(x)
    if x.min() == x.max():
        return Estimate(mean=math.nan, low=math.nan, high=math.nan, n=n)
    x, y = x - x.mean(), y - y.mean()  # else the moments below cancel badly
    columns = (np.ones(n), x, y, x * y, x * x)
    sums = np.stack([np.bincount(unit, weights=c) for c in columns], axis=1)
    low, high = percentiles(_slopes(resampled(sums, seed=seed, draws=draws)), len(sums))
    mean = float((x * y).sum() / (x * x).sum())
    return Estimate(mean=mean, low=low, high=high, n=n)


def _slopes(moments: Float64[np.ndarray, "draws 5"]) -> Float64[np.ndarray, " draws"]:
    """Slopes from n, sum x, sum y, sum xy, sum xx; nan where no length varies."""
    n, x, y, xy, xx = moments.T
    spread = xx - x * x / n
    return ratio(xy - x * y / n, np.where(spread > 1e-12 * xx, spread, 0.0))


def _buckets(
    tokens: Int64[np.ndarray, " N"], y: _Numbers, item: _Codes, unit: _Codes, count: int
) -> tuple[Bucket, ...]:
    """Quantile buckets; equal lengths share one, so there may be fewer than asked for."""
    edges = np.quantile(tokens, np.linspace(0, 1, count + 1)[1:-1])
    place = np.searchsorted(edges, tokens, side="left")
    expected = _item_means(y, item)
    found: list[Bucket] = []
    for i in np.unique(place):
        here = place == i
        found.append(
            Bucket(
                low=int(tokens[here].min()),
                high=int(tokens[here].max()),
                n=int(here.sum()),
                right=clustered_mean(y[here].tolist(), [str(u) for u in unit[here]]),
                items_right=float(expected[here].mean()),
            )
        )
    return tuple(found)
