"""`auscult check | measure | traces`."""

import json as json_format
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from auscult.audio.io import MAX_SECONDS, AudioError, Damaged, Recording, pieces, read_recording
from auscult.audio.synth import SAMPLE_RATE
from auscult.files import is_stream, read_text
from auscult.types import Audio, Verdict
from auscult.verify import store
from auscult.verify.claims import CONTRADICTED, SUPPORTED, Claim, Finding
from auscult.verify.grounded import grounded, grounding
from auscult.verify.hear.measures import MEASURES, take
from auscult.verify.read.extract import unread
from auscult.verify.scores import Scores, open_share, score
from auscult.verify.show.measured import measured_json, measured_text
from auscult.verify.show.page import page
from auscult.verify.show.picture import SIGNS, save
from auscult.verify.verify import Ears, listen

_ANSI = {SUPPORTED: "\033[32m", CONTRADICTED: "\033[31m"}
_OPEN_ANSI = "\033[33m"


def check(
    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE... [THOUGHT.txt]")
    ],
    /,
    *,
    text: str = "",
    model: str = "",
    question: str = "",
    options: tuple[str, ...] = (),
    answer: str = "",
    others: tuple[Path, ...] = (),
    plot: Path | None = None,
    html: Path | None = None,
    out: Path | None = None,
    json: bool = False,
    extractor: tuple[str, str] | None = None,
    damaged: Damaged = "little",
) -> None:
    """Check every acoustic claim of a thought against recordings.

    Args:
        inputs: recordings, then a text file with the thought; or one .jsonl file of traces.
        text: the thought itself, in place of a file.
        model: let this model think about --question, and check what it thinks.
        question: what was asked; claims that it already makes earn nothing.
        options: the possible answers, if the question has a closed list.
        answer: the answer given; the thought is checked against it.
        others: other recordings, for information and grounding lift.
        plot: draw spectrogram, pitch, onsets and claims to this PNG.
        html: write one self-contained page with the sound playable.
        out: folder for Parquet tables of traces, claims and measurements.
        json: print JSON instead of text.
        extractor: URL and model of an OpenAI-compatible endpoint that extracts the claims.
        damaged: refuse a recording of which a part is missing, or read it if little is, or any.
    """
    if _are_traces(inputs, text or model):
        rest = (text, model, question, options, others, plot, html, json, extractor)
        return check_traces(Path(inputs[0]), out, damaged, *rest)
    files, thought = _thought(inputs, text, model)
    clips = [read_recording(file, damaged=damaged) for file in files]
    if model:
        thought, answer = _think(model, [_in_memory(clip) for clip in clips], question, options)
    ears = listen(clips, progress=True)
    scores, findings = score(
        thought, ears, answer=answer, options=options, question=question,
        others=[listen([read_recording(file, damaged=damaged)], progress=True) for file in others],
        claims=_extracted(thought, extractor),
    )  # fmt: skip
    verdict = grounded(scores)
    (_print_json if json else _print)(thought, answer, findings, scores, verdict)
    title = ", ".join(Path(f).name for f in files)
    if plot is not None:
        save(plot, ears, findings, title=title)
    if html is not None:
        title += ": the thought, checked"
        _write_page(html, page(thought, ears, findings, scores, verdict, title, question, answer))
    if out is not None:
        trace = store.Trace(key="1", clips=tuple(files), thought=thought, answer=answer)
        _write(out, [(trace, ears, scores, findings)])


def _are_traces(inputs: Sequence[str], thought: str) -> bool:
    """A pipe alone can only be a list of traces: a recording would come with a thought."""
    alone = inputs[0] if len(inputs) == 1 else ""
    return alone.lower().endswith(".jsonl") or (not thought and alone != "" and is_stream(alone))


def _in_memory(clip: Recording) -> Audio:
    if len(clip) > MAX_SECONDS * SAMPLE_RATE:
        raise ValueError(
            f"a recording of {len(clip) / SAMPLE_RATE:.0f} s is too long for a model to think "
            f"about; give at most {MAX_SECONDS:.0f} s, or the thought itself"
        )
    return clip.read(0, len(clip))


def _extracted(thought: str, endpoint: tuple[str, str] | None) -> list[Claim] | None:
    """The claims by an endpoint; None leaves them to the grammar."""
    if endpoint is None:
        return None
    from auscult.verify.read.endpoint import extract_by_endpoint

    return extract_by_endpoint(thought, url=endpoint[0], model=endpoint[1])


