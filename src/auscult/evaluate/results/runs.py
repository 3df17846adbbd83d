"""Logs to records: what a page, a comparison or a selector reads of an evaluation."""

import math
import shlex
import warnings
import zipfile
import zlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from inspect_ai.log import (
    EvalLog,
    read_eval_log,
    read_eval_log_sample_summaries,
    read_eval_log_samples,
)

from auscult.bench.question import Answer, Mark, Question
from auscult.bench.suites import suite_named
from auscult.evaluate.protocol import Protocol
from auscult.files import BadFile, known
from auscult.stats.intervals import wilson
from auscult.stats.paired import clustered_mean
from auscult.types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One question's replies and marks, as `scoring.marks` kept them.

    Example: Row(key="mmsu/12", cluster="mmsu/12", task="gender", groups={"category": "perception"},
    replies=({"text": "B", "official": 1.0, "strict": 1.0, "parsed": True, ...},), ...).
    """

    key: str
    cluster: str
    task: str
    groups: Mapping[str, str]
    reference: tuple[str, ...]
    options: tuple[str, ...]
    question: str
    given: tuple[str, ...]
    replies: tuple[Mapping[str, Any], ...]
    input_tokens: int
    output_tokens: int
    seconds: float
    extra: Mapping[str, Any]

    def mean(self, name: str) -> float:
        """Mean over the replies of a number; nan where none has it."""
        values = [float(r[name]) for r in self.replies if not math.isnan(float(r[name]))]
        return sum(values) / len(values) if values else math.nan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One log: a model under one protocol.

    model: with "@" and the weights, or the questions, where several states of one model, or of one
    benchmark, stand side by side (`distinct`); state: what was added. weights: fingerprint of our
    own models, else "".
    status: "success", or what inspect says of an unfinished one; failed: questions that ended in an
    error. seconds: of the whole run. command: what repeats it.
    """

    file: Path
    model: str
    protocol: Protocol
    questions: str
    created: str
    status: str
    rows: tuple[Row, ...]
    total: int
    failed: int
    seconds: float
    packages: Mapping[str, str]
    revision: str
    weights: str = ""
    state: str = ""

    @property
    def command(self) -> str:
        """The command that makes this run again."""
        given = self.protocol.arguments()
        flags = [_flag(k.replace("_", "-"), v) for k, v in given.items() if k != "suite"]
        model = shlex.quote(self.model.removesuffix(self.state).removeprefix("auscult/"))
        return " ".join(["auscult eval", self.protocol.suite, f"--model {model}", *flags])


