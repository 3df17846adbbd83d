"""The pictures of the results page, drawn with the helpers of the recipe's report."""

import base64
import html
import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auscult.audio.io import read_audio
from auscult.evaluate.report import plots as base
from auscult.evaluate.report.plots import COLOURS, INK, Line, Picture
from auscult.evaluate.results.analysis import Curve, Point
from auscult.evaluate.results.runs import Row
from auscult.types import Estimate

# The look of all pictures is set in one place.
_axis, _saved = base._axis, base._saved  # pyright: ignore[reportPrivateUsage]
_matplotlib, _RC = base._matplotlib, base._RC  # pyright: ignore[reportPrivateUsage]

STYLES: Mapping[str, tuple[str, str]] = {
    "single": ("#8c959f", "-"), "majority": ("#0969da", "-"), "total_logprob": ("#d4690d", "-"),
    "judge": ("#1a9850", "-"), "judge_vote": ("#9a5fe0", "-"), "oracle": ("#1f2329", ":"),
    "majority of silence": ("#cf222e", "-."),
}  # fmt: skip
"""Lines of the paper's selectors are solid, the bounds dotted, ours dashed."""


def slug(*parts: str) -> str:
    """A file name: "controls_auscult_nano_gym"."""
    return re.sub(r"[^a-z0-9]+", "_", " ".join(parts).lower()).strip("_")


def axis_words(unit: str) -> tuple[float, str]:
    """(factor, words) of an axis of scores."""
    return (100.0, "strict score, %") if unit == "%" else (1.0, "strict score")


def bars(
    name: str, title: str, columns: Sequence[str],
    series: Mapping[str, Sequence[Estimate | None]], unit: str,
) -> Picture:  # fmt: skip
    """Upright bars with 95 % intervals, grouped."""
    scale, words = axis_words(unit)
    return base.by_stage(
        name, title, columns, series, scale=scale, unit=words, bars=True, wide=True
    )


def across(
    name: str, title: str, labels: Sequence[str], found: Sequence[Estimate], unit: str,
    *, second: Sequence[float] = (), mark: float = math.nan,
) -> Picture:  # fmt: skip
    """Lying bars with 95 % intervals, one below the other; `second`: a diamond on each (the
    official score); `mark`: an upright line (the score of the reference)."""
    scale, words = axis_words(unit)
    figure, axis = _axis(7.6, 1.1 + 0.27 * len(labels), title)
    with _matplotlib()[0].rc_context(_RC):
        places = np.arange(len(labels))
        mean = np.array([scale * e.mean for e in found])
        reach = np.maximum(0, [mean - [scale * e.low for e in found],
                               [scale * e.high for e in found] - mean])  # fmt: skip
        axis.barh(places, mean, 0.72, color=COLOURS[1], alpha=0.7)
        axis.errorbar(mean, places, xerr=reach, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2)
        if len(second):
            axis.plot([scale * v for v in second], places, "D", color=COLOURS[2], markersize=4,
                      label="official")  # fmt: skip
            figure.legend(*axis.get_legend_handles_labels(), loc="outside lower right")
        if math.isfinite(mark):
            axis.axvline(scale * mark, color=INK, linewidth=0.9, linestyle="--")
        axis.grid(visible=False, axis="y")
        axis.grid(axis="x", color="#8c959f", alpha=0.25, linewidth=0.6)
        axis.set_yticks(places, labels)
        axis.set(xlabel=f"{words}, 95 % interval", ylim=(len(labels) - 0.4, -0.6))
        axis.set_xlim(left=min(0.0, axis.get_xlim()[0]))
    return _saved(figure, name, title)


