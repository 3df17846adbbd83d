"""Scores and intervals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auscult import gym
from auscult.gym.score import normalise, score_answer
from auscult.stats.intervals import grouped_mean, paired_difference, wilson


def test_wilson_matches_the_textbook():
    e = wilson(180, 200)
    assert (round(e.mean, 3), round(e.low, 3), round(e.high, 3)) == (0.9, 0.851, 0.934)
    with pytest.raises(ValueError, match="at least one observation"):
        wilson(0, 0)


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilson_holds_the_mean_and_stays_in_range(right: int, extra: int):
    e = wilson(right, right + extra)
    assert 0 <= e.low <= e.mean <= e.high <= 1


def test_wilson_of_none_right_begins_at_none():
    assert wilson(0, 3).low == 0.0 and wilson(3, 3).high == 1.0


def test_paired_differences_use_the_pairs():
    first, second = [1.0, 1.0, 0.0, 1.0] * 25, [0.0, 1.0, 0.0, 1.0] * 25
    e = paired_difference(first, second)
    assert e.mean == 0.25 and 0.1 < e.low < 0.25 < e.high < 0.4
    with pytest.raises(ValueError, match="same items twice"):
        paired_difference([1.0], [])


def test_every_task_counts_the_same_in_the_mean():
    e = grouped_mean([[1.0] * 90, [0.0] * 10])
    assert e.mean == 0.5 and e.n == 100


@pytest.mark.parametrize(
    ("given_", "score"),
    [
        ("lower", 1), (" Lower. ", 1), ("The answer is lower", 1), ("B", 1), ("b.", 1),
        ("(B) lower", 1), ("higher", 0), ("A", 0), ("A. lower", 0), ("B. higher", 0), ("C", 0),
        ("", 0), ("lower or higher", 0), ("it is lower than that", 0), ("lowerlower", 0),
    ],
)  # fmt: skip
def test_answers_by_text_letter_or_both_and_nothing_else(given_: str, score: float):
    item = gym.make("pitch_direction", 0)
    item = type(item)(
        **{f: getattr(item, f) for f in type(item).__slots__}
        | {"options": ("higher", "lower"), "answer": "lower"}
    )
    assert score_answer(item, given_) == score


def test_number_words_are_numbers():
    assert normalise("Four.") == normalise(" 4 ") == "4"
