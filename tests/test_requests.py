"""Requests of all kinds in one engine: joining, cancelling, fairness, errors, streams, memory."""

import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pytest
import torch
from asking import LOOPS, TURNS, assert_alike, counted, forget, request, small_engine

from auscult.engine import Engine, Request, Sampling, Thinking
from auscult.engine.process import EngineProcess
from auscult.types import Turn

FREE = Thinking(minimum=0)


@pytest.fixture
def engine(tokenizer, processor) -> Engine:
    return small_engine(tokenizer, processor)


KINDS = (
    {},
    {"temperature": 0.0},
    {"top_k": 5},
    {"top_p": 0.8, "temperature": 0.7},
    {"repetition_penalty": 1.3},
    {"logprobs": 3, "certainty": True},
    {"contrast": 0.5},
    {"stop": ("e",), "stop_ids": (17,)},
)


def mixed(i: int) -> Request:
    """Request i of a list in which no two have equal settings."""
    think = (None, Thinking(budget=0), Thinking(minimum=4), FREE)[i % 4]
    return request(i, n=1 + i % 3 // 2, think=think, max_tokens=5 + i % 19, **KINDS[i % 8])


def test_a_request_gets_the_same_alone_and_among_63_others(tokenizer, processor):
    engine = small_engine(tokenizer, processor, rows=64)
    asked = [mixed(i) for i in range(64)]
    together = engine.ask(asked)
    for i in range(0, 64, 5):
        forget(engine)
        (alone,) = engine.ask([asked[i]])
        assert [r.tokens for r in alone.replies] == [r.tokens for r in together[i].replies]
        for a, b in zip(alone.replies, together[i].replies, strict=True):
            np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)
            assert [len(x) for x in a.likeliest] == [len(x) for x in b.likeliest]


def test_a_request_joins_those_in_flight_whatever_their_settings(engine):
    steps = counted(engine)
    long = engine.submit(request(0, max_tokens=300, **LOOPS), stream=True)
    events = long.events()
    for _ in range(10):
        next(events)
    short = engine.submit(request(1, max_tokens=5, temperature=0.3, think=Thinking(budget=0)))
    short.result(timeout=60)
    seen = sum(1 for _ in events)
    assert seen > 200, "the short request waited for the long one"
    assert 2 in steps and len(steps) <= 300


def test_a_cancelled_request_frees_its_row_before_the_next_token(tokenizer, processor):
    engine = small_engine(tokenizer, processor, rows=1)
    steps, events = counted(engine), []
    at = threading.Event()

    def listen(event):
        events.append(event)
        if len(events) == 5:
            at.set()
            ticket.cancel()

    ticket = engine.submit(request(0, max_tokens=1500, **LOOPS), listen=listen)
    behind = engine.submit(request(1, max_tokens=6, **LOOPS))
    assert at.wait(60)
    assert len(behind.result(timeout=60).replies[0].tokens) == 6
    assert len(events) == 5 and len(steps) <= 4 + 5
    with pytest.raises(CancelledError):
        ticket.result()
    assert not any(line for tier in engine.scheduler.cache.tiers for line in tier.lines)


def test_closing_the_stream_cancels_and_closing_the_engine_is_quick(engine):
    events = engine.submit(request(0, max_tokens=1500, **LOOPS), stream=True).events()
    next(events)
    events.close()
    waiting = [engine.submit(request(i, max_tokens=1500, **LOOPS)) for i in range(8)]
    time.sleep(0.05)
    began = time.perf_counter()
    engine.close()
    assert time.perf_counter() - began < 5 and all(t.cancelled() for t in waiting)
    with pytest.raises(ValueError, match="closed"):
        engine.submit(request(1))


def test_a_kind_that_keeps_coming_starves_no_other(engine):
    """Requests of one kind are submitted as fast as they finish; one of another comes between."""
    finished, over, open_ = [], threading.Event(), []

    def again(done):
        finished.append(done)
        if not over.is_set() and len(finished) < 400:
            submit(len(finished))

    def submit(i):
        open_.append(engine.submit(request(i, max_tokens=4)))
        open_[-1].add_done_callback(again)

    for i in range(9):
        submit(i)
    before = len(finished)
    other = engine.submit(request(5, max_tokens=4, temperature=0.0, think=FREE))
    many = engine.submit(request(6, n=40, max_tokens=4))
    other.result(timeout=60)
    waited = len(finished) - before
    over.set()
    assert waited <= 9 + 3, f"{waited} of the other kind went before it"
    assert len(many.result(timeout=60).replies) == 40


