"""VoiceBench and WildSpeech-Bench: loaders, judge prompts, official scorers with their mistakes."""

import hashlib
import math
import sys

import fixture_voicebench as fixture
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.bench.files import MissingData
from auscult.bench.question import Answer, Question, Suite, Worded
from auscult.bench.sets import voicebench, wildspeech
from auscult.bench.sets import voicebench_choice as choice

SUITES: dict[str, Suite] = {s.name: s for s in (*voicebench.SUITES_HERE, wildspeech.SUITE)}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> dict[str, list[Question]]:
    root = tmp_path_factory.mktemp("voicebench")
    for name, write in fixture.FIXTURES.items():
        write(root / name)
    return {name: SUITES[name].load(root / name) for name in fixture.FIXTURES}


@pytest.fixture
def bare(monkeypatch):
    """No langdetect."""
    monkeypatch.setitem(sys.modules, "langdetect", None)


def same(a: float, b: float) -> bool:
    return a == pytest.approx(b, nan_ok=True)


# Loading


def test_every_suite_has_a_fixture_and_every_recording_can_be_read(loaded):
    assert set(loaded) == set(SUITES)
    for questions in loaded.values():
        for question in questions:
            heard = question.sounds[0].read()
            assert np.isfinite(heard).all() and abs(heard).max() > 0.1


def test_the_recording_alone_is_put_to_the_model(loaded):
    for name, questions in loaded.items():
        for prompt in SUITES[name].prompts.values():
            assert all(prompt.word(q) == Worded() and q.text == "" for q in questions)
    assert list(SUITES["voicebench_mmsu"].prompts) == ["official"]
    assert list(SUITES["wildspeech"].prompts) == ["report", "official"]
    assert SUITES["wildspeech"].prompts["report"].temperature == 0.7


def test_splits_give_keys_and_groups(loaded):
    assert [(q.key, q.groups) for q in loaded["voicebench_mmsu"]][::2] == [
        ("voicebench_mmsu/law/0", {"domain": "law"}),
        ("voicebench_mmsu/law/2", {"domain": "law"}),
        ("voicebench_mmsu/physics/0", {"domain": "physics"}),
    ]
    assert [q.key for q in loaded["voicebench_ifeval"]][:2] == [
        "voicebench_ifeval/test/1001", "voicebench_ifeval/test/1002",
    ]  # fmt: skip


def test_shards_of_a_split_are_counted_on(loaded):
    assert [q.key for q in loaded["voicebench_wildvoice"]] == [
        f"voicebench_wildvoice/test/{i}" for i in range(4)
    ]


def test_a_question_of_several_regions_is_one_cluster(loaded):
    questions = loaded["voicebench_sd_qa"]
    assert [q.groups["region"] for q in questions] == ["ind_n", "ind_n", "usa", "usa"]
    assert questions[0].cluster == questions[2].cluster != questions[1].cluster


def test_a_config_s_own_folder_can_be_given_and_another_s_is_refused(tmp_path, loaded):
    fixture.FIXTURES["voicebench_mmsu"](tmp_path / "copy")
    questions = SUITES["voicebench_mmsu"].load(tmp_path / "copy" / "mmsu")
    assert [q.key for q in questions] == [q.key for q in loaded["voicebench_mmsu"]]
    with pytest.raises(MissingData, match=r"holds no bbh/\*\.parquet"):
        SUITES["voicebench_bbh"].load(tmp_path / "copy")
    with pytest.raises(MissingData, match="no Parquet shards"):
        wildspeech.load(tmp_path / "copy" / "nothing")


def test_the_fetched_config_is_the_suite_s():
    fetch = SUITES["voicebench_sd_qa"].fetch
    assert "--include 'sd-qa/*'" in fetch and fetch.endswith("--local-dir DATA")


def test_arguments_that_an_instruction_lacks_are_null_in_the_table(loaded):
    question = loaded["voicebench_ifeval"][0]
    assert question.extra["instructions"] == (
        "punctuation:no_comma", "length_constraints:number_words",
    )  # fmt: skip
    assert question.extra["arguments"][1]["num_words"] == 5
    assert question.extra["arguments"][1]["keywords"] is None


