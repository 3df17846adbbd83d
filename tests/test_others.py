"""Qwen2-Audio and Qwen2.5-Omni behind our surface, against their own `transformers` classes."""

import json

import numpy as np
import pytest
import torch
from conftest import randomise
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5OmniConfig,
    Qwen2_5OmniForConditionalGeneration,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    WhisperFeatureExtractor,
)

from auscult.engine import Engine, Sampling, Thinking
from auscult.model import StepAudio2Processor
from auscult.model.others import OtherForCausalLM, critic_of, open_any
from auscult.model.others_chat import OtherProcessor
from auscult.types import Turn

SPECIALS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>",
]  # fmt: skip
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 512, "tie_word_embeddings": False,
}  # fmt: skip
EAR = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
WINDOW = 100  # encoder positions of the tiny Qwen2-Audio: 2 s
FREE = Thinking(minimum=0)


@pytest.fixture(scope="module")
def chatml() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with the special tokens of the Qwen families."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=270, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(["assistant user system think"] * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=SPECIALS[2], pad_token=SPECIALS[0],
        additional_special_tokens=SPECIALS[1:], clean_up_tokenization_spaces=False,
    )  # fmt: skip


def qwen2_audio(vocab: int) -> Qwen2AudioForConditionalGeneration:
    config = Qwen2AudioConfig(
        text_config=TEXT | {"vocab_size": vocab, "model_type": "qwen2", "eos_token_id": 2},
        audio_config=EAR | {"max_source_positions": WINDOW, "model_type": "qwen2_audio_encoder"},
        audio_token_index=3,
        tie_word_embeddings=False,
    )
    return Qwen2AudioForConditionalGeneration(config)


def thinker_config(vocab: int) -> Qwen2_5OmniThinkerConfig:
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}
    return Qwen2_5OmniThinkerConfig(
        text_config=TEXT | {"vocab_size": vocab, "eos_token_id": 2, "rope_parameters": rope},
        audio_config=EAR | {"output_dim": 32, "n_window": 20},
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2,
            "out_hidden_size": 32, "fullatt_block_indexes": [0],
        },
        audio_token_index=3, audio_start_token_id=4, audio_end_token_id=5, vision_start_token_id=10,
    )  # fmt: skip


def omni(vocab: int) -> Qwen2_5OmniThinkerForConditionalGeneration:
    return Qwen2_5OmniThinkerForConditionalGeneration(thinker_config(vocab))


MAKERS = {"qwen2_audio": qwen2_audio, "qwen2_5_omni_thinker": omni}


@pytest.fixture(scope="module", params=MAKERS)
def folder(request, chatml, tmp_path_factory):
    """A tiny random checkpoint as `transformers` writes it."""
    path = tmp_path_factory.mktemp(request.param)
    whole = MAKERS[request.param](len(chatml) + 6)
    randomise(whole)
    whole.save_pretrained(path)
    chatml.save_pretrained(path)
    WhisperFeatureExtractor(feature_size=128).save_pretrained(path)
    return path


def original(path):
    """The checkpoint in its own class, plain `transformers` only."""
    kind = json.loads((path / "config.json").read_text())["model_type"]
    classes = {
        "qwen2_audio": Qwen2AudioForConditionalGeneration,
        "qwen2_5_omni_thinker": Qwen2_5OmniThinkerForConditionalGeneration,
    }
    return classes[kind].from_pretrained(path).eval()


@pytest.fixture
def opened(folder):
    return open_any(folder, device="cpu")


@pytest.fixture
def turns(clips) -> list[Turn]:
    return [
        Turn(role="system", text="Listen."),
        Turn(role="human", text="Which?", clips=(clips[0], clips[2])),
        Turn(role="assistant", text="C4"),
        Turn(role="human", text="And?", clips=(clips[1],)),
    ]


