"""The pictures of the report.

A picture is drawn once: as SVG for the page, where its ink takes the colour of the page's text
(light and dark), and as PNG for Markdown.
"""

import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auscult.evaluate.report import data
from auscult.evaluate.report.data import StageRun
from auscult.types import Estimate

INK = "#1f2329"
COLOURS = (
    "#8c959f", "#0969da", "#d4690d", "#1a9850", "#9a5fe0", "#d63384", "#0aa2c0", "#b08800",
    "#cf222e", "#6e7f95",
)  # fmt: skip
_RC = {
    "font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "svg.fonttype": "none", "svg.hashsalt": "auscult", "legend.frameon": False,
    "legend.fontsize": 8, "axes.titlesize": 10, "figure.constrained_layout.use": True,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture. `name` is its file, `alt` what it shows, in words."""

    name: str
    alt: str
    svg: str
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a plot, its band the interval; `soft` lines stand back; a name that
    begins with _ is not in the legend."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    colour: str = COLOURS[1]
    style: str = "-"
    soft: bool = False
    bare: bool = False  # without markers


def colour(number: int) -> str:
    """The colour of a stage in all pictures."""
    return COLOURS[number % len(COLOURS)]


def _matplotlib() -> tuple[Any, Any]:
    try:
        import matplotlib
        from matplotlib import figure
    except ImportError as error:
        raise ValueError("a report needs the extra 'plot': pip install 'auscult[plot]'") from error
    return matplotlib, figure.Figure


def check_matplotlib() -> None:
    """Raises `ValueError` with the command to run where matplotlib is missing."""
    _matplotlib()


def _axis(width: float, height: float, title: str) -> tuple[Any, Any]:
    with _matplotlib()[0].rc_context(_RC):
        figure = _matplotlib()[1](figsize=(width, height))
        axis = figure.add_subplot()
        axis.set_title(title, loc="left")
        axis.grid(axis="y", color="#8c959f", alpha=0.25, linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, axis


def _saved(figure: Any, name: str, alt: str) -> Picture:
    with _matplotlib()[0].rc_context(_RC):
        vector, pixels = io.StringIO(), io.BytesIO()
        figure.savefig(vector, format="svg", transparent=True, metadata={"Date": None})
        figure.savefig(pixels, format="png", dpi=110)
    text = vector.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    box = re.search(r'viewBox="0 0 ([\d.]+) ', text)
    wide = float(box[1]) if box else 400.0
    head = f'<svg role="img" aria-label="{html.escape(alt, quote=True)}" style="width:100%;'
    head += f'max-width:{wide * 1.25:.0f}px;min-width:{min(wide, 560):.0f}px" '
    text = re.sub(r'(<svg .*?)width="[\d.]+pt"', r"\1", text, count=1, flags=re.S)
    text = re.sub(r'(<svg .*?)height="[\d.]+pt"', r"\1", text, count=1, flags=re.S)
    text = text.replace("<svg ", head, 1).replace(INK, "currentColor")
    return Picture(name=name, alt=alt, svg=text, png=pixels.getvalue())


def _draw_lines(axis: Any, lines: Sequence[Line]) -> None:
    for line in lines:
        if line.soft:
            axis.plot(line.x, line.y, color="#8c959f", alpha=0.45, linewidth=0.8)
            continue
        marker = "" if line.bare else "o"
        axis.plot(
            line.x, line.y, line.style, color=line.colour, label=line.name, linewidth=1.6,
            marker=marker, markersize=3.5,
        )  # fmt: skip
        if len(line.low):
            axis.fill_between(line.x, line.low, line.high, color=line.colour, alpha=0.18, lw=0)


def lines(
    name: str,
    title: str,
    drawn: Sequence[Line],
    *,
    labels: tuple[str, str],
    ticks: tuple[Sequence[float], Sequence[str]] = ((), ()),
    size: tuple[float, float] = (4.6, 3.1),
    borders: Mapping[float, str] | None = None,
    legend: bool = True,
) -> Picture:
    """Lines with bands. labels: of the two axes. borders: x of a vertical line -> what begins
    there."""
    figure, axis = _axis(*size, title)
    with _matplotlib()[0].rc_context(_RC):
        _draw_lines(axis, drawn)
        axis.set(xlabel=labels[0], ylabel=labels[1])
        if len(ticks[0]):
            axis.set_xticks(*ticks)
        for x, text in (borders or {}).items():
            axis.axvline(x, color="#8c959f", linewidth=0.8, linestyle=":")
            axis.annotate(
                text, (x, 1), (3, -2), xycoords=axis.get_xaxis_transform(), va="top",
                textcoords="offset points", fontsize=7, rotation=90, alpha=0.8,
            )  # fmt: skip
        several = (
            legend and len({x.name for x in drawn if not (x.soft or x.name.startswith("_"))}) > 1
        )
        if several:
            figure.legend(
                *axis.get_legend_handles_labels(), loc="outside lower center",
                ncols=min(3, len(drawn)) if size[0] < 6 else 4,
            )  # fmt: skip
    return _saved(figure, name, title)


def by_stage(
    name: str,
    title: str,
    stages: Sequence[str],
    series: Mapping[str, Sequence[Estimate | None]],
    *,
    scale: float = 100.0,
    unit: str = "%",
    bars: bool = False,
    wide: bool = False,
) -> Picture:
    """Estimates with their intervals, stage by stage: points or bars."""
    figure, axis = _axis(7.6 if wide else 4.6, 3.6 if wide else 3.2, title)
    step = 0.8 / len(series) if bars else 0.08
    with _matplotlib()[0].rc_context(_RC):
        for i, (label, found) in enumerate(series.items()):
            known = [(x, e) for x, e in enumerate(found) if e]
            x = np.array([x for x, _ in known]) + step * (i - (len(series) - 1) / 2)
            y = np.array([scale * e.mean for _, e in known])
            low = y - [scale * e.low for _, e in known]
            high = [scale * e.high for _, e in known] - y
            reach, ink = np.maximum(0, [low, high]), colour(i + 1)
            if bars:
                axis.bar(x, y, step * 0.92, color=ink, alpha=0.75, label=label)
                axis.errorbar(x, y, reach, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2)
            else:
                axis.errorbar(
                    x, y, reach, fmt="o-", color=ink, label=label, capsize=2, markersize=4,
                    linewidth=1.3, elinewidth=0.9,
                )  # fmt: skip
        axis.set_xticks(range(len(stages)), stages, rotation=35, ha="right")
        axis.set(ylabel=unit, xlim=(-0.6, len(stages) - 0.4))
        if len(series) > 1:
            handles = axis.get_legend_handles_labels()
            figure.legend(*handles, loc="outside lower center", ncols=4)
    return _saved(figure, name, title)


def heat(
    name: str, title: str, rows: Sequence[str], columns: Sequence[str],
    found: Sequence[Sequence[Estimate | None]],
) -> Picture:  # fmt: skip
    """Percentages as a map with numbers."""
    figure, axis = _axis(2.4 + 0.72 * len(columns), 1.3 + 0.27 * len(rows), title)
    values = np.array([[np.nan if e is None else 100 * e.mean for e in row] for row in found])
    with _matplotlib()[0].rc_context(_RC):
        axis.grid(visible=False)
        axis.pcolormesh(values, cmap="YlGnBu", vmin=0, vmax=100, edgecolors="none")
        for y, row in enumerate(values):
            for x, value in enumerate(row):
                shown = "" if np.isnan(value) else f"{value:.0f}"
                ink = "#ffffff" if value > 55 else "#101418"
                axis.text(x + 0.5, y + 0.5, shown, ha="center", va="center", color=ink)
        axis.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=35, ha="right")
        axis.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axis.invert_yaxis()
        axis.tick_params(length=0)
    return _saved(figure, name, title)


def counts(
    name: str,
    title: str,
    labels: Sequence[str],
    values: Sequence[float],
    *,
    marked: Sequence[bool] = (),
    across: bool = False,
    unit: str = "",
) -> Picture:
    """Bars with their numbers: upright, or lying one below the other (`across`)."""
    figure, axis = _axis(4.6, 0.9 + 0.34 * len(labels) if across else 3.1, title)
    ink = [COLOURS[1] if m else COLOURS[0] for m in marked or [True] * len(labels)]
    with _matplotlib()[0].rc_context(_RC):
        drawn = (axis.barh if across else axis.bar)(range(len(labels)), values, color=ink)
        axis.bar_label(drawn, [f"{v:,.0f}" for v in values], padding=2, fontsize=8)
        if across:
            axis.set_yticks(range(len(labels)), labels)
            axis.invert_yaxis()
            axis.set(xlabel=unit, xlim=(0, 1.18 * max(1, *values)))
        else:
            axis.set_xticks(range(len(labels)), labels)
            axis.set(ylabel=unit, ylim=(0, 1.12 * max(1, *values)))
    return _saved(figure, name, title)


def _budget_lines(stages: Sequence[StageRun]) -> list[Line]:
    out: list[Line] = []
    for i, stage in enumerate(stages):
        points = data.budget_points(stage.measured)
        out.append(
            Line(
                name=stage.label, colour=colour(i),
                x=[np.log2(1 + p.tokens) for p in points],
                y=[100 * p.accuracy.mean for p in points],
                low=[100 * p.accuracy.low for p in points],
                high=[100 * p.accuracy.high for p in points],
            )
        )  # fmt: skip
    return out


def budgets(known: Sequence[StageRun]) -> list[Picture]:
    """All stages together, then each with its band before the others in grey."""
    full = _budget_lines(known)
    bare = [replace(x, low=(), high=()) for x in full]
    tokens = sorted({
        round(p.tokens) for s in known for p in data.budget_points(s.measured)
        if p.name != "thinking"
    })  # fmt: skip
    look: dict[str, Any] = {
        "labels": ("tokens of thought allowed; mean for free length", "accuracy %"),
        "ticks": ([np.log2(1 + t) for t in tokens], [str(t) for t in tokens]),
    }
    out = [lines("budget_all", "All stages", bare, **look)] if full else []
    for stage, line in zip(known, full, strict=True):
        others = [replace(x, soft=True) for x in bare if x.name != line.name]
        out.append(lines(f"budget_{stage.name}", line.name, [*others, line], **look))
    return out
