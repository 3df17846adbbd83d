"""Error bars over clusters, paired comparisons, sample sizes, and the slope of thinking."""

import math
import tracemalloc
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auscult.stats import paired
from auscult.stats.paired import (
    bootstrap_mean,
    clustered_mean,
    detectable,
    holm,
    mcnemar,
    needed,
    paired_bootstrap,
    permutation_p,
)
from auscult.stats.slope import Attempt, thinking_slope
from auscult.types import Estimate

SCORES = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from(["a", "b", "c", "d", ""]), st.integers(0, 3)),
    min_size=3,
    max_size=30,
)


def width(e: Estimate) -> float:
    return e.high - e.low


def test_the_clustered_interval_of_two_pairs_by_hand():
    e = clustered_mean([1, 1, 0, 0], ["a", "a", "b", "b"])
    # Deviation sums 1 and -1: variance 2/1 * 2/16, error 0.5, t with 1 degree 12.706.
    assert e.mean == 0.5 and e.n == 4
    assert e.high - 0.5 == pytest.approx(12.7062 * 0.5, rel=1e-5)


@pytest.mark.parametrize("clusters", [None, [""] * 7, list("gfedcba")])
def test_items_of_their_own_give_the_textbook_t_interval(clusters: Sequence[str] | None):
    values = [0.0, 1.0, 1.0, 0.5, 0.25, 1.0, 0.0]
    e = clustered_mean(values, clusters)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (e.low, e.high) == pytest.approx((low, high))


@given(SCORES)
def test_the_clustered_error_is_the_double_sum_of_the_paper(rows):
    x, names = np.array([float(r[0]) for r in rows]), [r[1] for r in rows]
    same = np.array([[i == j or (a == b != "") for j, b in enumerate(names)]
                     for i, a in enumerate(names)])  # fmt: skip
    d = x - x.mean()
    c = len({n or i for i, n in enumerate(names)})
    e = clustered_mean(x.tolist(), names)
    if c < 2:
        assert math.isnan(e.low) and math.isnan(e.high)
        return
    error = math.sqrt(max(0.0, (np.outer(d, d) * same).sum()) * c / (c - 1)) / len(x)
    assert (e.high - e.low) / 2 == pytest.approx(stats.t.ppf(0.975, c - 1) * error, abs=1e-6)


@given(SCORES)
def test_a_weight_of_three_is_three_items_of_the_same_cluster(rows):
    names = [r[1] or f"own {i}" for i, r in enumerate(rows)]
    copies = [(float(v), n) for (v, _, w), n in zip(rows, names, strict=True) for _ in range(w)]
    values, weights = [float(r[0]) for r in rows], [float(r[2]) for r in rows]
    if not copies:
        with pytest.raises(ValueError, match="weight"):
            clustered_mean(values, names, weights)
        return
    e = clustered_mean(values, names, weights)
    f = clustered_mean([v for v, _ in copies], [n for _, n in copies])
    assert (e.mean, e.low, e.high) == pytest.approx((f.mean, f.low, f.high), nan_ok=True, abs=1e-7)
    assert e.n == sum(w > 0 for w in weights)


def test_an_item_that_is_left_out_is_as_if_it_were_not_there():
    e = clustered_mean([1.0, math.nan, 0.0, 1.0], ["a", "b", "c", "c"])
    assert e == clustered_mean([1.0, 0.0, 1.0], ["a", "c", "c"])
    b = bootstrap_mean([1.0, math.nan, 0.0, 1.0], ["a", "b", "c", "c"], 3)
    assert b == bootstrap_mean([1.0, 0.0, 1.0], ["a", "c", "c"], 3)


def test_means_of_nothing_are_refused():
    for values, clusters, weights, why in (
        ([], None, None, "no value has any weight"),
        ([math.nan], None, None, "no value has any weight"),
        ([math.inf, 1.0], None, None, "finite"),
        ([1.0, 0.0], ["a"], None, "every item needs its cluster"),
        ([1.0], None, [1.0, 2.0], "every value needs its weight"),
        ([1.0, 0.0], None, [1.0, -1.0], "not negative"),
    ):
        with pytest.raises(ValueError, match=why):
            clustered_mean(values, clusters, weights)
        with pytest.raises(ValueError, match=why):
            bootstrap_mean(values, clusters, 0, 10, weights=weights)
    with pytest.raises(ValueError, match="at least one item"):
        permutation_p([], [], None, 0)


