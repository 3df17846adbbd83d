"""Traces, claims and measurements as Parquet, and SQL over them (extra `[traces]`: DuckDB)."""

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from auscult.files import BadFile, is_stream, json_lines
from auscult.verify.claims import Finding
from auscult.verify.hear.measures import Measured
from auscult.verify.scores import Scores
from auscult.verify.verify import describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A thought about sounds, as read from a line of JSONL.

    Example: {"key": "7", "clips": ["a.wav"], "thought": "I hear ...", "answer": "two",
    "question": "How many?", "options": [], "features": ["event", "count"], "group": "event_count"},
    and the number of that line.
    Only `clips` and `thought` are needed; traces of one group lend each other their clips.
    """

    key: str
    clips: tuple[str, ...]
    thought: str
    answer: str = ""
    question: str = ""
    options: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    group: str = ""
    line: int = 0


def read_traces(path: Path) -> list[Trace]:
    """The traces of a JSONL file. Raises `ValueError` with the line that is wrong."""
    expected = "a JSON object with 'clips' (list of files) and 'thought' (text)"
    folder = Path() if is_stream(path) else path.parent
    found: list[Trace] = []
    for number, data in json_lines(path, expected):
        try:
            found.append(_trace(data, number, folder))
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile(
                f"{path}, line {number}: expected {expected}; {type(error).__name__}: {error}: "
                "mend or remove that line"
            ) from error
    return found


def _trace(data: Any, number: int, folder: Path) -> Trace:
    """One line as a record; every field is looked at, since files come from anywhere."""
    if not isinstance(data["clips"], list) or not data["clips"]:
        raise ValueError("'clips' is a list of at least one file")
    if not isinstance(data["thought"], str):
        raise TypeError("'thought' is a text")
    words = {k: data.get(k) or "" for k in ("answer", "question", "group")}
    lists = {k: data.get(k) or [] for k in ("options", "features")}
    for name, value in (words | lists).items():
        if not isinstance(value, str if name in words else list):
            raise TypeError(f"{name!r} is a {'text' if name in words else 'list of texts'}")
    return Trace(
        line=number,
        key=str(data.get("key", number)),
        clips=tuple(str(folder / str(clip)) for clip in data["clips"]),
        thought=data["thought"],
        answer=words["answer"],
        question=words["question"],
        group=words["group"],
        options=tuple(str(v) for v in lists["options"]),
        features=tuple(str(v) for v in lists["features"]),
    )


Row = dict[str, object]


def trace_row(trace: Trace, scores: Scores, grounding: float, keep: bool, why: str) -> Row:
    """One row of `traces`."""
    row: Row = {k: v for k, v in asdict(trace).items() if k in TABLES["traces"]}
    numbers = {k: _finite(v) for k, v in asdict(scores).items()}
    return row | numbers | {"grounding": grounding, "grounded": keep, "why": why}


def claim_rows(trace: Trace, findings: Sequence[Finding]) -> list[Row]:
    """Rows of `claims`."""
    return [
        {
            "key": trace.key, "group": trace.group, "kind": f.claim.kind,
            "attribute": f.claim.attribute, "claim": describe(f.claim),
            "text": trace.thought[f.claim.start : f.claim.end], "negated": f.claim.negated,
            "hedged": f.claim.hedged, "verdict": f.verdict, "measured": f.measured,
            "tolerance": f.tolerance, "function": f.function, "clip": f.clip,
            "start_s": f.span[0] if f.span else None, "end_s": f.span[1] if f.span else None,
        }
        for f in findings
    ]  # fmt: skip


def measurement_rows(trace: Trace, clip: int, measured: Sequence[Measured]) -> list[Row]:
    """Rows of `measurements`; a number in `value`, a word in `word`, a refusal in `refused`."""
    return [
        {
            "key": trace.key, "clip": clip, "name": m.name, "unit": m.unit,
            "value": _finite(m.value) if isinstance(m.value, float) else None,
            "word": m.value if isinstance(m.value, str) else None,
            "reliability": m.reliability, "refused": m.refused,
        }
        for m in measured
    ]  # fmt: skip


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


TABLES: Mapping[str, Mapping[str, str]] = {
    "traces": {
        "key": "VARCHAR", "thought": "VARCHAR", "answer": "VARCHAR", "question": "VARCHAR",
        "group": "VARCHAR", "claims": "BIGINT", "precision": "DOUBLE", "coverage": "DOUBLE",
        "information_bits": "DOUBLE", "lift": "DOUBLE", "hallucination": "DOUBLE",
        "mentions": "BIGINT", "acoustic_ratio": "DOUBLE", "surrogate": "DOUBLE",
        "contradictions": "BIGINT", "coherent": "BOOLEAN", "why_incoherent": "VARCHAR",
        "grounding": "DOUBLE", "grounded": "BOOLEAN", "why": "VARCHAR",
    },
    "claims": {
        "key": "VARCHAR", "group": "VARCHAR", "kind": "VARCHAR", "attribute": "VARCHAR",
        "claim": "VARCHAR", "text": "VARCHAR", "negated": "BOOLEAN", "hedged": "BOOLEAN",
        "verdict": "VARCHAR", "measured": "VARCHAR", "tolerance": "VARCHAR",
        "function": "VARCHAR", "clip": "BIGINT", "start_s": "DOUBLE", "end_s": "DOUBLE",
    },
    "measurements": {
        "key": "VARCHAR", "clip": "BIGINT", "name": "VARCHAR", "unit": "VARCHAR",
        "value": "DOUBLE", "word": "VARCHAR", "reliability": "DOUBLE", "refused": "VARCHAR",
    },
}  # fmt: skip
"""The tables and their columns; SQL sees them under these names."""


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise ValueError(
            "Parquet and SQL need the extra 'traces': pip install 'auscult[traces]'"
        ) from error
    return duckdb


def _quoted(path: Path) -> str:
    """A path inside SQL quotation marks."""
    return str(path).replace("'", "''")


def write(folder: Path, rows: Mapping[str, Sequence[Row]]) -> list[Path]:
    """One Parquet file per table, each put in place only when it is whole."""
    duckdb = _duckdb()
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for table, columns in TABLES.items():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            source, target = Path(scratch) / "rows.jsonl", Path(scratch) / "rows.parquet"
            text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows.get(table, ()))
            source.write_bytes(text.encode("utf-8", "replace"))  # half a character is no text
            names = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
            with duckdb.connect() as db:
                db.execute(
                    f"COPY (SELECT * FROM read_json(?, format='newline_delimited', "
                    f"columns={{{names}}})) TO '{_quoted(target)}' (FORMAT parquet)",
                    [str(source)],
                )
            final = folder / f"{table}.parquet"
            target.replace(final)
            written.append(final)
    return written


def query(folder: Path, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """(column names, rows) of a SQL query over the tables in a folder.

    Raises `ValueError` for a folder without tables and for SQL that DuckDB refuses.
    """
    duckdb = _duckdb()
    files = {t: folder / f"{t}.parquet" for t in TABLES if (folder / f"{t}.parquet").is_file()}
    if not files:
        raise ValueError(
            f"no {', '.join(f'{t}.parquet' for t in TABLES)} in {folder}; write them with "
            f"`auscult check traces.jsonl --out {folder}`"
        )
    with duckdb.connect() as db:
        for table, file in files.items():
            db.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{_quoted(file)}')")
        try:
            found = db.execute(sql)
        except duckdb.Error as error:
            columns = "; ".join(f"{t}({', '.join(c)})" for t, c in TABLES.items())
            raise ValueError(f"{error}\ntables: {columns}") from error
        names = [column[0] for column in found.description or ()]
        return names, found.fetchall()
