"""The records that cross module boundaries, each with a worked example, and the callable shapes
that a new task, reward or filter must have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float32

Audio = Float32[np.ndarray, " _samples"]
"""One clip: mono, 16,000 samples per second, float32 within [-1, 1]."""

Fact = float | int | str
"""One synthesised quantity; its key carries the unit (`first_hz`, `gap_s`, `level_db`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A sound (or several), a question about it, and the one true answer.

    Example (task `pitch_direction`, two notes):
        key         "pitch_direction/train/1/17"   task / split / level / index
        clips       (array of 19,200 samples,)
        question    "Is the second note higher or lower than the first?"
        options     ("higher", "lower")            empty for an open answer
        answer      "lower"
        facts       {"first_hz": 523.25, "second_hz": 329.63}
        features    ("pitch",)                     what a grounded thought must name
        heard       ("I hear two notes: C5, E4.",) one sentence per clip: what is audible
        inference   "E4 is below C5, so it is lower."
    """

    key: str
    task: str
    clips: tuple[Audio, ...]
    question: str
    answer: str
    facts: Mapping[str, Fact]
    features: tuple[str, ...]
    heard: tuple[str, ...]
    inference: str
    options: tuple[str, ...] = ()
    level: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of a conversation: its clips, the text after them and, rarely, text before them.

    Example: Turn(role="human", text="What is heard?", clips=(clip,)) renders as
    `<|BOT|>human\\n<audio_start><audio_patch>*13<audio_end>What is heard?<|EOT|>` for 1 s of sound.
    """

    role: str
    text: str
    clips: tuple[Audio, ...] = ()
    before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the engine returns for one prompt.

    Example (budget reached after 3 thought tokens, then the answer):
        thought   "I hear two"        text between <think> and </think>, closing tag removed
        answer    "lower"
        tokens    (40, 41, 42, 5, 6, 7, 88, 2)   everything generated, forced tokens included
        logprobs  (-.1, -.2, -.1, 0, 0, 0, -.3, -.0)   under the sampling policy; forced ones are 0
        forced    (F, F, F, T, T, T, F, F)
        stop      "end"               "end": end-of-turn token; "length": token limit; "stop": a
                                      stop text or id; "loop": the same words again and again
        closed    "budget"            "model" | "budget" | "empty" (no thinking asked) | "open"
        thought_tokens 3              tokens before the closing tag
        certainties ()   per token, where asked for: see `engine.sampling.certainty`
        likeliest ()     per token, where asked for: ((id, log-probability), ...), () where forced
    """

    thought: str
    answer: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    forced: tuple[bool, ...]
    stop: str
    closed: str
    thought_tokens: int
    certainties: tuple[float, ...] = ()
    likeliest: tuple[tuple[tuple[int, float], ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A reply to an item: everything that a reward, a filter or a training batch needs.

    Example: Rollout(item=item, reply=reply, score=1.0) for a right answer.
    """

    item: Item
    reply: Reply
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a filter says of a rollout; `why` is what a tally counts.

    Example: Verdict(keep=False, why="answer is wrong").
    """

    keep: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A proportion with its 95 % Wilson interval.

    Example: 180 right of 200 -> Estimate(mean=0.9, low=0.851, high=0.934, n=200).
    """

    mean: float
    low: float
    high: float
    n: int


Task = Callable[[np.random.Generator, int], Item]
"""(random generator, level >= 1) -> item. Pure: the same generator state gives the same item."""

Reward = Callable[[Rollout], float]
"""rollout -> number in [0, 1]."""

Filter = Callable[[Rollout, Sequence[Rollout]], Verdict]
"""(rollout, all rollouts of the same item) -> verdict."""


class Policy(Protocol):
    """Anything that answers items: our engine, a server, a scripted stand-in for tests."""

    def sample(self, items: Sequence[Item], n: int) -> list[list[Reply]]:
        """n replies for each item, in the order of the items."""
        ...
