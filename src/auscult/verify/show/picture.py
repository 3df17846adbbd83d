"""Claims in the picture: spectrogram, pitch and onsets, each claim at its place in time."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auscult.verify.claims import AMBIGUOUS, CONTRADICTED, SUPPORTED, UNVERIFIABLE, Finding
from auscult.verify.verify import Ears, describe

COLOURS = {
    SUPPORTED: "#1a7f37",
    CONTRADICTED: "#cf222e",
    AMBIGUOUS: "#9a6700",
    UNVERIFIABLE: "#6e7781",
}
SIGNS = {SUPPORTED: "+", CONTRADICTED: "-", AMBIGUOUS: "~", UNVERIFIABLE: "?"}
MOST_CLIPS, MOST_LANES = 4, 14


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError("pictures need the extra 'plot': pip install 'auscult[plot]'") from error
    return Figure


def draw(ears: Ears, findings: Sequence[Finding], *, title: str = "") -> bytes:
    """A PNG: one column per clip (at most four). Raises `ValueError` without matplotlib."""
    clips = ears[:MOST_CLIPS]
    lanes = [[f for f in findings if f.clip == i][:MOST_LANES] for i in range(1, len(clips) + 1)]
    depth = max([1, *(len(lane) for lane in lanes)])
    size = (max(9.0, 5.0 * len(clips)), 4.2 + 0.32 * depth)
    figure = _figure()(figsize=size, layout="constrained")
    grid = figure.add_gridspec(2, len(clips), height_ratios=(3.6, 0.32 * depth + 0.3))
    for column, ear in enumerate(clips):
        top = figure.add_subplot(grid[0, column])
        _spectrogram(top, ear)
        top.set_title(title if len(clips) == 1 else f"clip {column + 1}", fontsize=10)
        below = figure.add_subplot(grid[1, column], sharex=top)
        _lanes(below, lanes[column], ear.seconds, depth)
        below.set(xlabel="time (s)", xlim=(0, ear.seconds))
    out = io.BytesIO()
    figure.savefig(out, dpi=110, format="png")
    return out.getvalue()


def _spectrogram(axis: Any, ear: Any) -> None:
    """Level per mel band up to 8 kHz, the pitch track (black on white) and the onsets."""
    bands, low, high = 80, 40.0, 7900.0
    db = ear.spectrogram_db(bands, low, high)
    mel = lambda hz: 2595 * np.log10(1 + np.asarray(hz) / 700)  # noqa: E731
    axis.imshow(
        db.T, origin="lower", aspect="auto", cmap="magma", vmin=db.max() - 70,
        extent=(0, ear.seconds, mel(low), mel(high)),
    )  # fmt: skip
    ticks = [100, 200, 400, 800, 1600, 3200, 6400]
    axis.set_yticks(mel(ticks), [str(t) for t in ticks])
    axis.set_ylabel("Hz")
    track = ear.track
    hz = np.where(track.periodicity >= 0.5, track.hz, np.nan)
    axis.plot(track.times_s, mel(hz), color="white", linewidth=3.5)
    axis.plot(track.times_s, mel(hz), color="black", linewidth=1.6, label="pitch")
    for i, t in enumerate(ear.onsets):
        axis.axvline(t, color="#7fd4ff", linewidth=0.9, label="onset" if i == 0 else None)
    if ear.onsets or np.isfinite(hz).any():
        axis.legend(loc="upper right", fontsize=7, framealpha=0.8)


def _lanes(axis: Any, findings: Sequence[Finding], seconds: float, depth: int) -> None:
    """A bar per claim over the time that it speaks of, with sign and words."""
    axis.set(ylim=(-0.5, depth - 0.5), yticks=[])
    axis.invert_yaxis()
    for lane, f in enumerate(findings):
        start, end = f.span or (0.0, seconds)
        colour = COLOURS[f.verdict]
        axis.barh(lane, max(end - start, 0.01), left=start, height=0.75, color=colour, alpha=0.25)
        axis.barh(
            lane, max(end - start, 0.01), left=start, height=0.75, fill=False, edgecolor=colour
        )
        said = f"{SIGNS[f.verdict]} {describe(f.claim)}"
        if f.measured and f.verdict != UNVERIFIABLE:
            said += f" | measured {f.measured}"
        axis.text(
            0.01 * seconds, lane, said[:90], va="center", fontsize=8, color=colour, clip_on=True
        )
    if not findings:
        axis.text(0.5, 0.5, "no claims about this clip", transform=axis.transAxes, ha="center")


def save(path: Path, ears: Ears, findings: Sequence[Finding], *, title: str = "") -> None:
    """The picture as a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(draw(ears, findings, title=title))
