"""One reply as it is written: what may come next, what a token does, when it ends."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auscult.engine.constraint import Progress
from auscult.engine.request import before
from auscult.engine.sampling import Sampling, penalise
from auscult.engine.thinking import CLOSE_TAG, Row, Tags, Thinking, advance
from auscult.types import Reply

_LOOK = 16  # tokens between two looks for a loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the model chose for a row: the token, its log-probability, and where they are kept its
    certainty and the likeliest tokens with theirs."""

    token: int
    logprob: float
    certainty: float | None = None
    likeliest: tuple[tuple[int, float], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a row made of it: the token that follows (another one where it is forced), how many
    earlier tokens it withdrew, and why it ended, if it did."""

    token: int
    logprob: float
    forced: bool
    taken_back: int
    stop: str


class Writer:
    """A reply with its settings, its random numbers, and what was written."""

    def __init__(
        self, tags: Tags, ends: frozenset[int], sampling: Sampling, thinking: Thinking,
        progress: Progress | None, seed: tuple[int, int],
    ) -> None:  # fmt: skip
        """ends: the tokens that end a reply; progress: of the answer's form, if it has one."""
        self.tags, self.ends = tags, ends
        self.sampling, self.thinking, self.progress = sampling, thinking, progress
        self.draws = np.random.default_rng(seed)
        self.row = Row()
        self.likeliest: list[tuple[tuple[int, float], ...]] = []
        self.fault: Exception | None = None  # of a rule, told when the token is taken
        self.answer: int | None = None  # the place of the answer's first token, once it is known
        if thinking.budget == 0:
            self.row.pending, self.row.closed = list(tags.close_ids), "empty"
        elif thinking.opening:
            self.row.pending = tags.encode(thinking.opening)

    @property
    def plain(self) -> bool:
        """May any token come next?"""
        early = len(self.row.tokens) < max(1, self.sampling.min_tokens)
        return self.progress is None and not early

    def rule(self, logits: Tensor) -> None:
        """Set to -inf what may not come next; `logits` [V] is this row's."""
        row, tags = self.row, self.tags
        if not row.tokens and row.closed == "open" and self.thinking.minimum > 0:
            logits[torch.tensor(tags.empty_starts)] = -torch.inf
        if len(row.tokens) + 1 < self.sampling.min_tokens and self.progress is None:
            logits[torch.tensor(sorted(self.ends))] = -torch.inf
        if self.progress is not None and not row.pending:
            if self.answer is not None:
                allowed = torch.from_numpy(self.progress.allowed())
                kept = logits[allowed]
                logits.fill_(-torch.inf)[allowed] = kept
            elif tags.begins_tag(row.tokens):
                logits[torch.tensor(tags.beyond_tag, dtype=torch.long)] = -torch.inf

    def take(self, choice: Choice, *, room: bool) -> Step:
        """The next token. `room`: the cache holds another one after it.

        Raises `FloatingPointError` where the model had no distribution to choose from, and
        `ValueError` where an answer cannot go on in its form.
        """
        if self.fault is not None:
            raise self.fault
        row = self.row
        forced = bool(row.pending)
        if not forced and not np.isfinite(choice.logprob):
            raise FloatingPointError(
                "there is no finite next-token distribution: the weights or the audio features "
                "hold NaN or infinity, or the settings leave no token to choose"
            )
        self._append(row.pending.pop(0) if forced else choice.token, choice, forced=forced)
        taken = self._follow(forced)
        if taken:  # the continuation follows the last token that remains
            del self.likeliest[len(row.tokens) :]
            self._append(row.pending.pop(0), choice, forced=True)
        return Step(
            token=row.tokens[-1], logprob=row.logprobs[-1], forced=row.forced[-1],
            taken_back=max(0, taken - 1), stop=self._stop(room),
        )  # fmt: skip

    def _follow(self, forced: bool) -> int:
        """What the last token means for thought, answer and form; how many are taken back."""
        row = self.row
        if row.pending:
            return 0
        if row.closed == "open":
            ruled = self.progress is not None
            taken = advance(row, self.thinking, self.tags, self.ends, answers=ruled)
            if self.row.closed == "model" and not row.pending:
                self._begin_answer()
            return taken
        if self.answer is None:
            self.answer = len(row.tokens)
        elif self.progress is not None and not forced and row.tokens[-1] not in self.ends:
            self.progress.take(row.tokens[-1])
        return 0

    def reply(self, stop: str) -> Reply:
        """What was written, ended for this reason."""
        row = self.row
        thought, tag, answer = self.tags.text(row.tokens).partition(CLOSE_TAG)
        return Reply(
            thought=thought.strip(),
            answer=before(answer.lstrip("\n"), self.sampling.stop).strip() if tag else "",
            tokens=tuple(row.tokens),
            logprobs=tuple(row.logprobs),
            forced=tuple(row.forced),
            stop=stop,
            closed=row.closed,
            thought_tokens=row.thought_tokens if tag else len(row.tokens),
            certainties=tuple(row.certainties),
            likeliest=tuple(self.likeliest),
        )

    def _append(self, token: int, choice: Choice, *, forced: bool) -> None:
        self.row.append(token, 0.0 if forced else choice.logprob, forced, choice.certainty)
        if self.sampling.logprobs:
            self.likeliest.append((choice.likeliest or ()) if not forced else ())

    def _begin_answer(self) -> None:
        """The thought's tag was just written, with the line break after it or without one."""
        row = self.row
        after = self.tags.text(row.tokens[-12:]).rpartition(CLOSE_TAG)[2]
        if self.progress is not None and not after:
            row.pending = self.tags.encode("\n")
        else:
            self.answer = len(row.tokens)

    def _stop(self, room: bool) -> str:
        row, sampling = self.row, self.sampling
        last, count = row.tokens[-1], len(row.tokens)
        if not row.pending:
            if last in self.ends:
                return "end"
            if last in sampling.stop_ids or (sampling.stop and self._stop_text()):
                return "stop"
            if sampling.loop and count % _LOOK == 0 and repeats(row.tokens, sampling.loop):
                return "loop"
        return "length" if count >= sampling.max_tokens or not room else ""

    def _stop_text(self) -> bool:
        """Did the answer's last token complete a stop text?"""
        if self.answer is None:
            return False
        # A token may be one byte, a letter four of them; before these the text was looked at.
        span = 4 * max(len(text) for text in self.sampling.stop) + 8
        text = self.tags.text(self.row.tokens[max(self.answer, len(self.row.tokens) - span) :])
        return any(stop in text for stop in self.sampling.stop)


def repeats(tokens: list[int], window: int) -> bool:
    """Are the last `window` tokens one block, of at most a quarter of them, again and again?"""
    tail = tokens[-window:]
    if len(tail) < window:
        return False
    periods = (p for p in range(1, window // 4 + 1) if tail[-1] == tail[-1 - p])
    return any(tail[p:] == tail[:-p] for p in periods)


def ruled(logits: Tensor, writers: list[Writer], never: int) -> Tensor:
    """The rules of each row on its logits [B, V], in place: no token `never` (the placeholder of
    sound), the rows' own rules, and their repetition penalties."""
    logits[:, never] = -torch.inf
    for row, writer in zip(logits, writers, strict=True):
        if writer.plain:
            continue
        try:
            writer.rule(row)
        except Exception as error:  # of a form, whose compiler may fail in any way
            writer.fault = error
    said: list[tuple[int, int, float]] = [
        (i, token, w.sampling.repetition_penalty)
        for i, w in enumerate(writers) if w.sampling.repetition_penalty != 1.0
        for token in set(w.row.tokens)
    ]  # fmt: skip
    if said:
        rows, tokens, penalties = zip(*said, strict=True)
        where: Any = torch.tensor(rows), torch.tensor(tokens)
        logits[where] = penalise(logits[where], torch.tensor(penalties, device=logits.device))
    return logits
