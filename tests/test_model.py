"""The model against its oracles: Whisper's encoder, Qwen2's decoder, itself one by one."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import randomise, tiny_config
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoProcessor,
    PreTrainedTokenizerFast,
    Qwen2ForCausalLM,
    WhisperConfig,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from auscult.audio.mel import frame_count, log_mel
from auscult.model import (
    SIZES,
    StepAudio2ForCausalLM,
    StepAudio2ForTokenClassification,
    StepAudio2Processor,
    audio_tokens,
    config_for,
)
from auscult.model.encoder import PAD_FRAMES
from auscult.types import Turn

Clips = list[np.ndarray]


def conversations(clips: Clips) -> list[list[Turn]]:
    """One clip, two clips in one message, text only, a second turn with sound."""
    return [
        [Turn(role="human", text="Which note?", clips=(clips[0],))],
        [Turn(role="human", text="higher or lower?", clips=(clips[1], clips[2]))],
        [Turn(role="human", text="Describe.")],
        [
            Turn(role="human", text="What?", clips=(clips[3],)),
            Turn(role="assistant", text="C4"),
            Turn(role="human", text="And this?", clips=(clips[1],)),
        ],
    ]


def batch_of(processor: StepAudio2Processor, turns: list[list[Turn]]) -> dict[str, torch.Tensor]:
    texts, clips = zip(*[processor.render(t) for t in turns], strict=True)
    return dict(processor(list(texts), audio=list(clips)))


def test_sizes_have_the_published_numbers_of_parameters():
    def count(size: str) -> float:
        with torch.device("meta"):
            return StepAudio2ForCausalLM(config_for(size)).num_parameters() / 1e9

    with torch.device("meta"):
        ids = {"pad_token_id": 0, "eos_token_id": 1, "audio_patch_token_id": 4}
        nano = StepAudio2ForCausalLM(config_for("nano", **ids)).num_parameters()
    assert nano <= 16_000_000
    assert count("mini") == pytest.approx(8.315, abs=5e-4)
    assert count("r1") == pytest.approx(33.487, abs=5e-4)
    assert set(SIZES) == {"nano", "mini", "r1"}


@pytest.mark.parametrize(("seconds", "tokens"), [(1, 13), (10, 125), (25, 313), (30, 375)])
def test_audio_token_counts_are_those_of_the_released_client(seconds: int, tokens: int):
    assert audio_tokens(frame_count(16000 * seconds)) == tokens


def test_the_count_formula_is_what_the_network_puts_out(model: StepAudio2ForCausalLM):
    for frames in range(5, 60):
        mel = torch.randn(1, 128, frames)
        out = model.adapter(model.encoder(mel, torch.tensor([frames])))
        assert 0 < audio_tokens(frames) <= out.shape[1]


def whisper_twin(model: StepAudio2ForCausalLM) -> WhisperEncoder:
    """Whisper's encoder from `transformers` with our weights in it."""
    c = model.config.audio_encoder_config
    config = WhisperConfig(
        num_mel_bins=c.n_mels, d_model=c.n_audio_state, encoder_layers=c.n_audio_layer,
        encoder_attention_heads=c.n_audio_head, encoder_ffn_dim=4 * c.n_audio_state,
        max_source_positions=50, attn_implementation="eager",
    )  # fmt: skip
    twin = WhisperEncoder(config).eval()
    renames = [
        ("blocks.", "layers."), ("attn.query", "self_attn.q_proj"),
        ("attn.key", "self_attn.k_proj"),
        ("attn.value", "self_attn.v_proj"), ("attn.out", "self_attn.out_proj"),
        ("attn_ln", "self_attn_layer_norm"), ("mlp.0", "fc1"), ("mlp.2", "fc2"),
        ("mlp_ln", "final_layer_norm"), ("positional_embedding", "embed_positions"),
        ("after_norm", "layer_norm"),
    ]  # fmt: skip
    state = {}
    for name, value in model.encoder.state_dict().items():
        for ours, theirs in renames:
            name = name.replace(ours, theirs)
        state[name] = value[:50] if "embed_positions" in name else value
    twin.load_state_dict(state)
    twin.layer_norm = torch.nn.Identity()  # ours comes after the pooling
    return twin


