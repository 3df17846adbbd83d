"""Marks, numbers and grounding of every reply, as a scorer of inspect_ai.

The scorer keeps everything that the analysis needs in the score's metadata (`Reading` gives it
back), so that pages, comparisons and selectors are made from logs alone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from inspect_ai.model import ChatCompletionChoice, ContentReasoning
from inspect_ai.scorer import (
    Metric,
    SampleScore,
    Score,
    Scorer,
    Target,
    metric,
    scorer,
)
from inspect_ai.solver import TaskState

from auscult.audio.io import read_audio
from auscult.bench.question import Answer, Mark, Question
from auscult.evaluate.aside import aside
from auscult.evaluate.judging import judged, rated
from auscult.evaluate.protocol import Protocol
from auscult.evaluate.results.runs import interval
from auscult.train.feed.awareness import denies
from auscult.train.rl.filters import others
from auscult.verify.claims import CONTRADICTED, SUPPORTED
from auscult.verify.grounded import grounded, grounding
from auscult.verify.scores import score
from auscult.verify.verify import Ears, listen

THINK_OPEN, THINK_CLOSE, END_OF_TURN = "<think>", "</think>", "<|EOT|>"
FLYING = 3
"""Ears that stay in memory beside those in use: a clip's measurements are large."""


def answer_of(choice: ChatCompletionChoice) -> Answer:
    """Thought and answer of a reply, whichever way the server returns them: as reasoning of its own
    or between tags. An answer is what follows the last `</think>`."""
    content = choice.message.content
    thought = ""
    if not isinstance(content, str):
        thought = "\n".join(p.reasoning for p in content if isinstance(p, ContentReasoning))
    text = choice.message.text.replace(END_OF_TURN, "")
    before, tag, after = text.rpartition(THINK_CLOSE)
    if tag:
        thought = thought or before.replace(THINK_OPEN, "").strip()
        text = after
    elif text.lstrip().startswith(THINK_OPEN):  # cut off inside its thought: no answer
        thought, text = thought or text.replace(THINK_OPEN, "").strip(), ""
    return Answer(text=text.strip(), thought=thought.strip())


@lru_cache(maxsize=FLYING * 64)
def _ears(files: tuple[str, ...]) -> Ears:
    return listen([read_audio(file) for file in files])


def heard_scores(question: Question, answer: Answer, files: Sequence[str]) -> dict[str, Any]:
    """What the verifier says of a thought against some sounds; {} where there is none of either.

    claims: different acoustic claims that say that something is there; supported, contradicted:
    of those; grounding: the one number; grounded: the verdict.
    """
    if not files or not answer.thought:
        return {}
    item = question.extra.get("item", "")
    scores, findings = score(
        answer.thought, _ears(tuple(files)),
        features=question.extra.get("features", ()), answer=answer.text,
        options=question.options, question=question.text,
        others=others(item) if item else (),
    )  # fmt: skip
    told = {f.claim.key: f for f in findings if not f.claim.negated}
    return {
        "claims": len(told),
        "supported": sum(f.verdict == SUPPORTED for f in told.values()),
        "contradicted": sum(f.verdict == CONTRADICTED for f in told.values()),
        "grounding": grounding(scores),
        "grounded": grounded(scores).keep,
        "surrogate": scores.surrogate,
    }


def reply_record(
    question: Question, choice: ChatCompletionChoice, mark: Mark, given: Sequence[str],
    own: Sequence[str], verify: bool,
) -> dict[str, Any]:  # fmt: skip
    """All that is kept of one reply."""
    answer = answer_of(choice)
    numbers = dict(choice.message.metadata or {})
    record: dict[str, Any] = {
        "text": answer.text,
        "thought": answer.thought,
        "stop": choice.stop_reason,
        "denies": denies(answer.thought) or denies(answer.text),
        **asdict(mark),
        "numbers": numbers,
    }
    if verify:
        record["given"] = heard_scores(question, answer, given)
        same = tuple(given) == tuple(own)
        record["own"] = record["given"] if same else heard_scores(question, answer, own)
    return record


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else math.nan


@metric
def figures() -> Metric:
    """official, strict, unparsed, each a mean over the questions, with the strict one's clustered
    95 % interval: what the framework's own views show. The results page has more, and its official
    score is right also where the script lets one question's answer depend on another's."""

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        rows = [s.score.metadata or {} for s in scores]
        strict = [_mean([r["strict"] for r in row["replies"]]) for row in rows]
        clusters = [row["cluster"] for row in rows]
        kept = [i for i, value in enumerate(strict) if not math.isnan(value)]
        found = interval([strict[i] for i in kept], [clusters[i] for i in kept], [1.0] * len(kept))
        pairs = [(r["official"], r["weight"]) for row in rows for r in row["replies"]]
        known = [(value, weight) for value, weight in pairs if not math.isnan(value)]
        total = sum(weight for _, weight in known)
        return {
            "official": sum(v * w for v, w in known) / total if total else math.nan,
            "strict": found.mean,
            "strict_low": found.low,
            "strict_high": found.high,
            "unparsed": _mean([float(not r["parsed"]) for row in rows for r in row["replies"]]),
            "n": float(len(rows)),
        }

    return compute  # pyright: ignore[reportReturnType]


Sounds = Callable[[Question], tuple[tuple[Path, ...], tuple[Path, ...]]]
"""question -> files of what was given to hear, and of its own sound."""


def marks(protocol: Protocol, questions: dict[str, Question], sounds: Sounds) -> Scorer:
    """The suite's scorer: by rule, or by a judge where one is named."""
    suite, verify = protocol.found, protocol.verify

    async def mark_of(question: Question, answer: Answer) -> Mark:
        if protocol.judge and suite.judged is not None:
            return await judged(suite.judged, question, answer, protocol.judge)
        assert suite.mark is not None
        return suite.mark(question, answer)

    async def grade(state: TaskState, target: Target) -> Score:
        question = questions[str(state.sample_id)]
        choices = state.output.choices
        if len(choices) < protocol.samples:
            raise ValueError(
                f"the server sent {len(choices)} replies in place of {protocol.samples}; it may "
                "not take several choices in one request"
            )
        found = [await mark_of(question, answer_of(choice)) for choice in choices]
        given, own = (tuple(map(str, files)) for files in await aside(lambda: sounds(question)))

        def records() -> list[dict[str, Any]]:
            return [
                reply_record(question, choice, mark, given, own, verify)
                for choice, mark in zip(choices, found, strict=True)
            ]

        replies = await aside(records) if verify else records()
        if protocol.verifier:
            for reply, choice in zip(replies, choices, strict=True):
                reply["judge"] = await rated(question, answer_of(choice), protocol.verifier)
        usage = state.output.usage
        return Score(
            value=_mean([mark.strict for mark in found]),
            answer=found[0].answer,
            explanation=found[0].why or None,
            metadata={
                "cluster": question.cluster or question.key,
                "task": question.task,
                "groups": dict(question.groups),
                "reference": list(question.answers),
                "options": list(question.options),
                "extra": dict(question.extra) if suite.restate else {},
                "given": list(given),
                "replies": replies,
                "input_tokens": usage.input_tokens if usage else 0,
                "output_tokens": usage.output_tokens if usage else 0,
                "seconds": state.output.time or 0.0,
            },
        )

    # Registered without arguments: the framework writes a scorer's arguments into every sample.
    return scorer(metrics=[figures()], name="marks")(lambda: grade)()
