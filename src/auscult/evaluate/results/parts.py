"""What stands beside the scores: further numbers of every mark, and means over several suites."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from auscult.bench.sets.voicebench import LEADERBOARD, overall, suite_name
from auscult.evaluate.report.page import Cell, Section, Table
from auscult.evaluate.results import analysis as about
from auscult.evaluate.results.runs import Run, figures
from auscult.evaluate.results.tables import named, shown
from auscult.stats.paired import cluster_codes, percentiles, ratio, resampled
from auscult.types import Estimate

EDITS, LENGTH = "_edits", "_length"


def part_names(run: Run) -> list[str]:
    """Names of all parts, in order of appearance."""
    return list(dict.fromkeys(k for row in run.rows for r in row.replies for k in r["parts"]))


def corpus_rate(run: Run, name: str) -> Estimate | None:
    """Sum of `name`_edits over sum of `name`_length of all replies, with a bootstrap interval over
    clusters of questions; None where there is no length."""
    found = [
        (float(r["parts"][name + EDITS]), float(r["parts"][name + LENGTH]), row.cluster)
        for row in run.rows for r in row.replies if {name + EDITS, name + LENGTH} <= {*r["parts"]}
    ]  # fmt: skip
    found = [x for x in found if math.isfinite(x[0] + x[1])]
    if not math.fsum(length for _, length, _ in found):
        return None
    codes = cluster_codes([c for *_, c in found], len(found))
    columns = np.array([(edits, length) for edits, length, _ in found]).T
    sums = np.stack([np.bincount(codes, weights=column) for column in columns], axis=1)
    drawn = resampled(sums, seed=about.SEED, draws=about.DRAWS)
    low, high = percentiles(ratio(drawn[:, 0], drawn[:, 1]), len(sums))
    total = sums.sum(axis=0)
    return Estimate(mean=float(total[0] / total[1]), low=low, high=high, n=len(found))


def _values(run: Run) -> list[tuple[str, str, Estimate | None]]:
    """(part, unit, value): pairs of edits and lengths as one rate, all others as means."""
    names = part_names(run)
    rates = [n.removesuffix(EDITS) for n in names
             if n.endswith(EDITS) and n.removesuffix(EDITS) + LENGTH in names]  # fmt: skip
    plain = [n for n in names if n.removesuffix(EDITS).removesuffix(LENGTH) not in rates]
    return [(f"{n} (edits / length)", "%", corpus_rate(run, n)) for n in rates] + [
        (n, "", about.over_replies(run, lambda r, n=n: r["parts"].get(n))) for n in plain
    ]


def beside(runs: Sequence[Run]) -> Table:
    """A row for every part of every run that has any."""
    rows: list[list[Cell]] = []
    for run in runs:
        label = named(f"{run.model}: {about.title(run.protocol)}", run)
        for name, unit, e in _values(run):
            if e:
                rows.append([label, name, e.n, shown(e, unit)])
    head = ("model and protocol", "part", "replies", "mean [95 %]")
    return Table(title="Beside it", head=head, rows=rows, folded=len(rows) > 24)


# --- VoiceBench

_OWN = ("suite", "data", "judge", "texts", "verify")
"""Settings in which the suites of one mean may differ."""


def voicebench(runs: Sequence[Run]) -> Section | None:
    """The mean of the published table, where one model has all nine suites under one protocol."""
    wanted = {suite_name(config) for config in LEADERBOARD}
    found: dict[tuple[str, str], dict[str, Run]] = {}
    for run in runs:
        if run.protocol.suite in wanted and run.rows and about.plain(run.protocol):
            same: Mapping[str, Any] = {
                k: v for k, v in asdict(run.protocol).items() if k not in _OWN
            }
            suites = found.setdefault((run.model, repr(same)), {})
            # Of several the one that answered most stays.
            old = suites.get(run.protocol.suite)
            if old is None or len(run.rows) > len(old.rows):
                suites[run.protocol.suite] = run
    rows: list[list[Cell]] = []
    for (model, _), suites in found.items():
        scores = {name: figures(run).official.mean for name, run in suites.items()}
        if {*scores} == wanted and all(map(math.isfinite, scores.values())):
            late = " (INCOMPLETE)" if any(map(about.broken, suites.values())) else ""
            limit = next(iter(suites.values())).protocol.limit
            rows.append([model + late, str(limit or "all"), f"{overall(scores):.1f} %"])
    if not rows:
        return None
    return Section(
        title="VoiceBench: overall",
        read="The mean of the nine suites of the published table by their official figures: scores "
        "of 1 to 5 count times 20, accuracies times 100. SD-QA is the judge's half alone, which "
        "the published figure averages with PEDANT's. No interval: the suites have their own.",
        found=tuple(f"{row[0]}: {row[2]}" for row in rows),
        blocks=[Table(title="Overall", head=("model", "questions of each", "overall"), rows=rows)],
    )
