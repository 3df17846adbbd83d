"""The results page of `auscult eval`: one self-contained HTML page, the same as Markdown with
pictures in plots/, and all its numbers as JSON.

Every suite has its sections, each only where its runs exist. Runs that are not whole are shown and
marked. Intervals are 95 % everywhere.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from auscult.evaluate.report.page import Block, Cell, Section, Table, markdown, numbers, page
from auscult.evaluate.report.plots import Picture, check_matplotlib
from auscult.evaluate.results import analysis as about
from auscult.evaluate.results import plots
from auscult.evaluate.results.parts import beside, voicebench
from auscult.evaluate.results.runs import Row, Run, figures, runs_in
from auscult.evaluate.results.sweeps import decoding, selectors, sweep
from auscult.evaluate.results.tables import budgets, controls, in_words, named, shown, unit_of
from auscult.stats.paired import clustered_mean
from auscult.types import Estimate
from auscult.work.run import write_whole

NOT_COMPARABLE = (
    "Numbers under different protocols (prompt, parser, version of the benchmark, sampling, judge) "
    "are not comparable, however alike their names."
)
FOLD = 12  # rows; longer tables are folded
WRONG, RIGHT, MODELS = 3, 2, 2  # examples of each run, and runs


Labelled = Sequence[tuple[Run, str]]


# --- all runs


def _overview(suite: str, runs: Sequence[Run]) -> Section:
    unit = unit_of(runs[0])
    about_it = runs[0].protocol.found
    said = [
        f"INCOMPLETE: {r.model}, {about.title(r.protocol)}: {why}; its numbers are of the answered "
        "questions"
        for r in runs
        if (why := about.broken(r))
    ]
    chosen = plain_runs(runs)
    for run, label in chosen:
        f = figures(run)
        said.append(
            f"{label}: official {in_words(f.official, unit)}, strict {in_words(f.strict, unit)}"
        )
    blocks: list[Block] = [[_by_model(suite, chosen, unit)]] if chosen else []
    beside_it = [table for table in (beside(runs),) if table.rows]
    blocks += [_all_runs(runs, unit), *beside_it, _repeats(runs), *_groups(chosen, unit)]
    return Section(
        title=f"{suite}: runs",
        read=f"{about_it.about}. Unit: {about_it.unit}, {about_it.better} is better. official: as "
        "the published script counts; strict: what cannot be read is wrong. n: questions that "
        "count in strict; left out: those that the official script leaves out; unparsed: share of "
        "replies. Intervals are 95 %, over clusters of questions that share a source. Tokens are "
        "means over replies; seconds are those of the whole run by its questions.",
        found=(*said, NOT_COMPARABLE),
        blocks=blocks,
    )


def plain_runs(runs: Sequence[Run]) -> list[tuple[Run, str]]:
    """Runs that put the suite as it is, each with its model's name, and with its protocol where the
    model has several."""
    every = sorted((r for r in runs if r.rows and about.plain(r.protocol)),
                   key=lambda r: r.protocol.verify)  # fmt: skip
    # Of two that differ in `verify` alone the one that knows more stays.
    known = {(r.model, replace(r.protocol, verify=True)): r for r in every}.values()
    chosen = [r for r in runs if any(r is k for k in known)]
    counts = Counter(r.model for r in chosen)
    return [
        (r, named(r.model if counts[r.model] == 1 else f"{r.model}: {about.title(r.protocol)}", r))
        for r in chosen
    ]


def _by_model(suite: str, chosen: Labelled, unit: str) -> Picture:
    found = [figures(run) for run, _ in chosen]
    return plots.across(
        plots.slug(suite, "models"), f"{suite}: strict score by model", [x for _, x in chosen],
        [f.strict for f in found], unit, second=[f.official.mean for f in found],
    )  # fmt: skip


def _number(x: float | None) -> str | None:
    return None if x is None or not math.isfinite(x) else f"{x:.3g}" if x < 100 else f"{x:,.0f}"


def _tokens(run: Run) -> tuple[float | None, float | None]:
    """(of the thought, all) per reply."""
    thought = about.over_replies(run, about.thought_tokens)
    replies = sum(len(row.replies) for row in run.rows)
    return thought.mean if thought else None, sum(about.written(run)) / replies if replies else None


def _all_runs(runs: Sequence[Run], unit: str) -> Table:
    rows: list[list[Cell]] = []
    for run in runs:
        row: list[Cell] = [run.model, about.title(run.protocol), _state(run)]
        if run.rows:
            f, (thought, every) = figures(run), _tokens(run)
            row += [shown(f.official, unit), shown(f.strict, unit), f.n, f.left_out,
                    f"{100 * f.unparsed:.1f} %", run.failed, _number(thought), _number(every),
                    _number(run.seconds / len(run.rows))]  # fmt: skip
        rows.append(row + [None] * (12 - len(row)))
    head = ("model", "protocol", "state", "official [95 %]", "strict [95 %]", "n", "left out",
            "unparsed", "failed", "thought tokens", "all tokens", "s per question")  # fmt: skip
    return Table(title="All runs", head=head, rows=rows)


def _state(run: Run) -> str:
    why = about.broken(run)
    return f"INCOMPLETE: {why}" if why else "whole"


def _repeats(runs: Sequence[Run]) -> Table:
    rows: list[list[Cell]] = [
        [r.model, about.title(r.protocol), r.command, r.created, r.revision or None,
         r.packages.get("inspect_ai"), r.questions, r.file.name]
        for r in runs
    ]  # fmt: skip
    head = ("model", "protocol", "command", "date", "git revision", "inspect_ai",
            "digest of the questions", "log")  # fmt: skip
    return Table(title="How to repeat every run", head=head, rows=rows, folded=True)


def _groups(chosen: Labelled, unit: str) -> list[Table]:
    """Strict score by every grouping; for the first also over all questions and over groups."""
    names = list(dict.fromkeys(k for run, _ in chosen for row in run.rows for k in row.groups))
    found: list[Table] = []
    for name in names:
        labels = list(
            dict.fromkeys(row.groups.get(name, "") for run, _ in chosen for row in run.rows)
        )
        rows: list[list[Cell]] = []
        if name == names[0]:
            rows.append(["all questions (micro)", *(shown(figures(r).strict, unit)
                                                    for r, _ in chosen)])  # fmt: skip
            rows.append(["mean of the groups (macro)", *(shown(_macro(r, name), unit)
                                                         for r, _ in chosen)])  # fmt: skip
        for label in sorted(labels):
            rows.append([label or "(none)", *(shown(_group(r, name, label), unit)
                                              for r, _ in chosen)])  # fmt: skip
        head = (name, *(f"{label}, strict [95 %]" for _, label in chosen))
        folded = len(rows) > FOLD
        found.append(Table(title=f"By {name}", head=head, rows=rows, folded=folded))
    return found


def _group(run: Run, name: str, label: str) -> Estimate | None:
    places = [i for i, row in enumerate(run.rows) if row.groups.get(name, "") == label]
    return figures(run, places).strict if places else None


def _macro(run: Run, name: str) -> Estimate | None:
    """Every group counts the same. A group may hold two questions, too few to resample within it:
    the interval is that of the mean over clusters of questions so weighted."""
    rows = [row for row in run.rows if math.isfinite(row.mean("strict"))]
    sizes = Counter(row.groups.get(name, "") for row in rows)
    values = [row.mean("strict") for row in rows]
    if len({*values}) < 2:
        return figures(run).strict
    weights = [1 / sizes[row.groups.get(name, "")] for row in rows]
    return clustered_mean(values, [row.cluster for row in rows], weights)


# --- examples


def _spread(rows: Sequence[Row], n: int) -> list[Row]:
    return [rows[i * len(rows) // n] for i in range(n)] if len(rows) > n else list(rows)


def _examples(suite: str, runs: Sequence[Run]) -> Section | None:
    blocks: list[Block] = []
    for run, label in plain_runs(runs)[:MODELS]:
        here = [r for r in run.rows if r.given and all(Path(f).exists() for f in r.given)]
        wrong = [r for r in here if r.mean("strict") == 0]
        right = [r for r in here if r.mean("strict") == 1]
        for word, some in (("wrong", _spread(wrong, WRONG)), ("right", _spread(right, RIGHT))):
            for row in some:
                blocks += _example(f"{label}, {word}: {row.key}", row)
    if not blocks:
        return None
    return Section(
        title=f"{suite}: examples",
        read=f"Up to {WRONG} wrong and {RIGHT} right questions of a run, spread evenly over its "
        "order: what was given to hear, with the claims of the thought (+ borne out, - "
        "contradicted, ~ undecided, ? not measurable), and the words.",
        found=("chosen by place, not by hand",),
        blocks=blocks,
    )


def _example(title: str, row: Row) -> list[Block]:
    reply = row.replies[0]
    thought, answer = str(reply["thought"]), str(reply["text"])
    name = plots.slug("example", title)
    picture = plots.spectrogram(name, title, row, thought, answer)
    words: list[list[Cell]] = [
        ["question", row.question],
        ["thought", thought or "(none)"],
        ["answer", answer or "(none)"],
        ["reference", ", ".join(row.reference)],
        ["why", str(reply["why"])],
    ]
    told = Table(title=title, head=("part", "text"), rows=[w for w in words if w[1]])
    return [told, [picture]] if picture else [told]


# --- published numbers


@lru_cache(maxsize=1)
def published() -> Mapping[str, Any]:
    """published.json: benchmarks (name -> title) and results, each with benchmark, model, value,
    unit, measured_by, source, protocol."""
    return json.loads(Path(__file__).with_name("published.json").read_text())


def _published(runs: Sequence[Run]) -> Section:
    known = published()
    ours = {suite: plain_runs([r for r in runs if r.protocol.suite == suite])
            for suite in known["benchmarks"]}  # fmt: skip
    tables = [
        _published_table(suite, title, ours[suite]) for suite, title in known["benchmarks"].items()
    ]
    tables.sort(key=lambda t: t.folded)
    matched = [t.title for t in tables if not t.folded]
    return Section(
        title="Published numbers",
        read=f"{known['about']} Scores of the sources stand as printed, in percent, without "
        "intervals, since none are given; those of our runs are marked OURS.",
        found=(NOT_COMPARABLE, f"with runs of ours: {', '.join(matched) or 'none of these'}"),
        blocks=tables,
    )


def _published_table(suite: str, title: str, ours: Labelled) -> Table:
    rows: list[list[Cell]] = []
    for run, label in ours:
        protocol = f"{about.title(run.protocol)}; official score, {run.protocol.found.unit}"
        score = shown(figures(run).official, unit_of(run))
        rows.append([f"OURS: {label}", score, "auscult", run.command, protocol])
    found = [r for r in published()["results"] if r["benchmark"] == suite]
    found.sort(key=lambda r: str(r["model"]).casefold())
    for r in found:
        score = f"{r['value']} {r['unit']}"
        rows.append([r["model"], score, r["measured_by"], r["source"], r["protocol"]])
    head = ("model", "score", "measured by", "source", "protocol")
    return Table(title=title, head=head, rows=rows, folded=not ours)


# --- the page

SECTIONS: tuple[Callable[[str, Sequence[Run]], Section | None], ...] = (
    controls,
    budgets,
    selectors,
    decoding,
    lambda suite, runs: sweep(suite, runs, "corruptions"),
    lambda suite, runs: sweep(suite, runs, "constrained"),
    lambda suite, runs: sweep(suite, runs, "voices"),
    lambda suite, runs: sweep(suite, runs, "languages"),
    _examples,
)


def sections(runs: Sequence[Run]) -> list[Section]:
    """All sections that the runs give, suite by suite."""
    found: list[Section] = []
    for suite in dict.fromkeys(r.protocol.suite for r in runs):
        mine = [r for r in runs if r.protocol.suite == suite]
        found += [_overview(suite, mine), *(s for make in SECTIONS if (s := make(suite, mine)))]
    return [*found, *(s for s in (voicebench(runs),) if s), _published(runs)]


def _ordered(runs: Sequence[Run]) -> list[Run]:
    """By suite and model, the suite as it is first; the order of files means nothing."""

    def place(run: Run) -> tuple[str, str, bool, int, int, str]:
        p = run.protocol
        budget = -1 if p.budget is None else p.budget
        return p.suite, run.model, not about.plain(p), p.samples, budget, p.name()

    return sorted(runs, key=place)


def write_page(place: Path, out: Path) -> str:
    """Write results.html, results.md with plots/, and results.json into `out`; a short table and
    the page's path. Raises `ValueError` where there are no logs, or matplotlib is missing."""
    check_matplotlib()
    runs = _ordered(runs_in(place))
    made = sections(runs)
    title, intro = "Results", _intro(runs)
    pictures = [p for s in made for b in s.blocks if isinstance(b, list) for p in b]
    (out / "plots").mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        (out / "plots" / f"{picture.name}.png").write_bytes(picture.png)
    record = {
        "note": NOT_COMPARABLE,
        "runs": [_record(run) for run in runs],
        "sections": [numbers(s) for s in made],
        "published": published()["results"],
    }
    write_whole(out / "results.json", json.dumps(_known(record), indent=1, ensure_ascii=False))
    write_whole(out / "results.md", markdown(title, intro, made))
    write_whole(out / "results.html", page(title, intro, made))
    return f"{terminal(runs)}\npage: {out / 'results.html'}"


