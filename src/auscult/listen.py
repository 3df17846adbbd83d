"""`auscult listen`: what is in a recording, by measurement and by a model, side by side."""

import json as json_format
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import tyro

from auscult.ask import answers
from auscult.audio.io import MAX_SECONDS, Damaged, read_recording
from auscult.audio.synth import SAMPLE_RATE
from auscult.verify.claims import Finding
from auscult.verify.hear.measures import MEASURES, Measured, take
from auscult.verify.show.measured import clock
from auscult.verify.show.picture import SIGNS, save
from auscult.verify.verify import Ears, check_text
from auscult.verify.verify import listen as hear

QUESTION = "Describe what you hear."
_SHOWN = 40  # characters of a measured value


def listen(
    file: Annotated[Path, tyro.conf.Positional], /, *,
    model: str = "nano", plot: Path | None = None, json: bool = False, max_tokens: int = 200,
    damaged: Damaged = "little",
) -> None:  # fmt: skip
    """What is in a recording: what is measured in it, what a model says of it, and whether the
    sound bears that out. The measurements hold for any sound, whatever the model knows.

    Args:
        file: wav, flac, ogg or mp3; - is standard input.
        model: nano, nano-base, or a folder with a checkpoint; none to measure only.
        plot: draw the spectrogram with pitch, onsets and what the model claims to this PNG.
        json: one JSON object in place of text.
        max_tokens: bound for what the model says of each part.
        damaged: what to do with a recording of which a part is missing: refuse it, read what is
            there if little is missing, or read any.
    """
    recording = read_recording(file, damaged=damaged)
    ears = hear([recording], progress=True)
    measured = [m for m in (take(ears[0], name) for name in MEASURES) if not m.refused]
    said: list[tuple[float, str]] = []
    if model != "none" and len(recording) <= MAX_SECONDS * SAMPLE_RATE:
        said = _said(model, recording.read(0, len(recording)), max_tokens)
    findings = check_text(" ".join(text for _, text in said), ears)
    if json:
        print(json_format.dumps(_record(file, ears, measured, said, findings)))
    else:
        print(f"{file}  ({clock(ears[0].seconds)})\n")
        print("\n".join(_columns(_measured_lines(measured), _said_lines(model, said, findings))))
    if plot is not None:
        save(plot, ears, findings, title=file.name)


def _said(model: str, clip: Any, max_tokens: int) -> list[tuple[float, str]]:
    """(where it begins, what the model says) of each part that it can hear at once."""
    import torch

    from auscult.engine import Engine, Request, Sampling, Thinking
    from auscult.model.weights import open_model

    torch.set_num_threads(1)
    request = Request(
        turns=(), sampling=Sampling(max_tokens=max_tokens), thinking=Thinking.parse("none")
    )
    engine = Engine(*open_model(model), rows=1)
    found = answers(engine, [clip], QUESTION, request, shown=False)
    return [(part.start_s, part.reply.answer.strip()) for part in found]


# ---------------------------------------------------------------------------- showing


def _measured_lines(measured: Sequence[Measured]) -> list[str]:
    lines = ["measured"]
    for m in measured:
        value = f"{m.value:.2f}" if isinstance(m.value, float) else str(m.value)
        text = f"{value} {m.unit}".strip()
        lines.append(f"  {m.name:18} {text[:_SHOWN]}{'...' if len(text) > _SHOWN else ''}")
    return lines


def _said_lines(
    model: str, said: Sequence[tuple[float, str]], found: Sequence[Finding]
) -> list[str]:
    if not said:
        return []
    lines = [f"{model} says"]
    for start, text in said:
        where = f"{clock(start)}  " if len(said) > 1 else ""
        lines += _wrapped(f"{where}{text or '(nothing)'}")
    lines.append("checked" if found else "no claim in it can be checked")
    for f in found:
        lines += _wrapped(f"{SIGNS[f.verdict]} {f.says}")
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 58, initial_indent="  ", subsequent_indent="    ")


def _columns(left: Sequence[str], right: Sequence[str]) -> list[str]:
    width = max(map(len, left), default=0) + 2
    rows = max(len(left), len(right))
    padded = [*left, *[""] * (rows - len(left))], [*right, *[""] * (rows - len(right))]
    return [f"{a:{width}}{b}".rstrip() for a, b in zip(*padded, strict=True)]


def _record(
    file: Path, ears: Ears, measured: Sequence[Measured], said: Sequence[tuple[float, str]],
    findings: Sequence[Finding],
) -> dict[str, object]:  # fmt: skip
    return {
        "file": str(file), "seconds": round(ears[0].seconds, 3),
        "measured": {m.name: m.value for m in measured},
        "said": [{"start_s": start, "text": text} for start, text in said],
        "findings": [asdict(f) for f in findings],
    }  # fmt: skip