def test_encoder_equals_whispers_encoder_up_to_the_pooling(model: StepAudio2ForCausalLM):
    mel = torch.randn(2, 128, 100)
    ours = model.encoder.hidden(mel, torch.tensor([100 + PAD_FRAMES] * 2))
    theirs = whisper_twin(model)(mel).last_hidden_state
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_encoder_equals_the_openai_whisper_encoder(model: StepAudio2ForCausalLM):
    whisper = pytest.importorskip("whisper.model", reason="pip install openai-whisper")
    c = model.config.audio_encoder_config
    oracle = whisper.AudioEncoder(c.n_mels, 50, c.n_audio_state, c.n_audio_head, c.n_audio_layer)
    state = {k.replace("after_norm", "ln_post"): v for k, v in model.encoder.state_dict().items()}
    state["positional_embedding"] = state.pop("positional_embedding.weight")[:50]
    oracle.load_state_dict(state)
    oracle.ln_post = torch.nn.Identity()
    mel = torch.randn(1, 128, 100)
    ours = model.encoder.hidden(mel, torch.tensor([100 + PAD_FRAMES]))
    torch.testing.assert_close(ours, oracle.eval()(mel), rtol=1e-4, atol=1e-4)


def test_text_alone_goes_through_exactly_qwen2(
    model: StepAudio2ForCausalLM, tokenizer: PreTrainedTokenizerFast
):
    oracle = Qwen2ForCausalLM(model.config.text_config).eval()
    state = {k: v for k, v in model.state_dict().items() if k.startswith(("model.", "lm_head."))}
    oracle.load_state_dict(state)
    ids = torch.randint(6, 300, (2, 17))
    torch.testing.assert_close(model(ids).logits, oracle(ids).logits)


def test_a_batch_equals_its_items_one_by_one(
    model: StepAudio2ForCausalLM, processor: StepAudio2Processor, clips: Clips
):
    turns = conversations(clips)
    with torch.no_grad():
        together = model(**batch_of(processor, turns)).logits
        for row, turn in zip(together, turns, strict=True):
            alone = model(**batch_of(processor, [turn])).logits[0]
            torch.testing.assert_close(row[-len(alone) :], alone, rtol=2e-4, atol=2e-4)


def test_cached_generation_equals_the_full_forward(
    model: StepAudio2ForCausalLM, processor: StepAudio2Processor, clips: Clips
):
    batch = batch_of(processor, conversations(clips))
    out = model.generate(**batch, max_new_tokens=6, do_sample=False, output_logits=True,
                         return_dict_in_generate=True)  # fmt: skip
    mask = torch.cat([batch["attention_mask"], torch.ones(4, 5, dtype=torch.long)], dim=1)
    full = model(**(batch | {"input_ids": out.sequences[:, :-1], "attention_mask": mask})).logits
    width = batch["input_ids"].shape[1]
    for step, logits in enumerate(out.logits):
        running = (out.sequences[:, width : width + step] != model.config.eos_token_id).all(1)
        torch.testing.assert_close(
            full[running, width - 1 + step], logits[running], rtol=1e-3, atol=1e-3
        )


def test_the_sound_changes_the_answer_and_the_critic(
    model: StepAudio2ForCausalLM, processor: StepAudio2Processor, clips: Clips,
    tokenizer: PreTrainedTokenizerFast,
):  # fmt: skip
    critic = StepAudio2ForTokenClassification(tiny_config(tokenizer)).eval()
    randomise(critic)
    turn = conversations(clips)[:1]
    other = [[Turn(role="human", text="Which note?", clips=(clips[0][::-1].copy(),))]]
    a, b = batch_of(processor, turn), batch_of(processor, other)
    values = critic(**a).logits
    assert values.shape == (*a["input_ids"].shape, 1)
    assert not torch.allclose(values[:, -1], critic(**b).logits[:, -1])
    assert not torch.allclose(model(**a).logits[:, -1], model(**b).logits[:, -1])


