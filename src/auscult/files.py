"""Files as people have them, for every verb: a path, `-`, a pipe, a process substitution.

Text is UTF-8, or UTF-16, each with or without a byte order mark; only "\\n" ends a line of JSON
lines, so a text may hold any other separator of Unicode. Every error names the file, the line where
there is one, and what to do.
"""

import io
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STDIN = "-"
"""As a path: standard input."""
MOST_PIPED = 8 << 30  # bytes of a pipe that are copied to the disk


class BadFile(ValueError):
    """A file that cannot be used as it stands; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that can be read from any place.

    Example: Opened("clip.wav", file, 32044); of a pipe, `file` is a copy on the disk.
    """

    name: str
    file: io.BufferedIOBase
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a file is that lies where another was expected, told by how it begins."""

    starts: tuple[bytes, ...]
    what: str
    remedy: str
    at: int = 0
    for_text: str = ""  # the remedy where a text was expected, where it differs

    def fits(self, head: bytes) -> bool:
        """Does a file begin so?"""
        return (
            head[self.at :].lstrip(b"\xef\xbb\xbf \r\n\t" * (not self.at)).startswith(self.starts)
        )


_CONVERT = "convert it, for example with `ffmpeg -i IN OUT.wav`"
_UNPACK = "unpack it and give the file in it"
KINDS = (
    Kind(
        starts=(b"version https://git-lfs",),
        what="a git-LFS pointer, not the file itself",
        remedy="fetch the file with `git lfs pull` in its folder, or download it again",
    ),
    Kind(
        starts=(b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML", b"<?xml", b"<Error"),
        what="a web page, not the file itself",
        remedy="the download got an error or a login page: download it again",
    ),
    Kind(starts=(b"ftyp",), at=4, what="an MP4 / M4A / MOV container", remedy=_CONVERT),
    Kind(starts=(b"\x1aE\xdf\xa3",), what="a WebM / Matroska container", remedy=_CONVERT),
    Kind(starts=(b"0&\xb2u\x8ef\xcf\x11",), what="a WMA / WMV container", remedy=_CONVERT),
    Kind(starts=(b"#!AMR",), what="an AMR recording", remedy=_CONVERT),
    Kind(starts=(b"wvpk",), what="a WavPack recording", remedy=_CONVERT),
    Kind(starts=(b"MAC ",), what="a Monkey's Audio recording", remedy=_CONVERT),
    Kind(starts=(b"\xff\xf1", b"\xff\xf9"), what="an AAC stream", remedy=_CONVERT),
    Kind(
        starts=(b"MThd",), what="a MIDI file: notes, not sound", remedy="render it to sound first"
    ),
    Kind(starts=(b"PK\x03\x04",), what="a ZIP archive", remedy=_UNPACK),
    Kind(starts=(b"\x1f\x8b",), what="a gzip archive", remedy=_UNPACK),
    Kind(starts=(b"7z\xbc\xaf",), what="a 7z archive", remedy=_UNPACK),
    Kind(
        starts=(b"\x89PNG", b"\xff\xd8\xff", b"GIF8"),
        what="a picture",
        remedy="give the recording itself",
    ),
    Kind(starts=(b"%PDF",), what="a PDF document", remedy="give the file itself"),
    Kind(
        starts=(b"PAR1",),
        what="a Parquet table",
        remedy="give a recording, not the table of them",
        for_text="write its rows as JSON lines, or name it .parquet where a table is taken",
    ),
)
"""To know one more kind of file by its beginning, add a line."""


def known(head: bytes) -> Kind | None:
    """What a file is, by its first bytes (64 suffice); None for what is not in the table."""
    return next((kind for kind in KINDS if kind.fits(head)), None)


def is_stream(path: str | Path) -> bool:
    """Standard input, a pipe, or another device that can be read once and forward only?"""
    if str(path) == STDIN:
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


@contextmanager
def opened(path: str | Path, expected: str, error: type[ValueError] = BadFile) -> Generator[Opened]:
    """The file at `path`, `-` or in a pipe. Raises `error` where there is none, with what was
    `expected` ("a wav file")."""
    name = "standard input" if str(path) == STDIN else str(path)
    if not is_stream(path):
        if not Path(path).is_file():
            kind = ", it is a folder" if Path(path).is_dir() else ""
            raise error(f"{name} is not a file{kind}; give {expected}, or - for standard input")
        with _open(path, name, error) as file:
            yield Opened(name, file, os.stat(path).st_size)
        return
    with tempfile.TemporaryFile() as copy:
        if str(path) == STDIN:
            if sys.stdin.isatty():
                raise error(f"{name} is a terminal; pipe {expected} into it")
            piped: Any = sys.stdin.buffer
            _copy(piped, copy, name, error)
        else:
            with _open(path, name, error) as file:
                _copy(file, copy, name, error)
        size = copy.tell()
        copy.seek(0)
        yield Opened(name, copy, size)


def _open(path: str | Path, name: str, error: type[ValueError]) -> io.BufferedIOBase:
    try:
        return Path(path).open("rb")
    except OSError as fault:
        raise error(f"{name} cannot be opened ({fault.strerror}); check its permissions") from fault


def _copy(
    source: io.BufferedIOBase, copy: io.BufferedIOBase, name: str, error: type[ValueError]
) -> None:
    while data := source.read(1 << 20):
        copy.write(data)
        if copy.tell() > MOST_PIPED:
            raise error(
                f"{name} sends more than {MOST_PIPED >> 30} GiB; write it to a file and give parts"
            )
    if not copy.tell() and name == "standard input":
        raise error(f"{name} is empty (0 bytes): nothing was piped into it, or - was given twice")


_ICONV = "`iconv -f WINDOWS-1252 -t UTF-8 IN > OUT`"


def read_text(path: str | Path, expected: str = "a text file") -> str:
    """The text of a file. Raises `BadFile` for what is no text, and with the line that is no
    UTF-8."""
    with opened(path, expected) as source:
        data = source.file.read()
    _whole(data[:64], source.name, expected)
    return _decoded(data, source.name)


_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def _form(data: bytes) -> str:
    """The coding of a text: by its mark; without one, a first letter of two bytes is UTF-16."""
    for mark, form in _MARKS.items():
        if data.startswith(mark):
            return form
    first = data[:4]
    if len(first) == 4 and (first[::2] == b"\0\0") != (first[1::2] == b"\0\0"):
        return "utf-16-be" if first[0] == 0 else "utf-16-le"
    return "utf-8-sig"


def _decoded(data: bytes, name: str, line: int = 0) -> str:
    form = "utf-8-sig" if line else _form(data)
    try:
        return data.decode(form)
    except UnicodeDecodeError as fault:
        if form != "utf-8-sig":
            raise BadFile(
                f"{name} is {form.upper()} text that is cut or damaged at byte {fault.start}: copy "
                f"it again, or keep what is whole by `iconv -c -f {form.upper()} -t UTF-8 IN > OUT`"
            ) from fault
        line = line or data.count(b"\n", 0, fault.start) + 1
        raise BadFile(
            f"{name}, line {line}, is not UTF-8 text (byte 0x{data[fault.start]:02x}); save it as "
            f"UTF-8, for example with {_ICONV}"
        ) from fault


def read_json(path: str | Path, expected: str = "a JSON file") -> Any:
    """The one value of a JSON file. Raises `BadFile` with the place of the fault."""
    with opened(path, expected) as source:
        data = source.file.read()
    _whole(data[:64], source.name, expected)
    try:
        return json.loads(_decoded(data, source.name))
    except (json.JSONDecodeError, RecursionError) as fault:
        at = f", line {fault.lineno}" if isinstance(fault, json.JSONDecodeError) else ""
        said = fault.msg if isinstance(fault, json.JSONDecodeError) else "nested too deep"
        why = "it is empty" if not data.strip() else f"it is cut or damaged ({said})"
        raise BadFile(
            f"{source.name}{at}, is not JSON: {why}; expected {expected}: fetch or write it again"
        ) from fault


def _whole(head: bytes, name: str, expected: str) -> None:
    if kind := known(head):
        remedy = kind.for_text or kind.remedy
        raise BadFile(f"{name} is {kind.what}; expected {expected}: {remedy}")


def need_parquet(path: Path) -> None:
    """Raises `BadFile` for a file that does not begin as a Parquet table does."""
    with opened(path, "a Parquet table") as source:
        head = source.file.read(64)
    if not head.startswith(b"PAR1"):
        kind = known(head)
        what = kind.what if kind else "empty" if not head else "no Parquet table"
        remedy = kind.remedy if kind else "download or write it again"
        raise BadFile(f"{path} is {what}; expected a Parquet table: {remedy}")


Say = Callable[[int, str], None]
"""(line, what is wrong with it)"""


def json_lines(
    path: str | Path,
    expected: str = "one JSON object on each line",
    *,
    say: Say | None = None,
    torn: bool = False,
) -> Iterator[tuple[int, Any]]:
    """(line number, value) of a file of JSON lines, read as it is needed; empty lines are skipped.

    A line that is no JSON raises `BadFile`, or is told to `say` and passed over. `torn`: a last
    line without its end is what a killed writer leaves, and is passed over.
    """
    with opened(path, f"a file with {expected}") as source:
        head = source.file.read(64)
        source.file.seek(0)
        _whole(head, source.name, expected)
        lines: Any = source.file
        if _form(head) != "utf-8-sig":
            lines = io.BytesIO(_decoded(source.file.read(), source.name).encode())
        for number, line in enumerate(lines, 1):
            if not line.strip(b"\xef\xbb\xbf \t\r\n") or (torn and not line.endswith(b"\n")):
                continue
            try:
                yield number, json.loads(_decoded(line, source.name, number))
            except (ValueError, RecursionError) as fault:
                why = _why(fault, line)
                if say is None:
                    raise BadFile(
                        f"{source.name}, line {number}, is {why}; expected {expected}: mend or "
                        "remove that line"
                    ) from fault
                say(number, f"{why}; expected {expected}")


def json_objects(
    path: str | Path, expected: str = "one JSON object on each line"
) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines. Raises `BadFile` for a line that holds another value."""
    for number, value in json_lines(path, expected):
        if not isinstance(value, dict):
            raise BadFile(
                f"{path}, line {number}, holds {str(value)[:40]!r}, no object; expected "
                f"{expected}: mend or remove that line"
            )
        yield value


