"""Questions in other languages and other voices: nothing untranslated, nothing lost on the way."""

import re
import string
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from auscult import gym
from auscult.audio import speech
from auscult.audio.hear import measure
from auscult.audio.respeak import SPEAKERS, respeak
from auscult.audio.synth import EVENTS, PLURAL
from auscult.gym import base
from auscult.gym.languages import LANGUAGES, SLOTS, matches, translated, wordings
from auscult.gym.tasks import (
    conflict,
    events,
    harmony,
    manner,
    reason,
    rhythm,
    scenes,
    tones,
    voices,
)
from auscult.gym.tasks import speech as spoken_tasks

MODULES = (conflict, events, harmony, manner, reason, rhythm, scenes, spoken_tasks, tones, voices)
SOUND_MAKERS = (
    "event", "finish", "lay", "melody", "reverberate", "sequence", "spoken", "tone", "vowel",
    "words_apart",
)  # fmt: skip
SEEDS = 60
NAMES = re.compile(r"\b(" + "|".join({*EVENTS, *PLURAL.values()}) + r")\b")


@pytest.fixture(scope="module")
def asked() -> Iterator[dict[str, set[str]]]:
    """All wordings of all tasks over many seeds and three levels; their sound is left out."""
    found: dict[str, set[str]] = defaultdict(set)
    quiet = np.full(4800, 0.1, dtype=np.float32)
    task = ""

    def note(rng: np.random.Generator, **fields: Any):
        found[task].update(fields["phrasings"])
        return base.draft(rng, **fields)

    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            patch.setattr(module, "draft", note)
            for name in SOUND_MAKERS:
                if hasattr(module, name):
                    patch.setattr(module, name, lambda *a, **k: quiet)
        for task in gym.TASKS:
            for i in range(SEEDS):
                gym.make(task, i, level=1 + i % 3)
        yield found


def slots(text: str) -> list[str]:
    """Names in braces, sorted."""
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def test_every_wording_of_every_task_is_covered_in_every_language(asked: dict[str, set[str]]):
    assert set(asked) == set(gym.TASKS)
    for task, questions in asked.items():
        assert len(questions) >= 2, task
        for question in questions:
            assert len(matches(question)) == 1, f"{task}: {question}"
            for language in LANGUAGES:
                text = translated(question, language)
                assert text and text != question and not set(text) & set("{}")


def test_no_wording_is_translated_that_no_task_asks(asked: dict[str, set[str]]):
    used = {matches(q)[0][0] for questions in asked.values() for q in questions}
    assert used == set(wordings())


def test_names_of_sounds_survive_in_number_and_value(asked: dict[str, set[str]]):
    seen = 0
    for question in set().union(*asked.values()):
        wording, values = matches(question)[0]
        seen += bool(values)
        assert wording.format(**values) == question
        for language in LANGUAGES:
            text = translated(question, language)
            for value in values.values():
                assert re.search(rf"[“«„]{value}[”»“]", text), text
            if values:
                assert sorted(NAMES.findall(text)) == sorted(NAMES.findall(question))
    assert seen > 100


def test_whatever_fills_the_slots_is_found_again_and_put_in_its_own_place():
    for wording in wordings():
        names = slots(wording)
        for filling in product(*(SLOTS[name] for name in names)):
            values = dict(zip(names, filling, strict=True))
            question = wording.format(**values)
            assert matches(question) == [(wording, values)]
            for language in LANGUAGES:
                expected = wordings()[wording][language]
                for name, value in values.items():
                    expected = expected.replace("{" + name + "}", value)
                assert translated(question, language) == expected


def test_translations_keep_their_slots_and_are_written_in_their_language():
    english = re.compile(r"\b(the|is|which|what|how|many|note|voice|sound)\b", re.I)
    for wording, texts in wordings().items():
        assert list(texts) == list(LANGUAGES)
        question = wording.endswith("?")
        for language, text in texts.items():
            assert slots(text) == slots(wording), text
            assert not english.search(re.sub(r"\{\w+\}", "", text)), text
            assert text == text.strip() and "  " not in text
            if language == "zh":
                assert not re.search(r"[A-Za-z?.,]", re.sub(r"\{\w+\}|breaking glass", "", text))
                assert text[-1] == ("？" if question else "。")
            else:
                assert text[-1] == ("?" if question else "."), text
            assert ("¿" in text) == (language == "es" and question)


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_wordings_never_become_one(language: str):
    texts = [texts[language] for texts in wordings().values()]
    assert len(set(texts)) == len(texts)


