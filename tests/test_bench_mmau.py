"""MMAU and MMAR: all published forms, the token matcher, three scores, the judged rubrics."""

import json
import math

import fixture_mmau
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auscult.bench.files import MissingData
from auscult.bench.matching import lettered_option, mark_choice, string_match
from auscult.bench.prompts import letter
from auscult.bench.question import Answer, Mark, Question
from auscult.bench.sets import mmar, mmau

SUITES = {s.name: s for s in (*mmau.SUITES_HERE, *mmar.SUITES_HERE)}


def loaded_from(write, load, folder) -> list[Question]:
    write(folder / "data")
    return load(folder / "data")


@pytest.fixture(scope="module")
def mini(tmp_path_factory) -> list[Question]:
    folder = tmp_path_factory.mktemp("mini")
    return loaded_from(fixture_mmau.mini_list, mmau.load_mini, folder)


@pytest.fixture(scope="module")
def rubrics(tmp_path_factory) -> list[Question]:
    folder = tmp_path_factory.mktemp("mmar")
    return loaded_from(fixture_mmau.mmar_lines, mmar.load_rubrics, folder)


def asked(options: tuple[str, ...], right: str) -> Question:
    return Question(key="x", answers=(right,), options=options)


def scores(mark: Mark) -> tuple[float, float, float, float]:
    return mark.parts["official_raw"], mark.official, mark.parts["letter_parse"], mark.strict


def same(a: list[Question], b: list[Question]) -> None:
    for one, two in zip(a, b, strict=True):
        for name in ("key", "text", "answers", "options", "task", "groups", "cluster"):
            assert getattr(one, name) == getattr(two, name), name
        np.testing.assert_array_equal(one.sounds[0].read(), two.sounds[0].read())


@pytest.mark.parametrize("name", sorted(fixture_mmau.FIXTURES))
def test_every_suite_loads_its_fixture_with_sounds_that_can_be_heard(name, tmp_path):
    questions = loaded_from(fixture_mmau.FIXTURES[name], SUITES[name].load, tmp_path)
    assert len(questions) >= 4
    assert all(len(q.sounds[0].read()) > 1000 for q in questions)


# ---------------------------------------------------------------- MMAU: forms


@pytest.mark.parametrize("write", [fixture_mmau.mini_hub, fixture_mmau.copy])
def test_all_forms_of_test_mini_give_the_same_questions(mini, write, tmp_path):
    same(mini, loaded_from(write, mmau.load_mini, tmp_path))


@pytest.mark.parametrize("write", [fixture_mmau.full_list, fixture_mmau.copy])
def test_all_forms_of_the_full_test_give_the_same_questions(write, tmp_path):
    hub = loaded_from(fixture_mmau.full_hub, mmau.load_test, tmp_path / "hub")
    same(hub, loaded_from(write, mmau.load_test, tmp_path))


def test_the_list_or_the_table_may_be_named_itself(mini, tmp_path):
    fixture_mmau.mini_list(tmp_path / "list")
    fixture_mmau.mini_hub(tmp_path / "hub")
    same(mini, mmau.load_mini(tmp_path / "list" / "mmau-test-mini.json"))
    same(mini, mmau.load_mini(tmp_path / "hub" / "test_mini.parquet"))


def test_a_category_in_a_list_is_its_member(mini):
    assert {q.groups["category"] for q in mini} == {"Reasoning", "Information Extraction"}
    assert mini[1].extra["row"]["category"] == ["Reasoning"]


def test_two_to_eight_options_are_kept_as_published_spaces_and_twins_too(mini):
    assert [len(q.options) for q in mini] == [4, 2, 4, 5, 8, 4]
    assert mini[4].options[0] == " Büro" and mini[4].answers == (" Büro",)
    assert mini[3].options.count("both sad.") == 2


@pytest.mark.parametrize(
    ("shown", "bare"),
    [
        (["(A) Man", "(B) (A) Child"], ["Man", "(A) Child"]),
        (["(A) Man", "Child"], ["(A) Man", "Child"]),  # not every option has its letter
        (["(B) Man", "(A) Child"], ["(B) Man", "(A) Child"]),  # not its own
        (["A:maj/1", "B:maj/1"], ["A:maj/1", "B:maj/1"]),
    ],
)
def test_only_letters_that_number_the_options_are_taken_off(shown, bare):
    row = {"id": 1, "question": "?", "choices": shown, "answer": shown[0]}
    assert mmau.listed(row)["choices"] == bare and mmau.listed(row)["answer"] == bare[0]


