"""Big Bench Audio, Spoken-MQA: both forms, prompts, scorers with their mistakes."""

import math
from dataclasses import replace
from fractions import Fraction

import fixture_spoken
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auscult.bench.files import MissingData
from auscult.bench.question import Answer, Question, Suite
from auscult.bench.sets import asr, big_bench_audio, spoken_mqa

SUITES = {s.name: s for s in (big_bench_audio.SUITE, spoken_mqa.SUITE, *asr.SUITES_HERE)}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> dict[str, list[Question]]:
    out = {}
    for name, write in fixture_spoken.FIXTURES.items():
        write(folder := tmp_path_factory.mktemp(name) / "data")
        out[name] = SUITES[name].load(folder)
    return out


def said(text: str) -> Answer:
    return Answer(text=text)


def asked(reference: str, task: str = "") -> Question:
    return Question(key="q", answers=(reference,), task=task)


def test_every_suite_has_a_fixture_whose_sounds_can_be_heard(loaded):
    assert set(fixture_spoken.FIXTURES) == set(SUITES)
    for questions in loaded.values():
        assert all(q.sounds[0].read().size > 1000 for q in questions)


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_an_empty_folder_is_missing_data_and_the_fetch_says_where(suite: Suite, tmp_path):
    with pytest.raises(MissingData, match="holds n"):
        suite.load(tmp_path)
    assert "DATA" in suite.fetch


# Big Bench Audio


def test_the_parquet_copy_gives_the_same_questions_and_transcripts(loaded, tmp_path):
    fixture_spoken.big_bench_shards(tmp_path / "hub")
    mine, hub = loaded["big_bench_audio"], big_bench_audio.load(tmp_path / "hub")
    assert [(q.key, q.answers, q.groups) for q in mine] == [
        (q.key, q.answers, q.groups) for q in hub
    ]
    assert mine[3].key == "big_bench_audio/30" and not any(q.transcript for q in mine)
    assert hub[2].transcript.startswith("Turn around.")
    for a, b in zip(mine, hub, strict=True):
        np.testing.assert_array_equal(a.sounds[0].read(), b.sounds[0].read())


def test_the_same_words_in_two_voices_are_one_cluster(loaded, tmp_path):
    fixture_spoken.big_bench_shards(tmp_path / "hub")
    hub = big_bench_audio.load(tmp_path / "hub")
    assert hub[4].cluster == hub[5].cluster != hub[0].cluster
    assert {q.cluster for q in loaded["big_bench_audio"]} == {""}


def test_a_missing_mp3_is_named(tmp_path):
    fixture_spoken.big_bench_lines(tmp_path / "data")
    (tmp_path / "data" / "data" / "question_20.mp3").unlink()
    with pytest.raises(MissingData, match=r"question_20\.mp3 is missing"):
        big_bench_audio.load(tmp_path / "data")


def test_the_report_prompt_comes_after_the_sound_and_the_official_one_is_silent(loaded):
    prompts = big_bench_audio.SUITE.prompts
    assert list(prompts) == ["report", "official"]
    report = prompts["report"].word(loaded["big_bench_audio"][0])
    assert report.before == "" and report.after == (
        '仅用 "valid" 或 "invalid"，"yes" 或 "no"，或者数字来直接回答上面的问题，'
        "不要添加任何其他描述。"
    )
    official = prompts["official"].word(loaded["big_bench_audio"][0])
    assert (official.before, official.after, official.system) == ("", "", "")


@pytest.mark.parametrize(
    ("reference", "text", "lenient", "strict", "parsed"),
    [
        ("invalid", "invalid", 1, 1, True),
        ("invalid", "Invalid.", 1, 1, True),
        ("invalid", "The argument is not deductively valid.", 1, 1, True),
        ("invalid", "It isn’t valid.", 1, 1, True),
        ("valid", "It is not invalid", 1, 1, True),
        ("valid", "invalid", 0, 0, True),
        ("valid", "valid or invalid? I say valid", 1, 0, False),  # the first proposed answer
        ("valid", "validity matters", 0, 0, False),
        ("Yes", "yes", 1, 1, True),
        ("Yes", "No, yes", 0, 0, False),
        ("no", "Yes at first, but the final answer is: No.", 1, 0, False),
        ("no", "答案是no", 1, 1, True),
        ("no", "nobody knows", 0, 0, False),
        ("7", "7", 1, 1, True),
        ("7", "**7.0**", 1, 1, True),
        ("7", "seven", 1, 1, True),
        ("7", "You have Seven fruits.", 1, 1, True),
        ("17", "seven", 0, 0, True),
        ("7", "3 plums and 4 pears make 7", 1, 0, False),  # no one number
        ("7", "3 plums and 4 pears. The answer is 7.", 1, 1, True),
        ("7", "The answer is 7. No, the answer is 8.", 0, 0, False),
        ("21", "twenty-one", 1, 1, True),
        ("1105", "one thousand one hundred and five", 1, 1, True),
        ("1105", "1,105", 1, 1, True),
        ("7", "", 0, 0, False),
        ("7", "9" * 5000, 0, 0, False),
    ],
)
def test_the_offline_matcher_on_golden_answers(reference, text, lenient, strict, parsed):
    mark = big_bench_audio.mark(asked(reference), said(text))
    assert (mark.official, mark.strict, mark.parsed) == (lenient, strict, parsed)


