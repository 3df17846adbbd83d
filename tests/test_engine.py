"""The engine against `generate`, and its rules for the thought."""

import itertools

import numpy as np
import pytest
import torch
from conftest import randomise, tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.engine import Engine, Request, Sampling, Thinking
from auscult.engine.sampling import choose, penalise, restrict
from auscult.engine.thinking import Row, Tags, advance
from auscult.model import StepAudio2ForCausalLM
from auscult.model.processor import THINK_CLOSE
from auscult.types import Turn

FREE = Thinking(minimum=0)


@pytest.fixture
def turns(clips) -> list[list[Turn]]:
    texts = ["Which note?", "higher or lower?", "Describe what you hear.", "hello", "a b c d", "?"]
    rows = [[Turn(role="human", text=t, clips=(clips[i % 4],))] for i, t in enumerate(texts)]
    return [*rows, [Turn(role="human", text="no sound here")]]


def generated(model, processor, turns, n: int) -> list[list[int]]:
    """Greedy tokens of `model.generate`, cut after the end-of-turn token."""
    texts, clips = zip(*[processor.render(t) for t in turns], strict=True)
    batch = processor(list(texts), audio=list(clips))
    out = model.generate(**batch, max_new_tokens=n, do_sample=False)
    eos = model.config.eos_token_id
    rows = [row[batch["input_ids"].shape[1] :].tolist() for row in out]
    return [row[: row.index(eos) + 1] if eos in row else row for row in rows]


@pytest.mark.parametrize("rows", [1, 2, 3, 64])
def test_greedy_tokens_equal_those_of_generate(model, processor, turns, rows: int):
    engine = Engine(model, processor, rows=rows)
    replies = engine.reply(turns, sampling=Sampling(max_tokens=12), thinking=FREE)
    assert [list(r.tokens) for r in replies] == generated(model, processor, turns, 12)


def stopping_model(tokenizer, seed: int) -> StepAudio2ForCausalLM:
    """A random model whose end-of-turn token is likely, so that rows end at different times."""
    model = StepAudio2ForCausalLM(tiny_config(tokenizer)).eval()
    randomise(model, seed)
    with torch.no_grad():
        model.lm_head.weight.mul_(0.15)
        model.lm_head.weight[model.config.eos_token_id].mul_(12)
    return model


def test_rows_that_end_are_refilled_and_nothing_is_lost(tokenizer, processor, turns):
    model = stopping_model(tokenizer, 3)
    sampling = Sampling(temperature=1.5, max_tokens=40, seed=5)
    many = turns * 3
    wide = Engine(model, processor, rows=64).reply(many, sampling=sampling, thinking=FREE)
    narrow = Engine(model, processor, rows=2).reply(many, sampling=sampling, thinking=FREE)
    assert [r.tokens for r in wide] == [r.tokens for r in narrow]
    assert len({len(r.tokens) for r in wide}) >= 3
    stops = {r.stop for r in wide}
    assert stops <= {"end", "length"}
    assert all((r.tokens[-1] == model.config.eos_token_id) == (r.stop == "end") for r in wide)


def test_logprobs_are_those_of_the_full_forward(model, processor, turns):
    sampling = Sampling(temperature=0.7, max_tokens=8, seed=1)
    turn = turns[1]
    reply = Engine(model, processor).reply([turn], sampling=sampling, thinking=FREE)[0]
    text, clips = processor.render(turn)
    batch = processor(text, audio=clips)
    ids = torch.cat([batch["input_ids"], torch.tensor([reply.tokens])], dim=1)
    full = model(**(batch | {"input_ids": ids, "attention_mask": torch.ones_like(ids)})).logits
    expected = (full[0, -len(reply.tokens) - 1 : -1] / 0.7).log_softmax(-1)
    expected = expected.gather(1, torch.tensor(reply.tokens)[:, None])[:, 0]
    np.testing.assert_allclose(reply.logprobs, expected.detach(), atol=2e-3)


def test_no_thinking_forces_the_empty_thought(model, processor, turns):
    reply = Engine(model, processor, sampling=Sampling(max_tokens=20)).reply(
        turns[:1], thinking=Thinking(budget=0)
    )[0]
    n = len(processor.tokenizer(THINK_CLOSE)["input_ids"])
    assert reply.thought == "" and reply.closed == "empty" and reply.thought_tokens == 0
    assert reply.forced[:n] == (True,) * n and not any(reply.forced[n:])
    assert all(p == 0 for p in reply.logprobs[:n])


