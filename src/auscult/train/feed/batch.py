"""Rows and batches: the one place where positions, attention and loss masks are made.

A row is one prompt with any number of replies to it. The prompt stands once, the replies follow one
another, and none of them sees another: sixteen samples of one question cost one reading of its
sound. SFT (one reply or K kept ones), PPO (all samples) and DPO (chosen and rejected) all use it.

Shapes: B rows, T positions, n trained tokens of all replies, C clips, M mel bins, L frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from auscult.model.processor import StepAudio2Processor, pad_features, plain_ids
from auscult.types import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One prompt and its replies as numbers.

    Example: prompt=(5, 9, 2), replies=((7, 1), (8, 8, 1)), numbers=(0, 1): the last prompt token
    predicts 7 and 8. `forced` marks reply tokens that the model did not choose: they are read but
    never trained on; () = none. `sampled`: the sampler's log-probabilities. `labels`: per clip, for
    the alignment loss. `heard`: per clip, in place of `mels`, what a frozen encoder made of it and
    its number of mel frames.
    """

    prompt: tuple[int, ...]
    replies: tuple[tuple[int, ...], ...]
    mels: tuple[Tensor, ...] = ()
    heard: tuple[tuple[Tensor, int], ...] = ()
    numbers: tuple[int, ...] = (0,)
    forced: tuple[tuple[bool, ...], ...] = ()
    sampled: tuple[tuple[float, ...], ...] = ()
    labels: tuple[tuple[int, ...], ...] = ()

    @property
    def length(self) -> int:
        """Tokens of the row."""
        return len(self.prompt) + sum(map(len, self.replies))

    @property
    def cost(self) -> int:
        """Roughly the work of the row: encoder frames at 50 Hz, where it is to run, and tokens."""
        return sum(m.shape[1] for m in self.mels) // 2 + self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Right-padded rows. `source` are the positions, in the flattened [B * T], that predict
    `targets`; `reply` is the number of the reply that each of them belongs to, in the order of the
    rows, so prompt, sound and padding can never train."""

    input_ids: Int[Tensor, "B T"]
    positions: Int[Tensor, "B T"]
    segments: Int[Tensor, "B T"]  # 0 = prompt, 1.. = reply, -1 = padding
    source: Int[Tensor, " n"]
    targets: Int[Tensor, " n"]
    reply: Int[Tensor, " n"]
    input_features: Tensor | None = None  # [C, M, L]
    feature_lengths: Tensor | None = None  # [C]
    sampled: Tensor | None = None  # [n]: the sampler's log-probabilities of the targets
    labels: Tensor | None = None  # [C, S] padded with -1
    heard: Tensor | None = None  # [C, P, S]: the frozen encoder's output, once it is known

    def attention(self, dtype: torch.dtype) -> Tensor | None:
        """Who sees whom: None where plain causal attention is enough (padding stands last and is
        never a source), else an additive mask [B, 1, T, T]."""
        if int(self.segments.max()) <= 1:
            return None
        mask = torch.zeros(visible(self.segments).shape, dtype=dtype, device=self.segments.device)
        mask.masked_fill_(~visible(self.segments), torch.finfo(dtype).min)
        return mask[:, None]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        tensors = {n: v for n in self.__slots__ if isinstance(v := getattr(self, n), Tensor)}
        return replace(self, **{n: v.to(device) for n, v in tensors.items()})


def visible(segments: Int[Tensor, "B T"]) -> Bool[Tensor, "B T T"]:
    """[b, i, j]: may position i see position j? Earlier ones of its own reply and of the prompt,
    and always itself, so that no row of the softmax is empty."""
    width = segments.shape[1]
    same = segments[:, :, None] == segments[:, None, :]
    prompt = segments[:, None, :] == 0
    earlier = torch.ones(width, width, dtype=torch.bool, device=segments.device).tril()
    return (same | prompt) & earlier


def encode(
    turns: Sequence[Turn],
    replies: Sequence[str],
    processor: StepAudio2Processor,
    labels: Sequence[str] = (),
    heard: Sequence[Tensor] | None = None,
) -> Encoded:
    """Prompt by the chat template; each reply is closed with the end-of-turn token. `heard`: what
    the frozen encoder made of each clip; then of the clips only their lengths are read."""
    text, clips = processor.render(turns)
    frames = [processor.frames(clip) for clip in clips]
    mels = tuple(processor.features(clip) for clip in clips) if heard is None else ()
    prompt = processor.token_ids(text, frames)
    tokens = [(*plain_ids(processor.tokenizer, reply), processor.end_of_turn) for reply in replies]
    return Encoded(
        prompt=tuple(prompt),
        replies=tuple(tokens),
        mels=mels,
        heard=() if heard is None else tuple(zip(heard, frames, strict=True)),
        numbers=tuple(range(len(tokens))),
        labels=tuple(tuple(plain_ids(processor.tokenizer, text)) for text in labels),
    )


def collate(rows: Sequence[Encoded]) -> Batch:
    """Rows to one batch; clips of all rows follow each other in reading order."""
    width = max(row.length for row in rows)
    ids, positions = (torch.zeros(len(rows), width, dtype=torch.long) for _ in range(2))
    segments = torch.full((len(rows), width), -1)
    source: list[int] = []
    targets: list[int] = []
    reply: list[int] = []
    sampled: list[float] = []
    for b, row in enumerate(rows):
        end = len(row.prompt)
        ids[b, :end] = torch.tensor(row.prompt)
        positions[b, :end] = torch.arange(end)
        segments[b, :end] = 0
        for k, tokens in enumerate(row.replies):
            stop = end + len(tokens)
            ids[b, end:stop] = torch.tensor(tokens)
            first = len(row.prompt)
            positions[b, end:stop] = torch.arange(first, first + len(tokens))
            segments[b, end:stop] = k + 1
            for t, token in enumerate(tokens):
                if row.forced and row.forced[k][t]:
                    continue
                source.append(b * width + (end + t - 1 if t else first - 1))
                targets.append(token)
                reply.append(row.numbers[k])
                sampled += [row.sampled[k][t]] if row.sampled else [0.0]
            end = stop
    mels = [m for row in rows for m in row.mels]
    known = [clip for row in rows for clip in row.heard]
    if mels and known:
        raise ValueError("some rows of a batch were heard before and some were not; part them")
    features, lengths = pad_features(mels) if mels else (None, None)
    heard = None
    if known:
        heard = pad_sequence([clip.float() for clip, _ in known], batch_first=True)
        lengths = torch.tensor([frames for _, frames in known])
    return Batch(
        input_ids=ids,
        positions=positions,
        segments=segments,
        source=torch.tensor(source, dtype=torch.long),
        targets=torch.tensor(targets, dtype=torch.long),
        reply=torch.tensor(reply, dtype=torch.long),
        input_features=features,
        feature_lengths=lengths,
        heard=heard,
        sampled=torch.tensor(sampled) if all(row.sampled for row in rows) else None,
        labels=_labels(rows),
    )


def _labels(rows: Sequence[Encoded]) -> Tensor | None:
    per_clip = [
        row.labels[i] if i < len(row.labels) else ()
        for row in rows
        for i in range(len(row.mels) + len(row.heard))
    ]
    if not any(per_clip):
        return None
    return rows_of(per_clip)


def rows_of(ids: Sequence[Sequence[int]]) -> Int[Tensor, "C S"]:
    """Lists of ids as rows, -1 behind their end; at least one column."""
    out = torch.full((len(ids), max([1, *map(len, ids)])), -1)
    for line, values in zip(out, ids, strict=True):
        line[: len(values)] = torch.tensor(values, dtype=torch.long)
    return out


def split_row(row: Encoded, tokens: int) -> Iterator[Encoded]:
    """The row as one or more rows of at most `tokens` positions, each with the prompt and at least
    one reply: attention costs the square of a row."""
    start, size = 0, len(row.prompt)
    for k, reply in enumerate(row.replies):
        if k > start and size + len(reply) > tokens:
            yield _part(row, start, k)
            start, size = k, len(row.prompt)
        size += len(reply)
    yield _part(row, start, len(row.replies))


def _part(row: Encoded, start: int, stop: int) -> Encoded:
    return replace(
        row,
        replies=row.replies[start:stop],
        numbers=row.numbers[start:stop],
        forced=row.forced[start:stop],
        sampled=row.sampled[start:stop],
    )


def micro_batches(rows: Sequence[Encoded], tokens: int, longest: int = 0) -> list[Batch]:
    """Batches of rows of similar length, each with at most `tokens` padded positions (one row may
    have more): what one forward and backward pass takes. Rows above `longest` positions (0 =
    `tokens`) are split."""
    room = min(tokens, longest or tokens)
    parts = sorted((p for row in rows for p in split_row(row, room)), key=lambda r: r.length)
    groups: list[list[Encoded]] = []
    for part in parts:
        if groups and part.length * (len(groups[-1]) + 1) <= tokens:
            groups[-1].append(part)
        else:
            groups.append([part])
    return [collate(group) for group in groups]
