"""`auscult ask`: options are kept to, several thoughts compared, long recordings heard in parts."""

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from auscult import gym
from auscult.ask import Found, confidence
from auscult.audio.io import write_audio
from auscult.cli import main
from auscult.types import Reply
from auscult.verify.choice import best
from auscult.verify.verify import listen

QUESTION = "How many times does the sound occur?"
LOGPROBS = (-1.0, -0.5, -0.25)


def asked(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, list[dict], str]:
    code = main(["ask", *args, "--json"])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    write_audio(path, gym.make("event_count", 3).clips[0])
    return path


def reply(thought: str, answer: str, **given: object) -> Reply:
    values = {
        "tokens": (1, 2, 3), "logprobs": LOGPROBS, "forced": (False, False, False),
        "stop": "end", "closed": "model", "thought_tokens": 1,
    }  # fmt: skip
    return Reply(thought=thought, answer=answer, **(values | given))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [("purple", "green"), ("A", "B", "C"), ("ja", "nein")])
def test_the_answer_is_one_of_the_options_whatever_they_are(capsys, clip, options):
    code, (record,), _ = asked(capsys, str(clip), QUESTION, "--options", *options)
    assert code == 0 and record["answer"] in options
    assert 0 < record["confidence"] <= 1


def test_of_several_thoughts_the_one_that_the_sound_bears_out_is_shown(capsys, clip):
    code, (record,), _ = asked(capsys, str(clip), QUESTION, "--samples", "4", "--seed", "1")
    assert code == 0 and record["thought"].startswith("I hear") and record["findings"]
    code = main(["ask", str(clip), QUESTION, "--samples", "3"])
    assert code == 0 and "claimed count bell" in capsys.readouterr().out


def test_the_verifier_chooses_by_the_sound_then_by_votes_then_by_order():
    item = gym.make("event_count", 3)
    true = item.heard[0] + " " + item.inference
    liar = reply("I hear glass, glass, glass, glass, glass. Counting glass: 1, 2, 3, 4, 5.", "5")
    honest = reply(true, item.answer)
    ears = listen(item.clips)
    at, _, found = best([liar, liar, honest], ears, question=item.question)
    assert at == 2 and found and all(f.verdict == "supported" for f in found)
    silent = [reply("Hm.", a) for a in ("1", "2", "2")]
    assert best(silent, ears, options=("1", "2"))[0] == 1
    with pytest.raises(ValueError, match="no reply to choose from"):
        best([], ears)


def test_confidence_is_the_mean_probability_of_what_the_model_chose():
    assert confidence(reply("I hear it.", "4")) == pytest.approx(math.exp(sum(LOGPROBS) / 3))
    forced = reply("I hear it.", "4", forced=(False, True, False))
    assert confidence(forced) == pytest.approx(math.exp((LOGPROBS[0] + LOGPROBS[2]) / 2))
    assert math.isnan(confidence(reply("I hear it.", "")))


def test_what_nano_is_not_sure_of_is_said(capsys, clip, monkeypatch):
    monkeypatch.setattr("auscult.ask.UNSURE", 1.1)
    code, (record,), err = asked(capsys, str(clip), QUESTION)
    assert code == 0 and not record["sure"] and "I am not sure (confidence" in err
    monkeypatch.setattr("auscult.ask.UNSURE", 0.0)
    _, (record,), err = asked(capsys, str(clip), QUESTION)
    assert record["sure"] and "sure" not in err


def test_a_long_recording_is_heard_in_parts_that_are_named(capsys, tmp_path: Path):
    rng = np.random.default_rng(0)
    write_audio(tmp_path / "long.wav", 0.01 * rng.standard_normal(16_000 * 200).astype(np.float32))
    code, records, _ = asked(
        capsys, str(tmp_path / "long.wav"), QUESTION, "--max-tokens", "30", "--think", "none"
    )
    assert code == 0 and len(records) > 1
    spans = [tuple(record["heard_s"]) for record in records]
    assert spans[0][0] == 0 and spans[-1][1] == 200
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    code = main(["ask", str(tmp_path / "long.wav"), QUESTION, "--max-tokens", "8"])
    assert code == 0 and "--- 0:00 to 2:" in capsys.readouterr().out


def test_a_reply_that_goes_round_in_circles_says_so(capsys, clip, monkeypatch):
    found = Found(reply=reply("la la la", "", stop="loop"), start_s=0, end_s=1, confidence=math.nan)
    monkeypatch.setattr("auscult.ask.answers", lambda *a, **k: iter([found]))
    code, (record,), err = asked(capsys, str(clip), QUESTION)
    assert code == 0 and record["stop"] == "loop" and record["confidence"] is None
    assert "said the same again and again" in err


def test_listen_measures_and_lets_the_model_speak(capsys, clip, tmp_path: Path):
    plot = tmp_path / "heard.png"
    assert main(["listen", str(clip), "--plot", str(plot)]) == 0
    out, _ = capsys.readouterr()
    assert "measured" in out and "nano says" in out and "loudness" in out
    assert plot.read_bytes()[:4] == b"\x89PNG"
    assert main(["listen", str(clip), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["said"][0]["text"]
    assert record["measured"]["events"]


def test_listen_needs_no_model_and_hears_silence(capsys, clip, tmp_path: Path):
    assert main(["listen", str(clip), "--model", "none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["said"] == []
    write_audio(tmp_path / "silence.wav", np.zeros(16_000, dtype=np.float32))
    assert main(["listen", str(tmp_path / "silence.wav"), "--model", "none"]) == 0
    assert "measured" in capsys.readouterr().out


def test_no_samples_are_refused(capsys, clip):
    code, _, err = asked(capsys, str(clip), QUESTION, "--samples", "0")
    assert code == 2 and "--samples must be 1 or more" in err