def _write_page(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _thought(inputs: Sequence[str], text: str, model: str) -> tuple[list[str], str]:
    """(recordings, thought) from the arguments."""
    if not inputs:
        raise ValueError("expected recordings and a text file: auscult check clip.wav thought.txt")
    if text or model:
        return list(inputs), text
    *files, last = inputs
    if not files or not (last.endswith((".txt", ".md")) or is_stream(last)):
        raise ValueError(
            f"expected a text file with the thought as the last argument, got {last!r}; "
            "or give the thought with --text, or a model with --model"
        )
    return files, read_text(last, "the thought as a text file")


def _think(
    model: str, clips: list[Audio], question: str, options: tuple[str, ...]
) -> tuple[str, str]:
    """Thought and answer of a model."""
    from auscult.engine import Engine, Sampling, Thinking
    from auscult.gym.render import CAPTION_PROMPTS, ask_text
    from auscult.model.weights import open_model
    from auscult.types import Turn

    engine = Engine(
        *open_model(model), rows=1, sampling=Sampling(temperature=0.0, max_tokens=512),
        thinking=Thinking.parse("free"),
    )  # fmt: skip
    asked = ask_text(question or CAPTION_PROMPTS[0], options)
    reply = engine.reply([[Turn(role="human", text=asked, clips=pieces(clips))]])[0]
    return reply.thought, reply.answer


def _print(
    thought: str, answer: str, findings: Sequence[Finding], scores: Scores, verdict: Verdict
) -> None:
    colour = sys.stdout.isatty()
    print(
        _inline(
            thought.strip(),
            findings,
            thought.index(thought.strip()) if thought.strip() else 0,
            colour,
        )
    )
    if answer:
        print(f"\nanswer: {answer}")
    print()
    for f in findings:
        mark = SIGNS[f.verdict]
        line = f"  {mark} {thought[f.claim.start : f.claim.end]!r:40}  {f.says}"
        print(f"{_ANSI.get(f.verdict, _OPEN_ANSI)}{line}\033[0m" if colour else line)
    if not findings:
        print("  no acoustic claim found")
    for statement in unread(thought, [f.claim for f in findings]):
        print(f"  . {statement[:76]!r}  not read: speaks of sound, and no claim was understood")
    print()
    for name, value in asdict(scores).items():
        if value != "" and value == value:
            print(
                f"  {name.replace('_', ' '):18} {value:.2f}"
                if isinstance(value, float)
                else f"  {name.replace('_', ' '):18} {value}"
            )
    print(f"  {'open':18} {open_share(findings):.2f}")
    print(f"  {'grounding':18} {grounding(scores):.2f}")
    print(f"\n{'grounded' if verdict.keep else 'NOT grounded'}: {verdict.why}")


def _inline(text: str, findings: Sequence[Finding], shift: int, colour: bool) -> str:
    """The thought with every claim in brackets that carry its sign."""
    out, at = "", 0
    for f in sorted(findings, key=lambda f: (f.claim.start, -f.claim.end)):
        start, end = f.claim.start - shift, f.claim.end - shift
        if start < at:
            continue
        piece = f"[{SIGNS[f.verdict]} {text[start:end]}]"
        piece = f"{_ANSI.get(f.verdict, _OPEN_ANSI)}{piece}\033[0m" if colour else piece
        out, at = out + text[at:start] + piece, end
    return out + text[at:]


def _print_json(
    thought: str, answer: str, findings: Sequence[Finding], scores: Scores, verdict: Verdict
) -> None:
    record = {
        "thought": thought,
        "answer": answer,
        "grounded": verdict.keep,
        "why": verdict.why,
        "grounding": grounding(scores),
        "scores": {k: None if v != v else v for k, v in asdict(scores).items()},
        "open": open_share(findings),
        "findings": [asdict(f) for f in findings],
        "unread": unread(thought, [f.claim for f in findings]),
    }
    print(json_format.dumps(record, ensure_ascii=False))


MOST_OTHERS = 8
"""Clips of other traces that a trace of a file is compared with."""


class TraceWarning(UserWarning):
    """A trace that is passed over; the message names its list and line and says why."""


def _heard(
    path: Path, traces: Sequence[store.Trace], damaged: Damaged
) -> list[tuple[store.Trace, Ears]]:
    """The traces whose recordings can be heard; the others are named in warnings."""
    heard: list[tuple[store.Trace, Ears]] = []
    for trace in tqdm(traces, desc="listening"):
        try:
            clips = [read_recording(clip, damaged=damaged) for clip in trace.clips]
        except AudioError as error:
            said = f"{path}, line {trace.line}, is left out: {error}"
            warnings.warn(said, TraceWarning, stacklevel=2)
            continue
        heard.append((trace, listen(clips)))
    return heard


def check_traces(
    path: Path, out: Path | None, damaged: Damaged = "little", *not_for_files: object
) -> None:
    """Check a JSONL of traces; clips of the same group serve each other for lift. Raises
    `ValueError` when options are given that only make sense for one thought, and where no trace
    has recordings that can be heard."""
    if any(not_for_files):
        raise ValueError(
            "a .jsonl of traces takes --out and --damaged only; the rest stands in its lines"
        )
    listed = store.read_traces(path)
    if not listed:
        raise ValueError(f"{path} holds no traces; expected one JSON object per line")
    heard = _heard(path, listed, damaged)
    if not heard:
        raise ValueError(
            f"{path}: none of its {len(listed)} traces has recordings that can be heard"
        )
    traces, ears = [trace for trace, _ in heard], [ear for _, ear in heard]
    done: list[tuple[store.Trace, Ears, Scores, list[Finding]]] = []
    for i, trace in enumerate(tqdm(traces, desc="checking")):
        rest = [j for j, t in enumerate(traces) if j != i and t.group == trace.group]
        # The same few neighbours for every run: results must not depend on chance.
        near = sorted(rest, key=lambda j: (j - i) % len(traces))[:MOST_OTHERS]
        scores, findings = score(
            trace.thought, ears[i], features=trace.features, answer=trace.answer,
            options=trace.options, question=trace.question, others=[ears[j] for j in near],
        )  # fmt: skip
        done.append((trace, ears[i], scores, findings))
    kept = sum(grounded(s).keep for _, _, s, _ in done)
    claims = [f for _, _, _, findings in done for f in findings]
    print(f"{len(traces)} traces, {len(claims)} claims, {kept} traces grounded")
    for verdict in SIGNS:
        print(f"  {verdict:13} {sum(f.verdict == verdict for f in claims)}")
    if left_out := len(listed) - len(traces):
        print(f"{left_out} of {len(listed)} traces were left out: see the warnings above")
    if out is not None:
        _write(out, done)


def _write(out: Path, done: Sequence[tuple[store.Trace, Ears, Scores, Sequence[Finding]]]) -> None:
    rows: dict[str, list[store.Row]] = {"traces": [], "claims": [], "measurements": []}
    for trace, ears, scores, findings in tqdm(done, desc="measuring"):
        verdict = grounded(scores)
        row = store.trace_row(trace, scores, grounding(scores), verdict.keep, verdict.why)
        rows["traces"].append(row)
        rows["claims"] += store.claim_rows(trace, findings)
        for i, ear in enumerate(ears, 1):
            measured = [take(ear, name) for name in MEASURES]
            rows["measurements"] += store.measurement_rows(trace, i, measured)
    for file in store.write(out, rows):
        print(f"wrote {file}")


def measure(
    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE...")],
    /,
    *,
    span: tuple[float, float] | None = None,
    json: bool = False,
    damaged: Damaged = "little",
) -> None:
    """Print everything that is measured in a recording, with unit and reliability.

    One of over a minute is heard in windows, and the values are those of all of them.

    Args:
        files: wav, flac, ogg or mp3; - is standard input.
        span: only this stretch, start and end in seconds.
        json: one JSON object per file.
        damaged: what to do with a recording of which a part is missing: refuse it, read what is
            there if little is missing, or read any.
    """
    if not files:
        raise ValueError("expected one or more recordings: auscult measure clip.wav")
    for file in files:
        ear = listen([read_recording(file, damaged=damaged)], progress=True)[0]
        ear = ear.within(span) if span is not None else ear
        name = str(file)
        print(json_format.dumps(measured_json(name, ear)) if json else measured_text(name, ear))


def traces(
    sql: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="QUERY")],
    /,
    *,
    data: Path = Path("traces"),
    json: bool = False,
) -> None:
    """Run SQL over checked traces: tables traces, claims and measurements.

    Args:
        sql: for example "SELECT attribute, verdict, count(*) FROM claims GROUP BY ALL".
        data: the folder that `auscult check --out` wrote.
        json: one JSON object per row.
    """
    names, rows = store.query(data, sql)
    if json:
        for row in rows:
            print(json_format.dumps(dict(zip(names, row, strict=True)), default=str))
        return
    shown = [
        [("" if v is None else f"{v:.3f}" if isinstance(v, float) else str(v))[:60] for v in row]
        for row in rows
    ]
    widths = [max([len(n), *(len(r[i]) for r in shown)]) for i, n in enumerate(names)]
    for row in [names, ["-" * w for w in widths], *shown]:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
