"""StepEval-Audio-Paralinguistic: 550 spoken questions in 11 subsets about how something sounds.

Files: `Step-Audio_Paralinguistic/<subset>/<subset>.json` beside `audio/*_input.wav` (github
stepfun-ai/Step-Audio2), or the Parquet splits of hub lmms-lab-audio/StepEval-Audio-Paralinguistic,
one per subset. The question is spoken in the recording, so nothing is asked in writing.

Judge: a text model says whether reply and reference agree, with one wording per subset, verbatim
from lmms-eval (`tasks/step2_audio_paralinguistic/utils.py`), which took it from StepFun's script.
The original judges a transcript of a spoken reply; here the reply is text. `JUDGES_R15` is the
newer wording that Step-Audio-R1.5 ships for the same recordings (see `step_r15`).
"""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from auscult.bench.files import (
    MissingData,
    Row,
    encoded_sound,
    file_sound,
    parquet_rows,
    text,
    unique,
)
from auscult.bench.question import (
    Answer,
    Judged,
    Mark,
    Plea,
    Prompt,
    Question,
    Sound,
    Suite,
    Worded,
)
from auscult.bench.sets.step_eval_360 import fill, judged_mark
from auscult.files import read_json

SUBSETS = (
    "age", "emotions", "event", "gender", "pitch", "rhythm", "scene", "speed", "vocalsound",
    "voice_styles", "voice_tone",
)  # fmt: skip

JUDGE_SYSTEM = "你是一个专业的文本评估助手"

_PAIR = """\n\n文本1: {text1}\n文本2: {text2}\n\n只需回答小写的"yes"或"no"，不要解释:"""

JUDGES = {
    "default": "请评估以下两个文本是否描述了相似的内容。" + _PAIR,
    "age": """请评估以下两个文本描述的说话人年龄范围是否相似（允许±10岁误差）。

文本1: {text1}
文本2: {text2}

判断步骤：
1. 提取文本1中的最小和最大年龄（如"20-30岁"→20和30）
2. 提取文本2中的最小和最大年龄
3. 计算两组年龄的中点
4. 如果两个中点相差≤10岁，回答"yes"；否则"no"

只需回答小写的"yes"或"no"，不要解释:""",
    "emotions": """请评估以下两个文本描述的情感是否属于相近类别。
文本1: {text1}
文本2: {text2}

**情感分类及匹配规则：**
1. **积极类**（可互相匹配）：
   - 高兴/兴奋/愉快/热情/自豪/得意/温柔/撒娇/喜爱
2. **中性类**（可互相匹配）：
   - 平静/中性/冷静/客观/怀旧/沉思/稳重
3. **消极类**（可互相匹配）：
   - 愤怒/不满/沮丧/无奈/烦躁/指责/嘲讽/轻蔑/委屈/焦虑/绝望/痛苦/恐惧/羞愧

只需回答小写的 "yes" 或 "no"，不要解释：""",
    "event": """请判断以下两个文本描述的声音事件是否在以下任一情况下匹配：
1. 描述同类事件（如都是动物声音、交通工具声等）
2. 语义上存在关联（如"歌声"和"音乐"）

文本1: {text1}
文本2: {text2}

只需回答小写的"yes"或"no":""",
    "gender": """请评估以下两个文本中是否都提到了相同性别的描述（"男"或"女"）。

文本1: {text1}
文本2: {text2}

判断标准：
1. 如果两个文本都包含"男"或男性相关词汇（如"男人"、"男性"、"男声"等），回答"yes"
2. 如果两个文本都包含"女"或女性相关词汇（如"女人"、"女性"、"女声"等），回答"yes"
3. 如果一个文本提到"男"而另一个提到"女"，回答"no"

只需回答小写的"yes"或"no"，不要解释:""",
    "pitch": "请评估以下两个文本中描述说话人的音调是否大致相同。" + _PAIR,
    "rhythm": """请评估以下两个文本中描述说话人的节奏是否大体相似。

文本1: {text1}
文本2: {text2}

宽松匹配规则：
1. 只要双方都提到"平稳"、"流畅"、"自然"中的任意一个词，就认为匹配
2. 只要双方都提到"停顿"(无论何种停顿)，就认为匹配
3. "急促"和"波动"只要双方都有速度/节奏变化的描述就认为匹配

只需回答小写的"yes"或"no"，不要解释:""",
    "scene": """请判断以下两个文本描述的音频场景是否一致：
规则：
1. 允许表述差异（如「在厨房」和「厨房里的声音」算匹配）。
2. 忽略无关符号或修饰词（如「<中文>」「的声音」「录的」等）。
3. 户外与公园要做区分，不属于同一个场景。

文本1: {text1}
文本2: {text2}

只需回答小写的 "yes" 或 "no",不要解释：""",
    "speed": """请评估以下两个文本描述的语速级别是否相同或相邻。
文本1: {text1}
文本2: {text2}

语速级别定义（从快到慢）：
1. 快速
2. 中快速
3. 中速
4. 中慢速
5. 慢速

判断规则：
- 如果两个描述属于同一级别 → "yes"
- 如果相差一个级别（如"快速"和"中快速"） → "yes"
- 如果相差两个或更多级别 → "no"
- 如果无法确定具体级别 → "no"

只需回答小写的"yes"或"no"，不要解释:""",
    "vocalsound": """请判断以下两段文本中描述的声音/行为是否属于以下同类情况：
1. 相同类型的声音行为（如"咳嗽"和"咳嗽声"）
2. 相同情绪表达（如"笑声"和"笑声"）
3. 包含关系（如"咳嗽声"和"咳嗽和清嗓子的声音"）

文本1: {text1}
文本2: {text2}

根据以上标准，只需回答小写的"yes"或"no":""",
    "voice_styles": "请评估以下两个文本中描述说话人的语音风格是否大体上相似。" + _PAIR,
    "voice_tone": "请评估以下两个文本中描述说话人的音色是否大体上相似。" + _PAIR,
}
"""subset -> wording of the judge; {text1} is the reference, {text2} the reply."""