@pytest.mark.parametrize("budget", [1, 3, 7])
def test_a_budget_closes_the_thought_after_exactly_so_many_tokens(model, processor, turns, budget):
    replies = Engine(model, processor, sampling=Sampling(max_tokens=30)).reply(
        turns, thinking=Thinking(budget=budget)
    )
    for reply in replies:
        assert reply.thought_tokens == budget or reply.closed == "model"
        assert reply.forced.index(True) == budget or reply.closed == "model"


def close_after(tags: Tags, words: str, thinking: Thinking) -> tuple[Row, int]:
    row, taken = Row(), 0
    for token in tags.encode(words + THINK_CLOSE):
        row.append(token, -1.0, False)
        taken = advance(row, thinking, tags)
        if row.closed != "open" or taken:
            break
    return row, taken


def test_a_thought_that_closes_too_early_goes_on_with_the_continuation(tokenizer):
    tags = Tags(tokenizer, len(tokenizer))
    row, taken = close_after(tags, "C4", Thinking(minimum=50, continuation=" Wait,"))
    assert taken > 1 and row.closed == "open"
    assert tokenizer.decode(row.tokens).strip() == "C4"
    assert tokenizer.decode(row.pending) == " Wait,"
    assert len(row.tokens) == len(row.logprobs) == len(row.forced)


def test_a_long_enough_thought_may_close_itself(tokenizer):
    tags = Tags(tokenizer, len(tokenizer))
    row, taken = close_after(tags, "I hear two notes", Thinking(minimum=2))
    assert (row.closed, taken) == ("model", 0)
    assert row.thought_tokens >= 4


def test_the_minimum_works_in_the_whole_engine(tokenizer, processor, turns):
    """A model that always writes the closing tag is held in the thought until the minimum."""
    model = StepAudio2ForCausalLM(tiny_config(tokenizer)).eval()
    randomise(model)
    engine = Engine(model, processor, sampling=Sampling(max_tokens=60))
    close = engine.tags.close_ids
    following = dict(itertools.pairwise(close))

    step = engine.decoder.step

    def next_logits(tokens, cache):
        logits = torch.full_like(step(tokens, cache), -10.0)
        for row, last in zip(logits, tokens.values(), strict=True):
            row[following.get(last, close[0])] = 10.0
        return logits

    engine.decoder.step = next_logits
    reply = engine.reply(turns[:1], thinking=Thinking(minimum=9, continuation=" Wait,"))[0]
    assert reply.closed == "model" and reply.thought_tokens >= 9
    assert "Wait," in reply.thought and "</think>" not in reply.thought
    free = engine.reply(turns[:1], thinking=Thinking(minimum=0))[0]
    assert free.thought_tokens < 9


def test_an_empty_thought_is_forbidden_unless_asked_for(model, processor, turns):
    engine = Engine(model, processor, sampling=Sampling(max_tokens=1))
    for reply in engine.reply(turns, thinking=Thinking()):
        assert reply.tokens[0] not in engine.tags.empty_starts


def test_streamed_pieces_add_up_to_the_reply(tokenizer, processor, turns):
    for seed in range(3):
        engine = Engine(
            stopping_model(tokenizer, seed), processor, sampling=Sampling(max_tokens=25)
        )
        for thinking in (Thinking(budget=4), Thinking(budget=0)):
            reply = engine.reply(turns[:1], thinking=thinking)[0]
            parts = {"thought": "", "answer": "", "stop": ""}
            for name, piece in engine.stream(turns[0], thinking=thinking):
                parts[name] += piece
            assert parts["stop"] == reply.stop
            assert parts["thought"].strip() == reply.thought
            assert parts["answer"].strip() == reply.answer


def test_the_engine_follows_the_model_after_sync(tokenizer, processor, turns):
    model = StepAudio2ForCausalLM(tiny_config(tokenizer)).eval()
    randomise(model, 1)
    engine = Engine(model, processor, sampling=Sampling(max_tokens=10), thinking=FREE)
    randomise(model, 2)
    engine.sync()
    assert [list(r.tokens) for r in engine.reply(turns)] == generated(model, processor, turns, 10)