def drawn_scores(rng: np.random.Generator, clusters: int) -> tuple[list[float], list[str]]:
    """Right or wrong, mean 0.5, four items a cluster, strongly alike within it."""
    p = rng.choice([0.1, 0.5, 0.9], size=clusters).repeat(4)
    return (rng.random(len(p)) < p).astype(float).tolist(), [str(i // 4) for i in range(len(p))]


def test_intervals_hold_the_truth_as_often_as_they_say_and_naive_ones_do_not():
    rng, held = np.random.default_rng(5), np.zeros(3)
    for i in range(300):
        values, names = drawn_scores(rng, 30)
        for j, e in enumerate((
            clustered_mean(values, names),
            bootstrap_mean(values, names, i, 300),
            clustered_mean(values, None),
        )):  # fmt: skip
            held[j] += e.low <= 0.5 <= e.high
    by_t, by_bootstrap, naive = held / 300
    assert 0.925 <= by_t <= 0.975 and 0.90 <= by_bootstrap <= 0.97 and naive < 0.88


def test_the_bootstrap_is_that_of_all_resamples():
    first, second = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.5, 1.0, 0.0, 0.0]
    names, weights = ["a", "a", "b", "c", "d", "e"], [1.0, 2.0, 3.0, 1.0, 2.0, 2.0]
    gaps: list[float] = []
    for picks in product("abcde", repeat=5):
        rows = [i for p in picks for i, n in enumerate(names) if n == p]
        w = sum(weights[i] for i in rows)
        gaps.append(sum(weights[i] * (first[i] - second[i]) for i in rows) / w)
    e = paired_bootstrap(first, second, names, 1, 40_000, weights=weights)
    assert e.mean == pytest.approx((1 + 0 - 1.5 + 0 + 2 + 2) / 11) and e.n == 6
    assert (e.low, e.high) == pytest.approx(np.percentile(gaps, [2.5, 97.5]), abs=0.03)


def test_the_bootstrap_agrees_with_the_linearised_ratio_and_gains_by_pairing():
    rng = np.random.default_rng(2)
    names = [str(i // 3) for i in range(600)]
    hard = rng.random(600)
    first = (rng.random(600) * 0.3 + hard > 0.5).astype(float)
    second = (rng.random(600) * 0.3 + hard > 0.6).astype(float)
    words = rng.integers(1, 20, 600).astype(float).tolist()
    e = paired_bootstrap(first.tolist(), second.tolist(), names, 0, weights=words)
    f = clustered_mean((first - second).tolist(), names, words)
    assert e.mean == pytest.approx(f.mean) and width(e) == pytest.approx(width(f), rel=0.06)
    alone = clustered_mean(first.tolist(), names, words)
    assert width(e) < 0.8 * width(alone)


def test_a_score_that_is_left_out_leaves_its_side_only():
    e = paired_bootstrap([1.0, math.nan, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], None, 0)
    assert e.mean == pytest.approx(2 / 3 - 1 / 4) and e.n == 4 and e.low < e.mean < e.high
    flat = paired_bootstrap([1.0, math.nan] * 20, [0.5] * 40, None, 0)
    assert (flat.mean, flat.low, flat.high) == (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="same items twice"):
        paired_bootstrap([1.0], [1.0, 0.0], None, 0)


def test_equal_runs_do_not_differ_and_the_seed_decides():
    same = [0.1, 0.7, 0.3] * 5
    e = paired_bootstrap(same, same, None, 0)
    assert (e.mean, e.low, e.high) == (0, 0, 0)
    other = [0.2, 0.1, 0.9] * 5
    assert paired_bootstrap(same, other, None, 4) == paired_bootstrap(same, other, None, 4)
    assert paired_bootstrap(same, other, None, 4) != paired_bootstrap(same, other, None, 5)
    one = paired_bootstrap(same, other, ["a"] * 15, 4)
    assert math.isnan(one.low) and math.isnan(one.high)


def test_five_thousand_items_are_resampled_in_blocks_of_the_same_draws(monkeypatch):
    rng = np.random.default_rng(0)
    first, second = (rng.random(5000).tolist() for _ in range(2))
    tracemalloc.start()
    e = paired_bootstrap(first, second, None, 7, 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # 40 MB for one array of all 5,000 x 1,000 would make it more than 80
    monkeypatch.setattr(paired, "_BLOCK", 70_000)
    small = paired_bootstrap(first, second, None, 7, 1000)
    assert (small.low, small.high) == pytest.approx((e.low, e.high), abs=1e-12)


def test_the_permutation_p_is_that_of_all_changes_of_names():
    first, second = [1.0, 1, 1, 0, 1, 1, 1, 0.5, 1], [0.0, 0, 1, 1, 0, 0.5, 0, 0, 0.25]
    names = list("aabcdefgh")
    sums = [2, 0, -1, 1, 0.5, 1, 0.5, 0.75]
    far = [abs(sum(s * g for s, g in zip(signs, sums, strict=True))) >= 4.75
           for signs in product((-1, 1), repeat=8)]  # fmt: skip
    p = permutation_p(first, second, names, 0, 20_000)
    assert p == pytest.approx(np.mean(far), abs=0.01)
    # None of 99 draws is as far apart as sixty wins, and yet p is not 0.
    assert permutation_p([1.0] * 60, [0.0] * 60, None, 0, 99) == 0.01
    with pytest.raises(ValueError, match="finite score"):
        permutation_p([math.nan], [1.0], None, 0)


def test_copies_of_items_are_no_evidence():
    first, second = [1.0] * 12 + [0.0] * 4 + [1.0] * 20, [0.0] * 12 + [1.0] * 4 + [1.0] * 20
    names = [str(i) for i in range(36)]
    once = mcnemar(first, second)
    assert permutation_p(first, second, names, 0) == pytest.approx(once.p, abs=0.01)
    assert permutation_p(first * 3, second * 3, names * 3, 0) == pytest.approx(once.p, abs=0.01)
    assert mcnemar(first * 3, second * 3).p < once.p / 10


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_the_binomial_test_of_the_disagreements(pairs):
    first, second = [int(a) for a, _ in pairs], [int(b) for _, b in pairs]
    m, back = mcnemar(first, second), mcnemar(second, first)
    apart = m.first_only + m.second_only
    assert apart == sum(a != b for a, b in pairs) and m.n == len(pairs)
    assert m.first_only - m.second_only == sum(first) - sum(second)
    want = stats.binomtest(m.first_only, apart).pvalue if apart else 1.0
    assert m.p == pytest.approx(want) == back.p


def test_mcnemar_takes_right_or_wrong_answers_of_the_same_items():
    m = mcnemar([1] * 15 + [0] * 5 + [1] * 180, [0] * 15 + [1] * 5 + [1] * 180)
    assert (m.first_only, m.second_only, m.n, round(m.p, 4)) == (15, 5, 200, 0.0414)
    with pytest.raises(ValueError, match="same items twice"):
        mcnemar([1], [1, 0])
    with pytest.raises(ValueError, match="right"):
        mcnemar([0.5], [1])


def test_holm_by_hand_and_in_any_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([]) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.1, math.nan])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_the_largest_of_the_steps_so_far(ps: list[float]):
    ranked = sorted(ps)
    steps = [min(1.0, (len(ps) - i) * p) for i, p in enumerate(ranked)]
    for p, adjusted in zip(ps, holm(ps), strict=True):
        last = max(i for i, q in enumerate(ranked) if q == p)
        assert adjusted == max(steps[: last + 1]) >= p


def test_sample_sizes_of_the_literature():
    assert (
        needed(0.85, 0.80, discordant=0.15) == 469
    )  # (1.95996 sqrt .15 + .84162 sqrt .1475)^2 / g^2
    assert needed(0.03, 0.0, sd=1 / 3) == 969  # arXiv 2411.00640, section 5
    assert needed(30 / 200, 20 / 200, discordant=50 / 200) == needed(0.9, 0.85, discordant=0.25)
    assert needed(0.85, 0.80, discordant=0.15, design=2.0) == 938  # 2 x 468.57
    # Independent answers: discordant .85 x .2 + .8 x .15 = .29.
    assert needed(0.85, 0.8, correlation=0.0) == needed(0.85, 0.8, discordant=0.29)
    # .29 - 2 x .6 sqrt(.85 x .15 x .8 x .2)
    assert needed(0.85, 0.8, correlation=0.6) == needed(0.85, 0.8, discordant=0.1186057)


def test_that_many_items_have_the_power_promised():
    n = needed(0.85, 0.80, discordant=0.15)
    drawn = np.random.default_rng(1).multinomial(n, [0.10, 0.05, 0.85], size=5000)
    b, c = drawn[:, 0], drawn[:, 1]
    assert np.mean(np.abs(b - c) / np.sqrt(b + c) > 1.959964) == pytest.approx(0.8, abs=0.02)


@given(st.integers(30, 20_000), st.floats(0.2, 1.0), st.floats(1.0, 3.0))
def test_what_is_detectable_needs_that_many_items(n: int, d: float, design: float):
    gap = detectable(n, discordant=d, design=design)
    if gap < d:
        q = (1 - gap) / 2
        assert abs(needed(q + gap, q, discordant=d, design=design) - n) <= 1
    gap = detectable(n, sd=d, design=design)
    assert abs(needed(gap, 0.0, sd=d, design=design) - n) <= 1


def test_plans_that_make_no_sense_are_refused():
    assert detectable(4, discordant=0.1) == math.inf and detectable(1, discordant=1.0) == math.inf
    for call, why in (
        (lambda: needed(0.5, 0.5, sd=1.0), "gap of nothing"),
        (lambda: needed(0.5, 0.4), "give one of"),
        (lambda: needed(0.5, 0.4, sd=1.0, discordant=0.2), "give one of"),
        (lambda: needed(0.5, 0.4, discordant=0.05), "differ on 0.1 to 0.9"),
        (lambda: needed(0.99, 0.90, correlation=0.9), "differ on"),
        (lambda: needed(1.5, 0.4, discordant=0.2), "between 0 and 1"),
        (lambda: needed(0.5, 0.4, sd=1.0, power=1.0), "power"),
        (lambda: detectable(10), "give one of"),
        (lambda: detectable(0, sd=1.0), "at least one item"),
    ):
        with pytest.raises(ValueError, match=why):
            call()


ATTEMPTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 200), st.sampled_from([0.0, 0.5, 1.0])),
    min_size=1,
    max_size=30,
)


