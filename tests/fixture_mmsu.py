"""MMSU in both published forms, with its oddities: numeric choices, absent options."""

import json
from pathlib import Path

from fixture_sounds import tone, wav_bytes

ROWS = (
    {"id": 1, "question": "Who speaks?", "choice_a": "A man", "choice_b": "A woman",
     "choice_c": "A child", "choice_d": "Nobody", "answer_gt": "A woman"},
    {"id": 2, "question": "How many words?", "choice_a": 3, "choice_b": 4,
     "choice_c": 5, "choice_d": 6, "answer_gt": 5},
    {"id": 3, "question": "Is it a question?", "choice_a": "Yes", "choice_b": "No",
     "answer_gt": "No"},
    {"id": 4, "question": "哪个词被强调?", "choice_a": "我", "choice_b": "你",
     "choice_c": "他", "answer_gt": "他"},
)  # fmt: skip


def rows() -> list[dict]:
    """The rows with the columns that all share."""
    about = {
        "category": "perception", "sub-category": "phonology", "sub-sub-category": "stress",
        "linguistics_sub_discipline": "phonetics", "task_name": "who",
    }  # fmt: skip
    return [about | row for row in ROWS]


def lines(folder: Path) -> None:
    """question/mmsu.jsonl beside the recordings."""
    (folder / "question").mkdir(parents=True)
    (folder / "audio").mkdir()
    out = []
    for row in rows():
        path = f"audio/{row['id']}.wav"
        (folder / path).write_bytes(wav_bytes(tone(row["id"])))
        out.append(json.dumps(row | {"audio_path": path}, ensure_ascii=False))
    (folder / "question" / "mmsu.jsonl").write_text("\n".join(out) + "\n", encoding="utf-8")


def shards(folder: Path) -> None:
    """The hub's Parquet: sound as bytes, every cell of a column of one type, absent as null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    out = []
    for row in rows():
        cells = {k: str(v) for k, v in row.items()} | {"choice_c": None, "choice_d": None}
        cells |= {k: str(row[k]) for k in ("choice_c", "choice_d") if k in row}
        out.append(cells | {"audio": {"bytes": wav_bytes(tone(row["id"])), "path": "x.wav"}})
    pq.write_table(pa.Table.from_pylist(out), folder / "train-00000-of-00001.parquet")


FIXTURES = {"mmsu": lines}
"""suite -> what writes its fixture into a folder that does not exist yet."""
