"""Spoken digits of real people (Free Spoken Digit Dataset layout: `{digit}_{speaker}_{index}.wav`),
asked in the gym's words. Nothing of it is trained on."""

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from auscult.audio.io import read_audio
from auscult.engine import Engine, Thinking
from auscult.evaluate.stats import wilson
from auscult.gym.score import normalise
from auscult.types import Estimate, Turn

QUESTION = "Which digit is spoken?"


def digit_files(folder: Path, limit: int | None = None) -> list[Path]:
    """The recordings, spread evenly over digits and speakers when limited."""
    files = [p for p in sorted(folder.glob("*.wav")) if re.fullmatch(r"\d_\w+_\d+", p.stem)]
    if not files:
        raise ValueError(
            f"{folder} holds no file named {{digit}}_{{speaker}}_{{index}}.wav; "
            "download the Free Spoken Digit Dataset and pass its folder of recordings"
        )
    # By number of the take, then in an order that mixes digits and speakers.
    files.sort(key=lambda p: (int(p.stem.rsplit("_", 1)[1]), zlib.crc32(p.stem.encode())))
    return files[:limit]


def run(engine: Engine, files: Sequence[Path], thinking: Thinking) -> dict[str, Estimate]:
    """Accuracy over all files and by speaker."""
    turns = [[Turn(role="human", text=QUESTION, clips=(read_audio(p),))] for p in files]
    replies = engine.reply(turns, thinking=thinking)
    by: dict[str, list[float]] = {}
    for path, reply in zip(files, replies, strict=True):
        digit, rest = path.stem.split("_", 1)
        speaker = rest.rsplit("_", 1)[0]
        right = float(normalise(reply.answer) == digit)
        by.setdefault("all", []).append(right)
        by.setdefault(speaker, []).append(right)
    return {name: wilson(sum(r), len(r)) for name, r in by.items()}
