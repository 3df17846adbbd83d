"""MPEG audio (MP3, MP2): frames are counted, for the stream itself does not say how long it is.

A decoder guesses the length from the first frame unless a frame "Xing" states it. Of a variable bit
rate the guess is wrong by far, and so is the statement in files that were cut or joined; then the
sound is refused, or its end is lost. Here the frames are counted and the true number is stated.
Source: ISO 11172-3 and 13818-3, the headers; the layout of "Xing" is that of LAME's documentation.
"""

import io
import mmap
from dataclasses import dataclass, replace

from auscult.audio.read.layout import Layout, bytes_of, share_lost

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_BITRATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""(version 1?, layer) -> kbit/s; layer 3 of version 2 has those of layer 2."""
_SEARCH = 1 << 16  # bytes of garbage before and between frames
_SEARCH_NEXT = 1 << 24  # bytes, pictures mostly, between joined recordings


Data = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class _Header:
    """A frame's header: what must be the same in all frames, and the frame's length in bytes."""

    version: int
    layer: int
    rate: int
    mono: bool
    length: int

    def follows(self, other: "_Header") -> bool:
        same = (self.version, self.layer, self.rate) == (other.version, other.layer, other.rate)
        return same and self.mono == other.mono

    @property
    def side(self) -> int:
        """Bytes between header and data of layer 3, where "Xing" stands."""
        if self.version == 3:
            return 17 if self.mono else 32
        return 9 if self.mono else 17


def _header(data: Data, at: int) -> _Header | None:
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    _, b, c, d = data[at : at + 4]
    version, layer, index, speed = b >> 3 & 3, 4 - (b >> 1 & 3), c >> 4, c >> 2 & 3
    if version == 1 or layer == 4 or index in (0, 15) or speed == 3:
        return None
    kbits = _BITRATES[version == 3, min(layer, 2) if version != 3 else layer][index - 1]
    rate, padded = _RATES[version][speed], c >> 1 & 1
    if layer == 1:
        length = (12_000 * kbits // rate + padded) * 4
    else:
        slots = 72_000 if layer == 3 and version != 3 else 144_000
        length = slots * kbits // rate + padded
    return _Header(version, layer, rate, d >> 6 == 3, length)


def is_mpeg(data: Data) -> bool:
    """Do two frames follow each other at the start?"""
    first = _header(data, 0)
    second = _header(data, first.length) if first else None
    return first is not None and second is not None and second.follows(first)


def begins_at(data: Data, most: int = _SEARCH, start: int = 0) -> int | None:
    """Where three frames in a row begin within `most` bytes from `start` on; None = nowhere."""
    at = data.find(b"\xff", start)
    while 0 <= at < start + most:
        place, head = at, _header(data, at)
        for _ in range(2):
            place += head.length if head else 0
            following = _header(data, place) if head else None
            head = following if head and following and following.follows(head) else None
        if head is not None:
            return at
        at = data.find(b"\xff", at + 1)
    return None


@dataclass(frozen=True, slots=True)
class _Frames:
    first: _Header
    count: int
    begin: int
    end: int
    torn: bool  # the last frame is cut


def _walk(data: Data, at: int) -> _Frames | None:
    """Count the frames from `at` on, over garbage between them; None where there are none."""
    first: _Header | None = None
    count, begin, lost_at = 0, at, at
    while at + 4 <= len(data):
        head = _header(data, at)
        good = head is not None and (first is None or head.follows(first))
        if good and head is not None and lost_at < at:  # after garbage: two in a row
            good = at + head.length >= len(data) or _header(data, at + head.length) is not None
        if head is None or not good:
            if at - lost_at > _SEARCH and count:
                break
            nxt = data.find(b"\xff", at + 1)
            at = nxt if nxt >= 0 else len(data)
            continue
        if at + head.length > len(data):
            return _Frames(first, count, begin, len(data), torn=True) if first else None
        if first is None:
            first, begin = head, at
        count += 1
        at += head.length
        lost_at = at
    return _Frames(first, count, begin, lost_at, torn=False) if first else None


def _stated(data: Data, begin: int, first: _Header) -> int | None:
    """The number of frames after the first one, as "Xing", "Info" or "VBRI" states it."""
    at = begin + 4 + first.side
    if data[at : at + 4] in (b"Xing", b"Info"):
        if data[at + 7] & 1:
            return int.from_bytes(data[at + 8 : at + 12], "big")
        return -1
    if data[begin + 36 : begin + 40] == b"VBRI":
        return int.from_bytes(data[begin + 50 : begin + 54], "big")
    return None


def _statement(first: _Header, raw: bytes, count: int, size: int) -> bytes:
    """A silent frame "Xing" that states the number of frames and bytes."""
    for index in range(1, 15):
        head = bytes([raw[0], raw[1] | 1, index << 4 | raw[2] & 0x0C, raw[3]])
        found = _header(head, 0)
        if found is not None and found.length >= 4 + first.side + 16:
            body = b"Xing" + (3).to_bytes(4, "big") + count.to_bytes(4, "big")
            body += min(size, 2**32 - 1).to_bytes(4, "big")
            return (head + b"\0" * first.side + body).ljust(found.length, b"\0")
    raise AssertionError  # the largest frames always have room


def mpeg(file: io.BufferedIOBase, start: int, size: int) -> Layout:
    """The stream with its true length stated; left alone where that is right or not needed.

    Recordings that are joined to it and differ in rate or channels, or follow a large picture, are
    streams of their own."""
    data = bytes_of(file)
    layouts: list[Layout] = []
    at: int | None = start
    while at is not None:
        found = _walk(data, at)
        nxt = begins_at(data, _SEARCH_NEXT, found.end) if found else None
        layouts.append(_stream(data, found, at, size if nxt is None else nxt))
        at = nxt
    return replace(layouts[0], following=tuple(layouts[1:]))


def _stream(data: Data, found: _Frames | None, start: int, size: int) -> Layout:
    if found is None:
        return Layout(pieces=((start, size),), counted=False)
    plain = Layout(pieces=((found.begin, size),), counted=found.first.layer == 3)
    if found.first.layer != 3:
        return plain
    stated = _stated(data, found.begin, found.first)
    if stated is None:
        body, count = found.begin, found.count
        lost = 1 / (count + 1) if found.torn else 0.0
    else:
        body, count = found.begin + found.first.length, found.count - 1
        if abs(count - stated) <= 1:  # some writers count their own statement
            return plain
        lost = share_lost(stated, count)
    head = _statement(found.first, data[found.begin : found.begin + 4], count, size - body)
    return Layout(pieces=(head, (body, size)), lost=lost)
