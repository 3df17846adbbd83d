"""What a user can do wrong to an engine is told to him, and to nobody else."""

from concurrent.futures import wait

import numpy as np
import pytest
import torch
from asking import small_engine
from jaxtyping import TypeCheckError

from auscult.engine import Engine, Form, Request, Sampling, Thinking
from auscult.engine.reading import checked
from auscult.engine.request import Event
from auscult.engine.sampling import choose
from auscult.types import Turn

REFUSED = (ValueError, TypeCheckError)
"""In tests wrong types are found before by the checker of types."""


@pytest.fixture
def engine(tokenizer, processor) -> Engine:
    return small_engine(tokenizer, processor)


BAD_SETTINGS: tuple[dict[str, object], ...] = (
    {"seed": -1}, {"seed": 1.5}, {"top_k": 2.5}, {"logprobs": 1.5}, {"stop": "noise"},
    {"stop": (3,)}, {"stop_ids": 5}, {"temperature": 1e-38}, {"temperature": 1e300},
    {"repetition_penalty": 1e-300}, {"contrast": float("inf")}, {"max_tokens": 2.0},
)  # fmt: skip


@pytest.mark.parametrize("setting", BAD_SETTINGS, ids=str)
def test_a_setting_that_nothing_can_be_made_of_is_named(setting):
    (name,) = setting
    with pytest.raises(REFUSED, match=name):
        Sampling(**setting)


def test_a_form_and_a_thought_that_contradict_themselves_are_refused():
    for options in ("yes", ("a\n", "b"), (3,)):
        with pytest.raises(REFUSED, match="option"):
            Form(options=options)  # pyright: ignore[reportArgumentType]
    with pytest.raises(REFUSED, match="opening"):
        Thinking(opening="I hear</think>\nhigher")
    for wrong in ({"draw": -1}, {"n": 1.5}):
        with pytest.raises(REFUSED, match=next(iter(wrong))):
            Request(turns=[], **wrong)


@pytest.mark.parametrize(
    "clip",
    [
        pytest.param(np.full(16_000, 1e18, dtype=np.float32), id="as loud as nothing"),
        pytest.param(np.zeros(16_000, dtype=np.int16), id="whole numbers"),
        pytest.param(np.zeros(16_000, dtype=np.complex64), id="complex"),
        pytest.param([0.0, 0.0], id="a list"),
        pytest.param(None, id="nothing"),
    ],
)
def test_what_is_no_sound_is_refused_and_named(clip):
    with pytest.raises(REFUSED, match="clip 1"):
        checked(clip, 1)


def test_a_clip_is_the_same_in_any_precision():
    clip = np.linspace(-1, 1, 16_000)
    assert checked(clip, 1).dtype == np.float32
    assert checked(clip, 1).tobytes() == checked(clip.astype(np.float32), 1).tobytes()


def test_numbers_that_are_not_finite_do_not_stay_in_the_cache(engine):
    """A place is masked by a zero, and NaN times zero is NaN: whoever came next would fail, too."""
    cache = engine.decoder.cache()
    line = cache.open(None, 0, 40)
    line.length = 30
    tier = cache.tiers[line.tier]
    tier.data[:, :, line.place, :, 10:30] = np.nan
    cache.close(line)
    assert np.isfinite(tier.data.numpy()).all()


def test_what_fails_in_the_writing_thread_fails_its_own_request_only(engine):
    def raises(_):
        raise KeyError("a listener of mine")

    turns = [Turn(role="human", text="Hello")]
    sampling = Sampling(max_tokens=60, min_tokens=61, loop=0)
    other = engine.submit(Request(turns=turns, sampling=sampling))
    form = Form(schema='{"$ref":"#"}')
    endless = Request(turns=turns, form=form, thinking=Thinking(budget=0))
    with pytest.raises(KeyError, match="of mine"):
        engine.submit(Request(turns=turns), listen=raises).result()
    with pytest.raises(REFUSED):
        engine.submit(endless).result()
    assert len(other.result().replies[0].tokens) == 60


def test_a_ticket_is_a_future_like_any_other(engine):
    turns = [Turn(role="human", text="Hello")]
    ticket = engine.submit(Request(turns=turns, sampling=Sampling(max_tokens=200)))
    assert ticket.cancel() and ticket.cancel()
    done, _ = wait([ticket], timeout=5)
    assert done == {ticket}
    told: list[Event] = []
    ticket = engine.submit(
        Request(turns=turns, sampling=Sampling(max_tokens=5)), stream=True, listen=told.append
    )
    first = list(ticket.events())
    assert first == told and len(first) >= 1 and list(ticket.events()) == []


def test_a_line_break_before_the_answer_is_no_stop_text(engine):
    asked = Request(
        turns=[Turn(role="human", text="What do you hear?")], thinking=Thinking(budget=0),
        sampling=Sampling(stop=("\n",), max_tokens=40),
    )  # fmt: skip
    assert engine.submit(asked).result().replies[0].answer


def test_a_number_next_to_one_draws_no_token_without_a_chance():
    logits = torch.tensor([[5.0, 0.0, 1.0, -torch.inf]])
    sure = torch.tensor([1 - 1e-16], dtype=torch.float64)
    tokens, logprobs = choose(logits, sure, [Sampling(temperature=1.0)])
    assert tokens.item() == 2 and torch.isfinite(logprobs[0, tokens.item()])
