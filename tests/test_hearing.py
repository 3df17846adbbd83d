"""What is given to hear: conditions, voices, corruption, languages, files."""

import json

import numpy as np
import pytest
import soundfile
from fixture_sounds import tone
from hypothesis import given
from hypothesis import strategies as st

from auscult.audio import speech
from auscult.bench.question import Question, Said, Sound, Worded
from auscult.bench.suites import SUITES
from auscult.evaluate.door import fits
from auscult.evaluate.hearing import (
    CONDITIONS,
    before,
    check,
    heard,
    neighbours,
    prepared,
    put,
    read_texts,
)
from auscult.evaluate.protocol import Protocol, differences, digest
from auscult.evaluate.studies import STUDIES, Extent, protocols
from auscult.evaluate.tasks import inline, message_of, spread


def question(i: int, task: str = "t", **fields) -> Question:
    clip = tone(i, 0.5 + 0.1 * i)
    given = {"text": f"What is {i}?", "transcript": f"words {i}", "caption": f"Scene: {i}"}
    return Question(
        key=f"q/{i}", task=task, sounds=(Sound(name=f"{i}.wav", read=lambda: clip),),
        **(given | fields),
    )  # fmt: skip


A, B = question(1), question(2)


def test_each_condition_is_what_it_says():
    own = A.sounds[0].read()
    found = {name: heard(A, B, condition=name) for name in CONDITIONS}
    np.testing.assert_array_equal(found["full"].clips[0], own)
    np.testing.assert_array_equal(found["swapped"].clips[0], B.sounds[0].read())
    assert found["no_audio"].clips == () and found["no_audio"].words == ""
    assert not found["silence"].clips[0].any() and len(found["silence"].clips[0]) == len(own)
    assert found["transcript"].words == 'Transcript of the audio: "words 1"\n'
    assert found["caption"].words == "Scene: 1\n" and found["caption"].clips == ()


def test_noise_is_as_long_and_as_loud_falls_with_frequency_and_is_the_items_own():
    own, one, two = (
        heard(A, B, condition=c).clips[0] for c in ("full", "noise", "noise")
    )  # fmt: skip
    other = heard(question(3), A, condition="noise").clips[0]
    np.testing.assert_array_equal(one, two)
    assert len(one) == len(own) and not np.array_equal(one[:100], other[:100])
    assert np.sqrt(np.mean(one**2)) == pytest.approx(np.sqrt(np.mean(own**2)), rel=0.02)
    power = np.abs(np.fft.rfft(one)) ** 2
    low, high = power[10:100].mean(), power[1000:3000].mean()
    assert low > 5 * high


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=30), st.integers(0, 5))
def test_swapped_sounds_are_a_derangement_within_the_task(tasks: list[str], seed: int):
    many = [question(i, task=t) for i, t in enumerate(tasks)]
    pairs = neighbours(many, seed)
    assert pairs.keys() == {q.key for q in many}
    assert all(pairs[q.key].key != q.key for q in many)
    for q in many:
        if tasks.count(q.task) > 1:
            assert pairs[q.key].task == q.task
    for task in {*tasks}:
        given = [pairs[q.key].key for q in many if q.task == task]
        assert len({*given}) == len(given)  # nobody's sound is given twice
    assert neighbours(many, seed) == pairs


def test_swapped_sounds_are_not_another_version_of_the_same():
    many = [question(i, cluster="same" if i < 3 else "") for i in range(5)]
    pairs = neighbours(many)
    assert all(pairs[q.key].cluster == "" for q in many[:3])
    alone = question(1)
    assert neighbours([alone])[alone.key] is alone
    with pytest.raises(ValueError, match="has no other question whose sound"):
        heard(alone, alone, condition="swapped")


def test_controls_reach_earlier_turns_too():
    spoken = Said(role="human", sounds=(Sound(name="h", read=lambda: tone(9)),))
    q = question(1, history=(spoken, Said(role="assistant", text="Yes?")))
    for condition, peak in (("full", 0.3), ("silence", 0.0)):
        first, second = before(q, B, condition=condition, corruption="")
        assert float(np.abs(first.sounds[0].read()).max()) == pytest.approx(peak, abs=0.01)
        assert second.text == "Yes?"
    assert before(q, B, condition="no_audio", corruption="")[0].sounds == ()
    with pytest.raises(ValueError, match="has spoken turns before it"):
        check(q, B, "caption", "")


