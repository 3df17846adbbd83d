"""Our provider: messages to turns, settings to sampling, replies to the framework's records."""

import asyncio
import math
import sys

import numpy as np
import pytest
from fixture_sounds import tone
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentAudio,
    ContentImage,
    ContentReasoning,
    ContentText,
    GenerateConfig,
)

from auscult.audio.io import write_audio
from auscult.bench.question import Question, Sound
from auscult.cli import main
from auscult.engine import Sampling, Thinking
from auscult.evaluate.provider import (
    Auscult,
    Machine,
    run_on,
    sampling_of,
    thinking_of,
    turn_of,
)
from auscult.evaluate.scoring import answer_of, heard_scores
from auscult.evaluate.tasks import inline


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    file = tmp_path_factory.mktemp("clip") / "a.wav"
    write_audio(file, tone(3))
    return file


def test_a_message_becomes_text_sounds_text(clip):
    sound = ContentAudio(audio=inline(clip), format="wav")
    turn = turn_of(
        ChatMessageUser(content=[ContentText(text="a"), sound, sound, ContentText(text="b")])
    )
    assert (turn.role, turn.before, turn.text, len(turn.clips)) == ("human", "a", "b", 2)
    np.testing.assert_allclose(turn.clips[0], tone(3), atol=1 / 32768)
    by_path = turn_of(ChatMessageUser(content=[ContentAudio(audio=str(clip), format="wav")]))
    np.testing.assert_array_equal(by_path.clips[0], turn.clips[0])
    assert turn_of(ChatMessageSystem(content="s")).role == "system"
    said = turn_of(ChatMessageAssistant(content=[ContentReasoning(reasoning="hm"),
                                                 ContentText(text="yes")]))  # fmt: skip
    assert said.text == "<think>\nhm\n</think>\nyes"


def test_what_no_turn_can_hold_is_refused(clip):
    sound = ContentAudio(audio=inline(clip), format="wav")
    with pytest.raises(ValueError, match="must follow each other without text between them"):
        turn_of(ChatMessageUser(content=[sound, ContentText(text="x"), sound]))
    with pytest.raises(ValueError, match="expected text or sound in a message; got image"):
        turn_of(ChatMessageUser(content=[ContentImage(image="x.png")]))
    with pytest.raises(ValueError, match="expected a system, user or assistant message; got tool"):
        turn_of(ChatMessageTool(content="x"))


def test_settings_are_the_engines():
    config = GenerateConfig(
        temperature=0.7, top_k=5, top_p=0.9, max_tokens=64, seed=3, reasoning_tokens=8,
        extra_body={"repetition_penalty": 1.07, "contrast": 0.5, "without": "nothing",
                    "certainty": True, "minimum": 4},
    )  # fmt: skip
    assert sampling_of(config) == Sampling(
        temperature=0.7, top_k=5, top_p=0.9, max_tokens=64, seed=3, repetition_penalty=1.07,
        contrast=0.5, without="nothing", certainty=True,
    )  # fmt: skip
    assert thinking_of(config) == Thinking(budget=8, minimum=4)
    assert thinking_of(GenerateConfig(reasoning_tokens=0)) == Thinking(budget=0, minimum=0)
    assert thinking_of(GenerateConfig()) == Thinking()


def test_settings_that_mean_nothing_here_are_refused():
    assert sampling_of(GenerateConfig(stop_seqs=["x"])).stop == ("x",)
    with pytest.raises(ValueError, match="the engine has no frequency_penalty"):
        sampling_of(GenerateConfig(frequency_penalty=0.5))
    with pytest.raises(ValueError, match=r"extra_body holds \['beams'\]; expected some of"):
        sampling_of(GenerateConfig(extra_body={"beams": 4}))


def test_replies_come_back_as_thought_answer_and_numbers(clip):
    run_on(Machine(inside=True, rows=4))
    api = Auscult("nano")
    config = GenerateConfig(
        num_choices=2, temperature=1.0, max_tokens=80, seed=5, extra_body={"certainty": True}
    )
    sound = ContentAudio(audio=inline(clip), format="wav")
    message = ChatMessageUser(content=[sound, ContentText(text="How many notes are played?")])
    one, two = (asyncio.run(api.generate([message], [], "none", config)) for _ in range(2))
    assert one.choices[0].message.content == two.choices[0].message.content  # the seed decides
    assert len(one.choices) == 2 and one.usage is not None
    numbers = one.choices[0].message.metadata or {}
    assert numbers["closed"] == "model" and numbers["certainty"] > 0 and numbers["logprob"] < 0
    assert numbers["chosen"] == numbers["tokens"]
    written = sum((c.message.metadata or {})["tokens"] for c in one.choices)
    assert one.usage.output_tokens == written and one.usage.input_tokens > 5
    assert answer_of(one.choices[0]).thought.startswith("I hear")


@pytest.mark.parametrize(
    ("content", "thought", "text"),
    [
        ("<think>\nI hear\n</think>\nB", "I hear", "B"),
        ("I hear</think>B", "I hear", "B"),
        ("a</think>b</think> C ", "a</think>b", "C"),
        ("<think>cut off in the", "cut off in the", ""),
        ("B", "", "B"),
        ([ContentReasoning(reasoning="r"), ContentText(text="B")], "r", "B"),
        ([ContentReasoning(reasoning="r"), ContentText(text="x</think>B")], "r", "B"),
    ],
)
def test_thought_and_answer_are_told_apart_in_every_form(content, thought, text):
    choice = ChatCompletionChoice(message=ChatMessageAssistant(content=content))
    answer = answer_of(choice)
    assert (answer.thought, answer.text) == (thought, text)


def test_claims_are_counted_against_the_sound_that_is_given(clip, tmp_path):
    silent = tmp_path / "silent.wav"
    write_audio(silent, np.zeros(8000, np.float32))
    question = Question(key="q", sounds=(Sound(name="a", read=lambda: tone(3)),))
    said = answer_of(ChatCompletionChoice(message=ChatMessageAssistant(
        content=[ContentReasoning(reasoning="I hear a pitch of 340 Hz."), ContentText(text="x")]
    )))  # fmt: skip
    own, given = (heard_scores(question, said, [str(f)]) for f in (clip, silent))
    assert own["claims"] == own["supported"] == 1 and own["grounding"] > 0
    assert given["claims"] == 1 and given["supported"] == 0 and given["grounding"] == 0
    assert heard_scores(question, said, []) == {}
    assert math.isfinite(own["surrogate"])


def test_without_the_extra_the_door_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    assert main(["eval", "gym"]) == 2
    assert "pip install 'auscult[eval]'" in capsys.readouterr().err


def test_the_door_names_what_is_wrong(capsys):
    assert main(["eval", "mmxu"]) == 2
    assert "unknown suite 'mmxu'" in capsys.readouterr().err
    assert main(["eval", "gym", "--study", "guess"]) == 2
    assert "unknown study 'guess'" in capsys.readouterr().err
    assert main(["eval", "mmsu", "--data", "/nowhere/mmsu"]) == 2
    assert "hf download ddwang2000/MMSU" in capsys.readouterr().err
    assert main(["eval", "gym", "--data", "n=1,speed=2"]) == 2
    assert "the gym takes settings in place of a folder" in capsys.readouterr().err
    assert main(["eval", "gym", "--data", "n=x"]) == 2
    assert "the gym's n is a number from 1 on; got 'x'" in capsys.readouterr().err
    assert main(["suites"]) == 0
    assert "voicebench_ifeval" in capsys.readouterr().out
