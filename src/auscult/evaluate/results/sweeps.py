"""Selectors, audio-aware decoding, spoilt sound, voices and languages on the results page."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auscult.audio.corrupt import SNRS_DB
from auscult.evaluate.report.page import Block, Cell, Section, Table
from auscult.evaluate.report.plots import Picture
from auscult.evaluate.results import analysis as about
from auscult.evaluate.results import plots
from auscult.evaluate.results.analysis import KINDS, Contrast, Curve, Family
from auscult.evaluate.results.runs import Run
from auscult.evaluate.results.tables import (
    HOLM,
    against,
    difference_words,
    gap,
    named,
    p_words,
    shown,
    strict,
    unit_of,
)
from auscult.stats.paired import holm
from auscult.stats.selectors import PAPER
from auscult.types import Estimate

SILENT = "majority of silence"
Adjusted = Mapping[tuple[Path, str], float]
"""(log, selector) -> p after Holm."""


def selectors(suite: str, runs: Sequence[Run]) -> Section | None:
    """Every selector on every pool of replies. Not for errors: the best reply has the fewest, and
    the selectors' bounds and votes are of scores."""
    if runs[0].protocol.found.better == "lower":
        return _without_selectors(suite) if about.pools(runs) else None
    found = {run.file: curves for run in about.pools(runs) if (curves := about.curves(run))}
    pools = [run for run in about.pools(runs) if run.file in found]
    if not pools:
        return None
    unit = unit_of(pools[0])
    tests = [(run, c) for run in pools for c in found[run.file] if c.name not in BOUNDS]
    adjusted = dict(
        zip([(r.file, c.name) for r, c in tests], holm([c.p for _, c in tests]), strict=True)
    )
    blocks: list[Block] = []
    said: list[str] = []
    for run in pools:
        label = named(f"{run.model}: {about.title(run.protocol)}", run)
        mine = found[run.file]
        drawn = _from_top(mine) + _silence(run, runs)
        name = plots.slug(suite, "selectors", run.model, str(len(blocks)))
        blocks += [
            [plots.selectors(name, f"{label}: strict score by selector", drawn, unit)],
            _at_most(label, run, drawn, adjusted, unit),
            _at_all(label, drawn, unit),
        ]
        said += _words(label, run, mine, adjusted, unit)
    missing = [name for name in PAPER if all(name != c.name for c in found[pools[0].file])]
    if missing:
        said.append(f"without the scores it takes, and so not shown: {', '.join(missing)}")
    return Section(
        title=f"{suite}: selectors",
        read="One answer is chosen from n replies drawn from the same pool; the score is its "
        f"expectation. {', '.join(PAPER)} are the five of arXiv 2503.23395 (chain of thought, "
        "self-consistency, likelihood, the verifier's choice, the verifier's vote); the others "
        "go by the mean log-probability, by self-certainty (arXiv 2502.18581) and by the grounding "
        "of the thought on the given sound (0 without a thought). The oracle knows the answer and "
        "bounds them all. The majority of replies under silence is what votes are worth without "
        f"hearing. Intervals resample clusters of questions. {HOLM}",
        found=tuple(said),
        blocks=blocks,
    )


def _without_selectors(suite: str) -> Section:
    return Section(
        title=f"{suite}: selectors",
        read="One answer is chosen from n replies drawn from the same pool.",
        found=("left out: selectors are not shown for error rates, where lower is better",),
        blocks=[],
    )


BOUNDS = ("single", "oracle")


def silent_pool(run: Run, runs: Iterable[Run]) -> Run | None:
    """The same pool under silence."""
    wanted = replace(about.without(run.protocol, ("condition",)), condition="silence")
    for other in runs:
        alike = replace(other.protocol, verify=True) == wanted and other.model == run.model
        if alike and other.rows:
            return other
    return None


def _from_top(found: Sequence[Curve]) -> list[Curve]:
    """The oracle first, then as they rank at the whole pool."""
    return sorted(found, key=lambda c: (c.name != "oracle", -c.right[-1].mean))


def _silence(run: Run, runs: Sequence[Run]) -> list[Curve]:
    silent = silent_pool(run, runs)
    made = about.curves(silent, ("majority",)) if silent else []
    return [replace(c, name=SILENT) for c in made]


