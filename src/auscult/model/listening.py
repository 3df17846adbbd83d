"""The ear alone, for who needs features and no words.

`StepAudio2Encoder` opens the encoder and the adaptor of any checkpoint of the family; every model
of the family gives the same by `get_audio_features`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils.generic import can_return_tuple

from auscult.model.config import StepAudio2EncoderConfig
from auscult.model.encoder import Adaptor, AudioEncoder, audio_tokens, pooled_frames


@dataclass
class AudioFeatures(BaseModelOutputWithPooling):
    """What the ear makes of C clips. Rows are padded with zeros; masks are true inside a clip.

    Example: a clip of one second has 25 features and 13 vectors.
        last_hidden_state  [C, P, S]  25 Hz, of the encoder
        feature_counts     [C]
        feature_mask       [C, P]
        pooler_output      [C, N, D]  12.5 Hz, of the adaptor: what the decoder reads
        vector_counts      [C]
        vector_mask        [C, N]
        hidden_states      50 Hz: before the first block and after each, where asked for
        attentions         [C, heads, F, F] of each block, where asked for
    """

    feature_counts: Int[Tensor, " C"] | None = None
    feature_mask: Bool[Tensor, "C P"] | None = None
    vector_counts: Int[Tensor, " C"] | None = None
    vector_mask: Bool[Tensor, "C N"] | None = None


def audio_features(
    encoder: AudioEncoder, adapter: Adaptor, input_features: Float[Tensor, "C M L"],
    feature_lengths: Int[Tensor, " C"] | None = None, *,
    hidden_states: bool = False, attentions: bool = False,
) -> AudioFeatures:  # fmt: skip
    """Both rates of features of clips as the processor returns them. Without lengths every clip
    fills its row."""
    if feature_lengths is None:
        feature_lengths = torch.full(
            (len(input_features),), input_features.shape[-1], device=input_features.device
        )
    with _Watched(encoder, watch=hidden_states or attentions) as seen:
        features = encoder(input_features.to(encoder.conv1.weight.dtype), feature_lengths)
    counts = pooled_frames(feature_lengths)
    vectors = adapter(features)
    heard = torch.tensor([audio_tokens(int(n)) for n in feature_lengths], device=counts.device)
    vectors = vectors[:, : int(heard.max())]
    mask = _inside(heard, vectors.shape[1])
    return AudioFeatures(
        last_hidden_state=features,
        pooler_output=vectors * mask[..., None],
        hidden_states=(*seen.inputs, seen.last) if hidden_states else None,
        attentions=seen.attentions() if attentions else None,
        feature_counts=counts,
        feature_mask=_inside(counts, features.shape[1]),
        vector_counts=heard,
        vector_mask=mask,
    )


class _Watched:
    """What goes through the blocks of an encoder while it hears."""

    def __init__(self, encoder: AudioEncoder, *, watch: bool) -> None:
        self.blocks: list[Any] = list(encoder.blocks) if watch else []
        self.inputs: list[Tensor] = []
        self.last: Tensor = torch.empty(0)
        self.mask: Tensor = torch.empty(0)
        self.hooks: list[Any] = []

    def __enter__(self) -> "_Watched":
        def before(_: Any, given: tuple[Tensor, Tensor]) -> None:
            self.inputs.append(given[0])
            self.mask = given[1]

        def after(_: Any, given: Any, out: Tensor) -> None:
            self.last = out

        self.hooks = [block.register_forward_pre_hook(before) for block in self.blocks]
        if self.blocks:
            self.hooks.append(self.blocks[-1].register_forward_hook(after))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def attentions(self) -> tuple[Tensor, ...]:
        """Shares of attention: the fused kernel that the blocks use does not give them."""
        found: list[Tensor] = []
        for block, x in zip(self.blocks, self.inputs, strict=True):
            attn, x = block.attn, block.attn_ln(x)
            q, k = (
                layer(x).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
                for layer in (attn.query, attn.key)
            )
            scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
            found.append(scores.masked_fill(~self.mask[:, None, None], float("-inf")).softmax(-1))
        return tuple(found)


def _inside(counts: Tensor, width: int) -> Tensor:
    return torch.arange(width, device=counts.device)[None] < counts[:, None]


class Hears:
    """What every model with an ear can do."""

    config: Any
    encoder: AudioEncoder
    adapter: Adaptor

    @can_return_tuple
    def get_audio_features(
        self,
        input_features: Float[Tensor, "C M L"],
        feature_lengths: Int[Tensor, " C"] | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
    ) -> AudioFeatures:
        """What ear and adaptor make of clips as the processor returns them, at 25 and 12.5 Hz."""

        def asked(given: bool | None, usual: bool | None) -> bool:
            return bool(usual if given is None else given)

        return audio_features(
            self.encoder, self.adapter, input_features, feature_lengths,
            hidden_states=asked(output_hidden_states, self.config.output_hidden_states),
            attentions=asked(output_attentions, self.config.output_attentions),
        )  # fmt: skip


class StepAudio2Encoder(Hears, PreTrainedModel):
    """Encoder and adaptor of a checkpoint, without its decoder."""

    config_class = StepAudio2EncoderConfig
    config: StepAudio2EncoderConfig
    main_input_name = "input_features"
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    _no_split_modules = ["EncoderBlock"]
    _keys_to_ignore_on_load_unexpected = [r"^model\.", r"^lm_head\.", r"^score\."]

    def __init__(self, config: StepAudio2EncoderConfig) -> None:
        super().__init__(config)
        self.encoder = AudioEncoder(config)
        self.adapter = Adaptor(config)
        self.post_init()

    forward = Hears.get_audio_features
