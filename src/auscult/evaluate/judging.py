"""Judges: a language model behind any endpoint scores an answer, and every reply is remembered.

Replies lie in the framework's cache, keyed by judge, prompt and settings, so a run that is resumed
or scored again asks nothing twice.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

from inspect_ai.model import (
    CachePolicy,
    ChatMessage,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    get_model,
)

from auscult.bench.question import Answer, Judged, Mark, Plea, Question
from auscult.faults import told_apart


def _settings(plea: Plea) -> GenerateConfig:
    """What the official script asks for."""
    given: dict[str, Any] = {
        "temperature": plea.temperature,
        "top_p": plea.top_p,
        "max_tokens": plea.max_tokens,
        "seed": plea.seed,
        "max_retries": 5,
        "attempt_timeout": 600,
    }
    return GenerateConfig(**{name: value for name, value in given.items() if value is not None})


def _messages(plea: Plea) -> list[ChatMessage]:
    system: list[ChatMessage] = [ChatMessageSystem(content=plea.system)] if plea.system else []
    return [*system, ChatMessageUser(content=plea.user)]


async def replies(pleas: Sequence[Plea], judge: str) -> list[str]:
    """The judge's replies to all requests, in order; a failing endpoint is the sample's error."""
    model = get_model(judge)
    found: list[str] = []
    for number, plea in enumerate(pleas):
        for place in range(plea.n):
            # One by one: not every server returns several choices. Equal requests are told apart
            # in the cache: five ratings are five draws.
            cache = CachePolicy(expiry=None, scopes={"place": f"{number}/{place}"})
            with told_apart():
                output = await model.generate(_messages(plea), config=_settings(plea), cache=cache)
            found.append(output.completion)
    return found


async def judged(rule: Judged, question: Question, answer: Answer, judge: str) -> Mark:
    """The mark that a judge's replies give; no request is made where the rule needs none."""
    pleas = rule.asks(question, answer)
    return rule.reads(question, answer, await replies(pleas, judge) if pleas else [])


RATING = """\
A model listened to a recording that you cannot hear, and was asked:
{question}
{options}It thought:
{thought}
and answered: {answer}

How likely is the answer to be right? Look for observations of the sound, for steps that follow
from them, and for an answer that is what they arrive at. Reply with one number from 0 (surely
wrong) to 10 (surely right), and nothing else."""
"""Ours: arXiv 2503.23395 selects by a language model's verdict and does not publish its words."""


async def rated(question: Question, answer: Answer, verifier: str) -> float:
    """A language model's rating of a reply, 0 to 1, for `selectors`; nan where it gives none."""
    options = f"Options: {', '.join(question.options)}\n" if question.options else ""
    said = RATING.format(
        question=question.text or "(the question is in the recording)", options=options,
        thought=answer.thought or "(nothing)", answer=answer.text or "(nothing)",
    )  # fmt: skip
    (reply,) = await replies([Plea(user=said, temperature=0.0, max_tokens=16)], verifier)
    found = re.search(r"\d+(?:\.\d+)?", reply)
    value = float(found[0]) / 10 if found else math.nan
    return value if 0 <= value <= 1 else math.nan