def test_the_report_prompt_is_the_released_client_s(mini):
    prompt = SUITES["mmau_mini"].prompts["report"]
    assert prompt.word(mini[1]).before == (
        "Which word is stressed?\nPlease choose the answer from the following options, do not "
        "provide any additional explanations or content: \nA. wind\nB. wharf\n"
    )
    assert (prompt.temperature, prompt.repetition_penalty) == (0.7, 1.0)
    assert SUITES["mmar"].prompts["report"].repetition_penalty == 1.07


def test_missing_files_are_named(tmp_path):
    with pytest.raises(MissingData, match=r"neither mmau-test-mini\.json nor Parquet"):
        mmau.load_mini(tmp_path)
    with pytest.raises(MissingData, match=r"MMAR-meta\.jsonl"):
        mmar.load(tmp_path)
    fixture_mmau.mini_list(tmp_path / "data")
    (tmp_path / "data" / "test-mini-audios" / "m3.wav").unlink()
    with pytest.raises(MissingData, match=r"m3\.wav is missing"):
        mmau.load_mini(tmp_path / "data")
    with pytest.raises(MissingData, match=r"neither mmau-test\.json nor Parquet"):
        mmau.load_test(tmp_path / "data")


def test_rows_of_the_other_split_are_left_out(tmp_path):
    fixture_mmau.full_hub(tmp_path / "data")
    with pytest.raises(ValueError, match="holds no questions"):
        mmau.load_mini(tmp_path / "data")


# ---------------------------------------------------------------- the full test


def test_an_answer_to_the_full_test_is_read_but_has_no_score(tmp_path):
    questions = loaded_from(fixture_mmau.full_hub, mmau.load_test, tmp_path)
    assert all(q.answers == () for q in questions)
    mark = mmau.mark(questions[0], Answer(text="(B)"))
    assert math.isnan(mark.official) and math.isnan(mark.strict) and dict(mark.parts) == {}
    assert mark.answer == "A woman"
    assert mark.why == "the full test has no public answers: submit the file"


def test_a_submission_is_the_published_rows_with_the_key_that_the_script_reads(tmp_path):
    questions = loaded_from(fixture_mmau.full_list, mmau.load_test, tmp_path)
    replies = ["B", "wind", "neither", "A", "A. Büro", "D"]
    items = [(q, Answer(text=r)) for q, r in zip(questions, replies, strict=True)]
    out = mmau.submission(items)
    said = ["A woman", "wind", "neither", "both sad.", " Büro", "rain"]
    assert [r["model_output"] for r in out] == said
    bare = [{k: v for k, v in r.items() if k != "model_output"} for r in out]
    assert bare == fixture_mmau.rows("test")
    assert [r["model_output"] for r in mmau.submission(items, mapped=False)] == replies
    assert json.loads(json.dumps(out)) == out


# ---------------------------------------------------------------- the matcher


@pytest.mark.parametrize(
    ("answer", "said", "options", "right"),
    [
        ("Man", "man", ("Man", "Woman"), True),
        ("Man", "It is a MAN!", ("Man", "Woman"), True),
        ("Man", "not a man but a woman", ("Man", "Woman"), False),
        ("Man", "", ("Man", "Woman"), False),
        ("Man", "...", ("Man", "Woman"), False),
        ("A woman", "woman", ("Man", "A woman"), False),  # "a" is not said
        ("dog, cat", "cat, dog", ("dog, cat", "cat, dog", "dog"), True),  # order is not seen
        ("cat", "cat", ("cat", "cat cat"), True),  # the same set of words
        ("dog", "dog, cat", ("dog, cat", "dog"), False),
        ("a dog", "a dog", ("a dog", "a cat"), True),  # shared words do not count
        ("女人", "是女人", ("男人", "女人"), False),  # Chinese is one word
        ("F#", "F", ("F#", "F"), True),  # marks are no words
        ("+", "yes", ("+", "-"), True),  # an answer without words fits any reply
        ("+", "+", ("+", "-"), False),
        ("twenty_one", "twenty_one", ("twenty", "twenty_one"), True),
    ],
)
def test_the_token_matcher_with_its_mistakes(answer, said, options, right):
    assert string_match(answer, said, options) is right


NAMES = ("dog", "cat", "The", "a", "is", "no", "A", "rain", "correct", "2")
WORDS = st.lists(st.sampled_from(NAMES), min_size=1)
OPTIONS = st.lists(WORDS.map(" ".join), min_size=2, max_size=8).map(tuple)


@given(OPTIONS, st.data())
def test_the_text_of_the_answer_is_always_right(options, data):
    right = data.draw(st.sampled_from(options))
    assert scores(mark_choice(asked(options, right), Answer(text=right)))[1] == 1.0
    assert string_match(right, right, options)


