"""Error bars for scores of items that share a source, and comparisons over the same items. Pure.

Throughout, `clusters` names what an item shares with others (a recording, a speaker, a base
question). "" is a cluster of its own, as in `Question.cluster`; None: every item is its own. A
score of nan is an item that an official script leaves out of its mean: it counts on neither side
of that ratio. Sources: arXiv 2411.00640 ("Adding Error Bars to Evals"), Holm 1979, McNemar 1947,
Connor 1987.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import bdtr, stdtrit

from auscult.types import Estimate

_BLOCK = 1_000_000  # drawn numbers held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Two models on the same items, right or wrong.

    Example: of 200 items 15 are right only by the first model and 5 only by the second ->
    McNemar(first_only=15, second_only=5, n=200, p=0.0414).
    """

    first_only: int
    second_only: int
    n: int
    p: float


def cluster_codes(clusters: Sequence[str] | None, n: int) -> Int64[np.ndarray, " n"]:
    """Clusters numbered in order of appearance: ("a", "", "a", "") -> (0, 1, 0, 2).

    Raises `ValueError` unless there is one for each of `n` > 0 items.
    """
    if n == 0:
        raise ValueError("an interval needs at least one item; got none")
    if clusters is None:
        return np.arange(n)
    if len(clusters) != n:
        raise ValueError(f"every item needs its cluster; got {len(clusters)} for {n} items")
    seen: dict[str | int, int] = {}
    return np.array([seen.setdefault(c or i, len(seen)) for i, c in enumerate(clusters)])


def _counted(
    values: Sequence[float], weights: Sequence[float] | None
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """(values with 0 for nan, weights with 0 for nan); checks that something is left."""
    x = np.asarray(values, dtype=float)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)
    if len(w) != len(x):
        raise ValueError(f"every value needs its weight; got {len(w)} for {len(x)} values")
    if not (np.isfinite(w) & (w >= 0)).all():
        raise ValueError("weights must be finite and not negative")
    if np.isinf(x).any():
        raise ValueError("values must be finite, or nan for an item that is left out")
    w = np.where(np.isnan(x), 0.0, w)
    if not w.any():
        raise ValueError("no value has any weight, so there is no mean")
    return np.nan_to_num(x), w


def _per_cluster(
    codes: Int64[np.ndarray, " n"], *columns: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "C k"]:
    """Each column summed within each cluster."""
    return np.stack([np.bincount(codes, weights=c) for c in columns], axis=1)


def clustered_mean(
    values: Sequence[float], clusters: Sequence[str] | None, weights: Sequence[float] | None = None
) -> Estimate:
    """Mean with a 95 % t interval from the clustered standard error, C - 1 degrees of freedom.

    The variance is that of arXiv 2411.00640, appendix A, times C / (C - 1), which the paper leaves
    out and inspect_ai has. With weights: the ratio sum(w x) / sum(w), linearised. For two models:
    the mean of their differences item by item. n counts the items with weight.

    One cluster says nothing about others: low and high are nan. Where all values agree the
    interval has no width; `stats.wilson` is the honest one there.
    """
    x, w = _counted(values, weights)
    codes = cluster_codes(clusters, len(x))
    total = w.sum()
    mean = float((w * x).sum() / total)
    sums = _per_cluster(codes, w * (x - mean), w)
    sums = sums[sums[:, 1] > 0]
    n, c = int((w > 0).sum()), len(sums)
    if c < 2:
        return Estimate(mean=mean, low=math.nan, high=math.nan, n=n)
    error = math.sqrt(c / (c - 1) * float((sums[:, 0] ** 2).sum())) / total
    half = float(stdtrit(c - 1, 0.975) * error)
    return Estimate(mean=mean, low=mean - half, high=mean + half, n=n)


