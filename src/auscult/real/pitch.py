"""Median pitch of every voice recording, measured once and kept beside the manifest."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tqdm import tqdm

from auscult.audio.hear import measure
from auscult.audio.synth import SAMPLE_RATE
from auscult.real.recording import Recording, load

FILE = "pitch.jsonl"
HEARD_S = 3.0  # of each recording; its median is that of a phrase
LOW_HZ, HIGH_HZ = 60.0, 500.0
_TOGETHER = 64


def _median_hz(folder: Path, recording: Recording) -> tuple[str, float]:
    x = load(folder, recording)[: round(HEARD_S * SAMPLE_RATE)]
    hz = measure.f0_median_hz(x, low_hz=LOW_HZ, high_hz=HIGH_HZ)
    return recording.md5, 0.0 if math.isnan(hz) else round(hz, 1)


def _known(path: Path) -> dict[str, float]:
    """What was measured before; a line that a kill cut off is measured again."""
    found: dict[str, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            md5, hz = json.loads(line)
        except ValueError:
            continue
        found[md5] = hz
    return found


def median_pitches(folder: Path, recordings: Sequence[Recording]) -> Mapping[str, float]:
    """Key -> median pitch in hertz of the first 3 s, 0 where nothing is voiced.

    What is missing is measured by two processes, with a progress bar; a second call reads it.
    """
    path = folder / FILE
    known = _known(path)
    missing = [r for r in recordings if r.md5 not in known]
    if missing:
        with (
            ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool,
            path.open("a", encoding="utf-8") as out,
        ):
            measured = pool.map(partial(_median_hz, folder), missing, chunksize=_TOGETHER)
            for md5, hz in tqdm(measured, total=len(missing), desc="pitch of voices"):
                known[md5] = hz
                out.write(json.dumps([md5, hz]) + "\n")
    return {r.key: known[r.md5] for r in recordings}
