"""Checkpoints in exactly the published layout load as they are."""

import json

import pytest
import torch
from conftest import published_shapes, write_published
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoProcessor

import auscult.model
from auscult.model.config import PUBLISHED_EOS, StepAudio2Config
from auscult.model.tokens import PUBLISHED_IDS
from auscult.model.weights import expected_names, locate, open_model, stored_names


@pytest.mark.parametrize("layout", ["mini", "r1"])
def test_published_layouts_load_without_remote_code(layout: str, tokenizer, tmp_path):
    config = write_published(tmp_path, layout, tokenizer)
    model, processor = open_model(tmp_path, device="cpu")
    assert dict(expected_names(model.config)) == published_shapes(config)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    for name, file in index.items():
        stored = load_file(tmp_path / file)[name].float()
        assert torch.equal(model.get_parameter(name).detach(), stored), name
    text = model.config.text_config
    assert text.rms_norm_eps == (1e-5 if layout == "r1" else 1e-6)
    assert text.rope_parameters["rope_theta"] == 1e6
    assert processor.render([auscult.types.Turn(role="human", text="hi")])[0].endswith("<think>\n")


@pytest.mark.parametrize("layout", ["mini", "r1"])
def test_auto_classes_find_ours_for_a_published_folder(layout: str, tokenizer, tmp_path):
    write_published(tmp_path, layout, tokenizer)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), StepAudio2Config)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert type(model).__module__ == "auscult.model.model"
    assert model.dtype == torch.bfloat16
    assert type(AutoProcessor.from_pretrained(tmp_path)).__name__ == "StepAudio2Processor"


def test_missing_unexpected_and_misshapen_weights_are_all_listed(tokenizer, tmp_path):
    write_published(tmp_path, "mini", tokenizer)
    file = tmp_path / "model-00001-of-00003.safetensors"
    tensors = load_file(file)
    gone, bent = sorted(tensors)[:2]
    del tensors[gone]
    tensors[bent] = torch.zeros(3)
    tensors["model.vision.weight"] = torch.zeros(2)
    save_file(tensors, file)
    with pytest.raises(ValueError) as error:
        open_model(tmp_path, device="cpu")
    for told in (f"1 missing: {gone}", "1 unexpected: model.vision.weight", f"{bent}: expected"):
        assert told in str(error.value)


def test_a_missing_shard_is_named(tokenizer, tmp_path):
    write_published(tmp_path, "r1", tokenizer)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(ValueError, match="lacks 1 of 3 weight files: model-00002"):
        stored_names(tmp_path)


def test_a_folder_without_model_says_what_to_give(tmp_path):
    with pytest.raises(ValueError, match=r"config\.json is missing.*nano, nano-base"):
        locate(tmp_path / "nothing")


def test_inconsistent_published_configs_are_refused():
    with pytest.raises(ValueError, match="num_attention_groups is 3"):
        StepAudio2Config(text_config={"num_attention_groups": 3, "num_key_value_heads": 2})
    with pytest.raises(ValueError, match="adaptor ends in 7 features"):
        StepAudio2Config(text_config={"hidden_size": 64}, audio_encoder_config={"llm_dim": 7})


def test_a_published_end_of_text_does_not_hide_the_end_of_turn():
    """The published configs name 151643 alone; replies end with `<|EOT|>`."""
    config = StepAudio2Config(eos_token_id=151643, text_config={"vocab_size": 158720})
    assert PUBLISHED_IDS["<|EOT|>"] in config.eos_token_id
    assert StepAudio2Config(eos_token_id=3, text_config={"vocab_size": 400}).eos_token_id == 3


def test_damaged_weights_are_an_error_that_names_the_file(tokenizer, tmp_path):
    write_published(tmp_path, "mini", tokenizer)
    file = tmp_path / "model-00002-of-00003.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"model-00002-of-00003\.safetensors is damaged"):
        stored_names(tmp_path)


def test_default_ids_are_the_published_ones():
    config = StepAudio2Config()
    assert config.audio_patch_token_id == PUBLISHED_IDS["<audio_patch>"] == 151690
    assert config.audio_start_token_id == 151688
    assert tuple(config.eos_token_id) == PUBLISHED_EOS
    assert PUBLISHED_IDS["<|EOT|>"] == 151665
