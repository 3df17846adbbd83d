"""Spoken-MQA (arXiv 2505.15000): 2,269 spoken questions of arithmetic and word problems.

Files: Parquet, one or more per split (hub amao0o0/spoken-mqa). The authors score with AudioBench
(github AudioLLMs/AudioBench, `spoken_mqa.py`, whose extraction is MAmmoTH's); the official prompt
is the row's own `instruction`, put after the sound as its Qwen2-Audio client does.

The script reports each split by itself and no average: read the group "split", or take the mean
over questions or over splits, and say which.
"""

import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from auscult.bench.announced import denies
from auscult.bench.files import MissingData, Row, encoded_sound, parquet_rows, text, unique
from auscult.bench.prompts import REPORT_MAX_TOKENS
from auscult.bench.question import Answer, Mark, Prompt, Question, Suite, Worded
from auscult.bench.wrappers import readings

SPLITS = ("short_digit", "long_digit", "single_step_reasoning", "multi_step_reasoning")
_TRIGGERS = ("The answer is:", "The answer is", "the answer is", "####")


def load(folder: Path) -> list[Question]:
    """`<split>-*.parquet` or `<split>/*.parquet`, at any depth. Raises `MissingData` where one of
    the four splits is absent."""
    made: list[Question] = []
    for split in SPLITS:
        files = sorted(
            {*folder.glob(f"**/{split}-*.parquet"), *folder.glob(f"**/{split}/*.parquet")}
        )
        if not files:
            raise MissingData(f"{folder} holds no Parquet file of the split {split}")
        made += [_question(row, split, n) for n, row in enumerate(parquet_rows(files))]
    return unique(made, folder)


def _inner(cell: Any) -> Any:
    """The text of a cell {"text": ..., "audio": null}, or the cell itself."""
    return cell.get("text") if isinstance(cell, Mapping) else cell


def _question(row: Row, split: str, place: int) -> Question:
    key = f"spoken_mqa/{split}/{place}"
    given = _inner(row["answer"])
    answers = tuple(text(a) for a in given) if isinstance(given, list | tuple) else (text(given),)
    return Question(
        key=key,
        sounds=(encoded_sound(row["context"], key),),
        answers=answers,
        task=split,
        groups={"split": split},
        transcript=text(row.get("context_transcript")),
        extra={"instruction": text(_inner(row.get("instruction")))},
    )


def _quotient(number: str) -> float | None:
    """What Python makes of "3/4" or "3/.5"; None where it would refuse ("3/", "3/0", "07/2")."""
    match = re.fullmatch(r"(-?)(0+|[1-9][0-9]*)/(0+|[1-9][0-9]*|[0-9]*\.[0-9]+)", number)
    if match is None:
        return None
    try:
        under = float(match[3]) if "." in match[3] else int(match[3])
        return int(match[1] + match[2]) / under
    except (ZeroDivisionError, OverflowError, ValueError):  # the last: too many digits for Python
        return None


def delete_extra_zero(number: str) -> str:
    """The script's shortest form: "12.50" -> "12.5", "3/4" -> "0.75", "3/" stays.

    It strips zeros from the end of Python's text of a float, exponents too: 1e20 becomes "100.0".
    The script evaluates the text as code; here only a quotient of two numbers is.
    """
    try:
        value: float | None = float(number)
    except ValueError:
        value = _quotient(number)
    if value is None:
        return number
    short = str(value).rstrip("0")
    return str(int(short.rstrip("."))) if short.endswith(".") else str(float(short))


def extract(said: str) -> str:
    """The script's prediction: the first number after the last trigger, else the last number of
    all; "empty" for none. A trigger that occurs twice cuts the text at its first empty line."""
    said = said.strip("\n")
    if any(said.count(trigger) > 1 for trigger in _TRIGGERS):
        said = said.split("\n\n")[0]
    parts = re.split("|".join(_TRIGGERS), said)
    tail = parts[-1].strip("\n").rstrip(".").rstrip("/").strip(" ").replace(",", "")
    numbers = [delete_extra_zero(n) for n in re.findall(r"-?\d+/?\.?\d*", tail)]
    if not numbers:
        return "empty"
    chosen = numbers[0] if len(parts) > 1 else numbers[-1]
    return chosen.rstrip(".").rstrip("/") or "empty"


