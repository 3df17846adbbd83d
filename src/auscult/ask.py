"""`auscult ask`: listen to recordings, think, answer."""

import json as json_format
import sys
import time
from pathlib import Path
from typing import Annotated

import tyro

from auscult.audio.io import Damaged, pieces, read_audio
from auscult.files import is_stream
from auscult.types import Audio


def ask(
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE... QUESTION")
    ],
    /,
    *,
    options: tuple[str, ...] = (),
    think: str = "free",
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
        options: the possible answers, if the question has a closed list.
        think: none, free, or a number of tokens after which the thought is closed.
        model: nano, nano-base, or a folder with a Step-Audio-2 / R1 checkpoint.
        json: print one JSON object instead of text.
        plot: also draw waveform, spectrogram, question, thought and answer to this PNG.
        temperature: 0 is greedy.
        seed: of the sampling.
        max_tokens: bound for thought and answer together.
        threads: CPU threads; small models are fastest with one.
        damaged: what to do with a recording of which a part is missing: refuse it, read what is
            there if little is missing, or read any.
    """
    began = time.perf_counter()
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
    clips = [read_audio(file, damaged=damaged) for file in files]
    answer_question(
        clips, question, options=options, think=think, model=model, as_json=json, plot=plot,
        temperature=temperature, seed=seed, max_tokens=max_tokens, threads=threads,
        title=", ".join(Path(f).name for f in files), began=began,
    )  # fmt: skip


def answer_question(
    clips: list[Audio],
    question: str,
    *,
    options: tuple[str, ...],
    think: str,
    model: str,
    as_json: bool,
    plot: Path | None,
    temperature: float,
    seed: int,
    max_tokens: int,
    threads: int,
    title: str,
    began: float,
) -> None:
    """The work of `ask` once the files are read."""
    import torch

    from auscult.engine import Engine, Sampling, Thinking
    from auscult.gym.render import ask_text
    from auscult.model.weights import open_model
    from auscult.types import Turn

    thinking = Thinking.parse(think)
    sampling = Sampling(temperature=temperature, seed=seed, max_tokens=max_tokens)
    torch.set_num_threads(threads)
    engine = Engine(*open_model(model), rows=1, sampling=sampling, thinking=thinking)
    turn = Turn(role="human", text=ask_text(question, options), clips=pieces(clips))
    text = {"thought": "", "answer": "", "stop": ""}
    for part, piece in engine.stream([turn]):
        if not as_json:
            _print(part, piece, first=not text[part])
        text[part] += piece
    text = {name: value.strip() for name, value in text.items()}
    if as_json:
        record: dict[str, object] = {"question": question, "options": list(options), "model": model}
        record |= text
        record["seconds"] = round(time.perf_counter() - began, 2)
        print(json_format.dumps(record, ensure_ascii=False))
    if text["stop"] == "length":
        print(
            f"auscult: stopped after --max-tokens {max_tokens}; the reply is not finished",
            file=sys.stderr,
        )
    if plot is not None:
        from auscult.plot import plot_answer

        plot_answer(clips, question, text["thought"], text["answer"], plot, title=title)


def _print(part: str, piece: str, *, first: bool) -> None:
    if part == "stop":
        print()
        return
    if first:
        print("thinks:  " if part == "thought" else "\nanswers: ", end="")
    print(piece, end="", flush=True)
