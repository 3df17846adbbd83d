"""Every benchmark as a task of inspect_ai: dataset, solver, scorer.

    inspect eval auscult/bench -T suite=mmsu -T data=data/mmsu --model auscult/nano

`auscult eval` is a thin door to the same. Arguments are those of `Protocol`.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    Content,
    ContentAudio,
    ContentText,
    get_model,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver

from auscult.bench.question import Question
from auscult.bench.suites import questions as load
from auscult.evaluate.aside import aside
from auscult.evaluate.hearing import (
    Put,
    before,
    check,
    heard,
    neighbours,
    prepared,
    put,
    read_texts,
)
from auscult.evaluate.protocol import Protocol, digest
from auscult.evaluate.scoring import marks
from auscult.faults import told_apart

SOUNDS = "AUSCULT_SOUNDS"
"""Environment variable: the folder of what was given to hear (default logs/sounds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The questions of a run with everything that is needed to put them."""

    protocol: Protocol
    questions: dict[str, Question]
    others: dict[str, Question]
    folder: Path
    digest: str
    given: dict[str, list[Put]] = field(default_factory=dict)  # what was put, by key

    def turns(self, question: Question) -> list[Put]:
        """A question as it is put, its sounds written to files; worked out once."""
        if question.key not in self.given:
            self.given[question.key] = self._turns(question)
        return self.given[question.key]

    def _turns(self, question: Question) -> list[Put]:
        p = self.protocol
        other = self.others[question.key]
        earlier = before(question, other, condition=p.condition, corruption=p.corruption)
        found = heard(
            question, other, condition=p.condition, corruption=p.corruption, voice=p.voice
        )
        words = p.wording.word(question)
        return put(replace(question, history=earlier), words, found, self.folder)

    def messages(self, question: Question) -> list[ChatMessage]:
        """The same as the framework has it."""
        return [message_of(turn) for turn in self.turns(question)]

    def sounds(self, question: Question) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Files of what was given to hear last, and of the question's own sound."""
        given = self.turns(question)[-1].sounds
        plain = replace(self.protocol, condition="full", corruption="", voice="")
        if plain == self.protocol or not question.sounds:
            return given, given
        own = replace(self, protocol=plain, given={})
        return given, own.turns(question)[-1].sounds


def spread(questions: Sequence[Question], limit: int) -> list[Question]:
    """The first of every task in turn until there are `limit`, in their own order; 0 = all."""
    if not limit or limit >= len(questions):
        return list(questions)
    seen: dict[str, int] = {}
    rank: dict[str, tuple[int, int]] = {}
    for place, question in enumerate(questions):
        rank[question.key] = (seen.get(question.task, 0), place)
        seen[question.task] = seen.get(question.task, 0) + 1
    kept = {q.key for q in sorted(questions, key=lambda q: rank[q.key])[:limit]}
    return [q for q in questions if q.key in kept]


def asked(protocol: Protocol, folder: Path) -> Asked:
    """Load the suite. Raises `ValueError` for missing data, with the command that fetches it."""
    data, default = Path(protocol.data) if protocol.data else None, Path("data") / protocol.suite
    texts = read_texts(Path(protocol.texts)) if protocol.texts else {}
    chosen = spread(load(protocol.found, data), protocol.limit)
    ready = prepared(chosen, texts, protocol.language)
    folder.mkdir(parents=True, exist_ok=True)
    return Asked(
        protocol=protocol,
        questions={q.key: q for q in ready},
        others=neighbours(ready, protocol.seed),
        folder=folder,
        digest=digest(chosen, 0 if protocol.found.made else size_of(data or default)),
    )


def size_of(data: Path) -> int:
    """Bytes of the files of a benchmark: recordings that were exchanged show in it."""
    return sum(f.stat().st_size for f in data.rglob("*") if f.is_file()) if data.is_dir() else 0


def inline(file: Path) -> str:
    """A WAV file as a data URL, the one form that the framework sends."""
    return f"data:audio/wav;base64,{base64.b64encode(file.read_bytes()).decode()}"


def message_of(turn: Put) -> ChatMessage:
    """A turn as the framework has it."""
    parts: list[Content] = [ContentText(text=turn.before)] if turn.before else []
    parts += [ContentAudio(audio=inline(file), format="wav") for file in turn.sounds]
    parts += [ContentText(text=turn.after)] if turn.after else []
    if turn.role == "system":
        return ChatMessageSystem(content=turn.after)
    if turn.role == "assistant":
        return ChatMessageAssistant(content=turn.after)
    return ChatMessageUser(content=parts or "")


def asks(run: Asked) -> Solver:
    """Put each question under the run's protocol."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        question = run.questions[str(state.sample_id)]
        with told_apart():
            state.messages = await aside(lambda: run.messages(question))
        settings: Any = run.protocol.settings(question.key, str(get_model()), question.options)
        return await generate(state, **settings)

    # Registered without arguments: the framework writes a solver's arguments into every sample.
    return solver(name="asks")(lambda: solve)()


def sample_of(question: Question, protocol: Protocol) -> Sample:
    """What the framework's viewer lists: the words that are put, the reference, the groups."""
    words = protocol.wording.word(question)
    return Sample(
        id=question.key,
        input=f"{words.before}[sound]{words.after}",
        target=list(question.answers) or "",
        metadata={"cluster": question.cluster or question.key, "task": question.task},
    )


def task_of(protocol: Protocol, folder: Path) -> Task:
    """The task of a protocol; sounds are written to `folder`."""
    run = asked(protocol, folder)
    for question in run.questions.values():
        check(question, run.others[question.key], protocol.condition, protocol.voice)
    return Task(
        dataset=MemoryDataset(
            [sample_of(q, protocol) for q in run.questions.values()], name=protocol.suite
        ),
        solver=asks(run),
        scorer=marks(protocol, run.questions, run.sounds),
        metadata={
            "protocol": protocol.arguments(),
            "questions": run.digest,
            "name": protocol.name(),
        },
        version=1,
    )


def sounds_folder() -> Path:
    """Where sounds are written."""
    return Path(os.environ.get(SOUNDS, "logs/sounds"))


@task(name="bench")
def bench(
    suite: str,
    data: str | list[str] = "",
    limit: int = 0,
    prompt: str = "",
    condition: str = "full",
    corruption: str = "",
    voice: str = "",
    language: str = "",
    texts: str = "",
    think: str | int = "free",
    samples: int = 1,
    temperature: float | None = None,
    max_tokens: int = 0,
    contrast: float = 0.0,
    without: str = "silence",
    constrained: bool = False,
    judge: str = "",
    verifier: str = "",
    verify: bool = True,
    seed: int = 0,
) -> Task:
    """One suite under one protocol; the arguments are the fields of `Protocol`."""
    data = data if isinstance(data, str) else ",".join(data)  # inspect's -T splits at commas
    protocol = Protocol(
        suite=suite, data=data, limit=limit, prompt=prompt, condition=condition,
        corruption=corruption, voice=voice, language=language, texts=texts, think=str(think),
        samples=samples, temperature=temperature, max_tokens=max_tokens, contrast=contrast,
        without=without, constrained=constrained, judge=judge, verifier=verifier,
        verify=verify, seed=seed,
    )  # fmt: skip
    return task_of(protocol, sounds_folder())
