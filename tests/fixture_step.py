"""StepFun's own benchmarks in their published forms, with their oddities; what judges say."""

import json
import math
from collections.abc import Callable
from pathlib import Path

from fixture_sounds import encoded, tone, wav_bytes

from auscult.bench.question import Answer, Mark, Plea, Question, Suite
from auscult.bench.sets import step_eval_360, step_paralinguistic, step_r15

# Names of tasks as published: five of eleven are not those that lmms-eval looks up. Labels may be
# in English, with a space before them; two clips of one podcast ("lsWT") are in two subsets.
SPOKEN = (
    ("age", "lsWT_2", "识别说话人年龄", "青年 (20-30岁)", "大概在20到30岁之间。"),
    ("event", "mixed_k1_0_10", "识别音频中除了人声说话外所包含的事件", " a bus on the road.",
     "一辆公共汽车。"),
    ("gender", "lsWT_12", "识别说话人性别", "女性", "是女生。"),
    ("scene", "A0002CO0005", "识别声音发生的场景", "park", "这是在公园里。"),
    ("speed", "GKw-48K_7", "识别说话人语速", "中快速", "我觉得是中快速。"),
)  # fmt: skip


def paralinguistic(folder: Path) -> None:
    """<subset>/<subset>.json beside audio/*_input.wav, as on GitHub."""
    for place, (subset, name, task, label, answer) in enumerate(SPOKEN):
        here = folder / "Step-Audio_Paralinguistic" / subset
        (here / "audio").mkdir(parents=True)
        path = f"audio/{name}_input.wav"
        (here / path).write_bytes(wav_bytes(tone(place)))
        rows = [{"audio": path, "task": {"name": task, "label": label, "answer": answer}}]
        _json(here / f"{subset}.json", rows)


def paralinguistic_hub(folder: Path, named: bool = True) -> None:
    """One Parquet split per subset; no label. Not `named`: the recordings have no path."""
    for place, (subset, name, task, _, answer) in enumerate(SPOKEN):
        path = f"{name}_input.wav" if named else None
        row = {"audio": {"bytes": wav_bytes(tone(place)), "path": path}, "task_name": task,
               "task_answer": answer, "subset": subset}  # fmt: skip
        _parquet(folder / "data" / f"{subset}-00000-of-00001.parquet", [row])


def _json(file: Path, rows: list) -> None:
    file.write_text(json.dumps(rows, ensure_ascii=False, indent=4), encoding="utf-8")


def _lines(file: Path, rows: list[dict]) -> None:
    file.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")


def _parquet(file: Path, rows: list[dict]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file)


def speaker(**labels: str) -> dict[str, str]:
    """The 15 labels of one speaker."""
    usual = dict.fromkeys(step_r15.FIELDS, "无") | {"language": "中文", "gender": "男"}
    return usual | labels


CLIPS = (
    ("test_0001", [speaker(age_group="青年：18-30", dialect_or_accent="无法识别")]),
    ("test_0003", [speaker(gender="女", rhythm="平稳, 流畅")]),
    ("test_0006", [speaker(), speaker(gender="无法判断", age_group="无法判断")]),
    ("test_0008", [speaker(language="英语", emotion="平静")]),
)


def _set(folder: Path, name: str, prompts: dict[str, str]) -> Path:
    """The set's folder in a checkout, with its prompts."""
    root = folder / "benchmarks" / "Step-Audio-R1.5" / name
    (root / "audio").mkdir(parents=True)
    for file, wording in prompts.items():
        (root / "prompts" / file).parent.mkdir(parents=True, exist_ok=True)
        (root / "prompts" / file).write_text(wording, encoding="utf-8")
    return root