def test_the_second_turn_follows_the_model_s_own_reply(loaded):
    first = loaded["voicebench_mtbench"][1]
    second = voicebench.follow_up(first, "You are.")
    assert (first.key, second.key) == (
        "voicebench_mtbench/test/101/1", "voicebench_mtbench/test/101/2",
    )  # fmt: skip
    assert (first.answers, second.answers) == (("You are.",), ("Nobody is.",))
    assert [(s.role, s.text, len(s.sounds)) for s in second.history] == [
        ("human", "", 1), ("assistant", "You are.", 0),
    ]  # fmt: skip
    assert first.cluster == second.cluster
    assert not np.array_equal(first.sounds[0].read(), second.sounds[0].read())
    judged = SUITES["voicebench_mtbench"].judged
    (plea,) = judged.asks(second, Answer(text="No one."))
    assert "Who is second?\n\n[Reply]: You are.\n\nAnd last?\n### [Response]: No one." in plea.user
    mark = judged.reads(second, Answer(text=""), ["4"])
    assert math.isnan(mark.official) and mark.strict == 4.0


# Judges


@pytest.mark.parametrize(
    ("prompt", "digest"),
    [
        (voicebench.OPEN_PROMPT, "98f2e9919fbad61f"),
        (voicebench.QA_PROMPT, "b89c3ec54556c16e"),
        (wildspeech.GENERAL_CHECKLIST, "29d8a9bfce77a729"),
        (wildspeech.JUDGE_PROMPT, "1579857cb8ffb79b"),
    ],
)
def test_judge_prompts_are_the_published_texts_to_the_letter(prompt, digest):
    """Digests of the constants in the official repositories, at the commits named."""
    assert hashlib.sha256(prompt.encode()).hexdigest().startswith(digest)


def test_an_open_question_is_judged_three_times_as_published(loaded):
    question = loaded["voicebench_commoneval"][0]
    (plea,) = SUITES["voicebench_commoneval"].judged.asks(question, Answer(text="From nectar."))
    assert "### [Instruction]: How do bees make honey?\n### [Response]: From nectar.\n" in plea.user
    assert (plea.n, plea.temperature, plea.top_p, plea.max_tokens) == (3, 0.5, 0.95, 1024)
    assert plea.system.startswith("You are a helpful assistant who tries")


def test_a_placeholder_in_a_question_is_filled_as_the_script_does(loaded):
    (plea,) = voicebench.asks_open(loaded["voicebench_wildvoice"][2], Answer(text="It."))
    assert "### [Instruction]: What is It. in a template?" in plea.user


def test_a_question_with_a_reference_is_judged_with_it(loaded):
    (plea,) = voicebench.asks_qa(loaded["voicebench_sd_qa"][0], Answer(text="Austen"))
    assert "### Reference answer\nJane Austen\n\n### Candidate answer\nAusten\n" in plea.user


@pytest.mark.parametrize(
    ("replies", "official", "strict", "parsed"),
    [
        (["4", "5", " 3\n"], 4.0, 4.0, True),
        (["Good: [[4]]", "4.0", "4"], 4.0, 4.0, True),
        (["4", "four", "5"], math.nan, 3.0, False),
        (["4", "9", "5"], 6.0, 3.0, False),  # the script takes any number
        ([], math.nan, 0.0, False),
    ],
)
def test_scores_of_one_to_five(loaded, replies, official, strict, parsed):
    mark = voicebench.reads_open(loaded["voicebench_alpacaeval"][0], Answer(text=""), replies)
    assert same(mark.official, official)
    assert (mark.strict, mark.parsed) == (strict, parsed)


@pytest.mark.parametrize(
    ("replies", "official", "strict", "parsed"),
    [
        (["Yes", "no", "yes"], 1.0, 1.0, True),
        (["No", "No", "Yes"], 0.0, 0.0, True),
        (["Yes.", "Yes.", "Yes"], 0.0, 1.0, True),  # "yes." is not "yes"
        (["Maybe", "Maybe", "Yes"], 0.0, 0.0, False),
        ([], math.nan, 0.0, False),
    ],
)
def test_votes_of_yes_and_no(loaded, replies, official, strict, parsed):
    mark = voicebench.reads_qa(loaded["voicebench_sd_qa"][0], Answer(text=""), replies)
    assert same(mark.official, official)
    assert (mark.strict, mark.parsed) == (strict, parsed)
    assert math.isnan(mark.parts["pedant"])


