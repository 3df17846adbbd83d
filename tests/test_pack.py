"""A trained model as a folder to ship: whole, or as a decoder beside the ear it listens with."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from auscult.files import INDEX, read_json
from auscult.model import StepAudio2Encoder
from auscult.model.weights import open_model
from auscult.train.core import Machine, Rate
from auscult.train.feed.data import Mixture
from auscult.train.pack import DECODER, pack
from auscult.train.sft import Sft, sft
from auscult.work.run import fingerprint

STAGE = Sft(
    mixture=Mixture(kinds=(("direct", 1.0),), tasks=("tempo",)), steps=1, batch_size=2,
    rate=Rate(peak=1e-3), machine=Machine(precision="fp32"),
)  # fmt: skip


@pytest.fixture
def ear(eighty_bands: Path, tmp_path: Path) -> Path:
    """The encoder of the source with an adaptor that no decoder was trained on, in 16 bits."""
    model, _ = open_model(eighty_bands, device="cpu")
    half = {k: v.half().float() for k, v in model.encoder.state_dict().items()}
    model.encoder.load_state_dict(half)
    model.save_pretrained(eighty_bands)
    alone = StepAudio2Encoder(model.config.audio_encoder_config)
    alone.encoder.load_state_dict(half)
    alone.to(torch.float16).save_pretrained(tmp_path / "ear")  # pyright: ignore[reportArgumentType]
    return tmp_path / "ear"


@pytest.fixture
def trained(eighty_bands: Path, ear: Path, tmp_path: Path) -> Path:
    return sft(STAGE, eighty_bands, tmp_path / "trained")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return open_model(folder, device="cpu")[0].state_dict()


def test_a_decoder_beside_its_ear_opens_as_the_model_that_was_trained(trained, ear, tmp_path):
    pack(trained, tmp_path / "shipped", ear=ear)
    own, found = weights(trained), weights(tmp_path / "shipped")
    for name, value in own.items():
        if name.startswith("encoder."):
            assert torch.equal(found[name], value), name
        else:
            torch.testing.assert_close(found[name], value, rtol=1e-2, atol=1e-3)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "shipped").state_dict()
    assert all(torch.equal(theirs[name], value) for name, value in found.items())


def test_the_decoders_file_holds_no_encoder_and_the_ears_adaptor_is_not_taken(
    trained, ear, tmp_path
):
    pack(trained, tmp_path / "shipped", ear=ear)
    with safe_open(tmp_path / "shipped" / DECODER, framework="pt") as file:
        kept = set(file.keys())
    assert not any(name.startswith("encoder.") for name in kept)
    assert not (tmp_path / "shipped" / "model.safetensors").exists()
    files = read_json(tmp_path / "shipped" / INDEX)["weight_map"]
    assert {files[name] for name in kept} == {DECODER}
    assert set(files.values()) == {DECODER, "../ear/model.safetensors"}
    adaptors = [name for name in kept if name.startswith("adapter.") and name.endswith("weight")]
    other, found = load_file(ear / "model.safetensors"), weights(tmp_path / "shipped")
    assert adaptors and any(not torch.equal(other[n].float(), found[n]) for n in adaptors)


def test_another_ear_is_another_model_and_an_absent_one_is_told(trained, ear, tmp_path):
    pack(trained, tmp_path / "shipped", ear=ear)
    before = fingerprint(tmp_path / "shipped")
    held = load_file(ear / "model.safetensors")
    held["encoder.conv1.bias"] = held["encoder.conv1.bias"] + 1
    save_file(held, ear / "model.safetensors", metadata={"format": "pt"})
    assert fingerprint(tmp_path / "shipped") != before
    (ear / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"lacks 1 of 2 .*\.\./ear/model\.safetensors.* beside"):
        open_model(tmp_path / "shipped", device="cpu")


def test_without_an_ear_everything_lies_in_one_file(trained, tmp_path):
    pack(trained, tmp_path / "whole")
    for name, value in weights(trained).items():
        found = weights(tmp_path / "whole")[name]
        torch.testing.assert_close(found, value, rtol=1e-2, atol=1e-3)
    assert (tmp_path / "whole" / "model.safetensors").exists()


def test_a_model_whose_encoder_is_another_is_not_packed_beside_that_ear(trained, ear, tmp_path):
    held = load_file(ear / "model.safetensors")
    held["encoder.conv1.weight"] = held["encoder.conv1.weight"] + 1
    save_file(held, ear / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"not that of .*1 of .*encoder\.conv1\.weight"):
        pack(trained, tmp_path / "shipped", ear=ear)
    with pytest.raises(ValueError, match="keep-ear"):
        pack(trained, tmp_path / "shipped", ear=trained.parent)


def test_the_card_and_the_record_name_no_folder_of_the_machine(trained, tmp_path):
    pack(trained, tmp_path / "whole", note="A model for a test.")
    record = read_json(tmp_path / "whole" / "training.json")
    card = (tmp_path / "whole" / "README.md").read_text()
    assert record["parent"] == "eighty_bands" and "A model for a test." in card
    assert str(tmp_path) not in card + str(record)
    assert "2 examples" in card and "direct 1" in card
