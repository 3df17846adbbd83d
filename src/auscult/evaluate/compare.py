"""`auscult compare`: two runs over the same questions, item by item.

Runs whose protocol differs are refused with what differs; a setting may be named as the one that is
meant to differ (`--vary think`). Only questions that both answered count, and those that one of
them failed on are counted out loud.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scipy.special import stdtrit

from auscult.evaluate.protocol import Protocol, differences
from auscult.evaluate.results.analysis import p_value
from auscult.evaluate.results.runs import Run, official_values, runs_in, strict_values
from auscult.stats.paired import (
    McNemar,
    clustered_mean,
    detectable,
    holm,
    mcnemar,
    needed,
    paired_bootstrap,
)
from auscult.types import Estimate
from auscult.work.run import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The second run minus the first.

    Example: names ("auscult/nano-base", "auscult/nano") on "gym": official 0.31 and 0.88,
    difference 0.57 [0.53, 0.61], p < 0.001, n = 588.
        n        questions with an official score on both sides; p, nan for none, is of these
        missing  answers without a partner: questions that one side failed on or did not reach
        dropped  pairs that the official script leaves out on a side
        wanted   questions that would show this gap with a power of 80 %, inf for no gap
        shows    the least gap that n questions show; both nan where the spread is not known
    """

    suite: str
    names: tuple[str, str]
    official: tuple[float, float]
    difference: Estimate
    strict: Estimate
    table: McNemar | None
    p: float
    n: int
    missing: int
    dropped: int
    wanted: float
    shows: float
    better: str


