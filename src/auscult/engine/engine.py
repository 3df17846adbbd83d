"""Batched generation: refill of finished rows, exact log-probabilities, control of the thought."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from auscult.engine.decoder import FastDecoder
from auscult.engine.reading import Reading
from auscult.engine.sampling import Sampling, certainty, choose, contrasted, penalise
from auscult.engine.thinking import CLOSE_TAG, Row, Tags, Thinking, advance
from auscult.gym.render import question_turns
from auscult.model import StepAudio2ForCausalLM, StepAudio2Processor
from auscult.model.processor import pad_features
from auscult.types import Audio, Item, Reply, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One generated token: `request` is its prompt's number; `stop` is "" until the last token.
    `taken_back` tokens of the same request were withdrawn before it."""

    request: int
    token: int
    forced: bool
    taken_back: int
    row: Row
    stop: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A conversation as the decoder reads it, once for every reply.

    number: of the request; seed: of this reply's random numbers; source: prompts of the same
    conversation share it, and are read once; deaf: the same without its sound, for contrast.
    """

    number: int
    seed: tuple[int, int]
    source: int
    ids: list[int]
    clips: list[Audio]
    deaf: "Prompt | None" = None


Feed = Callable[[int], list[Prompt]]
"""(the most tokens that a prompt may have) -> prompts that have come in since the last call."""


class Engine:
    """Generation for one model. It is a `Policy`; after training the model, call `sync`."""

    def __init__(
        self,
        model: StepAudio2ForCausalLM,
        processor: StepAudio2Processor,
        *,
        rows: int = 64,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
    ) -> None:
        self.model, self.processor = model.eval(), processor
        self.decoder = FastDecoder(model)
        self.rows = rows
        self.sampling = sampling or Sampling()
        self.thinking = thinking or Thinking()
        eos = model.config.eos_token_id
        self.stops = frozenset([eos] if isinstance(eos, int) else eos or [])
        self.tags = Tags(processor.tokenizer, model.config.vocab_size, self.stops)

    def sync(self) -> None:
        """Read the model's weights again."""
        self.decoder.sync()

    def sample(self, items: Sequence[Item], n: int = 1) -> list[list[Reply]]:
        """n replies for each item; see `Policy`."""
        return self.several([question_turns(item) for item in items], n)

    def several(
        self,
        conversations: Sequence[Sequence[Turn]],
        n: int,
        *,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
        draws: Sequence[int] | None = None,
    ) -> list[list[Reply]]:
        """n replies to each conversation. `draws` number the conversations for the random
        generator, so that a share of a list samples what the whole list would."""
        draws = range(len(conversations)) if draws is None else draws
        numbers = [d * n + k for d in draws for k in range(n)]
        done: dict[int, Reply] = {}
        events = self.run(
            [turns for turns in conversations for _ in range(n)],
            sampling=sampling, thinking=thinking, draws=numbers,
        )  # fmt: skip
        for event in events:
            if event.stop:
                done[event.request] = self.reply_of(event.row, event.stop)
        return [[done[i * n + k] for k in range(n)] for i in range(len(conversations))]

    def reply(
        self,
        conversations: Sequence[Sequence[Turn]],
        *,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
    ) -> list[Reply]:
        """One reply to each conversation, in their order."""
        replies = self.several(conversations, 1, sampling=sampling, thinking=thinking)
        return [reply for (reply,) in replies]

    def stream(
        self,
        conversation: Sequence[Turn],
        *,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
    ) -> Iterator[tuple[str, str]]:
        """("thought" | "answer", text) pieces as they come, then ("stop", reason)."""
        writer = _Writer(self.tags)
        for event in self.run([conversation], sampling=sampling, thinking=thinking):
            yield from writer.feed(event.row.tokens, final=bool(event.stop))
            if event.stop:
                yield "stop", event.stop

    @torch.inference_mode()
    def run(
        self,
        conversations: Sequence[Sequence[Turn]],
        *,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
        draws: Sequence[int] | None = None,
    ) -> Iterator[Event]:
        """All tokens of all replies as they are made. Rows that finish leave at once and are
        refilled from the queue. The same conversation object given several times is read once."""
        sampling, thinking = sampling or self.sampling, thinking or self.thinking
        known: dict[int, Prompt] = {}
        prompts: list[Prompt] = []
        for i, turns in enumerate(conversations):
            first = known.get(id(turns)) or self.prepare(i, turns, sampling)
            known[id(turns)] = first
            seed = (sampling.seed, draws[i] if draws else i)
            prompts.append(replace(first, number=i, seed=seed))
        yield from self.flow(prompts, sampling, thinking)

    @torch.inference_mode()
    def flow(
        self, prompts: list[Prompt], sampling: Sampling, thinking: Thinking,
        feed: Feed | None = None,
    ) -> Iterator[Event]:  # fmt: skip
        """The tokens of these prompts and of those that `feed` brings while they are written."""
        # Long prompts first: prompts of similar length are read together.
        queue = deque(sorted(prompts, key=lambda p: (-len(p.ids), p.source)))
        yield from _Batch(self, queue, sampling, thinking, feed).run()

    def prepare(self, number: int, turns: Sequence[Turn], sampling: Sampling) -> Prompt:
        """A conversation as the decoder reads it. Raises `ValueError` for one that is too long."""
        prompt = self._prompt(number, turns)
        if not sampling.contrast:
            return prompt
        if sampling.without == "silence":  # as long, and nothing in it
            return replace(
                prompt, deaf=replace(prompt, clips=[np.zeros_like(c) for c in prompt.clips])
            )
        deaf = [replace(turn, clips=()) for turn in turns]
        return replace(prompt, deaf=self._prompt(number, deaf))

    def _prompt(self, number: int, turns: Sequence[Turn]) -> Prompt:
        text, clips = self.processor.render(turns)
        ids = self.processor.token_ids(text, [self.processor.frames(clip) for clip in clips])
        if len(ids) >= self.decoder.limit:
            raise ValueError(
                f"prompt {number} has {len(ids)} tokens; the model reads at most "
                f"{self.decoder.limit - 1}: shorten the audio or the text"
            )
        return Prompt(number=number, seed=(0, number), source=number, ids=ids, clips=clips)

    def reply_of(self, row: Row, stop: str) -> Reply:
        """A finished row as a reply."""
        thought, tag, answer = self.tags.text(row.tokens).partition(CLOSE_TAG)
        return Reply(
            thought=thought.strip(),
            answer=answer.strip() if tag else "",
            tokens=tuple(row.tokens),
            logprobs=tuple(row.logprobs),
            forced=tuple(row.forced),
            stop=stop,
            closed=row.closed,
            thought_tokens=row.thought_tokens if tag else len(row.tokens),
            certainties=tuple(row.certainties),
        )