def test_opposite_wordings_differ_in_every_language():
    pairs = [
        ("Which note is the highest?", "Which note is the lowest?"),
        ("What is the first sound?", "What is the last sound?"),
        ("Compute knocks plus beeps.", "Compute beeps plus knocks."),
        ("Are there more claps or more drums?", "Are there more drums or more claps?"),
    ]
    for (a, b), language in product(pairs, LANGUAGES):
        assert translated(a, language) != translated(b, language)


def test_worked_examples():
    question = "If the second note is higher than the first, how many bells, else how many glasses?"
    assert translated(question, "de") == (
        "Wenn der zweite Ton höher ist als der erste, wie viele „bells“, sonst wie viele „glasses“?"
    )
    assert translated("How many knocks are there?", "es") == "¿Cuántos «knocks» hay?"
    assert translated("Is there breaking glass in the recording?", "zh") == (
        "录音里有“breaking glass”吗？"
    )


@pytest.mark.parametrize(
    "question",
    [
        "", "How many knocks are there", "how many knocks are there?",
        "How many pianos are there?", "How many {sounds} are there?", "What is heard after the ?",
        "How many knocks are there?\nOptions: 1, 2.", "Which note is played? Which note is played?",
    ],
)  # fmt: skip
def test_an_unknown_wording_is_an_error_that_says_where_to_add_it(question: str):
    with pytest.raises(ValueError, match=r"no translation of .*languages\.json"):
        translated(question, "zh")


def test_an_unknown_language_is_an_error_that_lists_the_known():
    with pytest.raises(ValueError, match="'fr'; expected one of zh, es, de"):
        translated("Which note is played?", "fr")


# ---------------------------------------------------------------------------- spoken questions

QUESTION = "Which sound is heard after the knock, a bird, a car or the water?"
needs_speech = pytest.mark.skipif(not speech.available(), reason="needs the extra [speech]")


def test_an_unknown_speaker_or_nothing_to_say_is_an_error():
    with pytest.raises(ValueError, match="unknown speaker 'nobody'; expected one of us_man"):
        respeak(QUESTION, "nobody")
    for text in ("", " \n", "?!..."):
        with pytest.raises(ValueError, match="nothing to say"):
            respeak(text, "us_man")


def test_speech_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speech, "available", lambda: False)
    monkeypatch.setattr(speech, "_worker", None)
    with pytest.raises(speech.SpeechUnavailable, match=r"auscult\[speech\]"):
        respeak(QUESTION, "us_man")


@needs_speech
def test_every_speaker_says_it_differently_and_says_it_so_again():
    takes = {name: respeak(QUESTION, name) for name in SPEAKERS}
    for x in takes.values():
        assert x.dtype == np.float32 and np.isfinite(x).all() and np.abs(x).max() <= 1
        assert measure.level_db(x) == pytest.approx(-20, abs=0.1)
        assert 1.5 < len(x) / 16000 < 8
    assert len({x.tobytes() for x in takes.values()}) == len(SPEAKERS)
    for name in ("us_fast", "scottish_woman"):
        np.testing.assert_array_equal(respeak(QUESTION, name), takes[name])


@needs_speech
def test_speakers_sound_as_they_are_named():
    def pitch(name: str) -> float:
        return measure.f0_median_hz(respeak(QUESTION, name))

    def length(name: str) -> int:
        return len(respeak(QUESTION, name))

    for accent in ("us", "british", "received", "scottish", "caribbean"):
        assert pitch(f"{accent}_woman") > 1.5 * pitch(f"{accent}_man")
    assert pitch("us_deep") < pitch("us_man") < pitch("us_high")
    assert length("us_slow") > 1.4 * length("us_man") > 2 * length("us_fast")
    whisper, voice = respeak(QUESTION, "us_whisper"), respeak(QUESTION, "us_man")
    assert measure.periodicity(whisper) < measure.periodicity(voice) - 0.2


@needs_speech
def test_more_words_take_longer_and_all_lines_are_read():
    one = respeak("Which note is played?", "us_man")
    both = respeak("Which note is played?\nA. higher\nB. lower", "us_man")
    assert len(both) > len(one) + 16000
