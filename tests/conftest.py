"""Tiny models and data for all tests. Shapes are small on purpose."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from auscult.model import StepAudio2Config, StepAudio2ForCausalLM, StepAudio2Processor
from auscult.model.tokens import (
    AUDIO_END,
    AUDIO_PATCH,
    AUDIO_START,
    train_nano_tokenizer,
)

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
SENTENCES = (
    "<|BOT|>human\nWhich note is played? I hear two notes: C4, E5.<|EOT|>",
    "<|BOT|>assistant\n<think>\nCounting: 1, 2, 3.\n</think>\n3",
    "Describe what you hear. higher lower first second",
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Judges' replies of one test run are not those of another."""
    os.environ["INSPECT_CACHE_DIR"] = str(tmp_path_factory.mktemp("judges"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_nano_tokenizer(SENTENCES * 5, 400)


@pytest.fixture(scope="session")
def processor(tokenizer: PreTrainedTokenizerFast) -> StepAudio2Processor:
    return StepAudio2Processor(tokenizer)


def tiny_config(tokenizer: PreTrainedTokenizerFast, **overrides: Any) -> StepAudio2Config:
    """Two layers, width 32."""
    ids = {t: tokenizer.convert_tokens_to_ids(t) for t in (AUDIO_START, AUDIO_END, AUDIO_PATCH)}
    values: dict[str, Any] = {
        "text_config": {
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
        },
        "audio_encoder_config": {
            "n_audio_ctx": 200,
            "n_audio_state": 32,
            "n_audio_head": 2,
            "n_audio_layer": 2,
            "adapter_state": 24,
        },
        "audio_start_token_id": ids[AUDIO_START],
        "audio_end_token_id": ids[AUDIO_END],
        "audio_patch_token_id": ids[AUDIO_PATCH],
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    return StepAudio2Config(**(values | overrides))


def randomise(model: torch.nn.Module, seed: int = 0) -> None:
    """Weights large enough that every path through the model matters."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.3 if p.ndim > 1 else 0.5)


@pytest.fixture(scope="session")
def model(tokenizer: PreTrainedTokenizerFast) -> StepAudio2ForCausalLM:
    tiny = StepAudio2ForCausalLM(tiny_config(tokenizer)).eval()
    randomise(tiny)
    return tiny


@pytest.fixture
def clips(rng: np.random.Generator) -> list[np.ndarray]:
    """Four clips of different lengths, two of them of odd frame counts."""
    return [0.1 * rng.standard_normal(n).astype(np.float32) for n in (4000, 6400, 9999, 3200)]


def published_config(layout: str, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """config.json as the released checkpoints have it ("mini" nests, "r1" is flat), tiny sizes."""
    ids = {t: tokenizer.convert_tokens_to_ids(t) for t in (AUDIO_START, AUDIO_END, AUDIO_PATCH)}
    text = {
        "vocab_size": len(tokenizer) + 7,  # padded, as the published vocabulary is
        "hidden_size": 40,
        "intermediate_size": 56,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_attention_groups": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5 if layout == "r1" else 1e-6,
        "rope_theta": 1000000.0,
        "rope_scaling": None,
    }
    whole: dict[str, Any] = {
        "architectures": ["StepAudio2ForCausalLM"],
        "model_type": "step_audio_2",
        "auto_map": {
            "AutoConfig": "configuration_step_audio_2.StepAudio2Config",
            "AutoModelForCausalLM": "modeling_step_audio_2.StepAudio2ForCausalLM",
        },
        "torch_dtype": "bfloat16",
        "use_sliding_window": False,
        "sliding_window": 2048,
        "max_window_layers": None,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "audio_encoder_config": {
            "n_mels": 128,
            "n_audio_ctx": 200,
            "n_audio_state": 32,
            "n_audio_head": 2,
            "n_audio_layer": 2,
            "n_codebook_size": 4096,
            "llm_dim": 40,
            "kernel_size": 3,
            "adapter_stride": 2,
        },
        "audio_start_token_id": ids[AUDIO_START],
        "audio_end_token_id": ids[AUDIO_END],
        "audio_patch_token_id": ids[AUDIO_PATCH],
    }
    return whole | (
        text if layout == "r1" else {"text_config": text | {"model_type": "step_audio_2_text"}}
    )


def published_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The published weight names with their shapes, written out by hand from the release."""
    text = config.get("text_config", config)
    ear = config["audio_encoder_config"]
    d, s, f = text["hidden_size"], ear["n_audio_state"], text["intermediate_size"]
    kv = d // text["num_attention_heads"] * text["num_key_value_heads"]
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.conv1.weight": (s, 128, 3),
        "encoder.conv1.bias": (s,),
        "encoder.conv2.weight": (s, s, 3),
        "encoder.conv2.bias": (s,),
        "encoder.positional_embedding.weight": (ear["n_audio_ctx"], s),
        "encoder.after_norm.weight": (s,),
        "encoder.after_norm.bias": (s,),
        "adapter.conv.weight": (s, s, 3),
        "adapter.conv.bias": (s,),
        "adapter.linear1.weight": (2048, s),
        "adapter.linear1.bias": (2048,),
        "adapter.linear2.weight": (d, 2048),
        "adapter.linear2.bias": (d,),
        "model.embed_tokens.weight": (text["vocab_size"], d),
        "model.norm.weight": (d,),
        "lm_head.weight": (text["vocab_size"], d),
    }
    for n in range(ear["n_audio_layer"]):
        block = f"encoder.blocks.{n}"
        for part in ("query", "value", "out"):
            shapes |= {f"{block}.attn.{part}.weight": (s, s), f"{block}.attn.{part}.bias": (s,)}
        shapes[f"{block}.attn.key.weight"] = (s, s)
        shapes |= {f"{block}.mlp.0.weight": (4 * s, s), f"{block}.mlp.0.bias": (4 * s,)}
        shapes |= {f"{block}.mlp.2.weight": (s, 4 * s), f"{block}.mlp.2.bias": (s,)}
        for norm in ("attn_ln", "mlp_ln"):
            shapes |= {f"{block}.{norm}.weight": (s,), f"{block}.{norm}.bias": (s,)}
    for n in range(text["num_hidden_layers"]):
        layer = f"model.layers.{n}"
        for part, rows in (("q", d), ("k", kv), ("v", kv)):
            shapes[f"{layer}.self_attn.{part}_proj.weight"] = (rows, d)
            shapes[f"{layer}.self_attn.{part}_proj.bias"] = (rows,)
        shapes[f"{layer}.self_attn.o_proj.weight"] = (d, d)
        shapes |= {f"{layer}.mlp.{p}_proj.weight": (f, d) for p in ("gate", "up")}
        shapes[f"{layer}.mlp.down_proj.weight"] = (d, f)
        shapes |= {f"{layer}.{p}_layernorm.weight": (d,) for p in ("input", "post_attention")}
    return shapes


def write_published(
    folder: Path, layout: str, tokenizer: PreTrainedTokenizerFast
) -> dict[str, Any]:
    """A random tiny checkpoint in the published layout, in three safetensors shards."""
    folder.mkdir(parents=True, exist_ok=True)
    config = published_config(layout, tokenizer)
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer.save_pretrained(folder)
    generator = torch.Generator().manual_seed(1)
    tensors = {
        name: (0.1 * torch.randn(shape, generator=generator)).to(torch.bfloat16)
        for name, shape in published_shapes(config).items()
    }
    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for k in range(3):
        file = f"model-{k + 1:05}-of-00003.safetensors"
        save_file({n: tensors[n] for n in names[k::3]}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names[k::3], file)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map})
    )
    return config


@pytest.fixture
def eighty_bands(
    tokenizer: PreTrainedTokenizerFast, processor: StepAudio2Processor, tmp_path: Path
) -> Path:
    """A tiny random model with 80 mel bands."""
    folder = tmp_path / "eighty_bands"
    torch.manual_seed(0)
    config = tiny_config(tokenizer, audio_encoder_config={
        "n_mels": 80, "n_audio_ctx": 800, "n_audio_state": 32, "n_audio_head": 2,
        "n_audio_layer": 1, "adapter_state": 24,
    })  # fmt: skip
    StepAudio2ForCausalLM(config).save_pretrained(folder)
    type(processor)(processor.tokenizer, n_mels=80).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cache in the form of `make real-sound`."""
    from fixture_bank import build

    return build(tmp_path_factory.mktemp("real"))


@pytest.fixture
def small_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small cache stands in place of the real one."""
    monkeypatch.setenv("AUSCULT_REAL", str(cache))
