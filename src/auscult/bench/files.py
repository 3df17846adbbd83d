"""Published files to records: JSON, JSON lines, Parquet; sounds that are read when needed.

Nothing here decodes audio in a table by itself: bytes are read as they lie and decoded by
`auscult.audio.io`, so no codec library is needed.

Sounds in a table stay on the disk: a loaded row says where its bytes lie (`Kept`), so memory grows
with the number of rows and not with their sound. Loading reads every byte once, a few rows at a
time, for only so is it known which cells are empty. Reading a sound decompresses its column from
the start of the row group, or from the last sound read in it if that came before: in order, a
group is read once; in random order, half a group for every sound. At most two groups are open at
a time, each with a page and a few rows. A page, which a writer may have made as large as the
group, takes three times its size while it is decompressed (measured: 0.5 GB for 160 MB).
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from auscult.audio.io import read_audio, read_encoded
from auscult.bench.question import Question, Sound
from auscult.files import json_objects, need_parquet
from auscult.types import Audio

Row = Mapping[str, Any]


class MissingData(ValueError):
    """A benchmark's files are not where they were looked for; the loader says what it expected."""


def need(path: Path, what: str) -> Path:
    """`path`, if it exists. Raises `MissingData` that names what was expected there."""
    if not path.exists():
        raise MissingData(f"{path} is missing; expected {what}")
    return path


def first_of(folder: Path, names: Sequence[str], what: str) -> Path:
    """The first of several places (glob patterns) that exists below `folder`, or `folder` itself
    where it is a file. Raises `MissingData`."""
    if folder.is_file():
        return folder
    for name in names:
        for found in sorted(folder.glob(name)):
            return found
    raise MissingData(f"{folder} holds none of {', '.join(names)}; expected {what}")


def read_lines(path: Path) -> list[Any]:
    """The objects of a file of JSON lines. Raises `BadFile` with the line that is wrong."""
    return list(json_objects(path))


@dataclass(frozen=True, slots=True)
class _Group:
    """A column of one row group, in the file as it was when it was loaded."""

    path: Path
    stamp: tuple[int, int, int]
    group: int
    column: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the bytes of a cell lie, in place of the bytes.

    Example: `row` 7 of the group, `steps` ("bytes",) for a cell {"bytes": ..., "path": ...}; a
    dialogue's third turn would be (2, "audio", "bytes"). () = the cell itself.
    """

    group: _Group
    row: int
    steps: tuple[str | int, ...] = ()

    def read(self) -> bytes:
        """The bytes; safe in threads. Raises `MissingData` and, where the file is no longer the
        one that was loaded, `ValueError`."""
        cell = _cell(self.group, self.row)
        for step in self.steps:
            cell = cell[step]
        return cell


_BATCH = 16  # rows decoded at a time: some MB of sound
_BUFFER = 1 << 20  # bytes; without it Arrow reads the whole column of a group at once
_OPEN = 2  # groups


def _table(path: Path) -> Any:
    """An open Parquet file. Raises `ValueError` where pyarrow is not installed."""
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ValueError("Parquet files need pyarrow: pip install 'auscult[eval]'") from error
    need_parquet(path)
    return parquet.ParquetFile(path, buffer_size=_BUFFER)


def _give_back() -> None:
    """Arrow keeps freed pages for itself otherwise: hundreds of MB after a large page."""
    import pyarrow

    pyarrow.default_memory_pool().release_unused()


def _stamp(path: Path) -> tuple[int, int, int]:
    """What differs when a file is another one."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


