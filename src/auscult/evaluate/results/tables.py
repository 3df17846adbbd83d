"""Controls and thought budgets on the results page, and what all sections that compare runs share.
One suite at a time; a section is there when its runs are."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from auscult.evaluate.report.page import Block, Cell, Section, Table, Value, side
from auscult.evaluate.results import analysis as about
from auscult.evaluate.results import plots
from auscult.evaluate.results.analysis import KINDS, Contrast, Family
from auscult.evaluate.results.runs import Run, figures
from auscult.stats.paired import holm
from auscult.stats.slope import Attempt, ThinkingSlope, thinking_slope
from auscult.types import Estimate

HOLM = (
    "p: exact McNemar where answers are right or wrong and independent, else whole clusters change "
    "sides at random; adjusted by Holm over all tests of this section."
)
ORDER = ("full", "no_audio", "silence", "noise", "swapped", "transcript", "caption")
GAINS: Mapping[str, str] = {
    "silence": "audio gain: full - silence",
    "no_audio": "audio gain: full - no audio",
    "noise": "audio gain: full - noise",
    "swapped": "audio gain: full - swapped",
    "transcript": "surrogate gap: full - transcript",
    "caption": "surrogate gap: full - caption",
}


def unit_of(run: Run) -> str:
    """ "%" for scores between 0 and 1 of right answers or errors, "" for points of a scale."""
    return "%" if run.protocol.found.unit in ("accuracy", "error rate") else ""


def gap(unit: str) -> str:
    """Unit of a difference."""
    return "points" if unit == "%" else ""


def named(name: str, run: Run) -> str:
    """The name of a run, marked where it is not whole."""
    return f"{name} (INCOMPLETE)" if about.broken(run) else name


def p_words(p: float) -> str:
    """ "0.031", "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def shown(e: Estimate | None, unit: str = "%") -> Value | None:
    """A table's cell; None for what is not known."""
    return None if e is None or math.isnan(e.mean) else Value(estimate=e, unit=unit)


def in_words(e: Estimate, unit: str) -> str:
    """ "85.7 % (95 % [77.4, 91.3])"; unit "points" is named."""
    number, interval = Value(estimate=e, unit=unit).words()
    return f"{number}{' points' if unit == 'points' else ''} (95 % {interval})"


def difference_words(e: Estimate, unit: str) -> str:
    """ "+4.1 points (95 % [+1.0, +7.2])"."""
    return in_words(e, gap(unit))


def strict(run: Run) -> Estimate:
    """The strict score."""
    return figures(run).strict


def contrast_table(
    title: str, found: Sequence[tuple[str, Contrast]], adjusted: Sequence[float], unit: str,
    *, flips: bool = True,
) -> Table:  # fmt: skip
    """A row for each paired comparison; flips: shares of questions that changed sides."""
    head = ["comparison", "model and protocol", "n", "difference [95 %]", "p", "p (Holm)"]
    head += ["right -> wrong [95 %]", "wrong -> right [95 %]"] if flips else []
    rows: list[list[Cell]] = []
    for (label, c), p in zip(found, adjusted, strict=True):
        row: list[Cell] = [c.name, label, c.difference.n, shown(c.difference, gap(unit))]
        row += [p_words(c.p), p_words(p)]
        rows.append([*row, shown(c.lost), shown(c.won)] if flips else row)
    return Table(title=title, head=head, rows=rows)


def against(
    some: Sequence[Family], reference: str, name: Callable[[str], str], *, flip: bool = False
) -> list[tuple[Family, Contrast]]:
    """Every member against the reference; flip: reference minus member."""
    found: list[tuple[Family, Contrast]] = []
    for family in some:
        base = family.runs.get(reference)
        for key, run in family.runs.items() if base else ():
            if base is None or key == reference:
                continue
            pair = ((reference, base), (key, run)) if flip else ((key, run), (reference, base))
            made = about.contrast(name(key), *pair, reference=int(not flip))
            found += [(family, made)] if made else []
    return found


# --- controls


