"""Ogg streams (Vorbis, Opus, FLAC): a stream without its end is given one.

The decoder finds nothing in a stream whose last page does not say that it is the last. What a cut
copy or a broken broadcast still holds is shown to it up to the last whole page, marked as the last.
Source: RFC 3533.
"""

import io
import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from auscult.audio.read.layout import Layout, bytes_of, patched

_END = 4  # flag of the last page
_LARGEST = 27 + 255 + 255 * 255  # bytes of a page
_CAPTURE = b"OggS"
_FIRST = b"OggS\0\2"
"""How the first page of a stream begins."""


@dataclass(frozen=True, slots=True)
class _Page:
    """A page: its bytes, where they lie, and how long it says it is."""

    at: int
    data: bytes
    length: int

    @property
    def whole(self) -> bool:
        return len(self.data) == self.length

    @property
    def ends(self) -> bool:
        return bool(self.data[5] & _END)

    @property
    def timed(self) -> bool:
        """Does a packet end in it?"""
        return self.data[6:14] != b"\xff" * 8


def _pages_from_the_end(file: io.BufferedIOBase, start: int, size: int) -> Iterator[_Page]:
    first = max(start, size - 4 * _LARGEST)
    file.seek(first)
    tail = file.read(size - first)
    at = len(tail)
    while (at := tail.rfind(_CAPTURE, 0, at)) >= 0:
        head = tail[at : at + 27]
        if len(head) == 27 and head[4] == 0:
            table = tail[at + 27 : at + 27 + head[26]]
            length = 27 + head[26] + sum(table) + 255 * (head[26] - len(table))
            yield _Page(first + at, tail[at : at + length], length)


def ogg(file: io.BufferedIOBase, start: int, size: int) -> Layout:
    """The first stream, and those that are chained to it."""
    ends = [*_begins(bytes_of(file), start), size]
    first, *following = (
        _stream(file, begin, end) for begin, end in zip([start, *ends[:-1]], ends, strict=True)
    )
    return replace(first, following=tuple(following))


def _begins(data: bytes | mmap.mmap, start: int) -> Iterator[int]:
    """Where further streams begin; first pages side by side are of streams that run together."""
    at, together = start, start
    while (at := data.find(_FIRST, at)) >= 0:
        if at > together:
            yield at
        table = data[at + 27 : at + 27 + data[at + 26]] if at + 26 < len(data) else b""
        together = at + 27 + len(table) + sum(table)
        at += len(_FIRST)


def _stream(file: io.BufferedIOBase, start: int, size: int) -> Layout:
    """Up to the last whole packet, whose page is marked as the last where it is not.

    A torn last page keeps its whole packets and its time, which says how much is missing.
    """
    for page in _pages_from_the_end(file, start, size):
        if page.whole and page.ends:
            break
        kept = page.data if page.whole else _whole_packets(page)
        if kept and page.timed:
            lost = 0.0 if page.ends else math.nan  # pages may be missing, nobody knows how many
            end = page.at + len(page.data)
            pieces = patched(start, end, [(page.at, _marked_as_last(kept))])
            return Layout(pieces=pieces[:2] if kept is not page.data else pieces, lost=lost)
    return Layout(pieces=((start, size),))


def _whole_packets(page: _Page) -> bytes:
    """A torn page without the packet that is torn; nothing where no packet is whole."""
    count = page.data[26]
    table = page.data[27 : 27 + count]
    room, keep, used = len(page.data) - 27 - count, 0, 0
    for i, length in enumerate(table):
        room -= length
        if room < 0:
            break
        if length < 255:
            keep, used = i + 1, sum(table[: i + 1])
    if not keep:
        return b""
    body = page.data[27 + count :]
    return page.data[:26] + bytes([keep]) + table[:keep] + body[:used]


def _marked_as_last(page: bytes) -> bytes:
    page = page[:5] + bytes([page[5] | _END]) + page[6:22] + b"\0\0\0\0" + page[26:]
    return page[:22] + checksum(page).to_bytes(4, "little") + page[26:]


@lru_cache(maxsize=1)
def _table() -> tuple[int, ...]:
    table: list[int] = []
    for value in range(256):
        r = value << 24
        for _ in range(8):
            r = (r << 1 ^ 0x04C11DB7 if r & 0x80000000 else r << 1) & 0xFFFFFFFF
        table.append(r)
    return tuple(table)


def checksum(page: bytes) -> int:
    """CRC of a page whose own four bytes of it are 0."""
    table, r = _table(), 0
    for byte in page:
        r = (r << 8 & 0xFFFFFFFF) ^ table[r >> 24 ^ byte]
    return r
