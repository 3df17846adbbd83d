"""Keys and values of everything that is being written or remembered.

A `Line` is one sequence: it holds its positions from 0 and can be read on from any of them. Lines
of similar length lie together in a `Tier`, so that a long one costs the short ones nothing; a line
that outgrows its tier moves to the next. A `Memory` is a copy of a line's beginning that never
changes: a prompt that starts like one is read from where they part, and several readers may go on
from the same one. `Memories` keeps the last ones, bounded in bytes.

How many keys a query sees (`span`) depends on its own position only, never on its neighbours.
Together with matrix products whose rows do not depend on how many there are (true of MKL in
float32 from two rows on, which is the least that is ever asked for) a line's numbers are the same
bit for bit, whoever else is in flight. Other kernels keep this within rounding.

Shapes: N layers, K key-value heads, E head width, C capacity in positions.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FIRST_TIER = 384
"""Positions of the smallest tier: what MKL sums in one piece."""
_PIECE = 512
_STEP = 16
_WARM = 256 << 20  # bytes of the first tier that are kept for the next requests


def span(length: int) -> int:
    """How many keys are read for the query that sees `length` of them; what lies beyond is masked.

    A sum of n products is the same with zeros behind it as long as both are cut into the same
    pieces. The CPU's attention cuts at multiples of 512, and MKL cuts 384 < n <= 512 into halves:
    so up to 384 any n is good, and above, a last piece of at most 256 or a whole one.
    """
    if length <= FIRST_TIER:
        return -(-length // _STEP) * _STEP
    rest = (length - 1) % _PIECE + 1
    return length - rest + (-(-rest // _STEP) * _STEP if rest <= _PIECE // 2 else _PIECE)


def capacities(limit: int) -> list[int]:
    """Positions of the tiers of a model that reads `limit` tokens: 384, 1024, 2048, 4096, ..."""
    sizes = [FIRST_TIER]
    while sizes[-1] < limit:
        sizes.append(max(1024, sizes[-1] * 2))
    sizes[-1] = min(sizes[-1], span(limit))
    return sizes


@dataclass(slots=True, eq=False)
class Line:
    """One sequence: `length` positions of it have been read, at `place` of `tier`."""

    tier: int
    place: int
    length: int = 0


@dataclass(slots=True, eq=False)
class Tier:
    """Lines of similar length. `data` is [N, 2, places, K, C, E]; free places are None."""

    capacity: int
    data: Tensor
    lines: list[Line | None]

    def span(self) -> int:
        """Keys that are read for the longest line's next token. A line that was shortened below
        the first tier's end stays where it is, and is read as the others there."""
        least = 1 if self.capacity <= FIRST_TIER else FIRST_TIER + 1
        longest = max(line.length + 1 for line in self.lines if line is not None)
        return min(span(max(least, longest)), self.capacity)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What was read: symbols (see `reading`), their keys and values [N, 2, K, length, E], and the
    decoder's state [D] after them where it is known."""

    symbols: tuple[int, ...]
    data: Tensor
    state: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Size of the keys and values."""
        return self.data.nbytes


class Cache:
    """All lines. `empty(places, capacity)` makes the room of a tier."""

    def __init__(self, empty: Callable[[int, int], Tensor], limit: int) -> None:
        self.empty, self.limit = empty, limit
        self.tiers = [Tier(c, empty(0, c), []) for c in capacities(limit)]

    def open(self, memory: Memory | None = None, length: int = 0, upto: int = 1) -> Line:
        """A new line with the first `length` positions of `memory`, and room for `upto` in all."""
        line = self._put(Line(0, 0, length), self._tier_for(upto))
        if memory is not None:
            tier = self.tiers[line.tier]
            tier.data[:, :, line.place, :, :length] = memory.data[:, :, :, :length]
        return line

    def close(self, line: Line) -> None:
        """The line's place is free from now on. Numbers that are not finite would stay: a place
        that is masked is multiplied with zero, and NaN times zero is NaN."""
        tier = self.tiers[line.tier]
        tier.lines[line.place] = None
        if not torch.isfinite(tier.data[:, :, line.place, :, line.length - 1 : line.length]).all():
            tier.data[:, :, line.place] = 0

    def make_room(self, line: Line, upto: int) -> None:
        """Room for `upto` positions in all; the line moves where its tier has no more."""
        wanted = self._tier_for(upto)
        if wanted <= line.tier:
            return
        old, place = self.tiers[line.tier], line.place
        self.close(line)
        self._put(line, wanted)
        self.tiers[wanted].data[:, :, line.place, :, : line.length] = old.data[
            :, :, place, :, : line.length
        ]

    def memory(self, line: Line, symbols: tuple[int, ...], state: Tensor | None = None) -> Memory:
        """A copy of what the line has read, which is `symbols`."""
        data = self.tiers[line.tier].data[:, :, line.place, :, : line.length].clone()
        return Memory(symbols, data, state)

    def tidy(self) -> None:
        """Where many places of a tier are free, the last lines move into them: a step costs as
        much as there are places up to the last line."""
        for tier in self.tiers:
            self._trim(tier)
            free = [i for i, line in enumerate(tier.lines) if line is None]
            if len(free) * 4 > len(tier.lines):
                for place in free:
                    self._trim(tier)
                    if place < len(tier.lines):
                        self._move(tier, place)
                self._trim(tier)

    def rest(self) -> None:
        """Nothing is in flight: give back all room but that of a usual batch of short lines."""
        for tier in self.tiers:
            if tier is not self.tiers[0] or tier.data.nbytes > _WARM:
                tier.data = self.empty(0, tier.capacity)
            tier.lines = []

    def busy(self) -> Iterator[Tier]:
        """Tiers with places in use, in the order in which a step treats them."""
        return (tier for tier in self.tiers if tier.lines)

    def _tier_for(self, upto: int) -> int:
        """By the length alone: a line's numbers must not depend on where others left room."""
        return next(i for i, tier in enumerate(self.tiers) if upto <= tier.capacity)

    def _put(self, line: Line, number: int) -> Line:
        tier = self.tiers[number]
        if None in tier.lines:
            line.place = tier.lines.index(None)
            tier.lines[line.place] = line
        else:
            line.place = len(tier.lines)
            tier.lines.append(line)
        line.tier = number
        if len(tier.lines) > tier.data.shape[2]:
            old, longest = tier.data, max(other.length for other in tier.lines if other is not None)
            tier.data = self.empty(max(4, 4 * old.shape[2]), tier.capacity)
            tier.data[:, :, : old.shape[2], :, :longest] = old[:, :, :, :, :longest]
        return line

    def _move(self, tier: Tier, place: int) -> None:
        """The last line moves to a free place."""
        line = tier.lines.pop()
        assert line is not None
        length = line.length
        tier.data[:, :, place, :, :length] = tier.data[:, :, line.place, :, :length]
        tier.lines[place], line.place = line, place

    @staticmethod
    def _trim(tier: Tier) -> None:
        while tier.lines and tier.lines[-1] is None:
            tier.lines.pop()