_PAIR_R15 = "\n标准答案：{text1}\n模型回答：{text2}\n\n只回答大写的 YES 或 NO，不要解释。\n"

_RULES_R15 = {
    "default": "请判断下面两段文本是否表达了相同或高度一致的结论。\n",
    "age": """请判断下面两段文本描述的说话人年龄范围是否相近，允许大约 ±10 岁误差。

如果两个年龄范围的中心点相差不超过 10 岁，回答 YES；否则回答 NO。
如果无法判断，回答 NO。
""",
    "emotions": """请判断下面两段文本描述的情感是否属于相近类别。

可参考下面的宽松规则：
1. 积极类（高兴 / 兴奋 / 愉快 / 热情 / 自豪 / 得意 / 温柔 / 撒娇 / 喜爱）之间可互判 YES。
2. 中性类（平静 / 中性 / 冷静 / 客观 / 怀旧 / 沉思 / 稳重）之间可互判 YES。
3. 消极类（愤怒 / 不满 / 沮丧 / 无奈 / 烦躁 / 指责 / 嘲讽 / 轻蔑 / 委屈 / 焦虑 / 绝望 / 痛苦 / 恐惧 / 羞愧）之间可互判 YES。
4. “戏谑 / 质问 / 幽默”可与中性类或消极类中的相近表达宽松匹配。
5. “惊讶 / 意外”需要基本一致。
""",  # noqa: E501
    "event": """请判断下面两段文本描述的声音事件是否匹配。

如果二者描述的是同类事件，或者语义上明显相关，回答 YES；如果不确定或明显不相关，回答 NO。
""",
    "gender": """请判断下面两段文本是否都指向相同性别。

判断规则：
1. 两段都明确指向男性，回答 YES。
2. 两段都明确指向女性，回答 YES。
3. 一段指向男性、另一段指向女性，回答 NO。
4. 如果有一段无法判断性别，回答 NO。
""",
    "pitch": "请判断下面两段文本中描述的说话人音调是否大致相同。\n",
    "rhythm": """请判断下面两段文本中描述的说话节奏是否整体相近。

宽松规则：
1. 双方都提到“平稳 / 流畅 / 自然”中的任意相近表述，可判为 YES。
2. 双方都提到停顿，无论停顿原因如何，可判为 YES。
3. 双方都体现出节奏或速度变化，如“急促 / 波动 / 起伏明显”，可判为 YES。
4. 忽略程度副词和无关噪音描述。
""",
    "scene": """请判断下面两段文本描述的音频场景是否一致。

规则：
1. 允许表达方式不同，如“在厨房”和“厨房里的声音”可视为一致。
2. 忽略无关修饰词。
3. “户外”和“公园”不自动视为同一场景。
""",
    "speed": """请判断下面两段文本中描述的语速是否相同或相邻。

语速等级从快到慢分为：快速 / 中快速 / 中速 / 中慢速 / 慢速。
如果两段描述属于同一等级，或者只相差一个等级，回答 YES；否则回答 NO。
如果无法可靠判断，回答 NO。
""",
    "vocalsound": """请判断下面两段文本中描述的声音行为是否属于同类情况。

可判为 YES 的情况包括：
1. 相同类型的行为，如“咳嗽”和“咳嗽声”。
2. 相同或相近的情绪表达，如“笑声”和“笑”。
3. 包含关系，如“咳嗽声”和“咳嗽加清嗓子”。
4. 明显近音或谐音导致的同类识别。

忽略程度副词、背景噪音等无关信息。只要存在一个匹配行为即可判为 YES。
""",
    "voice_styles": "请判断下面两段文本中描述的说话风格是否整体相近。\n",
    "voice_tone": "请判断下面两段文本中描述的说话人音色是否整体相近。\n",
}

