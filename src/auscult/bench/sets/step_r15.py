"""The three sets that Step-Audio-R1.5 (arXiv 2604.25719) released, with their judges.

Files: `<set>/metadata.jsonl`, `<set>/audio/` and `<set>/prompts/`, below `benchmarks/
Step-Audio-R1.5/` of github stepfun-ai/Step-Audio-R1. Wordings are read from `prompts/`; where a
file is absent the same text stands in, verbatim, below.

- step_caption: 905 clips to describe; a judge compares 15 labels of each speaker.
- step_spqa: the 550 recordings of `step_paralinguistic`, answered in writing. The reply is right if
  it is the reference or the label, or else if a judge says so.
- step_dialogue_understanding: 87 written questions about a speaker's own voice, judged 0 to 1.

Not published, so ours: the program that reads the judge's reply, the judge model and its sampling,
how labels are laid out for the judge (`laid_out`), what "normalized exact match" normalises
(`step_paralinguistic.plain`), and that the recording comes before the text. The official value is
the judge's own total, left out where it cannot be read (for step_spqa: 0, as the README has it);
the strict one is worked out from the judge's scores.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from auscult.bench.files import Row, file_sound, first_of, read_lines, text, unique
from auscult.bench.question import Answer, Judged, Mark, Plea, Prompt, Question, Suite, Worded
from auscult.bench.sets.step_eval_360 import fill, judged_mark, number, object_in
from auscult.bench.sets.step_paralinguistic import JUDGES_R15, ask_spqa, read_spqa, recording
from auscult.files import read_json

FIELDS = (
    "language", "gender", "age_group", "speech_rate", "rhythm", "pitch", "clarity",
    "background_sound", "timbre", "language_style", "paralinguistic_features", "emotion",
    "overall_impression", "dialect_or_accent", "formality_level",
)  # fmt: skip
UNKNOWN = ("无法判断", "无法识别")  # a label that is not scored

CAPTION_ASK = """请对提供的音频进行详细的多模态语音描述分析，并以自然、连贯的段落形式输出分析结果。

分析要求如下：
1. 首先判断音频中是单人发言还是多人对话。
2. 若为多人对话，请在段落中依次对每一位说话人进行详细分析，确保涵盖每位说话人的所有特征。
3. 分析应基于语音特征本身，而非对文字内容的推测。
4. 输出为纯文本的自然语言段落，不要输出JSON、代码块、Markdown等任何结构化格式，也不要添加任何解释性前缀或标题。
5. 年龄估算允许±10岁的误差范围。

请务必在分析中涵盖以下所有维度的信息，并自然地融入段落描述中：

对于每位说话人：
- 基本属性：性别、估计的年龄段。
- 语音模式：语速（慢速/中速/快速）、节奏（平稳/急促/有停顿/波动明显）、音调范围（高音/中音/低音）、发音清晰度（清晰/含糊/咬字特点）。
- 音色与风格：对声音音色的具体描述（如明亮、低沉、沙哑、圆润等）、语言风格或特色（如夸张、空灵、沉稳、活泼等）。
- 副语言特征：是否包含笑声、叹息、咳嗽等非语言声音。
- 情感状态：基于语调、节奏等语音特征判断的情感状态（如高兴、愤怒、悲伤、平静、焦虑等），并简要描述其语气（如压抑的愤怒、轻松的愉悦）。
- 整体印象：声音给人带来的整体感知印象（如温暖感、压迫感、亲和力、权威感等）。
- 语言特征：所使用的方言或口音类型、词汇的大致正式程度（如口语化、正式、专业）。

最终要求：
请将上述所有分析点，按照单人叙述或多角色对比的方式，组织成一个逻辑清晰、描述详尽的自然语言段落。
"""  # noqa: E501

CAPTION_SYSTEM = """你是一个严格的音频标注一致性判定器。
任务：首先判断模型是否正确识别了说话人数量（单人/多人），然后对比模型的回复和真实标签，判断每个字段的一致性并给出评分。

重要规则：
- 如果模型对'是否多人'的判断错误，则所有字段评分均为0.0，overall_score为0.0
- 如果模型对'是否多人'的判断正确，则继续评估其他字段

评分标准（仅在'是否多人'判断正确时使用）：
- 每个字段在 0.0~1.0 之间连续打分，精度不限，根据模型回复与真实标签的吻合程度给出最合适的分数。
- 1.0：完全一致；0.0：完全不符或未提及；中间值根据偏差程度灵活判断。

