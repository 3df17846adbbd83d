"""Containers whose header says how long the sound is: WAV, RF64, AIFF, AU, CAF, W64.

Each reader finds where the sound lies and compares the promised length with what is there. Writers
that cannot seek back leave a length that means "unknown": 0, or one near 2^31 or 2^32.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

from auscult.audio.read.layout import Layout, patched, share_lost

_STREAMED = ((0, 0), (0x7F000000, 0x7F010000), (0x7FFE0000, 0x80010000), (0xFFFE0000, 0xFFFFFFFF))
"""Lengths that stand for "unknown" (sox, ffmpeg, gstreamer, speech servers, ...), from, to."""
_MOST_CHUNKS = 10_000
_MOST_32 = 2**32 - 1
_LEAST_REST = 512  # bytes behind the sound that may be sound, too


def streamed(length: int) -> bool:
    """Is this length what a writer leaves that could not seek back?"""
    return any(low <= length <= high for low, high in _STREAMED)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A part of a container: its name, where its length is written, where its body is."""

    name: bytes
    length_at: int
    body: int
    length: int


def _chunks(
    file: io.BufferedIOBase, at: int, size: int, order: str, width: int = 4, even: bool = True
) -> Iterator[_Chunk]:
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(4 + width)
        if at >= size or len(head) < 4 + width:
            return
        length = int.from_bytes(head[4:], "little" if order == "<" else "big")
        yield _Chunk(head[:4], at + 4, at + 4 + width, length)
        at += 4 + width + length + (length % 2 if even else 0)


def _packed(value: int, order: str, width: int = 4) -> bytes:
    value = min(value, 2 ** (8 * width) - 2)
    return value.to_bytes(width, "little" if order == "<" else "big")


def wav(file: io.BufferedIOBase, start: int, size: int) -> Layout:
    """RIFF, RIFX (big-endian), RF64 and BW64 (lengths of 64 bits in a chunk `ds64`)."""
    file.seek(start)
    magic = file.read(4)
    order = ">" if magic == b"RIFX" else "<"
    patches = [(start, b"RF64")] if magic == b"BW64" else []  # the same, and unknown to the decoder
    large, lost = None, 0.0
    for chunk in _chunks(file, start + 12, size, order):
        if chunk.name == b"ds64":
            file.seek(chunk.body + 8)
            large = _Chunk(b"data", chunk.body + 8, 0, int.from_bytes(file.read(8), "little"))
        if chunk.name != b"data":
            continue
        present = size - chunk.body
        if large is not None and chunk.length == 0xFFFFFFFF:
            if large.length in (0, 2**64 - 1):
                patches.append((large.length_at, _packed(present, "<", 8)))
            else:
                lost = share_lost(large.length, present)
        elif not streamed(chunk.length):
            lost = share_lost(chunk.length, present)
            end = chunk.body + chunk.length + chunk.length % 2
            if goes_on(file, end, size):
                return _to_the_end(start, chunk, size, order, chunk.length / present)
            if following := _joined(file, end, size):
                return Layout(pieces=((start, end),), following=following)
        elif chunk.length or not _only_chunks(file, chunk.body, size, order):
            return _to_the_end(start, chunk, size, order)
        break
    return Layout(pieces=patched(start, size, patches), lost=lost)


def _to_the_end(start: int, chunk: _Chunk, size: int, order: str, promised: float = 1.0) -> Layout:
    """The chunk as long as what is there; beyond 4 GiB as RF64 says it."""
    present = size - chunk.body
    if present < _MOST_32 or order == ">":
        patches = [(chunk.length_at, _packed(present, order))]
        return Layout(pieces=patched(start, size, patches), promised=promised)
    ds64 = b"".join(_packed(n, "<", 8) for n in (chunk.body + present, present, 0)) + bytes(4)
    head = b"RF64" + b"\xff" * 4 + b"WAVE" + b"ds64" + _packed(len(ds64), "<") + ds64
    pieces = (head, (start + 12, chunk.length_at), b"\xff" * 4, (chunk.body, size))
    return Layout(pieces=pieces, promised=promised)