def caption(folder: Path) -> None:
    """MP3 beside metadata.jsonl; ids have gaps; some labels cannot be told."""
    root = _set(folder, "step_caption", {
        "model_user_prompt.txt": step_r15.CAPTION_ASK,
        "judge_system_prompt.txt": step_r15.CAPTION_SYSTEM,
        "judge_user_prompt_template.txt": step_r15.CAPTION_USER,
    })  # fmt: skip
    rows = []
    for place, (name, speakers) in enumerate(CLIPS):
        (root / "audio" / f"{name}.mp3").write_bytes(encoded(tone(place), "mp3"))
        rows.append({"test_id": name, "audio": f"{name}.mp3",
                     "is_multi_speakers": len(speakers) > 1, "speakers": speakers})  # fmt: skip
    _lines(root / "metadata.jsonl", rows)


def spqa(folder: Path) -> None:
    """Recordings by task; the question is spoken before or after what it is about."""
    judges = step_paralinguistic.JUDGES_R15
    files = {task: f"{task}.txt" for task in judges}
    root = _set(folder, "step_spqa", {
        **{f"judge_prompts/{files[task]}": wording for task, wording in judges.items()},
        "judge_prompts/prompt_map.json": json.dumps(files, indent=2),
        "model_user_prompt_template.txt": "{question}",
    })  # fmt: skip
    rows = []
    for place, (task, name, told, label, answer) in enumerate(SPOKEN):
        path = f"audio/{task}/{name}_input.wav"
        (root / path).parent.mkdir(parents=True)
        (root / path).write_bytes(wav_bytes(tone(place)))
        rows.append({
            "id": f"{task}:{name}", "audio_id": name, "audio_path": path, "task_type": task,
            "task_name": told, "label": label, "question": "", "reference_answer": answer,
            "audio_only_input": True, "legacy_question": f"问题{place}？",
            "source_text": f"内容{place}。",
            "audio_order": "question_first" if place % 2 else "prompt_first",
        })  # fmt: skip
    _lines(root / "metadata.jsonl", rows)


ASKED = (
    (1, "audio/01.wav", "性别理解, 年龄理解", "请你分析音频中人物的年龄和性别分别是什么？",
     "青年；男"),
    (2, "audio/2.wav", "语速理解", "请你分析音频中说话人的语速是快还是慢", "快速 "),
    (30, "audio/30.wav", "生理反应类理解", "请你分析音频中说话人发出了什么样的声音",
     "咳嗽 / 咳痰声：呼吸道受阻时的急促发声（如干咳、湿咳）。"),
    (71, "audio/71.wav", "语言风格理解", "请你分析音频中说话人的说话风格是什么类型", "对话/谈话"),
)  # fmt: skip


def dialogue(folder: Path) -> None:
    """Numbers as ids; names of recordings with and without a zero; a reference ends in a space."""
    root = _set(folder, "step_dialogue_understanding", {
        "model_user_prompt_template.txt": "{question}",
        "judge_system_prompt.txt": step_r15.DU_SYSTEM,
        "judge_user_prompt_template.txt": step_r15.DU_USER,
    })  # fmt: skip
    rows = []
    for number, path, dimension, question, reference in ASKED:
        (root / path).write_bytes(wav_bytes(tone(number)))
        rows.append({
            "id": number, "primary_dimension": "理解", "secondary_dimension": dimension,
            "qa_pair": "用户：请你认真听我说话。", "audio_path": path,
            "recording_requirement_or_qa_category": reference, "source_audio_name": "x.m4a",
            "input_question_text": question, "question_notes": "",
        })  # fmt: skip
    _lines(root / "metadata.jsonl", rows)


# name, dimension, turns of (role, words); odd turns are the assistant's.
DIALOGUES = (
    ("d1", "Role-playing", ("你好，请扮演一位老师。", "好的，同学们好。", "今天讲什么？")),
    ("d2", "Sing", ("唱一首歌。",)),
    ("d3", "Gaming", ("我们玩成语接龙，一马当先。", "先见之明。", "明知故问。")),
    ("d4", "Language Ability", ("用四川话说你好。",)),
)


def _turns(folder: Path, name: str, said: tuple[str, ...]) -> list[dict]:
    (folder / "audios").mkdir(parents=True, exist_ok=True)
    turns = []
    for place, words in enumerate(said):
        turn = {"role": "assistant" if place % 2 else "user", "text": words, "audio": None}
        if not place % 2:
            turn["audio"] = f"audios/{name}-{place}.wav"
            (folder / turn["audio"]).write_bytes(wav_bytes(tone(place)))
        turns.append(turn)
    return turns


