"""The ear alone, for who needs features and no words.

`StepAudio2Encoder` opens the encoder and the adaptor of any checkpoint of the family; every model
of the family gives the same by `get_audio_features`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from auscult.model.config import StepAudio2EncoderConfig
from auscult.model.encoder import Adaptor, AudioEncoder, audio_tokens, pooled_frames


@dataclass
class AudioFeatures(ModelOutput):
    """What the ear makes of C clips. Rows are padded with zeros; masks are true inside a clip.

    Example: a clip of one second has 25 features and 13 vectors.
        features        [C, P, S]  25 Hz, of the encoder
        feature_counts  [C]
        feature_mask    [C, P]
        vectors         [C, N, D]  12.5 Hz, of the adaptor: what the decoder reads
        vector_counts   [C]
        vector_mask     [C, N]
    """

    features: Float[Tensor, "C P S"] | None = None
    feature_counts: Int[Tensor, " C"] | None = None
    feature_mask: Bool[Tensor, "C P"] | None = None
    vectors: Float[Tensor, "C N D"] | None = None
    vector_counts: Int[Tensor, " C"] | None = None
    vector_mask: Bool[Tensor, "C N"] | None = None


def audio_features(
    encoder: AudioEncoder, adapter: Adaptor, input_features: Float[Tensor, "C M L"],
    feature_lengths: Int[Tensor, " C"],
) -> AudioFeatures:  # fmt: skip
    """Both rates of features of clips as the processor returns them."""
    features = encoder(input_features.to(encoder.conv1.weight.dtype), feature_lengths)
    counts = pooled_frames(feature_lengths)
    vectors = adapter(features)
    heard = torch.tensor([audio_tokens(int(n)) for n in feature_lengths], device=counts.device)
    vectors = vectors[:, : int(heard.max())]
    mask = _inside(heard, vectors.shape[1])
    return AudioFeatures(
        features=features,
        feature_counts=counts,
        feature_mask=_inside(counts, features.shape[1]),
        vectors=vectors * mask[..., None],
        vector_counts=heard,
        vector_mask=mask,
    )


def _inside(counts: Tensor, width: int) -> Tensor:
    return torch.arange(width, device=counts.device)[None] < counts[:, None]


class StepAudio2Encoder(PreTrainedModel):
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

    def forward(
        self, input_features: Float[Tensor, "C M L"], feature_lengths: Int[Tensor, " C"]
    ) -> AudioFeatures:
        """Features of clips as the processor returns them."""
        return audio_features(self.encoder, self.adapter, input_features, feature_lengths)