def refuse(first: Run, second: Run, vary: Sequence[str]) -> None:
    """Raises `ValueError` with every setting in which the two protocols differ, but for `vary`."""
    found = differences(first.protocol, second.protocol)
    told = [f"{k}: {a!r} against {b!r}" for k, (a, b) in found.items() if k not in vary]
    if first.questions != second.questions:
        told.append(f"questions: {first.questions} against {second.questions}")
    versions = [run.packages.get("auscult", "") for run in (first, second)]
    if versions[0] != versions[1]:
        told.append(f"auscult: {versions[0]} against {versions[1]}")
    if told:
        hint = ", ".join(k for k in found if k not in vary)
        raise ValueError(
            f"{first.file.name} and {second.file.name} are not comparable: {'; '.join(told)}"
            + (
                f". If that is what you compare, pass --vary {hint.replace(',', '')}"
                if hint
                else ""
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paired:
    """Scores of the questions that both runs answered; nan = left out."""

    first: tuple[float, ...]
    second: tuple[float, ...]
    clusters: tuple[str, ...]
    weights: tuple[float, ...]

    def known(self) -> "_Paired":
        """Those with a score on both sides, and some weight."""
        every = zip(self.first, self.second, self.clusters, self.weights, strict=True)
        kept = [row for row in every if math.isfinite(row[0] + row[1]) and row[3] > 0]
        a, b, clusters, weights = zip(*kept, strict=True) if kept else ((), (), (), ())
        return _Paired(first=a, second=b, clusters=clusters, weights=weights)

    def gap(self, seed: int) -> Estimate:
        """Second minus first; nan for no question."""
        if not self.first:
            return Estimate(mean=math.nan, low=math.nan, high=math.nan, n=0)
        return paired_bootstrap(self.second, self.first, self.clusters, seed, weights=self.weights)

    def means(self) -> tuple[float, float]:
        """Weighted means of the two sides; nan for no question."""
        total = math.fsum(self.weights) or math.nan
        first, second = (
            math.fsum(v * w for v, w in zip(side, self.weights, strict=True)) / total
            for side in (self.first, self.second)
        )
        return first, second


def compared(first: Run, second: Run, vary: Sequence[str] = ()) -> Comparison:
    """Two runs, paired. Raises `ValueError` where they must not be, or share no question.

    The official difference is weighted as the official mean is; in the strict one every question
    counts the same."""
    refuse(first, second, vary)
    places = [{row.key: i for i, row in enumerate(run.rows)} for run in (first, second)]
    keys = [key for key in places[0] if key in places[1]]
    if not keys:
        raise ValueError(f"{first.file} and {second.file} share no answered question")
    rows = [first.rows[places[0][k]] for k in keys]
    clusters, weights = tuple(r.cluster for r in rows), tuple(r.mean("weight") for r in rows)

    def paired(values: Sequence[Sequence[float]], weights: tuple[float, ...]) -> _Paired:
        a, b = (tuple(x[at[k]] for k in keys) for x, at in zip(values, places, strict=True))
        return _Paired(first=a, second=b, clusters=clusters, weights=weights).known()

    official = paired([official_values(run) for run in (first, second)], weights)
    strict = paired([strict_values(run) for run in (first, second)], (1.0,) * len(keys))
    a, b = official.first, official.second
    gap, seed = official.gap(first.protocol.seed), first.protocol.seed
    wanted, shows = _power(gap.mean, official)
    return Comparison(
        suite=_title(first, vary),
        names=(_name(first, second, vary), _name(second, first, vary)),
        official=official.means(),
        difference=gap,
        strict=strict.gap(seed),
        table=mcnemar(a, b) if a and {*a, *b} <= {0.0, 1.0} else None,
        p=p_value(a, b, official.clusters, official.weights) if a else math.nan,
        n=len(a),
        missing=first.total + second.total - 2 * len(keys),
        dropped=len(keys) - len(a),
        wanted=wanted,
        shows=shows,
        better=first.protocol.found.better,
    )


CLUSTERS = 5
"""Fewer say nothing about the spread over clusters."""


def _power(gap: float, paired: _Paired) -> tuple[float, float]:
    """(questions that would show the gap, least gap that these questions show), power 80 %.

    design: variance of the mean difference over clusters over that of independent questions, at
    least 1: that questions of a cluster differ more than others by chance must not add power.
    """
    n = len(paired.first)
    if len({*paired.clusters}) < CLUSTERS:
        return math.nan, math.nan
    gaps = [y - x for x, y in zip(paired.first, paired.second, strict=True)]
    alone, together = (
        _error(clustered_mean(gaps, clusters, paired.weights), units)
        for clusters, units in ((None, n), (paired.clusters, len({*paired.clusters})))
    )
    if not alone > 1e-12:
        return math.nan, math.nan
    design, sd = max(1.0, (together / alone) ** 2), alone * math.sqrt(n)
    wanted = float(needed(abs(gap), 0.0, sd=sd, design=design)) if gap else math.inf
    return wanted, detectable(n, sd=sd, design=design)


def _error(e: Estimate, units: int) -> float:
    """The standard error behind a t interval."""
    return (e.high - e.low) / 2 / float(stdtrit(units - 1, 0.975))


def _title(run: Run, vary: Sequence[str]) -> str:
    """The protocol without what varies."""
    return _shared(run.protocol, vary).name()


def _shared(protocol: Protocol, vary: Sequence[str]) -> Protocol:
    plain = Protocol(suite=protocol.suite, judge=protocol.judge)
    same = {name: getattr(plain, name) for name in (*vary, "verify")}
    return replace(protocol, **same)


def _name(run: Run, other: Run, vary: Sequence[str]) -> str:
    """The model where the models or their weights differ, and the settings that vary."""
    told = [f"{name} {getattr(run.protocol, name)}" for name in vary]
    model = run.model
    if model == other.model and run.weights != other.weights:
        model = f"{model}@{run.weights or 'no fingerprint'}"
    elif model == other.model and told:
        return ", ".join(told)
    return ", ".join([model, *told])


def pairs(
    first: Sequence[Run], second: Sequence[Run], vary: Sequence[str]
) -> list[tuple[Run, Run]]:
    """Which runs belong together: one each, or all that share a protocol. Raises `ValueError`
    where a run has no partner of its own or more than one."""
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    for place, some in (("first", first), ("second", second)):
        if len({run.model for run in some}) > 1:
            raise ValueError(
                f"the {place} folder holds runs of several models "
                f"({', '.join(sorted({run.model for run in some}))}); give logs, or --out folders "
                "with one model each"
            )
    sides = [_by_protocol(some, vary) for some in (first, second)]
    both = [shared for shared in sides[0] if shared in sides[1]]
    for shared in both:
        for place, side in zip(("first", "second"), sides, strict=True):
            if len(side[shared]) > 1:
                raise ValueError(
                    f"the {place} place holds {len(side[shared])} runs of {shared.name()!r} that "
                    f"could be meant: {'; '.join(map(_candidate, side[shared]))}. Give single logs"
                )
    found = [(sides[0][shared][0], sides[1][shared][0]) for shared in both]
    if not found:
        raise ValueError(
            "the two places share no protocol: "
            f"{'; '.join(r.protocol.name() for r in first)} against "
            f"{'; '.join(r.protocol.name() for r in second)}"
        )
    return found


def _by_protocol(runs: Sequence[Run], vary: Sequence[str]) -> dict[Protocol, list[Run]]:
    found: dict[Protocol, list[Run]] = {}
    for run in runs:
        found.setdefault(_shared(run.protocol, vary), []).append(run)
    return found


def _candidate(run: Run) -> str:
    return f"{run.protocol.name()} ({run.file})"


def compare_places(first: Path, second: Path, *, vary: Sequence[str], out: Path | None) -> str:
    """All comparisons as a table, which is returned; with `out` also written, with a plot."""
    unknown = [name for name in vary if name not in Protocol.__dataclass_fields__]
    if unknown:
        known = ", ".join(Protocol.__dataclass_fields__)
        raise ValueError(f"unknown setting {unknown[0]!r}; expected some of {known}")
    found = [compared(a, b, vary) for a, b in pairs(runs_in(first), runs_in(second), vary)]
    text = markdown(found)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "compare.md", text)
        plot(found, out / "compare.png")
        text += f"\nwritten to {out / 'compare.md'} and {out / 'compare.png'}\n"
    return text


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:+.1f}"