def _intro(runs: Sequence[Run]) -> str:
    models = ", ".join(dict.fromkeys(r.model for r in runs))
    late = sum(bool(about.broken(r)) for r in runs)
    state = f"{late} of them INCOMPLETE and marked so" if late else "all of them whole"
    return (
        f"{len(runs)} runs of {models}: {state}. Every interval is a 95 % interval. "
        f"{NOT_COMPARABLE}"
    )


def _record(run: Run) -> dict[str, Any]:
    """A run for results.json."""
    thought, every = _tokens(run)
    return {
        "model": run.model, "protocol": run.protocol.arguments(), "name": about.title(run.protocol),
        "state": _state(run), "status": run.status, "total": run.total, "failed": run.failed,
        **(asdict(figures(run)) if run.rows else {}), "thought_tokens": thought, "tokens": every,
        "seconds": run.seconds, "command": run.command, "created": run.created,
        "revision": run.revision, "packages": dict(run.packages), "questions": run.questions,
        "file": run.file.name,
    }  # fmt: skip


def _known(x: Any) -> Any:
    """JSON has no nan: null."""
    if isinstance(x, dict):
        return {k: _known(v) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return [_known(v) for v in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x


def terminal(runs: Sequence[Run]) -> str:
    """One line for each run, columns aligned."""
    head = ("model", "protocol", "official", "strict [95 %]", "n", "unparsed", "failed", "")
    lines: list[tuple[str, ...]] = [head]
    for run in runs:
        told = ("-", "-", "0", "-")
        if run.rows:
            f, unit = figures(run), unit_of(run)
            official = shown(f.official, unit)
            told = (
                official.words()[0] if official else "-", str(shown(f.strict, unit)), str(f.n),
                f"{100 * f.unparsed:.1f} %",
            )  # fmt: skip
        lines.append(
            (run.model, about.title(run.protocol), *told, str(run.failed), about.broken(run))
        )
    widths = [max(len(line[i]) for line in lines) for i in range(8)]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )
