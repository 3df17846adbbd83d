"""MMAU and MMAR in every published form, with their oddities: two to eight options, options named
twice, a category in a list, chords that look like letters, an MP3 that is named .wav."""

import json
from collections.abc import Callable
from pathlib import Path

from fixture_sounds import encoded, tone, wav_bytes

ROWS = (
    {"id": "m1", "question": "Who speaks?", "choices": ["Man", "A woman", "Child", "Robot"],
     "answer": "Man", "task": "speech", "category": "Reasoning"},
    {"id": "m2", "question": "Which word is stressed?", "choices": ["wind", "wharf"],
     "answer": "wharf", "task": "speech", "category": ["Reasoning"]},
    {"id": "m3", "question": "Which chord is heard?",
     "choices": ["E:maj/1", "B:maj/1", "A:maj/5", "C:min"], "answer": "A:maj/5",
     "task": "music", "category": "Information Extraction"},
    {"id": "m4", "question": "How do they feel?",
     "choices": ["both sad.", "first calm.", "both sad.", "both glad.", "second calm."],
     "answer": "both sad.", "task": "speech", "category": "Reasoning"},
    {"id": "m5", "question": "Wo ist das? 在哪里?",
     "choices": [" Büro", "Lake", "Forest", "Desert", "Port", "湖边", "Street", "Park "],
     "answer": " Büro", "task": "sound", "category": "Reasoning"},
    {"id": "m6", "question": "In which order?",
     "choices": ["dog, cat", "cat, dog", "dog", "rain"], "answer": "dog, cat",
     "task": "sound", "category": "Reasoning"},
)  # fmt: skip
SHARED = {"dataset": "synthetic", "sub-category": "Counting", "difficulty": "easy"}


def sound(place: int) -> bytes:
    """The last row's recording is an MP3, whatever its name."""
    return encoded(tone(5), "mp3") if place == 5 else wav_bytes(tone(place))


def rows(split: str) -> list[dict]:
    """The rows as the JSON list has them; the full test has no answers."""
    out = []
    for row in ROWS:
        path = f"./{split}-audios/{row['id']}.wav"
        out.append({"audio_id": path, "split": split, **SHARED, **row})
        if split == "test":
            out[-1]["answer"] = ""
    return out


def recordings(folder: Path, name: str) -> None:
    """`name`/<id>.wav for every row."""
    (folder / name).mkdir(parents=True)
    for place, row in enumerate(ROWS):
        (folder / name / f"{row['id']}.wav").write_bytes(sound(place))


def table(file: Path, records: list[dict]) -> None:
    """A Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records), file)


def mini_list(folder: Path) -> None:
    """mmau-test-mini.json of GitHub beside the recordings."""
    recordings(folder, "test-mini-audios")
    (folder / "mmau-test-mini.json").write_text(json.dumps(rows("test-mini")))


def mini_hub(folder: Path) -> None:
    """gamma-lab-umd: one table, "(A) " before the options, the rest as JSON text."""
    out = []
    for place, row in enumerate(rows("test-mini")):
        shown = [f"({chr(65 + i)}) {c}" for i, c in enumerate(row["choices"])]
        about = ("id", "task", "category", "sub-category", "difficulty", "dataset")
        out.append({
            "context": {"bytes": sound(place), "path": None},
            "instruction": row["question"],
            "choices": shown,
            "answer": shown[row["choices"].index(row["answer"])],
            "other_attributes": json.dumps({k: row[k] for k in about}),
        })  # fmt: skip
    table(folder / "test_mini.parquet", out)


def copy(folder: Path) -> None:
    """lmms-lab: both splits, options (and here the category in a list) as JSON text."""
    for split in ("test-mini", "test"):
        out = []
        for place, row in enumerate(rows(split)):
            data = {"bytes": sound(place), "path": f"{row['id']}.wav"}
            cells = {k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()}
            del cells["audio_id"]
            out.append(cells | {"audio": data})
        table(folder / "data" / f"{split.replace('-', '_')}-00000-of-00001.parquet", out)


def full_list(folder: Path) -> None:
    """mmau-test.json of GitHub beside the recordings."""
    recordings(folder, "test-audios")
    (folder / "mmau-test.json").write_text(json.dumps(rows("test")))


def full_hub(folder: Path) -> None:
    """The hub's table of the full test without sound, and the unpacked archive beside it."""
    recordings(folder, "test-audios")
    plain = [r | {"audio": None} for r in rows("test")]
    plain[1]["category"] = "Reasoning"
    table(folder / "test.parquet", plain)


def rubric(words: str) -> list[dict]:
    """Five criteria worth 0 or 1."""
    return [
        {"name": f"{words} {i}", "scoring_point": f"Award 1 point if 'cue {i}' is named.",
         "note": "invented", "choices": [0, 1]}
        for i in range(5)
    ]  # fmt: skip


MMAR = (
    {"id": "r1", "question": "What barks?", "choices": ["A dog", "A cat", "A seal", "Nothing"],
     "answer": "A dog", "modality": "sound", "language": None, "url": "https://x.test/1"},
    {"id": "r2", "question": "Is it sincere?\n", "choices": ["Yes", "No"], "answer": "No",
     "modality": "speech", "language": "en", "url": "https://x.test/1"},
    {"id": "r3", "question": "谁在唱?", "choices": ["男人", "女人", "孩子"], "answer": "女人",
     "modality": "mix-music-speech", "language": "zh", "url": "https://x.test/2"},
    {"id": "r4", "question": "How many?", "choices": ["2", "3", "4", "5", "6", "7"],
     "answer": "6", "modality": "music", "language": "en|ja", "url": "https://x.test/3"},
)  # fmt: skip


def mmar_rows(*, rubrics: bool) -> list[dict]:
    """The rows of either list."""
    out = []
    for row in MMAR:
        about = {
            "audio_path": f"./audio/{row['id']}.wav", "category": "Perception Layer",
            "sub-category": "Counting", "source": "invented", "timestamp": "00:00:00,00:00:01",
        }  # fmt: skip
        also = {"thinking": "It barks.\nSo it is that.", "cue": ["bark"], "rubric": rubric("Cue")}
        out.append(row | about | (also if rubrics else {}))
    return out


def mmar_audio(folder: Path) -> None:
    """audio/<id>.wav for every row."""
    (folder / "audio").mkdir(parents=True)
    for place, row in enumerate(MMAR):
        (folder / "audio" / f"{row['id']}.wav").write_bytes(wav_bytes(tone(place)))


def mmar_hub(folder: Path) -> None:
    """MMAR-meta.json, without rubrics."""
    mmar_audio(folder)
    (folder / "MMAR-meta.json").write_text(json.dumps(mmar_rows(rubrics=False), indent=4))


def mmar_lines(folder: Path) -> None:
    """MMAR-meta.jsonl, with rubrics."""
    mmar_audio(folder)
    lines = [json.dumps(r, ensure_ascii=False) for r in mmar_rows(rubrics=True)]
    (folder / "MMAR-meta.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


JUDGE_PROMPT = """## Ground Truth & Problem Context

- Question: What barks?
- Correct Answer: A dog
- Ideal Reasoning (for reference): It barks.
So it is that.

## Evaluation Rubric & Scoring

For each point in the rubric, provide a score and a brief justification based on the model's output.

### Criterion: Cue 0
- Scoring Rule: Award 1 point if 'cue 0' is named.
- Score Options: [0, 1]
- Evaluate: Carefully read the model's reasoning and determine if it meets this criterion.
### Criterion: Cue 1
- Scoring Rule: Award 1 point if 'cue 1' is named.
- Score Options: [0, 1]
- Evaluate: Carefully read the model's reasoning and determine if it meets this criterion.

## Required Output Format

Provide your complete evaluation in a single, valid JSON object. Do not add any text before or \
after the JSON. The JSON structure must be as follows:

[
{
"name": "Cue 0",
"score": [Assign a score from [0, 1]],
"justification": "Your justification for this score, citing evidence from the model's reasoning. \
(less than 50 words)"
},
{
"name": "Cue 1",
"score": [Assign a score from [0, 1]],
"justification": "Your justification for this score, citing evidence from the model's reasoning. \
(less than 50 words)"
}
]

## Model's Submission to Evaluate

- Model's Reasoning:
I hear {barks}
twice. The answer is A dog."""
"""The official user prompt for the first MMAR row with two of its criteria."""

FIXTURES: dict[str, Callable[[Path], None]] = {
    "mmau_mini": mini_hub,
    "mmau_test": full_hub,
    "mmar": mmar_lines,
    "mmar_rubrics": mmar_lines,
}
"""suite -> what writes its fixture into a folder that does not exist yet."""