BLOCK = 16
"""Symbols that two prompts must share at least, and the grain at which they are looked up."""


class Memories:
    """The last prompts that were read, found by their beginnings; the least used go first."""

    def __init__(self, limit: int) -> None:
        self.limit, self.nbytes = limit, 0  # bytes
        self.kept: OrderedDict[int, Memory] = OrderedDict()  # by identity, oldest first
        self.starts: dict[int, Memory] = {}  # hash of the first 16, 32, ... symbols

    def find(self, symbols: tuple[int, ...]) -> tuple[Memory | None, int]:
        """The memory that shares the longest beginning, to the block, and how many symbols."""
        for number, mark in reversed(list(enumerate(_marks(symbols), 1))):
            memory, n = self.starts.get(mark), number * BLOCK
            if memory is not None and memory.symbols[:n] == symbols[:n]:
                if id(memory) in self.kept:
                    self.kept.move_to_end(id(memory))
                return memory, shared(memory.symbols, symbols)
        return None, 0

    def put(self, memory: Memory) -> None:
        """Keep a memory as long as there is room."""
        marks = _marks(memory.symbols)
        if not marks or memory.nbytes > self.limit:
            return
        self.kept[id(memory)] = memory
        self.nbytes += memory.nbytes
        self.starts |= dict.fromkeys(marks, memory)
        while self.nbytes > self.limit:
            _, old = self.kept.popitem(last=False)
            self.nbytes -= old.nbytes
            for mark in _marks(old.symbols):
                if self.starts.get(mark) is old:
                    del self.starts[mark]

    def clear(self) -> None:
        """Forget all."""
        self.kept.clear()
        self.starts.clear()
        self.nbytes = 0


def shared(a: Sequence[int], b: Sequence[int]) -> int:
    """How many symbols two prompts have in common from their beginning."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def _marks(symbols: tuple[int, ...]) -> list[int]:
    mark, marks = 0, list[int]()
    for end in range(BLOCK, len(symbols) + 1, BLOCK):
        mark = hash((mark, symbols[end - BLOCK : end]))
        marks.append(mark)
    return marks