def test_a_request_of_many_replies_leaves_room_for_others(engine):
    many = engine.submit(request(0, n=60, max_tokens=20, **LOOPS))
    one = engine.submit(request(1, max_tokens=4))
    one.result(timeout=60)
    assert not many.done()
    many.result(timeout=60)


BAD = {
    "NaN": (np.full(4000, np.nan, np.float32), "clip 1 holds 4000 samples that are NaN"),
    "infinite": (np.array([0.0] * 4000 + [np.inf], np.float32), "clip 1 holds 1 samples"),
    "empty": (np.zeros(0, np.float32), "clip 1 has 0 samples, which is too short"),
    "stereo": (np.zeros((2, 4000), np.float32), "expected one channel"),
    "too long": (np.zeros(16000 * 31, np.float32), "cut it into chunks"),
}


def test_a_bad_clip_fails_its_own_request_only(engine):
    good = [engine.submit(request(i, max_tokens=30, **LOOPS)) for i in range(3)]
    turns = {name: [Turn.__new__(Turn)] for name in BAD}
    for name, (clip, _) in BAD.items():  # past the type checker, as an untyped caller would
        for field, value in (("role", "human"), ("text", "?"), ("clips", (clip,)), ("before", "")):
            object.__setattr__(turns[name][0], field, value)
    bad = {name: engine.submit(Request(turns=t)) for name, t in turns.items()}
    more = engine.submit(request(3))
    for name, ticket in bad.items():
        with pytest.raises((ValueError, TypeError), match=BAD[name][1]):
            ticket.result(timeout=60)
    forget(engine)
    wanted = [engine.ask([request(i, max_tokens=30, **LOOPS)])[0].replies for i in range(3)]
    assert_alike([t.result(timeout=60).replies for t in good], wanted)
    assert more.result(timeout=60).replies


def test_a_prompt_that_is_too_long_fails_alone(engine):
    long = Turn(role="human", text="word " * 3000)
    bad = engine.submit(Request(turns=[long]))
    good = engine.submit(request(1))
    with pytest.raises(ValueError, match="the model reads at most"):
        bad.result(timeout=60)
    assert good.result(timeout=60).replies


def test_a_long_prompt_joins_short_ones_and_equals_generate(engine, tokenizer):
    """The cache grows: a prompt beyond the first tier is not put off, and reads as `generate`."""
    words = "higher or lower? Describe what you hear. " * 60
    long = [Turn(role="human", text=words[:1500], clips=TURNS[1][0].clips)]
    short = engine.submit(request(0, max_tokens=200, **LOOPS))
    joined = engine.submit(Request(turns=long, thinking=FREE,
                                   sampling=Sampling(max_tokens=12, loop=0)))  # fmt: skip
    (reply,) = joined.result(timeout=60).replies
    assert not short.done() and joined.result().prompt_tokens > 400
    text, clips = engine.processor.render(long)
    batch = engine.processor(text, audio=clips)
    out = engine.model.generate(**batch, max_new_tokens=12, do_sample=False)
    wanted = out[0, batch["input_ids"].shape[1] :].tolist()
    assert list(reply.tokens) == wanted[: len(reply.tokens)]
    assert len(short.result(timeout=60).replies[0].tokens) == 200


