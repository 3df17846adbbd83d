"""What the engine remembers: clips, prompts, beginnings that are shared, tiers of the cache."""

from dataclasses import replace

import pytest
import torch
from asking import TURNS, assert_alike, forget, request, small_engine

from auscult.engine import Engine, Request, Sampling, Thinking
from auscult.engine.cache import Memories, Memory, capacities, span
from auscult.model.weights import open_model
from auscult.types import Turn


@pytest.fixture
def engine(tokenizer, processor) -> Engine:
    return small_engine(tokenizer, processor)


def test_what_the_same_clip_and_words_begin_with_is_read_once(engine):
    clip = TURNS[0][0].clips
    asked = [Request(turns=[Turn(role="human", clips=clip, text=text)])
             for text in ("Which note is played?", "Describe what you hear.")]  # fmt: skip
    wanted = [engine.ask([r])[0].replies for r in asked if forget(engine) is None]
    forget(engine)
    heard = engine.listener.encoded
    first, second = [engine.ask([r])[0] for r in asked]
    assert engine.listener.encoded == heard + len(clip)
    assert first.read_tokens == first.prompt_tokens
    assert second.read_tokens < second.prompt_tokens / 2
    assert_alike([first.replies, second.replies], wanted)
    again = engine.submit(asked[0]).result(timeout=60)
    assert again.read_tokens == 0 and again.replies == first.replies


def test_several_replies_read_their_prompt_once_and_differ(engine):
    (answered,) = engine.ask([request(0, n=6, max_tokens=12)])
    assert answered.read_tokens == answered.prompt_tokens
    assert len({r.tokens for r in answered.replies}) > 1
    engine.memories.limit = 0
    forget(engine)
    assert engine.ask([request(0, n=6, max_tokens=12)])[0].replies == answered.replies


def test_memories_and_clips_stay_within_their_bytes(tokenizer, processor):
    engine = small_engine(tokenizer, processor, clip_bytes=20_000, prompt_bytes=200_000)
    engine.ask([request(i) for i in range(12)])
    assert 0 < engine.memories.nbytes <= 200_000 and 0 < engine.listener.nbytes <= 20_000
    assert engine.memories.nbytes == sum(m.nbytes for m in engine.memories.kept.values())
    assert {id(m) for m in engine.memories.starts.values()} <= set(engine.memories.kept)
    engine.sync()
    assert not engine.memories.kept and not engine.listener.clips


def test_the_longest_memory_is_found():
    memories = Memories(10_000)

    def memory(*symbols):
        return Memory(symbols, torch.zeros(len(symbols)))

    short, long, other = memory(*range(20)), memory(*range(50)), memory(*range(16), 9, 9)
    for m in (short, long, other):
        memories.put(m)
    assert memories.find(tuple(range(40))) == (long, 40)
    assert memories.find((*range(34), 7, 7)) == (long, 34)
    assert memories.find((*range(16), 9, 9, 9))[1] == 18
    assert memories.find((5, *range(30))) == (None, 0)


def test_tiers_reach_the_models_limit():
    for limit in (100, 384, 385, 512, 2000, 2048, 32_768):
        sizes = capacities(limit)
        assert sizes == sorted(sizes) and span(limit) <= sizes[-1] <= max(384, 2 * limit)
        assert all(n <= span(n) <= sizes[-1] for n in range(1, limit + 1, 7))


def test_numbers_are_the_same_bit_for_bit_alone_and_among_others():
    """Where a row of a matrix product does not depend on their number, which is tried first."""
    weight, rows = torch.randn(256, 1152), torch.randn(900, 256)
    if any(not torch.equal((rows @ weight)[:n], rows[:n] @ weight) for n in (2, 7, 64, 333)):
        pytest.skip("this processor's matrix products depend on their size")
    engine = Engine(*open_model("nano", device="cpu"), rows=12)
    long = " Describe what you hear, and then describe it again." * 80
    asked = [
        Request(
            turns=[replace(TURNS[i][-1], text=TURNS[i][-1].text + long[: 260 * i])],
            sampling=Sampling(temperature=1.0, max_tokens=30 + 9 * i, seed=i, loop=0),
            thinking=Thinking(minimum=0),
        )
        for i in range(12)
    ]
    together = engine.ask(asked)
    sizes = [answered.prompt_tokens for answered in together]
    assert min(sizes) < 100 and max(sizes) > 500
    for i in (0, 3, 7, 11):
        forget(engine)
        assert_alike([engine.ask([asked[i]])[0].replies], [together[i].replies])
