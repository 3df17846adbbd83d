"""The whole of nano from scratch, at the smallest scale: every step is made once and goes on."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from auscult import nano as page
from auscult.ear.align import Align
from auscult.model.weights import open_model
from auscult.nano import BASE, STAGES, nano, scaled
from auscult.train.core import Machine, Rate
from auscult.train.feed.data import Mixture
from auscult.train.feed.pool import Gather

pytestmark = pytest.mark.usefixtures("small_cache")

FEW = Mixture(
    kinds=(),
    tasks=("tempo", "noisier_clip", "anything_there"),
    real=0.3,
    real_tasks=("real_digit",),
    drills=0.1,
)
FP32 = Machine(precision="fp32")


def test_every_stage_is_short_at_a_small_scale_and_keeps_its_shape():
    short = dict(scaled(0.01))
    assert list(short) == list(STAGES) and BASE in STAGES
    for name, stage in short.items():
        assert 1 <= stage.steps <= STAGES[name].steps * 0.011 + 1
        assert stage.rate.warmup <= stage.steps
        assert stage.mixture == STAGES[name].mixture
    assert dict(scaled(1.0)) == STAGES


def test_the_chain_ends_in_a_model_and_a_second_call_makes_nothing_again(
    eighty_bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    shutil.copytree(eighty_bands, tmp_path / "init")
    monkeypatch.setattr(page, "HEARD", Gather(mixture=FEW, items=60, longest_s=12.0))
    monkeypatch.setattr(
        page, "aligned", lambda seed, scale: Align(
            steps=2, batch_size=4, alone=1, lessons=("digits", "nothing"), machine=FP32
        ),
    )  # fmt: skip
    small = {
        name: replace(
            stage, steps=2, batch_size=4, rate=Rate(peak=1e-3), machine=FP32,
            mixture=replace(FEW, kinds=stage.mixture.kinds, longest=stage.mixture.longest * 9),
        )
        for name, stage in STAGES.items()
    }  # fmt: skip
    monkeypatch.setattr(page, "STAGES", small)
    nano(tmp_path, processes=1)
    last = tmp_path / list(STAGES)[-1]
    assert capsys.readouterr().out.strip().endswith(str(last))
    assert {f.name for f in tmp_path.iterdir()} >= {"init", "ear", "heard", *STAGES}
    model, _ = open_model(last, device="cpu")
    assert model.num_parameters() > 0
    made = {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*.safetensors")}
    nano(tmp_path, processes=1)
    assert {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*.safetensors")} == made