def their_inputs(whole, clips) -> dict[str, torch.Tensor]:
    """Features as the families' processors make them: Whisper's extractor, padded to a window."""
    window = 20 * WINDOW / 1000 if "multi_modal_projector" in whole.model._modules else 30
    extractor = WhisperFeatureExtractor(feature_size=128, chunk_length=int(window))
    got = extractor(
        list(clips), sampling_rate=16000, return_attention_mask=True, padding="max_length",
        return_tensors="pt",
    )  # fmt: skip
    return {
        "input_features": got["input_features"], "feature_attention_mask": got["attention_mask"],
    }  # fmt: skip


@torch.no_grad()
def test_logits_are_those_of_the_original_class_with_its_own_features(folder, opened, turns):
    model, processor = opened
    text, clips = processor.render(turns)
    batch = processor(text, audio=clips)
    theirs = original(folder)
    mask = torch.ones_like(batch["input_ids"])
    expected = theirs(
        input_ids=batch["input_ids"], attention_mask=mask, **their_inputs(theirs, clips)
    ).logits
    embeds = model.embed(batch["input_ids"], batch["input_features"], batch["feature_lengths"])
    width = embeds.shape[1]
    plain = model.lm_head(model.body(inputs_embeds=embeds, use_cache=False).last_hidden_state)
    torch.testing.assert_close(plain, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    causal = torch.full((1, 1, width, width), torch.finfo(embeds.dtype).min).triu(1)
    states = model.body(
        inputs_embeds=embeds, attention_mask=causal, position_ids=torch.arange(width)[None],
        use_cache=False,
    ).last_hidden_state  # fmt: skip
    torch.testing.assert_close(model.lm_head(states), plain, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_positions_shift_with_the_mask_and_not_with_the_padding(opened, turns):
    """Rotary positions matter, and a left-padded row gives what it gives alone."""
    model, processor = opened
    rows = [turns, [Turn(role="human", text="Hm?", clips=turns[1].clips[:1])]]
    texts, clips = zip(*[processor.render(row) for row in rows], strict=True)
    both = model(**processor(list(texts), audio=list(clips))).logits
    for i in range(2):
        alone = model(**processor(texts[i], audio=clips[i])).logits[0]
        torch.testing.assert_close(both[i, -len(alone) :], alone, rtol=1e-3, atol=1e-3)
    batch = processor(texts[1], audio=clips[1])
    embeds = model.embed(batch["input_ids"], batch["input_features"], batch["feature_lengths"])
    places = torch.arange(embeds.shape[1])[None]
    near, far = (
        model.body(inputs_embeds=embeds, position_ids=p).last_hidden_state
        for p in (places, places * 3)
    )
    assert not torch.allclose(near, far, atol=1e-2)


def test_the_thinker_gives_audio_the_positions_of_text(chatml):
    whole = omni(len(chatml) + 6)
    ids = torch.tensor([[7, 4, 3, 3, 3, 5, 8, 9]])
    places, delta = whole.model.get_rope_index(
        ids, attention_mask=torch.ones_like(ids), audio_seqlens=torch.tensor([12])
    )
    assert torch.equal(places, torch.arange(8).expand(3, 1, 8)) and int(delta) == 0
    rotary = whole.model.language_model.rotary_emb
    flat = rotary(torch.zeros(1), torch.arange(8)[None])
    for two, three in zip(flat, rotary(torch.zeros(1), places), strict=True):
        assert two.shape == (1, 8, 16) and torch.equal(two, three)


@torch.no_grad()
def test_the_engine_writes_what_a_slow_loop_over_the_original_writes(folder, opened, turns):
    model, processor = opened
    reply = Engine(model, processor).reply(
        [turns, turns[:2]], sampling=Sampling(max_tokens=8), thinking=FREE
    )[0]
    text, clips = processor.render(turns)
    ids = processor(text, audio=clips)["input_ids"]
    theirs, start = original(folder), ids.shape[1]
    sound = their_inputs(theirs, clips)
    stops = model.config.eos_token_id
    while ids.shape[1] < start + 8 and not (ids.shape[1] > start and int(ids[0, -1]) in stops):
        out = theirs(input_ids=ids, attention_mask=torch.ones_like(ids), **sound)
        ids = torch.cat([ids, out.logits[:, -1:].argmax(-1)], dim=1)
    assert list(reply.tokens) == ids[0, start:].tolist()


def test_features_of_a_clip_do_not_depend_on_its_neighbours(opened, clips):
    model, processor = opened
    mels = [processor.features(clip) for clip in clips]
    assert [m.shape[1] for m in mels] == [processor.frames(clip) for clip in clips]
    batch = processor(
        processor.render([Turn(role="human", text="?", clips=tuple(clips))])[0], clips
    )
    both = model.encoder(batch["input_features"], batch["feature_lengths"])
    for row, mel in zip(both, mels, strict=True):
        alone = model.encoder(mel[None], torch.tensor([mel.shape[1]]))[0]
        torch.testing.assert_close(row[: len(alone)], alone, rtol=1e-4, atol=1e-4)
        assert not row[len(alone) :].any()


def test_gradients_reach_projector_and_decoder_but_not_the_frozen_encoder(opened, turns):
    model, processor = opened
    model.train()
    model.freeze_encoder()
    text, clips = processor.render(turns)
    batch = processor(text, audio=clips)
    model(**batch, labels=batch["input_ids"]).loss.backward()
    for name, p in model.named_parameters():
        heard = name.startswith("encoder.")
        assert (p.grad is None) == heard, name
        if name.startswith(("adapter.", "model.layers.")) and "k_proj.bias" not in name:
            assert p.grad.abs().sum() > 0, name
    assert {n.split(".")[0] for n, _ in model.named_parameters()} == {
        "model", "adapter", "encoder", "lm_head",
    }  # fmt: skip


@torch.no_grad()
def test_the_critic_hears(opened, turns):
    model, processor = opened
    critic = critic_of(model)
    text, clips = processor.render(turns)
    batch = processor(text, audio=clips)
    values = critic(**batch).logits
    assert values.shape == (*batch["input_ids"].shape, 1)
    other = critic(**(batch | {"input_features": batch["input_features"].flip(-2)})).logits
    first = int((batch["input_ids"][0] == model.config.audio_patch_token_id).nonzero()[0])
    assert torch.equal(values[:, :first], other[:, :first])
    assert (values[:, -1] - other[:, -1]).abs().min() > 1e-4
    critic.model.norm.weight.zero_()
    assert model.model.norm.weight.any()  # the critic's weights are its own
    with pytest.raises(ValueError, match="kept as a checkpoint"):
        critic.save_pretrained("x")


@torch.no_grad()
def test_a_saved_model_opens_in_plain_transformers_and_here(folder, opened, turns, tmp_path):
    model, processor = opened
    before = {name: value.clone() for name, value in original(folder).state_dict().items()}
    model.model.norm.weight.mul_(1.5)
    model.adapter.apply(lambda m: m.weight.mul_(2.0) if hasattr(m, "weight") else None)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    text, clips = processor.render(turns)
    batch = processor(text, audio=clips)
    again, other = open_any(tmp_path, device="cpu")
    assert torch.equal(again(**batch).logits, model(**batch).logits)
    assert other.token_ids(text, [other.frames(c) for c in clips]) == batch["input_ids"][0].tolist()
    assert (tmp_path / "preprocessor_config.json").is_file()
    changed = {
        name for name, value in original(tmp_path).state_dict().items()
        if not torch.equal(value, before[name])
    }  # fmt: skip
    assert len(changed) == 2 and "model.language_model.norm.weight" in changed
    given = tmp_path / "given"
    model.save_pretrained(given, state_dict=again.state_dict())
    processor.save_pretrained(given)
    assert torch.equal(open_any(given, device="cpu")[0](**batch).logits, again(**batch).logits)


def test_a_whole_omni_folder_opens_as_its_thinker(chatml, tmp_path):
    config = Qwen2_5OmniConfig(
        thinker_config=thinker_config(len(chatml) + 6).to_dict(), enable_audio_output=False
    )
    whole = Qwen2_5OmniForConditionalGeneration(config)
    whole.save_pretrained(tmp_path)
    chatml.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    save_file(weights | {"talker.norm.weight": torch.ones(2)}, file, metadata={"format": "pt"})
    model, _ = open_any(tmp_path, device="cpu")
    model.save_pretrained(tmp_path / "thinker")
    theirs = original(tmp_path / "thinker").state_dict()
    mine = whole.thinker.state_dict()
    assert theirs.keys() == mine.keys() and any(".visual." in name for name in mine)
    assert all(torch.equal(theirs[name], mine[name]) for name in mine)
    del weights["thinker.audio_tower.proj.bias"]
    save_file(weights | {"odd": torch.ones(2)}, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"1 missing: .*proj\.bias \| 1 unexpected: .*odd"):
        open_any(tmp_path, device="cpu")


def test_prompts_are_each_familys_chatml_and_open_the_thought(folder, opened, turns):
    _, processor = opened
    assert isinstance(processor, StepAudio2Processor)
    text, clips = processor.render(turns)
    sound = "<|audio_bos|><|AUDIO|><|audio_eos|>"
    names = [f"Audio {i}: {sound}\n" for i in (1, 2, 3)]
    a, b, c = names if "qwen2_audio" in folder.name else [sound] * 3
    assert text == (
        "<|im_start|>system\nListen.<|im_end|>\n"
        f"<|im_start|>user\n{a}{b}Which?<|im_end|>\n<|im_start|>assistant\nC4<|im_end|>\n"
        f"<|im_start|>user\n{c}And?<|im_end|>\n<|im_start|>assistant\n<think>\n"
    )
    assert len(clips) == 3 and processor.end_of_turn == 2
    default, _ = processor.render([Turn(role="human", text="hi")], open_reply=False)
    assert default == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nhi<|im_end|>\n"
    )


def test_what_cannot_be_heard_is_an_error(folder, opened):
    model, processor = opened
    with pytest.raises(ValueError, match=r"1 <\|AUDIO\|> placeholders but 0 clips"):
        processor.token_ids("<|AUDIO|>", [])
    with pytest.raises(ValueError, match="too short to be heard"):
        processor.token_ids("<|AUDIO|>", [processor.frames(np.zeros(200, np.float32))])
    with pytest.raises(ValueError, match="holds 1 <audio_patch> tokens but the audio gives 0"):
        model.splice(torch.tensor([[3]]), None)
    if "qwen2_audio" in folder.name:
        with pytest.raises(ValueError, match="203 mel frames is longer than the 200"):
            model.encoder(torch.zeros(1, 128, 205), torch.tensor([205]))


def test_other_folders_are_refused_with_a_list_of_what_is_supported(folder, chatml, tmp_path):
    with pytest.raises(ValueError, match=r"config\.json is missing.*step_audio_2, qwen2_audio"):
        open_any(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match=r"holds a bert model; supported: .*qwen2_5_omni_thinker"):
        open_any(tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(ValueError, match=r"lacks tokenizer\.json; finish the download"):
        open_any(tmp_path)
    chatml.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"lacks 1 of 1 weight files"):
        open_any(tmp_path)
    with pytest.raises(ValueError, match="Linear has no adapter; supported"):
        OtherForCausalLM(torch.nn.Linear(1, 1))
    plain = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0})))
    with pytest.raises(ValueError, match=r"the tokenizer lacks <\|audio_bos\|>"):
        OtherProcessor(plain)


def test_our_own_folder_opens_too(model, processor, tmp_path):
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    opened, _ = open_any(tmp_path, device="cpu")
    assert type(opened) is type(model)
