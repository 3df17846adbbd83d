"""The body without a head, and the ear without a decoder, out of the same checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, BatchFeature

from auscult.model import (
    StepAudio2Encoder,
    StepAudio2ForCausalLM,
    StepAudio2ForTokenClassification,
    StepAudio2Model,
    StepAudio2Processor,
)
from auscult.model.encoder import audio_tokens, pooled_frames
from auscult.types import Audio

ASKED = "<|BOT|>human\n<audio_patch>Which note is played?<|EOT|>"


@pytest.fixture
def batch(processor: StepAudio2Processor, clips: list[Audio]) -> BatchFeature:
    return processor([ASKED, ASKED], [[clips[0]], [clips[1]]])


@pytest.fixture
def folder(model: StepAudio2ForCausalLM, processor: StepAudio2Processor, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    return tmp_path


@torch.no_grad()
def test_the_auto_model_is_the_body_and_its_states_give_the_logits(
    folder: Path, model: StepAudio2ForCausalLM, batch: BatchFeature
):
    body, report = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert isinstance(body, StepAudio2Model)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    out = body(**batch, output_hidden_states=True)
    torch.testing.assert_close(model.lm_head(out.last_hidden_state), model(**batch).logits)
    assert len(out.hidden_states) == body.config.text_config.num_hidden_layers + 1
    assert isinstance(body(**batch, return_dict=False), tuple)


def test_the_base_model_of_a_head_hears_and_shares_its_weights(
    model: StepAudio2ForCausalLM, batch: BatchFeature
):
    base = model.base_model
    assert isinstance(base, StepAudio2Model)
    with torch.no_grad():
        states = base(**batch).last_hidden_state
        torch.testing.assert_close(model.lm_head(states), model(**batch).logits)
    names = {name for name, _ in model.named_parameters()}
    shared = dict(base.named_parameters())
    assert names - set(shared) <= {"lm_head.weight"}
    assert all(shared[name] is value for name, value in model.named_parameters() if name in shared)


def test_gradients_flow_through_the_base_model_of_the_critic(
    model: StepAudio2ForCausalLM, batch: BatchFeature
):
    critic = StepAudio2ForTokenClassification(model.config)
    critic.base_model(**batch).last_hidden_state.sum().backward()
    assert critic.encoder.conv1.weight.grad is not None
    assert critic.model.embed_tokens.weight.grad is not None
    assert critic.score.weight.grad is None


@torch.no_grad()
def test_the_ear_alone_is_opened_from_a_whole_checkpoint(
    folder: Path, model: StepAudio2ForCausalLM, batch: BatchFeature
):
    opened: Any = StepAudio2Encoder.from_pretrained(folder, output_loading_info=True)
    ear, report = opened
    assert not report["missing_keys"] and not report["unexpected_keys"]
    sound = batch["input_features"], batch["feature_lengths"]
    own, whole = ear(*sound), model.get_audio_features(*sound)
    for name in own:
        torch.testing.assert_close(own[name], whole[name])
    torch.testing.assert_close(
        own.pooler_output[own.vector_mask], model.project(model.encoder(*sound), sound[1])
    )
    assert own.vector_counts.tolist() == [audio_tokens(int(n)) for n in sound[1]]
    assert own.feature_counts.tolist() == [int(pooled_frames(n)) for n in sound[1]]
    assert (
        not own.pooler_output[~own.vector_mask].any()
        and not own.last_hidden_state[~own.feature_mask].any()
    )


@torch.no_grad()
def test_hidden_states_and_attention_of_the_ear_are_those_that_made_its_features(
    model: StepAudio2ForCausalLM, batch: BatchFeature
):
    sound = batch["input_features"], batch["feature_lengths"]
    out = model.get_audio_features(*sound, output_hidden_states=True, output_attentions=True)
    assert len(out.hidden_states) == len(out.attentions) + 1 == len(model.encoder.blocks) + 1
    torch.testing.assert_close(out.hidden_states[-1], model.encoder.hidden(*sound))
    block, x = model.encoder.blocks[0], out.hidden_states[0]
    value = block.attn.value(block.attn_ln(x)).unflatten(-1, (block.attn.heads, -1))
    mixed = (out.attentions[0] @ value.transpose(1, 2)).transpose(1, 2).flatten(2)
    x = x + block.attn.out(mixed)
    torch.testing.assert_close(x + block.mlp(block.mlp_ln(x)), out.hidden_states[1])
    assert model.get_audio_features(*sound).hidden_states is None


@torch.no_grad()
def test_an_ear_is_saved_and_opened_by_itself(folder: Path, tmp_path: Path, batch: BatchFeature):
    ear = StepAudio2Encoder.from_pretrained(folder)
    ear.save_pretrained(tmp_path / "ear")
    assert AutoConfig.from_pretrained(tmp_path / "ear").model_type == "step_audio_2_encoder"
    again = AutoModel.from_pretrained(tmp_path / "ear")
    assert isinstance(again, StepAudio2Encoder)
    sound = batch["input_features"], batch["feature_lengths"]
    torch.testing.assert_close(again(*sound).pooler_output, ear(*sound).pooler_output)


@torch.no_grad()
def test_long_and_short_clips_of_a_batch_have_the_features_that_they_have_alone(
    folder: Path, processor: StepAudio2Processor, rng: np.random.Generator
):
    ear = StepAudio2Encoder.from_pretrained(folder)
    longest = 200 * 320 - 480  # as far as the positions of the tiny encoder go
    clips = [0.1 * rng.standard_normal(n).astype(np.float32) for n in (longest, 400)]
    both = processor([ASKED, ASKED], [[c] for c in clips])
    out = ear(both["input_features"], both["feature_lengths"])
    for i, clip in enumerate(clips):
        one = processor(ASKED, clip)
        alone = ear(one["input_features"], one["feature_lengths"])
        torch.testing.assert_close(
            out.last_hidden_state[i][out.feature_mask[i]],
            alone.last_hidden_state[0],
            atol=1e-5,
            rtol=1e-4,
        )
        torch.testing.assert_close(
            out.pooler_output[i][out.vector_mask[i]], alone.pooler_output[0], atol=1e-5, rtol=1e-4
        )


def test_the_critic_learns_the_values_that_are_known(
    model: StepAudio2ForCausalLM, batch: BatchFeature
):
    critic = StepAudio2ForTokenClassification(model.config)
    labels = torch.full(batch["input_ids"].shape, torch.nan)
    labels[:, -1] = torch.tensor([1.0, -1.0])
    out = critic(**batch, labels=labels)
    torch.testing.assert_close(out.loss, ((out.logits[:, -1, 0] - labels[:, -1]) ** 2).mean())


def test_the_head_is_opened_from_the_same_folder_as_before(folder: Path):
    again = AutoModelForCausalLM.from_pretrained(folder)
    assert isinstance(again, StepAudio2ForCausalLM)
