"""Answers in wrappers: read by our strict scores, and as ever by the official ones."""

import pytest

from auscult.bench.letters import bare_option, chosen_option, clear_letter, outer_letter
from auscult.bench.matching import letter_to_text, mark_choice
from auscult.bench.question import Answer, Question
from auscult.bench.sets.spoken_mqa import stated_number
from auscult.bench.sets.voicebench_choice import clear_side
from auscult.bench.suites import SUITES
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


LEFT_UNREAD = (
    "The answer is B. The clip contains a meow.", "The answer is B, since it meows.",
    "B\n\nExplanation: it meows", "B. Cat\n\nThe audio contains a meow.", "B. The cat meows.",
    "Option B is correct.", "B is the correct answer because it meows.", "I choose B",
    "I would go with option B.", "### Answer\nB", "Answer B", "Ans: B", "Cat (B)", "B - Cat",
    "B – Cat", "<answer>B", "B</answer>", "</think>B", "<think>A? no</think>\n<answer>B</answer>",
    "B<|EOT|>", "B</s>", "<choice>B</choice>", "[ANSWER]B[/ANSWER]", "{'answer': 'B'}",
    '{"option":"B"}', '{"answer": "B"}.', "__B__", "_B_", "<b>B</b>", "\\textbf{B}",
    "$\\text{B}$", "„B“", "‹B›", "答案选B", "故选：B", "应该选B", "本题选择B", "选 B 。",
    "答えはBです。", "정답은 B입니다.", "답은 B이다", "B\u200b", "\ufeffB",
    "The wrong answer is A. The right answer is B.", "A is wrong, so the answer is B.",
    "I don't think it's a dog. The answer is B.", "It is no bark, therefore the answer is B",
    "The answer is B. Cat. It meows, so the answer is B.", "<answer>B</answer>\nNeither A nor C.",
    "I first thought \\boxed{A} but the answer is B.",
    "The answer is B because the dog is silent but the cat meows.",
    "First <answer>A</answer>. Wait, that's wrong. Final answer: B",
)  # fmt: skip


@pytest.mark.parametrize("text", LEFT_UNREAD)
def test_an_answer_counts_whatever_explains_or_encloses_it(text: str):
    assert chosen_option(text, OPTIONS) == "Cat"


DENIED = (
    "The wrong answer is B", "The incorrect option is B", "The least likely answer is B",
    "The worst answer is B", "The second best answer is B", "I don't think the answer is B",
    "It is not the case that the answer is B", "I doubt the answer is B", "If the answer is B",
    "You might think the answer is B", "Nobody says the answer is B.", "Which option is B",
    "I'm not sure the answer is B", "错误答案是B", "不正确答案是B", "错误的选项是B", "不应该选B",
    "我不选B", "答えはBではない", "정답은 B가 아닙니다", "The answer is not B",
    "Option B is incorrect.",
    "The answer is not \\boxed{B}", "It isn't <answer>B</answer>", "I doubt B is correct",
    "<response>B</response> hmm, A", "\\boxed{B} is wrong. \\boxed{B} no", "B? No.",
    "<answer>B</answer> is what I would say if it meowed, but it barks: A",
    "The answer is B. That is wrong, it is A.", "B. Actually, A", "B\nA", "I would not choose B",
)  # fmt: skip


@pytest.mark.parametrize("text", DENIED)
def test_an_answer_that_is_denied_or_withdrawn_is_none(text: str):
    assert chosen_option(text, OPTIONS) is None
    assert clear_letter(text) != "B"


@pytest.mark.parametrize(
    "text",
    ["The answer is B. Dog", "B. A dog barks.", "Cat (A)", "A - Cat", "A. Dog\nB. Cat\nC. Bird",
     "A. Dog, B. Cat", "Cat, dog", "The answer is B. Or maybe C.", "I choose B over A"],
)  # fmt: skip
def test_two_options_are_no_answer_though_one_looks_like_an_explanation(text: str):
    assert chosen_option(text, OPTIONS) is None


def test_an_answer_withdrawn_for_another_is_not_read():
    assert chosen_option("\\boxed{B}? No, it must be A.", OPTIONS) is None
    assert clear_letter("\\boxed{B}? No, it must be A.") == "A"


@pytest.mark.parametrize(
    ("text", "side"),
    [("The answer is not yes", None), ("I don't think the answer is yes", None),
     ("The wrong answer is yes. The answer is no.", 0), ("The answer is yes.", 1)],
)  # fmt: skip
def test_a_side_that_is_denied_is_none(text: str, side: int | None):
    assert clear_side(text, "navigate") == side


@pytest.mark.parametrize(
    ("text", "number"),
    [("The answer is not 7", None), ("The wrong answer is 7", None), ("3 - 1 is not 7", None),
     ("<answer>7</answer>\nScore: 3", 7), ("\\boxed{7} because it ends at 2 s", 7),
     ("So the answer is 7 since 3+4=7", 7), ("It is not 5, so 7", 7),
     ("The answer is not 6 but 7", 7),
     ("If the answer is 6, it fails. So the answer is 7.", 7),
     ("```python\nprint(3)\n```\nThe result is 7", 7)],
)  # fmt: skip
def test_the_number_within_a_wrapper_counts_unless_it_is_denied(text: str, number: int | None):
    assert stated_number(text) == number


@pytest.mark.parametrize("text", ["The wrong answer is 7", "I doubt the answer is 7"])
def test_a_digit_that_is_denied_is_none(text: str):
    digit = Question(key="fsdd/x", answers=("7",))
    assert SUITES["fsdd"].mark(digit, Answer(text=text)).strict == 0.0


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
    for option in ("The answer is not given", "Choice: tea", "fast!", "2*3", "I choose B"):
        assert chosen_option(option, ("given", option, "tea", "fast", "23")) == option
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
