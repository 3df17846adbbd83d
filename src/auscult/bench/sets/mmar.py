"""MMAR (arXiv 2505.13032): 1,000 questions on speech, sound, music and their mixes; and
MMAR-Rubrics (arXiv 2602.14224): how well the thought before a right answer reasons.

Files: `MMAR-meta.jsonl` of github ddlBoJack/MMAR (with the rubrics), or `MMAR-meta.json` (without;
six answers of its first version are none of their options), beside `audio/`. Official scorers
and judge prompt: `code/evaluation.py`, `code/evaluation_rubrics.py` there; no prompt for the model
is published.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from auscult.bench.files import (
    MissingData,
    Row,
    file_sound,
    first_of,
    read_lines,
    text,
    unique,
)
from auscult.bench.matching import letter_to_text, mark_choice, string_match
from auscult.bench.prompts import REPORT_CHOICE
from auscult.bench.question import Answer, Judged, Mark, Plea, Question, Suite
from auscult.files import read_json

JUDGE = "gpt-4o-2024-11-20"
RATERS = 5
SEED = 42  # the same for all raters

_SYSTEM = (
    "You are a impartial and meticulous AI evaluator. Your task is to assess a model's response to "
    "a question by evaluating its reasoning and its final answer. You must strictly follow the "
    "provided ground truth information and the detailed scoring rubric."
)
_CRITERION = """### Criterion: {name}
- Scoring Rule: {rule}
- Score Options: {scores}
- Evaluate: Carefully read the model's reasoning and determine if it meets this criterion."""
_VERDICT = """{{
"name": "{name}",
"score": [Assign a score from {scores}],
"justification": "Your justification for this score, citing evidence from the model's reasoning. \
(less than 50 words)"
}}"""
_USER = """## Ground Truth & Problem Context

- Question: {question}
- Correct Answer: {answer}
- Ideal Reasoning (for reference): {ideal}

## Evaluation Rubric & Scoring

For each point in the rubric, provide a score and a brief justification based on the model's output.

{criteria}

## Required Output Format

Provide your complete evaluation in a single, valid JSON object. Do not add any text before or \
after the JSON. The JSON structure must be as follows:

[
{verdicts}
]

## Model's Submission to Evaluate

- Model's Reasoning:
{thought} The answer is {said}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One point of a rubric. Example: Criterion(name="Cue: song", rule="Award 1 point if ...",
    scores=(0, 1))."""

    name: str
    rule: str
    scores: tuple[float, ...]


def load(folder: Path) -> list[Question]:
    """Either list; the one with rubrics is taken where both are there. Raises `MissingData`."""
    names = ("**/MMAR-meta.jsonl", "**/MMAR-meta.json", "**/meta.jsonl", "**/meta.json")
    found = first_of(folder, names, "the list of MMAR with `audio/` beside it")
    rows = read_lines(found) if found.suffix == ".jsonl" else read_json(found)
    return unique([_question(row, found.parent) for row in rows], found)


def load_rubrics(folder: Path) -> list[Question]:
    """The list with rubrics. Raises `MissingData` for the one without."""
    questions = load(folder)
    if not all(q.extra["rubric"] for q in questions):
        raise MissingData(f"{folder} holds questions without a rubric; expected MMAR-meta.jsonl")
    return questions


def _question(row: Row, root: Path) -> Question:
    given = Path(text(row["audio_path"]))
    places = [root / given, root / "audio" / given.name]
    rubric = tuple(_criterion(c) for c in row.get("rubric") or ())
    return Question(
        key=f"mmar/{row['id']}",
        text=text(row["question"]),
        sounds=(file_sound(next((p for p in places if p.exists()), places[0])),),
        answers=(text(row["answer"]),),
        options=tuple(text(choice) for choice in row["choices"]),
        task=text(row["modality"]),
        groups={name: text(row.get(name)) for name in ("modality", "category", "sub-category")},
        cluster=text(row.get("url")),
        extra={"rubric": rubric, "thinking": text(row.get("thinking"))},
    )


def _criterion(row: Row) -> Criterion:
    return Criterion(name=row["name"], rule=row["scoring_point"], scores=tuple(row["choices"]))


def _flush(filled: str) -> str:
    """The script takes the indent off every line of the filled prompt, the thought's too."""
    return "\n".join(line.lstrip() for line in filled.strip().splitlines())


def judge_prompt(question: Question, thought: str, said: str) -> str:
    """The official user prompt. `cue` is not shown to the judge."""
    rubric: tuple[Criterion, ...] = question.extra["rubric"]
    criteria = [
        _flush(_CRITERION.format(name=c.name, rule=c.rule, scores=list(c.scores))) for c in rubric
    ]
    verdicts = [_flush(_VERDICT.format(name=c.name, scores=list(c.scores))) for c in rubric]
    return _flush(
        _USER.format(
            question=question.text,
            answer=question.answers[0],
            ideal=question.extra["thinking"],
            criteria="\n".join(criteria),
            verdicts=",\n".join(verdicts),
            thought=thought,
            said=said,
        )
    )


