"""MMSU: both published forms, both prompts, the official scorer with its mistakes."""

import math

import fixture_mmsu
import numpy as np
import pytest

from auscult.bench.letters import chosen_option, outer_letter
from auscult.bench.question import Answer, Question
from auscult.bench.sets import mmsu
from auscult.bench.suites import SUITES, questions


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> list[Question]:
    folder = tmp_path_factory.mktemp("mmsu") / "data"
    fixture_mmsu.lines(folder)
    return mmsu.load(folder)


def test_both_published_forms_give_the_same_questions(loaded, tmp_path):
    fixture_mmsu.shards(tmp_path / "hub")
    hub = mmsu.load(tmp_path / "hub")
    assert [q.key for q in hub] == [q.key for q in loaded]
    assert [q.options for q in hub] == [q.options for q in loaded]
    for a, b in zip(loaded, hub, strict=True):
        np.testing.assert_array_equal(a.sounds[0].read(), b.sounds[0].read())


def test_numbers_become_their_digits_and_absent_choices_are_no_options(loaded):
    assert loaded[1].options == ("3", "4", "5", "6") and loaded[1].answers == ("5",)
    assert loaded[2].options == ("Yes", "No")


def test_the_report_prompt_is_the_released_client_s(loaded):
    assert mmsu.SUITE.prompts["report"].word(loaded[2]).before == (
        "Is it a question?\nPlease choose the answer from the following options, do not provide any"
        " additional explanations or content: \nA. Yes\nB. No\n"
    )


def test_the_official_prompt_shows_an_absent_choice_as_none(loaded):
    text = mmsu.SUITE.prompts["official"].word(loaded[2]).before
    assert text.endswith("Question: Is it a question?\n\nA. Yes\nB. No\nC. None\nD. None")


@pytest.mark.parametrize(
    ("said", "official", "strict", "parsed"),
    [
        ("B", 1.0, 1.0, True),
        ("B. A woman", 1.0, 1.0, True),
        ("The answer is (B)", 1.0, 1.0, True),  # last but one: B
        ("(B)", 1.0, 1.0, True),
        ("Actually, a woman", 0.0, 0.0, False),  # starts with A
        ("Because of the voice", 1.0, 0.0, False),  # starts with B
        ("a woman", math.nan, 1.0, True),  # no letter: leaves the official denominator
        ("B. A man", 1.0, 0.0, False),  # letter and text disagree
        ("who knows", math.nan, 0.0, False),
    ],
)
def test_official_and_strict_marks_of_golden_answers(loaded, said, official, strict, parsed):
    mark = mmsu.mark(loaded[0], Answer(text=said))
    assert mark.official == official or (math.isnan(mark.official) and math.isnan(official))
    assert (mark.strict, mark.parsed) == (strict, parsed)


def test_an_empty_answer_is_scored_with_the_letter_before_it(loaded):
    said = ["", "B", "", "nothing", "None"]
    items = [(loaded[0], Answer(text=s), mmsu.mark(loaded[0], Answer(text=s))) for s in said]
    values = mmsu.restate(items)
    assert math.isnan(values[0]) and math.isnan(values[3])
    assert [values[1], values[2], values[4]] == [1.0, 1.0, 1.0]


def test_numbers_are_compared_as_the_json_has_them(loaded):
    assert mmsu.mark(loaded[1], Answer(text="C")).official == 1.0


@pytest.mark.parametrize(
    ("text", "letter"), [("A", "A"), ("x B.", "B"), ("D-day", "D"), ("no", None), ("", None)]
)
def test_the_outer_letter(text, letter):
    assert outer_letter(text) == letter


@pytest.mark.parametrize(
    ("text", "options", "chosen"),
    [
        ("dog", ("Dog", "Cat"), "Dog"),
        ("**B. Cat**", ("Dog", "Cat"), "Cat"),
        ("b", ("Dog", "Cat"), "Cat"),
        ("B", ("B", "A"), "B"),  # the option's text wins over the letter
        ("dog and cat", ("Dog", "Cat"), None),
        ("E", ("Dog", "Cat"), None),
        ("The correct answer is: A", ("Dog", "Cat"), "Dog"),
        ("", ("Dog", "Cat"), None),
    ],
)
def test_the_strict_choice_takes_one_unambiguous_option(text, options, chosen):
    assert chosen_option(text, options) == chosen


def test_a_missing_dataset_names_the_command_that_fetches_it(tmp_path):
    with pytest.raises(ValueError, match=r"hf download ddwang2000/MMSU .* --local-dir \S*nowhere"):
        questions(SUITES["mmsu"], tmp_path / "nowhere")


def test_a_missing_recording_is_an_error_that_names_it(tmp_path):
    fixture_mmsu.lines(tmp_path / "data")
    (tmp_path / "data" / "audio" / "3.wav").unlink()
    with pytest.raises(ValueError, match=r"3\.wav is missing"):
        questions(SUITES["mmsu"], tmp_path / "data")