def _why(fault: Exception, line: bytes) -> str:
    if isinstance(fault, json.JSONDecodeError):
        found = f"not JSON ({fault.msg}, column {fault.colno})"
        if line.lstrip(b"\xef\xbb\xbf \t")[:1] == b"[" and fault.pos >= len(line.rstrip()) - 3:
            found += "; a JSON array becomes lines by `jq -c '.[]' IN > OUT`"
        if line.strip(b"\xef\xbb\xbf \t\r\n") == b"{":
            found += "; an object over several lines becomes one by `jq -c . IN > OUT`"
        return found
    if isinstance(fault, BadFile):
        return f"not UTF-8 text ({_ICONV})"
    return "nested too deep" if isinstance(fault, RecursionError) else f"not JSON ({fault})"


INDEX = "model.safetensors.index.json"
"""The file that says which of several files holds a tensor, as `transformers` writes it."""


def indexed(folder: Path) -> list[str]:
    """The files that the index of a model's weights names, in order; [] without an index."""
    if not (folder / INDEX).is_file():
        return []
    return sorted(set(read_json(folder / INDEX, "the index of a model")["weight_map"].values()))


def weight_files(folder: Path) -> list[Path]:
    """Files of a model's weights: those in its folder, then those elsewhere that its index names
    (a decoder that shares its ear). A file that is named and absent is in the list."""
    inside = sorted(folder.glob("*.safetensors"))
    return [*inside, *(folder / name for name in indexed(folder) if folder / name not in inside)]