JUDGES_R15 = {subset: rules + _PAIR_R15 for subset, rules in _RULES_R15.items()}
"""The same for `step_spqa` of Step-Audio-R1.5, verbatim from its `prompts/judge_prompts/`."""

# lmms-eval looks the question up by names that differ from the published ones in five subsets
# (event, scene, vocalsound, voice_styles, voice_tone), which therefore all get `_ANY`.
_ASKED = {
    "识别说话人年龄": "请根据音频中说话人的声音特征，判断说话人的年龄范围。",
    "识别说话人情绪": "请根据音频中说话人的语调和语气，描述说话人的情绪状态。",
    "识别说话人性别": "请根据音频中说话人的声音特征，判断说话人的性别。",
    "识别音频场景": "请根据音频内容，识别音频的场景环境。",
    "识别语音事件": "请根据音频内容，识别音频中发生的声音事件。",
    "识别说话人音调": "请根据音频中说话人的声音，描述说话人的音调特征。",
    "识别说话人语速": "请根据音频中说话人的语速，描述说话人的语速特点。",
    "识别说话人节奏": "请根据音频中说话人的说话方式，描述说话人的语音节奏。",
    "识别说话人声音风格": "请根据音频中说话人的声音，描述说话人的声音风格特征。",
    "识别说话人音色": "请根据音频中说话人的声音，描述说话人的音色特征。",
    "识别语音行为": "请根据音频内容，识别音频中的语音行为或声音类型。",
}
_ANY = "请分析这段音频。"


def load(folder: Path) -> list[Question]:
    """Either published form; subsets that are not there are left out. Raises `MissingData`."""
    lists = [(s, file) for s in SUBSETS for file in sorted(folder.glob(f"**/{s}/{s}.json"))]
    if lists:
        return unique([q for subset, file in lists for q in _from_list(subset, file)], folder)
    shards = sorted(folder.glob("**/*.parquet"))
    if not shards:
        raise MissingData(f"{folder} holds neither <subset>/<subset>.json nor Parquet splits")
    return unique([q for shard in shards for q in _from_hub(shard)], folder)


def _from_list(subset: str, file: Path) -> list[Question]:
    found: list[Question] = []
    for row in read_json(file):
        sound = file_sound(file.parent / text(row["audio"]))
        task = row["task"]
        found.append(_question(subset, Path(sound.name).stem, text(task["answer"]), task, sound))
    return found


def _from_hub(shard: Path) -> list[Question]:
    """The subset is a column; a recording without a name is known by its place."""
    found: list[Question] = []
    for place, row in enumerate(parquet_rows([shard])):
        subset = text(row["subset"])
        cell = row["audio"]
        given = text(cell.get("path")) if isinstance(cell, Mapping) else ""
        name = Path(given).stem or f"{shard.stem}.{place}"
        sound = encoded_sound(cell, f"{subset}/{name}")
        told = {"name": row.get("task_name")}
        found.append(_question(subset, name, text(row["task_answer"]), told, sound))
    return found