def _words(
    label: str, run: Run, mine: Sequence[Curve], adjusted: Adjusted,
    unit: str,
) -> list[str]:  # fmt: skip
    """The best selector, and what the pool costs."""
    ranked = [c for c in _from_top(mine) if c.name not in BOUNDS]
    if not ranked:
        return []
    best, most = ranked[0], ranked[0].sizes[-1]
    tokens = sum(about.written(run)) / len(run.rows)
    return [
        f"{label}: best of {most} replies by {best.name}, "
        f"{difference_words(best.gain, unit)} against single (p (Holm) "
        f"{p_words(adjusted[run.file, best.name])}); a question costs {tokens:,.0f} tokens in "
        f"place of {tokens / most:,.0f}"
    ]


def _at_most(
    label: str, run: Run, drawn: Sequence[Curve], adjusted: Adjusted,
    unit: str,
) -> Table:  # fmt: skip
    """All selectors at the whole pool."""
    tokens = sum(about.written(run)) / len(run.rows)
    rows: list[list[Cell]] = []
    for c in drawn:
        p = adjusted.get((run.file, c.name)) if c.name != SILENT else None
        cost = tokens / c.sizes[-1] if c.name == "single" else tokens
        origin = "paper" if c.name in PAPER else "bound" if c.name in ("oracle", SILENT) else "ours"
        bare = c.name in ("single", SILENT)
        rows.append([
            c.name, origin, c.right[-1].n, shown(c.right[-1], unit),
            None if bare else shown(c.gain, gap(unit)),
            None if p is None else p_words(c.p), None if p is None else p_words(p),
            None if c.name == SILENT else f"{cost:,.0f}",
        ])  # fmt: skip
    most = drawn[0].sizes[-1]
    head = ("selector", "from", "n", f"strict at {most} replies [95 %]", "against single [95 %]",
            "p", "p (Holm)", "tokens per question")  # fmt: skip
    return Table(title=f"{label}: selectors at {most} replies", head=head, rows=rows)


def _at_all(label: str, drawn: Sequence[Curve], unit: str) -> Table:
    sizes = sorted({n for c in drawn for n in c.sizes})
    rows: list[list[Cell]] = [
        [c.name, *(shown(dict(zip(c.sizes, c.right, strict=True)).get(n), unit) for n in sizes)]
        for c in drawn
    ]
    head = ("selector", *(f"{n} replies [95 %]" for n in sizes))
    return Table(title=f"{label}: selectors at every size", head=head, rows=rows, folded=True)


# --- sweeps: one setting in turn, against the run without it


def _swept(
    some: Sequence[Family], reference: str, unit: str, word: str
) -> tuple[list[tuple[Family, Contrast]], list[float], Table]:
    """(contrasts, adjusted p, table), the highest score first within a family."""
    found = against(some, reference, lambda k: f"{k} - {reference}")
    adjusted = holm([c.p for _, c in found])
    rows: list[list[Cell]] = []
    for f in some:
        paired = {
            c.first: (c, p) for (g, c), p in zip(found, adjusted, strict=True) if g is f
        }  # fmt: skip
        for name in _sorted(f):
            score = strict(f.runs[name])
            row: list[Cell] = [named(name, f.runs[name]), f.label, score.n, shown(score, unit)]
            if name in paired:
                c, p = paired[name]
                row += [shown(c.difference, gap(unit)), p_words(c.p), p_words(p)]
                row += [shown(c.lost), shown(c.won)]
            rows.append(row + [None] * (9 - len(row)))
    head = (word, "model and protocol", "n", "strict [95 %]", f"against {reference} [95 %]", "p",
            "p (Holm)", "right -> wrong [95 %]", "wrong -> right [95 %]")  # fmt: skip
    return found, adjusted, Table(title=f"Score by {word}", head=head, rows=rows)


def _sorted(family: Family) -> list[str]:
    return sorted(family.runs, key=lambda k: -strict(family.runs[k]).mean)


def decoding(suite: str, runs: Sequence[Run]) -> Section | None:
    """Score by strength of the contrast."""
    kind = KINDS["decoding"]
    some = about.families(runs, kind)
    if not some:
        return None
    unit = unit_of(runs[0])
    found, adjusted, table = _swept(some, kind.reference, unit, "strength")
    pictures: list[Picture] = []
    for i, f in enumerate(some):
        lines: dict[str, list[tuple[float, Estimate]]] = {}
        for without in ("silence", "nothing"):
            points = [
                (r.protocol.contrast, strict(r)) for r in f.runs.values()
                if not r.protocol.contrast or r.protocol.without == without
            ]  # fmt: skip
            if any(x for x, _ in points):
                lines[f"against {without}"] = sorted(points, key=lambda p: p[0])
        name = plots.slug(suite, "decoding", f.model, str(i))
        pictures.append(plots.strengths(name, f.label, lines, unit))
    return Section(
        title=f"{suite}: audio-aware decoding",
        read="The next token's logits with the sound, moved away from those with silence (or with "
        f"nothing) in its place; strength 0 is the plain model. {HOLM}",
        found=_best(some, found, adjusted, unit),
        blocks=[pictures, table],
    )