@given(ATTEMPTS)
def test_the_slope_is_that_of_a_regression_with_a_constant_for_every_item(rows):
    attempts = [Attempt(item=str(i), tokens=t, right=r) for i, t, r in rows]
    found = thinking_slope(attempts, draws=20)
    x = np.log2([max(t, 1) for _, t, _ in rows])
    y = np.array([r for *_, r in rows])
    items = sorted({i for i, *_ in rows})
    dummies = np.array([[float(i == j) for j in items] for i, *_ in rows])
    lengths = [{max(t, 1) for i, t, _ in rows if i == j} for j in items]
    assert found.items == len(items) and found.answers == len(rows)
    assert found.same_length == sum(len(s) == 1 for s in lengths)
    assert found.same_score == sum(len({r for i, _, r in rows if i == j}) == 1 for j in items)
    assert found.within.n == found.items - found.same_length
    if found.within.n:
        slope = np.linalg.lstsq(np.column_stack([x, dummies]), y, rcond=None)[0][0]
        assert found.within.mean == pytest.approx(slope, abs=1e-6)
    else:
        assert math.isnan(found.within.mean)
    if len(set(x)) > 1:
        assert found.pooled.mean == pytest.approx(np.polyfit(x, y, 1)[0], abs=1e-6)
    assert sum(b.n for b in found.buckets) == len(rows)


