"""`auscult compare`: two runs over the same questions, item by item.

Runs whose protocol differs are refused with what differs; a setting may be named as the one that is
meant to differ (`--vary think`). Only questions that both answered count, and those that one of
them failed on are counted out loud.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auscult.evaluate.paired import (
    McNemar,
    detectable,
    holm,
    mcnemar,
    needed,
    paired_bootstrap,
    permutation_p,
)
from auscult.evaluate.protocol import Protocol, differences
from auscult.evaluate.runs import Run, official_values, runs_in
from auscult.train.run import write_whole
from auscult.types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The second run minus the first.

    Example: names ("auscult/nano-base", "auscult/nano") on "gym": official 0.31 and 0.88,
    difference 0.57 [0.53, 0.61], p < 0.001, n = 588, missing 0; `wanted`: questions that would show
    this gap with a power of 80 %; `shows`: the least gap that n questions show.
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


def compared(first: Run, second: Run, vary: Sequence[str] = ()) -> Comparison:
    """Two runs, paired. Raises `ValueError` where they must not be, or share no question."""
    refuse(first, second, vary)
    places = [{row.key: i for i, row in enumerate(run.rows)} for run in (first, second)]
    keys = [key for key in places[0] if key in places[1]]
    if not keys:
        raise ValueError(f"{first.file} and {second.file} share no answered question")
    rows = [first.rows[places[0][k]] for k in keys]
    clusters, weights = [r.cluster for r in rows], [r.mean("weight") for r in rows]
    values = [official_values(run) for run in (first, second)]
    a = [values[0][places[0][k]] for k in keys]
    b = [values[1][places[1][k]] for k in keys]
    strict = [
        [run.rows[place[k]].mean("strict") for k in keys]
        for run, place in zip((first, second), places, strict=True)
    ]
    binary = {*a, *b} <= {0.0, 1.0}
    independent = len({*clusters}) == len(keys)
    table = mcnemar(a, b) if binary else None
    gap = paired_bootstrap(b, a, clusters, first.protocol.seed, weights=weights)
    spread = _sd([y - x for x, y in zip(a, b, strict=True)])
    return Comparison(
        suite=_title(first, vary),
        names=(_name(first, second, vary), _name(second, first, vary)),
        official=(_mean(a, weights), _mean(b, weights)),
        difference=gap,
        strict=paired_bootstrap(
            strict[1], strict[0], clusters, first.protocol.seed, weights=weights
        ),
        table=table,
        p=table.p if table and independent else permutation_p(a, b, clusters, first.protocol.seed),
        n=len(keys),
        missing=first.total + second.total - 2 * len(keys),
        wanted=_wanted(gap.mean, spread),
        shows=detectable(len(keys), sd=spread) if spread > 0 else math.nan,
        better=first.protocol.found.better,
    )


def _wanted(gap: float, spread: float) -> float:
    """Questions for a power of 80 %; inf where there is no gap."""
    if not gap or not spread > 0:
        return math.inf if not gap else 1.0
    return float(needed(abs(gap), 0.0, sd=spread))


def _sd(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    if len(known) < 2:
        return math.nan
    mean = sum(known) / len(known)
    return math.sqrt(sum((v - mean) ** 2 for v in known) / (len(known) - 1))


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    pairs = [(v, w) for v, w in zip(values, weights, strict=True) if not math.isnan(v)]
    total = sum(w for _, w in pairs)
    return sum(v * w for v, w in pairs) / total if total else math.nan


def _title(run: Run, vary: Sequence[str]) -> str:
    """The protocol without what varies."""
    return _shared(run.protocol, vary).name()


def _shared(protocol: Protocol, vary: Sequence[str]) -> Protocol:
    plain = Protocol(suite=protocol.suite, judge=protocol.judge)
    same = {name: getattr(plain, name) for name in (*vary, "verify")}
    return replace(protocol, **same)


def _name(run: Run, other: Run, vary: Sequence[str]) -> str:
    """The model where the models differ, and the settings that vary."""
    told = [f"{name} {getattr(run.protocol, name)}" for name in vary]
    return ", ".join([run.model, *told] if run.model != other.model or not told else told)


def pairs(
    first: Sequence[Run], second: Sequence[Run], vary: Sequence[str]
) -> list[tuple[Run, Run]]:
    """Which runs belong together: one each, or all that share a protocol. Raises `ValueError`."""
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    for place, some in (("first", first), ("second", second)):
        if len({run.model for run in some}) > 1:
            raise ValueError(
                f"the {place} folder holds runs of several models "
                f"({', '.join(sorted({run.model for run in some}))}); give logs, or --out folders "
                "with one model each"
            )
    theirs = {_shared(run.protocol, vary): run for run in second}
    found = [(run, theirs[_shared(run.protocol, vary)]) for run in first
             if _shared(run.protocol, vary) in theirs]  # fmt: skip
    if not found:
        raise ValueError(
            "the two places share no protocol: "
            f"{'; '.join(r.protocol.name() for r in first)} against "
            f"{'; '.join(r.protocol.name() for r in second)}"
        )
    return found


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
    return "" if math.isnan(value) else f"{100 * value:+.1f}"


def markdown(found: Sequence[Comparison]) -> str:
    """The table. p values are adjusted over its rows (Holm)."""
    head = (
        "run", "first", "second", "n", "left out",
        "official % (first, second)",
        "difference, points [95 %]", "strict difference",
        "only first / only second right", "p (Holm)",
        "n for this gap (80 %)", "gap that n shows",
    )  # fmt: skip
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for c, p in zip(found, holm([c.p for c in found]), strict=True):
        counts = (
            f"{c.table.first_only} / {c.table.second_only}" if c.table else "not right or wrong"
        )
        wanted = "none" if math.isinf(c.wanted) else f"{c.wanted:,.0f}"
        cells = (
            c.suite, *c.names, str(c.n), str(c.missing),
            f"{100 * c.official[0]:.1f}, {100 * c.official[1]:.1f}",
            f"{_percent(c.difference.mean)} [{_percent(c.difference.low)}, "
            f"{_percent(c.difference.high)}]",
            f"{_percent(c.strict.mean)} [{_percent(c.strict.low)}, {_percent(c.strict.high)}]",
            counts, f"{p:.2g}", wanted, f"{100 * c.shows:.1f}",
        )  # fmt: skip
        rows.append("| " + " | ".join(cells) + " |")
    lower = [c.suite for c in found if c.better == "lower"]
    rows.append("\nDifference: second minus first; intervals over resampled clusters, paired.")
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
