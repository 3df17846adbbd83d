"""Spoken questions and transcription: Big Bench Audio, Spoken-MQA, LibriSpeech, AISHELL-1."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from fixture_sounds import encoded, tone, wav_bytes

BIG_BENCH = (
    ("formal_fallacies", "invalid", "All ants are red. Is the argument valid or invalid?"),
    ("formal_fallacies", "valid", "No ant is blue. Is the argument valid or invalid?"),
    ("navigate", "Yes", "Turn around. Take two steps. Turn around. Take two steps."),
    ("object_counting", "7", "I have three plums and four pears. How many fruits do I have?"),
    ("web_of_lies", "no", "Ann lies. Bob says Ann tells the truth. Does Bob tell the truth?"),
    # The same words in another voice.
    ("web_of_lies", "no", "Ann lies. Bob says Ann tells the truth. Does Bob tell the truth?"),
)


def big_bench_lines(folder: Path) -> None:
    """metadata.jsonl beside data/question_<id>.mp3; ids are not places."""
    (folder / "data").mkdir(parents=True)
    out = []
    for place, (category, answer, _) in enumerate(BIG_BENCH):
        number = 10 * place
        name = f"data/question_{number}.mp3"
        (folder / name).write_bytes(encoded(tone(place), "mp3"))
        row = {"category": category, "official_answer": answer, "file_name": name, "id": number}
        out.append(json.dumps(row))
    (folder / "metadata.jsonl").write_text("\n".join(out) + "\n", encoding="utf-8")


def _table(rows: list[dict[str, Any]], file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file)


def big_bench_shards(folder: Path) -> None:
    """The Parquet copy with a transcript."""
    rows = [
        {"category": c, "official_answer": a, "id": 10 * i, "transcript": words,
         "audio": {"bytes": encoded(tone(i), "mp3"), "path": f"question_{10 * i}.mp3"}}
        for i, (c, a, words) in enumerate(BIG_BENCH)
    ]  # fmt: skip
    _table(rows, folder / "data" / "train-00000-of-00001.parquet")


# split -> (what is spoken, answer): text in the digit splits, lists in the others.
SPOKEN_MQA: dict[str, tuple[tuple[str, Any], ...]] = {
    "short_digit": (("Three hundred plus four", "304"), ("One minus two point five", "-1.5")),
    "long_digit": (("One thousand times two", "2,000"),),
    "single_step_reasoning": (
        ("Ann eats half of three quarters of a pie.", ["3/8", "0.375"]),
        ("Bob has twelve euros.", ["It is easy.\n#### 1,200.0"]),
    ),
    "multi_step_reasoning": (("Twice two and one more.", ["5"]), ("Count to nine.", ["9"])),
}


def spoken_mqa(folder: Path) -> None:
    """One Parquet file per split; `context` is the sound, `audio` inside the texts is null."""
    number = 0
    for split, items in SPOKEN_MQA.items():
        rows = []
        for words, answer in items:
            number += 1
            rows.append({
                "context": {"bytes": wav_bytes(tone(number)), "path": None},
                "context_transcript": words,
                "instruction": {"text": f"Please solve ({split}).", "audio": None},
                "answer": {"text": answer, "audio": None},
            })  # fmt: skip
        _table(rows, folder / "data" / f"{split}-00000-of-00001.parquet")


LIBRISPEECH = (
    ("1089-134686", "0000", "HE HOPED THERE WOULD BE STEW FOR DINNER"),
    ("1089-134686", "0001", "MISTER QUILTER'S COLOUR IS GREY"),
    ("121-121726", "0000", "ALSO A POPULAR CONTRIVANCE"),
    ("121-127105", "0003", "TWENTY ONE MEN HMM"),
)


def librispeech(split: str, folder: Path) -> None:
    """LibriSpeech/<split>/<speaker>/<chapter>/ with FLAC files and one list per chapter."""
    for seed, (chapter, number, words) in enumerate(LIBRISPEECH):
        place = folder / "LibriSpeech" / split / chapter.replace("-", "/")
        place.mkdir(parents=True, exist_ok=True)
        name = f"{chapter}-{number}"
        (place / f"{name}.flac").write_bytes(encoded(tone(seed), "flac"))
        with (place / f"{chapter}.trans.txt").open("a", encoding="utf-8") as file:
            file.write(f"{name} {words}\n")


AISHELL1 = (
    ("BAC009S0002W0122", "而 对 楼市 成交 抑制 作用 最 大 的 限 购"),  # of the training set
    ("BAC009S0764W0121", "甚至 出现 交易 几乎 停滞 的 情况"),
    ("BAC009S0764W0122", "二零一六 年 增长 百分之五"),
    ("BAC009S0916W0495", "苹果 发布 了 a p p"),
)


def aishell1(folder: Path) -> None:
    """data_aishell with a list of all splits and the unpacked recordings of the test speakers."""
    root = folder / "data_aishell"
    (root / "transcript").mkdir(parents=True)
    lines = "".join(f"{name} {words}\n" for name, words in AISHELL1)
    (root / "transcript" / "aishell_transcript_v0.8.txt").write_text(lines, encoding="utf-8")
    for seed, (name, _) in enumerate(AISHELL1[1:]):
        place = root / "wav" / "test" / name[6:11]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.wav").write_bytes(wav_bytes(tone(seed)))


FIXTURES = {
    "big_bench_audio": big_bench_lines,
    "spoken_mqa": spoken_mqa,
    "librispeech_test_clean": partial(librispeech, "test-clean"),
    "librispeech_test_other": partial(librispeech, "test-other"),
    "librispeech_dev_clean": partial(librispeech, "dev-clean"),
    "librispeech_dev_other": partial(librispeech, "dev-other"),
    "aishell1_test": aishell1,
}
"""suite -> what writes its fixture into a folder that does not exist yet."""