def thoughts(rng: np.random.Generator, items: int, slope: float) -> list[Attempt]:
    """Eight answers an item; hard items are thought about for long and missed."""
    found: list[Attempt] = []
    for i in range(items):
        hard = rng.random()
        for _ in range(8):
            x = 6 + 4 * hard + rng.normal()
            p = 0.9 - 0.7 * hard + slope * (x - 6 - 4 * hard)
            found.append(Attempt(item=str(i), tokens=round(2**x), right=float(rng.random() < p)))
    return found


def test_thinking_that_helps_is_seen_within_items_and_hidden_in_the_pool():
    found = thinking_slope(thoughts(np.random.default_rng(3), 400, 0.05), draws=500)
    assert found.within.low < 0.05 < found.within.high and found.within.low > 0.02
    assert found.pooled.high < -0.05
    assert len(found.buckets) == 5 and found.buckets[0].right.mean > found.buckets[-1].right.mean
    # The items of a bucket explain most of its fall.
    fall = found.buckets[0].items_right - found.buckets[-1].items_right
    assert fall > 0.8 * (found.buckets[0].right.mean - found.buckets[-1].right.mean) > 0.2


def test_the_slope_s_interval_holds_the_truth_as_often_as_it_says():
    rng, held = np.random.default_rng(8), 0
    for i in range(120):
        e = thinking_slope(thoughts(rng, 40, 0.04), seed=i, draws=200).within
        held += e.low <= 0.04 <= e.high
    assert 0.88 <= held / 120 <= 0.99


