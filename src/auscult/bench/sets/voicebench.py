"""VoiceBench (arXiv 2410.17196): eleven sets of spoken questions to a voice assistant.

Files: `<config>/<split>-*.parquet` of the hub. Official prompt: the recording alone. Official
scorers and judge prompts: github MatthewCYM/VoiceBench@5338154, `api_judge.py` and
`src/evaluator/`; those without a judge are in `voicebench_choice.py` and `voicebench_ifeval.py`.
The suite `voicebench_mmsu` holds spoken questions of MMLU-Pro; it is not MMSU (`mmsu.py`).

SD-QA: published figures are the mean of the judge's and of PEDANT's (package qa_metrics), which is
not available here: the official value is the judge's half, and the part "pedant" is nan.
MT-Bench: no scorer is published; the judge prompt of the open questions is put to it, which is our
choice, and its official value is nan.
"""

import math
import random
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from auscult.bench.files import MissingData, Row, encoded_sound, parquet_rows, text, unique
from auscult.bench.question import (
    Answer,
    Judged,
    Mark,
    Marker,
    Plea,
    Prompt,
    Question,
    Said,
    Suite,
    Worded,
)
from auscult.bench.sets import voicebench_ifeval
from auscult.bench.sets.voicebench_choice import bbh_task, mark_bbh, mark_choice, mark_harm

JUDGE = "gpt-4o-mini"
SYSTEM = "You are a helpful assistant who tries to help answer the user's question."

OPEN_PROMPT = """
I need your help to evaluate the performance of several models in the speech interaction scenario. \
The models will receive a speech input from the user, which they need to understand and respond to \
with a speech output.
Your task is to rate the model’s responses based on the provided user input transcription \
[Instruction] and the model’s output transcription [Response].

Please evaluate the response on a scale of 1 to 5:
1 point: The response is largely irrelevant, incorrect, or fails to address the user’s query. It \
may be off-topic or provide incorrect information.
2 points: The response is somewhat relevant but lacks accuracy or completeness. It may only \
partially answer the user’s question or include extraneous information.
3 points: The response is relevant and mostly accurate, but it may lack conciseness or include \
unnecessary details that don’t contribute to the main point.
4 points: The response is relevant, accurate, and concise, providing a clear answer to the user’s \
question without unnecessary elaboration.
5 points: The response is exceptionally relevant, accurate, and to the point. It directly \
addresses the user’s query in a highly effective and efficient manner, providing exactly the \
information needed.

Below are the transcription of user’s instruction and models’ response:
### [Instruction]: {prompt}
### [Response]: {response}

After evaluating, please output the score only without anything else.
You don’t need to provide any explanations.
"""
"""The official judge prompt for open questions."""

# The space that ends the last line but one is theirs.
QA_PROMPT = (
    "### Question\n{prompt}\n\n### Reference answer\n{reference}\n\n"
    "### Candidate answer\n{response}\n\n"
    "Is the candidate answer correct based on the question and reference answer? \n"
    'Please only output a single "Yes" or "No". Do not output anything else.'
)
"""The official judge prompt for questions with a reference."""


def load(folder: Path, config: str) -> list[Question]:
    """The config's questions, from a copy of the whole hub repository or of its folder alone."""
    shards = sorted(folder.glob(f"**/{config}/*.parquet"))
    shards = shards or (sorted(folder.glob("*.parquet")) if folder.name == config else [])
    if not shards:
        raise MissingData(f"{folder} holds no {config}/*.parquet")
    build = _two_turns if config == "mtbench" else partial(_question, config)
    out: list[Question] = []
    seen: Counter[str] = Counter()
    for shard in shards:
        split = re.sub(r"-\d+-of-\d+$", "", shard.stem)
        for row in parquet_rows([shard]):
            out.append(build(split, seen[split], row))
            seen[split] += 1
    return unique(out, folder)


def suite_name(config: str) -> str:
    """voicebench_sd_qa for sd-qa."""
    return "voicebench_" + config.replace("-", "_")


_GROUP = {"mmsu": "domain", "sd-qa": "region"}


