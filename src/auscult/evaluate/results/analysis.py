"""What the runs of a results page tell together: which belong to one study, and the comparisons.

Pure. Everything counts the strict score, and pairs questions by key. A run counts with what it has:
the page marks those that are not whole.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from auscult.evaluate.protocol import Protocol
from auscult.evaluate.results.runs import Row, Run, figures
from auscult.stats.intervals import wilson
from auscult.stats.paired import (
    bootstrap_mean,
    cluster_codes,
    clustered_mean,
    mcnemar,
    paired_bootstrap,
    percentiles,
    permutation_p,
    ratio,
    resampled,
)
from auscult.stats.selectors import SELECTORS, Sample, at_size
from auscult.types import Estimate

Reply = Mapping[str, Any]
SEED, DRAWS = 0, 2000  # of intervals, to a tenth of their width
FLIPS = 4000  # of p
SUBSETS = 50  # of a pool, where there are more


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A study as the page knows it: the settings that vary, what a run is called, and the one that
    the others are compared with.

    Example: Kind(vary=("condition",), name=lambda p: p.condition, reference="full").
    """

    vary: tuple[str, ...]
    name: Callable[[Protocol], str]
    reference: str


def _strength(p: Protocol) -> str:
    return f"{p.without} {p.contrast:g}" if p.contrast else "0"


