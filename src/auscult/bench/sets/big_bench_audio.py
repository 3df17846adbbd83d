"""Big Bench Audio (Artificial Analysis, 2024): 1,000 spoken questions of Big Bench Hard.

Files: `metadata.jsonl` with `data/question_<id>.mp3` (hub ArtificialAnalysis/big_bench_audio), or
the Parquet copy fixie-ai/big_bench_audio, which adds the transcript that a judge and the control
without sound need. Method and judge prompt: huggingface/blog, `big-bench-audio-release.md`.

The authors score with a judge and publish no script. `judged` follows them: their prompt, three
replies, the mean (their three runs may ask the model anew each time; that is three runs of ours).
`mark` needs no judge and is ours: its `official` is a lenient reading by the rules of the judge
prompt (the final answer if one is announced, else the first verdict or the last number); its
`strict` refuses a reply that says two different things.
"""

import math
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

from auscult.bench.files import (
    MissingData,
    Row,
    encoded_sound,
    file_sound,
    parquet_rows,
    read_lines,
    text,
    unique,
)
from auscult.bench.prompts import REPORT_MAX_TOKENS
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

RUNS = 3  # results of the authors are means of three runs

JUDGE_PROMPT = (
    "Assess whether the following CANDIDATE ANSWER is CORRECT or INCORRECT.\n"
    "For the CANDIDATE ANSWER to be correct, it must be consistent with the OFFICIAL ANSWER.\n"
    "If the CANDIDATE ANSWER contradicts itself, assess the first proposed answer.\n"
    "If the CANDIDATE ANSWER provides a final answer and working, assess the final answer only.\n"
    "If the CANDIDATE ANSWER includes irrelevant information, assess only the relevant "
    "information.\n"
    "If the CANDIDATE ANSWER includes a numeric value it is ok if it is spelled e.g. 7 or seven\n"
    "It is ok if the CANDIDATE ANSWER involves a misspelling of a person's name e.g. Leda or Lida, "
    "Autry or Audrie.\n"
    "  \n"
    "The question, for reference only: START QUESTION {question} \\n\\nEND QUESTION\n"
    "\n"
    "The OFFICIAL ANSWER:{official_answer}\n"
    "\n"
    "BEGIN CANDIDATE ANSWER TO ASSESS\n"
    "\n"
    "{candidate_answer}\n"
    "\n"
    "END CANDIDATE ANSWER TO ASSESS\n"
    "\n"
    "Reply only with CORRECT or INCORRECT."
)
"""As published, with its line of two spaces and its literal backslashes."""


def load(folder: Path) -> list[Question]:
    """Either published form; the Parquet copy gives transcripts."""
    lists = sorted(folder.glob("**/metadata.jsonl"))
    if lists:
        root = lists[0].parent
        listed = _count(read_lines(lists[0]))
        made = [_question(r, file_sound(root / text(r["file_name"])), n) for n, r in listed]
        return unique(made, folder)
    shards = sorted(folder.glob("**/*.parquet"))
    if not shards:
        raise MissingData(f"{folder} holds neither metadata.jsonl nor Parquet shards")
    rows = _count(parquet_rows(shards))
    made = [_question(r, encoded_sound(r["audio"], f"question {n}"), n) for n, r in rows]
    return unique(made, folder)


def _count(rows: Iterable[Row]) -> Iterable[tuple[str, Row]]:
    """Each row with its number: its id, or its place where a copy has dropped the ids."""
    for place, row in enumerate(rows):
        yield text(row.get("id", place)), row


def _question(row: Row, sound: Sound, number: str) -> Question:
    category = text(row.get("category"))
    words = text(row.get("transcript"))
    same = " ".join(re.findall(r"\w+", words.lower()))
    return Question(
        key=f"big_bench_audio/{number}",
        sounds=(sound,),
        answers=(text(row["official_answer"]),),
        task=category,
        groups={"category": category},
        # One question in several voices is told by its words only.
        cluster=f"{category}: {same}" if same else "",
        transcript=words,
    )


def _report(_: Question) -> Worded:
    return Worded(
        after='仅用 "valid" 或 "invalid"，"yes" 或 "no"，或者数字来直接回答上面的问题，'
        "不要添加任何其他描述。"
    )


_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    "zero", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES = (
    {word: i for i, word in enumerate(_ONES, 1)}
    | {word: i and i + 9 for i, word in enumerate(_TEENS)}
    | {word: 10 * i for i, word in enumerate(_TENS, 2)}
)
_SMALL = rf"(?:(?:{'|'.join(_TENS)})(?:[\s-]+(?:{'|'.join(_ONES)})\b)?|{'|'.join(_TEENS + _ONES)})"
_HUNDREDS = rf"{_SMALL}\b(?:\s+hundred\b(?:\s+(?:and\s+)?{_SMALL}\b)?)?"
_SPELT = rf"\b{_HUNDREDS}(?:\s+thousand\b(?:,?\s+(?:and\s+)?{_HUNDREDS})?)?"
_LONGEST = 200  # characters of a number; a model that repeats a digit for ever says none
_NUMBER = re.compile(rf"(?<![\w.])-?\d+(?:,\d{{3}})*(?:\.\d+)?|{_SPELT}", re.A)
_VALIDITY = re.compile(r"(?:(\bnot|n't)\s+(?:\w+\s+){0,2})?\b(in)?valid\b", re.A)
_YES_NO = re.compile(r"\b(?:yes|no)\b", re.A)
_LEAD = re.compile(r"answer\s*(?:is|:|：)|答案\s*(?:是|为|:|：)", re.I)


