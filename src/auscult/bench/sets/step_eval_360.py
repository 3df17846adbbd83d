"""StepEval-Audio-360 (arXiv 2502.11946): 137 dialogues with a voice assistant, mostly Chinese, in
nine dimensions.

Files: Parquet with the transcripts in `data/`, recordings in `audios.tar.gz`, to be unpacked into
`audios/` (hub stepfun-ai/StepEval-Audio-360). Its columns are not documented, so several usual
forms are read (`load`), and anything else is an error that lists what was found and expected.

Judge: the report has GPT-4o give factuality and relevance (%) and a chat score (1 to 5); its
prompt is not published. The wording here and the reading of the reply are ours, so scores are not
those of the report. A reply in writing cannot show singing or a controlled tone of voice.

The functions that read any judge's reply are here too; `step_paralinguistic` and `step_r15` use
them.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auscult.bench.files import (
    MissingData,
    Row,
    encoded_sound,
    file_sound,
    first_of,
    parquet_rows,
    read_lines,
    text,
    unique,
)
from auscult.bench.question import (
    NOTHING,
    Answer,
    Judged,
    Mark,
    Plea,
    Prompt,
    Question,
    Said,
    Sound,
    Suite,
    Worded,
)
from auscult.files import read_json

TURNS = ("conversation", "conversations", "messages", "turns", "dialogue", "history")
NAME = ("conversation_id", "id", "session_id", "index")
KIND = ("category", "dimension", "task", "task_type", "type")
BY = ("role", "from", "speaker")
WORDS = ("text", "content", "transcription", "transcript", "query", "value")
SOUND = ("audio", "audio_path", "audio_file", "wav", "value", "content")
ROLES = {
    "human": "human", "user": "human", "用户": "human", "": "human",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "模型": "assistant",
    "system": "system",
}  # fmt: skip
_SUFFIXES = (".wav", ".mp3", ".flac", ".ogg")

JUDGE = """You judge one reply of a voice assistant. The dialogue is given in writing; the user's \
turns were spoken, the reply was written. Judge the words of the reply alone.

Ability under test: {kind}

Dialogue:
{dialogue}

Reply to judge:
{reply}

Give three marks:
- factuality: true if everything that the reply states is correct, else false
- relevance: true if the reply does what the user's last turn asks for, in the light of the whole
  dialogue, else false
- chat: 1 (useless) to 5 (excellent), how good a turn of this dialogue the reply is

Answer with JSON alone: {"factuality": true, "relevance": true, "chat": 4, "why": "..."}
"""
"""Ours."""


def fill(template: str, **values: str) -> str:
    """The template with {name} replaced; braces that name no value stay, and so do those that come
    in with a value."""
    return re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], m[0]), template)


def object_in(replies: Sequence[str]) -> Mapping[str, Any]:
    """The JSON object in a judge's first reply, from the first brace to the last; empty where there
    is none. Example: ['```json\\n{"score": 1}\\n```'] -> {"score": 1}."""
    match = re.search(r"\{.*\}", replies[0], re.S) if replies else None
    try:
        found = json.loads(match[0]) if match else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def number(value: Any, low: float, high: float) -> float | None:
    """A number within bounds; None = anything else, true and false too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high else None


def judged_mark(
    answer: Answer,
    official: float | None,
    strict: float | None,
    why: str = "",
    parts: Mapping[str, float] = NOTHING,
) -> Mark:
    """None = the judge's reply could not be read: officially left out, strictly 0. An empty answer
    is strictly 0, whatever the judge says."""
    said = answer.text.strip()
    return Mark(
        official=math.nan if official is None else official,
        strict=strict if said and strict is not None else 0.0,
        parsed=bool(said) and strict is not None,
        answer=said,
        parts=parts,
        why=why,
    )


def load(folder: Path) -> list[Question]:
    """Parquet, JSON lines or a JSON list. A row is a dialogue, its turns a list (or that as JSON)
    under a name of `TURNS`; or a row is one turn, and rows that share a name of `NAME` are one
    dialogue. A turn has a role under `BY` (absent = the user), words under `WORDS` and a recording
    (a path, {"bytes", "path"} or {"value": path}) under `SOUND`; `content` may be a list of these.

    The user's last turn is the question; what comes before it is its history, and what the
    assistant says after it is kept as a reference. Raises `MissingData` and `ValueError`.
    """
    dialogues: dict[str, tuple[str, list[Row]]] = {}
    for place, row in enumerate(_rows(folder)):
        name = text(_first(row, NAME, f"{place}"))
        kind = text(_first(row, KIND, ""))
        turns = _turns(row)
        dialogues.setdefault(name, (kind, []))[1].extend(turns)
    found = [_question(n, kind, turns, folder) for n, (kind, turns) in dialogues.items()]
    return unique(found, folder)


def _rows(folder: Path) -> list[Row]:
    shards = sorted(folder.glob("**/*.parquet"))
    if shards:
        return list(parquet_rows(shards))
    file = first_of(folder, ("**/*.jsonl", "**/*.json"), "the dialogues of StepEval-Audio-360")
    return read_lines(file) if file.suffix == ".jsonl" else read_json(file)


def _first(row: Row, names: Sequence[str], otherwise: Any) -> Any:
    """The first of several columns that is there and not null."""
    return next((row[n] for n in names if row.get(n) is not None), otherwise)


