"""Selectors over one pool: by hand, against slow versions, and what holds for all of them."""

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auscult.stats.paired import paired_bootstrap
from auscult.stats.selectors import PAPER, SELECTORS, Sample, at_size, curve, pass_at

NAN = math.nan


def sample(answer: str, right: float, *scores: float) -> Sample:
    """Scores in order: mean and total log-probability, certainty, verifier, judge."""
    mean, total, certainty, verifier, judge = (*scores, *[NAN] * 5)[:5]
    return Sample(
        answer=answer, right=right, mean_logprob=mean, total_logprob=total, certainty=certainty,
        verifier=verifier, judge=judge, tokens=10,
    )  # fmt: skip


# Five answers to one question; "B" is right.
POOL = [
    sample("A", 0.0, -0.5, -10.0, 9.0, 0.2, 0.3),
    sample("A", 0.0, -0.4, -40.0, 3.0, 0.3, 0.3),
    sample("B", 1.0, -0.3, -50.0, 8.0, 0.9, 0.7),
    sample("", 0.0, -0.2, -20.0, 1.0, 0.0, 0.7),
    sample("C", 0.0, -0.6, -60.0, 2.0, 0.3, 0.0),
]


@pytest.mark.parametrize(
    ("name", "worth"),
    [
        ("single", 0.2),
        ("majority", 0.0),  # A, twice
        ("mean_logprob", 0.0),  # the unread one: best-of-n takes what scores best
        ("total_logprob", 0.0),  # the short one
        ("self_certainty", 0.0),  # 9: the first
        ("grounding", 1.0),
        ("judge", 0.5),  # B and the unread one tie
        ("grounding_vote", 1.0),  # A .5, B .9, C .3
        ("judge_vote", 1.0),  # A .6, B .7, C 0; the unread one has no vote
        ("certainty_vote", 0.0),  # A 12, B 8
        ("oracle", 1.0),
    ],
)
def test_every_selector_on_one_pool_by_hand(name: str, worth: float):
    assert SELECTORS[name](POOL) == pytest.approx(worth)


def test_the_table_holds_all_and_the_paper_s_five():
    assert len(PAPER) == 5 and {*PAPER} < {*SELECTORS}
    assert len(SELECTORS) == 11
    with pytest.raises(TypeError):
        SELECTORS["mine"] = SELECTORS["single"]  # pyright: ignore


def test_ties_are_averaged():
    tie = [sample("A", 0.0), sample("B", 1.0), sample("B", 1.0), sample("A", 0.0), sample("C", 0.0)]
    assert SELECTORS["majority"](tie) == 0.5
    # A tie of sums that differ by rounding only: 0.1 + 0.2 against 0.3.
    votes = [sample("A", 0.0, *[NAN] * 3, w) for w in (0.1, 0.2)]
    assert SELECTORS["grounding_vote"]([*votes, sample("B", 1.0, *[NAN] * 3, 0.3)]) == 0.5


def test_open_answers_of_one_wording_are_worth_their_mean():
    said = [sample("a dog", 1.0), sample("a dog", 0.5), sample("a cat", 0.0)]
    assert SELECTORS["majority"](said) == 0.75


def test_unread_answers_win_only_against_nothing():
    unread = [sample("", 0.0, *[NAN] * 4, 1.0)] * 5
    read = sample("B", 1.0, *[NAN] * 4, 0.0)
    assert SELECTORS["majority"]([*unread, read]) == 1.0
    assert SELECTORS["judge_vote"]([*unread, read]) == 1.0
    assert SELECTORS["majority"]([sample("", 1.0), sample("", 0.0)]) == 0.5


