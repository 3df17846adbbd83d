"""The report's sections about training: curves, what distillation and selection let through, what
it cost, and with which settings.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from auscult.evaluate.report import data, plots
from auscult.evaluate.report.data import Judged, Sampling, StageRun
from auscult.evaluate.report.page import (
    Block,
    Cell,
    Examples,
    Section,
    Table,
    table,
    value,
    verdict,
)
from auscult.evaluate.report.plots import Line, Picture
from auscult.files import read_json
from auscult.types import Estimate

Stages = Sequence[StageRun]

CURVES: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("reward", "%", {"sound": "reward/audio", "text": "reward/text"}),
    ("right answers", "%", {"sound": "right/audio", "text": "right/text"}),
    ("reasoning present", "%", {"sound": "reasoned/audio", "text": "reasoned/text"}),
    ("thought length", "", {"tokens": "thought_tokens"}),
    ("entropy per token", "", {"nats": "entropy"}),
    ("clip fraction", "%", {"tokens clipped": "clip_fraction"}),
    ("approximate KL per token", "", {"nats": "approx_kl"}),
    ("explained variance of the critic", "", {"share": "explained_variance"}),
    ("how replies end", "%", {
        "own end": "stop/end", "token limit": "stop/length", "thought left open": "closed/open",
        "empty thought": "empty_thought",
    }),
    ("gradient norm", "", {"actor": "grad_norm/actor", "critic": "grad_norm/critic"}),
)  # fmt: skip
"""Title, unit and measurements of each plot of a reinforcement-learning stage."""


def _smooth(values: Sequence[float], width: int = 5) -> list[float]:
    """Running mean; at the ends over what is there."""
    ones = np.ones(min(width, len(values)))
    total = np.convolve(values, ones, mode="same")
    return (total / np.convolve(np.ones(len(values)), ones, mode="same")).tolist()


def _curve_lines(stages: Stages, names: Mapping[str, str], scale: float) -> list[Line]:
    """Raw and smoothed lines; the stages' steps are counted through."""
    out: list[Line] = []
    for number, (label, metric) in enumerate(names.items()):
        before, shown = 0, label
        for stage in stages:
            steps, found = data.curve(stage.metrics, metric)
            x, y = [before + s for s in steps], [scale * v for v in found]
            before += len(stage.metrics)
            if not y:
                continue
            out.append(Line(name=label, x=x, y=y, soft=True))
            ink = plots.colour(number + 1)
            out.append(Line(name=shown, x=x, y=_smooth(y), colour=ink, bare=True))
            shown = f"_{label}"
    return out


def _rl_pictures(stages: Stages) -> list[Picture]:
    borders: dict[float, str] = {}
    before = 0
    for stage in stages:
        borders[before + 0.5] = stage.label
        before += len(stage.metrics)
    out: list[Picture] = []
    for title, unit, names in CURVES:
        lines = _curve_lines(stages, names, 100.0 if unit else 1.0)
        if any(any(line.y) for line in lines):  # what is always 0 is not drawn
            name = f"rl_{title.replace(' ', '_')}"
            labels = ("step, stages in a row", unit)
            out.append(plots.lines(name, title, lines, labels=labels, borders=borders))
    return out


def _shift_row(stage: StageRun, metric: str, unit: str) -> list[Cell]:
    found = data.shift(data.curve(stage.metrics, metric)[1])
    if found is None:
        return [None, None, None]
    change = value(found.change, "points" if unit else "")
    return [value(found.first, unit), value(found.last, unit), change]


def _shift_table(stage: StageRun, wanted: Mapping[str, tuple[str, str]]) -> Table:
    """First and last quarter of the steps; wanted: words -> (measurement, unit)."""
    names = [w for w, (m, _) in wanted.items() if data.curve(stage.metrics, m)[1]]
    rows = [_shift_row(stage, *wanted[w]) for w in names]
    heads = ("first quarter", "last quarter", "change")
    columns = {h: [row[i] for row in rows] for i, h in enumerate(heads)}
    title = f"{stage.label}: {len(stage.metrics)} steps, their first and last quarter"
    return table(title, names, columns, first="measurement", folded=True)