def controls(suite: str, runs: Sequence[Run]) -> Section | None:
    """Score and behaviour with something else, or nothing, in place of the sound."""
    some = about.families(runs, KINDS["controls"])
    if not some:
        return None
    unit = unit_of(runs[0])
    columns = [c for c in ORDER if any(c in f.runs for f in some)]
    series = {f.label: [_known(f, c) for c in columns] for f in some}
    gains = [
        (f, c) for f, c in against(some, "full", lambda k: GAINS.get(k, f"full - {k}"), flip=True)
    ]
    gains.sort(key=lambda x: (list(GAINS.values()).index(x[1].name), x[0].label))
    adjusted = holm([c.p for _, c in gains])
    found = [
        f"{f.label}: {c.name} {difference_words(c.difference, unit)}, p (Holm) {p_words(p)}"
        for (f, c), p in zip(gains, adjusted, strict=True)
        if c.second in ("silence", "swapped", "transcript", "caption")
    ]
    blocks: list[Block] = [
        [plots.bars(plots.slug(suite, "controls"), "Strict score by condition, 95 % intervals",
                    columns, series, unit)],
        _conditions(some, columns, unit),
    ]  # fmt: skip
    if gains:
        labelled = [(f.label, c) for f, c in gains]
        blocks.append(contrast_table("Paired differences", labelled, adjusted, unit))
    blocks += [t for t in (_behaviour(some, columns), _grounding(some)) if t.rows]
    return Section(
        title=f"{suite}: controls",
        read="The same questions with another sound, or none. What is right without the sound was "
        "guessed or known. Retention: score under the condition over the full score. Phantom cue: "
        "the thought claims (without a negation) something acoustic that the given silence or "
        "noise does not bear out; n are the replies with a thought. Grounding: the verifier's one "
        "number for a thought, and the share that passes as grounded; under `swapped` also against "
        "the question's own sound, which was not heard. Right -> wrong: shares of all questions "
        "that lose (gain) when the sound is replaced. Where errors are counted a gain is negative. "
        f"{HOLM}",
        found=(
            *(found or ["there is no run with the full sound to compare with"]),
            *_no_texts(columns),
        ),
        blocks=blocks,
    )


def _no_texts(columns: Sequence[str]) -> list[str]:
    """What is missing, and how it is given."""
    missing = [c for c in ("transcript", "caption") if c not in columns]
    return [f"no {' and no '.join(f'{c}s' for c in missing)} given: --texts"] if missing else []


def _known(family: Family, name: str) -> Estimate | None:
    return strict(family.runs[name]) if name in family.runs else None


def _conditions(some: Sequence[Family], columns: Sequence[str], unit: str) -> Table:
    rows: list[list[Cell]] = []
    for f in some:
        for name in (c for c in columns if c in f.runs):
            run, full = f.runs[name], f.runs.get("full")
            counts = figures(run)
            kept = about.retention(full, run) if full and name != "full" else None
            rows.append([
                named(name, run), f.label, counts.n, shown(counts.official, unit),
                shown(counts.strict, unit), shown(kept), f"{100 * counts.unparsed:.1f} %",
            ])  # fmt: skip
    head = ("condition", "model and protocol", "n", "official [95 %]", "strict [95 %]")
    title = "Score by condition"
    return Table(title=title, head=(*head, "retention [95 %]", "unparsed"), rows=rows)


def _behaviour(some: Sequence[Family], columns: Sequence[str]) -> Table:
    rows: list[list[Cell]] = []
    for f in some:
        for name in (c for c in columns if c in f.runs):
            run, full = f.runs[name], f.runs.get("full")
            cue = about.over_replies(run, about.phantom) if name in ("silence", "noise") else None
            same = None
            if full and name != "full":
                made = about.contrast("", ("full", full), (name, run))
                same = made.same if made else None
            denies = about.over_replies(run, lambda r: bool(r["denies"]))
            rows.append([named(name, run), f.label, shown(same), shown(denies),
                         shown(cue), cue.n if cue else None])  # fmt: skip
    head = ("condition", "model and protocol", "answer unchanged from full [95 %]",
            "denies hearing [95 %]", "phantom cue [95 %]", "n of phantom cue")  # fmt: skip
    return Table(title="Behaviour by condition", head=head, rows=rows)


def _grounding(some: Sequence[Family]) -> Table:
    rows: list[list[Cell]] = []
    for f in some:
        for name in ("full", "swapped"):
            for sound in ("given", "own") if name == "swapped" else ("given",):
                run = f.runs.get(name)
                if run is None:
                    continue
                number, kept = (
                    about.over_replies(run, lambda r, s=sound, k=key: (r.get(s) or {}).get(k))
                    for key in ("grounding", "grounded")
                )
                if number:
                    against = "the given sound" if sound == "given" else "the question's own sound"
                    rows.append([named(name, run), f.label, against, number.n,
                                 shown(number, ""), shown(kept)])  # fmt: skip
    head = ("condition", "model and protocol", "thought checked against", "n",
            "mean grounding [95 %]", "grounded [95 %]")  # fmt: skip
    return Table(title="Grounding of the thoughts", head=head, rows=rows)


# --- budgets


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slope:
    family: Family
    on: str
    found: Estimate
    p: float