def spelt(number: int) -> str:
    """English words, written apart from the reader."""
    small = (
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
        "nineteen",
    )  # fmt: skip
    tens = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
    if number < 20:
        return small[number]
    if number < 100:
        return tens[number // 10 - 2] + (f"-{small[number % 10]}" if number % 10 else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = f" {spelt(number % size)}" if number % size else ""
    return f"{spelt(number // size)} {name}{rest}"


@given(st.integers(0, 999_999))
def test_every_number_in_words_or_digits_is_read_back(number):
    for text in (spelt(number), str(number), f"{number:,}", f"I count {spelt(number)} of them."):
        assert big_bench_audio.mark(asked(str(number)), said(text)).strict == 1.0


def test_the_judge_prompt_is_the_published_one_asked_three_times(loaded):
    question = replace(loaded["big_bench_audio"][3], transcript="How many {candidate_answer}?")
    assert big_bench_audio.SUITE.judged is not None
    (plea,) = big_bench_audio.SUITE.judged.asks(question, said("It is 7"))
    lines = plea.user.split("\n")
    assert plea.n == 3 and plea.system == ""
    assert lines[0] == "Assess whether the following CANDIDATE ANSWER is CORRECT or INCORRECT."
    assert lines[6].endswith("misspelling of a person's name e.g. Leda or Lida, Autry or Audrie.")
    assert lines[7] == "  " and lines[10] == "The OFFICIAL ANSWER:7"
    assert lines[-1] == "Reply only with CORRECT or INCORRECT."
    assert "\n\nIt is 7\n\nEND CANDIDATE ANSWER TO ASSESS" in plea.user
    assert "START QUESTION How many {candidate_answer}? \\n\\nEND QUESTION" in (
        big_bench_audio.SUITE.judged.asks(question, said("{candidate_answer}"))[0].user
    )


@pytest.mark.parametrize(
    ("replies", "official", "strict", "parsed"),
    [
        (["CORRECT", "correct.", "CORRECT"], 1, 1, True),
        (["INCORRECT", "CORRECT", "Incorrect"], 1 / 3, 1 / 3, True),
        (["CORRECT", "no idea", "CORRECT"], 1, 2 / 3, True),
        (["CORRECT or INCORRECT?", "", "hm"], math.nan, 0, False),
        ([], math.nan, 0, False),
    ],
)
def test_verdicts_are_averaged_and_unread_ones_are_wrong_in_strict(
    loaded, replies, official, strict, parsed
):
    assert big_bench_audio.SUITE.judged is not None
    mark = big_bench_audio.SUITE.judged.reads(loaded["big_bench_audio"][3], said("7"), replies)
    assert mark.official == pytest.approx(official, nan_ok=True)
    assert (mark.strict, mark.parsed) == (pytest.approx(strict), parsed)
    assert mark.parts["offline"] == 1.0


# Spoken-MQA


def test_the_four_splits_are_read_in_order_with_transcripts(loaded):
    questions = loaded["spoken_mqa"]
    assert [q.key for q in questions[:3]] == [
        "spoken_mqa/short_digit/0", "spoken_mqa/short_digit/1", "spoken_mqa/long_digit/0",
    ]  # fmt: skip
    assert questions[3].answers == ("3/8", "0.375")
    assert questions[3].groups == {"split": "single_step_reasoning"}
    assert questions[5].transcript == "Twice two and one more."


def test_a_missing_split_is_named(tmp_path):
    fixture_spoken.spoken_mqa(tmp_path / "data")
    next(tmp_path.glob("data/data/long_digit-*")).unlink()
    with pytest.raises(MissingData, match="no Parquet file of the split long_digit"):
        spoken_mqa.load(tmp_path / "data")


def test_folders_named_after_splits_are_read_as_well(loaded, tmp_path):
    fixture_spoken.spoken_mqa(tmp_path / "data")
    for file in tmp_path.glob("data/data/*.parquet"):
        place = tmp_path / "other" / "default" / file.name.split("-")[0]
        place.mkdir(parents=True)
        file.rename(place / "0000.parquet")
    again = spoken_mqa.load(tmp_path / "other")
    assert [(q.key, q.answers) for q in again] == [(q.key, q.answers) for q in loaded["spoken_mqa"]]


def test_the_report_prompt_comes_before_the_sound_and_the_official_one_is_the_row_s(loaded):
    prompts, question = spoken_mqa.SUITE.prompts, loaded["spoken_mqa"][0]
    assert list(prompts) == ["report", "official"]
    assert prompts["report"].word(question).before == "Solve the given math question step by step."
    assert prompts["official"].word(question).after == "Please solve (short_digit)."


@pytest.mark.parametrize(
    ("text", "prediction"),
    [
        ("It is 304.", "304"),
        ("3 plus 4 is 7", "7"),  # no trigger: the last
        ("The answer is: 7 because 3 + 4", "7"),  # a trigger: the first after it
        ("The answer is 3. So the answer is 4 of 5", "4"),
        ("The answer is 3\n\nwell\n\nThe answer is 4", "3"),  # twice: only the first block
        ("THE ANSWER IS 3 of 4", "4"),  # not a trigger
        ("1,234.50", "1234.5"),
        ("1,2", "12"),  # every comma goes
        ("3/4", "0.75"),
        ("-1/4", "-0.25"),
        ("3/", "3"),
        ("It is 3/0", "3/0"),
        ("07/2", "07/2"),  # Python refuses the leading zero
        ("007", "7"),
        ("-0", "0"),
        ("5-3", "-3"),  # the minus of a subtraction is taken for a sign
        ("0.00001", "1e-05"),
        ("0.0000000001", "0.1"),  # 1e-10 without its zero
        ("100000000000000000000", "100.0"),  # 1e+20 without its zero
        ("1" * 400, "inf"),
        ("$12.00 ####", "empty"),
        ("twelve", "empty"),
        ("", "empty"),
    ],
)
def test_the_official_extraction_with_its_mistakes(text, prediction):
    assert spoken_mqa.extract(text) == prediction


@pytest.mark.parametrize(
    ("place", "text", "official", "strict"),
    [
        (0, "304.0", 1, 1),
        (1, "-1.5", 1, 1),
        (1, "−1.5", 0, 1),  # a true minus sign
        (2, "2,000", 0, 1),  # digit splits compare the text "2,000" with "2000"
        (3, "3/8", 1, 1),
        (3, "0.3750", 1, 1),
        (3, "\\frac{3}{8}", 0, 1),
        (4, "1200", 1, 1),
        (5, "5 apples", 1, 1),
        (5, "The answer is 5, not 6", 1, 0),  # strict reads the last number
        (5, "five", 0, 0),
        (5, "", 0, 0),
    ],
)
def test_official_and_strict_marks_of_golden_answers(loaded, place, text, official, strict):
    mark = spoken_mqa.mark(loaded["spoken_mqa"][place], said(text))
    assert (mark.official, mark.strict) == (official, strict)


def test_only_the_first_reference_counts_officially_and_any_in_strict():
    question = Question(key="q", answers=("7", "8"), task="multi_step_reasoning")
    mark = spoken_mqa.mark(question, said("8"))
    assert (mark.official, mark.strict) == (0.0, 1.0)
    assert spoken_mqa.mark(replace(question, answers=("6", "7", "8")), said("8")).strict == 1.0


def test_model_text_is_never_run_as_code():
    assert spoken_mqa.delete_extra_zero("__import__('os').getpid()") == "__import__('os').getpid()"
    assert spoken_mqa.delete_extra_zero("2**3") == "2**3"


@given(st.integers(-999, 999), st.integers(1, 999))
def test_a_quotient_is_what_python_makes_of_it(over, under):
    short = spoken_mqa.delete_extra_zero(f"{over}/{under}")
    if not str(over / under).endswith("0") or (over / under).is_integer():
        assert float(short) == over / under


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,204 men", Fraction(1204)),
        ("2 1/2", Fraction(5, 2)),
        ("-3 / 4", Fraction(-3, 4)),
        ("10-3", Fraction(3)),
        ("等于5。", Fraction(5)),
        (".5", Fraction(1, 2)),
        ("12...", Fraction(12)),
        ("\\boxed{12}", Fraction(12)),
        ("1/0", None),
        ("none", None),
        ("1" * 6000, None),
        ("H2O", None),
    ],
)
def test_the_last_number_of_a_text(text, number):
    assert spoken_mqa.last_number(text) == number


def test_no_reply_at_all_is_scored_with_the_prediction_before_it_in_the_split(loaded):
    q = loaded["spoken_mqa"]
    nothing, thought = Answer(text=""), Answer(text="", thought="hm")
    pairs = [(q[5], nothing), (q[5], said("9")), (q[6], nothing), (q[3], nothing), (q[6], thought),
             (q[6], nothing)]  # fmt: skip
    values = spoken_mqa.restate([(a, b, spoken_mqa.mark(a, b)) for a, b in pairs])
    assert math.isnan(values[0]) and math.isnan(values[3])  # the first of a split: left out
    assert [values[i] for i in (1, 2, 4, 5)] == [0.0, 1.0, 0.0, 0.0]