def budgets(name: str, title: str, points: Mapping[str, Sequence[Point]], unit: str) -> Picture:
    """Score against tokens allowed (log2); free thought at its mean length (star)."""
    scale, words = axis_words(unit)
    figure, axis = _axis(7.6, 3.8, title)
    ticks: dict[float, str] = {}
    with _matplotlib()[0].rc_context(_RC):
        for i, (label, found) in enumerate(points.items()):
            ink = base.colour(i + 1)
            for free in (False, True):
                some = [p for p in found if (p.name == "free") == free and math.isfinite(p.x)]
                y = np.array([scale * p.right.mean for p in some])
                reach = [y - [scale * p.right.low for p in some],
                         [scale * p.right.high for p in some] - y]  # fmt: skip
                axis.errorbar(
                    [p.x + 0.02 * i for p in some], y, np.maximum(0, reach), color=ink,
                    fmt="*" if free else "o-", markersize=11 if free else 4, capsize=2,
                    linewidth=1.5, elinewidth=0.9, label="_" if free else label,
                )  # fmt: skip
            ticks |= {p.x: p.name for p in found if p.name != "free" and math.isfinite(p.x)}
        axis.set_xticks(list(ticks), list(ticks.values()))
        axis.set(
            xlabel="thought tokens allowed, log2; star: free thought at its mean length",
            ylabel=f"{words}, 95 % interval",
        )
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return _saved(figure, name, title)


def selectors(name: str, title: str, found: Sequence[Curve], unit: str) -> Picture:
    """Score against size of the pool, a line for each selector."""
    scale, words = axis_words(unit)
    spare = iter(c for c in (*COLOURS[5:8], *COLOURS[3:5], *COLOURS[8:]) * 2)
    drawn: list[Line] = []
    for curve in found:
        ink, style = STYLES.get(curve.name) or (next(spare), "--")
        y = [scale * e.mean for e in curve.right]
        drawn.append(
            Line(
                name=curve.name,
                x=[math.log2(n) for n in curve.sizes],
                y=y,
                colour=ink,
                style=style,
            )
        )
    sizes = sorted({n for curve in found for n in curve.sizes})
    ticks = ([math.log2(n) for n in sizes], [str(n) for n in sizes])
    return base.lines(
        name, title, drawn, labels=("replies to each question", words), ticks=ticks, size=(7.6, 4.4)
    )


def strengths(
    name: str, title: str, found: Mapping[str, Sequence[tuple[float, Estimate]]], unit: str,
    x: str = "strength",
) -> Picture:  # fmt: skip
    """Score against how much of something there is, with bands."""
    scale, words = axis_words(unit)
    drawn = [
        Line(
            name=label, x=[x for x, _ in points], y=[scale * e.mean for _, e in points],
            low=[scale * e.low for _, e in points], high=[scale * e.high for _, e in points],
            colour=base.colour(i + 1),
        )
        for i, (label, points) in enumerate(found.items())
    ]  # fmt: skip
    return base.lines(name, title, drawn, labels=(x, f"{words}, 95 % band"), size=(7.6, 3.6))


def spectrogram(name: str, title: str, row: Row, thought: str, answer: str) -> Picture | None:
    """What was given to hear, with the claims of the thought; None where a file is gone."""
    files = [Path(file) for file in row.given]
    if not files or not all(file.exists() for file in files):
        return None
    from auscult.verify.scores import score
    from auscult.verify.show.picture import draw
    from auscult.verify.verify import listen

    ears = listen([read_audio(file) for file in files])
    findings: Sequence[Any] = ()
    if thought:
        _, findings = score(thought, ears, answer=answer, options=row.options)
    return embedded(name, title, draw(ears, findings, title=title))


def embedded(name: str, alt: str, png: bytes) -> Picture:
    """A PNG inside the page."""
    data = base64.b64encode(small(png)).decode()
    said = html.escape(alt, quote=True)
    image = f'<img alt="{said}" style="width:100%;max-width:860px" '
    return Picture(name=name, alt=alt, svg=f'{image}src="data:image/png;base64,{data}">', png=png)


def small(png: bytes) -> bytes:
    """The same with a palette of 256 colours, a third of the size."""
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(out, "PNG", optimize=True)
    return min(png, out.getvalue(), key=len)