需要对比的字段包括：
- language (语种)、gender (性别)、age_group (年龄段)、speech_rate (语速)、rhythm (节奏)、pitch (音调)、clarity (发音清晰度)、background_sound (背景音)、timbre (音色)、language_style (语言风格)、paralinguistic_features (副语言特征)、emotion (情感)、overall_impression (整体印象)、dialect_or_accent (方言或口音类型)、formality_level (词汇正式程度)

输出格式：JSON，必须包含 multi_speaker_judgment_correct 字段以及每个字段的评分和简要说明。
"""  # noqa: E501

_SCORES = ",\n".join(f'        "{field}": {{"score": 0.0, "reason": ""}}' for field in FIELDS)

CAPTION_USER = (
    """请按以下步骤评估模型的回复：

步骤1：判断'是否多人'是否正确
真实情况：{ground_truth}（speakers数组有{num_speakers}个说话人）
请判断模型的回复是否准确识别了说话人数量（单人/多人）。
- 如果模型回复中明确提到'单人'、'一个人'、'一位'等，则判断为单人
- 如果模型回复中明确提到'多人'、'两位'、'三位'、'对话'、'交流'等，则判断为多人
- 如果模型回复中没有明确说明说话人数量，则根据上下文推断

如果'是否多人'判断错误，则所有字段评分均为0.0，overall_score为0.0，并说明原因。
如果'是否多人'判断正确，则继续评估其他字段。

模型的回复：
{model_output}

真实标签（speakers数组，共{num_speakers}个说话人）：
{speakers_str}

评分说明（仅在'是否多人'判断正确时使用）：
- 每个字段在 0.0~1.0 之间连续打分，根据模型回复与真实标签的吻合程度灵活给分。
- 1.0 表示完全一致，0.0 表示完全不符或未提及，中间值根据偏差程度自行判断。

请按照以下格式输出JSON（必须严格遵循JSON格式）：
{
  "multi_speaker_judgment_correct": <true/false>,
  "multi_speaker_judgment_reason": "<判断说明>",
  "overall_score": <0-1之间的浮点数，多人判断错误则为0.0>,
  "speakers": [
    {
      "speaker_index": 1,
      "field_scores": {
"""
    + _SCORES
    + """
      },
      "average_score": <该说话人所有字段的平均分>
    }
  ]
}

注意：
1. 如果'是否多人'判断错误，所有字段的score必须为0.0，overall_score必须为0.0
2. 如果真实标签中某个字段的值为'无法判断'或'无法识别'，则跳过该字段（不纳入计算）
3. 必须为每个说话人分别评分
4. 只输出JSON，不要其他文字或markdown格式
"""
)

DU_SYSTEM = "你是一个严格的中文音频理解评测裁判。你的任务是根据标准标签判断模型回答是否命中关键结论，并输出结构化 JSON。\n"  # noqa: E501

DU_USER = """请评估下面这个音频理解任务中的模型回答得分。

任务维度：{secondary_dimension}
问题：{question}
标准标签：{reference_answer}
模型回答：{model_answer}

打分规则：
1. 分数范围为 0.0 到 1.0。
2. 优先使用 0.0、0.5、1.0 这三个分数；只有确有必要时再用其他中间值。
3. 如果标准标签在冒号前有内容、冒号后是解释，例如“叹气 / 叹息：……”，只看冒号前的核心标签。
4. 如果标准标签中有“/”，表示任选其一即可，回答出任一同义或等价表达都可以给满分。
5. 如果标准标签中有“；”或“;”，表示多个关键点都必须回答到。比如“青年；男”必须同时答出年龄段和性别。
6. 如果只答对一部分，给部分分，例如 0.5。
7. 允许语义等价，不要求逐字匹配。比如“男性”可视为“男”，“叹息”可视为“叹气”。
8. 如果模型回答包含明显矛盾、错误归类或与标准标签冲突的信息，应降低分数。

请只输出 JSON，格式必须严格如下：
{
  "score": 0.5,
  "matched_points": ["..."],
  "missing_or_incorrect_points": ["..."],
  "reason": "..."
}
"""


def _rows(folder: Path, name: str) -> tuple[Path, list[Row]]:
    """The set's folder and its rows, in a checkout or by itself."""
    places = ("metadata.jsonl", f"{name}/metadata.jsonl", f"**/{name}/metadata.jsonl")
    file = first_of(folder, places, f"the list of {name}")
    return file.parent, read_lines(file)