def parquet_rows(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Rows of Parquet files, in order. Bytes, at any depth of a cell, are left in the file and a
    `Kept` stands for them (a column of sound holds {"bytes": Kept, "path"}); null and empty bytes
    are given as they are. The files are not to change as long as the sounds are needed."""
    for file in files:
        yield from _table_rows(file.absolute())  # the working directory may be another later
        _give_back()


def _table_rows(path: Path) -> Iterator[dict[str, Any]]:
    stamp = _stamp(path)
    with _table(path) as table:
        for number in range(table.num_row_groups):
            first = 0
            for batch in table.iter_batches(_BATCH, row_groups=[number], use_threads=False):
                groups = {c: _Group(path, stamp, number, c) for c in batch.schema.names}
                yield from _rows(batch, groups, first)
                first += batch.num_rows


def _rows(batch: Any, groups: Mapping[str, _Group], first: int) -> list[dict[str, Any]]:
    """The batch's rows without their bytes, which are freed when this returns."""
    return [
        {name: _without(cell, Kept(groups[name], row)) for name, cell in cells.items()}
        for row, cells in enumerate(batch.to_pylist(), first)
    ]


def _without(cell: Any, here: Kept) -> Any:
    """A cell with `Kept` in place of bytes."""
    if isinstance(cell, bytes):
        return here if cell else cell
    if isinstance(cell, dict):
        return {k: _without(v, _below(here, k)) for k, v in cell.items()}
    if isinstance(cell, list):
        return [_without(v, _below(here, i)) for i, v in enumerate(cell)]
    return cell


def _below(here: Kept, step: Any) -> Kept:
    return Kept(here.group, here.row, (*here.steps, step))


class _Reader:
    """A column of one row group, read forward and from the start again for an earlier row."""

    def __init__(self, group: _Group) -> None:
        self.group = group
        self.table = _table(group.path)
        self._rewind()

    def _rewind(self) -> None:
        self.batches = self.table.iter_batches(
            _BATCH, row_groups=[self.group.group], columns=[self.group.column], use_threads=False
        )
        self.cells: Any = ()
        self.first = 0

    def cell(self, row: int) -> Any:
        """The cell of a row of the group, its bytes included."""
        if row < self.first:
            self._rewind()
        while row >= self.first + len(self.cells):
            self.first += len(self.cells)
            self.cells = next(self.batches).column(self.group.column)
        return self.cells[row - self.first].as_py()


_readers: OrderedDict[_Group, _Reader] = OrderedDict()
_reading = threading.Lock()


def _cell(group: _Group, row: int) -> Any:
    """A cell with its bytes, through the readers of the last groups."""
    need(group.path, "the Parquet file that the questions were loaded from")
    if _stamp(group.path) != group.stamp:
        raise ValueError(f"{group.path} has changed since its questions were loaded; start again")
    with _reading:
        # Out of the table while it reads: one that fails half-way is not used again.
        reader = _readers.pop(group, None) or _Reader(group)
        cell = reader.cell(row)
        _readers[group] = reader
        if len(_readers) > _OPEN:
            _readers.popitem(last=False)[1].table.close()
            _give_back()
    return cell


def file_sound(path: Path) -> Sound:
    """A recording in a file, which must exist. Raises `MissingData`."""
    need(path, "a recording that the benchmark's list names")
    return Sound(name=path.name, read=lambda: read_audio(path))


def encoded_sound(cell: Any, name: str) -> Sound:
    """A recording in a cell of a table: {"bytes": ..., "path": ...} or the bytes alone, which may
    be `Kept`; then `read` fetches them from the file each time.

    Raises `ValueError` where the cell holds none.
    """
    data = cell.get("bytes") if isinstance(cell, Mapping) else cell
    if not isinstance(data, bytes | Kept) or not data:
        raise ValueError(f"{name}: expected the bytes of a recording; got {str(cell)[:80]!r}")
    return Sound(name=name, read=partial(_decoded, data, name))


def _decoded(data: bytes | Kept, name: str) -> Audio:
    return read_encoded(data.read() if isinstance(data, Kept) else data, name)


def text(value: Any) -> str:
    """A cell as text. Numbers become their digits ("3", "2.5"), None becomes "", and a list its
    members joined by ", "."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(text(v) for v in value)
    return str(value)


def unique(questions: list[Question], where: Path) -> list[Question]:
    """The questions, if there are any and their keys differ. Raises `ValueError`."""
    if not questions:
        raise ValueError(f"{where} holds no questions")
    seen: set[str] = set()
    for question in questions:
        if question.key in seen:
            raise ValueError(f"{where} holds two questions with the key {question.key!r}")
        seen.add(question.key)
    return questions