def test_missing_words_say_how_to_give_them(tmp_path):
    bare = question(1, transcript="")
    with pytest.raises(ValueError, match="q/1 has no transcript; give all of them with --texts"):
        heard(bare, B, condition="transcript")
    file = tmp_path / "texts.jsonl"
    file.write_text(json.dumps({"key": "q/1", "transcript": "given", "question_fr": "Quoi?"}))
    (ready,) = prepared([bare], read_texts(file), "fr")
    assert ready.transcript == "given" and ready.text == "Quoi?"
    file.write_text('["q/1"]')
    with pytest.raises(ValueError, match='expected a JSON object with "key"'):
        read_texts(file)


def test_the_gym_is_asked_in_other_languages_and_other_sets_need_texts():
    from auscult.bench import gym

    (item,) = gym.load("n=1,tasks=tempo")
    (german,) = prepared([item], {}, "de")
    assert german.text != item.text
    words = gym.SUITE.prompts["auscult"].word(german)
    assert words.after.startswith(german.text)
    with pytest.raises(ValueError, match="has no question_de"):
        prepared([A], {}, "de")


def test_corruption_comes_last_and_silence_stays_silent_under_gain():
    loud = heard(A, B, condition="full").clips[0]
    soft = heard(A, B, condition="full", corruption="gain_-20db").clips[0]
    assert np.sqrt(np.mean(soft**2) / np.mean(loud**2)) == pytest.approx(0.1, rel=1e-3)
    assert not heard(A, B, condition="silence", corruption="gain_-20db").clips[0].any()


@pytest.mark.skipif(not speech.available(), reason="needs the extra [speech]")
def test_another_voice_speaks_the_transcript():
    spoken = heard(A, B, condition="full", voice="us_woman").clips[0]
    slow = heard(A, B, condition="full", voice="us_slow").clips[0]
    assert len(slow) > len(spoken) > 4000
    swapped = heard(A, B, condition="swapped", voice="us_woman").clips[0]
    np.testing.assert_array_equal(swapped, B.sounds[0].read())


def test_only_questions_about_words_are_spoken_anew():
    from auscult.bench import gym

    (loud,) = gym.load("n=1,tasks=tempo")
    with pytest.raises(ValueError, match="asks how something sounds"):
        check(loud, B, "full", "us_man")


def test_long_sounds_become_pieces_and_files_hold_what_was_heard(tmp_path):
    long = np.tile(tone(1, 1.0), 60)
    clip = Sound(name="long", read=lambda: long)
    q = Question(key="long", text="?", sounds=(clip,), history=(Said(role="assistant", text="Hi"),))
    turns = put(q, Worded(before="b", after="a", system="s"), heard(q, q, condition="full"),
                tmp_path)  # fmt: skip
    assert [t.role for t in turns] == ["system", "assistant", "human"]
    files = turns[-1].sounds
    lengths = [soundfile.info(str(f)).frames / 16000 for f in files]
    assert lengths == [25, 25, 10]
    again = np.concatenate([soundfile.read(str(f))[0] for f in files])
    np.testing.assert_allclose(again, long, atol=1 / 32768)
    assert put(q, Worded(), heard(q, q, condition="full"), tmp_path)[-1].sounds == files
    assert not list(tmp_path.glob("*.part*"))
    message = message_of(turns[-1])
    kinds = [part.type for part in message.content]
    assert kinds == ["text", "audio", "audio", "audio", "text"]
    assert inline(files[0]).startswith("data:audio/wav;base64,UklGR")