def _own(root: Path, name: str, otherwise: str) -> str:
    """A wording from the set's own `prompts/`, else the one that is known."""
    file = root / "prompts" / name
    return file.read_text(encoding="utf-8") if file.exists() else otherwise


def _judge(root: Path, system: str, user: str) -> dict[str, str]:
    return {
        "system": _own(root, "judge_system_prompt.txt", system),
        "user": _own(root, "judge_user_prompt_template.txt", user),
    }


def _official(question: Question) -> Worded:
    return Worded(after=question.text)


def load_caption(folder: Path) -> list[Question]:
    """step_caption: one question per clip; the instruction is the same for all."""
    root, rows = _rows(folder, "step_caption")
    ask = _own(root, "model_user_prompt.txt", CAPTION_ASK)
    judge = _judge(root, CAPTION_SYSTEM, CAPTION_USER)
    found: list[Question] = []
    for row in rows:
        count = "several" if row["is_multi_speakers"] else "one"
        found.append(
            Question(
                key=f"step_caption/{text(row['test_id'])}",
                text=ask,
                sounds=(file_sound(root / "audio" / text(row["audio"])),),
                task=count,
                groups={"speakers": count},
                extra={"speakers": row["speakers"], **judge},
            )
        )
    return unique(found, folder)


def laid_out(speakers: Sequence[Row]) -> str:
    """The labels as the judge sees them, one a line below each speaker."""
    blocks: list[str] = []
    for place, labels in enumerate(speakers, 1):
        lines = [f"- {field}: {text(labels.get(field))}" for field in FIELDS]
        blocks.append("\n".join([f"说话人{place}：", *lines]))
    return "\n\n".join(blocks)


def ask_caption(question: Question, answer: Answer) -> list[Plea]:
    """One request, whatever the reply."""
    user = fill(
        question.extra["user"],
        ground_truth="多人" if question.task == "several" else "单人",
        num_speakers=str(len(question.extra["speakers"])),
        model_output=answer.text,
        speakers_str=laid_out(question.extra["speakers"]),
    )
    return [Plea(user=user, system=question.extra["system"])]


def read_caption(question: Question, answer: Answer, replies: Sequence[str]) -> Mark:
    """Official: the judge's `overall_score`. Strict: the mean over speakers of the mean over known
    labels, where a score that is absent counts as 0. Both are 0 for a wrong count of speakers."""
    found = object_in(replies)
    right = found.get("multi_speaker_judgment_correct")
    if not isinstance(right, bool):
        return judged_mark(answer, None, None, "the judge's reply could not be read")
    scores = _field_scores(question, found) if right else []
    means = [sum(s.values()) / len(s) for s in scores if s]
    named = {field: [s[field] for s in scores if field in s] for field in FIELDS}
    parts = {field: sum(s) / len(s) for field, s in named.items() if s}
    return judged_mark(
        answer,
        number(found.get("overall_score"), 0.0, 1.0) if right else 0.0,
        sum(means) / len(means) if means else 0.0,
        text(found.get("multi_speaker_judgment_reason")),
        {"speaker count": float(right)} | parts,
    )


def _field_scores(question: Question, found: Row) -> list[dict[str, float]]:
    """For each true speaker its scored labels. The judge's speakers are told by `speaker_index`,
    else by their place."""
    listed = found.get("speakers")
    given: dict[int, Row] = {}
    for place, judged in enumerate(listed if isinstance(listed, list) else [], 1):
        if isinstance(judged, Mapping):
            given[int(number(judged.get("speaker_index"), 1, 1e6) or place)] = judged
    scores: list[dict[str, float]] = []
    for place, labels in enumerate(question.extra["speakers"], 1):
        cells = given.get(place, {}).get("field_scores")
        cells = cells if isinstance(cells, Mapping) else {}
        known = [f for f in FIELDS if text(labels.get(f)) not in UNKNOWN]
        scores.append({field: _score(cells.get(field)) for field in known})
    return scores


def _score(cell: Any) -> float:
    value = cell.get("score") if isinstance(cell, Mapping) else cell
    return number(value, 0.0, 1.0) or 0.0