def test_a_reply_grows_through_the_tiers_without_a_seam(engine):
    """From one tier into the next the tokens are those of the whole text read at once."""
    turns = [Turn(role="human", text="a b c d " * 40)]
    sampling = Sampling(max_tokens=700, temperature=1.0, seed=2, **LOOPS)
    (answered,) = engine.ask([Request(turns=turns, sampling=sampling, thinking=FREE)])
    reply = answered.replies[0]
    ids = engine.processor.token_ids(engine.processor.render(turns)[0], [])
    with torch.inference_mode():
        logits = engine.model(input_ids=torch.tensor([[*ids, *reply.tokens]])).logits[0]
    logits = logits.clone()
    logits[:, [engine.model.config.audio_patch_token_id, *engine.stops]] = -torch.inf
    known = logits[len(ids) - 1 : -1].log_softmax(-1)
    known = known.gather(1, torch.tensor(reply.tokens)[:, None])[:, 0]
    assert len(reply.tokens) == 700 and len(ids) < 384 < 384 + 300 < len(ids) + 700
    np.testing.assert_allclose(reply.logprobs, known, atol=2e-3)


def test_events_replay_to_the_reply(engine):
    for i, thinking in enumerate((Thinking(minimum=9), Thinking(budget=0), FREE) * 3):
        asked = Request(turns=TURNS[i], n=2, thinking=thinking,
                        sampling=Sampling(max_tokens=24, temperature=1.2, seed=i))  # fmt: skip
        ticket = engine.submit(asked, stream=True)
        tokens, stops = {0: [], 1: []}, {}
        for event in ticket.events():
            mine = tokens[event.reply]
            del mine[len(mine) - event.taken_back :]
            mine.append(event.token)
            stops[event.reply] = event.stop
        for k, reply in enumerate(ticket.result().replies):
            assert tuple(tokens[k]) == reply.tokens and stops[k] == reply.stop


def test_weights_do_not_change_under_requests(engine):
    ticket = engine.submit(request(0, max_tokens=1500, **LOOPS))
    with pytest.raises(ValueError, match="1 requests are in flight; wait for them"):
        engine.sync()
    ticket.cancel()
    engine.sync()


def test_an_error_of_the_engine_is_told_to_all_and_the_next_request_works(engine):
    step = engine.decoder.step
    wanted = engine.ask([request(0)])[0].replies

    def broken(tokens, cache):
        raise RuntimeError("out of memory")

    engine.decoder.step = broken
    for ticket in [engine.submit(request(i)) for i in range(5)]:
        with pytest.raises(RuntimeError, match="out of memory"):
            ticket.result(timeout=60)
    engine.decoder.step = step
    assert engine.submit(request(0)).result(timeout=60).replies == wanted


def test_an_engine_that_nobody_uses_is_given_back(tokenizer, processor):
    import gc
    import weakref

    engine = small_engine(tokenizer, processor)
    engine.ask([request(0)])
    model = weakref.ref(engine.model)
    del engine
    deadline = time.monotonic() + 10
    while model() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert model() is None


# ------------------------------------------------------------------------- a process of its own


def test_a_process_of_its_own_streams_cancels_and_comes_back_after_a_kill():
    process = EngineProcess("nano", rows=2)
    asked = Request(turns=TURNS[0], sampling=Sampling(max_tokens=64))
    ticket = process.submit(asked, stream=True)
    told = [event.token for event in ticket.events()]
    first = ticket.result(timeout=120).replies
    assert tuple(told) == first[0].tokens
    long = {"max_tokens": 1500, "temperature": 1.0, **LOOPS}
    lost = [process.submit(request(1, think=FREE, **long), stream=True) for _ in range(2)]
    next(lost[0].events())
    began = time.monotonic()
    for one in lost:
        one.cancel()
    assert process.submit(asked).result(timeout=60).replies == first
    assert time.monotonic() - began < 5, "cancelled requests kept their rows"
    lost = process.submit(request(1, n=8, think=FREE, **long))
    process.life.process.kill()
    with pytest.raises(RuntimeError, match="ended with status -9"):
        lost.result(timeout=60)
    assert process.submit(asked).result(timeout=120).replies == first
    process.close()


@pytest.mark.slow
def test_a_closed_process_starts_again_when_asked():
    process = EngineProcess("nano", rows=4)
    one = process.submit(request(0)).result(timeout=120).replies
    process.close()
    assert process.submit(request(0)).result(timeout=120).replies == one
    process.close()


def test_a_model_that_cannot_be_opened_is_the_callers_error(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises((ValueError, RuntimeError)):
        EngineProcess(tmp_path).submit(request(0))