def test_bad_settings_say_what_was_expected():
    with pytest.raises(ValueError, match=r"temperature must be 0 .* got -1"):
        Sampling(temperature=-1.0)
    with pytest.raises(ValueError, match="minimum of 9 thought tokens is above the budget of 3"):
        Thinking(budget=3, minimum=9)
    with pytest.raises(ValueError, match="takes none, free or a number of tokens; got 'lots'"):
        Thinking.parse("lots")


def test_a_broken_row_is_an_error_of_its_own_and_not_a_token(model, processor, turns):
    engine = Engine(model, processor)
    step = engine.decoder.step

    def broken(tokens, cache):
        logits = step(tokens, cache)
        logits[0] = torch.nan
        return logits

    asked = [Request(turns=t, sampling=Sampling(max_tokens=4, temperature=i / 2), thinking=FREE)
             for i, t in enumerate(turns[:3])]  # fmt: skip
    wanted = engine.ask(asked[1:])
    engine.decoder.step = broken
    first, *others = [engine.submit(request) for request in asked]
    with pytest.raises(FloatingPointError, match="no finite next-token distribution"):
        first.result(timeout=60)
    engine.decoder.step = step
    for ticket, other in zip(others, wanted, strict=True):
        if ticket.exception(timeout=60) is None:
            assert ticket.result().replies[0].tokens == other.replies[0].tokens
    assert engine.ask(asked[1:])[0].replies == wanted[0].replies


@given(st.integers(0, 10_000), st.floats(0.2, 3.0))
@settings(max_examples=20, deadline=None)
def test_inverting_the_distribution_samples_from_it(seed: int, temperature: float):
    logits = torch.randn(1, 6, generator=torch.Generator().manual_seed(seed))
    sampling = Sampling(temperature=temperature)
    uniform = (torch.arange(4000) + 0.5) / 4000
    tokens, logprobs = choose(logits.expand(4000, 6), uniform, [sampling] * 4000)
    logprobs = logprobs.gather(1, tokens[:, None])[:, 0]
    share = torch.bincount(tokens, minlength=6) / 4000
    expected = (logits[0] / temperature).softmax(-1)
    torch.testing.assert_close(share, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(logprobs.exp(), expected[tokens], atol=1e-5, rtol=1e-4)


def test_top_k_and_top_p_keep_the_likely_tokens_only():
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0]])
    kept = restrict(logits, [Sampling(temperature=1.0, top_k=2)]).exp()
    assert (kept[0] > 0).tolist() == [True, True, False, False]
    kept = restrict(logits, [Sampling(temperature=1.0, top_p=0.7)]).exp()
    assert (kept[0] > 0).tolist() == [True, True, False, False]
    torch.testing.assert_close(kept.sum(), torch.tensor(1.0))


def test_the_repetition_penalty_weakens_what_was_said():
    logits = torch.tensor([2.0, -2.0, 3.0])
    assert penalise(logits, torch.tensor([2.0, 2.0, 1.0])).tolist() == [1.0, -4.0, 3.0]


def test_an_end_of_turn_inside_the_thought_closes_it_and_lets_the_model_answer(tokenizer):
    stop = tokenizer.eos_token_id
    tags = Tags(tokenizer, len(tokenizer), [stop])
    for minimum, pending in ((50, " Wait,"), (1, THINK_CLOSE)):
        row = Row()
        for token in [*tags.encode("C4"), stop]:
            row.append(token, -1.0, False)
        assert advance(row, Thinking(minimum=minimum), tags, frozenset([stop])) == 1
        assert tokenizer.decode(row.pending) == pending and stop not in row.tokens


def test_a_budget_that_ends_within_the_tag_waits_for_the_tag(tokenizer):
    tags = Tags(tokenizer, len(tokenizer))
    words = tags.encode("C4")
    row = Row()
    for token in [*words, *tags.encode(THINK_CLOSE)]:
        row.append(token, -1.0, False)
        assert advance(row, Thinking(budget=len(words) + 2), tags) == 0
        if row.closed != "open":
            break
    assert row.closed == "model" and not row.pending