def _span(e: Estimate) -> str:
    if math.isnan(e.mean):
        return "-"
    return f"{_percent(e.mean)} [{_percent(e.low)}, {_percent(e.high)}]"


def _official(c: Comparison) -> str:
    return ", ".join("-" if math.isnan(v) else f"{100 * v:.1f}" for v in c.official)


def _power_words(c: Comparison) -> tuple[str, str]:
    if math.isnan(c.shows):
        return "-", "-"
    return "none" if math.isinf(c.wanted) else f"{c.wanted:,.0f}", f"{100 * c.shows:.1f}"


def _adjusted(found: Sequence[Comparison]) -> list[str]:
    """p after Holm over the comparisons that have one."""
    known = [c.p for c in found if not math.isnan(c.p)]
    told = iter(holm(known))
    return ["-" if math.isnan(c.p) else f"{next(told):.2g}" for c in found]


def markdown(found: Sequence[Comparison]) -> str:
    """The table. p values are adjusted over its rows (Holm)."""
    head = (
        "run", "first", "second", "n", "unanswered", "left out by the script",
        "official % (first, second)",
        "difference, points [95 %]", "strict difference",
        "only first / only second right", "p (Holm)",
        "n for this gap (80 %)", "gap that n shows",
    )  # fmt: skip
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for c, p in zip(found, _adjusted(found), strict=True):
        counts = (
            f"{c.table.first_only} / {c.table.second_only}" if c.table else "not right or wrong"
        )
        cells = (
            c.suite, *c.names, str(c.n), str(c.missing), str(c.dropped), _official(c),
            _span(c.difference), _span(c.strict), counts, p, *_power_words(c),
        )  # fmt: skip
        rows.append("| " + " | ".join(cells) + " |")
    lower = [c.suite for c in found if c.better == "lower"]
    rows.append(
        "\nDifference: second minus first; intervals over resampled clusters, paired. n: questions "
        "with an official score on both sides; unanswered: answers without a partner, both sides "
        "together; left out: pairs that the official script does not count on a side."
    )
    rows += [f"Lower is better in {', '.join(lower)}."] if lower else []
    return "\n".join(rows) + "\n"


def plot(found: Sequence[Comparison], file: Path) -> None:
    """Differences with their intervals, one line each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.45 * len(found)), layout="constrained")
    for i, c in enumerate(found):
        d = c.difference
        axes.plot([100 * d.low, 100 * d.high], [i, i], color="C0", lw=2)
        axes.plot([100 * d.mean], [i], "o", color="C0")
    labels = [f"{c.suite}\n{c.names[1]} - {c.names[0]} (n = {c.n})" for c in found]
    axes.set_yticks(range(len(found)), labels, fontsize=8)
    axes.axvline(0, color="grey", lw=1)
    axes.invert_yaxis()
    axes.set_xlabel("difference in points, 95 % interval, paired")
    figure.savefig(file, dpi=150)
    pyplot.close(figure)
