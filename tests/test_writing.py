"""How a reply is written: stop texts, loops, likeliest tokens, audio-aware decoding, certainty."""

import math

import numpy as np
import pytest
import torch
from asking import TURNS, request, small_engine

from auscult.engine import Engine, Request, Sampling, Thinking
from auscult.engine.request import Pieces
from auscult.engine.sampling import certainty
from auscult.engine.writing import repeats
from auscult.types import Turn

FREE = Thinking(minimum=0)


@pytest.fixture
def engine(tokenizer, processor) -> Engine:
    return small_engine(tokenizer, processor)


def test_a_stop_text_ends_the_answer_before_it_and_a_stop_id_ends_the_reply(engine):
    base = request(2, max_tokens=60, think=Thinking(budget=0), loop=0)
    (plain,) = engine.ask([base])[0].replies
    text = plain.answer[3:6]
    sampling = Sampling(temperature=1.0, max_tokens=60, seed=2, stop=("@@", text), loop=0)
    asked = Request(turns=base.turns, sampling=sampling, thinking=base.thinking)
    ticket = engine.submit(asked, stream=True)
    pieces, shown = Pieces(engine.tags, sampling.stop), {"thought": "", "answer": "", "stop": ""}
    for event in ticket.events():
        for name, piece in pieces.feed(event):
            shown[name] += piece
    (reply,) = ticket.result().replies
    assert reply.stop == "stop" and reply.answer == plain.answer[: plain.answer.index(text)].strip()
    assert shown["answer"].strip() == reply.answer and shown["stop"] == "stop"
    assert len(reply.tokens) < len(plain.tokens)
    ends = Sampling(temperature=1.0, max_tokens=60, seed=2, stop_ids=(plain.tokens[9],), loop=0)
    (reply,) = engine.ask([Request(turns=base.turns, sampling=ends, thinking=base.thinking)])[
        0
    ].replies
    assert reply.stop == "stop" and reply.tokens == plain.tokens[: len(reply.tokens)]


def test_a_loop_ends_with_a_reason_of_its_own(engine):
    step = engine.decoder.step

    def rounds(tokens, cache):
        logits = torch.full_like(step(tokens, cache), -10.0)
        for row, last in zip(logits, tokens.values(), strict=True):
            row[50 + (last - 49) % 3] = 10.0
        return logits

    engine.decoder.step = rounds
    asked = [request(0, temperature=0.0, max_tokens=400, think=FREE, loop=n) for n in (32, 128, 0)]
    replies = [a.replies[0] for a in engine.ask(asked)]
    assert [r.stop for r in replies] == ["loop", "loop", "length"]
    assert len(replies[0].tokens) <= 48 and len(replies[1].tokens) <= 144
    assert not repeats([1, 2, 3] * 40 + [9], 64) and not repeats([1] * 20, 32)
    assert not repeats(list(range(40)) * 2, 64) and repeats([7, *[1, 2] * 40], 64)


def test_the_likeliest_tokens_stand_beside_the_chosen(engine):
    (reply,) = engine.ask([request(1, logprobs=4, temperature=0.0, max_tokens=9)])[0].replies
    for token, logprob, forced, best in zip(
        reply.tokens, reply.logprobs, reply.forced, reply.likeliest, strict=True
    ):
        assert best == () if forced else best[0] == (token, pytest.approx(logprob, abs=1e-6))
        assert forced or len(best) == 4


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