@given(OPTIONS, st.data(), st.text(max_size=12) | WORDS.map(" ".join))
def test_what_is_strictly_right_is_officially_right(options, data, said):
    right = data.draw(st.sampled_from(options))
    mark = mark_choice(asked(options, right), Answer(text=said))
    assert mark.strict <= mark.official
    assert mark.parsed or not mark.strict
    assert {mark.official, *mark.parts.values()} <= {0.0, 1.0}


@given(OPTIONS, st.sampled_from(["{}", "({})", "{}.", "**{}**", "The answer is {}."]), st.data())
def test_a_letter_is_read_where_no_option_has_that_text(options, form, data):
    place = data.draw(st.integers(0, len(options) - 1))
    if not {o.lower() for o in options} & {letter(i).lower() for i in range(8)}:
        assert lettered_option(form.format(letter(place)), options) == options[place]


PLAIN = asked(("Man", "A woman", "The child", "It is a robot"), "Man")


@pytest.mark.parametrize(
    ("said", "expected"),
    [  # official_raw, official, letter_parse, strict
        ("Man", (1, 1, 0, 1)),
        ("A", (0, 1, 1, 1)),  # the letter alone never matches by itself
        ("(A)", (0, 1, 1, 1)),
        ("A. Man", (0, 1, 1, 1)),  # "a" is a word of another option
        ("(A) Man", (0, 1, 1, 1)),
        ("**A. Man**", (0, 1, 1, 1)),
        ("The answer is Man.", (0, 1, 0, 1)),  # "the" and "is" too
        ("The correct answer is (A) Man", (0, 1, 1, 1)),
        ("B", (0, 0, 0, 0)),
        ("B. Man", (1, 1, 0, 0)),  # they disagree, but "b" is no word of an option
        ("Surely man", (1, 1, 0, 0)),  # by words alone
        ("Clearly (A)", (0, 0, 1, 0)),
        ("(A) or (B)", (0, 0, 1, 0)),  # the first place wins
        ("Both (A) and (B)", (0, 0, 0, 0)),
        ("E", (0, 0, 0, 0)),
        ("", (0, 0, 0, 0)),
    ],
)
def test_one_answer_has_three_scores_and_a_strict_one(said, expected):
    mark = mark_choice(PLAIN, Answer(text=said))
    assert scores(mark) == expected
    assert mark.parsed != ("words alone" in mark.why)


def test_letters_alone_are_wrong_without_the_map_and_right_with_it(mini):
    gold = [letter(q.options.index(q.answers[0])) for q in mini]
    marks = [mmau.mark(q, Answer(text=g)) for q, g in zip(mini, gold, strict=True)]
    assert sum(m.parts["official_raw"] for m in marks) == 0
    assert [m.official for m in marks] == [m.strict for m in marks] == [1.0] * 6
    assert [m.parts["letter_parse"] for m in marks] == [1.0] * 6


def test_a_chord_that_looks_like_a_letter_is_text(mini):
    assert lettered_option("A:maj/5", mini[2].options) is None
    assert lettered_option("A: maj", mini[2].options) == "E:maj/1"
    assert scores(mmau.mark(mini[2], Answer(text="A:maj/5"))) == (1, 1, 0, 1)


def test_a_note_named_like_a_letter_is_text_for_all_but_the_letter_parse():
    mark = mark_choice(asked(("C", "Gm", "E"), "C"), Answer(text="C"))
    assert scores(mark) == (1, 1, 0, 1)
    assert lettered_option("F. Smith", ("A. Jones", "F. Smith")) is None


def test_the_second_of_two_equal_options_is_as_right_as_the_first(mini):
    assert scores(mmau.mark(mini[3], Answer(text="C")))[1:] == (1, 1, 1)


def test_a_list_in_another_order_passes_the_matcher_but_is_strictly_wrong(mini):
    assert scores(mmau.mark(mini[5], Answer(text="B"))) == (0, 1, 0, 0)


# ---------------------------------------------------------------- MMAR


def test_both_lists_of_mmar_give_the_same_questions(rubrics, tmp_path):
    same(rubrics, loaded_from(fixture_mmau.mmar_hub, mmar.load, tmp_path))


def test_clips_of_one_video_are_one_cluster(rubrics):
    assert rubrics[0].cluster == rubrics[1].cluster != rubrics[2].cluster
    assert rubrics[2].groups["modality"] == rubrics[2].task == "mix-music-speech"


def test_the_rubrics_need_the_list_that_has_them(tmp_path):
    fixture_mmau.mmar_hub(tmp_path / "data")
    with pytest.raises(MissingData, match=r"without a rubric; expected MMAR-meta\.jsonl"):
        mmar.load_rubrics(tmp_path / "data")


