"""Sessions of several turns: what was read stays read, forks share it, a cancelled reply leaves
nothing behind."""

import numpy as np
import pytest
from asking import LOOPS, small_engine

from auscult.engine import Engine, Form, Request, Sampling, Session, Thinking
from auscult.types import Turn

SYSTEM = Turn(role="system", text="You hear well.")
GREEDY = Sampling(max_tokens=12, loop=0)


@pytest.fixture(scope="module")
def engine(tokenizer, processor) -> Engine:
    return small_engine(tokenizer, processor)


@pytest.fixture(scope="module")
def long_clip() -> np.ndarray:
    return 0.1 * np.random.default_rng(3).standard_normal(20 * 16_000).astype(np.float32)


def human(text: str, *clips: np.ndarray) -> Turn:
    return Turn(role="human", text=text, clips=clips)


def test_a_second_turn_over_a_20_s_clip_reads_only_its_new_tokens(engine, long_clip):
    session = Session(engine, [SYSTEM])
    first = session.reply(human("What is heard?", long_clip), sampling=GREEDY).result(timeout=60)
    assert first.read_tokens == first.prompt_tokens > 250
    held = session.tokens
    assert held == first.prompt_tokens + len(first.replies[0].tokens)
    second = session.reply(human("higher or lower?"), sampling=GREEDY).result(timeout=60)
    new = second.prompt_tokens - held
    # The reply's last token was chosen but not read yet.
    assert second.read_tokens == new + 1 and 5 < new < 60
    assert engine.listener.encoded == 1 or second.read_tokens < 60


def test_pieces_read_one_after_another_are_the_conversation_read_at_once(engine, long_clip):
    """Also the numbers: log-probabilities of a sampled reply to the last bits that matter."""
    turns = [SYSTEM, human("", long_clip[:30_000]), human("and", long_clip[30_000:90_000])]
    sampling = Sampling(max_tokens=30, temperature=1.0, seed=4, loop=0)
    session = Session(engine)
    for turn in turns:
        assert session.append(turn).result(timeout=60).replies == []
    question = human("Which note?")
    (stepwise,) = session.reply(question, sampling=sampling).result(timeout=60).replies
    engine.memories.clear()
    (whole,) = engine.ask([Request(turns=[*turns, question], sampling=sampling)])[0].replies
    assert stepwise.tokens == whole.tokens
    np.testing.assert_allclose(stepwise.logprobs, whole.logprobs, atol=1e-5)


def test_a_turn_after_a_reply_is_what_the_template_makes_of_it(engine, processor):
    """The ids of the second prompt are the first, the reply as it was written, and the new turn."""
    session = Session(engine)
    sampling = Sampling(max_tokens=9, temperature=1.0, seed=1, min_tokens=100)
    (reply,) = session.reply(human("a b"), sampling=sampling).result(timeout=60).replies
    session.append(human("c d")).result(timeout=60)
    first, _ = processor.render([human("a b")])
    second, _ = processor.render([human("c d")], open_reply=False)
    eot = processor.tokenizer.decode([processor.end_of_turn])
    wanted = [
        *processor.token_ids(first, []), *reply.tokens, *processor.token_ids(eot + second, [])
    ]  # fmt: skip
    held = session.so_far
    session._wait()
    held = session.so_far
    assert [*held.memory.symbols, *held.rest] == wanted


def test_forks_go_on_by_themselves(engine, long_clip):
    session = Session(engine, [SYSTEM])
    session.append(human("Listen.", long_clip)).result(timeout=60)
    forks = [session.fork() for _ in range(3)]
    words = ("higher", "lower", "first or second?")
    tickets = [f.reply(human(w), sampling=GREEDY) for f, w in zip(forks, words, strict=True)]
    found = [t.result(timeout=60) for t in tickets]
    assert all(answered.read_tokens < 40 for answered in found)
    assert session.tokens < min(f.tokens for f in forks)
    for word, answered in zip(words, found, strict=True):
        engine.memories.clear()
        turns = [SYSTEM, human("Listen.", long_clip), human(word)]
        (whole,) = engine.ask([Request(turns=turns, sampling=GREEDY)])[0].replies
        assert whole.tokens == answered.replies[0].tokens


def test_a_cancelled_reply_leaves_the_session_as_it_was(engine):
    session = Session(engine, [SYSTEM])
    session.append(human("a b c")).result(timeout=60)
    held = session.tokens
    ticket = session.reply(
        human("d"), sampling=Sampling(max_tokens=1500, temperature=1.0, **LOOPS), stream=True
    )
    next(ticket.events())
    session.cancel()
    assert session.tokens == held
    heard = Turn(role="assistant", text="what was heard of it")
    session.append(human("d"), heard).result(timeout=60)
    assert session.tokens > held
    with pytest.raises(ValueError, match="the model reads at most"):
        session.append(human("word " * 3000)).result(timeout=60)
    assert session.reply(human("e"), sampling=GREEDY).result(timeout=60).replies


def test_a_session_thinks_and_answers_in_a_form(engine):
    session = Session(engine, [SYSTEM])
    ticket = session.reply(
        human("higher or lower?"), sampling=Sampling(max_tokens=60, temperature=1.0),
        thinking=Thinking(budget=5), form=Form(options=("higher", "lower")),
    )  # fmt: skip
    (reply,) = ticket.result(timeout=60).replies
    assert reply.answer in ("higher", "lower") and reply.thought_tokens == 5


def test_what_a_session_cannot_do_is_said(engine):
    session = Session(engine)
    with pytest.raises(ValueError, match="contrast is not for sessions"):
        session.reply(human("a"), sampling=Sampling(contrast=0.5))
    session.append(human("a")).result(timeout=60)
    engine.sync()
    with pytest.raises(ValueError, match="weights have changed"):
        session.append(human("b"))