def _turns(row: Row) -> list[Row]:
    cell = _first(row, TURNS, None)
    if cell is None:
        return [row]
    turns = json.loads(cell) if isinstance(cell, str) else cell
    if not isinstance(turns, list) or not all(isinstance(t, Mapping) for t in turns):
        raise ValueError(f"expected a list of turns; got {text(cell)[:80]!r}")
    return turns


def _question(name: str, kind: str, turns: Sequence[Row], folder: Path) -> Question:
    said = [_said(turn, folder) for turn in turns]
    asked = [i for i, (turn, _) in enumerate(said) if turn.role == "human"]
    if not asked:
        raise ValueError(f"dialogue {name} has no turn of the user")
    last, written = said[asked[-1]]
    later = [words for turn, words in said[asked[-1] + 1 :] if turn.role == "assistant" and words]
    return Question(
        key=f"step_eval_360/{name}",
        text=last.text,
        sounds=last.sounds,
        answers=tuple(later),
        task=kind,
        groups={"dimension": kind},
        transcript=written if last.sounds else "",
        history=tuple(turn for turn, _ in said[: asked[-1]]),
        extra={"dialogue": _written(said[: asked[-1] + 1])},
    )


def _said(turn: Row, folder: Path) -> tuple[Said, str]:
    """A turn and what it says in words, which are not repeated beside a recording."""
    role = ROLES.get(text(_first(turn, BY, "")).lower())
    if role is None:
        raise ValueError(f"unknown role in {text(turn)[:80]!r}; expected one of {', '.join(ROLES)}")
    sounds = next((s for n in SOUND if (s := _sounds(turn.get(n), folder))), ())
    words = [_words(turn[n]) for n in WORDS if turn.get(n) is not None]
    written = next((w for w in words if w), "")
    if not sounds and not written:
        raise ValueError(
            f"a turn has the columns {', '.join(turn)}; expected words under one of "
            f"{', '.join(WORDS)} or a recording under one of {', '.join(SOUND)}"
        )
    return Said(role=role, text="" if sounds else written, sounds=sounds), written


def _words(cell: Any) -> str:
    """Words in a cell: a text that is no file of sound, or the texts of a list of parts."""
    if isinstance(cell, str):
        return "" if cell.lower().endswith(_SUFFIXES) else cell.strip()
    if isinstance(cell, list):
        return "\n".join(w for w in map(_words, cell) if w)
    return _words(cell.get("text")) if isinstance(cell, Mapping) else ""


def _sounds(cell: Any, folder: Path) -> tuple[Sound, ...]:
    parts = cell if isinstance(cell, list) else [cell]
    return tuple(s for s in (_sound(part, folder) for part in parts) if s is not None)


def _sound(cell: Any, folder: Path) -> Sound | None:
    """A recording in a cell; None = there is none. Raises `MissingData`."""
    if isinstance(cell, Mapping):
        if cell.get("bytes"):
            return encoded_sound(cell, text(cell.get("path")) or "audio")
        return _sound(_first(cell, ("audio", "path", "value"), None), folder)
    if not isinstance(cell, str) or not cell.lower().endswith(_SUFFIXES):
        return None
    places = (folder / cell, folder / "audios" / cell, folder / "audios" / Path(cell).name)
    file = next((p for p in places if p.exists()), None)
    if file is None:
        raise MissingData(f"{places[1]} is missing; unpack audios.tar.gz in {folder}")
    return file_sound(file)


def _written(said: Sequence[tuple[Said, str]]) -> str:
    return "\n".join(f"{turn.role}: {words or '(spoken, no transcript)'}" for turn, words in said)


def _word(question: Question) -> Worded:
    """The recording alone, or the words where there is none."""
    return Worded(after=question.text)


def _asks(question: Question, answer: Answer) -> list[Plea]:
    user = fill(
        JUDGE,
        kind=question.task or "conversation",
        dialogue=question.extra["dialogue"],
        reply=answer.text,
    )
    return [Plea(user=user, temperature=0.0)]


def _reads(question: Question, answer: Answer, replies: Sequence[str]) -> Mark:
    """Both values are the chat score; `parts` has factuality and relevance."""
    found = object_in(replies)
    chat = number(found.get("chat"), 1.0, 5.0)
    verdicts = {name: found.get(name) for name in ("factuality", "relevance")}
    if chat is None or not all(isinstance(v, bool) for v in verdicts.values()):
        return judged_mark(answer, None, None, "the judge's reply could not be read")
    parts = {name: float(verdict is True) for name, verdict in verdicts.items()}
    return judged_mark(answer, chat, chat, text(found.get("why")), parts)


SUITE = Suite(
    name="step_eval_360",
    about="137 spoken dialogues, mostly Chinese, in nine dimensions; a judge whose prompt is ours",
    source="arXiv 2502.11946; hub stepfun-ai/StepEval-Audio-360",
    fetch="hf download stepfun-ai/StepEval-Audio-360 --repo-type dataset --local-dir DATA && "
    "tar -xzf DATA/audios.tar.gz -C DATA",
    load=load,
    prompts={"auscult": Prompt(word=_word)},
    judged=Judged(asks=_asks, reads=_reads, model="gpt-4o"),
    unit="points of 5",
)