def _question(subset: str, name: str, answer: str, told: Row, sound: Sound) -> Question:
    name = name.removesuffix("_input")
    return Question(
        key=f"step_paralinguistic/{subset}/{name}",
        sounds=(sound,),
        answers=(answer,),
        task=subset,
        groups={"subset": subset},
        cluster=recording(name),
        extra={"name": text(told.get("name")), "label": text(told.get("label"))},
    )


def recording(name: str) -> str:
    """What a clip was cut from: its name without the number of the clip, as several clips of one
    podcast are asked about in several subsets. "lsWT_2" -> "lsWT"."""
    stem, _, number = name.rpartition("_")
    return stem if stem and number.isdigit() else name


def _official(question: Question) -> Worded:
    """The recording alone."""
    return Worded()


def _lmms(question: Question) -> Worded:
    """A written question besides the spoken one."""
    return Worded(after=_ASKED.get(question.extra["name"], _ANY))


def _asks(question: Question, answer: Answer) -> list[Plea]:
    wording = JUDGES.get(question.task, JUDGES["default"])
    user = fill(wording, text1=question.answers[0], text2=answer.text)
    return [Plea(user=user, system=JUDGE_SYSTEM, temperature=0.0)]


def said_yes(reply: str) -> bool | None:
    """What a judge's yes or no means, whatever quotes and stops surround it; None = neither."""
    return {"yes": True, "no": False}.get(reply.strip(" \t\r\n\"'“”*`.。!！").lower())


def _reads(question: Question, answer: Answer, replies: Sequence[str]) -> Mark:
    """Officially anything but the bare word yes is a no, a failed request too."""
    reply = replies[0] if replies else ""
    official = float(reply.strip().lower() == "yes")
    return judged_mark(answer, official, _strict(reply), f"judge: {reply.strip()[:80]}")


def _strict(reply: str) -> float | None:
    yes = said_yes(reply)
    return None if yes is None else float(yes)


def plain(said: str) -> str:
    """Letters and digits alone: compatibility forms, case, spaces and marks do not count."""
    folded = unicodedata.normalize("NFKC", said).casefold()
    return "".join(c for c in folded if c.isalnum())


def _exact(question: Question, answer: Answer) -> bool:
    said = plain(answer.text)
    return bool(said) and said in [plain(a) for a in question.answers]


def ask_spqa(question: Question, answer: Answer) -> list[Plea]:
    """For `step_spqa`: no request for the reference or the label in the same words."""
    if _exact(question, answer):
        return []
    filled = fill(question.extra["judge"], text1=question.answers[0], text2=answer.text)
    return [Plea(user=filled)]


def read_spqa(question: Question, answer: Answer, replies: Sequence[str]) -> Mark:
    """1 for the same words or a yes; officially 0 for anything else, as the README has it."""
    if _exact(question, answer):
        return judged_mark(answer, 1.0, 1.0, "same words")
    reply = replies[0] if replies else ""
    strict = _strict(reply)
    return judged_mark(answer, strict or 0.0, strict, f"judge: {reply.strip()[:80]}")


SUITE = Suite(
    name="step_paralinguistic",
    about="how a voice or a place sounds: 550 spoken Chinese questions in 11 subsets",
    source="arXiv 2507.16632; github stepfun-ai/Step-Audio2; hub "
    "lmms-lab-audio/StepEval-Audio-Paralinguistic",
    fetch="git clone --filter=blob:none --no-checkout https://github.com/stepfun-ai/Step-Audio2 "
    "DATA && git -C DATA sparse-checkout set Step-Audio_Paralinguistic && "
    "git -C DATA checkout 404d8dea4f4ccf93cb416b6dc9b6a22fa860f595",
    load=load,
    prompts={
        "official": Prompt(word=_official),
        "lmms-eval": Prompt(word=_lmms, temperature=0.0, max_tokens=256),
    },
    judged=Judged(asks=_asks, reads=_reads, model="gpt-3.5-turbo"),
)
