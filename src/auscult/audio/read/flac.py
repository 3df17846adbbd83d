"""FLAC: of a stream that does not say how long it is, whether its last frame is whole.

The decoder ends in silence where such a stream was cut. Source: RFC 9639, sections 8.2 and 9.
"""

import io
import math
from collections.abc import Iterator
from functools import cache

from auscult.audio.read.layout import Layout

_TAIL = 1 << 18  # bytes in which the last frame is looked for
_MOST_FRAMES = 8  # candidates for the last frame: its signs occur by chance, too
_ID3V1 = 128


def flac(file: io.BufferedIOBase, start: int, size: int) -> Layout:
    """The stream as it is; `lost` is nan where it has no stated length and no whole last frame."""
    file.seek(start)
    head = file.read(42)
    samples = int.from_bytes(head[21:26], "big") & (1 << 36) - 1
    torn = len(head) == 42 and samples == 0 and not _ends_whole(file, start, size)
    return Layout(pieces=((start, size),), lost=math.nan if torn else 0.0)


def _ends_whole(file: io.BufferedIOBase, start: int, size: int) -> bool:
    begin = max(start, size - _TAIL)
    file.seek(begin)
    tail = file.read(size - begin)
    if tail[-_ID3V1:].startswith(b"TAG"):
        tail = tail[:-_ID3V1]
    return any(_checksum(tail[at:], 16, 0x8005) == 0 for at in _frames_from_the_end(tail))


def _frames_from_the_end(tail: bytes) -> Iterator[int]:
    """Where a header of a frame with a true checksum stands."""
    at, found = len(tail), 0
    while (at := tail.rfind(b"\xff", 0, at)) >= 0 and found < _MOST_FRAMES:
        length = _header_length(tail[at : at + 16])
        if length and _checksum(tail[at : at + length], 8, 0x07) == 0:
            found += 1
            yield at


def _header_length(head: bytes) -> int:
    """Bytes of a frame's header with its checksum; 0 where it is none."""
    if len(head) < 6 or head[1] not in (0xF8, 0xF9) or head[3] & 1:
        return 0
    ones = next((i for i in range(8) if not head[4] << i & 0x80), 8)  # as in UTF-8
    size = {6: 1, 7: 2}.get(head[2] >> 4, 0)
    rate = {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    return 4 + max(1, ones) + size + rate + 1


@cache
def _table(bits: int, polynomial: int) -> tuple[int, ...]:
    table: list[int] = []
    for value in range(256):
        r = value << bits - 8
        for _ in range(8):
            r = (r << 1 ^ polynomial if r >> bits - 1 else r << 1) & (1 << bits) - 1
        table.append(r)
    return tuple(table)


def _checksum(data: bytes, bits: int, polynomial: int) -> int:
    """CRC; 0 for data that end with their own."""
    table, r, mask = _table(bits, polynomial), 0, (1 << bits) - 1
    for byte in data:
        r = (r << 8 & mask) ^ table[r >> bits - 8 ^ byte]
    return r