def test_the_judge_prompt_is_the_official_one_without_any_indent(rubrics):
    extra = {**rubrics[0].extra, "rubric": rubrics[0].extra["rubric"][:2]}
    question = Question(key="x", text="What barks?", answers=("A dog",), extra=extra)
    prompt = mmar.judge_prompt(question, "  I hear {barks}\n\ttwice.", "A dog")
    assert prompt == fixture_mmau.JUDGE_PROMPT


def test_five_raters_are_asked_with_the_official_settings(rubrics):
    pleas = mmar.asks(rubrics[0], Answer(text="A", thought="barks"))
    assert len(pleas) == 5 and len(set(pleas)) == 1
    assert (pleas[0].n, pleas[0].temperature, pleas[0].seed) == (1, 0.0, 42)
    assert pleas[0].system.startswith("You are a impartial and meticulous AI evaluator. Your task")
    assert pleas[0].user.endswith("barks The answer is A dog.")


def test_a_wrong_answer_is_zero_and_no_judge_is_asked(rubrics):
    answer = Answer(text="A cat", thought="a fine thought")
    assert mmar.asks(rubrics[0], answer) == ()
    mark = mmar.reads(rubrics[0], answer, ())
    assert (mark.official, mark.strict, mark.parsed, mark.answer) == (0.0, 0.0, True, "A cat")


def reply(points: int, **other) -> str:
    """A judge who grants the first `points` criteria."""
    return json.dumps([{"name": f"Cue {i}", "score": int(i < points), **other} for i in range(5)])


@pytest.mark.parametrize(
    ("points", "score"),
    [
        ([5, 5, 5, 5, 5], 1.0),
        ([0, 5, 5, 5, 5], 1.0),  # the lowest is dropped
        ([5, 0, 0, 0, 0], 0.0),  # the highest is dropped
        ([1, 2, 3, 4, 5], 0.6),
        ([3, 3, 4, 4, 4], 11 / 15),
    ],
)
def test_the_score_is_the_mean_of_the_middle_three(rubrics, points, score):
    mark = mmar.reads(rubrics[0], Answer(text="A dog"), [reply(p) for p in points])
    assert mark.official == pytest.approx(score) and mark.strict == mark.official
    assert mark.parts["official_raw"] == mark.official and mark.parts["accuracy"] == 1.0
    assert mark.parts["judge_spread"] == pytest.approx((max(points) - min(points)) / 5)


def test_the_score_counts_strictly_only_for_an_answer_that_names_one_option(rubrics):
    mark = mmar.reads(rubrics[0], Answer(text="Surely a dog"), [reply(5)] * 5)
    assert (mark.official, mark.strict, mark.parsed) == (1.0, 0.0, False)
    lettered = mmar.reads(rubrics[0], Answer(text="A"), [reply(5)] * 5)
    assert (lettered.official, lettered.parts["official_raw"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"Here it is:\n```json\n{reply(4)}\n```", 0.8),
        (reply(2, name="another name"), 0.4),  # names are not compared
        (reply(5).replace('"score": 1', '"score": true'), 1.0),
        (reply(5).replace('"score": 1', '"score": 1.0'), 1.0),
        (reply(5).replace('"score": 1', '"score": 0.5'), None),  # not offered
        (reply(5).replace('"score": 1', '"score": "1"'), None),
        (reply(5).replace('"score"', '"points"'), None),
        (json.dumps(json.loads(reply(5))[:4]), None),
        (f"{reply(5)} and [{{}}]", None),  # the outermost brackets are taken
        ("[1, 1, 1, 1, 1]", None),
        ("{}", None),
        ("[" * 100_000, None),
        ("", None),
    ],
)
def test_a_rating_is_read_as_the_script_reads_it(rubrics, text, value):
    assert mmar.rating(text, rubrics[0].extra["rubric"]) == value


def test_a_rubric_that_offers_nothing_gives_nothing():
    point = mmar.Criterion(name="a", rule="b", scores=(0,))
    assert mmar.rating('[{"name": "a", "score": 0}]', [point]) == 0.0


@pytest.mark.parametrize("replies", [[], [reply(5)] * 4, [*[reply(5)] * 4, "no idea"]])
def test_a_rater_that_cannot_be_read_leaves_the_item_out(rubrics, replies):
    mark = mmar.reads(rubrics[0], Answer(text="A dog"), replies)
    assert math.isnan(mark.official) and (mark.strict, mark.parsed) == (0.0, False)
    assert f"{min(len(replies), 4)} of 5 ratings" in mark.why


@given(st.text(max_size=60))
def test_no_reply_of_a_judge_is_an_exception(text):
    point = mmar.Criterion(name="a", rule="b", scores=(0, 1))
    value = mmar.rating(text, [point])
    assert value is None or 0.0 <= value <= 1.0