def asks(question: Question, answer: Answer) -> Sequence[Plea]:
    """Five equal requests (one per rater) where the answer matches, none where it does not.

    The letter map before the match and in the prompt is ours; replies must not be reused between
    raters. The script warns that texts over 10,000 characters are skipped, but asks all the same.
    """
    said = letter_to_text(answer.text, question.options)
    if not string_match(question.answers[0], said, question.options):
        return ()
    user = judge_prompt(question, answer.thought, said)
    return (Plea(user=user, system=_SYSTEM, temperature=0.0, seed=SEED),) * RATERS


def rating(reply: str, rubric: Sequence[Criterion]) -> float | None:
    """Sum of one rater's scores over the greatest possible, in [0, 1]; None = cannot be read.

    As official: the outermost list of objects is read, names need not fit, JSON's true is 1.
    """
    verdicts = _verdicts(reply)
    if verdicts is None or len(verdicts) != len(rubric):
        return None
    given = [_score(verdict, point) for verdict, point in zip(verdicts, rubric, strict=True)]
    scores = [score for score in given if score is not None]
    if len(scores) < len(given):
        return None
    most = sum(max(point.scores) for point in rubric)
    return sum(scores) / most if most else 0.0


def _verdicts(reply: str) -> list[Any] | None:
    found = re.search(r"\[\s*\{.*\}\s*\]", reply, re.DOTALL)
    try:
        read = json.loads(found[0] if found else reply)
    except (ValueError, RecursionError):
        return None
    return cast("list[Any]", read) if isinstance(read, list) else None


def _score(verdict: Any, point: Criterion) -> float | None:
    """None = no name, no number, or a number that was not offered."""
    if not isinstance(verdict, dict) or not {"name", "score"} <= verdict.keys():
        return None
    score: Any = verdict["score"]
    return score if isinstance(score, int | float) and score in point.scores else None


def reads(question: Question, answer: Answer, replies: Sequence[str]) -> Mark:
    """Mean of the middle three of five ratings; 0 without a judge where the answer is wrong.

    A rater that cannot be read: the script asks again (up to 20 times), then leaves the item out:
    official nan, strict 0. strict is the score only where one option was named. parts:
    `accuracy` (the answer matches), `official_raw` (the score where it matches as it is),
    `judge_spread` (highest less lowest rating).
    """
    match = mark_choice(question, answer)
    if not match.official:
        parts = {"accuracy": 0.0, "official_raw": 0.0}
        return replace(match, strict=0.0, parts=parts, why="the answer is wrong")
    ratings = [rating(reply, question.extra["rubric"]) for reply in replies]
    read = sorted(r for r in ratings if r is not None)
    if len(read) < RATERS:
        why = f"{len(read)} of {RATERS} ratings could be read"
        parts = {"accuracy": 1.0}
        return replace(match, official=math.nan, strict=0.0, parsed=False, parts=parts, why=why)
    score = sum(read[1:-1]) / len(read[1:-1])
    parts = {
        "accuracy": 1.0,
        "official_raw": score * match.parts["official_raw"],
        "judge_spread": read[-1] - read[0],
    }
    return replace(match, official=score, strict=score * match.strict, parts=parts)


_FETCH = (
    "hf download BoJack/MMAR --repo-type dataset --local-dir DATA"
    " && tar -xzf DATA/mmar-audio.tar.gz -C DATA"
    " && curl -fsSL -o DATA/MMAR-meta.jsonl https://raw.githubusercontent.com/ddlBoJack/MMAR/"
    "3bce090a967db576c8ad433b290a8da582d6d2a0/MMAR-meta.jsonl"
)
_PROMPTS = {"report": replace(REPORT_CHOICE, repetition_penalty=1.07)}

_MMAR = Suite(
    name="mmar",
    about="deep reasoning over speech, sound, music and mixes: 1,000 questions",
    source="arXiv 2505.13032; hub BoJack/MMAR",
    fetch=_FETCH,
    load=load,
    prompts=_PROMPTS,
    mark=mark_choice,
)

_RUBRICS = Suite(
    name="mmar_rubrics",
    about="MMAR with a judge that rates the thought behind every right answer",
    source="arXiv 2602.14224; github ddlBoJack/MMAR",
    fetch=_FETCH,
    load=load_rubrics,
    prompts=_PROMPTS,
    judged=Judged(asks=asks, reads=reads, model=JUDGE),
    unit="points of 1",
)

SUITES_HERE: tuple[Suite, ...] = (_MMAR, _RUBRICS)
"""The questions with the matcher, and with the judged rubrics."""
