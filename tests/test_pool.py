"""Items that were heard once: the same as hearing them again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from auscult.model.weights import open_model
from auscult.train.core import Machine, Rate
from auscult.train.feed.batch import collate, encode
from auscult.train.feed.data import KINDS, Mixture, encoded
from auscult.train.feed.items import fetch
from auscult.train.feed.pool import (
    Choice,
    Gather,
    Pool,
    PoolStream,
    absent,
    gather,
    of_encoder,
)
from auscult.train.sft import Sft, losses, sft

FP32 = Machine(precision="fp32")


pytestmark = pytest.mark.usefixtures("small_cache")


GATHER = Gather(
    mixture=Mixture(kinds=(), tasks=("tempo", "noisier_clip"), real=0.3, real_tasks=("real_digit",),
                    level_2=0.5, drills=0.1, anywhere=1.0), items=30, seed=2, precision="fp32",
)  # fmt: skip


@pytest.fixture
def pool(eighty_bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("auscult.train.feed.pool.PART", 8)
    return gather(GATHER, eighty_bands, tmp_path / "pool")


def test_a_pool_holds_what_the_ear_hears_of_each_item(eighty_bands, pool):
    model, processor = open_model(eighty_bands, device="cpu")
    hear = of_encoder(model.encoder.float(), processor.n_mels)
    found = Pool(pool)
    assert 20 <= len(found) <= 30
    two = next(i for i in range(len(found)) if found.item(i).task == "noisier_clip")
    item = found.item(two)
    made = fetch(item.key)
    assert replace(item, clips=()) == replace(made, clips=())
    assert [len(x) for x in item.clips] == [len(x) for x in made.clips]
    for got, expected in zip(found.heard(two), hear(made.clips), strict=True):
        torch.testing.assert_close(got.float(), expected, atol=5e-3, rtol=5e-3)


def test_a_pool_goes_on_where_it_was_killed_and_refuses_another_mixture(eighty_bands, pool):
    before = {f.name: f.read_bytes() for f in pool.iterdir()}
    (pool / "00001.jsonl").unlink()
    (pool / "00001.npy").unlink()
    gather(GATHER, eighty_bands, pool)
    assert {f.name: f.read_bytes() for f in pool.iterdir()} == before
    with pytest.raises(ValueError, match="another ear or of another mixture"):
        gather(replace(GATHER, seed=3), eighty_bands, pool)


def test_training_on_a_pool_equals_training_on_the_sound(eighty_bands, pool):
    model, processor = open_model(eighty_bands, device="cpu")
    found, rng = Pool(pool), np.random.default_rng
    for i in range(4):
        item = fetch(found.item(i).key) if found.item(i).key else None
        if item is None:
            continue  # a drill has no key
        for kind in ("caption", "chain"):
            live = encoded(KINDS[kind](item, rng(i)), processor)
            example = KINDS[kind](found.item(i), rng(i))
            known = encode(
                example.turns, [example.reply], processor, example.labels, found.heard(i)
            )
            assert known.prompt == live.prompt and known.replies == live.replies
            a, b = (float(losses(model, collate([row]), None)[0].detach()) for row in (live, known))
            assert a == pytest.approx(b, rel=1e-3)


def test_a_stage_learns_from_a_pool_and_keeps_its_heads(eighty_bands, pool, tmp_path):
    mixture = Mixture(kinds=(("caption", 0.6), ("twin_chain", 0.2), ("problem", 0.2)))
    config = Sft(mixture=mixture, steps=12, batch_size=8, rate=Rate(peak=3e-3), alignment=0.3,
                 pool=str(pool), machine=FP32)  # fmt: skip
    out = sft(config, eighty_bands, tmp_path / "out")
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"] and rows[0]["alignment"] > 0
    before, after = (load_file(f / "model.safetensors") for f in (eighty_bands, out))
    assert all(torch.equal(before[n], after[n]) for n in before if n.startswith("encoder."))
    assert (out / "aligner.safetensors").exists()


def test_a_mixture_chooses_its_tasks_its_share_of_real_sound_and_its_drills(pool: Path):
    held, rng = Pool(pool), np.random.default_rng(0)
    mixture = Mixture(
        kinds=(), tasks=("tempo", "tempo", "tempo", "noisier_clip"), real=0.5,
        real_tasks=("real_digit",), drills=0.2,
    )  # fmt: skip
    drawn = [Choice(held, mixture).draw(rng, "chain") for _ in range(800)]
    tasks = [held.item(i).task if held.item(i).question else "drill" for _, i in drawn]
    kinds = [kind for kind, _ in drawn]
    assert all((k == "caption") == (t == "drill") for k, t in zip(kinds, tasks, strict=True))
    share = {name: tasks.count(name) / len(tasks) for name in set(tasks)}
    assert share["drill"] == pytest.approx(0.2, abs=0.05)
    assert share["real_digit"] == pytest.approx(0.4, abs=0.06)
    assert share["tempo"] == pytest.approx(3 * share["noisier_clip"], rel=0.5)


def test_short_captions_come_first_where_a_stage_wants_them(pool: Path):
    held, rng = Pool(pool), np.random.default_rng(0)
    mixture = Mixture(kinds=(), tasks=("tempo", "noisier_clip"), real_tasks=("real_digit",))
    words = {i: held.words(i) for i in range(len(held))}
    least = min(n for i, n in words.items() if held.item(i).question)
    short = Choice(held, mixture, most_words=least)
    assert {words[short.draw(rng, "caption")[1]] for _ in range(40)} == {least}
    with pytest.raises(ValueError, match="holds no item of the tasks"):
        Choice(held, replace(mixture, tasks=("meter",), real_tasks=()))


def test_a_question_about_a_sound_is_asked_of_silence(eighty_bands, processor, tmp_path):
    """Of the pool: the question of one item, the features and the thought of another."""
    mixture = Mixture(
        kinds=(("absent", 1.0),), tasks=("event_name", "noisier_clip", "anything_there"),
        real=0.0, level_2=0.0, anywhere=1.0,
    )  # fmt: skip
    gather(Gather(mixture=mixture, items=40, precision="fp32"), eighty_bands, tmp_path / "pool")
    pool = Pool(tmp_path / "pool")
    bands = type(processor)(processor.tokenizer, n_mels=80)
    stream = PoolStream(pool, mixture, bands, 8, seed=1)
    example = absent(pool.item(stream.empty[0]), stream._asked(np.random.default_rng(0)),
                     np.random.default_rng(1))  # fmt: skip
    thoughts = {
        absent(
            pool.item(i), stream._asked(np.random.default_rng(i)), np.random.default_rng(i)
        ).reply
        for i in stream.empty
    }
    assert all("nothing" in reply or "only noise" in reply for reply in thoughts)
    assert len(thoughts) > 1 and "noisier" not in example.turns[0].text
    batch = stream[0][0]
    assert batch.heard is not None and len(batch.targets) > 8
    words = gather(
        Gather(mixture=replace(mixture, tasks=("tempo",)), items=3, precision="fp32"),
        eighty_bands, tmp_path / "loud",
    )  # fmt: skip
    with pytest.raises(ValueError, match="holds no silence"):
        PoolStream(Pool(words), replace(mixture, tasks=("tempo",)), bands, 8, seed=1)
