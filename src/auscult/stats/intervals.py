"""Intervals and paired comparisons. Pure."""

from collections.abc import Sequence

import numpy as np

from auscult.types import Estimate

_Z = 1.959964  # 97.5 % point of the normal distribution


def wilson(right: float, n: int) -> Estimate:
    """A proportion with its 95 % Wilson score interval: 180 of 200 -> 0.90 [0.851, 0.934]."""
    if n <= 0:
        raise ValueError("a proportion needs at least one observation; got none")
    p = right / n
    centre = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    # Rounding must not push the mean out of its own interval (0 of 3: low 6e-17).
    low, high = min(p, max(0.0, float(centre - half))), max(p, min(1.0, float(centre + half)))
    return Estimate(mean=p, low=low, high=high, n=n)


def paired_difference(
    first: Sequence[float], second: Sequence[float], *, seed: int = 0, draws: int = 2000
) -> Estimate:
    """Mean of first - second over the same items with a 95 % bootstrap interval over items."""
    if len(first) != len(second) or not first:
        raise ValueError(
            f"a paired comparison needs the same items twice; got {len(first)} and {len(second)}"
        )
    d = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    rng = np.random.default_rng(seed)
    means = d[rng.integers(0, len(d), size=(draws, len(d)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(mean=float(d.mean()), low=float(low), high=float(high), n=len(d))


def grouped_mean(
    groups: Sequence[Sequence[float]], *, seed: int = 0, draws: int = 2000
) -> Estimate:
    """Mean of the groups' means (every task counts the same) with a bootstrap over items within
    each group."""
    arrays = [np.asarray(g, dtype=float) for g in groups if len(g)]
    rng = np.random.default_rng(seed)
    sums = np.zeros(draws)
    for a in arrays:
        sums += a[rng.integers(0, len(a), size=(draws, len(a)))].mean(axis=1)
    low, high = np.percentile(sums / len(arrays), [2.5, 97.5])
    mean = float(np.mean([a.mean() for a in arrays]))
    return Estimate(mean=mean, low=float(low), high=float(high), n=sum(map(len, arrays)))