KINDS: Mapping[str, Kind] = {
    "controls": Kind(vary=("condition",), name=lambda p: p.condition, reference="full"),
    "budgets": Kind(vary=("think",), name=lambda p: p.think, reference="none"),
    "decoding": Kind(vary=("contrast", "without"), name=_strength, reference="0"),
    "corruptions": Kind(
        vary=("corruption",), name=lambda p: p.corruption or "clean", reference="clean"
    ),
    "constrained": Kind(
        vary=("constrained",),
        name=lambda p: "held to options" if p.constrained else "free answer",
        reference="free answer",
    ),
    "voices": Kind(vary=("voice",), name=lambda p: p.voice or "own voice", reference="own voice"),
    "languages": Kind(
        vary=("language",), name=lambda p: p.language or "as published", reference="as published"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Runs of one model that differ in one study's settings only.

    Example: Family(model="auscult/nano", base=Protocol(suite="gym"), runs={"full": run, ...}).
    """

    model: str
    base: Protocol
    runs: Mapping[str, Run]

    @property
    def label(self) -> str:
        """ "auscult/nano: gym, limit 98"."""
        return f"{self.model}: {title(self.base)}"


def title(p: Protocol) -> str:
    """The protocol's name with the settings that it leaves out: "gym, limit 98, max tokens 64"."""
    told = [f"{k} {Path(v).name}" for k, v in (("data", p.data), ("texts", p.texts)) if v]
    told += [f"max tokens {p.max_tokens}"] if p.max_tokens else []
    return ", ".join([p.name(), *told])


def broken(run: Run) -> str:
    """Why a run is not whole, in words; "" for one that is."""
    told = [] if run.status == "success" else [f"status {run.status}"]
    told += [f"{run.failed} of {run.total} questions failed"] if run.failed else []
    missing = run.total - len(run.rows) - run.failed
    told += [f"{missing} of {run.total} questions not reached"] if missing > 0 else []
    return ", ".join(told)


def plain(p: Protocol) -> bool:
    """Is the suite put as it is, once?"""
    changed = p.corruption or p.voice or p.language or p.contrast or p.constrained
    return p.condition == "full" and p.think == "free" and p.samples == 1 and not changed


def families(runs: Sequence[Run], kind: Kind) -> list[Family]:
    """Studies of one reply to each question with two members or more, in order of appearance."""
    found: dict[tuple[str, Protocol], dict[str, Run]] = {}
    # Of two runs that differ in `verify` alone the one that knows more stays.
    for run in sorted((r for r in runs if r.rows), key=lambda r: r.protocol.verify):
        if run.protocol.samples == 1:
            key = (run.model, without(run.protocol, kind.vary))
            found.setdefault(key, {})[kind.name(run.protocol)] = run
    order = {run.model: i for i, run in reversed(list(enumerate(runs)))}
    kept = [Family(model=m, base=b, runs=some) for (m, b), some in found.items() if len(some) > 1]
    return sorted(kept, key=lambda f: order[f.model])


def without(protocol: Protocol, vary: Sequence[str]) -> Protocol:
    """The protocol with these settings, and `verify`, as they are by default."""
    defaults = {name: Protocol.__dataclass_fields__[name].default for name in (*vary, "verify")}
    return replace(protocol, **defaults)


# --- pairs of runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """First run minus second over the questions that both have.

    Example: difference 0.57 [0.47, 0.66] of n = 98, p 0.0003 before Holm.
        lost  share of questions worth less than under the reference (right -> wrong)
        won   worth more (wrong -> right)
        same  share of questions with the same answer
    """

    name: str
    first: str
    second: str
    difference: Estimate
    p: float
    lost: Estimate
    won: Estimate
    same: Estimate


def shared(first: Run, second: Run) -> list[tuple[Row, Row]]:
    """Rows of the same question, in the order of the first run."""
    others = {row.key: row for row in second.rows}
    return [(row, others[row.key]) for row in first.rows if row.key in others]


def contrast(
    name: str, first: tuple[str, Run], second: tuple[str, Run], *, reference: int = 0
) -> Contrast | None:
    """Two runs with their names; reference: the place of that with which the other is compared.
    None where they share no question with a score."""
    pairs = [
        (a, b) for a, b in shared(first[1], second[1])
        if math.isfinite(a.mean("strict")) and math.isfinite(b.mean("strict"))
    ]  # fmt: skip
    if not pairs:
        return None
    weights = [1.0] * len(pairs)
    x, y = ([row.mean("strict") for row in rows] for rows in zip(*pairs, strict=True))
    clusters = [a.cluster for a, _ in pairs]
    old, new = (y, x) if reference else (x, y)
    return Contrast(
        name=name, first=first[0], second=second[0],
        difference=paired_bootstrap(x, y, clusters, SEED, DRAWS),
        p=p_value(x, y, clusters, weights),
        lost=share([u > v for u, v in zip(old, new, strict=True)], clusters),
        won=share([u < v for u, v in zip(old, new, strict=True)], clusters),
        same=share([_said(a) == _said(b) for a, b in pairs], clusters),
    )  # fmt: skip


def _said(row: Row) -> str:
    reply = row.replies[0]
    return str(reply["answer"] or reply["text"]).strip().casefold()


def p_value(
    x: Sequence[float], y: Sequence[float], clusters: Sequence[str], weights: Sequence[float]
) -> float:
    """Exact McNemar where answers are right or wrong and independent; else whole clusters change
    names at random."""
    if {*x, *y} <= {0.0, 1.0} and len({*clusters}) == len(x) and {*weights} == {1.0}:
        return mcnemar(x, y).p
    a, b = ([v * w for v, w in zip(some, weights, strict=True)] for some in (x, y))
    return permutation_p(a, b, clusters, SEED, FLIPS)


def share(hits: Sequence[bool], clusters: Sequence[str]) -> Estimate:
    """A proportion; where all agree over clusters, Wilson's interval of as many as there are."""
    values = [float(h) for h in hits]
    units = len({*clusters})
    if units == len(values):
        return wilson(sum(values), units)
    if len({*values}) == 1:
        return replace(wilson(values[0] * units, units), n=len(values))
    found = clustered_mean(values, clusters)
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def retention(full: Run, other: Run) -> Estimate | None:
    """Score without the sound over score with it, with a bootstrap interval over clusters; None
    where the full score is 0."""
    pairs = shared(full, other)
    scores = [(b.mean("strict"), a.mean("strict")) for a, b in pairs]
    known = [i for i, both in enumerate(scores) if all(map(math.isfinite, both))]
    top, bottom = (np.array([scores[i][side] for i in known]) for side in (0, 1))
    if not known or not bottom.sum():
        return None
    codes = cluster_codes([pairs[i][0].cluster for i in known], len(known))
    sums = np.stack([np.bincount(codes, weights=v) for v in (top, bottom)], axis=1)
    drawn = resampled(sums, seed=SEED, draws=DRAWS)
    low, high = percentiles(ratio(drawn[:, 0], drawn[:, 1]), len(sums))
    return Estimate(mean=float(top.sum() / bottom.sum()), low=low, high=high, n=len(known))


# --- shares and means over replies


def over_replies(run: Run, number: Callable[[Reply], float | bool | None]) -> Estimate | None:
    """Mean over the replies for which the number is known; a truth value gives a proportion."""
    found = [(v, row.cluster) for row in run.rows for r in row.replies
             if (v := number(r)) is not None and math.isfinite(v)]  # fmt: skip
    if not found:
        return None
    values, clusters = [v for v, _ in found], [c for _, c in found]
    if all(isinstance(v, bool) for v in values):
        return share([bool(v) for v in values], clusters)
    return clustered_mean([float(v) for v in values], clusters)


def phantom(reply: Reply) -> bool | None:
    """Does the thought claim something that the given sound does not bear out? None: no thought, or
    nothing was checked."""
    given = reply.get("given")
    return given["claims"] - given["supported"] > 0 if given else None


def thought_tokens(reply: Reply) -> float | None:
    """Length of the thought, where the provider counts it."""
    return reply["numbers"].get("thought_tokens")


def closed(reply: Reply) -> bool | None:
    """Was the thought closed by its budget?"""
    how = reply["numbers"].get("closed")
    return None if how is None else how == "budget"


def written(run: Run) -> list[float]:
    """Tokens generated for each question, all replies together."""
    return [
        float(sum(r["numbers"]["tokens"] for r in row.replies))
        if all("tokens" in r["numbers"] for r in row.replies)
        else float(row.output_tokens)
        for row in run.rows
    ]


# --- budgets


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One budget. x: log2(1 + tokens allowed), for free thought of its mean length; nan where that
    is not known. Example: Point(name="8", x=3.17, used=Estimate(7.9...), ...)."""

    name: str
    x: float
    used: Estimate | None
    closed: Estimate | None
    right: Estimate


def budget_points(family: Family) -> list[Point]:
    """none, then by budget, then free."""
    found: list[Point] = []
    for name, run in family.runs.items():
        used = over_replies(run, thought_tokens)
        allowed = run.protocol.budget
        if allowed is None:
            allowed = used.mean if used else math.nan
        found.append(
            Point(
                name=name, x=math.log2(1 + allowed), used=used, closed=over_replies(run, closed),
                right=figures(run).strict,
            )
        )  # fmt: skip
    return sorted(found, key=lambda p: (p.name == "free", p.name != "none", p.x))


def budget_slope(family: Family, places: Mapping[str, float]) -> tuple[Estimate, float] | None:
    """Least-squares slope of the score on `places` (name of a budget -> log2 of tokens) and its p:
    the mean of the questions' slopes, so clusters of these are resampled, and for p they change
    sign at random. None where fewer than two places differ."""
    names = [n for n, x in places.items() if math.isfinite(x)]
    x = np.array([places[n] for n in names])
    if len(names) < 2 or np.ptp(x) == 0:
        return None
    by_key = [{row.key: row for row in family.runs[n].rows} for n in names]
    keys = [k for k in by_key[0] if all(k in rows for rows in by_key)]
    right = np.array([[rows[k].mean("strict") for k in keys] for rows in by_key])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    every = zip(keys, (weights @ right).tolist(), strict=True)
    found = [(by_key[0][k].cluster, float(v)) for k, v in every if math.isfinite(v)]
    if not found:
        return None
    clusters, slopes = [c for c, _ in found], [v for _, v in found]
    p = permutation_p(slopes, [0.0] * len(slopes), clusters, SEED, FLIPS)
    return bootstrap_mean(slopes, clusters, SEED, DRAWS), p


def pools(runs: Iterable[Run]) -> list[Run]:
    """Runs with several replies to each question, with the sound."""
    return [r for r in runs if r.rows and r.protocol.samples > 1 and r.protocol.condition == "full"]


# --- selectors


def samples_of(row: Row) -> list[Sample]:
    """The replies as the selectors see them. A reply without a thought has no grounding: 0."""
    return [_sample(reply) for reply in row.replies]


def _sample(reply: Reply) -> Sample:
    numbers = reply["numbers"]
    given = reply.get("given")
    verifier = math.nan if given is None or (reply["thought"] and not given) else 0.0
    total, chosen = numbers.get("logprob", math.nan), numbers.get("chosen", 0)
    return Sample(
        answer=str(reply["answer"]), right=float(reply["strict"]),
        mean_logprob=total / chosen if chosen else math.nan, total_logprob=total,
        certainty=numbers.get("certainty", math.nan),
        verifier=float(given["grounding"]) if given else verifier,
        judge=float(reply.get("judge", math.nan)),
        tokens=int(numbers.get("tokens", 0)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A selector on a pool: score at every size; at the whole pool also against single. Example:
    Curve(name="majority", sizes=(1, 2, 4), right=(...), gain=Estimate(0.06...), p=0.02)."""

    name: str
    sizes: tuple[int, ...]
    right: tuple[Estimate, ...]
    gain: Estimate
    p: float


def curves(run: Run, names: Sequence[str] = tuple(SELECTORS)) -> list[Curve]:
    """Every selector that has its scores on this pool, single first."""
    rows = [row for row in run.rows if math.isfinite(row.mean("strict"))]
    drawn = [[s for s in samples_of(row) if not math.isnan(s.right)] for row in rows]
    clusters = [row.cluster for row in rows]
    most = min(map(len, drawn), default=0)
    sizes = tuple(dict.fromkeys([*(2**i for i in range(most.bit_length())), most])) if most else ()
    single: list[float] = []
    found: list[Curve] = []
    for name in names:
        try:
            values = [at_size(drawn, n, name, SEED, SUBSETS) for n in sizes]
        except ValueError:  # the pool lacks what it goes by
            continue
        if not values:
            continue
        single = single or at_size(drawn, most, "single")
        found.append(
            Curve(
                name=name, sizes=sizes,
                right=tuple(bootstrap_mean(v, clusters, SEED, DRAWS) for v in values),
                gain=paired_bootstrap(values[-1], single, clusters, SEED, DRAWS),
                p=permutation_p(values[-1], single, clusters, SEED, FLIPS),
            )
        )  # fmt: skip
    return found
