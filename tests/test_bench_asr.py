"""LibriSpeech, AISHELL-1: folders, prompts, three ways to count errors."""

import json
import sys

import fixture_spoken
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.bench.files import MissingData
from auscult.bench.question import Answer, Question
from auscult.bench.sets import asr

SUITES = {s.name: s for s in asr.SUITES_HERE}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> dict[str, list[Question]]:
    out = {}
    for name, suite in SUITES.items():
        fixture_spoken.FIXTURES[name](folder := tmp_path_factory.mktemp(name) / "data")
        out[name] = suite.load(folder)
    return out


def said(text: str) -> Answer:
    return Answer(text=text)


def asked(reference: str) -> Question:
    return Question(key="q", answers=(reference,))


def test_librispeech_is_read_by_chapter_and_clustered_by_speaker(loaded):
    questions = loaded["librispeech_dev_other"]
    assert [q.key for q in questions] == [
        f"librispeech_dev_other/{n}"
        for n in ("1089-134686-0000", "1089-134686-0001", "121-121726-0000", "121-127105-0003")
    ]
    assert [q.cluster for q in questions] == 2 * ["speaker 1089"] + 2 * ["speaker 121"]
    assert questions[2].answers == ("ALSO A POPULAR CONTRIVANCE",)


def test_the_split_s_own_folder_may_be_given(tmp_path):
    fixture_spoken.librispeech("test-clean", tmp_path)
    folder = tmp_path / "LibriSpeech" / "test-clean"
    assert len(SUITES["librispeech_test_clean"].load(folder)) == 4
    with pytest.raises(MissingData, match="no test-other/"):
        SUITES["librispeech_test_other"].load(folder)


def test_aishell_takes_the_lines_of_the_test_speakers(loaded):
    assert len(asr.AISHELL_TEST) == 20
    assert [q.key[-16:] for q in loaded["aishell1_test"]] == [
        "BAC009S0764W0121", "BAC009S0764W0122", "BAC009S0916W0495",
    ]  # fmt: skip


def test_a_speaker_whose_archive_was_not_unpacked_is_an_error(tmp_path):
    fixture_spoken.aishell1(tmp_path / "data")
    next(tmp_path.glob("data/data_aishell/wav/test/S0916/*")).unlink()
    with pytest.raises(MissingData, match=r"BAC009S0916W0495\.wav is missing"):
        asr.load_aishell1(tmp_path / "data")


def test_transcription_prompts_are_kimi_s():
    english = SUITES["librispeech_test_clean"].prompts["kimi"].word(asked(""))
    chinese = SUITES["aishell1_test"].prompts["kimi"].word(asked(""))
    assert english.before == "Please transcribe the spoken content into written text."
    assert chinese.before == "请把这段语音转录成文本。"


@pytest.mark.parametrize(
    ("reference", "text", "edits", "length", "plain"),
    [
        ("MISTER SMITH IS HERE", "Mr. Smith's here.", 0, 4, 3 / 4),
        ("TWENTY ONE MEN", "21 men", 0, 2, 2 / 3),
        ("A B C D", "a x c", 2, 4, 2 / 4),
        ("A B", "a b c d e", 3, 2, 3 / 2),  # a rate may exceed one
        ("A B", "", 2, 2, 1.0),
        ("WE WENT HOME", "<|en|> we went home", 0, 3, 1 / 3),
        ("I HAVE IT", "(laughs) I have it", 0, 3, 1 / 3),
    ],
)
def test_word_errors_after_whisper_s_normaliser_and_without(reference, text, edits, length, plain):
    mark = asr.mark_words(asked(reference), said(text))
    assert (mark.parts["kimi_edits"], mark.parts["kimi_length"]) == (edits, length)
    assert mark.official == edits / length and mark.weight == length
    assert mark.strict == mark.parts["per_utterance"] == pytest.approx(plain)
    assert mark.parsed == (text != "")