class _Batch:
    """The rows in flight of one call of `Engine.flow`."""

    def __init__(
        self, engine: Engine, queue: deque[Prompt], sampling: Sampling, thinking: Thinking,
        feed: Feed | None,
    ) -> None:  # fmt: skip
        self.engine, self.queue, self.sampling, self.thinking = engine, queue, sampling, thinking
        self.decoder, self.feed = engine.decoder, feed
        longest = max((len(p.ids) for p in queue), default=0)
        spare = longest // 4 if feed else 0  # later prompts may be longer
        self.capacity = min(longest + spare + sampling.max_tokens + 16, self.decoder.limit)
        self.rows: list[Row | None] = [None] * min(engine.rows, len(queue))
        self.readings = [
            Reading(self.decoder, len(self.rows), self.capacity)
            for _ in range(2 if sampling.contrast else 1)
        ]
        self.draws: dict[int, np.random.Generator] = {}
        self.next = torch.zeros(len(self.rows), dtype=torch.long, device=self.decoder.device)

    def run(self) -> Iterator[Event]:
        """Alternate between reading new prompts and writing one token in every row."""
        while self._fed() or any(self.rows):
            free = [i for i, row in enumerate(self.rows) if row is None]
            if self.queue and (len(free) * 8 >= len(self.rows) or len(free) == len(self.rows)):
                yield from self._admit(free[: len(self.queue)])
            elif not self.queue and len(free) * 2 >= len(self.rows):
                self._compact()
            if any(self.rows):
                yield from self._step()

    def _fed(self) -> bool:
        """Take in what has come; are there prompts to be read?"""
        if self.feed is not None:
            # Where the model's own limit bounds the cache, replies are cut by it and not by ours.
            full = self.capacity == self.decoder.limit
            room = 1 if full else self.sampling.max_tokens
            self.queue.extend(self.feed(self.capacity - room - 16))
            wanted = min(self.engine.rows, len(self.queue) + sum(r is not None for r in self.rows))
            if wanted > len(self.rows):
                self._grow(wanted)
        return bool(self.queue)

    def _grow(self, rows: int) -> None:
        more = rows - len(self.rows)
        self.rows += [None] * more
        self.next = torch.cat([self.next, self.next.new_zeros(more)])
        for reading in self.readings:
            reading.grow(rows)

    def _admit(self, slots: list[int]) -> Iterator[Event]:
        """Read as many waiting prompts as there are free rows, and choose their first tokens.

        Prompts that are the same conversation (samples of one question) are read once.
        """
        prompts = [self.queue.popleft() for _ in slots]
        sources = list(dict.fromkeys(p.source for p in prompts))
        which = [sources.index(p.source) for p in prompts]
        firsts = [prompts[which.index(i)] for i in range(len(sources))]
        logits = [
            reading.read(*self._embed(some), slots, which)
            for reading, some in zip(
                self.readings, (firsts, [p.deaf for p in firsts if p.deaf]), strict=False
            )
        ]
        for slot, prompt in zip(slots, prompts, strict=True):
            row = Row(request=prompt.number)
            if self.thinking.budget == 0:
                row.pending, row.closed = list(self.engine.tags.close_ids), "empty"
            elif self.thinking.opening:
                row.pending = self.engine.tags.encode(self.thinking.opening)
            self.rows[slot] = row
            self.draws[prompt.number] = np.random.default_rng(prompt.seed)
        yield from self._take(logits, slots)

    def _embed(self, prompts: list[Prompt]) -> tuple[Tensor, Tensor]:
        """Decoder inputs [b, T, D] of right-padded prompts, and their lengths [b]."""
        device, engine = self.decoder.device, self.engine
        lengths = torch.tensor([len(p.ids) for p in prompts], device=device)
        ids = torch.zeros(len(prompts), int(lengths.max()), dtype=torch.long, device=device)
        for row, prompt in zip(ids, prompts, strict=True):
            row[: len(prompt.ids)] = torch.tensor(prompt.ids)
        mels = [engine.processor.features(clip) for p in prompts for clip in p.clips]
        features, frames = pad_features(mels) if mels else (None, None)
        if features is not None and frames is not None:
            features, frames = features.to(device), frames.to(device)
        return engine.model.embed(ids, features, frames), lengths

    def _step(self) -> Iterator[Event]:
        slots = [i for i, row in enumerate(self.rows) if row is not None]
        yield from self._take([r.step(self.next, slots) for r in self.readings], slots)

    def _take(self, read: list[Tensor], slots: list[int]) -> Iterator[Event]:
        """Choose the next token of each of these rows and hand it out."""
        rows = [row for i in slots if (row := self.rows[i]) is not None]
        sure = certainty(read[0]).tolist() if self.sampling.certainty else [None] * len(rows)
        logits = self._masked(contrasted(read, self.sampling.contrast), rows)
        drawn = [self.draws[r.request].random() for r in rows]
        uniform = torch.tensor(drawn, device=logits.device)
        tokens, logprobs = choose(logits, uniform, self.sampling)
        chosen, values = tokens.tolist(), logprobs.tolist()
        following: list[int] = []
        for slot, row, token, value, known in zip(slots, rows, chosen, values, sure, strict=True):
            forced = bool(row.pending)
            token = row.pending.pop(0) if forced else token
            row.append(token, 0.0 if forced else value, forced, known)
            taken = 0
            if row.closed == "open" and not row.pending:
                taken = advance(row, self.thinking, self.engine.tags, self.engine.stops)
            stop = self._stop(row, slot)
            # After a withdrawal the continuation follows the last token that remains.
            following.append(row.pending.pop(0) if taken and not stop else token)
            if taken and not stop:
                row.append(following[-1], 0.0, True, None if known is None else 0.0)
                self._shorten(slot, taken - 1)
            yield Event(
                request=row.request, token=following[-1], forced=forced, taken_back=taken,
                row=row, stop=stop,
            )  # fmt: skip
            if stop:
                self.rows[slot] = None
                del self.draws[row.request]
        self.next[torch.tensor(slots)] = torch.tensor(following, device=self.next.device)

    def _masked(self, logits: Tensor, rows: list[Row]) -> Tensor:
        """Rules on logits: no placeholder for sound, no empty thought, repetition penalty."""
        logits[:, self.engine.model.config.audio_patch_token_id] = -torch.inf
        opening = [
            i for i, r in enumerate(rows)
            if not r.tokens and r.closed == "open" and self.thinking.minimum > 0
        ]  # fmt: skip
        if opening:
            grid = torch.tensor(opening)[:, None], torch.tensor(self.engine.tags.empty_starts)
            logits[grid] = -torch.inf
        if self.sampling.repetition_penalty != 1.0:
            seen = torch.zeros_like(logits)
            for i, row in enumerate(rows):
                seen[i, torch.tensor(row.tokens, dtype=torch.long)] = 1
            logits = penalise(logits, seen, self.sampling.repetition_penalty)
        return logits

    def _stop(self, row: Row, slot: int) -> str:
        if row.tokens and not row.pending and row.tokens[-1] in self.engine.stops:
            return "end"
        full = max(r.lengths[slot] for r in self.readings) + 1 >= self.capacity
        return "length" if len(row.tokens) >= self.sampling.max_tokens or full else ""

    def _shorten(self, slot: int, n: int) -> None:
        for reading in self.readings:
            reading.shorten(slot, n)

    def _compact(self) -> None:
        """Drop empty rows, so that the last replies do not pay for the finished ones."""
        kept = [i for i, row in enumerate(self.rows) if row is not None]
        if not kept:
            return
        for reading in self.readings:
            reading.keep(kept)
        self.rows = [self.rows[i] for i in kept]
        self.next = self.next[torch.tensor(kept, device=self.next.device)]


class _Writer:
    """Turns growing token lists into text pieces without cutting characters or showing the tag."""

    def __init__(self, tags: Tags) -> None:
        self.tags = tags
        self.sent = {"thought": 0, "answer": 0}

    def feed(self, tokens: list[int], *, final: bool) -> Iterator[tuple[str, str]]:
        """What can be shown now and was not shown before."""
        thought, tag, answer = self.tags.text(tokens).partition(CLOSE_TAG)
        if not tag and not final:
            # Hold back what could still become the tag, or half a character.
            cut = thought.rfind("<")
            thought = thought[:cut] if cut >= 0 and CLOSE_TAG.startswith(thought[cut:]) else thought
        parts = {"thought": thought.strip("\n"), "answer": answer.lstrip("\n")}
        for name, value in parts.items():
            value = value if final else value.rstrip("\ufffd")
            if len(value) > self.sent[name]:
                yield name, value[self.sent[name] :]
                self.sent[name] = len(value)
