"""Wordings that several benchmarks share."""

from auscult.bench.question import Prompt, Question, Worded

REPORT_MAX_TOKENS = 32_000  # released Step-Audio-R1 client


def letter(place: int) -> str:
    """A for 0, B for 1, ..."""
    return chr(65 + place)


def _report_choice(question: Question) -> Worded:
    """The released client's wording for MMSU, MMAU and MMAR: text first, then the sound. The space
    before the line break and the break after each option are theirs."""
    lines = "".join(f"{letter(i)}. {option}\n" for i, option in enumerate(question.options))
    ask = (
        "Please choose the answer from the following options, do not provide any additional "
        "explanations or content: "
    )
    return Worded(before=f"{question.text}\n{ask}\n{lines}")


REPORT_CHOICE = Prompt(
    word=_report_choice, temperature=0.7, repetition_penalty=1.0, max_tokens=REPORT_MAX_TOKENS
)
"""The Step-Audio-R1 report's prompt for questions with options (github stepfun-ai/Step-Audio-R1,
`examples-vllm_r1.py`)."""