def test_unknown_scores_neither_win_nor_weigh():
    part = [sample("A", 0.0), sample("A", 0.0), sample("B", 1.0, -1.0, -9.0, 2.0, 0.1, 0.1)]
    for name in ("mean_logprob", "total_logprob", "self_certainty", "grounding", "judge"):
        assert SELECTORS[name](part) == 1.0
    for name in ("grounding_vote", "judge_vote", "certainty_vote"):
        assert SELECTORS[name](part) == 1.0
    # Drawn without the known one, nothing is known: any of them, or a plain vote.
    assert at_size([part], 1, "grounding") == [pytest.approx(1 / 3)]
    known = sample("B", 0.0, *[NAN] * 3, 0.5)
    pool = [sample("A", 1.0), sample("A", 1.0), sample("C", 0.0), known]
    # Of the four subsets of three only the one without the known sample votes plainly.
    assert at_size([pool], 3, "grounding_vote") == [pytest.approx(1 / 4)]


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("mean_logprob", "mean_logprob"), ("total_logprob", "total_logprob"),
        ("self_certainty", "certainty"), ("certainty_vote", "certainty"),
        ("grounding", "verifier"), ("grounding_vote", "verifier"),
        ("judge", "judge"), ("judge_vote", "judge"),
    ],
)  # fmt: skip
def test_a_pool_without_the_score_is_refused_by_its_name(name: str, missing: str):
    bare = [sample("A", 1.0), sample("B", 0.0)]
    with pytest.raises(ValueError, match=f"the pool has a known `{missing}`"):
        SELECTORS[name](bare)
    with pytest.raises(ValueError, match=f"pool 1 has a known `{missing}`"):
        curve([POOL, bare], [1], name)


def test_what_cannot_be_chosen_from_is_refused():
    with pytest.raises(ValueError, match="no samples"):
        SELECTORS["single"]([])
    with pytest.raises(ValueError, match="`right` is nan"):
        SELECTORS["oracle"]([sample("A", NAN)])
    with pytest.raises(ValueError, match="negative `judge`"):
        SELECTORS["judge_vote"]([sample("A", 1.0, *[NAN] * 4, -0.2)])
    assert SELECTORS["judge"]([sample("A", 1.0, *[NAN] * 4, -0.2)]) == 1.0
    with pytest.raises(ValueError, match=r"no selector 'best'; there are single, majority"):
        curve([POOL], [1], "best")
    with pytest.raises(ValueError, match="pool 0 holds 5 samples; 8 cannot"):
        curve([POOL], [8], "majority")
    with pytest.raises(ValueError, match="cannot be drawn"):
        pass_at([1.0], 2)


SCORE = st.one_of(st.just(NAN), st.sampled_from([0.0, 0.1, 0.2, 0.3, 1.0]))
DRAWN = st.builds(
    sample, st.sampled_from(["", "A", "B", "C"]), st.sampled_from([0.0, 0.25, 1.0]),
    SCORE, SCORE, SCORE, SCORE, SCORE,
)  # fmt: skip
KNOWN = sample("A", 0.25, 0.1, 0.1, 0.1, 0.1, 0.1)
POOLS = st.lists(DRAWN, max_size=6).map(lambda drawn: [*drawn, KNOWN])


@given(POOLS, st.randoms(use_true_random=False))
def test_no_selector_minds_the_order_or_beats_the_oracle(pool: list[Sample], random):
    mixed = random.sample(pool, len(pool))
    for name, select in SELECTORS.items():
        worth = select(pool)
        assert select(mixed) == pytest.approx(worth, abs=1e-12), name
        assert min(s.right for s in pool) <= worth <= SELECTORS["oracle"](pool)


@given(POOLS)
def test_one_sample_is_no_choice_and_the_whole_pool_is_the_selector_s(pool: list[Sample]):
    for name, select in SELECTORS.items():
        assert at_size([pool], 1, name) == pytest.approx(at_size([pool], 1, "single"))
        assert at_size([pool], len(pool), name) == pytest.approx([select(pool)])
        assert curve([pool], [1], name)[0].mean == pytest.approx(SELECTORS["single"](pool))


@given(POOLS, st.data())
def test_sizes_between_are_means_over_all_subsets(pool: list[Sample], data):
    size = data.draw(st.integers(1, len(pool)))
    for name, worth in OBVIOUS.items():
        want = np.mean([worth(list(part)) for part in combinations(pool, size)])
        assert at_size([pool], size, name)[0] == pytest.approx(want), name


def obvious_majority(pool: list[Sample]) -> float:
    said = [s.answer for s in pool if s.answer]
    if not said:
        return float(np.mean([s.right for s in pool]))
    most = max(map(said.count, said))
    winners = [a for a in {*said} if said.count(a) == most]
    return float(np.mean([np.mean([s.right for s in pool if s.answer == a]) for a in winners]))