def eval_360(folder: Path) -> None:
    """Parquet with the transcripts beside the unpacked recordings. The columns are assumed."""
    rows = [
        {"conversation_id": name, "category": kind, "conversation": _turns(folder, name, said)}
        for name, kind, said in DIALOGUES
    ]
    _parquet(folder / "data" / "test-00000-of-00001.parquet", rows)


def eval_360_lines(folder: Path) -> None:
    """The same with the turns as JSON in a column, and other names."""
    rows = []
    for name, kind, said in DIALOGUES:
        turns = [
            {"from": "human" if t["role"] == "user" else "gpt", "content": t["text"],
             "value": {"type": "wav", "value": Path(t["audio"]).name} if t["audio"] else None}
            for t in _turns(folder, name, said)
        ]  # fmt: skip
        rows.append({"id": name, "dimension": kind, "messages": json.dumps(turns)})
    _lines(folder / "test.jsonl", rows)


def eval_360_rows(folder: Path) -> None:
    """The same with one row per turn."""
    rows = [
        turn | {"session_id": name, "task_type": kind}
        for name, kind, said in DIALOGUES
        for turn in _turns(folder, name, said)
    ]
    _json(folder / "test.json", rows)


FIXTURES: dict[str, Callable[[Path], None]] = {
    "step_paralinguistic": paralinguistic,
    "step_caption": caption,
    "step_spqa": spqa,
    "step_dialogue_understanding": dialogue,
    "step_eval_360": eval_360,
}
"""suite -> what writes its fixture into a folder that does not exist yet."""

SUITES: dict[str, Suite] = {
    s.name: s for s in (step_paralinguistic.SUITE, *step_r15.SUITES_HERE, step_eval_360.SUITE)
}

# Taken from the sources: first digits of sha256 of each wording (lmms-eval), and the number of
# characters of each file (Step-Audio-R1.5).
HASHES = {
    "default": "e0d22f1a0628", "gender": "4efe61c69f60", "speed": "49e77c565b92",
    "voice_tone": "fdcd87b39d41", "rhythm": "ec64f92f8b03", "voice_styles": "a1365f1e1c26",
    "pitch": "6c46509ffaae", "emotions": "79f33107fbf7", "scene": "18acba95059f",
    "age": "d5b0c7da30d6", "event": "47af9bf7f2ef", "vocalsound": "2739cfdd89f4",
}  # fmt: skip
LENGTHS = {
    "default": 76, "age": 142, "emotions": 343, "event": 122, "gender": 166, "pitch": 76,
    "rhythm": 213, "scene": 146, "speed": 167, "vocalsound": 224, "voice_styles": 75,
    "voice_tone": 76,
}  # fmt: skip


def same(value: float, other: float) -> bool:
    """Equal, or both not a number."""
    return value == other or (math.isnan(value) and math.isnan(other))


def judged(suite: str, question: Question, said: str, *replies: str) -> Mark:
    """The mark of an answer, given what the judge replied."""
    judge = SUITES[suite].judged
    assert judge is not None
    return judge.reads(question, Answer(text=said), replies)


def asked(suite: str, question: Question, said: str) -> list[Plea]:
    """What the judge is asked."""
    judge = SUITES[suite].judged
    assert judge is not None
    return list(judge.asks(question, Answer(text=said)))


def verdict(right: object, overall: object, *speakers: dict) -> str:
    """A judge's reply on a caption."""
    return json.dumps({
        "multi_speaker_judgment_correct": right, "overall_score": overall,
        "speakers": [
            {"speaker_index": i, "field_scores": {f: {"score": s} for f, s in scores.items()}}
            for i, scores in enumerate(speakers, 1)
        ],
    })  # fmt: skip


ALL = dict.fromkeys(step_r15.FIELDS, 1.0)