def budgets(suite: str, runs: Sequence[Run]) -> Section | None:
    """Score against thought: by budget, and within the questions of a pool."""
    some = about.families(runs, KINDS["budgets"])
    drawn = [(run, slope) for run in about.pools(runs) if (slope := slope_within(run))]
    if not some and not drawn:
        return None
    unit = unit_of(runs[0])
    points = {f.label: about.budget_points(f) for f in some}
    gains = against(some, "none", lambda k: f"think {k} - none")
    gains.sort(key=lambda x: (x[0].label, x[1].first == "free", int("0" + x[1].first.strip("fre"))))
    slopes = [slope for f in some for slope in _slopes(f, points[f.label])]
    adjusted = holm([c.p for _, c in gains] + [s.p for s in slopes])
    blocks: list[Block] = []
    if some:
        title = "Strict score against thought budget"
        blocks += [
            [plots.budgets(plots.slug(suite, "budgets"), title, points, unit)],
            _budget_table(some, points, unit),
            _slope_table(slopes, adjusted[len(gains) :], unit),
        ]
    if gains:
        labelled = [(f.label, c) for f, c in gains]
        blocks.append(
            contrast_table("Thought against none", labelled, adjusted[: len(gains)], unit)
        )
    if drawn:
        rows: list[list[Cell]] = [
            [f"{run.model}: {about.title(run.protocol)}", s.items, s.answers,
             shown(s.within, gap(unit)), shown(s.pooled, gap(unit)), s.same_length, s.same_score]
            for run, s in drawn
        ]  # fmt: skip
        head = ("pool", "questions", "replies", "within questions [95 %]", "pooled [95 %]",
                "questions with one length", "questions with one score")  # fmt: skip
        title = "Slope per doubling of the thought, in a pool"
        blocks.append(Table(title=title, head=head, rows=rows))
    said = [
        f"{s.family.label}: a doubling of the thought {side(s.found, *EFFECTS)} "
        f"({difference_words(s.found, unit)}, {s.on})"
        for s in _told(slopes)
    ] + [
        f"{run.model}: within questions a doubling brings {difference_words(s.within, unit)}; "
        f"pooled over questions, which difficulty confounds, {difference_words(s.pooled, unit)}"
        for run, s in drawn
    ]  # fmt: skip
    return Section(
        title=f"{suite}: thought budgets",
        read="The thought is closed after so many tokens; `none` answers at once, `free` ends by "
        "itself. The slope is what one doubling of 1 + tokens brings, by least squares over the "
        "budgets, with clusters of questions resampled. Within questions: score on log2 of the "
        "thought's tokens among several free replies to the same question, so that hard questions "
        f"with long thoughts do not count against thinking. {HOLM}",
        found=tuple(said) or ("no slope can be fitted",),
        blocks=blocks,
    )


def slope_within(run: Run) -> ThinkingSlope | None:
    """Score on length of thought within the questions of a pool; None where no length is known."""
    attempts = [
        Attempt(
            item=row.key, tokens=int(tokens), right=float(reply["strict"]), cluster=row.cluster
        )
        for row in run.rows
        for reply in row.replies
        if (tokens := about.thought_tokens(reply)) is not None and math.isfinite(reply["strict"])
    ]  # fmt: skip
    return thinking_slope(attempts, seed=about.SEED) if attempts else None


EFFECTS = ("raises the score", "lowers the score", "has no clear effect")
ALLOWED = "tokens allowed (free: its mean length)"
USED = "tokens used"
THOUGHTS = "tokens used, without none"


def _slopes(family: Family, points: Sequence[about.Point]) -> list[_Slope]:
    used = {p.name: math.log2(1 + p.used.mean) for p in points if p.used}
    places = {
        ALLOWED: {p.name: p.x for p in points},
        USED: used,
        THOUGHTS: {k: v for k, v in used.items() if k != "none"},
    }
    made = {on: about.budget_slope(family, where) for on, where in places.items()}
    return [_Slope(family=family, on=on, found=m[0], p=m[1]) for on, m in made.items() if m]


def _told(slopes: Sequence[_Slope]) -> list[_Slope]:
    """One for each family: on tokens used where these are known."""
    best = {s.family.label: s for on in (ALLOWED, USED) for s in slopes if s.on == on}
    return list(best.values())


def _slope_table(slopes: Sequence[_Slope], adjusted: Sequence[float], unit: str) -> Table:
    rows: list[list[Cell]] = [
        [s.family.label, s.on, s.found.n, shown(s.found, gap(unit)), p_words(s.p), p_words(p)]
        for s, p in zip(slopes, adjusted, strict=True)
    ]
    head = ("model and protocol", "per doubling of", "n", "slope [95 %]", "p", "p (Holm)")
    return Table(title="Slope per doubling", head=head, rows=rows)


def _budget_table(
    some: Sequence[Family], points: Mapping[str, Sequence[about.Point]], unit: str
) -> Table:
    rows: list[list[Cell]] = [
        [named(p.name, f.runs[p.name]), f.label, p.right.n, shown(p.right, unit),
         shown(p.used, ""), shown(p.closed)]
        for f in some
        for p in points[f.label]
    ]  # fmt: skip
    head = ("think", "model and protocol", "n", "strict [95 %]", "thought tokens used [95 %]",
            "closed by the budget [95 %]")  # fmt: skip
    return Table(title="Score by budget", head=head, rows=rows)
