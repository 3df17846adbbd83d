"""Spoken digits of real people, asked in the gym's words: the Free Spoken Digit Dataset, whose
files are named `{digit}_{speaker}_{index}.wav`. Nothing of it is trained on."""

import re
import zlib
from pathlib import Path

from auscult.bench.files import MissingData, file_sound
from auscult.bench.question import Answer, Mark, Prompt, Question, Suite, Worded
from auscult.bench.wrappers import readings
from auscult.gym.score import normalise


def load(folder: Path) -> list[Question]:
    """All recordings, by number of the take, digits and speakers mixed."""
    files = [p for p in folder.glob("**/*.wav") if re.fullmatch(r"\d_\w+_\d+", p.stem)]
    if not files:
        raise MissingData(f"{folder} holds no file named {{digit}}_{{speaker}}_{{index}}.wav")
    files.sort(key=lambda p: (int(p.stem.rsplit("_", 1)[1]), zlib.crc32(p.stem.encode())))
    return [_question(path) for path in files]


def _question(path: Path) -> Question:
    digit, rest = path.stem.split("_", 1)
    speaker = rest.rsplit("_", 1)[0]
    return Question(
        key=f"fsdd/{path.stem}",
        text="Which digit is spoken?",
        sounds=(file_sound(path),),
        answers=(digit,),
        task="digit",
        groups={"speaker": speaker, "digit": digit},
        cluster=speaker,
        transcript=digit,
    )


def mark(question: Question, answer: Answer) -> Mark:
    """A digit, in figures or as a word; strict takes off what is wrapped around it."""
    said = [normalise(reading) for reading in readings(answer.text)]
    clear = next((text for text in said if text.isdigit()), said[0])
    return Mark(
        official=float(said[0] == question.answers[0]),
        strict=float(clear == question.answers[0]),
        parsed=clear.isdigit(),
        answer=clear,
    )


SUITE = Suite(
    name="fsdd",
    about="spoken digits of six real speakers",
    source="github Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0",
    fetch=("git clone --depth 1 https://github.com/Jakobovski/free-spoken-digit-dataset DATA"),
    load=load,
    prompts={
        "auscult": Prompt(word=lambda q: Worded(after=q.text), temperature=0.0, max_tokens=2048)
    },
    mark=mark,
)
