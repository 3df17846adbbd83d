"""`auscult ask`: listen to recordings, think, answer."""

import json as json_format
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from auscult.audio.io import Damaged, chunks, pieces, read_audio
from auscult.audio.synth import SAMPLE_RATE
from auscult.files import is_stream
from auscult.types import Audio, Reply

if TYPE_CHECKING:
    from auscult.engine import Engine

SAMPLED = 0.8
"""Temperature of several samples where none is given: greedy ones would all be the same."""

ROOM = 400
"""Tokens of the context that a question and its reply need beside the sound."""

UNSURE = 0.94
"""A confidence below which nano is more often wrong than right on real sound: docs/nano.md."""

_TOKEN = round(0.08 * SAMPLE_RATE)  # samples of an audio token


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One answer. `start_s`, `end_s`: of the part of the recording that was heard; `confidence`:
    see there; `says`: what the verifier finds in the thought, where several were compared.

    Example: Found(reply=..., start_s=0.0, end_s=2.1, confidence=0.93, says=()).
    """

    reply: Reply
    start_s: float
    end_s: float
    confidence: float
    says: tuple[str, ...] = ()


def ask(
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE... QUESTION")
    ],
    /,
    *,
    options: tuple[str, ...] = (),
    think: str = "free",
    samples: int = 1,
    model: str = "nano",
    json: bool = False,
    plot: Path | None = None,
    temperature: float = 0.0,
    seed: int = 0,
    max_tokens: int = 512,
    threads: int = 1,
    damaged: Damaged = "little",
) -> None:
    """Ask QUESTION about one or more recordings; thought and answer are printed as they come.

    Args:
        inputs: wav, flac, ogg or mp3 files (- is standard input), then the question as the last
            argument.
        options: the possible answers, if the question has a closed list; the answer is one of them.
        think: none, free, or a number of tokens after which the thought is closed.
        samples: so many thoughts; shown is the one that the sound bears out best.
        model: nano, nano-base, or a folder with a Step-Audio-2 / R1 checkpoint.
        json: print one JSON object instead of text, one for each part of a long recording.
        plot: also draw waveform, spectrogram, question, thought and answer to this PNG.
        temperature: 0 is greedy; several samples are drawn at 0.8 then.
        seed: of the sampling.
        max_tokens: bound for thought and answer together.
        threads: CPU threads; small models are fastest with one.
        damaged: refuse a recording of which a part is missing, or read it if little is, or any.
    """
    began = time.perf_counter()
    files, question = _inputs(inputs)
    clips = [read_audio(file, damaged=damaged) for file in files]
    request = _request(options, think, samples, temperature, seed, max_tokens)
    import torch

    from auscult.engine import Engine
    from auscult.gym.render import ask_text
    from auscult.model.weights import open_model

    torch.set_num_threads(threads)
    engine = Engine(*open_model(model), rows=samples)
    asked: dict[str, object] = {"question": question, "options": [*options], "model": model}
    for found in answers(engine, clips, ask_text(question, options), request, shown=not json):
        if json:
            record = asked | _record(found, time.perf_counter() - began)
            print(json_format.dumps(record, ensure_ascii=False))
        _note(found, max_tokens)
        if plot is not None:
            _draw(files, clips, question, found, plot)


def _request(
    options: tuple[str, ...], think: str, samples: int, temperature: float, seed: int, most: int
) -> Any:
    """The request, still without its sound."""
    from auscult.engine import Form, Request, Sampling, Thinking

    if samples < 1:
        raise ValueError(f"--samples must be 1 or more; got {samples}")
    warm = temperature if temperature or samples == 1 else SAMPLED
    return Request(
        turns=(), n=samples, thinking=Thinking.parse(think),
        sampling=Sampling(temperature=warm, seed=seed, max_tokens=most),
        form=Form(options=options) if options else None,
    )  # fmt: skip


def _draw(
    files: Sequence[str], clips: Sequence[Audio], question: str, found: Found, plot: Path
) -> None:
    from auscult.plot import plot_answer

    heard = [_part(clip, found) for clip in clips]
    title = ", ".join(Path(f).name for f in files)
    thought, answer = found.reply.thought, found.reply.answer
    plot_answer(heard, question, thought, answer, _numbered(plot, found), title=title)


def _inputs(inputs: Sequence[str]) -> tuple[list[str], str]:
    """Recordings and question. Raises `ValueError` where one of them is missing."""
    if len(inputs) < 2:
        raise ValueError(
            'expected one or more files and then the question: auscult ask clip.wav "How many?"'
        )
    *files, question = inputs
    if len(question) < 200 and (Path(question).is_file() or is_stream(question)):
        raise ValueError(
            f"the last argument is the question, but {question!r} is a file; "
            "put the question in quotes after the files"
        )
    return files, question


# ---------------------------------------------------------------------------- answering


def answers(
    engine: "Engine", clips: Sequence[Audio], text: str, request: Any, *, shown: bool
) -> Iterator[Found]:
    """One answer, or one for each part of a recording that is longer than the model can read at
    once. `shown`: print what comes as it comes."""
    for start, end, part in parts(engine, clips):
        if shown and end - start < max(map(len, clips)):
            print(f"--- {_clock(start)} to {_clock(end)}")
        found = _one(engine, part, text, request, shown=shown)
        yield replace(found, start_s=start / SAMPLE_RATE, end_s=end / SAMPLE_RATE)


def parts(engine: "Engine", clips: Sequence[Audio]) -> Iterator[tuple[int, int, list[Audio]]]:
    """(first sample, end, what is heard at once): everything, or stretches of a long recording."""
    whole = max(map(len, clips))
    most = max(1, engine.listener.limit - ROOM) * _TOKEN
    if sum(map(len, clips)) <= most or len(clips) > 1:
        yield 0, whole, list(clips)
        return
    cut = chunks(clips[0], most / SAMPLE_RATE)
    for number, part in enumerate(cut, 1):
        end = sum(map(len, cut[:number]))
        yield end - len(part), end, [part]


def _one(engine: "Engine", clips: list[Audio], text: str, request: Any, *, shown: bool) -> Found:
    from auscult.engine.request import Pieces
    from auscult.types import Turn

    asked = replace(request, turns=(Turn(role="human", text=text, clips=pieces(clips)),))
    ticket = engine.submit(asked, stream=asked.n == 1)
    if asked.n == 1:
        written, begun = Pieces(engine.tags), set[str]()
        for event in ticket.events():
            for part, piece in written.feed(event):
                if shown:
                    _print(part, piece, first=part not in begun)
                begun.add(part)
        reply, says = ticket.result().replies[0], ()
    else:
        reply, says = _best(ticket.result().replies, clips, text, asked.form)
        if shown:
            print(f"thinks:  {reply.thought}\nanswers: {reply.answer}")
            print("\n".join(f"  {line}" for line in says))
    return Found(reply=reply, start_s=0, end_s=0, confidence=confidence(reply), says=says)


def _best(
    replies: Sequence[Reply], clips: Sequence[Audio], question: str, form: Any
) -> tuple[Reply, tuple[str, ...]]:
    """The reply that the sound bears out best, with a line for each of its claims."""
    from auscult.verify.choice import best
    from auscult.verify.show.picture import SIGNS
    from auscult.verify.verify import listen

    options = form.options if form is not None else ()
    at, _, found = best(replies, listen(clips), question=question, options=options)
    thought = replies[at].thought
    lines = [
        f"{SIGNS[f.verdict]} {thought[f.claim.start : f.claim.end]!r}  {f.says}" for f in found
    ]
    return replies[at], tuple(lines)


def confidence(reply: Reply) -> float:
    """Geometric mean of the probabilities of the words that it chose itself, thought and answer;
    nan without an answer.

    A thought that has concluded makes its answer certain, so the answer alone says little: on
    held-out questions the whole tells right from wrong better (docs/nano.md).
    """
    own = [
        value for value, forced in zip(reply.logprobs, reply.forced, strict=True) if not forced
    ]  # fmt: skip
    return math.exp(sum(own) / len(own)) if own and reply.answer else math.nan


# ---------------------------------------------------------------------------- showing


def _clock(samples: int) -> str:
    minutes, seconds = divmod(samples // SAMPLE_RATE, 60)
    return f"{minutes}:{seconds:02}"


def _part(clip: Audio, found: Found) -> Audio:
    return clip[round(found.start_s * SAMPLE_RATE) : round(found.end_s * SAMPLE_RATE)]


def _numbered(plot: Path, found: Found) -> Path:
    """The picture of a later part has its start in its name."""
    return plot.with_stem(f"{plot.stem}-{found.start_s:.0f}s") if found.start_s else plot


def _record(found: Found, seconds: float) -> dict[str, object]:
    sure = found.confidence
    return {
        "thought": found.reply.thought.strip(), "answer": found.reply.answer.strip(),
        "stop": found.reply.stop, "confidence": None if math.isnan(sure) else round(sure, 3),
        "sure": found.confidence >= UNSURE,
        "heard_s": [round(found.start_s, 2), round(found.end_s, 2)], "findings": list(found.says),
        "seconds": round(seconds, 2),
    }  # fmt: skip


def _note(found: Found, max_tokens: int) -> None:
    """Why a reply is not whole, on standard error."""
    said = {
        "length": f"stopped after --max-tokens {max_tokens}; the reply is not finished",
        "loop": "stopped: the model said the same again and again; take no notice of the reply",
    }.get(found.reply.stop)
    if said:
        print(f"auscult: {said}", file=sys.stderr)
    elif found.confidence < UNSURE:
        print(f"auscult: I am not sure (confidence {found.confidence:.2f})", file=sys.stderr)


def _print(part: str, piece: str, *, first: bool) -> None:
    if part == "stop":
        print()
        return
    if first:
        print("thinks:  " if part == "thought" else "\nanswers: ", end="")
    print(piece, end="", flush=True)
