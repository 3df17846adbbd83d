"""The rows in flight as the decoder has read them: with the sound, and once more without it.

Audio-aware decoding (arXiv 2506.07233) contrasts the two: every token that is chosen is taken by
both readings, so that they differ in the sound alone.
"""

import torch
from torch import Tensor

from auscult.engine.decoder import Cache, FastDecoder


class Reading:
    """The cache of some rows, with the length of each on the host, which spares the device a
    question."""

    def __init__(self, decoder: FastDecoder, rows: int, capacity: int) -> None:
        self.decoder, self.capacity = decoder, capacity
        self.cache: Cache = decoder.empty_cache(rows, capacity)
        self.lengths = [0] * rows

    def read(
        self, embeds: Tensor, lengths: Tensor, slots: list[int], which: list[int]
    ) -> Tensor:  # fmt: skip
        """Read prompts [b, T, D] into `slots`; slot i gets prompt which[i]. Prompts that several
        slots share are read once and copied. Logits [slots, V] after each prompt's end."""
        where = torch.tensor(slots, device=self.decoder.device)
        source = torch.tensor(which, device=where.device)
        firsts = torch.tensor([which.index(i) for i in range(len(embeds))], device=where.device)
        logits = self.decoder.prefill(embeds, lengths, self.cache, where[firsts])
        if len(embeds) < len(slots):
            self.cache.copy(where[firsts][source], where, int(lengths.max()))
            logits = logits[source]
        for slot, i in zip(slots, which, strict=True):
            self.lengths[slot] = int(lengths[i])
        return logits

    def step(self, tokens: Tensor, live: list[int]) -> Tensor:
        """Every live row takes its next token; logits [live, V]."""
        if len(live) < len(self.lengths):
            # The others still ride along; at length 0 they can never outgrow the cache.
            busy = set(live)
            self.cache.lengths[[i for i in range(len(self.lengths)) if i not in busy]] = 0
        longest = max(self.lengths[i] for i in live) + 1
        logits = self.decoder.step(tokens, self.cache, longest)
        for i in live:
            self.lengths[i] += 1
        return logits if len(live) == len(self.lengths) else logits[live]

    def shorten(self, slot: int, n: int) -> None:
        """The last n tokens of a row were taken back."""
        self.lengths[slot] -= n
        self.cache.lengths[slot] -= n

    def keep(self, slots: list[int]) -> None:
        """Only these rows remain."""
        self.cache.keep(torch.tensor(slots, device=self.decoder.device))
        self.lengths = [self.lengths[i] for i in slots]

    def grow(self, rows: int) -> None:
        """Room for more rows, which are empty."""
        old = self.cache
        self.cache = self.decoder.empty_cache(rows, self.capacity)
        self.cache.data[:, :, : len(self.lengths)] = old.data
        self.cache.lengths[: len(self.lengths)] = old.lengths
        self.lengths += [0] * (rows - len(self.lengths))