def test_the_three_counts_differ_where_their_normalisers_do():
    mark = asr.mark_words(asked("COSTS RISE FIVE PERCENT"), said("Costs rise 5 percent"))
    assert mark.official == 0.0 and mark.parts["open_asr_edits"] == 0.0
    mark = asr.mark_words(asked("IT IS ONE POINT FIVE"), said("it is 1.6"))
    # Whisper writes "1.5"; the basic normaliser then parts "1 5".
    assert (mark.parts["kimi_edits"], mark.parts["kimi_length"]) == (1, 4)
    assert (mark.parts["open_asr_edits"], mark.parts["open_asr_length"]) == (1, 3)
    assert mark.strict == pytest.approx(3 / 5)


def test_a_reference_that_normalises_to_nothing_hides_no_insertion():
    filled = asr.mark_words(asked("HMM"), said("hello there"))
    assert (filled.official, filled.weight) == (2.0, 1.0)
    assert asr.mark_words(asked("HMM"), said("")).weight == 0.0


def test_the_weighted_mean_is_the_corpus_rate():
    pairs = [("A B C D", "a b c d"), ("E", "f"), ("G H I", ""), ("J K", "j k l m n")]
    marks = [asr.mark_words(asked(r), said(t)) for r, t in pairs]
    total = sum(m.weight for m in marks)
    assert sum(m.official * m.weight for m in marks) / total == pytest.approx(7 / 10)


WORDS = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), max_size=8)


def distance(a: list[str], b: list[str]) -> int:
    """Edit distance by the textbook."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


@settings(max_examples=50)
@given(WORDS, WORDS)
def test_errors_are_the_edit_distance(reference, hypothesis):
    counted = asr.errors(reference, hypothesis)
    assert (counted.edits, counted.length) == (distance(reference, hypothesis), len(reference))


def test_the_spelling_list_of_an_installed_whisper_is_used_and_said(tmp_path, monkeypatch):
    place = tmp_path / "whisper" / "normalizers"
    place.mkdir(parents=True)
    (tmp_path / "whisper" / "__init__.py").write_text("raise SystemError('not to be imported')")
    (place / "english.json").write_text(json.dumps({"colour": "color"}))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [str(tmp_path), *sys.path])
        for cached in (asr.spelling, asr._whisper):
            cached.cache_clear()
        mark = asr.mark_words(asked("THE COLOUR"), said("the color"))
        assert (mark.official, mark.parts["spelling"]) == (0.0, 1.0)
    for cached in (asr.spelling, asr._whisper):
        cached.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(asr, "find_spec", lambda _: None)
        mark = asr.mark_words(asked("THE COLOUR"), said("the color"))
        assert (mark.official, mark.parts["spelling"]) == (0.5, 0.0)
    for cached in (asr.spelling, asr._whisper):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("reference", "text", "official", "strict"),
    [
        ("二零一六 年 增长 百分之五", "2016年增长5%。", 0, 8 / 11),
        ("甚至 出现", "甚至出现", 0, 0),
        ("甚至 出现", "甚至，出线！", 1 / 4, 1 / 4),
        ("发布 了 app", "发布了APP", 0, 0),
        ("甚至", "", 1, 1),
        ("你 好", "<|zh|>你好", 0, 2 / 2),
    ],
)
def test_character_errors_with_digits_read_out_and_without(reference, text, official, strict):
    mark = asr.mark_characters(asked(reference), said(text))
    assert (mark.official, mark.strict) == (pytest.approx(official), pytest.approx(strict))


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("2016年", "二零一六年"),
        ("3000年", "三千年"),
        ("12", "十二"),
        ("205", "两百零五"),
        ("222", "两百二十二"),
        ("1010元", "一千零一十元"),
        ("120000块", "十二万块"),
        ("20000元", "两万元"),
        ("100010001元", "一亿零一万零一元"),
        ("10.05", "十点零五"),
        ("3/4", "四分之三"),
        ("99.5％", "百分之九十九点五"),
        ("10086", "一零零八六"),
        ("0", "零"),
        ("1" * 17 + "元", "一" * 17 + "元"),
        ("没有", "没有"),
    ],
)
def test_digits_are_read_as_they_are_spoken(written, spoken):
    assert asr.read_digits(written) == spoken