def number_of(phrase: str) -> Fraction:
    """A number in digits or in English words: "1,204", "7.0", "one hundred and five"."""
    if any(c.isdigit() for c in phrase):
        return Fraction(phrase.replace(",", ""))
    total = current = 0
    for word in re.findall(r"[a-z]+", phrase.lower()):
        if word == "hundred":
            current *= 100
        elif word == "thousand":
            total, current = total + 1000 * current, 0
        elif word != "and":
            current += _VALUES[word]
    return Fraction(total + current)


def mentions(said: str, reference: str) -> list[str]:
    """What a text says, in the kind of the reference: "valid"/"invalid", "yes"/"no", or numbers as
    text ("7"). "Not valid" is invalid. A reference of no kind is looked for as it stands."""
    said, reference = said.lower().replace("’", "'"), reference.lower().strip()
    if reference in ("valid", "invalid"):
        found = _VALIDITY.finditer(said)
        return ["invalid" if bool(m[1]) != bool(m[2]) else "valid" for m in found]
    if reference in ("yes", "no"):
        return _YES_NO.findall(said)
    if _is_number(reference):
        return [str(number_of(n)) for n in _NUMBER.findall(said) if len(n) < _LONGEST]
    return [reference] if reference and reference in said else []


def _is_number(reference: str) -> bool:
    return _NUMBER.fullmatch(reference.lower().strip()) is not None


def _target(reference: str) -> str:
    plain = reference.lower().strip()
    return str(number_of(plain)) if _is_number(plain) else plain


def lenient(said: str, reference: str) -> str:
    """The one answer that the judge's rules would look at; "" = none."""
    for part in reversed(_LEAD.split(said)[1:]):
        if found := mentions(part, reference):
            return found[0]
    found = mentions(said, reference)
    if not found:
        return ""
    return found[-1] if _is_number(reference) else found[0]


def unambiguous(said: str, reference: str) -> str:
    """The answer if the text says one only; "" where it says none or several. Numbers before an
    announced answer ("3 and 4, so the answer is 7") are working and do not count."""
    if _is_number(reference) and (parts := _LEAD.split(said)[1:]):
        said = " | ".join(parts)
    found = set(mentions(said, reference))
    return found.pop() if len(found) == 1 else ""


def mark(question: Question, answer: Answer) -> Mark:
    """Ours, without a judge: `official` is the lenient reading, `strict` the unambiguous one."""
    reference = question.answers[0]
    loose, sure = lenient(answer.text, reference), unambiguous(answer.text, reference)
    return Mark(
        official=float(loose == _target(reference)),
        strict=float(sure == _target(reference)),
        parsed=sure != "",
        answer=sure or loose,
    )


def _asks(question: Question, answer: Answer) -> Sequence[Plea]:
    """One prompt, three replies. The question is empty where the data has no transcript."""
    filled = (
        JUDGE_PROMPT.replace("{question}", question.transcript)
        .replace("{official_answer}", question.answers[0])
        .replace("{candidate_answer}", answer.text)
    )
    return (Plea(user=filled, n=RUNS),)


def verdict(reply: str) -> float | None:
    """1 for CORRECT, 0 for INCORRECT, None for neither or both."""
    said = set(re.findall(r"\b(?:IN)?CORRECT\b", reply.upper()))
    return float("CORRECT" in said) if len(said) == 1 else None


def _reads(question: Question, answer: Answer, replies: Sequence[str]) -> Mark:
    """`official`: mean of the replies that can be read, nan if none can. `strict`: one that cannot
    be read counts as INCORRECT."""
    read = [v for v in map(verdict, replies) if v is not None]
    offline = mark(question, answer)
    return Mark(
        official=sum(read) / len(read) if read else math.nan,
        strict=sum(read) / len(replies) if replies else 0.0,
        parsed=bool(read),
        answer=offline.answer,
        parts={"offline": offline.strict, "unread": float(len(replies) - len(read))},
    )


SUITE = Suite(
    name="big_bench_audio",
    about="spoken reasoning: 250 questions each of formal fallacies, navigate, object counting and "
    "web of lies",
    source="huggingface.co/blog/big-bench-audio-release; hub ArtificialAnalysis/big_bench_audio",
    fetch="hf download ArtificialAnalysis/big_bench_audio --repo-type dataset --local-dir DATA",
    load=load,
    prompts={
        "report": Prompt(
            word=_report, temperature=0.7, repetition_penalty=1.0, max_tokens=REPORT_MAX_TOKENS
        ),
        "official": Prompt(word=lambda _: Worded()),
    },
    mark=mark,
    judged=Judged(asks=_asks, reads=_reads, model="Claude 3.5 Sonnet (Oct '24)"),
)
