"""The report of a recipe run: one page, the same as Markdown, and all its numbers as JSON.

Every section says how it is read and, from the numbers, what came out. What is missing, because a
stage still runs or never was, is said in its place.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from auscult.evaluate.report import data, plots
from auscult.evaluate.report.data import Measured, StageRun
from auscult.evaluate.report.page import (
    Block,
    Cell,
    Examples,
    Section,
    Table,
    markdown,
    numbers,
    page,
    side,
    table,
    value,
    verdict,
)
from auscult.evaluate.report.plots import Picture
from auscult.evaluate.report.training import configuration, cost, curves, yields
from auscult.types import Estimate

Stages = Sequence[StageRun]
NOT_YET = "no stage is measured yet"
Measurement = tuple[str, Callable[[Measured], Estimate | None]]
"""(unit, estimate of a measured stage)"""


def _accuracy(protocol: str) -> Measurement:
    return "%", lambda m: data.accuracy(m, protocol)


def _difference(first: str, second: str) -> Measurement:
    return "points", lambda m: data.difference(m, first, second)


DENIES: Measurement = ("%", lambda m: data.share(h.denies for h in m.hearings))

HEADLINE: dict[str, Measurement] = {
    "thinking": _accuracy("thinking"),
    "direct": _accuracy("direct"),
    "free": _accuracy("free"),
    "thinking - direct": _difference("thinking", "direct"),
    "silence": _accuracy("silence"),
    "swapped sound": _accuracy("swapped"),
    "prompted": _accuracy("prompted"),
    "grounded": ("%", lambda m: data.share(t.grounded for t in m.thoughts)),
    "surrogate rate": ("%", lambda m: data.rate(t.surrogate for t in m.thoughts)),
    "self-cognition error": DENIES,
}
GROUNDING: dict[str, Measurement] = {
    "grounded": HEADLINE["grounded"],
    "claim precision": ("%", lambda m: data.rate(t.precision for t in m.thoughts)),
    "hallucination": ("%", lambda m: data.rate(t.hallucination for t in m.thoughts)),
    "lift": ("points", lambda m: data.mean(t.lift for t in m.thoughts)),
    "surrogate rate": HEADLINE["surrogate rate"],
    "without claims": ("%", lambda m: data.share(t.claims == 0 for t in m.thoughts)),
}
CONTROLS: dict[str, Measurement] = {
    "own sound": _accuracy("thinking"),
    "silence": _accuracy("silence"),
    "swapped sound": _accuracy("swapped"),
    "own - silence": _difference("thinking", "silence"),
    "own - swapped": _difference("thinking", "swapped"),
    "prompted": _accuracy("prompted"),
    "prompted - own": _difference("prompted", "thinking"),
}


def _estimates(stages: Stages, measurement: Measurement) -> list[Estimate | None]:
    return [measurement[1](s.measured) if s.measured else None for s in stages]


def _labels(stages: Stages) -> list[str]:
    return [s.label for s in stages]


def _known(stages: Stages) -> list[StageRun]:
    return [s for s in stages if s.measured]


def _measured_table(title: str, stages: Stages, wanted: Mapping[str, Measurement]) -> Table:
    columns = {k: [value(e, w[0]) for e in _estimates(stages, w)] for k, w in wanted.items()}
    return table(title, _labels(stages), columns)


# --- sections


def _headline(stages: Stages) -> Section:
    known = _known(stages)
    found = NOT_YET
    if known:
        first, last = known[0], known[-1]
        change = data.gain(first.measured, last.measured, "thinking")
        moved = verdict(change, "rose", "fell", "did not clearly change")
        paired = data.difference(last.measured, "thinking", "direct")
        helps = verdict(paired, "helps", "hurts", "makes no clear difference")
        at = {k: value(w[1](last.measured)) for k, w in HEADLINE.items() if last.measured}
        found = (
            f"From {first.label} to {last.label}, accuracy with thinking {moved}, to "
            f"{at['thinking']}. After {last.label}, thinking {helps} against the direct answer; "
            f"{at['grounded']} of the thoughts are grounded, and {at['self-cognition error']} of "
            "the self-cognition prompts are answered with a denial of hearing."
        )
    pictures = [
        plots.by_stage("accuracy", "Accuracy after each stage", _labels(stages), {
            k: _estimates(stages, HEADLINE[k]) for k in ("thinking", "direct", "free")
        }, wide=True),
        plots.by_stage("difference", "Thinking minus direct answer", _labels(stages), {
            "thinking - direct": _estimates(stages, HEADLINE["thinking - direct"])
        }, unit="points"),
    ]  # fmt: skip
    return Section(
        title="Headline",
        read="All stages answer the same held-out items, greedily. thinking: an empty thought is "
        "forbidden; direct: no thought; free: the model chooses; prompted: a control whose prompt "
        "alone asks for evidence. In brackets 95 % intervals; differences are paired over items.",
        found=(found,),
        blocks=[_measured_table("Every stage", stages, HEADLINE), pictures],
    )


LONGER = ("helps", "hurts: inverse scaling", "has no clear effect")


def _budget_words(stage: StageRun) -> str:
    """What the slope says, and where a line says it badly."""
    points = data.budget_points(stage.measured)
    said = f"{stage.label}: longer thought {verdict(data.slope(stage.measured), *LONGER)}"
    worst = min(points, key=lambda p: p.accuracy.mean, default=None)
    if worst and worst.accuracy.high < min(points[0].accuracy.low, points[-1].accuracy.low):
        name = worst.name.replace("_", " ")
        said += f"; but it is no straight line: lowest at {name}, {value(worst.accuracy)}"
    return said


def _budgets(stages: Stages) -> Section:
    known = _known(stages)
    slopes = [data.slope(s.measured) for s in known]
    cut = [data.slope(s.measured, direct=False) for s in known]
    names = list(dict.fromkeys(p.name for s in known for p in data.budget_points(s.measured)))
    names.sort(key=lambda n: (n == "thinking", int(n.rpartition("_")[2]) if "_" in n else 0))
    columns: dict[str, Sequence[Cell]] = {
        n.replace("_", " "): [value(data.accuracy(s.measured, n)) for s in known] for n in names
    }
    return Section(
        title="Accuracy against thinking budget",
        read="The thought is closed by force after so many tokens (0 is the direct answer); one "
        "more point is thinking to its own end, at its mean length. The slope is what one doubling "
        "of 1 + tokens brings, in points of accuracy, by least squares; its interval resamples "
        "items. A thought cut off is not a short thought: the second slope leaves the direct "
        "answer out and compares thoughts only.",
        found=tuple(_budget_words(s) for s in known) or (NOT_YET,),
        blocks=[
            table("Slope per doubling", _labels(known), {
                "slope, points": [value(e, "points") for e in slopes],
                "longer thought": [side(e, *LONGER) for e in slopes],
                "slope of thoughts only": [value(e, "points") for e in cut],
                "tokens of thought": [
                    value(data.thought_tokens(s.measured, "thinking"), "") for s in known
                ],
            }),
            plots.budgets(known),
            table("Accuracy by budget", _labels(known), columns, folded=True),
        ],
    )  # fmt: skip


def _tasks(stages: Stages) -> Section:
    known = _known(stages)
    tasks, families = data.families(known)

    def grid(groups: Sequence[Sequence[str]]) -> list[list[Estimate | None]]:
        return [
            [data.by_task(s.measured, g, "thinking") for s in known if s.measured] for g in groups
        ]

    by_task, by_family = grid([[t] for t in tasks]), grid(list(families.values()))
    labels = _labels(known)

    def columns(found: list[list[Estimate | None]]) -> dict[str, list[Cell]]:
        return {x: [value(row[i]) for row in found] for i, x in enumerate(labels)}

    blocks: list[Block] = []
    found = NOT_YET
    if tasks:
        blocks = [
            [
                plots.heat("tasks", "Accuracy % by task", tasks, labels, by_task),
                plots.heat("families", "Accuracy % by family", list(families), labels, by_family),
            ],
            table("By family", list(families), columns(by_family), first="family"),
            table("By task", tasks, columns(by_task), first="task", folded=True),
        ]
        found = _task_words(tasks, by_task, known[0].label, known[-1].label)
    return Section(
        title="Tasks and families",
        read="Accuracy with thinking, in percent. A task has few items, so single cells are rough: "
        "read rows and families, and the intervals in the tables.",
        found=(found,),
        blocks=blocks,
    )


def _task_words(
    tasks: Sequence[str], found: Sequence[Sequence[Estimate | None]], first: str, last: str
) -> str:
    """Best and worst task of the last stage, and the tasks whose intervals parted."""
    ranked = sorted((row[-1].mean, t) for t, row in zip(tasks, found, strict=True) if row[-1])
    ends = [(t, row[0], row[-1]) for t, row in zip(tasks, found, strict=True)]
    rose = [t for t, a, b in ends if a and b and b.low > a.high]
    fell = [t for t, a, b in ends if a and b and b.high < a.low]
    low, high = ranked[0][0], ranked[-1][0]
    worst, best = (", ".join(t for mean, t in ranked if mean == end) for end in (low, high))
    return (
        f"After {last}, best: {best} ({100 * high:.1f} %); worst: {worst} "
        f"({100 * low:.1f} %). From {first} to {last} the intervals have parted upwards for "
        f"{', '.join(rose) or 'no task'}, downwards for {', '.join(fell) or 'no task'}."
    )


def _each(stages: Stages, wanted: Mapping[str, Measurement], prefix: str) -> list[Picture]:
    """One small plot per measurement."""
    return [
        plots.by_stage(
            f"{prefix}_{name.replace(' ', '_')}", name, _labels(stages),
            {name: _estimates(stages, m)}, unit="points" if m[0] == "points" else "%",
        )
        for name, m in wanted.items()
    ]  # fmt: skip


def _ends(stages: Stages, wanted: Mapping[str, Measurement]) -> str:
    """ "grounded 10.0 % [..] -> 60.0 % [..]" for each, first and last measured stage."""
    known = _known(stages)
    if not known:
        return NOT_YET
    said = [
        f"{name} {' -> '.join(str(value(e, m[0]) or '-') for e in (found[0], found[-1]))}"
        for name, m in wanted.items()
        for found in [_estimates(known, m)]
    ]
    return f"From {known[0].label} to {known[-1].label}: {'; '.join(said)}."


def _grounding(stages: Stages) -> Section:
    return Section(
        title="Grounding of the thoughts",
        read="The verifier measures the sound and checks every acoustic claim of a thought. "
        "Precision: share of the decided claims that hold; hallucination: share of all claims that "
        "are contradicted; lift: support on the own clip minus on other clips of the task; "
        "surrogate rate: share of sentences about a text in place of the sound. Thoughts without "
        "claims have no precision, so n differs; intervals are bootstrapped over thoughts.",
        found=(_ends(stages, GROUNDING),),
        blocks=[
            _measured_table("Grounding by stage", stages, GROUNDING),
            _each(_known(stages), GROUNDING, "grounding"),
        ],
    )


def _self_cognition(stages: Stages) -> Section:
    known = _known(stages)
    wanted: dict[str, Measurement] = {
        "denies hearing": DENIES,
        "acknowledges hearing": ("%", lambda m: data.share(h.acknowledges for h in m.hearings)),
    }
    blocks: list[Block] = [
        _measured_table("Self-cognition by stage", stages, wanted),
        _each(known, wanted, "self_cognition"),
    ]
    for stage in known:
        hearings = stage.measured.hearings if stage.measured else ()
        chosen = [h for h in hearings if h.denies][:3] + [h for h in hearings if h.acknowledges][:3]
        items = [
            [("verdict", "denies" if h.denies else "acknowledges"), ("question", h.question),
             ("thought", h.thought), ("answer", h.answer)]
            for h in chosen
        ]  # fmt: skip
        if items:
            counted = sum(h.denies for h in hearings), sum(h.acknowledges for h in hearings)
            title = f"{stage.label}: {counted[0]} denials, {counted[1]} acknowledgements: examples"
            blocks.append(Examples(title=title, items=items))
    made = [f"{s.label} found {s.pairs} preference pairs" for s in stages if s.pairs is not None]
    made = made or ["no preference pairs have been made"]
    return Section(
        title="Self-cognition",
        read="Prompts that tempt the model to deny hearing, in wordings that no stage trained on. "
        "The error is a denial; replies that neither deny nor acknowledge count as neither.",
        found=(_ends(stages, wanted), *made),
        blocks=blocks,
    )


def _controls(stages: Stages) -> Section:
    known = _known(stages)
    found = NOT_YET
    if known:
        last = known[-1]
        said = [
            f"{name}: {verdict(CONTROLS[name][1](last.measured), *words)}"
            for name, words in (
                ("own - silence", ("the sound is used", "silence does better", "no clear use")),
                ("own - swapped", ("the own sound is used", "another does better", "no clear use")),
                (
                    "prompted - own",
                    ("asking helps", "asking hurts", "asking changes nothing clear"),
                ),
            )
            if last.measured
        ]
        found = f"After {last.label}, {'; '.join(said)}."
    names = ("own sound", "silence", "swapped sound")
    series = {n: _estimates(known, CONTROLS[n]) for n in names}
    bars = plots.by_stage("controls", "Own sound against controls", _labels(known), series,
                          bars=True, wide=True)  # fmt: skip
    return Section(
        title="Controls",
        read="The same questions with thinking, with the own sound, with silence as long, and with "
        "another item's sound of the same task. What is right without the sound was guessed. "
        "Differences are paired over items, with bootstrap intervals.",
        found=(found,),
        blocks=[[bars], _measured_table("Controls by stage", stages, CONTROLS)],
    )


# --- the report

SECTIONS: tuple[Callable[[Stages], Section], ...] = (
    _headline, _budgets, _tasks, curves, _grounding, yields, _self_cognition, _controls, cost,
)  # fmt: skip


def _state(folder: Path, stages: Stages) -> str:
    open_ones = [f"{s.label}: {s.state}" for s in stages if s.state != "finished"]
    known = len(_known(stages))
    unfinished = f" Not finished: {'; '.join(open_ones)}." if open_ones else ""
    return f"{folder.resolve().name}: {len(stages)} stages, {known} of them measured.{unfinished}"


def write_report(folder: Path) -> Path:
    """Write report.html, report.md with plots/, and report.json into a recipe's run folder, from
    what lies there by now; the page. Raises `ValueError` where the folder holds no stage, or
    matplotlib is missing."""
    plots.check_matplotlib()
    stages = data.read_run(folder)
    sections = [*(make(stages) for make in SECTIONS), configuration(stages, folder)]
    title, intro = "Report of a recipe run", _state(folder, stages)
    (folder / "plots").mkdir(exist_ok=True)
    for picture in (p for s in sections for b in s.blocks if isinstance(b, list) for p in b):
        (folder / "plots" / f"{picture.name}.png").write_bytes(picture.png)
    record = {
        "stages": [{"name": s.name, "kind": s.kind, "state": s.state} for s in stages],
        "sections": [numbers(s) for s in sections],
    }
    (folder / "report.json").write_text(json.dumps(record, indent=1))
    (folder / "report.md").write_text(markdown(title, intro, sections))
    out = folder / "report.html"
    out.write_text(page(title, intro, sections))
    return out