def resampled(
    sums: Float64[np.ndarray, "C k"], *, seed: int, draws: int
) -> Float64[np.ndarray, "draws k"]:
    """Totals of C clusters drawn with replacement, `draws` times. In blocks: 5,000 clusters and
    10,000 draws take a second and tens of MB."""
    rng = np.random.default_rng(seed)
    c, k = sums.shape
    columns = np.ascontiguousarray(sums.T)
    out = np.empty((draws, k))
    block = max(1, _BLOCK // c)
    for start in range(0, draws, block):
        picks = rng.integers(0, c, size=(min(block, draws - start), c))
        for j in range(k):
            out[start : start + len(picks), j] = columns[j].take(picks).sum(axis=1)
    return out


def percentiles(drawn: Float64[np.ndarray, " draws"], clusters: int) -> tuple[float, float]:
    """The 2.5 and 97.5 % points. Draws that gave nothing (nan) are left out; below two clusters
    nothing is known: nan."""
    drawn = drawn[np.isfinite(drawn)]
    if clusters < 2 or not len(drawn):
        return math.nan, math.nan
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def ratio(
    top: Float64[np.ndarray, " n"], bottom: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """top / bottom, nan where bottom is 0."""
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)


def bootstrap_mean(
    values: Sequence[float],
    clusters: Sequence[str] | None,
    seed: int,
    draws: int = 10_000,
    *,
    weights: Sequence[float] | None = None,
) -> Estimate:
    """Mean (with weights: ratio) with a 95 % percentile interval over resampled clusters."""
    x, w = _counted(values, weights)
    sums = _per_cluster(cluster_codes(clusters, len(x)), w * x, w)
    sums = sums[sums[:, 1] > 0]
    drawn = resampled(sums, seed=seed, draws=draws)
    low, high = percentiles(drawn[:, 0] / drawn[:, 1], len(sums))
    mean = float((w * x).sum() / w.sum())
    return Estimate(mean=mean, low=low, high=high, n=int((w > 0).sum()))


def paired_bootstrap(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[str] | None,
    seed: int,
    draws: int = 10_000,
    *,
    weights: Sequence[float] | None = None,
) -> Estimate:
    """Score of the first minus that of the second over the same items, with a 95 % percentile
    interval over resampled clusters. With weights (reference words of a word error rate) both
    scores are ratios sum(w x) / sum(w). An item that is nan on one side leaves that side only.
    """
    if len(first) != len(second):
        raise ValueError(
            f"a paired comparison needs the same items twice; got {len(first)} and {len(second)}"
        )
    (x, v), (y, w) = _counted(first, weights), _counted(second, weights)
    sums = _per_cluster(cluster_codes(clusters, len(x)), v * x, v, w * y, w)
    sums = sums[sums[:, 1] + sums[:, 3] > 0]
    drawn = resampled(sums, seed=seed, draws=draws)
    gaps = ratio(drawn[:, 0], drawn[:, 1]) - ratio(drawn[:, 2], drawn[:, 3])
    low, high = percentiles(gaps, len(sums))
    mean = float((v * x).sum() / v.sum() - (w * y).sum() / w.sum())
    return Estimate(mean=mean, low=low, high=high, n=int((v + w > 0).sum()))


def permutation_p(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[str] | None,
    seed: int,
    draws: int = 10_000,
) -> float:
    """Two-sided p of no difference: the two models change names in whole clusters at random.

    Where items share clusters this stands in for `mcnemar`, which takes them as independent.
    (1 + draws at least as far apart as observed) / (1 + draws), so never 0.
    """
    if len(first) != len(second):
        raise ValueError(
            f"a paired comparison needs the same items twice; got {len(first)} and {len(second)}"
        )
    gaps = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if not np.isfinite(gaps).all():
        raise ValueError("names can only change where both models have a finite score")
    sums = _per_cluster(cluster_codes(clusters, len(gaps)), gaps)[:, 0]
    rng = np.random.default_rng(seed)
    # Sums that differ by rounding only are as far apart as each other.
    far = abs(sums.sum()) - 1e-9 * np.abs(sums).sum()
    block, more = max(1, _BLOCK // len(sums)), 0
    for start in range(0, draws, block):
        heads = rng.integers(0, 2, size=(min(block, draws - start), len(sums)), dtype=np.int8)
        more += int((np.abs((2.0 * heads - 1) @ sums) >= far).sum())
    return (1 + more) / (1 + draws)


def mcnemar(first_right: Sequence[float], second_right: Sequence[float]) -> McNemar:
    """Exact McNemar test of two runs that are right (1) or wrong (0) item by item: the two-sided
    binomial p of the items on which they differ. Items are taken as independent.

    Raises `ValueError` for anything but 0 and 1, or for runs over different numbers of items.
    """
    if len(first_right) != len(second_right) or not first_right:
        raise ValueError(
            "a paired comparison needs the same items twice; "
            f"got {len(first_right)} and {len(second_right)}"
        )
    if not {*first_right, *second_right} <= {0, 1}:
        raise ValueError("the test is of answers that are right (1) or wrong (0)")
    b = sum(x > y for x, y in zip(first_right, second_right, strict=True))
    c = sum(x < y for x, y in zip(first_right, second_right, strict=True))
    p = min(1.0, 2 * float(bdtr(min(b, c), b + c, 0.5))) if b + c else 1.0
    return McNemar(first_only=b, second_only=c, n=len(first_right), p=p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values of several comparisons, in the order given (Holm's step-down):
    (0.01, 0.04, 0.03) -> (0.03, 0.06, 0.06)."""
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError("p values lie between 0 and 1")
    adjusted, so_far, m = [0.0] * len(p_values), 0.0, len(p_values)
    for rank, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        so_far = max(so_far, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = so_far
    return adjusted


def _points(power: float, alpha: float) -> tuple[float, float]:
    """Normal points of a two-sided test at `alpha` and of its power."""
    if not (0 < alpha < 1 and 0.5 <= power < 1):
        raise ValueError(f"alpha must lie in (0, 1), power in [0.5, 1); got {alpha} and {power}")
    return NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)


def _discordance(p: float, q: float, discordant: float | None, correlation: float | None) -> float:
    """Share of items that exactly one of two models gets right, checked against their scores."""
    if not (0 <= p <= 1 and 0 <= q <= 1):
        raise ValueError(f"scores of right or wrong answers lie between 0 and 1; got {p} and {q}")
    if correlation is not None:
        together = correlation * math.sqrt(p * (1 - p) * q * (1 - q))
        discordant = p * (1 - q) + q * (1 - p) - 2 * together
    low, high = abs(p - q), min(p + q, 2 - p - q)
    if discordant is None or not low - 1e-9 <= discordant <= high + 1e-9:
        raise ValueError(
            f"scores {p:g} and {q:g} differ on {low:g} to {high:g} of the items; got {discordant}"
        )
    return max(discordant, low)


def needed(
    p_first: float,
    p_second: float,
    *,
    discordant: float | None = None,
    correlation: float | None = None,
    sd: float | None = None,
    design: float = 1.0,
    power: float = 0.8,
    alpha: float = 0.05,
) -> int:
    """Paired items that would show the gap p_first - p_second in a two-sided test.

    Give one of: discordant, the share of items that exactly one model gets right (McNemar counts b
    and c of n: `needed(b / n, c / n, discordant=(b + c) / n)`); correlation of the two models'
    right answers; sd of the differences, for scores that are not right or wrong. design: variance
    with clusters over variance without. Examples: 0.85 and 0.80 with discordant=0.15 -> 469;
    a gap of 0.03 with sd=1/3 -> 969 (the example of arXiv 2411.00640).
    """
    if sum(x is not None for x in (discordant, correlation, sd)) != 1:
        raise ValueError("give one of discordant, correlation and sd")
    gap = abs(p_first - p_second)
    if gap == 0:
        raise ValueError("no number of items shows a gap of nothing")
    z_alpha, z_power = _points(power, alpha)
    if sd is not None:
        root = (z_alpha + z_power) * sd
    else:
        d = _discordance(p_first, p_second, discordant, correlation)
        root = z_alpha * math.sqrt(d) + z_power * math.sqrt(max(0.0, d - gap**2))
    return max(1, math.ceil(design * (root / gap) ** 2 - 1e-9))


def detectable(
    n: int,
    *,
    discordant: float | None = None,
    sd: float | None = None,
    design: float = 1.0,
    power: float = 0.8,
    alpha: float = 0.05,
) -> float:
    """The smallest gap that `n` paired items show: the inverse of `needed`.

    inf where even disagreements that all go one way would not show. Example: 1,000 items of which
    15 % are discordant -> 0.034.
    """
    if (discordant is None) == (sd is None) or n < 1:
        raise ValueError("give one of discordant and sd, and at least one item")
    z_alpha, z_power = _points(power, alpha)
    items = n / design
    if sd is not None:
        return (z_alpha + z_power) * sd / math.sqrt(items)
    assert discordant is not None
    inside = items + z_power**2 - z_alpha**2
    if inside < 0:
        return math.inf
    # sqrt(n) g = z_alpha sqrt(d) + z_power sqrt(d - g^2), solved for g.
    root = math.sqrt(items) * z_alpha + z_power * math.sqrt(inside)
    gap = math.sqrt(discordant) * root / (items + z_power**2)
    return gap if gap <= discordant else math.inf