def goes_on(file: io.BufferedIOBase, end: int, size: int) -> bool:
    """Does sound follow behind its stated end, as in a file whose writer died or wrapped at 4 GiB?

    Not where something with a name, zeros or next to nothing follows.
    """
    rest = size - end
    if rest < _LEAST_REST:
        return False
    if rest >= _MOST_32 and rest % 2**32 < _LEAST_REST:
        return True  # the true length but for its 33rd bit
    file.seek(end)
    head = file.read(4)
    if head.strip().isalnum() or head[:3] in (b"TAG", b"ID3") or head[:1] in (b"<", b"{"):
        return False
    file.seek(end)
    return any(any(data) for data in iter(lambda: file.read(1 << 20), b""))


def _joined(file: io.BufferedIOBase, end: int, size: int) -> tuple[Layout, ...]:
    """Another WAV behind the first."""
    file.seek(end)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        return ()
    first = wav(file, end, size)
    return (replace(first, following=()), *first.following)


def _only_chunks(file: io.BufferedIOBase, at: int, size: int, order: str) -> bool:
    """Do whole chunks with names follow up to the end? Then an empty body is truly empty."""
    end = at
    for chunk in _chunks(file, at, size, order):
        end = chunk.body + chunk.length + chunk.length % 2
        if not chunk.name.strip().isalnum() or end > size + 1:
            return False
    return end >= size - 1


def aiff(file: io.BufferedIOBase, start: int, size: int) -> Layout:
    """AIFF and AIFF-C; the decoder itself copes with unknown lengths."""
    for chunk in _chunks(file, start + 12, size, ">"):
        if chunk.name == b"SSND":
            if streamed(chunk.length):
                break
            present, end = size - chunk.body, chunk.body + chunk.length + chunk.length % 2
            if goes_on(file, end, size):
                patches = [(chunk.length_at, _packed(present, ">"))]
                return Layout(pieces=patched(start, size, patches), promised=chunk.length / present)
            return Layout(pieces=((start, size),), lost=share_lost(chunk.length, present))
    return Layout(pieces=((start, size),))


def au(file: io.BufferedIOBase, start: int, size: int) -> Layout:
    """Sun / NeXT, both byte orders."""
    file.seek(start)
    order = ">" if file.read(4) == b".snd" else "<"
    body, promised = (
        int.from_bytes(file.read(4), "big" if order == ">" else "little") for _ in range(2)
    )
    present = size - start - body
    on = not streamed(promised) and goes_on(file, start + body + promised, size)
    if on or streamed(promised):
        pieces = patched(start, size, [(start + 8, _packed(max(present, 0), order))])
        return Layout(pieces=pieces, promised=promised / present if on else 1.0)
    return Layout(pieces=((start, size),), lost=share_lost(promised, present))


def caf(file: io.BufferedIOBase, start: int, size: int) -> Layout:
    """Apple's Core Audio Format; a length of -1 means up to the end of the file."""
    for chunk in _chunks(file, start + 8, size, ">", width=8, even=False):
        if chunk.name == b"data":
            present = size - chunk.body
            lost = 0.0 if chunk.length >= 2**63 else share_lost(chunk.length, present)
            patches = [(chunk.length_at, _packed(min(present, chunk.length), ">", 8))]
            return Layout(pieces=patched(start, size, patches), lost=lost)
    return Layout(pieces=((start, size),))


_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


def w64(file: io.BufferedIOBase, start: int, size: int) -> Layout:
    """Sony's Wave64. The decoder takes all that follows the sound for sound: it is not shown."""
    at = start + 40
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(24)
        length = int.from_bytes(head[16:24], "little")
        if len(head) < 24 or length < 24:
            break
        if head[:16] == _W64_DATA:
            promised, present = length - 24, size - at - 24
            end = min(size, at + length)
            return Layout(pieces=((start, end),), lost=share_lost(promised, present))
        at += length + -length % 8
    return Layout(pieces=((start, size),))