def _question(config: str, split: str, place: int, row: Row) -> Question:
    """One row; its key is `key` (ifeval) or its place in the split. Questions asked in several
    regions share a cluster."""
    key = f"{suite_name(config)}/{split}/{text(row.get('key', place))}"
    prompt, id = text(row["prompt"]), text(row.get("id"))
    task = bbh_task(id) if config == "bbh" else split
    group = _GROUP.get(config, "task" if config == "bbh" else "")
    if config == "bbh" and not task:
        raise ValueError(f"{key}: the id {id!r} names none of the four tasks")
    extra = {"id": id} if id else {}
    if config == "ifeval":
        extra = {"instructions": tuple(row["instruction_id_list"]), "arguments": row["kwargs"]}
    return Question(
        key=key,
        sounds=(encoded_sound(row["audio"], key),),
        answers=(text(row["reference"]),) if row.get("reference") is not None else (),
        task=task,
        groups={group: task} if group else {},
        cluster=prompt,
        transcript=prompt,
        extra=extra,
    )


def _two_turns(split: str, place: int, row: Row) -> Question:
    """The first turn of a dialogue; the second is kept in `extra` for `follow_up`."""
    key = f"voicebench_mtbench/{split}/{text(row['question_id'])}"
    turns = [text(turn) for turn in row["turns"]]
    references = row.get("reference") or []
    return Question(
        key=f"{key}/1",
        sounds=(encoded_sound(row["audio1"], f"{key}/1"),),
        answers=tuple(text(r) for r in references[:1]),
        task=split,
        groups={"category": text(row.get("category")), "turn": "1"},
        cluster=key,
        transcript=turns[0],
        extra={
            "next": encoded_sound(row["audio2"], f"{key}/2"),
            "next_transcript": turns[1],
            "next_answers": tuple(text(r) for r in references[1:2]),
        },
    )


def follow_up(question: Question, reply: str) -> Question:
    """The second turn of MT-Bench, after the model's own reply to the first."""
    return replace(
        question,
        key=question.cluster + "/2",
        sounds=(question.extra["next"],),
        answers=question.extra["next_answers"],
        groups={**question.groups, "turn": "2"},
        transcript=question.extra["next_transcript"],
        history=(Said(role="human", sounds=question.sounds), Said(role="assistant", text=reply)),
        extra={"first": question.transcript},
    )


def _plea(prompt: str) -> Plea:
    return Plea(user=prompt, system=SYSTEM, n=3, temperature=0.5, top_p=0.95, max_tokens=1024)


def asks_open(question: Question, answer: Answer) -> Sequence[Plea]:
    """Three scores of 1 to 5."""
    prompt = OPEN_PROMPT.replace("{prompt}", question.transcript)
    return (_plea(prompt.replace("{response}", answer.text)),)


def asks_qa(question: Question, answer: Answer) -> Sequence[Plea]:
    """Three votes of yes or no."""
    prompt = QA_PROMPT.replace("{prompt}", question.transcript)
    prompt = prompt.replace("{reference}", question.answers[0])
    return (_plea(prompt.replace("{response}", answer.text)),)


def asks_dialogue(question: Question, answer: Answer) -> Sequence[Plea]:
    """The open prompt; for a second turn the instruction is the dialogue so far (ours)."""
    if not question.history:
        return asks_open(question, answer)
    said = f"{question.extra['first']}\n\n[Reply]: {question.history[1].text}\n\n"
    return asks_open(replace(question, transcript=said + question.transcript), answer)


def _score(reply: str) -> float:
    """A number, or the first [[number]]; nan where the official script stops with an error."""
    try:
        return float(reply)
    except ValueError:
        found = re.search(r"\[\[(\d+)\]\]", reply)
        return float(found[1]) if found else math.nan


def reads_open(question: Question, answer: Answer, replies: Sequence[str]) -> Mark:
    """The mean of the scores, 1 to 5; nan where one cannot be read. Strict: such a score is 0, and
    so is one off the scale."""
    scores = [_score(reply.strip()) for reply in replies]
    good = [score if 1 <= score <= 5 else 0.0 for score in scores]
    return Mark(
        official=sum(scores) / len(scores) if scores else math.nan,
        strict=sum(good) / len(good) if good else 0.0,
        parsed=bool(good) and all(good),
        why=" | ".join(replies),
    )


def reads_dialogue(question: Question, answer: Answer, replies: Sequence[str]) -> Mark:
    """As `reads_open`; there is no official value."""
    return replace(reads_open(question, answer, replies), official=math.nan)