def test_a_limit_is_spread_evenly_over_tasks():
    many = [question(i, task="abc"[i // 10]) for i in range(30)]
    some = spread(many, 7)
    assert [q.task for q in some] == ["a", "a", "a", "b", "b", "c", "c"]
    assert spread(many, 0) == many and spread(many, 99) == many


def test_every_study_starts_from_the_plain_protocol_and_repeats_none():
    base = Protocol(suite="gym")
    for name in STUDIES:
        found = protocols([name], base, Extent(corruptions=("pink_10db",)), [A, B])
        assert len(set(found)) == len(found)
        assert name == "selectors" or base in found
    both = protocols(["controls", "budgets"], base, Extent(budgets=(8, 0)), [A, B])
    assert both.count(base) == 1
    assert [p.think for p in both if p.think != "free"] == ["none", "8"]
    assert {p.condition for p in both} == set(CONDITIONS)
    bare = protocols(["controls"], base, Extent(), [question(1, transcript="", caption="")])
    assert {p.condition for p in bare} == set(CONDITIONS) - {"transcript", "caption"}
    with pytest.raises(ValueError, match="unknown study 'x'; expected one of plain"):
        protocols(["x"], base, Extent(), [A])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"suite": "mmxu"}, "unknown suite 'mmxu'"),
        ({"prompt": "mine"}, "unknown prompt 'mine'"),
        ({"condition": "deaf"}, "unknown condition 'deaf'"),
        ({"corruption": "rain"}, "unknown corruption 'rain'"),
        ({"voice": "bob"}, "unknown voice 'bob'"),
        ({"think": "long"}, "takes none, free or a number"),
        ({"samples": 0}, "samples must be 1 or more"),
        ({"judge": "scripted/x"}, "is scored by a rule and takes no judge"),
    ],
)
def test_bad_protocols_say_what_was_expected(bad, said):
    with pytest.raises(ValueError, match=said):
        Protocol(**({"suite": "mmsu"} | bad))


def test_settings_are_the_prompts_own_unless_given():
    api = "openai-api/x/y"
    plain = Protocol(suite="mmar").settings("k", api)
    assert plain["temperature"] == 0.7 and plain["max_tokens"] == 32_000
    assert plain["extra_body"] == {"repetition_penalty": 1.07}
    given = Protocol(
        suite="mmar", temperature=0.0, max_tokens=9, think="none", samples=3, contrast=1
    )
    asked = given.settings("k", api)
    assert (asked["temperature"], asked["max_tokens"], asked["num_choices"]) == (0.0, 9, 3)
    assert asked["reasoning_tokens"] == 0 and asked["extra_body"]["contrast"] == 1
    assert plain["seed"] != Protocol(suite="mmar").settings("l", api)["seed"]
    assert plain["seed"] != Protocol(suite="mmar", seed=1).settings("k", api)["seed"]
    assert "extra_body" not in Protocol(suite="mmar").settings("k", "google/gemini")


def test_a_budget_always_leaves_room_for_an_answer():
    official = Protocol(suite="mmsu", prompt="official", think="4096")
    assert official.settings("k", "auscult/x")["max_tokens"] > 4096 + 100
    assert Protocol(suite="gym").settings("k", "auscult/nano")["max_tokens"] == 160
    assert Protocol(suite="gym").settings("k", "openai-api/x/y")["max_tokens"] == 2048
    with pytest.raises(ValueError, match="leaves no room for an answer within 32"):
        Protocol(suite="gym", think="64", max_tokens=32)


def test_protocols_round_trip_through_their_arguments_and_name_their_differences():
    p = Protocol(suite="mmsu", condition="silence", think="64", samples=4, verify=False)
    assert Protocol(**p.arguments()) == p
    assert p.name() == "mmsu, silence, think 64, samples 4"
    assert differences(p, Protocol(suite="mmsu", think="64", samples=4)) == {
        "condition": ("silence", "full")
    }


def test_the_digest_changes_with_what_is_asked():
    assert digest([A, B]) == digest([A, B]) != digest([B, A])
    assert digest([A]) != digest([question(1, answers=("x",))])
    assert digest([A], 10) != digest([A], 11)


def test_what_a_provider_cannot_do_is_refused_before_anything_is_asked():
    fits(Protocol(suite="gym", contrast=1, think="8"), "auscult/nano")
    with pytest.raises(ValueError, match="cannot contrast two readings"):
        fits(Protocol(suite="gym", contrast=1), "step-audio/R1")
    with pytest.raises(ValueError, match="takes no budget for its thought"):
        fits(Protocol(suite="gym", think="none"), "openai-api/a/b")
    with pytest.raises(ValueError, match="need one request each"):
        fits(Protocol(suite="gym", think="8", samples=2), "step-audio/R1")


def test_every_suite_tells_where_it_comes_from():
    for suite in SUITES.values():
        assert suite.source and suite.about and suite.fetch and suite.prompts
        assert suite.mark is not None or suite.judged is not None