def test_lora_trains_and_merges(
    tokenizer: PreTrainedTokenizerFast, processor: StepAudio2Processor, clips: Clips
):
    base = StepAudio2ForCausalLM(tiny_config(tokenizer))
    wrapped = get_peft_model(base, LoraConfig(target_modules=["q_proj", "v_proj"], r=2))
    batch = batch_of(processor, conversations(clips))
    optimizer = torch.optim.AdamW([p for p in wrapped.parameters() if p.requires_grad], lr=0.05)
    losses = []
    for _ in range(4):
        loss = wrapped(**batch, labels=batch["input_ids"]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    wrapped.eval()
    before = wrapped(**batch).logits
    merged = wrapped.merge_and_unload()
    torch.testing.assert_close(merged(**batch).logits, before, rtol=1e-3, atol=1e-3)


def test_bf16_stays_near_float32(
    tokenizer: PreTrainedTokenizerFast, processor: StepAudio2Processor, clips: Clips
):
    model = StepAudio2ForCausalLM(tiny_config(tokenizer)).eval()
    batch = batch_of(processor, conversations(clips))
    exact = model(**batch).logits
    rounded = model.to(torch.bfloat16)(**batch).logits.float()
    assert float((rounded - exact).norm() / exact.norm()) < 0.03


def test_gradient_checkpointing_gives_the_same_gradients(
    tokenizer: PreTrainedTokenizerFast, processor: StepAudio2Processor, clips: Clips
):
    model = StepAudio2ForCausalLM(tiny_config(tokenizer)).train()
    randomise(model)
    batch = batch_of(processor, conversations(clips))

    def gradients() -> list[torch.Tensor]:
        model.zero_grad()
        model(**batch, labels=batch["input_ids"], use_cache=False).loss.backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    plain = gradients()
    model.gradient_checkpointing_enable()
    for a, b in zip(plain, gradients(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_saving_and_loading_changes_no_bit(
    model: StepAudio2ForCausalLM, processor: StepAudio2Processor, clips: Clips, tmp_path
):
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    reader = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(reader, StepAudio2Processor)
    assert not list(tmp_path.glob("*.bin"))
    batch = batch_of(processor, conversations(clips))
    assert all(torch.equal(batch[k], v) for k, v in batch_of(reader, conversations(clips)).items())
    assert torch.equal(model(**batch).logits, again(**batch).logits)


def test_tied_nano_embeddings_are_stored_once_and_tied_again(
    tokenizer: PreTrainedTokenizerFast, tmp_path
):
    config = tiny_config(tokenizer, tie_word_embeddings=True)
    model = StepAudio2ForCausalLM(config)
    model.save_pretrained(tmp_path)
    again = StepAudio2ForCausalLM.from_pretrained(tmp_path)
    assert again.lm_head.weight is again.model.embed_tokens.weight


def test_freezing_touches_the_encoder_only(tokenizer: PreTrainedTokenizerFast):
    model = StepAudio2ForCausalLM(tiny_config(tokenizer))
    model.freeze_encoder()
    frozen = {n.split(".")[0] for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"encoder"}


def test_patches_without_sound_are_refused_with_the_numbers(
    model: StepAudio2ForCausalLM, processor: StepAudio2Processor, clips: Clips
):
    batch = batch_of(processor, conversations(clips)[:1])
    with pytest.raises(ValueError, match=r"<audio_patch> tokens but the audio gives 0"):
        model(batch["input_ids"])
    with pytest.raises(ValueError, match="1 <audio_patch> placeholders but 0 clips"):
        processor("<audio_patch>What?")


def test_a_clip_longer_than_the_positions_is_refused(model: StepAudio2ForCausalLM):
    mel = log_mel(np.zeros(16000 * 5, dtype=np.float32))[None]
    with pytest.raises(ValueError, match="cut it into chunks of at most 25 s"):
        model.encoder(mel, torch.tensor([mel.shape[-1]]))


def test_several_replies_per_prompt_keep_their_own_clips(
    model: StepAudio2ForCausalLM, processor: StepAudio2Processor, clips: Clips
):
    batch = batch_of(processor, conversations(clips)[:2])
    one = model.generate(**batch, max_new_tokens=5, do_sample=False)
    many = model.generate(**batch, max_new_tokens=5, num_beams=2, num_return_sequences=2)
    assert many.shape[0] == 4
    ids, inputs = model._expand_inputs_for_generation(
        2, batch["input_ids"], **{k: v for k, v in batch.items() if k != "input_ids"}
    )
    expanded = model(ids, **inputs).logits[:, -1]
    plain = model(**batch).logits[:, -1].repeat_interleave(2, 0)
    torch.testing.assert_close(expanded, plain, rtol=1e-4, atol=1e-4)
    assert one.shape[0] == 2


def test_the_loss_follows_a_trainer_that_accumulates(
    model: StepAudio2ForCausalLM, processor: StepAudio2Processor, clips: Clips
):
    batch = batch_of(processor, conversations(clips)[:1])
    mean = model(**batch, labels=batch["input_ids"]).loss
    shared = model(**batch, labels=batch["input_ids"], num_items_in_batch=1000).loss
    n = batch["input_ids"].shape[1] - 1
    torch.testing.assert_close(shared, mean * n / 1000, rtol=1e-3, atol=1e-4)


def test_states_and_attentions_are_given_and_tuples_on_request(model, processor, clips):
    batch = batch_of(processor, conversations(clips))
    out = model(**batch, output_hidden_states=True)
    layers = model.config.text_config.num_hidden_layers
    assert len(out.hidden_states) == layers + 1
    torch.testing.assert_close(model.lm_head(out.hidden_states[-1]), out.logits)
    plain = model(**batch, return_dict=False)
    assert isinstance(plain, tuple) and torch.equal(plain[0], out.logits)
    assert model.get_decoder() is model.model


def test_a_patch_that_the_model_wrote_itself_does_not_end_a_batch(model, processor, clips):
    batch = batch_of(processor, conversations(clips))
    first = model(**batch, use_cache=True)
    patch = torch.full((len(batch["input_ids"]), 1), model.config.audio_patch_token_id)
    again = model(input_ids=patch, past_key_values=first.past_key_values)
    assert torch.isfinite(again.logits).all()
    with pytest.raises(ValueError, match="<audio_patch> tokens but the audio gives 0"):
        model(input_ids=patch)


def test_clips_and_lengths_must_be_as_many():
    # In a process of its own: the checks of shapes that run in tests would speak first.
    code = (
        "import torch; from auscult.model import StepAudio2EncoderConfig as C\n"
        "from auscult.model.encoder import AudioEncoder\n"
        "e = AudioEncoder(C(n_mels=8, n_audio_state=8, n_audio_head=2, n_audio_layer=1))\n"
        "e(torch.zeros(2, 8, 102), torch.tensor([102]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ValueError: 2 clips came with 1 lengths" in done.stderr


def test_the_encoder_can_live_on_disk(model, processor, clips, tmp_path):
    from accelerate import disk_offload

    batch = batch_of(processor, conversations(clips))
    with torch.no_grad():
        expected = model(**batch).logits
        copied = copy.deepcopy(model)
        disk_offload(copied.encoder, tmp_path, execution_device=torch.device("cpu"))
        torch.testing.assert_close(copied(**batch).logits, expected)


@pytest.mark.parametrize("frames", range(100, 116))
def test_an_encoder_hears_nothing_of_the_padding_whatever_the_length(model, frames: int):
    """The convolutions reach past the end of a clip where its length is odd, too: what stands there
    in a longer batch must not come in."""
    torch.manual_seed(frames)
    mel = torch.randn(1, 128, frames)
    padded = torch.nn.functional.pad(mel, (0, 24))
    with torch.inference_mode():
        alone = model.get_audio_features(mel, torch.tensor([frames])).pooler_output
        beside = model.get_audio_features(padded, torch.tensor([frames])).pooler_output
    n = audio_tokens(frames)
    torch.testing.assert_close(beside[:, :n], alone[:, :n], rtol=1e-4, atol=1e-4)