RL_NUMBERS = {
    f"{title}, {label}": (metric, unit)
    for title, unit, names in CURVES
    for label, metric in names.items()
}
LOSSES = {"loss": ("loss", ""), "alignment": ("alignment", ""), "preference margin": ("margin", ""),
          "pairs told apart": ("right", "%"), "gradient norm": ("grad_norm", "")}  # fmt: skip


def _rl_words(stage: StageRun) -> str:
    said = [
        f"reward on {what} {verdict(found.change, 'rose', 'fell', 'did not clearly change')}"
        for what, metric in CURVES[0][2].items()
        if (found := data.shift(data.curve(stage.metrics, metric)[1]))
    ]
    clipped = data.curve(stage.metrics, "clip_fraction")[1]
    if clipped and not any(clipped):
        said.append("nothing was ever clipped")
    return f"{stage.label}: {', '.join(said) or 'too few steps to compare'}"


def curves(stages: Stages) -> Section:
    """Curves of every training stage."""
    rl = [s for s in stages if s.kind == "ppo" and s.metrics]
    other = [s for s in stages if s.kind in ("sft", "dpo") and s.metrics]
    blocks: list[Block] = [_rl_pictures(rl)] if rl else []
    losses = [
        plots.lines(f"loss_{s.name}", f"{s.label}: loss",
                    _curve_lines([s], {"loss": "loss"}, 1.0), labels=("step", "loss"))
        for s in other if data.curve(s.metrics, "loss")[1]
    ]  # fmt: skip
    blocks += [losses] if losses else []
    blocks += [_shift_table(s, RL_NUMBERS) for s in rl] + [_shift_table(s, LOSSES) for s in other]
    said = [_rl_words(s) for s in rl] or ["no reinforcement-learning stage has metrics yet"]
    for stage in other:
        found = data.shift(data.curve(stage.metrics, "loss")[1])
        if found:
            said.append(f"{stage.label}: loss {value(found.first, '')} -> {value(found.last, '')}")
    return Section(
        title="Training curves",
        read="Grey: each step; coloured: running mean of five. The tables compare the first and "
        "last quarter of a stage's steps, n being steps; their bootstrap takes steps as "
        "independent and so is a little narrow. Where rollouts serve one update "
        "only, clip fraction and KL are 0 by construction.",
        found=tuple(said),
        blocks=blocks,
    )


