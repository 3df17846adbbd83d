"""Control of the thought: none, a budget, a minimum, or free.

A reply starts inside the thought, because the prompt ends with `<think>\\n`. `</think>` is ordinary
text and may be cut into tokens in several ways, so it is recognised in the text and not by an id.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from transformers import PreTrainedTokenizerBase

from auscult.model.processor import THINK_CLOSE, plain_ids

CLOSE_TAG = "</think>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """What the model may think.

    budget: None = free; 0 = no thinking (empty thought); n = after n thought tokens the thought is
    closed. minimum: a thought that would close before so many tokens continues with `continuation`
    instead. A minimum of 1 only forbids the empty thought, and it does so at the first token.
    A minimum of 0 without budget leaves everything to the model. opening: words that the thought
    starts with ("I hear"), forced and not sampled; "" = none.
    Examples: Thinking() free but not empty; Thinking(budget=0); Thinking(budget=64, minimum=16).
    """

    budget: int | None = None
    minimum: int = 1
    continuation: str = " Wait,"
    opening: str = ""

    def __post_init__(self) -> None:
        if self.minimum < 0:
            raise ValueError(f"the thinking minimum must be 0 or more tokens; got {self.minimum}")
        if CLOSE_TAG in self.opening or CLOSE_TAG in self.continuation:
            raise ValueError(
                f"neither opening nor continuation may hold {CLOSE_TAG}, which ends the thought; "
                "budget=0 asks for an answer without one"
            )
        if not self.continuation:
            raise ValueError("the continuation must hold at least one word; it is empty")
        if self.budget is not None and self.budget < 0:
            raise ValueError(f"the thinking budget must be 0 or more tokens; got {self.budget}")
        if self.budget and self.minimum > self.budget:
            raise ValueError(
                f"the minimum of {self.minimum} thought tokens is above the budget of {self.budget}"
            )

    @classmethod
    def parse(cls, text: str) -> "Thinking":
        """ "none", "free" or a number of tokens, as on the command line."""
        if text == "none":
            return cls(budget=0)
        if text == "free":
            return cls()
        if not text.isdigit():
            raise ValueError(f"--think takes none, free or a number of tokens; got {text!r}")
        return cls(budget=int(text))


class Tags:
    """What the tokenizer makes of the closing tag; computed once per engine."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, size: int, stops: Iterable[int] = ()
    ) -> None:
        self.tokenizer = tokenizer
        texts = [str(tokenizer.decode([i])) if i < len(tokenizer) else "" for i in range(size)]
        self.ends_tag = frozenset(i for i, text in enumerate(texts) if ">" in text)
        # Tokens that would close the thought and begin the answer at once.
        self.beyond_tag = [i for i in self.ends_tag if texts[i].partition(">")[2].strip("\n")]
        self.special = frozenset([*tokenizer.all_special_ids, *stops])
        self.empty_starts = [
            i
            for i, text in enumerate(texts)
            if i in self.special or not text.strip() or text.lstrip().startswith("<")
        ]
        self.close_ids = self.encode(THINK_CLOSE)

    def encode(self, text: str) -> list[int]:
        """Ids of plain text."""
        return plain_ids(self.tokenizer, text)

    def text(self, tokens: list[int]) -> str:
        """What a reader sees of these tokens: all but the special ones."""
        return str(self.tokenizer.decode([t for t in tokens if t not in self.special]))

    def begins_tag(self, tokens: list[int]) -> bool:
        """Do the last tokens spell a beginning of `</think>`?"""
        tail = str(self.tokenizer.decode(tokens[-8:]))
        cut = tail.rfind("<")
        return cut >= 0 and CLOSE_TAG.startswith(tail[cut:])

    def tag_length(self, tokens: list[int]) -> int:
        """How many of the last tokens spell `</think>`; 0 if they do not end with it."""
        if tokens[-1] not in self.ends_tag:
            return 0
        for n in range(1, min(len(tokens), 12) + 1):
            if CLOSE_TAG in self.tokenizer.decode(tokens[-n:]):
                return n
        return 0


@dataclass(slots=True)
class Row:
    """The progress of one reply."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    forced: list[bool] = field(default_factory=list)
    certainties: list[float] = field(default_factory=list)  # empty unless asked for
    pending: list[int] = field(default_factory=list)  # tokens that will be forced next
    closed: str = "open"  # "model" | "budget" | "empty"
    thought_tokens: int = 0

    def append(
        self, token: int, logprob: float, forced: bool, certainty: float | None = None
    ) -> None:
        """Take the next token; `certainty` where it is kept."""
        if certainty is not None:
            self.certainties.append(certainty)
        self.tokens.append(token)
        self.logprobs.append(logprob)
        self.forced.append(forced)

    def drop(self, n: int) -> None:
        """Take the last n tokens back."""
        for values in (self.tokens, self.logprobs, self.forced, self.certainties):
            del values[max(0, len(values) - n) :]


def advance(
    row: Row, thinking: Thinking, tags: Tags, stops: frozenset[int] = frozenset(), *,
    answers: bool = False,
) -> int:  # fmt: skip
    """Apply the rules after a token of the thought; returns how many tokens were taken back.

    Called while `row.closed == "open"` and nothing is pending. A reply that would end inside its
    thought is treated as one that would close it, where the thought has any rule or the reply must
    have an answer (`answers`); a budget that ends within a half-written tag waits for the tag.
    """
    ruled = thinking.minimum > 0 or thinking.budget is not None or answers
    if ruled and row.tokens[-1] in stops:
        return _end_inside(row, thinking, tags)
    n = tags.tag_length(row.tokens)
    if n:
        before = len(row.tokens) - n
        if before >= thinking.minimum:
            row.closed, row.thought_tokens = "model", before
            return 0
        row.drop(n)
        row.pending = tags.encode(thinking.continuation)
        return n
    spent = thinking.budget is not None and len(row.tokens) >= thinking.budget
    if spent and not tags.begins_tag(row.tokens):
        row.closed, row.thought_tokens = "budget", len(row.tokens)
        row.pending = list(tags.close_ids)
    return 0


def _end_inside(row: Row, thinking: Thinking, tags: Tags) -> int:
    """The end-of-turn token came before the closing tag: go on, or close and let it answer."""
    row.drop(1)
    if len(row.tokens) < thinking.minimum:
        row.pending = tags.encode(thinking.continuation)
    else:
        row.closed, row.thought_tokens = "model", len(row.tokens)
        row.pending = list(tags.close_ids)
    return 1
