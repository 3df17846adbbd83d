"""The audio language model as `transformers` classes: encoder, adaptor, Qwen2 decoder.

Clips travel as one batch of mel features beside the token ids: `input_features` [C, M, L] for the C
clips of all rows in reading order, and `feature_lengths` [C] (mel frames of each). Every
`<audio_patch>` token of `input_ids`, in order, receives one audio vector.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GenerationMixin, PreTrainedModel, Qwen2Model
from transformers.modeling_outputs import (
    BaseModelOutputWithPast,
    CausalLMOutputWithPast,
    TokenClassifierOutput,
)
from transformers.utils.generic import can_return_tuple

from auscult.model.config import StepAudio2Config
from auscult.model.encoder import Adaptor, AudioEncoder, audio_tokens
from auscult.model.listening import Hears


class StepAudio2PreTrainedModel(Hears, PreTrainedModel):
    """What all heads share: initialisation, splicing of sound into text, and the body."""

    config_class = StepAudio2Config
    config: StepAudio2Config
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    _no_split_modules = ["Qwen2DecoderLayer", "EncoderBlock"]
    _supports_sdpa = True
    _supports_flash_attn = True
    input_modalities = ["audio", "text"]
    model: Qwen2Model

    def _build_body(self, config: StepAudio2Config) -> None:
        self.model = Qwen2Model(config.text_config)
        self.encoder = AudioEncoder(config.audio_encoder_config)
        self.adapter = Adaptor(config.audio_encoder_config)

    def get_input_embeddings(self) -> nn.Module:
        return self.model.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.embed_tokens = value  # pyright: ignore[reportAttributeAccessIssue]

    def get_decoder(self) -> nn.Module:
        """The Qwen2 stack alone."""
        return self.model

    @property
    def base_model(self) -> "StepAudio2Model":
        """The body without its head: hears, and gives states. It shares the weights."""
        view = StepAudio2Model.__new__(StepAudio2Model)
        nn.Module.__init__(view)
        own = {"_modules", "_parameters", "_buffers"}
        view.__dict__.update({k: v for k, v in self.__dict__.items() if k not in own})
        for name in ("model", "encoder", "adapter"):
            setattr(view, name, getattr(self, name))
        return view

    def freeze_encoder(self) -> None:
        """The encoder never learns after pretraining (paper section 2)."""
        self.encoder.requires_grad_(False)

    def project(
        self, features: Float[Tensor, "C P S"], feature_lengths: Int[Tensor, " C"]
    ) -> Float[Tensor, "T D"]:
        """Encoder features to the audio vectors of all clips one after another,
        T = sum of `audio_tokens(length)`."""
        vectors = self.adapter(features)
        counts = [audio_tokens(int(n)) for n in feature_lengths]
        return torch.cat([row[:n] for row, n in zip(vectors, counts, strict=True)])

    def splice(
        self, input_ids: Int[Tensor, "B T"], vectors: Float[Tensor, "n D"] | None
    ) -> Float[Tensor, "B T D"]:
        """Token embeddings with the audio vectors in place of the `<audio_patch>` tokens.

        Raises `ValueError` where the number of patches and of vectors differ.
        """
        embeds = self.model.embed_tokens(input_ids)
        patch = input_ids == self.config.audio_patch_token_id
        found, given = int(patch.sum()), 0 if vectors is None else len(vectors)
        if found != given:
            raise ValueError(
                f"the prompt holds {found} <audio_patch> tokens but the audio gives {given} "
                "vectors; pass input_ids, input_features and feature_lengths as the processor "
                "returns them"
            )
        if vectors is None:
            return embeds
        return embeds.masked_scatter(patch[..., None], vectors.to(embeds))

    def embed(
        self,
        input_ids: Int[Tensor, "B T"],
        input_features: Float[Tensor, "C M L"] | None = None,
        feature_lengths: Int[Tensor, " C"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Text and sound as decoder inputs."""
        if input_features is None or feature_lengths is None:
            return self.splice(input_ids, None)
        mel = input_features.to(self.encoder.conv1.weight.dtype)
        features = self.encoder(mel, feature_lengths)
        return self.splice(input_ids, self.project(features, feature_lengths))

    def body(
        self,
        input_ids: Tensor | None = None,
        input_features: Tensor | None = None,
        feature_lengths: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Decoder states [B, T, D] of text with sound in it; left or right padding by the mask."""
        if inputs_embeds is None:
            if input_ids is None:
                raise ValueError("pass input_ids or inputs_embeds; neither came")
            cache = kwargs.get("past_key_values")
            if input_features is None and cache is not None and cache.get_seq_length() > 0:
                # A patch that the model wrote itself is a word like others: it has no sound.
                embeds: Tensor = self.model.embed_tokens(input_ids)
            else:
                embeds = self.embed(input_ids, input_features, feature_lengths)
        else:
            embeds = inputs_embeds
        if position_ids is None and attention_mask is not None and attention_mask.ndim == 2:
            positions = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
            position_ids = positions[:, -embeds.shape[1] :]
        return self.model(
            inputs_embeds=embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            **kwargs,
        )


class StepAudio2Model(StepAudio2PreTrainedModel):
    """The body alone: states of text with sound in it (`AutoModel`)."""

    _keys_to_ignore_on_load_unexpected = [r"^lm_head\.", r"^score\."]

    def __init__(self, config: StepAudio2Config) -> None:
        super().__init__(config)
        self._build_body(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        input_features: Tensor | None = None,
        feature_lengths: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """States [B, T, D] of the last layer, and of all with `output_hidden_states`."""
        return self.body(input_ids, input_features, feature_lengths, attention_mask, **kwargs)


class StepAudio2ForCausalLM(StepAudio2PreTrainedModel, GenerationMixin):
    """Listens, thinks, answers."""

    _tp_plan = {"lm_head": "colwise_gather_output"}
    _pp_plan = {"lm_head": (["hidden_states"], ["logits"])}  # pyright: ignore[reportAssignmentType]
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config: StepAudio2Config) -> None:
        super().__init__(config)
        self._build_body(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        input_features: Tensor | None = None,
        feature_lengths: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        num_items_in_batch: Tensor | int | None = None,
        shift_labels: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits [B, T, V]; with `labels` [B, T] (-100 = not trained on) also the mean loss, over
        `num_items_in_batch` tokens where a trainer that accumulates gradients says so.
        `shift_labels`: labels that stand one place earlier already, as sequence parallelism has
        them."""
        out = self.body(
            input_ids, input_features, feature_lengths, attention_mask, position_ids,
            inputs_embeds, **kwargs,
        )  # fmt: skip
        states = out.last_hidden_state
        assert states is not None
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(states[:, keep])
        loss = None
        if labels is not None or shift_labels is not None:
            mean_loss: Any = self.loss_function
            loss = mean_loss(
                logits=logits, labels=labels, vocab_size=logits.shape[-1],
                num_items_in_batch=num_items_in_batch, shift_labels=shift_labels,
            )  # fmt: skip
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=out.past_key_values,
            hidden_states=out.hidden_states,
            attentions=out.attentions,
        )

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """The sound is heard once: later steps find it in the cache."""
        base: Any = super()
        inputs = base.prepare_inputs_for_generation(input_ids, *args, **kwargs)
        cache = inputs.get("past_key_values")
        if cache is not None and cache.get_seq_length() > 0:
            inputs["input_features"] = inputs["feature_lengths"] = None
        return inputs

    def _expand_inputs_for_generation(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, expand_size: int = 1, input_ids: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Several replies per prompt: all clips of a row are repeated together."""
        features, lengths = kwargs.pop("input_features", None), kwargs.pop("feature_lengths", None)
        base: Any = super()
        ids, inputs = base._expand_inputs_for_generation(
            expand_size=expand_size, input_ids=input_ids, **kwargs
        )
        if features is not None and input_ids is not None:
            per_row = (input_ids == self.config.audio_start_token_id).sum(1).tolist()
            blocks = torch.arange(len(features), device=features.device).split(per_row)
            order = torch.cat([block for block in blocks for _ in range(expand_size)])
            features, lengths = features[order], lengths[order]
        return ids, inputs | {"input_features": features, "feature_lengths": lengths}


class StepAudio2ForTokenClassification(StepAudio2PreTrainedModel):
    """The critic: one scalar per token from the same audio-conditioned body (paper section 4.3)."""

    def __init__(self, config: StepAudio2Config) -> None:
        super().__init__(config)
        self._build_body(config)
        self.score = nn.Linear(config.hidden_size, 1)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        input_features: Tensor | None = None,
        feature_lengths: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> TokenClassifierOutput:
        """Values [B, T, 1] as `logits`, the name that `transformers` gives a per-token head; with
        `labels` [B, T] (NaN = not known) also their mean squared error."""
        out = self.body(input_ids, input_features, feature_lengths, attention_mask, **kwargs)
        values = self.score(out.last_hidden_state)
        loss = None
        if labels is not None:
            known = ~torch.isnan(labels)
            loss = F.mse_loss(values[..., 0][known], labels[known].to(values.dtype))
        return TokenClassifierOutput(
            loss=loss,
            logits=values,
            hidden_states=out.hidden_states,
            attentions=out.attentions,
        )
