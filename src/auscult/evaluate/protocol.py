"""How a benchmark is put to a model: everything that a number depends on besides the model."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any

import tyro

from auscult.audio.corrupt import CORRUPTIONS
from auscult.audio.respeak import SPEAKERS
from auscult.bench.question import Prompt, Question, Suite
from auscult.bench.suites import suite_named
from auscult.engine import Thinking
from auscult.evaluate.hearing import CONDITIONS

NANO = ("auscult/nano", "auscult/nano-base")
NANO_TOKENS = 160
"""Thought and answer of the shipped models, whatever a prompt's authors allow theirs."""

ANSWER_TOKENS = 128
"""Room for the answer after a budget of thought."""

PENALISED = ("auscult", "step-audio", "openai-api", "vllm", "sglang", "scripted")
"""Providers that take `repetition_penalty`; at others a prompt's penalty is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How one suite is put. Two runs can be compared when their protocols are equal.

    Example: Protocol(suite="mmsu", condition="silence", think="64").
    """

    suite: Annotated[str, tyro.conf.Suppress] = "gym"
    """which benchmark"""
    data: str = ""
    """folder of the benchmark's files (default data/SUITE); for the gym n=20,level=1,tasks=a+b"""
    limit: int = 0
    """only so many questions, evenly spread over tasks (0 = all)"""
    prompt: str = ""
    """official, report or what the suite has; default its first"""
    condition: str = "full"
    """full, no_audio, silence, noise, swapped, transcript or caption"""
    corruption: str = ""
    """one way of spoiling the sound"""
    voice: str = ""
    """one voice that speaks the question anew (extra [speech])"""
    language: str = ""
    """of the question"""
    texts: str = ""
    """JSON lines with key, transcript, caption, question_LANGUAGE, for sets without them"""
    think: str = "free"
    """free, none, or a number of tokens after which the thought is closed"""
    samples: int = 1
    """replies to each question"""
    temperature: float | None = None
    """of sampling; default the prompt's own, or 0"""
    max_tokens: int = 0
    """of thought and answer; default the prompt's own, or 2,048 (nano: 160)"""
    contrast: float = 0.0
    """strength of audio-aware decoding (our engine)"""
    without: str = "silence"
    """what it contrasts with: silence or nothing"""
    constrained: bool = False
    """hold the answer to the options that are offered (our engine)"""
    judge: str = ""
    """model that judges, as inspect_ai names it"""
    verifier: str = ""
    """model that rates each reply from 0 to 10, for the selectors that need one"""
    verify: bool = True
    """check every thought against the sound"""
    seed: int = 0
    """of sampling and of swapped sounds"""

    def __post_init__(self) -> None:
        Thinking.parse(self.think)
        found = suite_named(self.suite)
        _one_of("prompt", self.prompt, ["", *found.prompts])
        _one_of("condition", self.condition, list(CONDITIONS))
        _one_of("corruption", self.corruption, ["", *CORRUPTIONS])
        _one_of("voice", self.voice, ["", *SPEAKERS])
        if self.samples < 1 or self.limit < 0:
            raise ValueError(
                f"samples must be 1 or more and limit 0 or more; got {self.samples}, {self.limit}"
            )
        if self.max_tokens and self.budget is not None and self.budget >= self.max_tokens:
            raise ValueError(
                f"a thought of {self.budget} tokens leaves no room for an answer within "
                f"{self.max_tokens}: raise --max-tokens"
            )
        if not self.judge and found.mark is None:
            raise ValueError(
                f"{self.suite} is scored by a judge (its authors use {_model(found)}): pass "
                "--judge with a model as inspect_ai names it, such as openai/NAME"
            )
        if self.judge and found.judged is None:
            raise ValueError(f"{self.suite} is scored by a rule and takes no judge; leave it out")

    @property
    def found(self) -> Suite:
        """The suite itself."""
        return suite_named(self.suite)

    @property
    def wording(self) -> Prompt:
        """The prompt that is used."""
        return self.found.prompts[self.prompt or next(iter(self.found.prompts))]

    @property
    def budget(self) -> int | None:
        """Thought tokens: 0 none, None free."""
        return Thinking.parse(self.think).budget

    def tokens(self, model: str) -> int:
        """Thought and answer together: as given, else the prompt's with room beside the budget."""
        if self.max_tokens:
            return self.max_tokens
        if model in NANO:
            return max(NANO_TOKENS, (self.budget or 0) + ANSWER_TOKENS)
        return max(self.wording.max_tokens or 2048, (self.budget or 0) + ANSWER_TOKENS)

    def settings(self, key: str, model: str, options: Sequence[str] = ()) -> dict[str, Any]:
        """The framework's settings of the request for one question: what is None or absent is the
        model's default. The seed is the question's own, and so are the options."""
        wording, provider = self.wording, model.split("/")[0]
        temperature = wording.temperature if self.temperature is None else self.temperature
        extra: dict[str, Any] = {}
        if wording.repetition_penalty not in (None, 1.0) and provider in PENALISED:
            extra["repetition_penalty"] = wording.repetition_penalty
        if self.contrast:
            extra |= {"contrast": self.contrast, "without": self.without}
        if self.constrained and options:
            extra["options"] = list(options)
        if self.samples > 1 and provider == "auscult":
            extra["certainty"] = True
        given = {
            "temperature": temperature or 0.0,
            "max_tokens": self.tokens(model),
            "seed": int(hashlib.sha256(f"{self.seed}/{key}".encode()).hexdigest()[:7], 16),
            "num_choices": self.samples if self.samples > 1 else None,
            "reasoning_tokens": self.budget,
            "extra_body": extra or None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def arguments(self) -> dict[str, Any]:
        """What differs from the defaults: the arguments of the framework's task."""
        shown = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "suite"}
        defaults = {f.name: f.default for f in fields(self)}
        return {"suite": self.suite} | {k: v for k, v in shown.items() if v != defaults[k]}

    def name(self) -> str:
        """Short, for people: "mmsu, silence, think 64"."""
        parts = [self.suite, *(p for p in (self.condition,) if p != "full")]
        given = self.arguments()
        for key in ("prompt", "corruption", "voice", "language", "judge"):
            parts += [str(given[key])] if key in given else []
        parts += ["constrained"] if self.constrained else []
        for key in ("think", "samples", "contrast", "without", "temperature", "limit", "seed"):
            parts += [f"{key} {given[key]}"] if key in given else []
        return ", ".join(parts)


def differences(first: Protocol, second: Protocol) -> dict[str, tuple[Any, Any]]:
    """Field -> the two values, where they differ in what a number depends on."""
    a, b = asdict(first), asdict(second)
    return {k: (a[k], b[k]) for k in a if a[k] != b[k] and k != "verify"}


def digest(questions: Sequence[Question], size: int = 0) -> str:
    """A fingerprint of what is asked, as published: keys, words, options, references, tasks,
    clusters, names of sounds, and the bytes of all files together."""
    told = [
        [q.key, q.text, q.options, q.answers, q.task, q.cluster, [s.name for s in q.sounds]]
        for q in questions
    ]
    text = json.dumps([told, size], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        known = ", ".join(a for a in allowed if a)
        raise ValueError(f"unknown {name} {value!r}; expected one of {known}")


def _model(suite: Suite) -> str:
    return suite.judged.model if suite.judged else "none"