def _official(question: Question, prediction: str) -> float:
    """Only the first reference counts: the script takes a second one for a number that it is not,
    and stops with an error at a third. Digit splits compare the reference as published."""
    reference = question.answers[0] if question.answers else "empty"
    if question.task.endswith("reasoning"):
        if "####" in reference:
            reference = delete_extra_zero(reference.split("#### ")[-1].replace(",", ""))
        reference = delete_extra_zero(reference)
    if "\\text{" in reference:
        reference = reference.replace("\\text{", "").rstrip("}")
    return float(prediction[:100].lower() == reference.lower())


_LONGEST = 200  # characters of a number; a model that repeats a digit for ever says none
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.])(-?)(?:([0-9]+)\s+([0-9]+/[0-9]+)|((?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
    r"(?:\s?/\s?[0-9]+)?))"
)


def last_number(said: str) -> Fraction | None:
    """The last number of a text: "1,204", "-0.5", "3/4", "2 1/2", "\\frac{3}{4}". None = none, one
    without end, or a division by zero. A minus between two numbers ("5-3") is no sign."""
    said = said.replace("−", "-").replace("\\!", "")
    said = re.sub(r"\\[dt]?frac\{([0-9]+)\}\{([0-9]+)\}", r" \1/\2", said)
    said = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", said)
    found = list(_NUMBER.finditer(said))
    if not found or len(found[-1][0]) > _LONGEST:
        return None
    sign, whole, part, plain = found[-1].groups()
    try:
        size = Fraction(whole) + Fraction(part) if whole else _ratio(plain)
    except ZeroDivisionError:
        return None
    return -size if sign else size


def _ratio(plain: str) -> Fraction:
    over, _, under = re.sub(r"\s", "", plain).partition("/")
    return Fraction(over) / Fraction(under or 1)


_DENIED = re.compile(r"\bnot\W{0,3}-?[0-9][0-9.,/]*\W*$", re.I)


def stated_number(reply: str) -> Fraction | None:
    """The last number of what is left when all wrappers are off; None = none, or one that is said
    not to be the answer."""
    for reading in reversed(list(readings(reply))):
        if (number := last_number(reading)) is not None:
            return None if denies(reading) or _DENIED.search(reading) else number
    return None


def mark(question: Question, answer: Answer) -> Mark:
    """`strict`: the number that the answer states equals any reference, as numbers."""
    said = stated_number(answer.text)
    references = [last_number(r.split("#### ")[-1]) for r in question.answers]
    return Mark(
        official=_official(question, extract(answer.text)),
        strict=float(said is not None and said in references),
        parsed=said is not None,
        answer="" if said is None else str(said),
    )


def restate(items: Sequence[tuple[Question, Answer, Mark]]) -> list[float]:
    """The script scores a reply of None with the prediction of the item before it in the split (and
    stops with an error if it is the first; here that one is left out). None is what a client
    returns for nothing at all: an answer with neither text nor thought."""
    values: list[float] = []
    last: dict[str, str] = {}
    for question, answer, _ in items:
        if answer.text or answer.thought:
            last[question.task] = extract(answer.text)
        stale = last.get(question.task)
        values.append(math.nan if stale is None else _official(question, stale))
    return values


def _report(_: Question) -> Worded:
    return Worded(before="Solve the given math question step by step.")


def _instruction(question: Question) -> Worded:
    return Worded(after=question.extra["instruction"])


SUITE = Suite(
    name="spoken_mqa",
    about="spoken mathematics: 273 questions in digits, 1,996 word problems of one or more steps",
    source="arXiv 2505.15000; hub amao0o0/spoken-mqa",
    fetch="hf download amao0o0/spoken-mqa --repo-type dataset --local-dir DATA",
    load=load,
    prompts={
        "report": Prompt(
            word=_report, temperature=0.7, repetition_penalty=1.0, max_tokens=REPORT_MAX_TOKENS
        ),
        "official": Prompt(word=_instruction),
    },
    mark=mark,
    restate=restate,
)