def _flag(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {shlex.quote(str(value))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a run is worth. official: as the published script counts; strict: what cannot be read is
    wrong; both with clustered 95 % intervals. n: questions that count in `strict`; left_out: those
    that the official script leaves out; unparsed: share of replies.
    """

    official: Estimate
    strict: Estimate
    n: int
    left_out: int
    unparsed: float


class LogWarning(UserWarning):
    """A log that is passed over; the message names it and says why."""


_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError)
"""What libraries raise over a file that was cut: none of it names the file. The decompressor's own
`ZstdError` comes from a library of inspect's, and is told by its name."""


@contextmanager
def _naming(file: Path) -> Generator[None]:
    try:
        yield
    except Exception as error:
        if not isinstance(error, _BROKEN) and type(error).__name__ != "ZstdError":
            raise
        with suppress(OSError), file.open("rb") as log:
            kind = known(log.read(64))
            if kind is not None and not kind.what.startswith("a ZIP"):  # a log is a ZIP archive
                raise BadFile(f"{file} is {kind.what}; expected a log: {kind.remedy}") from error
        raise BadFile(
            f"{file} is cut or damaged ({type(error).__name__}: {str(error)[:200]}); copy it "
            "again, or remove it and run the same `auscult eval` again: what other logs hold is "
            "not asked twice"
        ) from error


def header_of(file: Path) -> EvalLog:
    """A log without its samples. Raises `BadFile` for one that is cut or damaged."""
    with _naming(file):
        return read_eval_log(str(file), header_only=True)


def read(file: Path) -> Run:
    """A log as a record. Raises `ValueError` for one that `auscult eval` did not make, and one that
    is cut or damaged."""
    log = header_of(file)
    about = log.eval.metadata or {}
    if "protocol" not in about:
        raise ValueError(f"{file} is not a log of `auscult eval`: it names no protocol")
    given: dict[str, Any] = about["protocol"]
    with _naming(file):
        rows, failed = _rows(log, file)
    return Run(
        file=file,
        model=log.eval.model,
        protocol=Protocol(**given),
        questions=str(about["questions"]),
        created=log.eval.created,
        status=log.status,
        rows=tuple(rows),
        total=log.eval.dataset.samples or len(rows) + failed,
        failed=failed,
        seconds=_seconds(log),
        packages=dict(log.eval.packages),
        revision=log.eval.revision.commit if log.eval.revision else "",
        weights=str((log.eval.model_args or {}).get("weights", "")),
    )


def _seconds(log: EvalLog) -> float:
    """From the start to the end; nan where the run has not ended."""
    from datetime import datetime

    begin, end = log.stats.started_at, log.stats.completed_at
    if not begin or not end:
        return math.nan
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


_UNREAD = {"events", "store", "attachments", "messages", "output", "timelines"}
"""Parts of a sample that no record needs; they are most of a log."""


def _rows(log: EvalLog, file: Path) -> tuple[list[Row], int]:
    """The finished questions in the order of the dataset, and the number that failed."""
    order = {str(key): i for i, key in enumerate(log.eval.dataset.sample_ids or [])}
    rows, failed = _reduced(log, file) if log.reductions else _streamed(file)
    return sorted(rows, key=lambda row: order.get(row.key, 0)), failed


def _reduced(log: EvalLog, file: Path) -> tuple[list[Row], int]:
    """From the scores that a finished log repeats at its end: a fiftieth of the time that reading
    all samples takes. The words of a long question are cut short there (1,024 characters)."""
    assert log.reductions
    (found,) = log.reductions
    scores = {str(score.sample_id): score.metadata or {} for score in found.samples}
    heads = {str(head.id): head for head in read_eval_log_sample_summaries(str(file))}
    good = [key for key, head in heads.items() if not head.error and key in scores]
    return [_row(key, str(heads[key].input), scores[key]) for key in good], len(heads) - len(good)


def _streamed(file: Path) -> tuple[list[Row], int]:
    """From the samples one by one: a run that broke off has nothing else."""
    rows: list[Row] = []
    failed = 0
    for sample in read_eval_log_samples(
        str(file), all_samples_required=False, exclude_fields=_UNREAD
    ):
        if sample.error is not None or not sample.scores:
            failed += 1
        else:
            (found,) = sample.scores.values()
            rows.append(_row(str(sample.id), str(sample.input), found.metadata or {}))
    return rows, failed


def _row(key: str, question: str, kept: Mapping[str, Any]) -> Row:
    return Row(
        key=key,
        cluster=kept["cluster"],
        task=kept["task"],
        groups=kept["groups"],
        reference=tuple(kept["reference"]),
        options=tuple(kept["options"]),
        question=question,
        given=tuple(kept["given"]),
        replies=tuple(kept["replies"]),
        input_tokens=kept["input_tokens"],
        output_tokens=kept["output_tokens"],
        seconds=kept["seconds"],
        extra=kept["extra"],
    )


def logs_in(place: Path) -> list[Path]:
    """A log, or all logs below a folder. Raises `ValueError` where there is none."""
    if place.is_file():
        return [place]
    found = sorted(place.rglob("*.eval"))
    if not found:
        raise ValueError(f"{place} holds no .eval log; give a log, or the --out of `auscult eval`")
    return found


def _readable(files: Sequence[Path]) -> list[Run]:
    """The runs of all logs but broken ones, which are named. Raises `BadFile` where all are."""
    found: list[Run] = []
    for file in files:
        try:
            found.append(read(file))
        except BadFile as error:
            if len(files) == 1:
                raise
            warnings.warn(f"{error}; it is left out", LogWarning, stacklevel=2)
    if not found:
        raise BadFile(f"all {len(files)} logs are cut or damaged, the first of them {files[0]}")
    return found


def runs_in(place: Path) -> list[Run]:
    """The newest run of every model, state of its weights, set of questions and protocol below a
    folder; whole ones before broken ones."""
    found: dict[tuple[str, str, str, Protocol], Run] = {}
    for run in _readable(logs_in(place)):
        key = (run.model, run.weights, run.questions, run.protocol)
        old = found.get(key)
        if old is None or (len(run.rows), run.created) >= (len(old.rows), old.created):
            found[key] = run
    return distinct(list(found.values()))


def distinct(runs: Sequence[Run]) -> list[Run]:
    """Runs whose models' names tell apart what differs: "auscult/nano@0c73a5285130" where a model
    is there in two states, "auscult/nano@questions 8d1f" where one protocol was put to two versions
    of the questions."""
    states: dict[str, set[str]] = {}
    versions: dict[tuple[str, str, Protocol], set[str]] = {}
    for run in runs:
        states.setdefault(run.model, set()).add(run.weights)
        key = (run.model, run.weights, run.protocol)
        versions.setdefault(key, set()).add(run.questions)
    # Other conditions of the same questions keep their name in common with them.
    torn = {(m, w, p.suite, p.data, p.limit) for (m, w, p), all_ in versions.items()
            if len(all_) > 1}  # fmt: skip

    def told(run: Run) -> str:
        p = run.protocol
        parts = [run.weights or "no fingerprint"] if len(states[run.model]) > 1 else []
        if (run.model, run.weights, p.suite, p.data, p.limit) in torn:
            parts.append(f"questions {run.questions}")
        return "@" + ", ".join(parts) if parts else ""

    return [replace(run, model=run.model + told(run), state=told(run)) for run in runs]


@lru_cache(maxsize=256)
def official_values(run: Run) -> tuple[float, ...]:
    """The official script's value of each question, the mean of its replies; nan = left out."""
    restate = suite_named(run.protocol.suite).restate
    if restate is None or any(len(row.replies) > 1 for row in run.rows):
        return tuple(row.mean("official") for row in run.rows)
    return tuple(restate([_stated(row) for row in run.rows]))


@lru_cache(maxsize=256)
def strict_values(run: Run) -> tuple[float, ...]:
    """The strict value of each question, the mean of its replies."""
    return tuple(row.mean("strict") for row in run.rows)


def _stated(row: Row) -> tuple[Question, Answer, Mark]:
    reply = row.replies[0]
    names = ("official", "strict", "parsed", "answer", "weight", "parts", "why")
    question = Question(
        key=row.key, answers=row.reference, options=row.options, task=row.task, groups=row.groups,
        extra=row.extra,
    )  # fmt: skip
    return (
        question,
        Answer(text=reply["text"], thought=reply["thought"]),
        Mark(**{name: reply[name] for name in names}),
    )


def figures(run: Run, rows: Sequence[int] | None = None) -> Figures:
    """The numbers of a run, or of some of its rows. Raises `ValueError` for none.

    Official means are weighted as the script does it (words of the reference for a word error
    rate); in the strict ones every question counts the same: for error rates the mean over
    utterances."""
    if not run.rows:
        raise ValueError(f"{run.file} holds no finished question")
    return _figures(run, None if rows is None else tuple(rows))


@lru_cache(maxsize=4096)
def _figures(run: Run, rows: tuple[int, ...] | None) -> Figures:
    chosen = range(len(run.rows)) if rows is None else rows
    official, strict = official_values(run), strict_values(run)
    counted = [i for i in chosen if not math.isnan(official[i])]
    kept = [i for i in chosen if not math.isnan(strict[i])]
    unread = [not reply["parsed"] for i in chosen for reply in run.rows[i].replies]
    weights = [run.rows[i].mean("weight") for i in counted]
    return Figures(
        official=_estimate(run, counted, official, weights),
        strict=_estimate(run, kept, strict, [1.0] * len(kept)),
        n=len(kept),
        left_out=len(chosen) - len(counted),
        unparsed=sum(unread) / len(unread),
    )


def _estimate(
    run: Run, kept: Sequence[int], values: Sequence[float], weights: Sequence[float]
) -> Estimate:
    return interval([values[i] for i in kept], [run.rows[i].cluster for i in kept], weights)


def interval(
    values: Sequence[float], clusters: Sequence[str], weights: Sequence[float]
) -> Estimate:
    """Mean of scores with its 95 % interval: Wilson's where all are right or wrong and independent
    (a proportion's interval must not vanish where all is right), else clustered; scores between 0
    and 1 have bounds there. All nan for no score."""
    if not values:
        return Estimate(mean=math.nan, low=math.nan, high=math.nan, n=0)
    if len({*clusters}) == len(values) and {*weights} == {1.0} and {*values} <= {0.0, 1.0}:
        return wilson(sum(values), len(values))
    found = clustered_mean(values, clusters, weights=weights)
    if min(values) < 0 or max(values) > 1:
        return found
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))