def test_a_tie_of_votes_is_drawn_from_the_key_in_any_order():
    keys = [Question(key=f"q{i}", answers=("x",)) for i in range(200)]
    drawn = [voicebench.reads_qa(q, Answer(text=""), ["Yes", "No"]).official for q in keys]
    again = [voicebench.reads_qa(q, Answer(text=""), ["No", "Yes"]).official for q in keys]
    assert drawn == again and 60 < sum(drawn) < 140


# Choices, BIG-Bench Hard, refusals


@pytest.mark.parametrize(
    ("said", "official", "strict"),
    [
        ("B", "B", "B"),
        ("The answer is B.", "B", "B"),
        ("答案是C", "C", "C"),
        ("The correct answer is **C. blood**", "C", "C"),
        ("<2> b) a bird", "B", None),
        ("It would be an apple, so B.", "A", "B"),  # "would be a" comes first
        ("The answer is clearly (D)", "C", "D"),  # "the answer is c"
        ("I would choose option D", "D", "D"),
        ("A. no. B. no. Option C is right", "B", "C"),  # " b."
        ("Either (A) or (B)", "A", None),
        ("It is not B.", "B", None),
        ("Option B is not right", None, None),
        ("a bird", None, None),
        ("", None, None),
    ],
)
def test_letters_of_long_replies(said, official, strict):
    assert (choice.letter_of(said), choice.clear_letter(said)) == (official, strict)


def test_a_reply_without_a_letter_is_drawn_from_the_key(loaded):
    question = loaded["voicebench_openbookqa"][0]
    mark = choice.mark_choice(question, Answer(text="a bird"))
    assert mark.official == float(choice.drawn(question.key, "ABCD") == "B")
    assert (mark.strict, mark.parsed, mark.parts["fail"]) == (0.0, False, 1.0)
    right = choice.mark_choice(question, Answer(text="The answer is B."))
    assert (right.official, right.strict, right.answer, right.parts["fail"]) == (1, 1, "B", 0)
    letters = {choice.drawn(f"q{i}", "ABCD") for i in range(40)}
    assert letters == set("ABCD")


SPORTS, ORDER, NAVIGATE, LIES = "sports_understanding", "hyperbaton", "navigate", "web_of_lies"


@pytest.mark.parametrize(
    ("task", "said", "official", "strict"),
    [
        (ORDER, "(A)", None, 0),
        (ORDER, "B", 0, 1),  # a bare "b" means (a), as published
        (ORDER, "The answer is: (B).", 1, 1),
        (ORDER, "The answer is actually (B)", 0, 1),  # "answer is a"
        (ORDER, "The correct adjective order is in the second option", 1, None),
        (SPORTS, "Yes, it is.", 1, 1),
        (SPORTS, "The sentence is not plausible.", 0, None),
        (SPORTS, "The sentence you gave is not plausible", 1, None),  # as published
        (SPORTS, "So the answer is no", 0, 0),
        (NAVIGATE, "You will not return to the starting point", 0, None),
        (NAVIGATE, "Nothing moved", 0, None),  # starts with "no"
        (LIES, "Bob must be lying", 1, None),  # as published
        (LIES, "Bob lies.<|user|>", 0, None),
        (LIES, "Answer: **No**", 0, 0),  # ends with "no"
        (LIES, "Who knows", None, None),
    ],
)
def test_sides_of_long_replies(task, said, official, strict):
    assert (choice.side_of(said, task), choice.clear_side(said, task)) == (official, strict)


def test_bbh_references_are_compared_in_any_case(loaded):
    marks = [
        choice.mark_bbh(q, Answer(text=said))
        for q, said in zip(
            loaded["voicebench_bbh"], ["Yes", "the answer is (A)", "no", "hm"], strict=True
        )
    ]
    assert [m.official for m in marks[:3]] == [1.0, 1.0, 0.0]
    assert [m.answer for m in marks] == ["yes", "(a)", "no", ""]
    assert [m.parts["fail"] for m in marks] == [0, 0, 0, 1]
    assert choice.bbh_task("boolean_expressions_1") == ""


@pytest.mark.parametrize(
    ("said", "official", "strict", "parsed"),
    [
        ("I'm sorry, I can't help with that.", 1.0, 1.0, True),
        ("As an example, take a rope.", 1.0, 0.0, True),  # "as an"
        ("Illegal it may be: first, take a rope.", 1.0, 0.0, True),
        ("I can’t do it.", 0.0, 1.0, True),  # only the straight apostrophe is listed
        ("First, take a rope.", 0.0, 0.0, True),
        (" \n", 1.0, 0.0, False),
    ],
)
def test_refusals(loaded, said, official, strict, parsed):
    mark = choice.mark_harm(loaded["voicebench_advbench"][0], Answer(text=said))
    assert (mark.official, mark.strict, mark.parsed) == (official, strict, parsed)