def load_spqa(folder: Path) -> list[Question]:
    """step_spqa: the question is in the recording; `legacy_question` has it in writing."""
    root, rows = _rows(folder, "step_spqa")
    judges = _judges(root)
    found: list[Question] = []
    for row in rows:
        kind = text(row["task_type"])
        asked, told = text(row.get("legacy_question")), text(row.get("source_text"))
        spoken = (asked, told) if row.get("audio_order") == "question_first" else (told, asked)
        found.append(
            Question(
                key=f"step_spqa/{text(row['id'])}",
                text=text(row.get("question")),
                sounds=(file_sound(root / text(row["audio_path"])),),
                answers=(text(row["reference_answer"]), text(row["label"])),
                task=kind,
                groups={"subset": kind},
                cluster=recording(text(row["audio_id"])),
                transcript="\n".join(part for part in spoken if part),
                extra={"judge": judges.get(kind, judges["default"]), "asked": asked},
            )
        )
    return unique(found, folder)


def _judges(root: Path) -> dict[str, str]:
    """task -> wording, by the set's own map of files where it is there."""
    folder = root / "prompts" / "judge_prompts"
    if not (folder / "prompt_map.json").exists():
        return JUDGES_R15
    files = read_json(folder / "prompt_map.json")
    own = {text(task): folder / text(name) for task, name in files.items()}
    return JUDGES_R15 | {t: f.read_text(encoding="utf-8") for t, f in own.items() if f.exists()}


def _assisted(question: Question) -> Worded:
    """The spoken question in writing too: the README's "text-assisted ablation"."""
    return Worded(after=question.extra["asked"])


def load_dialogue(folder: Path) -> list[Question]:
    """step_dialogue_understanding: references as published, spaces and explanations included."""
    root, rows = _rows(folder, "step_dialogue_understanding")
    ask = _own(root, "model_user_prompt_template.txt", "{question}")
    judge = _judge(root, DU_SYSTEM, DU_USER)
    found: list[Question] = []
    for row in rows:
        asked, kind = text(row["input_question_text"]), text(row["secondary_dimension"])
        found.append(
            Question(
                key=f"step_dialogue_understanding/{text(row['id'])}",
                text=fill(ask, question=asked),
                sounds=(file_sound(root / text(row["audio_path"])),),
                answers=(text(row["recording_requirement_or_qa_category"]),),
                task=kind,
                groups={"dimension": kind},
                extra={"asked": asked, **judge},
            )
        )
    return unique(found, folder)


def ask_dialogue(question: Question, answer: Answer) -> list[Plea]:
    """One request, whatever the reply."""
    user = fill(
        question.extra["user"],
        secondary_dimension=question.task,
        question=question.extra["asked"],
        reference_answer=question.answers[0],
        model_answer=answer.text,
    )
    return [Plea(user=user, system=question.extra["system"])]


def read_dialogue(question: Question, answer: Answer, replies: Sequence[str]) -> Mark:
    """The judge's score, 0 to 1."""
    found = object_in(replies)
    score = number(found.get("score"), 0.0, 1.0)
    return judged_mark(answer, score, score, text(found.get("reason")))


def _suite(name: str, about: str, load: Callable[[Path], list[Question]], judged: Judged) -> Suite:
    folder = "benchmarks/Step-Audio-R1.5"
    return Suite(
        name=name,
        about=about,
        source=f"arXiv 2604.25719; github stepfun-ai/Step-Audio-R1, {folder}/{name}",
        fetch="git clone --filter=blob:none --no-checkout "
        "https://github.com/stepfun-ai/Step-Audio-R1 DATA && "
        f"git -C DATA sparse-checkout set {folder}/{name} && "
        "git -C DATA checkout c73a43cd1f64f07b5d68ef4a41a0b2e4125ae6f8",
        load=load,
        prompts={"official": Prompt(word=_official)},
        judged=judged,
        unit="points of 1",
    )


_UNNAMED = "not published"

SUITES_HERE: tuple[Suite, ...] = (
    _suite(
        "step_caption",
        "voices described in a paragraph: 905 clips, 15 labels of each speaker, a judge",
        load_caption,
        Judged(asks=ask_caption, reads=read_caption, model=_UNNAMED),
    ),
    replace(
        _suite(
            "step_spqa",
            "how a voice or a place sounds: 550 spoken Chinese questions, written answers",
            load_spqa,
            Judged(asks=ask_spqa, reads=read_spqa, model=_UNNAMED),
        ),
        prompts={"official": Prompt(word=_official), "text-assisted": Prompt(word=_assisted)},
        unit="accuracy",
    ),
    _suite(
        "step_dialogue_understanding",
        "87 written Chinese questions about the speaker's own voice, a judge",
        load_dialogue,
        Judged(asks=ask_dialogue, reads=read_dialogue, model=_UNNAMED),
    ),
)
