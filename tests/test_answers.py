"""Answers in wrappers: read by our strict scores, and as ever by the official ones."""

import pytest

from auscult.bench.letters import bare_option, chosen_option, outer_letter
from auscult.bench.matching import letter_to_text, mark_choice
from auscult.bench.question import Answer, Question
from auscult.bench.suites import SUITES
from auscult.bench.voicebench_choice import clear_letter, clear_side
from auscult.bench.wrappers import readings

OPTIONS = ("Dog", "Cat", "Bird")

WRAPPED = (
    "<answer>{}</answer>", "<ANSWER> {} </ANSWER>", "I hear it.\n<answer>{}</answer>",
    "\\boxed{{{}}}", "$\\boxed{{{}}}$", "$$\\boxed{{\\text{{{}}}}}$$", "\\(\\boxed{{{}}}\\)",
    "So it is \\boxed{{{}}}.", "<answer>\\boxed{{{}}}</answer>", "Option {}", "option {}.",
    "Choice {}", "The answer is option {}", "Based on the audio, the answer is: {}",
    "Based on what I hear, the correct option is {}.", "Therefore, the final answer is **{}**",
    "“{}”", "‘{}’", "「{}」", "【{}】", "[{}]", '"{}"', "答案是{}", "答案：{}", "正确答案是 {}",
    "正确答案为{}。", "选{}", "选择{}", "我选{}", "根据音频，答案是：{}", "정답은 {}", "答えは{}",
    '{{"answer": "{}"}}', '```json\n{{"answer": "{}"}}\n```', "```\n{}\n```",
    "The answer is {}. The answer is {}.",
)  # fmt: skip


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("said", ["B", "Cat", "B. Cat", "(B)"])
def test_a_wrapped_answer_counts_in_the_strict_score(form: str, said: str):
    text = form.format(said, said)
    assert chosen_option(text, OPTIONS) == "Cat"
    question = Question(key="x", answers=("Cat",), options=OPTIONS)
    mark = mark_choice(question, Answer(text=text))
    assert mark.strict == 1.0 and mark.parsed and mark.answer == "Cat"


@pytest.mark.parametrize("said", ["Ｂ", "（Ｂ）", "Ｂ．Cat", "答案是：Ｂ"])
def test_full_width_letters_are_letters(said: str):
    assert chosen_option(said, OPTIONS) == "Cat"


@pytest.mark.parametrize(
    "text",
    [
        "", "I do not know", "<answer></answer>", "<answer>A</answer><answer>B</answer>",
        "\\boxed{A} or \\boxed{B}", "The answer is A. No, the answer is B.", "Option A or B",
        "<answer>D</answer>", "答案是A或B", "“A” “B”", "<answer>Dog and Cat</answer>",
        "A cat meows, but the answer is not among them", "\\boxed{", '{"answer": ["A", "B"]}',
    ],
)  # fmt: skip
def test_no_single_answer_stays_unread(text: str):
    assert chosen_option(text, OPTIONS) is None


def test_an_option_that_looks_like_a_wrapper_is_read_as_it_stands():
    assert chosen_option("Option B", ("Option B", "Option A")) == "Option B"
    assert chosen_option("[B]", ("[A]", "[B]", "B")) == "[B]"


@pytest.mark.parametrize("form", WRAPPED)
def test_the_official_scores_see_the_reply_as_it_is(form: str):
    text = form.format("B", "B")
    assert letter_to_text(text, OPTIONS) == (bare_option(text, OPTIONS) or text)
    question = Question(key="x", answers=("Cat",), options=OPTIONS)
    known = bare_option(text, OPTIONS) is not None
    assert mark_choice(question, Answer(text=text)).official == float(known)
    extra = {"choices": OPTIONS, "answer": "Cat"}
    mmsu = Question(key="x", answers=("Cat",), options=OPTIONS, extra=extra)
    found = outer_letter(text)
    if found in ("A", "B", "C"):
        assert SUITES["mmsu"].mark(mmsu, Answer(text=text)).official == float(found == "B")


@pytest.mark.parametrize("form", [f for f in WRAPPED if 'answer": ' not in f])
def test_voicebenchs_strict_readers_know_the_same_wrappers(form: str):
    assert clear_letter(form.format("B", "B")) == "B"
    assert clear_side(form.format("yes", "yes"), "navigate") == 1


@pytest.mark.parametrize("form", WRAPPED)
def test_numbers_and_digits_are_read_in_wrappers(form: str):
    text = form.format("7", "7")
    digit = Question(key="fsdd/x", answers=("7",))
    assert SUITES["fsdd"].mark(digit, Answer(text=text)).strict == 1.0
    sums = Question(key="x", answers=("#### 7",), task="short_digit")
    assert SUITES["spoken_mqa"].mark(sums, Answer(text=text)).strict == 1.0


def test_layers_come_off_one_by_one():
    found = list(readings(" **<answer>\\boxed{B}</answer>** "))
    assert found[0] == "**<answer>\\boxed{B}</answer>**" and found[-1] == "B"
    assert found[1:-1] == ["<answer>\\boxed{B}</answer>", "\\boxed{B}"]