def _best(
    some: Sequence[Family], found: Sequence[tuple[Family, Contrast]], adjusted: Sequence[float],
    unit: str,
) -> tuple[str, ...]:  # fmt: skip
    """The largest gain and the largest loss of every family."""
    said: list[str] = []
    for f in some:
        mine = [(c, p) for (g, c), p in zip(found, adjusted, strict=True) if g is f]
        mine.sort(key=lambda x: -x[0].difference.mean)
        for c, p in dict.fromkeys((mine[0], mine[-1])) if mine else ():
            shift = difference_words(c.difference, unit)
            said.append(f"{f.label}: {c.name} {shift}, p (Holm) {p_words(p)}")
    return tuple(said) or ("the run to compare with is missing",)


READ: Mapping[str, tuple[str, str, str]] = {
    "corruptions": ("spoilt sound", "corruption", "The same questions with the sound spoilt in one "
                    "way."),
    "constrained": ("answers held to the options", "answer", "The same questions with answers "
                    "as they come, and held to the options that are offered."),
    "voices": ("voices", "voice", "The same questions, spoken anew by other voices."),
    "languages": ("languages", "language", "The same questions, asked in other languages."),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Spoilt sound of which there is more or less. `clean`: where the sound as it is stands on it,
    nan where it has no place (no noise is no finite ratio)."""

    title: str
    x: str
    kinds: tuple[str, ...]
    number: re.Pattern[str]
    clean: float


LADDERS = (
    Ladder(
        title="noise", x="signal over noise, dB", kinds=tuple(SNRS_DB),
        number=re.compile(r"_(-?[\d.]+)db$"), clean=math.nan,
    ),
    Ladder(
        title="position", x="silence added, s", kinds=("position_before", "position_after"),
        number=re.compile(r"_([\d.]+)s$"), clean=0.0,
    ),
)  # fmt: skip
"""Corruptions that are drawn as curves where at least three points of one kind were run."""


def rungs(ladder: Ladder, f: Family, clean: str) -> dict[str, list[tuple[float, Estimate]]]:
    """Kind -> (how much, score), in order; kinds with fewer than three points are left out."""
    found: dict[str, list[tuple[float, Estimate]]] = {}
    for kind in ladder.kinds:
        points = [
            (float(match[1]), strict(run))
            for name, run in f.runs.items()
            if name.startswith(kind) and (match := ladder.number.fullmatch(name[len(kind) :]))
        ]
        if clean in f.runs and math.isfinite(ladder.clean):
            points.append((ladder.clean, strict(f.runs[clean])))
        if len(points) > 2:
            found[kind.replace("_", " ")] = sorted(points, key=lambda p: p[0])
    return found


def _curves(suite: str, some: Sequence[Family], clean: str, unit: str) -> list[Picture]:
    return [
        plots.strengths(
            plots.slug(suite, ladder.title, f.model, str(i)), f"{f.label}: {ladder.title}", lines,
            unit, ladder.x,
        )
        for i, f in enumerate(some)
        for ladder in LADDERS
        if (lines := rungs(ladder, f, clean))
    ]  # fmt: skip


def sweep(suite: str, runs: Sequence[Run], study: str) -> Section | None:
    """Score by corruption, voice or language, against the suite as it is."""
    kind, (title, word, read) = KINDS[study], READ[study]
    some = about.families(runs, kind)
    if not some:
        return None
    unit = unit_of(runs[0])
    found, adjusted, table = _swept(some, kind.reference, unit, word)
    pictures = [
        plots.across(
            plots.slug(suite, study, f.model, str(i)), f.label, _sorted(f),
            [strict(f.runs[name]) for name in _sorted(f)], unit,
            mark=strict(f.runs[kind.reference]).mean if kind.reference in f.runs else float("nan"),
        )
        for i, f in enumerate(some)
    ]  # fmt: skip
    pictures += _curves(suite, some, kind.reference, unit)
    return Section(
        title=f"{suite}: {title}",
        read=f"{read} The dashed line is `{kind.reference}`. {HOLM}",
        found=_best(some, found, adjusted, unit),
        blocks=[pictures, table],
    )
