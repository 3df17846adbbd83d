"""A user's own recordings and questions as training data: `docs/data.md` describes the format.

JSONL or Parquet in, checked as a whole before anything is trained on; items as the gym's out.
"""

import difflib
import hashlib
import json
import math
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from auscult.audio.io import MAX_SECONDS, MIN_SECONDS, AudioError, chunks, read_audio
from auscult.audio.synth import SAMPLE_RATE
from auscult.files import is_stream, json_lines, need_parquet
from auscult.gym import SPLITS, render
from auscult.gym.base import DIGITS, pick, sample, shuffled
from auscult.gym.score import normalise
from auscult.types import Audio, Item
from auscult.verify.scores import FEATURES

MOST_PROBLEMS = 20  # listed at once; more than that are read by nobody
HELD_OUT = 10  # one of so many recordings is held out where `split` is not given
END_SLACK = 0.5  # seconds by which `end` may lie behind the recording: written times are rounded
KNOWN_FEATURES = (*FEATURES, "words")
Say = Callable[[int, str], None]  # (number of the line, what is wrong there)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a manifest, without its sound.

    Example: Row(audio=("talk.wav",), question="Which bird sings?", answer="wren", start=2.0,
    caption=("I hear a wren.",), id="17", split="train"). `transcript` and `caption` hold one text
    per recording, or one for all.
    """

    audio: tuple[str, ...]
    question: str
    answer: str
    options: tuple[str, ...] = ()
    task: str = "own"
    features: tuple[str, ...] = ()
    chain: str = ""
    transcript: tuple[str, ...] = ()
    caption: tuple[str, ...] = ()
    start: float | None = None  # seconds
    end: float | None = None  # seconds
    split: str = ""  # "train" | "heldout"; filled in by `open_manifest`
    id: str = ""  # the number of the line where not given


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A checked manifest; sound is read only when an item is asked for.

    Example: Manifest(path=Path("data.jsonl"), rows=(Row(...), Row(...)), digest="9f2c...").
    `digest` is a SHA-256 over all rows and the size in bytes of every recording.
    """

    path: Path
    rows: tuple[Row, ...]
    digest: str

    def indices(self, split: str) -> tuple[int, ...]:
        """Numbers of the rows on one side: "train" or "heldout"."""
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; expected one of {', '.join(SPLITS)}")
        return tuple(i for i, row in enumerate(self.rows) if row.split == split)

    def item(self, index: int) -> Item:
        """Row number `index` with its sound: cut, then in pieces of at most 25 s.

        A chain that begins with the caption gives the rest as inference, so that `render.chain`
        says everything once. Raises `AudioError` for a recording that cannot be used.
        """
        row = self.rows[index]
        words = row.caption or row.transcript or ("",)
        clips: list[Audio] = []
        heard: list[str] = []
        for place, name in enumerate(row.audio):
            pieces = chunks(_cut(read_audio(self.path.parent / name), row, name))
            clips += pieces
            heard += [words[place % len(words)]] * len(pieces)
        item = Item(
            key=f"manifest:{row.id}", task=row.task, clips=tuple(clips), question=row.question,
            options=row.options, answer=row.answer, facts={}, features=row.features,
            heard=tuple(heard), inference=row.chain,
        )  # fmt: skip
        return replace(item, inference=row.chain.removeprefix(render.caption(item)).strip())


