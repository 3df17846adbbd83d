"""Logs to records: what a page, a comparison or a selector reads of an evaluation."""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog, read_eval_log

from auscult.bench.question import Answer, Mark, Question
from auscult.bench.suites import suite_named
from auscult.evaluate.paired import clustered_mean
from auscult.evaluate.protocol import Protocol
from auscult.evaluate.stats import wilson
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One log: a model under one protocol.

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

    @property
    def command(self) -> str:
        """The command that makes this run again."""
        given = self.protocol.arguments()
        flags = [_flag(k.replace("_", "-"), v) for k, v in given.items() if k != "suite"]
        model = self.model.removeprefix("auscult/")
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


def read(file: Path) -> Run:
    """A log as a record. Raises `ValueError` for one that `auscult eval` did not make."""
    log = read_eval_log(str(file))
    about = log.eval.metadata or {}
    if "protocol" not in about:
        raise ValueError(f"{file} is not a log of `auscult eval`: it names no protocol")
    given: dict[str, Any] = about["protocol"]
    samples = log.samples or []
    failed = sum(1 for s in samples if s.error is not None or not s.scores)
    return Run(
        file=file,
        model=log.eval.model,
        protocol=Protocol(**given),
        questions=str(about["questions"]),
        created=log.eval.created,
        status=log.status,
        rows=tuple(_rows(log)),
        total=log.eval.dataset.samples or len(samples),
        failed=failed,
        seconds=_seconds(log),
        packages=dict(log.eval.packages),
        revision=log.eval.revision.commit if log.eval.revision else "",
    )


def _seconds(log: EvalLog) -> float:
    """From the start to the end; nan where the run has not ended."""
    from datetime import datetime

    begin, end = log.stats.started_at, log.stats.completed_at
    if not begin or not end:
        return math.nan
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def _rows(log: EvalLog) -> Iterable[Row]:
    """In the order of the dataset."""
    order = {key: i for i, key in enumerate(log.eval.dataset.sample_ids or [])}
    for sample in sorted(log.samples or [], key=lambda s: order.get(s.id, 0)):
        if sample.error is not None or not sample.scores:
            continue
        (found,) = sample.scores.values()
        kept = found.metadata or {}
        yield Row(
            key=str(sample.id),
            cluster=kept["cluster"],
            task=kept["task"],
            groups=kept["groups"],
            reference=tuple(kept["reference"]),
            options=tuple(kept["options"]),
            question=str(sample.input),
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


def runs_in(place: Path) -> list[Run]:
    """The newest run of every model and protocol below a folder; whole ones before broken ones."""
    found: dict[tuple[str, Protocol], Run] = {}
    for run in map(read, logs_in(place)):
        key = (run.model, run.protocol)
        old = found.get(key)
        if old is None or (len(run.rows), run.created) >= (len(old.rows), old.created):
            found[key] = run
    return list(found.values())


def official_values(run: Run) -> list[float]:
    """The official script's value of each question, the mean of its replies; nan = left out."""
    restate = suite_named(run.protocol.suite).restate
    if restate is None or any(len(row.replies) > 1 for row in run.rows):
        return [row.mean("official") for row in run.rows]
    return restate([_stated(row) for row in run.rows])


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
    """The numbers of a run, or of some of its rows. Raises `ValueError` for none."""
    if not run.rows:
        raise ValueError(f"{run.file} holds no finished question")
    chosen = range(len(run.rows)) if rows is None else rows
    values = official_values(run)
    counted = [i for i in chosen if not math.isnan(values[i])]
    kept = [i for i in chosen if not math.isnan(run.rows[i].mean("strict"))]
    unread = [not reply["parsed"] for i in chosen for reply in run.rows[i].replies]
    return Figures(
        official=_estimate(run, counted, values),
        strict=_estimate(run, kept, [row.mean("strict") for row in run.rows]),
        n=len(kept),
        left_out=len(list(chosen)) - len(counted),
        unparsed=sum(unread) / len(unread),
    )


def _estimate(run: Run, kept: Sequence[int], values: Sequence[float]) -> Estimate:
    rows = [run.rows[i] for i in kept]
    return interval(
        [values[i] for i in kept], [r.cluster for r in rows], [r.mean("weight") for r in rows]
    )


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
