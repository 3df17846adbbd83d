"""Requests that join an engine in flight, audio-aware decoding, certainty."""

import math

import numpy as np
import pytest
import torch
from conftest import tiny_config

from auscult import gym
from auscult.engine import Engine, Sampling, Thinking
from auscult.engine.live import Live, LiveProcess, Request
from auscult.engine.sampling import certainty, contrasted
from auscult.gym.render import question_turns
from auscult.model import StepAudio2ForCausalLM
from auscult.types import Turn

TASKS = ("tempo", "background", "note_count")
TURNS = [question_turns(gym.make(TASKS[i % 3], i, split="heldout")) for i in range(12)]


@pytest.fixture(scope="module")
def engine(tokenizer, processor) -> Engine:
    torch.manual_seed(0)
    config = tiny_config(tokenizer, audio_encoder_config={
        "n_audio_ctx": 400, "n_audio_state": 32, "n_audio_head": 2, "n_audio_layer": 1,
    })  # fmt: skip
    return Engine(StepAudio2ForCausalLM(config), processor, rows=3)


def request(i: int, n: int = 1, think: Thinking | None = None, **sampling) -> Request:
    given = {"temperature": 1.0, "max_tokens": 4 + i % 7, "seed": i} | sampling
    thinking = think or Thinking(budget=3)
    return Request(turns=TURNS[i], n=n, sampling=Sampling(**given), thinking=thinking)


def alone(engine: Engine, r: Request) -> list:
    """The same request with nobody else in flight: draw k of its own seed."""
    return [
        next(iter(engine.several([r.turns], 1, sampling=r.sampling, thinking=r.thinking,
                                 draws=[k])))[0]
        for k in range(r.n)
    ]  # fmt: skip


def test_a_request_gets_the_replies_it_would_get_alone(engine):
    live = Live(engine)
    asked = [request(i, n=1 + i % 3, think=Thinking(budget=3 * (i % 2))) for i in range(12)]
    found = [f.result(timeout=60) for f in [live.submit(r) for r in asked]]
    live.close()
    for r, answered in zip(asked, found, strict=True):
        wanted = alone(engine, r)
        assert [a.tokens for a in answered.replies] == [w.tokens for w in wanted]
        assert answered.prompt_tokens > 10 and answered.seconds > 0


def test_rows_grow_with_what_comes_in(engine):
    live = Live(engine)
    first = live.submit(request(0, max_tokens=40, think=Thinking(budget=30)))
    rest = [live.submit(request(i, max_tokens=40, think=Thinking(budget=30))) for i in (1, 2, 3)]
    for r, future in zip((0, 1, 2, 3), [first, *rest], strict=True):
        wanted = alone(engine, request(r, max_tokens=40, think=Thinking(budget=30)))
        assert future.result(timeout=60).replies[0].tokens == wanted[0].tokens
    live.close()


def test_a_prompt_that_is_too_long_fails_alone(engine):
    live = Live(engine)
    long = Turn(role="human", text="word " * 3000)
    bad = live.submit(Request(turns=[long], n=1, sampling=Sampling(), thinking=Thinking()))
    good = live.submit(request(1))
    with pytest.raises(ValueError, match="the model reads at most"):
        bad.result(timeout=60)
    assert good.result(timeout=60).replies
    live.close()
    with pytest.raises(ValueError, match="closed"):
        live.submit(request(1))


def test_an_engine_in_a_process_of_its_own_gives_the_same_and_comes_back_after_a_kill():
    process = LiveProcess("nano", rows=4)
    asked = Request(turns=TURNS[0], n=1, sampling=Sampling(max_tokens=64), thinking=Thinking())
    first = process.submit(asked).result(timeout=120)
    lost = process.submit(
        Request(turns=TURNS[1], n=64, sampling=Sampling(temperature=1.0, max_tokens=400),
                thinking=Thinking(minimum=300))
    )  # fmt: skip
    process.session.process.kill()
    with pytest.raises(RuntimeError, match="ended with status -9"):
        lost.result(timeout=60)
    assert process.submit(asked).result(timeout=120).replies == first.replies
    process.close()


def test_a_cancelled_request_is_dropped_and_others_go_on(engine):
    live = Live(engine)
    for place in (live, LiveProcess("nano", rows=4)):
        first = place.submit(request(0, max_tokens=30, think=Thinking(minimum=20)))
        futures = [place.submit(request(i, max_tokens=30)) for i in range(8)]
        assert sum(f.cancel() for f in futures[:4]) >= 3
        assert first.result(timeout=120).replies
        assert all(f.result(timeout=120).replies for f in futures[4:])
        assert place.submit(request(1)).result(timeout=60).replies
        place.close()


