"""Recordings of one split as a store to draw from, with their sounds at one level."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from auscult.audio.corrupt import active_rms
from auscult.audio.hear import measure
from auscult.audio.synth import SAMPLE_RATE
from auscult.real.pitch import median_pitches
from auscult.real.recording import Recording, Split, default_folder, load, read_recordings
from auscult.types import Audio

LEVEL = 0.1  # active RMS of what is drawn, -20 dB
MOST_PEAK = 0.9
BELOW_PEAK_DB = 45.0
EDGE_S = 0.03  # kept around the sound, for soft beginnings

Groups = Mapping[str, Sequence[Recording]]
"""What recordings are drawn by: a class, a voice, an answer."""


def trimmed(x: Audio) -> Audio:
    """x without its mean and without what lies 45 dB under its loudest moment at both ends."""
    x = x - np.float32(x.mean(dtype=np.float64))
    level = measure.envelope_db(x, 0.02, 0.005)
    loud = np.flatnonzero(level > level.max() - BELOW_PEAK_DB) * 0.005
    return measure.cut(x, float(loud[0]) - EDGE_S, float(loud[-1]) + EDGE_S)


def levelled(x: Audio) -> Audio:
    """x at the level of all, less where its peak would pass 0.9; silence stays."""
    peak = float(np.abs(x).max(initial=0.0))
    if peak == 0:
        return x
    return x * np.float32(min(LEVEL / active_rms(x), MOST_PEAK / peak))


@lru_cache(maxsize=512)
def _sound(folder: Path, recording: Recording) -> Audio:
    return levelled(trimmed(load(folder, recording)))


@dataclass(frozen=True, eq=False)
class Bank:
    """The recordings of one split below a cache folder; pools are made once and kept.

    Example: bank("train").sound(bank("train").where(lambda r: r.digit == "5")[0]).
    """

    folder: Path
    split: Split
    recordings: tuple[Recording, ...]
    taught: frozenset[str]
    """Labels of effects that the training split has: what can be asked anywhere."""

    def where(self, wanted: Callable[[Recording], bool]) -> list[Recording]:
        """The recordings that fit, in the order of the manifest."""
        return [r for r in self.recordings if wanted(r)]

    def sound(self, recording: Recording, longest_s: float = 25.0) -> Audio:
        """Trimmed and levelled, at most `longest_s` of it; the last few hundred are remembered."""
        return _sound(self.folder, recording)[: round(longest_s * SAMPLE_RATE)]

    @cached_property
    def pitch_hz(self) -> Mapping[str, float]:
        """Median pitch of every clip of speech by its key; measured once, then kept on disk."""
        return median_pitches(self.folder, self.where(lambda r: r.kind == "speech"))


def grouped(recordings: Sequence[Recording], by: Callable[[Recording], str]) -> Groups:
    """Recordings by a name that each gives; those that give none ("") are left out."""
    found: dict[str, list[Recording]] = {}
    for recording in recordings:
        if name := by(recording):
            found.setdefault(name, []).append(recording)
    return dict(sorted(found.items()))


@lru_cache(maxsize=4)
def _bank(folder: Path, split: Split, _stamp: int) -> Bank:
    everything = read_recordings(folder)
    taught = {r.label for r in everything if r.kind == "effect" and r.split == "train" and r.label}
    return Bank(
        folder=folder,
        split=split,
        recordings=tuple(r for r in everything if r.split == split),
        taught=frozenset(taught),
    )


def bank(split: Split, folder: Path | None = None) -> Bank:
    """The bank of a split, read anew when the manifest changes.

    Raises `RealSoundError` where no real sound is there; the message says how to get it.
    """
    here = folder or default_folder()
    manifest = here / "recordings.jsonl"
    return _bank(here, split, manifest.stat().st_mtime_ns if manifest.exists() else 0)


def available(folder: Path | None = None) -> bool:
    """Is there a manifest of real sound?"""
    return ((folder or default_folder()) / "recordings.jsonl").is_file()