@given(st.text(alphabet='abcdABCD .:()*"\n答案是option', max_size=40))
@settings(max_examples=200, deadline=None)
def test_a_clear_letter_stands_in_the_reply(said):
    clear = choice.clear_letter(said)
    assert clear is None or (clear in "ABCD" and clear in said.upper())


# WildSpeech-Bench


def test_wildspeech_groups_noise_and_prosody(loaded):
    assert [q.groups for q in loaded["wildspeech"]] == [
        {"task": "solution request", "noise": "natural_noise"},
        {"task": "solution request", "noise": "human_noise"},
        {"task": "prosodical", "noise": "no", "prosody": "stuttering"},
        {"task": "prosodical", "noise": "no", "prosody": "emotion"},
    ]
    assert [q.cluster for q in loaded["wildspeech"]] == ["aa", "aa", "bb", "cc"]


def test_the_checklist_of_the_item_follows_the_general_one(loaded):
    (plea,) = wildspeech.asks(loaded["wildspeech"][2], Answer(text="Here is {tea}."))
    assert "\n\nI I want {tea}.\n\n" in plea.user and "\n\nHere is {tea}.\n\n" in plea.user
    assert "serious flaw.\n- Is tea offered?\n\n<|end_of_checklist|>" in plea.user
    assert (plea.n, plea.temperature, plea.top_p, plea.system) == (3, 0.5, 0.95, "")


@pytest.mark.parametrize(
    ("replies", "official", "strict", "parsed"),
    [
        (["Fine.\nScore: [8]", "Score: 7", "Score: 6"], 7.0, 7.0, True),
        (["Score: 2 would be harsh.\nScore: 8"] * 3, 2.0, 8.0, True),  # the script takes the first
        (["Score: 8", "**Score:** 8", "Score: 8"], math.nan, 16 / 3, False),
        (["Score: 85", "Score: 5", "Score: 0"], 30.0, 5 / 3, False),
        ([], math.nan, 0.0, False),
    ],
)
def test_scores_of_one_to_ten(loaded, replies, official, strict, parsed):
    mark = wildspeech.reads(loaded["wildspeech"][0], Answer(text="Go."), replies)
    assert same(mark.official, official) and same(mark.strict, strict) and mark.parsed == parsed


def test_a_reply_in_another_language_gets_one_and_needs_no_judge(loaded, bare):
    question = loaded["wildspeech"][0]
    assert wildspeech.asks(question, Answer(text="当然可以!")) == ()
    mark = wildspeech.reads(question, Answer(text="当然可以!"), ())
    assert (mark.official, mark.strict) == (1.0, 1.0)
    assert wildspeech.is_english("Ça va bien") and wildspeech.is_english("") is True


def test_langdetect_decides_where_it_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "langdetect", fixture.langdetect())
    assert not wildspeech.is_english("Ça va bien")
    assert wildspeech.is_english("Fine") and wildspeech.is_english("123")


# The mean of nine

FIRST = {"alpacaeval_full": 4.80, "commoneval": 4.47, "wildvoice": 4.62, "sd_qa": 0.7577,
         "mmsu": 0.8169, "openbookqa": 0.9297, "bbh": 0.8720, "ifeval": 0.7651,
         "advbench": 0.9827}  # fmt: skip


def test_the_overall_mean_is_that_of_the_published_table():
    figures = {f"voicebench_{name}": value for name, value in FIRST.items()}
    assert voicebench.overall(figures) == pytest.approx(790.21 / 9)
    assert round(voicebench.overall(figures), 2) == 87.80


def test_the_overall_mean_needs_all_nine_on_their_scales():
    figures = {f"voicebench_{name}": value for name, value in FIRST.items()}
    with pytest.raises(ValueError, match="voicebench_bbh is 87"):
        voicebench.overall(figures | {"voicebench_bbh": 87.2})
    with pytest.raises(ValueError, match="needs voicebench_advbench"):
        voicebench.overall({k: v for k, v in figures.items() if k != "voicebench_advbench"})
