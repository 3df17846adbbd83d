"""How the sound lies in a file, and the file as the decoder is to see it.

libsndfile decodes; what it misreads in files that people have is put right in what it is shown: a
tag before the header is skipped, a length that a streaming writer could not know is filled in.
"""

import io
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass

Piece = bytes | tuple[int, int]
"""Bytes of our own, or (start, end) of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Example: a WAV of 32,044 bytes after a tag of 2,058: Layout(pieces=((2058, 34102),)).

    pieces   what the decoder is shown, one after the other
    lost     share of the promised sound that the file lacks; nan where it lacks an unknown part
    counted  the decoder's own count of samples is a guess until they are decoded
    promised share of the sound that the header speaks of, where it goes on behind that
    following  recordings that were joined to this one, each with a header of its own
    """

    pieces: tuple[Piece, ...]
    lost: float = 0.0
    counted: bool = True
    promised: float = 1.0
    following: tuple["Layout", ...] = ()


def patched(start: int, end: int, patches: Sequence[tuple[int, bytes]]) -> tuple[Piece, ...]:
    """The file from `start` to `end` with some bytes replaced; patches in order of place."""
    pieces: list[Piece] = []
    at = start
    for place, data in patches:
        pieces += [(at, place), data]
        at = place + len(data)
    return (*pieces, (at, end))


def share_lost(promised: int, present: int) -> float:
    """Share of the promised bytes that are not there."""
    return max(0.0, 1 - present / promised) if promised > 0 else 0.0


def bytes_of(file: io.BufferedIOBase) -> bytes | mmap.mmap:
    """The whole file, of which the system keeps in memory what it has room for."""
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # a buffer
        file.seek(0)
        return file.read()


_BLANK = b"\0\r\n\t \xef\xbb\xbf"
"""Padding that a tag does not count, and what an editor puts before a file."""


def after_tags(file: io.BufferedIOBase, magics: tuple[bytes, ...]) -> int:
    """Where the recording itself begins, after any number of ID3v2 tags and padding: best at one of
    the `magics`."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(4096)
        bare = head.lstrip(_BLANK)
        if bare.startswith(magics):
            return at + len(head) - len(bare)
        if len(head) < 10 or head[:3] != b"ID3":
            return at
        ends = [at + end for end in _tag_ends(head)]
        at = next((end for end in ends if _leads_on(file, end, magics)), ends[0])


def _tag_ends(head: bytes) -> list[int]:
    """Lengths of a tag: seven bits of each byte as the standard has it, or eight as some write."""
    footer = 10 * bool(head[5] & 16)
    plain = 10 + int.from_bytes(head[6:10], "big") + footer
    if max(head[6:10]) > 127:
        return [plain]
    return [10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + footer, plain]


def _leads_on(file: io.BufferedIOBase, at: int, magics: tuple[bytes, ...]) -> bool:
    file.seek(at)
    return file.read(4096).lstrip(_BLANK).startswith((*magics, b"ID3", b"\xff"))


class View(io.RawIOBase):
    """A file as its layout shows it: readable from any place, never written."""

    def __init__(self, file: io.BufferedIOBase, pieces: Sequence[Piece]) -> None:
        super().__init__()
        self._file = file
        self._starts: list[int] = []
        self._pieces: list[Piece] = []
        self._size = self._at = 0
        for piece in pieces:
            length = len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
            if length > 0:
                self._starts.append(self._size)
                self._pieces.append(piece)
                self._size += length

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def readinto(self, buffer: object, /) -> int:
        out = memoryview(buffer).cast("B")  # pyright: ignore[reportArgumentType]
        done = 0
        for start, piece in zip(self._starts, self._pieces, strict=True):
            length = len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
            skip = self._at - start
            if skip >= length:
                continue
            if skip < 0 or done == len(out):
                break
            take = min(length - skip, len(out) - done)
            if isinstance(piece, bytes):
                data = piece[skip : skip + take]
            else:
                self._file.seek(piece[0] + skip)
                data = self._file.read(take)
            out[done : done + len(data)] = data
            done += len(data)
            self._at += len(data)
            if len(data) < take:
                break
        return done
