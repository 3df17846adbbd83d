"""VoiceBench's ifeval: every kind of instruction, the four shares and their mean."""

import math
import sys

import fixture_voicebench as fixture
import pytest

from auscult.bench.question import Answer, Question
from auscult.bench.sets.voicebench import load
from auscult.bench.sets.voicebench_ifeval import CHECKS, follows, mark, restate, variants


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> list[Question]:
    folder = tmp_path_factory.mktemp("ifeval") / "data"
    fixture.FIXTURES["voicebench_ifeval"](folder)
    return load(folder, "ifeval")


@pytest.fixture
def tells_language(monkeypatch):
    """A stand-in for langdetect."""
    monkeypatch.setitem(sys.modules, "langdetect", fixture.langdetect())


@pytest.fixture
def bare(monkeypatch):
    """Neither langdetect nor nltk."""
    monkeypatch.setitem(sys.modules, "langdetect", None)
    monkeypatch.setitem(sys.modules, "nltk", None)


# Instructions: kind, arguments, a reply that follows, one that does not


GOLDEN = [
    ("keywords:existence", {"keywords": ["oar", "s.a"]}, "The OAR at sea", "An oar"),
    ("keywords:frequency", {"keyword": " cat ", "frequency": 2, "relation": "less than"},
     "Cat", "cat category"),
    ("keywords:forbidden_words", {"forbidden_words": ["cat"]}, "category", "A Cat!"),
    ("keywords:letter_frequency",
     {"letter": "E", "let_frequency": 2, "let_relation": "at least"}, "tree", "the"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb ***", "a *** *** b"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "it's so", "so"),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Once"}, "a\n\n'once, b", "a\n\nb"),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] [b]", "[a [b]"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "x p. s. y", "PS y"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "P.P.S y", "P.S. y"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n - b", "* a\n**b**"),
    ("detectable_format:constrained_response", {}, "So: My answer is maybe.", "my answer is no"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2},
     "*a* and *b*", "*a* and ** **"),
    ("detectable_format:multiple_sections", {"section_spliter": "PART", "num_sections": 2},
     "PART 1 a PART 2 b", "PART 1 part 2"),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    ("detectable_format:title", {}, "<<Song>>", "<< >> <Song>"),
    ("combination:two_responses", {}, "a ****** b", "a ****** a"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it"}, "say it. Done", "I say it"),
    ("startend:end_checker", {"end_phrase": "The end."}, 'x the END."', "The end. x"),
    ("punctuation:no_comma", {}, "a; b", "a, b"),
    ("startend:quotation", {}, ' "a" ', '"'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "given_", "good", "bad"), GOLDEN, ids=lambda v: str(v)[:30])
def test_a_checkable_instruction(kind, given_, good, bad):
    assert (follows(kind, good, given_), follows(kind, bad, given_)) == (True, False)
    assert follows(kind, " \n", given_) is False


def test_instructions_that_need_a_language(tells_language):
    french = {"language": "fr"}
    assert follows("language:response_language", "Ça va", french) is True
    assert follows("language:response_language", "Hello", french) is False
    assert follows("language:response_language", "12", french) is True  # none found
    assert follows("change_case:english_capital", "HELLO", {}) is True
    assert follows("change_case:english_capital", "ÇA VA", {}) is False
    assert follows("change_case:english_lowercase", "Hello", {}) is False


def test_what_cannot_be_checked_is_none_and_never_an_error(bare):
    assert follows("language:response_language", "Ça va", {"language": "fr"}) is None
    assert follows("change_case:english_capital", "HELLO", {}) is None
    assert follows("change_case:english_capital", "Hello", {}) is False  # no library is needed
    two = {"num_sentences": 2, "relation": "at least"}
    assert follows("length_constraints:number_sentences", "A b. C.", two) is None
    assert follows("length_constraints:number_sentences", "A b. C.", two, own=True) is True
    one = {"capital_frequency": 1, "capital_relation": "less than"}
    assert follows("change_case:capital_word_frequency", "A U.S. boat", one, own=True) is False
    assert follows("keywords:existence", "x", {"keywords": None}) is None  # drawn by the script
    assert follows("keywords:existence", "x", {"keywords": ["("]}) is None  # no pattern
    assert follows("punctuation:new", "x", {}) is None


def test_every_kind_of_instruction_has_a_golden_row_or_needs_a_library():
    needs = {"language:response_language", "length_constraints:number_sentences",
             "change_case:capital_word_frequency", "change_case:english_capital",
             "change_case:english_lowercase"}  # fmt: skip
    assert {row[0] for row in GOLDEN} | needs == set(CHECKS) and len(CHECKS) == 25


def test_the_loose_score_forgives_first_and_last_lines_and_stars(loaded):
    assert set(variants("a*\nb\nc")) == {"a*\nb\nc", "b\nc", "a*\nb", "b", "a\nb\nc", "a\nb"}
    score = mark(loaded[0], Answer(text="Sure, here:\nA deep blue lake at dawn"))
    assert (score.parts["strict"], score.parts["loose"]) == (0.0, 1.0)
    assert score.official == pytest.approx(0.25 * (0 + 1 + 1 / 2 + 2 / 2))
    assert score.strict == 0.0 and score.why == "not followed: punctuation:no_comma"


def test_the_restated_values_average_to_the_official_figure(loaded, bare):
    questions = loaded[:4]
    said = ["one two three four five six", "An oar", "HELLO", "no"]
    items = [(q, Answer(text=s), mark(q, Answer(text=s)))
             for q, s in zip(questions, said, strict=True)]  # fmt: skip
    values = restate(items)
    assert math.isnan(values[2]) and math.isnan(items[2][2].official)
    assert items[2][2].strict == 0.0 and not items[2][2].parsed
    known = [v for v in values if not math.isnan(v)]
    # Two instructions, two, one: prompts 1 of 3; instructions 2 + 1 + 0 of 5 (both ways).
    assert items[3][2].parts["strict_followed"] == 0
    assert sum(known) / 3 == pytest.approx((1 / 3 + 3 / 5) / 2)


def test_items_with_the_same_prompt_are_scored_with_the_last_reply(loaded):
    question = loaded[0]
    said = [Answer(text="one two three four five"), Answer(text="no, no")]
    values = restate([(question, a, mark(question, a)) for a in said])
    assert values == [0.0, 0.0]


def test_a_letter_that_is_none_is_drawn_from_the_key(loaded):
    question = loaded[3]
    every = "".join(chr(97 + i) * 3 for i in range(26))
    assert mark(question, Answer(text=every)).official == 1.0
    assert mark(question, Answer(text="!!!")).official == 0.0
