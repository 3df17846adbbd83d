"""WildSpeech-Bench (arXiv 2506.21875): real chat queries, spoken, each with a checklist.

Files: Parquet shards of the hub. Judge prompt, checklist and rules: github Tencent/WildSpeech-Bench
@d9d6b82, `tools/api_judge.py` and `tools/retrieve_results.py`. The official script judges three
Whisper transcripts of a spoken reply, once each; here, as in the Step-Audio-R1 report, the reply is
text, and is judged three times. A reply that is not English gets 1. The official script asks
langdetect; where it is not installed, half of the letters must be ASCII, which takes French for
English.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from auscult.bench.files import MissingData, Row, encoded_sound, parquet_rows, text, unique
from auscult.bench.prompts import REPORT_MAX_TOKENS
from auscult.bench.question import Answer, Judged, Mark, Plea, Prompt, Question, Suite, Worded
from auscult.bench.sets.voicebench_ifeval import Unchecked, detected

# The space that ends the first line is theirs.
GENERAL_CHECKLIST = (
    "\n- Instruction adherence is a core evaluation metric. If the AI's response does not fully "
    "follow the user's instructions, it constitutes a serious error. \n"
    "- Correctness is a core evaluation metric. If the AI's response contains factual "
    "inaccuracies, it would be a serious flaw.\n"
    "- If the AI's response contain a large amount of repetitive content, it would be a serious "
    "flaw.\n"
)
"""The official checklist for all items; the item's own follows."""

JUDGE_PROMPT = """
# Instructions

You are an evaluation expert. Your task is to assess the quality of AI model responses. We will \
provide you with user queries and AI responses. Please note that both the user queries and AI \
responses are in audio format. For your convenience, we have converted them into text, but you \
should evaluate from the perspective of voice communication and analyze the characteristics of \
voice communication when assessing the quality of the AI response.
You should first carefully read the user query to analyze the task, then evaluate the quality of \
the response based on the rules provided below.

# Conversation between User and AI

### User Query
<|begin_of_query|>

{query}

<|end_of_query|>

### AI Response
<|begin_of_response|>

{response}

<|end_of_response|>

# Evaluation

## Checklist
<|begin_of_checklist|>

{checklist}

<|end_of_checklist|>

The checklist serves as a guiding framework for your evaluation. However, feel free to consider \
aspects beyond its contents to ensure a well - rounded assessment.

## Rules

You should evaluate based on the analysis of user questions and AI responses, referring to the \
contents in the checklist during the evaluation. However, remember that the checklist is meant to \
provide comprehensive reference information, but it is not the standard answer. Sometimes, the AI \
response does not need to cover all the contents involved in the checklist to meet user needs, and \
you need to make this judgment on your own. The scoring scale ranges from 1 to 10:
- 1~2 points: No value/meaningless. The AI response contains many factual errors or serious flaws, \
or is irrelevant to the user query, providing little to no value to the user.
- 3~4 points: Partially valuable/meaningful. The AI response contains several factual errors or \
serious flaws, or poorly meets the user's requirements, but has some redeeming qualities and \
offers partial value to the user.
- 5~6 points: Flawed. The AI response has some issues, such as minor factual errors/flaws, or does \
not fully meet the user's requirements. However, these are relatively minor, and the response \
generally satisfies the user's needs.
- 7~8 points: Meets requirements. The AI response satisfies the user's needs well, with no major \
flaws or errors, or only very minor issues that do not affect overall quality.
- 9~10 points: High quality. The AI response perfectly meets the user's requirements, with \
virtually no room for improvement.

## Output Format
First, analyze the query itself and understand the user's intent. Then provide your analysis of \
the model's response. Summarize your evaluation in two aspects: "Strengths" and "Weaknesses". \
Finally, write your score. The score should appear on the last line in the following format:
Score: [your score]
"""
"""The official judge prompt."""


def load(folder: Path) -> list[Question]:
    """The shards' rows in their order; a key is a row's place, for a conversation can return with
    another noise."""
    shards = sorted(folder.glob("**/*.parquet"))
    if not shards:
        raise MissingData(f"{folder} holds no Parquet shards")
    rows = parquet_rows(shards)
    return unique([_question(place, row) for place, row in enumerate(rows)], folder)


def _question(place: int, row: Row) -> Question:
    key = f"wildspeech/{place}"
    task, noise = text(row["taskType"]), text(row.get("modification_type"))
    groups = {"task": task, "noise": noise if noise in ("natural_noise", "human_noise") else "no"}
    if task == "prosodical":
        detail = text(row.get("additional_info"))
        groups["prosody"] = "stuttering" if "stuttering" in detail else detail
    return Question(
        key=key,
        sounds=(encoded_sound(row["audio"], key),),
        task=task,
        groups=groups,
        cluster=text(row.get("conversation_hash")),
        transcript=text(row["user_query"]),
        extra={"checklist": text(row.get("checklist"))},
    )


def is_english(reply: str) -> bool:
    """The official rule (a text without a language is English), or ours without langdetect: at
    least half of the letters are ASCII."""
    try:
        return detected(reply) in ("en", None)
    except Unchecked:
        letters = [c for c in reply if c.isalpha()]
        return 2 * sum(c.isascii() for c in letters) >= len(letters)


def asks(question: Question, answer: Answer) -> Sequence[Plea]:
    """Three scores of 1 to 10; none are needed for a reply that is not English."""
    if not is_english(answer.text):
        return ()
    prompt = JUDGE_PROMPT.format(
        query=question.transcript,
        response=answer.text,
        checklist=GENERAL_CHECKLIST + question.extra["checklist"],
    )
    return (Plea(user=prompt, n=3, temperature=0.5, top_p=0.95, max_tokens=1024),)


_SCORE = re.compile(r"Score: (?:\[)?(\d+)(?:\])?")


def reads(question: Question, answer: Answer, replies: Sequence[str]) -> Mark:
    """The mean of the first "Score: n" of each reply; nan where one has none (the official script
    stops with an error). Strict: the last one, as the prompt wants it; none, or one off the scale,
    is 0."""
    if not is_english(answer.text):
        return Mark(official=1.0, strict=1.0, why="not English")
    found = [_SCORE.findall(reply) for reply in replies]
    official = [float(scores[0]) if scores else math.nan for scores in found]
    last = [float(scores[-1]) if scores else 0.0 for scores in found]
    good = [score if 1 <= score <= 10 else 0.0 for score in last]
    return Mark(
        official=sum(official) / len(official) if official else math.nan,
        strict=sum(good) / len(good) if good else 0.0,
        parsed=bool(good) and all(good),
        why="\n---\n".join(replies),
    )


def _spoken(question: Question) -> Worded:
    """The recording alone."""
    return Worded()


SUITE = Suite(
    name="wildspeech",
    about="about 1,100 spoken chat queries, noisy and clean, judged with a checklist",
    source="arXiv 2506.21875; hub tencent/WildSpeech-Bench",
    fetch="hf download tencent/WildSpeech-Bench --repo-type dataset --local-dir DATA",
    load=load,
    prompts={
        "report": Prompt(
            word=_spoken, temperature=0.7, repetition_penalty=1.0, max_tokens=REPORT_MAX_TOKENS
        ),
        "official": Prompt(word=_spoken),
    },
    judged=Judged(asks=asks, reads=reads, model="gpt-4o-mini"),
    unit="points of 10",
)
