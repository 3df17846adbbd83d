"""Published files to records: JSON, JSON lines, Parquet; sounds that are read when needed.

Nothing here decodes audio in a table by itself: bytes are read as they lie and decoded by
`auscult.audio.io`, so no codec library is needed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from auscult.audio.io import read_audio, read_encoded
from auscult.bench.question import Question, Sound

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


def read_json(path: Path) -> Any:
    """A JSON file. Raises `ValueError` with the place of the fault."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def read_lines(path: Path) -> list[Any]:
    """A file of JSON lines; empty lines are skipped. Raises `ValueError` with the line's number."""
    rows: list[Any] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}, is not JSON: {error}") from error
    return rows


def parquet_rows(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Rows of Parquet files, in order; a column of sound holds {"bytes", "path"} and is left as it
    is. Row groups are read one at a time."""
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ValueError("Parquet files need pyarrow: pip install 'auscult[eval]'") from error
    for file in files:
        with parquet.ParquetFile(file) as table:
            for group in table.iter_batches(batch_size=64):
                yield from group.to_pylist()


def file_sound(path: Path) -> Sound:
    """A recording in a file, which must exist. Raises `MissingData`."""
    need(path, "a recording that the benchmark's list names")
    return Sound(name=path.name, read=lambda: read_audio(path))


def encoded_sound(cell: Any, name: str) -> Sound:
    """A recording in a cell of a table: {"bytes": ..., "path": ...} or bare bytes.

    Raises `ValueError` where the cell holds none.
    """
    data = cell.get("bytes") if isinstance(cell, Mapping) else cell
    if not isinstance(data, bytes) or not data:
        raise ValueError(f"{name}: expected the bytes of a recording; got {str(cell)[:80]!r}")
    return Sound(name=name, read=lambda: read_encoded(data, name))


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