@pytest.mark.slow
def test_a_closed_process_starts_again_when_asked():
    process = LiveProcess("nano", rows=4)
    one = process.submit(request(0)).result(timeout=120).replies
    process.close()
    assert process.submit(request(0)).result(timeout=120).replies == one
    process.close()


def test_requests_join_also_where_the_models_limit_bounds_the_cache(engine):
    live = Live(engine)
    many = [live.submit(request(i % 12, max_tokens=50_000, think=Thinking(budget=4), seed=i,
                                temperature=0.0)) for i in range(9)]  # fmt: skip
    lengths = [len(f.result(timeout=120).replies[0].tokens) for f in many]
    assert len(lengths) == 9
    live.close()


def test_a_model_that_cannot_be_opened_is_the_callers_error(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises((ValueError, RuntimeError)):
        LiveProcess(tmp_path).submit(request(0))


def logits_of(engine: Engine, turns, n: int) -> torch.Tensor:
    """The plain model's next-token logits after a prompt and n greedy tokens, one by one."""
    text, clips = engine.processor.render(turns)
    inputs = engine.processor(text, audio=clips or None)
    with torch.inference_mode():
        return engine.model(**inputs).logits[0, -1].float()


@pytest.mark.parametrize("without", ["silence", "nothing"])
def test_audio_aware_decoding_is_the_contrast_of_two_plain_readings(engine, without: str):
    turns = TURNS[0]
    quiet = tuple(np.zeros_like(c) for c in turns[0].clips) if without == "silence" else ()
    deaf = [Turn(role="human", text=turns[0].text, clips=quiet)]
    with_sound, no_sound = logits_of(engine, turns, 0), logits_of(engine, deaf, 0)
    mixed = 1.7 * with_sound - 0.7 * no_sound
    mixed[engine.model.config.audio_patch_token_id] = -torch.inf
    wanted = mixed.log_softmax(-1)
    (reply,) = engine.reply(
        [turns],
        sampling=Sampling(contrast=0.7, without=without, max_tokens=1),
        thinking=Thinking(minimum=0),
    )
    assert reply.tokens[0] == int(wanted.argmax())
    assert reply.logprobs[0] == pytest.approx(float(wanted.max()), abs=1e-4)


def test_no_contrast_is_plain_decoding_and_a_silent_clip_has_none(engine):
    silent = [Turn(role="human", text="hm", clips=(np.zeros(16000, np.float32),))]
    plain = engine.reply([silent], sampling=Sampling(max_tokens=8))
    strong = engine.reply([silent], sampling=Sampling(max_tokens=8, contrast=2.0))
    assert plain[0].tokens == strong[0].tokens


def test_contrast_survives_refill_and_taken_back_tokens(engine):
    sampling = Sampling(contrast=0.5, max_tokens=24, temperature=1.0)
    thinking = Thinking(budget=12, minimum=8)
    together = engine.several(TURNS, 2, sampling=sampling, thinking=thinking)
    for i in (0, 5, 11):
        apart = engine.several([TURNS[i]], 2, sampling=sampling, thinking=thinking, draws=[i])
        assert [r.tokens for r in apart[0]] == [r.tokens for r in together[i]]


def test_certainty_is_the_divergence_from_uniform(engine):
    logits = torch.randn(3, 50)
    p = logits.softmax(-1)
    slow = ((1 / 50) * (torch.log(torch.tensor(1 / 50)) - p.log())).sum(-1)
    torch.testing.assert_close(certainty(logits), slow, rtol=1e-4, atol=1e-5)
    assert abs(float(certainty(torch.zeros(1, 9))[0])) < 1e-6
    (reply,) = engine.reply(
        [TURNS[0]], sampling=Sampling(certainty=True, max_tokens=20),
        thinking=Thinking(budget=8, minimum=4),
    )  # fmt: skip
    assert len(reply.certainties) == len(reply.tokens)
    assert all(math.isfinite(c) and c >= 0 for c in reply.certainties)
    (bare,) = engine.reply([TURNS[0]], sampling=Sampling(max_tokens=4))
    assert bare.certainties == ()


def test_contrasted_logits_of_one_reading_are_its_own():
    logits = torch.randn(2, 5)
    assert contrasted([logits], 3.0) is logits


@pytest.mark.parametrize("bad", [{"contrast": -1.0}, {"without": "noise"}])
def test_bad_settings_are_refused_with_what_was_expected(bad):
    with pytest.raises(
        ValueError, match=r"(contrast must be 0|without must be silence or nothing)"
    ):
        Sampling(**bad)


def test_text_before_the_sound_stands_before_it(processor):
    clip = np.zeros(1600, np.float32)
    text, clips = processor.render([Turn(role="human", before="Listen.", text="Well?",
                                         clips=(clip, clip))])  # fmt: skip
    assert "Listen.<audio_patch><audio_patch>Well?" in text and len(clips) == 2