def obvious_best(pool: list[Sample]) -> float:
    scores = [-1.0 if math.isnan(s.judge) else s.judge for s in pool]
    return float(np.mean([s.right for s, x in zip(pool, scores, strict=True) if x == max(scores)]))


OBVIOUS: dict[str, Callable[[list[Sample]], float]] = {
    "single": lambda pool: float(np.mean([s.right for s in pool])),
    "majority": obvious_majority,
    "judge": obvious_best,
    "oracle": lambda pool: max(s.right for s in pool),
}


@given(st.integers(0, 16), st.integers(1, 16))
def test_the_oracle_is_the_unbiased_pass_at_k(c: int, k: int):
    rights = [1.0] * c + [0.0] * (16 - c)
    want = 1 - math.comb(16 - c, k) / math.comb(16, k)
    assert pass_at(rights, k) == pytest.approx(want)
    assert at_size([[sample("A", r) for r in rights]], k, "oracle") == pytest.approx([want])


def coin_pools(items: int, seed: int = 0) -> list[list[Sample]]:
    """Sixteen samples an item, right by its own chance; the verifier sees a little of it."""
    rng = np.random.default_rng(seed)
    pools: list[list[Sample]] = []
    for _ in range(items):
        right = (rng.random(16) < rng.choice([0.2, 0.5, 0.8])).astype(float)
        seen = (0.5 * right + rng.random(16)) / 1.5
        pools.append([
            sample("AB"[int(r)], r, -x, -x, x, x, x)
            for r, x in zip(right.tolist(), seen.tolist(), strict=True)
        ])  # fmt: skip
    return pools


def test_majorities_of_three_are_hypergeometric_and_random_subsets_come_near():
    pools = coin_pools(40)
    want = [float(stats.hypergeom.sf(1, 16, sum(s.right for s in p), 3)) for p in pools]
    assert at_size(pools, 3, "majority", draws=560) == pytest.approx(want)
    drawn = at_size(pools, 3, "majority", draws=100)
    assert drawn != pytest.approx(want)
    assert np.mean(drawn) == pytest.approx(np.mean(want), abs=0.02)


def test_curves_rise_as_they_should():
    pools, sizes = coin_pools(60), [1, 2, 4, 8, 16]
    single, majority, grounding, oracle = (
        [e.mean for e in curve(pools, sizes, name, draws=60)]
        for name in ("single", "majority", "grounding", "oracle")
    )
    assert single == pytest.approx([single[0]] * 5)
    assert oracle == sorted(oracle) and oracle[-1] > single[0] + 0.3
    assert all(s < g < o for s, g, o in
               zip(single[1:], grounding[1:], oracle[1:], strict=True))  # fmt: skip
    assert majority[-1] == pytest.approx(np.mean([SELECTORS["majority"](p) for p in pools]))


def test_selectors_are_compared_on_the_same_subsets():
    pools = coin_pools(20)
    # In these pools the judge is the verifier: with the same subsets they choose the same.
    judge, grounding = (at_size(pools, 4, n, draws=10) for n in ("judge", "grounding"))
    assert judge == grounding != at_size(pools, 4, "judge", seed=1, draws=10)
    gap = paired_bootstrap(judge, at_size(pools, 4, "single"), None, 0)
    assert gap.low > 0


def test_no_sample_is_drawn_twice():
    best = sample("B", 1.0, *[NAN] * 4, 1.0)
    pool = [best, best, *[sample("A", 0.0, *[NAN] * 4, 0.1)] * 14]
    # Fifteen of sixteen always hold one of the two best.
    assert at_size([pool] * 20, 15, "judge", draws=10) == [1.0] * 20


def test_intervals_are_over_items_and_copies_do_not_narrow_them():
    pools = coin_pools(25)
    names = [str(i) for i in range(25)]
    (once,) = curve(pools, [16], "majority", clusters=names)
    (copies,) = curve(pools * 4, [16], "majority", clusters=names * 4)
    (naive,) = curve(pools * 4, [16], "majority")
    assert (once.n, copies.n) == (25, 100) and once.low < once.mean < once.high
    assert (copies.low, copies.high) == pytest.approx((once.low, once.high))
    assert naive.high - naive.low < 0.7 * (once.high - once.low)