def test_copies_in_one_cluster_do_not_narrow_the_slope():
    once = thoughts(np.random.default_rng(4), 30, 0.05)
    copies = [
        Attempt(item=f"{a.item}/{k}", tokens=a.tokens, right=a.right, cluster=a.item)
        for a in once for k in range(3)
    ]  # fmt: skip
    one, three = thinking_slope(once), thinking_slope(copies)
    for e, f in ((one.within, three.within), (one.pooled, three.pooled)):
        assert (f.mean, f.low, f.high) == pytest.approx((e.mean, e.low, e.high))
    assert three.within.n == 3 * one.within.n


def test_buckets_hold_equal_lengths_together():
    rows = [("a", 1, 1), ("a", 1, 1), ("a", 8, 0), ("b", 1, 0), ("b", 9, 1), ("b", 9, 0)]
    attempts = [Attempt(item=i, tokens=t, right=r) for i, t, r in rows]
    found = thinking_slope(attempts, buckets=4)
    short, *_, long = found.buckets
    assert (short.low, short.high, short.n, long.high) == (1, 1, 3, 9)
    assert short.right.mean == pytest.approx(2 / 3)
    assert short.items_right == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    three = thinking_slope([Attempt(item="a", tokens=t, right=1) for t in (1, 2, 3)], buckets=2)
    assert [(b.low, b.high) for b in three.buckets] == [(1, 2), (3, 3)]
    alike = thinking_slope([Attempt(item="a", tokens=5, right=r) for r in (0.0, 1.0)])
    assert math.isnan(alike.within.mean) and math.isnan(alike.pooled.mean)
    assert (alike.same_length, alike.same_score, len(alike.buckets)) == (1, 0, 1)


def test_attempts_that_cannot_be_fitted_are_refused():
    with pytest.raises(ValueError, match="at least one attempt"):
        thinking_slope([])
    with pytest.raises(ValueError, match="not finite"):
        thinking_slope([Attempt(item="a", tokens=1, right=math.nan)])
    with pytest.raises(ValueError, match="two clusters"):
        thinking_slope([Attempt(item="a", tokens=1, right=1, cluster=c) for c in "xy"])
    apart = [Attempt(item="x", tokens=t, right=0) for t in (1, 2)]
    apart += [Attempt(item="y", tokens=t, right=t - 1, cluster="x") for t in (1, 2)]
    assert thinking_slope(apart).within.high > thinking_slope(apart).within.low