def _spread(found: Sequence[Judged], n: int = 3) -> list[Judged]:
    """n of them from all over, of different questions where possible."""
    apart = list({r.key: r for r in found}.values())
    pool = apart if len(apart) >= n else list(found)
    return [pool[i * len(pool) // n] for i in range(n)] if len(pool) >= n else list(pool)


def _shown(verdict: str, found: Sequence[Judged]) -> list[list[tuple[str, str]]]:
    return [
        [("verdict", f"{verdict}: {r.why}"), ("question", r.key), ("thought", r.thought),
         ("answer", r.answer), ("truth", r.truth)]
        for r in _spread(found)
    ]  # fmt: skip


def _tally(title: str, reasons: Counter[tuple[str, ...]], heads: Sequence[str]) -> Table:
    total = sum(reasons.values())
    rows: list[list[Cell]] = [
        [*why, n, value(data.share([1.0] * n + [0.0] * (total - n)))]
        for why, n in reasons.most_common()
    ]
    return Table(title=title, head=[*heads, "count", f"share (n {total})"], rows=rows, folded=True)


def _remaining(sampling: Sampling) -> list[tuple[str, int, Estimate]]:
    """(filter, samples left after it, share of all samples), in the order of the filters. Samples
    of one question are alike, so the interval is over questions."""
    gone: set[str] = set()
    out: list[tuple[str, int, Estimate]] = []
    for name in ("samples", *sampling.filters):
        gone.add(name)
        left = [[r.filter not in gone for r in g] for g in sampling.groups]
        estimate = data.mean(sum(g) / len(g) for g in left)
        if estimate is not None:
            out.append((name, sum(map(sum, left)), estimate))
    return out


def _sampling(stage: StageRun, sampling: Sampling) -> tuple[Picture, list[Block], str]:
    """(funnel, tables and examples, words) of one round."""
    steps = _remaining(sampling)
    every = [r for g in sampling.groups for r in g]
    names = [name if name == "samples" else f"after {name}" for name, _, _ in steps]
    left = [n for _, n, _ in steps]
    if sampling.written is not None:
        names, left = [*names, "written for the SFT"], [*left, sampling.written]
    about = f"{stage.label}, {sampling.about}"
    slug = f"funnel_{stage.name}_{sampling.about.replace(' ', '_')}"
    picture = plots.counts(slug, about, names, left, across=True, unit="samples")
    shares: list[Cell] = [value(e) for _, _, e in steps]
    shares += [None] * (len(names) - len(steps))
    reasons = Counter((r.filter or "kept", r.why) for r in every)
    lost = {name: [r for r in every if r.filter == name] for name in sampling.filters}
    shown = _shown("kept", [r for r in every if r.keep])
    shown += [x for name, mine in lost.items() for x in _shown(f"rejected by {name}", mine)]
    blocks: list[Block] = [
        table(f"{about}: what is left", names, {"left": left, "share of all": shares},
              first="filter", folded=True),
        _tally(f"{about}: reasons", reasons, ("filter", "why")),
        Examples(title=f"{about}: {len(shown)} kept and rejected replies", items=shown),
    ]  # fmt: skip
    worst = max(lost, key=lambda k: len(lost[k]))
    so_far = "" if sampling.written is not None else " so far"
    words = (
        f"{about}: {left[len(steps) - 1]} of {len(every)} samples{so_far} pass all filters, "
        f"{shares[len(steps) - 1]}; most were lost to {worst} ({len(lost[worst])})"
    )
    return picture, blocks, words


def _selection(stage: StageRun) -> tuple[list[Picture], list[Block], str]:
    """(histograms of sound and text, reasons, words) of a stage's choice of questions."""
    low, high, most = stage.band or (0, -1, max(p.passes for p in stage.picked))
    pictures: list[Picture] = []
    columns: dict[str, Sequence[Cell]] = {}
    bars = range(most + 1)
    for kind, found in (
        ("sound", [p for p in stage.picked if p.silent is not None]),
        ("text", [p for p in stage.picked if p.silent is None]),
    ):
        if found:
            values = [sum(p.passes == n for p in found) for n in bars]
            columns[kind] = values
            title = f"{stage.label}: questions of {kind}"
            slug = f"passes_{stage.name}_{kind}"
            marked = [low <= n <= high for n in bars]
            unit = f"questions (blue: band {low} to {high})" if stage.band else "questions"
            names = list(map(str, bars))
            pictures.append(plots.counts(slug, title, names, values, marked=marked, unit=unit))
    kept = data.share(p.keep for p in stage.picked)
    rows = list(map(str, bars))
    reasons = Counter((p.why,) for p in stage.picked)
    blocks: list[Block] = [
        table(f"{stage.label}: right answers of {most}", rows, columns, first="right", folded=True),
        _tally(f"{stage.label}: reasons of the selection", reasons, ("why",)),
    ]
    n = sum(p.keep for p in stage.picked)
    words = f"{stage.label}: {n} of {len(stage.picked)} questions are selected, {value(kept)}"
    return pictures, blocks, words


def yields(stages: Stages) -> Section:
    """What the filters of distillation and the selection for reinforcement learning let through."""
    funnels: list[Picture] = []
    histograms: list[Picture] = []
    folded: list[Block] = []
    said: list[str] = []
    for stage in stages:
        for sampling in stage.samplings:
            picture, blocks, words = _sampling(stage, sampling)
            funnels.append(picture)
            folded += blocks
            said.append(words)
        if stage.picked:
            pictures, blocks, words = _selection(stage)
            histograms += pictures
            folded += blocks
            said.append(words)
    shown: list[Block] = [p for p in (funnels, histograms) if p]
    return Section(
        title="Yields of distillation and selection",
        read="Funnels: samples left after each filter, in the order in which they are asked; the "
        "first that rejects gives the reason. Shares are over all samples, with a bootstrap over "
        "questions. Histograms: right answers per question; questions within the band are learned "
        "from, if the sound is needed. In the tallies samples count as independent.",
        found=tuple(said) or ("no distillation or selection has been made yet",),
        blocks=[*shown, *folded],
    )


def cost(stages: Stages) -> Section:
    """Seconds, steps and tokens of each stage."""
    seconds = [s.seconds or {} for s in stages]
    training = [x.get("training", 0.0) for x in seconds]
    measuring = [x.get("measuring", 0.0) for x in seconds]
    labels = [s.label for s in stages]
    pictures = [
        plots.counts(f"seconds_{name}", f"Seconds of {name}", labels, values, across=True,
                     unit="seconds")
        for name, values in (("training", training), ("measuring", measuring))
    ]  # fmt: skip
    per_step = [data.mean(data.curve(s.metrics, "seconds")[1]) for s in stages]
    noted = [bool(x) for x in seconds]
    columns: dict[str, Sequence[Cell]] = {
        "training s": [t if k else None for t, k in zip(training, noted, strict=True)],
        "measuring s": [t if k else None for t, k in zip(measuring, noted, strict=True)],
        "steps": [len(s.metrics) or None for s in stages],
        "seconds per step": [value(e, "") for e in per_step],
        "reply tokens learned from": [
            f"{t:,}" if (t := _tokens_trained(s)) else None for s in stages
        ],
    }
    total = sum(training) + sum(measuring)
    dearest = max(zip(training, labels, strict=True))[1]
    missing = [x for x, k in zip(labels, noted, strict=True) if not k]
    late = f" Not noted yet: {', '.join(missing)}." if missing else ""
    return Section(
        title="Cost",
        read="Wall-clock seconds of the stages as they were finished; what a start spent before it "
        "was killed is not in them. Training holds sampling, filters and optimiser steps; n of the "
        "seconds per step is steps.",
        found=(
            f"{sum(training):,.0f} s of training and {sum(measuring):,.0f} s of measuring, "
            f"{total / 60:.1f} minutes together; the dearest stage to train is {dearest}.{late}",
        ),
        blocks=[pictures, table("Cost by stage", labels, columns)],
    )


def configuration(stages: Stages, folder: Path) -> Section:
    """Settings, seeds, versions, machine and command."""
    rows: list[list[Cell]] = []
    blocks: list[Block] = []
    versions: set[str] = set()
    for stage in stages:
        for place, record in (stage.runs or {}).items():
            config, around = record.get("config", {}), record.get("environment", {})
            machine = f"{around.get('machine', '?')}, {around.get('cores', '?')} cores"
            rows.append([
                f"{stage.label}: {place}", record.get("stage"), _seeds(config), record.get("hash"),
                config.get("processes"), machine, around.get("revision"),
            ])  # fmt: skip
            packages = {"python": around.get("python", "?"), **around.get("packages", {})}
            versions.add(", ".join(f"{k} {v}" for k, v in packages.items()))
        items = [[(k, json.dumps(v, indent=1))] for k, v in (stage.runs or {}).items()]
        if items:
            blocks.append(Examples(title=f"{stage.label}: run.json", items=items, code=True))
    command = _command_of(folder)
    heads = ("run", "kind", "seeds", "hash", "processes", "machine", "revision")
    all_runs = Table(title="All runs", head=heads, rows=rows, folded=True)
    return Section(
        title="Configuration",
        read="Every setting of every stage as its run.json holds it. Equal hashes mean equal "
        "settings on equal parent weights.",
        found=(
            f"command: {command or 'not on file (recipe.json)'}",
            f"versions: {' | '.join(sorted(versions)) or 'not on file'}",
        ),
        blocks=[all_runs, *blocks],
    )


def _seeds(config: Mapping[str, object]) -> str:
    """ "seed 0, ppo.seed 3": all seeds, at any depth."""
    found: list[str] = []

    def walk(part: Mapping[str, object], above: str) -> None:
        for name, inner in part.items():
            if name == "seed":
                found.append(f"{above}seed {inner}")
            elif isinstance(inner, dict):
                walk(inner, f"{above}{name}.")

    walk(config, "")
    return ", ".join(found)


def _command_of(folder: Path) -> str:
    """The command that made the folder, where recipe.json has kept it."""
    file = folder / "recipe.json"
    command = read_json(file).get("command", "") if file.exists() else ""
    return " ".join(map(str, command)) if isinstance(command, list) else str(command)


def _tokens_trained(stage: StageRun) -> int:
    """Tokens of replies that the stage learned from, where its metrics count them."""
    total = sum(m.get("reply_tokens", 0) for m in stage.metrics)
    return int(total + sum(m.get("tokens", 0) * m.get("replies", 0) for m in stage.metrics))
