"""MMAU v05.15.25 (arXiv 2410.19168): sound, speech and music; test-mini (1,000) and test (9,000).

Files: the JSON lists of github Sakshi113/MMAU beside the recordings, the Parquet of the hub
(gamma-lab-umd: options with "(A) " before them, the rest as JSON text in `other_attributes`), or
copies with the options as JSON text (lmms-lab). The answers of the full test are not public.
Official scorer: `evaluation.py` there; it publishes no prompt.
"""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from auscult.bench.files import (
    Kept,
    MissingData,
    Row,
    encoded_sound,
    file_sound,
    parquet_rows,
    text,
    unique,
)
from auscult.bench.letters import chosen_option
from auscult.bench.matching import letter_to_text, mark_choice
from auscult.bench.prompts import REPORT_CHOICE, letter
from auscult.bench.question import Answer, Mark, Question, Sound, Suite
from auscult.files import read_json

UNSCORED = "the full test has no public answers: submit the file"
_MINI, _TEST = "test-mini", "test"
_ABOUT = ("id", "audio_id", "dataset", "task", "split", "category", "sub-category", "difficulty")


def load_mini(folder: Path) -> list[Question]:
    """test-mini in any published form."""
    return _load(folder, _MINI)


def load_test(folder: Path) -> list[Question]:
    """The full test in any published form; its questions have no answers."""
    return _load(folder, _TEST)


def _load(folder: Path, split: str) -> list[Question]:
    """Shards named after the split, else its JSON list, else any shards; rows of the other split
    are left out. Raises `MissingData`."""
    inside = folder.is_dir()
    shards = sorted(folder.glob("**/*.parquet")) if inside else [folder]
    shards = [s for s in shards if s.suffix == ".parquet"]
    named = [s for s in shards if "test" in s.name and ("mini" in s.name) == (split == _MINI)]
    lists = sorted(folder.glob(f"**/mmau-{split}.json")) if inside else [folder]
    lists = [s for s in lists if s.suffix == ".json"]
    if lists and not named:
        return unique(list(_questions(read_json(lists[0]), lists[0].parent, split)), folder)
    if not shards:
        raise MissingData(f"{folder} holds neither mmau-{split}.json nor Parquet shards")
    root = folder if inside else folder.parent
    return unique(list(_questions(parquet_rows(named or shards), root, split)), folder)


def _questions(rows: Iterable[Row], root: Path, split: str) -> Iterable[Question]:
    for row in rows:
        plain = listed(row)
        if text(plain["split"]).replace("_", "-") not in {_MINI, _TEST} - {split}:
            yield _question(plain, _sound(row, plain, root))


def _members(cell: Any) -> Any:
    """A list that may be written as JSON text."""
    return json.loads(cell) if isinstance(cell, str) and cell.startswith("[") else cell


def listed(row: Row) -> dict[str, Any]:
    """A row of any form as the JSON list has it: bare options, all columns side by side.

    Absent columns are None. Raises `KeyError` for a row without a question or options.
    """
    also = row.get("other_attributes") or {}
    also = json.loads(also) if isinstance(also, str) else also
    shown = [text(choice) for choice in _members(row["choices"])]
    bare = _bare(shown)
    answer = text(row.get("answer"))
    plain = {name: row.get(name, also.get(name)) for name in _ABOUT}
    return plain | {
        "id": text(plain["id"]),
        "question": text(row["instruction"] if "instruction" in row else row["question"]),
        "choices": bare,
        "answer": bare[shown.index(answer)] if answer in shown else answer,
    }


def _bare(options: list[str]) -> list[str]:
    """Options without "(A) ", "(B) ", ... where every one has its own letter."""
    marks = [f"({letter(i)}) " for i in range(len(options))]
    if all(o.startswith(m) for o, m in zip(options, marks, strict=True)):
        return [o[len(m) :] for o, m in zip(options, marks, strict=True)]
    return options


def _sound(row: Row, plain: Row, root: Path) -> Sound:
    """The bytes in the row, or the file that it names."""
    name = f"mmau/{plain['id']}"
    for cell in (row.get("context"), row.get("audio")):
        if cell and (isinstance(cell, bytes | Kept) or cell.get("bytes")):
            return encoded_sound(cell, name)
    given = Path(text(plain["audio_id"]) or f"{plain['id']}.wav")
    places = [root / given, *(root / p / given.name for p in ("", "test-mini-audios"))]
    places.append(root / "test-audios" / given.name)
    return file_sound(next((p for p in places if p.exists()), places[0]))


def _question(plain: Row, sound: Sound) -> Question:
    """`extra["row"]` is the row that a submission repeats."""
    return Question(
        key=f"mmau/{plain['id']}",
        text=plain["question"],
        sounds=(sound,),
        answers=(plain["answer"],) if plain["answer"] else (),
        options=tuple(plain["choices"]),
        task=text(plain["task"]),
        groups={
            "task": text(plain["task"]),
            "difficulty": text(plain["difficulty"]),
            "sub-category": text(plain["sub-category"]),
            # 13 rows of test-mini have ["Reasoning"].
            "category": text(_members(plain["category"])),
        },
        extra={"row": plain},
    )


def mark(question: Question, answer: Answer) -> Mark:
    """The three scores of `mark_choice`; where the answer is not public, nan for all of them."""
    if question.answers:
        return mark_choice(question, answer)
    choice = chosen_option(answer.text, question.options)
    return Mark(
        official=math.nan,
        strict=math.nan,
        parsed=choice is not None,
        answer=choice or "",
        why=UNSCORED,
    )


def submission(
    items: Sequence[tuple[Question, Answer]], *, mapped: bool = True
) -> list[dict[str, Any]]:
    """The rows of a file to submit: those of the published list with the key `model_output` (the
    official README says `model_prediction`; its script reads `model_output`).

    mapped: a letter is replaced by the text of its option, without which it counts as wrong.
    """
    return [
        {
            **question.extra["row"],
            "model_output": letter_to_text(answer.text, question.options)
            if mapped
            else answer.text,
        }
        for question, answer in items
    ]


_MINI_SUITE = Suite(
    name="mmau_mini",
    about="sound, speech and music: 1,000 questions with two to eight options (v05.15.25)",
    source="arXiv 2410.19168; hub gamma-lab-umd/MMAU-test-mini",
    fetch="hf download gamma-lab-umd/MMAU-test-mini --repo-type dataset --local-dir DATA",
    load=load_mini,
    prompts={"report": REPORT_CHOICE},
    mark=mark,
)

_TEST_SUITE = Suite(
    name="mmau_test",
    about="sound, speech and music: 9,000 questions whose answers are not public (v05.15.25)",
    source="arXiv 2410.19168; hub gamma-lab-umd/MMAU-test; scored by hub space sonalkum/MMAU-Eval",
    fetch="hf download gamma-lab-umd/MMAU-test --repo-type dataset --local-dir DATA"
    " && tar -xzf DATA/test-audios.tar.gz -C DATA",
    load=load_test,
    prompts={"report": REPORT_CHOICE},
    mark=mark,
)

SUITES_HERE: tuple[Suite, ...] = (_MINI_SUITE, _TEST_SUITE)
"""test-mini and the full test."""