def _cut(x: Audio, row: Row, name: str) -> Audio:
    """From `start` to `end` of one recording."""
    length = len(x) / SAMPLE_RATE
    start, end = row.start or 0.0, length if row.end is None else row.end
    if end > length + END_SLACK or min(end, length) - start < MIN_SECONDS:
        raise AudioError(
            f"row {row.id!r}: {name} is {length:.2f} s long, start is {start:g} and end {end:g}; "
            f"give seconds within it, at least {MIN_SECONDS:g} apart"
        )
    return x[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


_WHAT = {
    "text": "a text in quotation marks",
    "list": "a list of texts",
    "each": "a text, or a list with one text per recording",
    "seconds": f"a number of seconds from 0 to {MAX_SECONDS:.0f}",
}
FIELDS = {
    "audio": "each", "question": "text", "answer": "text", "options": "list", "task": "text",
    "features": "list", "chain": "text", "transcript": "each", "caption": "each",
    "start": "seconds", "end": "seconds", "split": "text", "id": "text",
}  # fmt: skip
"""The fields and what each holds."""
NEEDED = ("audio", "question", "answer")


def _value(kind: str, value: Any) -> Any:
    """The value as `Row` holds it, None where it is of the wrong type."""
    if kind == "seconds":
        number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        return float(value) if number and 0 <= value <= MAX_SECONDS else None
    if kind == "text":
        return value if isinstance(value, str) else None
    found = [value] if kind == "each" and isinstance(value, str) else value
    good = isinstance(found, list) and all(isinstance(v, str) for v in found)
    return tuple(found) if good else None


def _absent(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _near(name: str, among: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, among, n=1)
    return f"did you mean {close[0]!r}?" if close else f"expected one of: {', '.join(among)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _read(data: Any) -> tuple[dict[str, Any], list[str]]:
    """The values of one line by field, and everything that is wrong with them."""
    if not isinstance(data, dict):
        return {}, [f"expected an object in braces, got {_shown(data)}"]
    given = {name: value for name, value in data.items() if not _absent(value)}
    said = [f"unknown field {n!r}; {_near(n, tuple(FIELDS))}" for n in data if n not in FIELDS]
    said += [f"{n!r} is missing or empty; every row needs it" for n in NEEDED if n not in given]
    values = {n: _value(kind, given[n]) for n, kind in FIELDS.items() if n in given}
    for name in [name for name, value in values.items() if value is None]:
        said.append(f"{name!r} is {_shown(given[name])}; expected {_WHAT[FIELDS[name]]}")
        del values[name]
    return values, [*said, *_at_odds(values)]


def _at_odds(values: Mapping[str, Any]) -> Iterator[str]:
    """What no value of the right type may be, alone or beside the others."""
    options, answer = values.get("options", ()), values.get("answer")
    if options and answer is not None and answer not in options:
        yield f"the answer {answer!r} is not among the options {list(options)}; write it as there"
    if options and len({normalise(o) for o in options}) < max(2, len(options)):
        yield f"the options {list(options)} are not at least two, all different"
    start, end = values.get("start", 0.0), values.get("end", math.inf)
    if start >= end:
        yield f"'start' is {start:g} and 'end' is {end:g}; start must come before end"
    for name in ("transcript", "caption"):
        texts, clips = values.get(name, ()), values.get("audio", ())
        if clips and len(texts) not in (0, 1, len(clips)):
            yield f"{name!r} has {len(texts)} texts for {len(clips)} recordings; give one for each"
    named = [("feature", name, KNOWN_FEATURES) for name in values.get("features", ())]
    named += [("split", values["split"], tuple(SPLITS))] if "split" in values else []
    for what, name, among in named:
        if name not in among:
            yield f"unknown {what} {name!r}; {_near(name, among)}"


_WHOLE = "one whole object on one line"


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        text = "Parquet needs the extra 'traces': pip install 'auscult[traces]'; or use JSONL"
        raise ValueError(text) from error
    return duckdb


def _table(path: Path) -> Iterator[tuple[int, Any]]:
    """(row number, object) of a Parquet file."""
    duckdb = _duckdb()
    need_parquet(path)
    with duckdb.connect() as db:
        try:
            found = db.execute("SELECT * FROM read_parquet(?)", [str(path)])
            names = [column[0] for column in found.description or ()]
            yield from enumerate((dict(zip(names, r, strict=True)) for r in found.fetchall()), 1)
        except duckdb.Error as error:
            raise ValueError(f"{path} is not a Parquet file that can be read: {error}") from error


def _report(path: Path, unit: str, found: Mapping[str, list[int]]) -> None:
    """Everything wrong in one error; the same said of many lines is listed once."""
    count = len(found)
    lines = [f"{path}: {count} problem{'s' if count > 1 else ''}"]
    for text, at in sorted(found.items(), key=lambda row: row[1][0])[:MOST_PROBLEMS]:
        more = f" and {len(at) - 3} more" if len(at) > 3 else ""
        where = f"{unit}{'s' if len(at) > 1 else ''} {', '.join(map(str, at[:3]))}{more}"
        lines.append(f"  {where}: {text}")
    if count > MOST_PROBLEMS:
        lines.append(f"  and {count - MOST_PROBLEMS} more; mend these first")
    if found:
        raise ValueError("\n".join(lines))


def open_manifest(path: str | Path) -> Manifest:
    """Read and check a whole manifest (`.parquet`, else JSONL); no sound is decoded yet.

    Raises one `ValueError` that lists up to 20 problems, each with its lines.
    """
    path = Path(path)
    if is_stream(path):
        raise ValueError(f"{path} is a pipe, and a manifest is read several times; save it first")
    if not path.is_file():
        raise ValueError(f"there is no file {path}; expected a manifest in JSONL or Parquet")
    parquet, found = path.suffix.lower() == ".parquet", dict[str, list[int]]()
    unit = "row" if parquet else "line"
    rows, ids = dict[int, Row](), dict[str, int]()

    def say(number: int, text: str) -> None:
        found.setdefault(text, []).append(number)

    for number, data in _table(path) if parquet else json_lines(path, _WHOLE, say=say):
        values, said = _read(data)
        lost = [n for n in values.get("audio", ()) if not os.path.isfile(path.parent / n)]
        said += [f"no audio file {n!r}; paths start at the folder of the manifest" for n in lost]
        same = ids.setdefault(values.setdefault("id", str(number)), number)
        if same != number:
            said.append(f"the id {values['id']!r} is that of {unit} {same}; ids must differ")
        for text in said:
            say(number, text)
        if not said:
            rows[number] = Row(**values)
    if not ids and not found:
        say(1, f"the file is empty; expected objects with {', '.join(NEEDED)}")
    rows = _sides(rows, path.parent, unit, say)
    _report(path, unit, found)
    sizes = [[os.path.getsize(path.parent / name) for name in r.audio] for r in rows.values()]
    stated = json.dumps([[asdict(row) for row in rows.values()], sizes])
    digest = hashlib.sha256(stated.encode()).hexdigest()
    return Manifest(path=path, rows=tuple(rows.values()), digest=digest)


def _sides(rows: Mapping[int, Row], folder: Path, unit: str, say: Say) -> dict[int, Row]:
    """Every row with its side. Rows that share a recording, directly or through others, stand
    together: on the side that one of them names, else by a hash of the first of their paths."""
    real = {name: os.path.realpath(folder / name) for row in rows.values() for name in row.audio}
    group = {place: place for place in real.values()}  # the last of a chain points at itself

    def top(row: Row, nth: int = 0) -> str:
        at = real[row.audio[nth]]
        while group[at] != at:
            group[at] = at = group[group[at]]
        return at

    for row in rows.values():
        for nth in range(1, len(row.audio)):
            group[top(row, nth)] = top(row)
    first, given = dict[str, str](), dict[str, int]()
    for number, row in rows.items():
        paths = [os.path.normpath(name).replace(os.sep, "/") for name in row.audio]
        first[top(row)] = min([*paths, first.get(top(row), paths[0])])
        if row.split and rows[n := given.setdefault(top(row), number)].split != row.split:
            say(
                number,
                f"the split is {row.split!r}, but {unit} {n} is {rows[n].split!r} and shares a "
                "recording with it, directly or through others; give both the same",
            )
    hashed = {t: zlib.crc32(p.encode("utf-8", "backslashreplace")) for t, p in first.items()}
    side = {t: "train" if h % HELD_OUT else "heldout" for t, h in hashed.items()}
    side |= {t: rows[number].split for t, number in given.items()}
    return {number: replace(row, split=side[top(row)]) for number, row in rows.items()}


def write_manifest(path: str | Path, rows: Sequence[Row]) -> Path:
    """Write rows as Parquet (`.parquet`) or else JSONL, put in place only when whole. Paths of
    recordings are written as they are: relative ones start at the folder of `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    usual = {f.name: f.default for f in fields(Row)}
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        made, table = Path(scratch) / "rows.jsonl", Path(scratch) / "rows.parquet"
        with made.open("w", encoding="utf-8") as file:
            for row in rows:
                given = {k: v for k, v in asdict(row).items() if v != usual[k]}
                file.write(json.dumps(given) + "\n")
        if path.suffix == ".parquet":
            types = {"text": "VARCHAR", "seconds": "DOUBLE"}
            kinds = ", ".join(f"'{n}': '{types.get(k, 'VARCHAR[]')}'" for n, k in FIELDS.items())
            quoted = str(table).replace("'", "''")
            read = f"read_json(?, format='newline_delimited', columns={{{kinds}}})"
            copy = f"COPY (SELECT * FROM {read}) TO '{quoted}' (FORMAT parquet)"
            with _duckdb().connect() as db:
                db.execute(copy, [str(made)])
        (table if path.suffix == ".parquet" else made).replace(path)
    return path


Take = tuple[str, int, str]
"""A recording of a spoken digit: ("fsdd/7_jackson_32.wav", 7, "jackson")."""
OFFICIAL_TEST = 5  # takes 0 to 4 of every speaker and digit are the test set of its authors


def _pair(
    rng: np.random.Generator, takes: Sequence[Take], fits: Callable[[Take, Take], bool]
) -> tuple[Take, Take]:
    """Two different recordings that fit, every such pair equally often."""
    for _ in range(2000 if takes else 0):
        a, b = pick(rng, takes), pick(rng, takes)
        if a[0] != b[0] and fits(a, b):
            return a, b
    raise ValueError(
        f"{len(takes)} recordings do not suffice for pairs of the same and of different digits and "
        f"speakers; give more takes (those below {OFFICIAL_TEST} are held out)"
    )


def _digits(rng: np.random.Generator, takes: Sequence[Take]) -> Row:
    """One question about one or two spoken digits; the answer is drawn before the recordings."""
    kind, yes = pick(rng, ("digit", "digit", "larger", "speaker", "repeat")), rng.random() < 0.5
    fits: dict[str, Callable[[Take, Take], bool]] = {
        "digit": lambda a, b: True,
        "larger": lambda a, b: a[1] > b[1] if yes else a[1] < b[1],
        "speaker": lambda a, b: (a[2] == b[2]) == yes,
        "repeat": lambda a, b: (a[1] == b[1]) == yes,
    }
    a, b = _pair(rng, takes, fits[kind])
    said, (low, high) = "yes" if yes else "no", sorted((a[1], b[1]))
    place, like = "first" if yes else "second", "are the same" if yes else "are different"
    question, answer, options, inference = {
        "digit": ("Which digit is spoken?", f"{a[1]}", (), f"That is {a[1]}."),
        "larger": (
            "Which of the two digits is larger, the first or the second?", place,
            ("first", "second"), f"{high} is larger than {low}. The {place} is larger.",
        ),
        "speaker": ("Is it the same speaker in both clips?", said, ("yes", "no"),
                    f"The voices {like}, so {said}."),
        "repeat": ("Is the same digit said in both clips?", said, ("yes", "no"),
                   f"{a[1]} and {b[1]} {like}, so {said}."),
    }[kind]  # fmt: skip
    if kind == "digit" and rng.random() < 1 / 3:
        options = (answer, *sample(rng, [str(n) for n in range(10) if n != a[1]], 3))
    used = (a,) if kind == "digit" else (a, b)
    heard = tuple(f'I hear the words "{DIGITS[take[1]]}".' for take in used)
    numbered = heard if len(heard) == 1 else [f"Clip {i}: {t}" for i, t in enumerate(heard, 1)]
    return Row(
        audio=tuple(take[0] for take in used), question=question, answer=answer,
        options=shuffled(rng, options), task=f"fsdd_{kind}", caption=heard,
        features=() if kind == "speaker" else ("words",), chain=" ".join((*numbered, inference)),
        transcript=tuple(DIGITS[take[1]] for take in used),
    )  # fmt: skip


def fsdd_manifest(folder: Path, out: Path, n: int, seed: int) -> Manifest:
    """Write and open n questions about recordings in the layout of the Free Spoken Digit Dataset,
    `{digit}_{speaker}_{take}.wav` anywhere below `folder`; every tenth question is held out."""
    sides: dict[str, list[Take]] = {"train": [], "heldout": []}
    for file in sorted(folder.rglob("*.wav")):
        if match := re.fullmatch(r"(\d)_(\w+)_(\d+)", file.stem):
            path = os.path.relpath(os.path.realpath(file), os.path.realpath(out.parent))
            side = "heldout" if int(match[3]) < OFFICIAL_TEST else "train"
            sides[side].append((path.replace(os.sep, "/"), int(match[1]), match[2]))
    if not any(sides.values()):
        raise ValueError(
            f"{folder} holds no file named {{digit}}_{{speaker}}_{{take}}.wav; "
            "pass the folder of recordings of the Free Spoken Digit Dataset"
        )
    rng, rows = np.random.default_rng(seed), list[Row]()
    for i in range(n):
        side = "train" if (i + 1) % HELD_OUT else "heldout"
        rows.append(replace(_digits(rng, sides[side]), id=f"fsdd-{seed}-{i}", split=side))
    return open_manifest(write_manifest(out, rows))
