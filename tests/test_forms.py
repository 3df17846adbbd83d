"""Answers held to a list of options or to a JSON schema."""

import itertools
import json

import pytest
from asking import TURNS, assert_alike, small_engine

from auscult.engine import Engine, Form, Request, Sampling, Thinking
from auscult.engine.constraint import Forms

SCHEMA = json.dumps({
    "type": "object",
    "properties": {"note": {"enum": ["C4", "E5"]}, "count": {"type": "integer", "maximum": 20},
                   "sure": {"type": "boolean"}},
    "required": ["note", "count", "sure"],
    "additionalProperties": False,
})  # fmt: skip


@pytest.fixture(scope="module")
def engine(tokenizer, processor) -> Engine:
    return small_engine(tokenizer, processor, rows=8)


def asked(form: Form, seed: int, thinking: Thinking | None = None, **more) -> Request:
    given = {"max_tokens": 120, "temperature": 1.0, "seed": seed, "loop": 0} | more
    return Request(turns=TURNS[seed % 12], n=2, sampling=Sampling(**given), form=form,
                   thinking=thinking or Thinking(budget=seed % 5))  # fmt: skip


def test_answers_are_one_of_the_options_and_every_option_can_come(engine):
    options = ("low", "lower", "higher", "C4, E5", "Wait, 3!")
    requests = [asked(Form(options=options), i) for i in range(20)]
    replies = [r for answered in engine.ask(requests) for r in answered.replies]
    assert {r.answer for r in replies} == set(options)
    assert {r.stop for r in replies} == {"end"}


def test_the_chances_of_options_are_the_models_own(engine):
    """Sum over all options of the product of their tokens' chances is one."""
    options = ("low", "lower", "higher")
    chances = {}
    for seed in range(30):
        (reply, other) = engine.ask([asked(Form(options=options), seed * 12, Thinking(budget=0))])[
            0
        ].replies
        chances |= {r.answer: sum(r.logprobs) for r in (reply, other)}
    assert sum(2.718281828459045**p for p in chances.values()) == pytest.approx(1, abs=1e-3)


def test_answers_are_json_of_the_schema(engine):
    for answered in engine.ask([asked(Form(schema=SCHEMA), i) for i in range(8)]):
        for reply in answered.replies:
            if reply.stop == "length":  # a number may have more digits than there is room
                continue
            found = json.loads(reply.answer)
            assert set(found) == {"note", "count", "sure"} and found["note"] in ("C4", "E5")
            assert isinstance(found["count"], int) and isinstance(found["sure"], bool)
            assert found["count"] <= 20


def test_a_thought_that_closes_itself_is_followed_by_the_form(engine):
    close, following = engine.tags.close_ids, {}
    following |= itertools.pairwise(close)
    step = engine.decoder.step

    def closing(tokens, cache):
        logits = step(tokens, cache)
        for row, last in zip(logits, tokens.values(), strict=True):
            row[following.get(last, close[0])] += 50
        return logits

    engine.decoder.step = closing
    form = Form(options=("higher", "lower"))
    try:
        for answered in engine.ask([asked(form, i, Thinking(minimum=2)) for i in range(4)]):
            for reply in answered.replies:
                assert reply.closed == "model" and reply.answer in form.options
    finally:
        engine.decoder.step = step


def test_forms_mix_with_plain_requests_and_do_not_change_them(engine):
    plain = [
        Request(turns=TURNS[i], sampling=Sampling(max_tokens=15, temperature=1.0, seed=i))
        for i in range(6)
    ]
    alone = [a.replies for a in engine.ask(plain)]
    formed = [asked(Form(schema=SCHEMA), 1), asked(Form(options=("a", "b")), 2)]
    assert_alike([a.replies for a in engine.ask([*formed, *plain])][2:], alone)


@pytest.mark.parametrize(("form", "said"), [
    ({"schema": '{"type": "strange"}'}, "Invalid type: strange"),
    ({"schema": '{"not": {}}'}, 'Unimplemented keys: \\["not"\\]'),
    ({"schema": "{"}, "the schema is not JSON"),
    ({"schema": "[1]"}, "a JSON schema is an object"),
])  # fmt: skip
def test_what_cannot_be_kept_is_refused(engine, form, said):
    with pytest.raises(ValueError, match=said):
        engine.submit(asked(Form(**form), 0)).result(timeout=60)
    for bad, words in ((Form, "got neither"),):
        with pytest.raises(ValueError, match=words):
            bad()
    with pytest.raises(ValueError, match="got both"):
        Form(options=("a",), schema="{}")


def test_without_the_extra_the_mend_is_named(tokenizer, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "llguidance", None)
    with pytest.raises(ValueError, match="pip install 'auscult\\[schema\\]'"):
        Forms(tokenizer, len(tokenizer), [0]).begin(Form(schema="{}"))
