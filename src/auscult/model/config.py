"""Configuration of the audio language model, in the layouts in which Step-Audio publishes it.

Two layouts are read: Step-Audio-2-mini nests the decoder's numbers under `text_config`; R1 / R1.1
keep them at the top level. Both are written back nested. Sizes come from one table, `SIZES`.
"""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig, Qwen2Config

PUBLISHED_EOS = (151643, 151645, 151665)
"""End-of-text, end-of-message and end-of-turn (`<|EOT|>`) ids that end a published reply."""

_FLAT_TEXT_KEYS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_attention_groups",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
)


class StepAudio2EncoderConfig(PreTrainedConfig):
    """Whisper-style encoder (25 Hz) and adaptor (12.5 Hz). Fields carry the published names."""

    model_type = "step_audio_2_encoder"
    base_config_key = "audio_encoder_config"

    n_mels: int = 128
    n_audio_ctx: int = 1500  # positions at 50 Hz: 30 s
    n_audio_state: int = 1280
    n_audio_head: int = 20
    n_audio_layer: int = 32
    n_codebook_size: int = 4096  # published, unused by the model
    llm_dim: int = 4096
    kernel_size: int = 3
    adapter_stride: int = 2
    adapter_state: int = 2048  # hidden width of the adaptor; a constant in the published code


class StepAudio2Config(PreTrainedConfig):
    """The whole model. `text_config` is a plain `Qwen2Config`.

    Raises `ValueError` where the published consistency rules are broken: the adaptor must end in
    the decoder's width, and `num_attention_groups` must equal `num_key_value_heads`.
    """

    model_type = "step_audio_2"
    sub_configs = {  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
        "text_config": Qwen2Config,
        "audio_encoder_config": StepAudio2EncoderConfig,
    }

    audio_encoder_config: Any = None
    text_config: Any = None
    audio_start_token_id: int = 151688
    audio_end_token_id: int = 151689
    audio_patch_token_id: int = 151690
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = 151643
    bos_token_id: int | None = None
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        flat = {key: kwargs.pop(key) for key in _FLAT_TEXT_KEYS if key in kwargs}
        for key in ("use_sliding_window", "sliding_window", "max_window_layers"):
            kwargs.pop(key, None)  # published but never switched on
        self.text_config = _text_config(self.text_config, flat, self)
        self.audio_encoder_config = _encoder_config(
            self.audio_encoder_config, self.text_config.hidden_size
        )
        self.eos_token_id = _eos(self.eos_token_id, self.text_config.vocab_size)
        super().__post_init__(**kwargs)

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding, padding rows included."""
        return self.text_config.vocab_size

    @vocab_size.setter
    def vocab_size(self, value: int) -> None:
        self.text_config.vocab_size = value

    @property
    def hidden_size(self) -> int:
        """Width of the decoder; some libraries ask the top-level config for it."""
        return self.text_config.hidden_size


def _eos(given: int | list[int] | None, vocab_size: int) -> int | list[int]:
    """What ends a reply. The published configs name 151643 alone, but their code adds the other
    two, `<|EOT|>` among them; a small vocabulary of our own has none of these ids."""
    named = [] if given is None else [given] if isinstance(given, int) else list(given)
    if named and vocab_size <= max(PUBLISHED_EOS):
        return given if given is not None else named
    return sorted({*named, *PUBLISHED_EOS})


def _text_config(given: Any, flat: dict[str, Any], whole: StepAudio2Config) -> Qwen2Config:
    if isinstance(given, Qwen2Config):
        return given
    values = dict(given) if given is not None else flat
    groups = values.pop("num_attention_groups", None)
    heads = values.setdefault("num_key_value_heads", groups if groups is not None else 4)
    if groups is not None and groups != heads:
        raise ValueError(
            f"num_attention_groups is {groups} but num_key_value_heads is {heads}; the published "
            "configs name the same number twice: make them equal"
        )
    for key in ("model_type", "architectures", "torch_dtype", "eos_token_id", "pad_token_id"):
        values.pop(key, None)
    theta = values.pop("rope_theta", None) or 1_000_000.0
    scaling = values.pop("rope_scaling", None) or {}
    values.setdefault("rope_parameters", {"rope_type": "default", **scaling, "rope_theta": theta})
    values.setdefault("tie_word_embeddings", whole.tie_word_embeddings)
    return Qwen2Config(**values)


def _encoder_config(given: Any, llm_dim: int) -> StepAudio2EncoderConfig:
    if not isinstance(given, StepAudio2EncoderConfig):
        values = dict(given or {})
        values.pop("model_type", None)
        values.setdefault("llm_dim", llm_dim)
        given = StepAudio2EncoderConfig(**values)
    if given.llm_dim != llm_dim:
        raise ValueError(
            f"the adaptor ends in {given.llm_dim} features (audio_encoder_config.llm_dim) but the "
            f"decoder is {llm_dim} wide (hidden_size); they must be equal"
        )
    return given


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One row of the size table: decoder, then encoder. Widths in features, rates in the names."""

    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    vocab: int
    context: int
    rms_eps: float
    tied: bool
    enc_width: int
    enc_heads: int
    enc_layers: int
    adapter_state: int
    enc_ctx: int = 1500
    enc_mels: int = 128


SIZES: dict[str, Size] = {
    "nano": Size(
        hidden=256, ffn=576, layers=6, heads=4, kv_heads=2, vocab=2048, context=2048,
        rms_eps=1e-6, tied=True, enc_width=384, enc_heads=6, enc_layers=4, adapter_state=384,
        enc_mels=80,
    ),
    "mini": Size(
        hidden=3584, ffn=18944, layers=28, heads=28, kv_heads=4, vocab=158720, context=16384,
        rms_eps=1e-6, tied=False, enc_width=1280, enc_heads=20, enc_layers=32, adapter_state=2048,
    ),
    "r1": Size(
        hidden=5120, ffn=27648, layers=64, heads=40, kv_heads=8, vocab=158720, context=65536,
        rms_eps=1e-5, tied=False, enc_width=1280, enc_heads=20, enc_layers=32, adapter_state=2048,
    ),
}  # fmt: skip


def config_for(size: str, **overrides: Any) -> StepAudio2Config:
    """The configuration of one row of `SIZES`; `overrides` replace top-level fields (token ids)."""
    if size not in SIZES:
        raise ValueError(f"unknown size {size!r}; the sizes are {', '.join(SIZES)}")
    row = SIZES[size]
    return StepAudio2Config(
        text_config={
            "hidden_size": row.hidden,
            "intermediate_size": row.ffn,
            "num_hidden_layers": row.layers,
            "num_attention_heads": row.heads,
            "num_key_value_heads": row.kv_heads,
            "vocab_size": row.vocab,
            "max_position_embeddings": row.context,
            "rms_norm_eps": row.rms_eps,
            "tie_word_embeddings": row.tied,
        },
        audio_encoder_config={
            "n_mels": row.enc_mels,
            "n_audio_ctx": row.enc_ctx,
            "n_audio_state": row.enc_width,
            "n_audio_head": row.enc_heads,
            "n_audio_layer": row.enc_layers,
            "llm_dim": row.hidden,
            "adapter_state": row.adapter_state,
        },
        tie_word_embeddings=row.tied,
        **overrides,
    )