def reads_qa(question: Question, answer: Answer, replies: Sequence[str]) -> Mark:
    """The most frequent reply, lower-cased: is it "yes"? ("Yes." is another reply.) A tie is
    decided by hash order in the official script, here by a draw seeded with the question's key
    (`zlib.crc32`). Strict: more than half say yes, marks aside."""
    votes = Counter(reply.strip().lower() for reply in replies)
    most = sorted(vote for vote, n in votes.items() if n == max(votes.values()))
    drawn = random.Random(zlib.crc32(question.key.encode())).choice(most) if most else ""
    plain = [reply.strip(" \n.,!*\"'").lower() for reply in replies]
    yes, no = plain.count("yes"), plain.count("no")
    return Mark(
        official=float(drawn == "yes") if most else math.nan,
        strict=float(2 * yes > len(plain)),
        parsed=2 * max(yes, no) > len(plain),
        parts={"pedant": math.nan},
        why=" | ".join(replies),
    )


LEADERBOARD = (
    "alpacaeval_full",
    "commoneval",
    "wildvoice",
    "sd-qa",
    "mmsu",
    "openbookqa",
    "bbh",
    "ifeval",
    "advbench",
)
"""The nine configs of the published table. Its AlpacaEval column is `alpacaeval_full`."""

_OPEN = ("alpacaeval", "alpacaeval_full", "commoneval", "wildvoice")


def overall(figures: Mapping[str, float]) -> float:
    """VoiceBench's mean, in percent, from the official figures of nine suites by their names:
    scores of 1 to 5 count times 20, accuracies of 0 to 1 times 100.

    Raises `ValueError` where one is missing or off its scale.
    """
    total = 0.0
    for config in LEADERBOARD:
        name, top = suite_name(config), 5.0 if config in _OPEN else 1.0
        if name not in figures:
            raise ValueError(f"VoiceBench's mean needs {name}; got {', '.join(figures) or 'none'}")
        if not 0 <= figures[name] <= top:
            raise ValueError(f"{name} is {figures[name]}; expected 0 to {top:g}")
        total += 100 * figures[name] / top
    return total / len(LEADERBOARD)


def _spoken(question: Question) -> Worded:
    """The recording alone."""
    return Worded()


_ABOUT = {
    "alpacaeval": "199 spoken open questions (AlpacaEval, helpful_base and vicuna)",
    "alpacaeval_full": "636 spoken open questions (AlpacaEval); the published table's",
    "commoneval": "200 open questions spoken by people (Common Voice)",
    "wildvoice": "1,000 open questions spoken by people with many accents",
    "openbookqa": "455 spoken questions with four options (OpenBookQA)",
    "mmsu": "3,074 spoken questions with four options in 12 domains (MMLU-Pro); not MMSU",
    "sd-qa": "questions with a reference, spoken by people of 11 regions (553 each)",
    "mtbench": "46 spoken dialogues of two turns (MT-Bench); no published scorer",
    "ifeval": "345 spoken instructions whose following a program checks (IFEval)",
    "bbh": "1,000 reasoning questions spoken by people (BIG-Bench Hard, four tasks)",
    "advbench": "520 spoken harmful requests; the share that is refused (AdvBench)",
}
_MARKS: Mapping[str, Marker] = {
    "openbookqa": mark_choice,
    "mmsu": mark_choice,
    "ifeval": voicebench_ifeval.mark,
    "bbh": mark_bbh,
    "advbench": mark_harm,
}
_BY_OPEN = Judged(asks=asks_open, reads=reads_open, model=JUDGE)
_JUDGES = dict.fromkeys(_OPEN, _BY_OPEN) | {
    "sd-qa": Judged(asks=asks_qa, reads=reads_qa, model=JUDGE),
    "mtbench": Judged(asks=asks_dialogue, reads=reads_dialogue, model=JUDGE),
}


def _suite(config: str) -> Suite:
    """One config as a suite."""
    reader: Callable[[Path], list[Question]] = partial(load, config=config)
    points = config in _OPEN or config == "mtbench"
    return Suite(
        name=suite_name(config),
        about=_ABOUT[config],
        source="arXiv 2410.17196; hub hlt-lab/voicebench",
        fetch=(
            "hf download hlt-lab/voicebench --repo-type dataset "
            f"--include '{config}/*' --local-dir DATA"
        ),
        load=reader,
        prompts={"auscult" if config == "mtbench" else "official": Prompt(word=_spoken)},
        mark=_MARKS.get(config),
        judged=_JUDGES.get(config),
        restate=voicebench_ifeval.restate if config == "ifeval" else None,
        unit="points of 5" if points else "accuracy",
    )


SUITES_HERE: tuple[Suite, ...] = tuple(_suite(config) for config in _ABOUT)
"""All configs, in the published order; `alpacaeval_speaker` is left out."""
