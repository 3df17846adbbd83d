"""The records of a benchmark: a question, its wording, what was answered, what that is worth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auscult.types import Audio

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """One recording, read when it is needed.

    Example: Sound(name="audio/7.wav", read=lambda: read_audio(folder / "audio/7.wav")).
    """

    name: str
    read: Callable[[], Audio]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An earlier turn of a dialogue. Example: Said(role="assistant", text="Hello!")."""

    role: str  # "human" | "assistant" | "system"
    text: str = ""
    sounds: tuple[Sound, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One item of a benchmark.

    Example (MMSU):
        key         "mmsu/1042"       unique within the suite, stable between runs
        text        "Who speaks?"     "" where the question is spoken
        sounds      (Sound(...),)
        answers     ("A woman",)      accepted references, as published; () where a judge decides
        options     ("A man", "A woman")   as published, in the order shown; () = open answer
        task        "gender"          sounds are swapped within one task
        groups      {"category": "perception", "task": "gender"}   what results are broken down by
        cluster     "speaker 12"      items that share it are not independent; "" = its own
        transcript  "good morning"    what is spoken, where the benchmark gives it
        caption     ""                what is heard in words, where the benchmark gives it
        history     ()                earlier turns of a dialogue
        extra       {}                whatever else the official scorer reads
    """

    key: str
    text: str = ""
    sounds: tuple[Sound, ...] = ()
    answers: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    task: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    cluster: str = ""
    transcript: str = ""
    caption: str = ""
    history: tuple[Said, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worded:
    """What is put to the model: text before the sound, the sound, text after it.

    Example: Worded(before="Who speaks?\\nA. ..."); an empty part is left out.
    """

    before: str = ""
    after: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A wording with the sampling that its authors used with it.

    temperature 0 = greedy; max_tokens bounds thought and answer together. None = not published.
    """

    word: Callable[[Question], Worded]
    temperature: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model replied: its thought (between the tags) and the text after `</think>`."""

    text: str
    thought: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What one answer is worth.

    Example (letter found and right): Mark(official=1.0, strict=1.0, answer="A woman").
        official  as the official script counts it, its mistakes included; nan = it leaves it out
        strict    1 only for one unambiguous right answer; what cannot be read counts as wrong
        parsed    was there an answer that could be read
        answer    what was read out of the reply: what votes are counted on
        weight    of the item in the official mean (reference words for a word error rate)
        parts     further numbers by name
        why       for people: what was seen
    """

    official: float
    strict: float
    parsed: bool = True
    answer: str = ""
    weight: float = 1.0
    parts: Mapping[str, float] = field(default_factory=dict)
    why: str = ""


Marker = Callable[[Question, Answer], Mark]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plea:
    """One request to a judge, `n` replies wanted. Example: the official judge prompt, filled in.

    None = whatever the server does by default, where the official script does not say.
    """

    user: str
    system: str = ""
    n: int = 1
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A score that a language model gives.

    asks: the requests for one answer; () = no judge is needed (the mark is read from no replies).
    reads: (question, answer, replies) -> mark; the replies of all requests in their order.
    model: what the official script uses, for the record.
    """

    asks: Callable[[Question, Answer], Sequence[Plea]]
    reads: Callable[[Question, Answer, Sequence[str]], Mark]
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A benchmark: where its files come from, how they are read, asked and scored.

    load: the folder (or file) as published -> questions, in the published order.
    prompts: name -> prompt; "official" (the benchmark's own script) and "report" (the prompt of the
    Step-Audio-R1 report) where they exist. The first is the default.
    mark: offline scorer. judged: scorer that needs a judge; used where a judge is given.
    restate: the official script's value of every item when it depends on the other items (a stale
    variable): (marks with their questions and answers in order) -> values, nan = left out.
    made: on the spot, from settings in place of a folder.
    unit: "accuracy" (0 to 1), "error rate", or "points of N". better: which way is better.
    """

    name: str
    about: str
    source: str
    fetch: str
    load: Callable[[Path], list[Question]]
    prompts: Mapping[str, Prompt]
    mark: Marker | None = None
    judged: Judged | None = None
    restate: Callable[[Sequence[tuple[Question, Answer, Mark]]], list[float]] | None = None
    unit: str = "accuracy"
    better: str = "higher"
    made: bool = False
