"""MMSU (arXiv 2506.04779): 5,000 questions in 47 tasks about spoken language.

Files: `question/mmsu.jsonl` with an audio folder, or the Parquet shards of the hub. Official prompt
and scorer: github dingdongwang/MMSU_Bench, `mmsu_inference.py` and `mmsu_evaluation.py`.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from auscult.bench.files import (
    MissingData,
    Row,
    encoded_sound,
    file_sound,
    parquet_rows,
    read_lines,
    text,
    unique,
)
from auscult.bench.letters import chosen_option, outer_letter
from auscult.bench.prompts import REPORT_CHOICE, letter
from auscult.bench.question import Answer, Mark, Prompt, Question, Sound, Suite, Worded

_CHOICES = ("choice_a", "choice_b", "choice_c", "choice_d")


def load(folder: Path) -> list[Question]:
    """Either published form. Choices and answers may be numbers; c and d may be absent."""
    lists = sorted(folder.glob("**/mmsu.jsonl"))
    if lists:
        root = lists[0].parent.parent if lists[0].parent.name == "question" else lists[0].parent
        rows = read_lines(lists[0])
        return unique([_question(r, file_sound(_audio(root, r))) for r in rows], folder)
    shards = sorted(folder.glob("**/*.parquet"))
    if not shards:
        raise MissingData(f"{folder} holds neither question/mmsu.jsonl nor Parquet shards")
    return unique(list(_from_hub(parquet_rows(shards))), folder)


def _audio(root: Path, row: Row) -> Path:
    """The list's path, as it stands or below the folder of recordings."""
    given = Path(text(row["audio_path"]))
    places = [root / given, root / "audio" / given.name]
    return next((p for p in places if p.exists()), places[0])


def _from_hub(rows: Iterable[Row]) -> Iterable[Question]:
    for row in rows:
        yield _question(row, encoded_sound(row["audio"], f"mmsu/{row['id']}"))


def _question(row: Row, sound: Sound) -> Question:
    options = tuple(text(row[c]) for c in _CHOICES if row.get(c) is not None)
    return Question(
        key=f"mmsu/{row['id']}",
        text=text(row["question"]),
        sounds=(sound,),
        answers=(text(row["answer_gt"]),),
        options=options,
        task=text(row.get("task_name")),
        groups={
            "category": text(row.get("category")),
            "sub-category": text(row.get("sub-category")),
            "task": text(row.get("task_name")),
        },
        # The script compares the raw JSON values, so a number is not its digits.
        extra={"choices": [row.get(c) for c in _CHOICES], "answer": row["answer_gt"]},
    )


def _official(question: Question) -> Worded:
    """An absent choice is shown as "None"."""
    shown = "\n".join(f"{letter(i)}. {c}" for i, c in enumerate(question.extra["choices"]))
    return Worded(
        before=(
            "Choose the most suitable answer from options A, B, C, and D to respond the question "
            "in next line, **you should only choose A or B or C or D.** Do not provide any "
            f"additional explanations or content.\n\nQuestion: {question.text}\n\n{shown}"
        )
    )


def mark(question: Question, answer: Answer) -> Mark:
    """First letter, else the last but one; what fits neither is left out of the official mean."""
    found = outer_letter(answer.text)
    choice = chosen_option(answer.text, question.options)
    strict = float(choice == question.answers[0]) if choice is not None else 0.0
    return Mark(
        official=math.nan if found is None else _right(question, found),
        strict=strict,
        parsed=choice is not None,
        answer=choice or "",
    )


def _right(question: Question, found: str) -> float:
    choices = question.extra["choices"]
    return float(choices["ABCD".index(found)] == question.extra["answer"])


def restate(items: Sequence[tuple[Question, Answer, Mark]]) -> list[float]:
    """The script keeps the letter of the previous item for an answer that is empty or "None" (and
    stops with an error if it is the first; here that one is left out)."""
    values: list[float] = []
    last: str | None = None
    for question, answer, _ in items:
        if answer.text not in ("", "None"):
            found = outer_letter(answer.text)
            if found is None:
                values.append(math.nan)
                continue
            last = found
        values.append(math.nan if last is None else _right(question, last))
    return values


SUITE = Suite(
    name="mmsu",
    about="spoken language understanding: 5,000 questions in 47 tasks, two to four options",
    source="arXiv 2506.04779; hub ddwang2000/MMSU",
    fetch="hf download ddwang2000/MMSU --repo-type dataset --local-dir DATA",
    load=load,
    prompts={"report": REPORT_CHOICE, "official": Prompt(word=_official)},
    mark=mark,
    restate=restate,
)
