"""Pictures of sound: waveform and log-mel with question, thought and answer (extra `[plot]`)."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from auscult.audio.mel import HOP, log_mel
from auscult.audio.synth import SAMPLE_RATE
from auscult.types import Audio


def plot_answer(
    clips: Sequence[Audio], question: str, thought: str, answer: str, path: Path, *, title: str = ""
) -> None:
    """One column per clip: waveform above, log-mel below; the words under both. Raises `ValueError`
    with the command to run where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError("pictures need the extra 'plot': pip install 'auscult[plot]'") from error
    words = [("Question", question), ("Thought", thought or "(none)"), ("Answer", answer)]
    lines = [
        line
        for name, text in words
        for line in textwrap.wrap(f"{name}: {text}", 110) or [f"{name}:"]
    ]
    text_height = 0.26 * (len(lines) + 1)
    figure = Figure(figsize=(max(9.0, 4.5 * len(clips)), 4.6 + text_height), layout="constrained")
    grid = figure.add_gridspec(3, len(clips), height_ratios=(1.2, 3.2, text_height))
    for column, clip in enumerate(clips):
        wave = figure.add_subplot(grid[0, column])
        t = np.arange(len(clip)) / SAMPLE_RATE
        wave.plot(t, clip, linewidth=0.5, color="#27507a")
        wave.set(xlim=(0, len(clip) / SAMPLE_RATE), ylabel="amplitude", xticklabels=[])
        wave.set_title(title if len(clips) == 1 else f"clip {column + 1}", fontsize=10)
        mel = figure.add_subplot(grid[1, column])
        features = log_mel(clip).numpy()
        span = (0, features.shape[1] * HOP / SAMPLE_RATE, 0, features.shape[0])
        mel.imshow(features, origin="lower", aspect="auto", extent=span, cmap="magma")
        mel.set(xlim=(0, len(clip) / SAMPLE_RATE), xlabel="time (s)", ylabel="mel bin")
        if column:
            wave.set_ylabel("")
            mel.set_ylabel("")
    words_axis = figure.add_subplot(grid[2, :])
    words_axis.axis("off")
    words_axis.text(0.0, 1.0, "\n".join(lines), va="top", family="monospace", fontsize=9)
    figure.savefig(path, dpi=110)
