"""From batches to log-probabilities and values: the forward passes that all three loops share.

`Actor` and `Critic` wrap a model so that one call of `forward` does everything: what FSDP2 gathers
its shards for, and what stays the same for one process.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from auscult.model import StepAudio2ForCausalLM
from auscult.train.feed.batch import Batch
from auscult.train.losses import token_logprobs


def heard(model: StepAudio2ForCausalLM, batch: Batch) -> Batch:
    """The batch with the frozen encoder's output in place of its features: the sound of a prompt is
    encoded once for actor, critic and all updates."""
    if batch.input_features is None or batch.feature_lengths is None:
        return batch
    with torch.no_grad():
        mel = batch.input_features.to(next(model.encoder.parameters()).dtype)
        features = model.encoder(mel, batch.feature_lengths)
    return replace(batch, heard=features, input_features=None)


def states(model: StepAudio2ForCausalLM, batch: Batch) -> Float[Tensor, "n D"]:
    """Decoder states at the positions that predict the trained tokens."""
    vectors = None
    if batch.feature_lengths is not None:
        features = batch.heard
        if features is None:
            assert batch.input_features is not None
            features = model.encoder(batch.input_features, batch.feature_lengths)
        vectors = model.project(features, batch.feature_lengths)
    embeds = model.splice(batch.input_ids, vectors)
    if vectors is None:  # sharded processes add up gradients of the same weights, or hang
        embeds = embeds + sum(0.0 * p.sum() for p in model.adapter.parameters())
    out = model.body(
        inputs_embeds=embeds,
        attention_mask=batch.attention(embeds.dtype),
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    assert out is not None
    return out.flatten(0, 1)[batch.source]


class Actor(nn.Module):
    """batch -> (log-probabilities [n] of the replies' tokens, entropies [n])."""

    def __init__(self, model: StepAudio2ForCausalLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return token_logprobs(states(self.model, batch), self.model.lm_head.weight, batch.targets)


class Critic(nn.Module):
    """batch -> values V(s_t) [n]: one number for the state before each reply token.

    A body of its own with the same ears as the actor (paper section 4.3 implies a value network and
    does not describe it): the sound reaches it through the prompt, so it can know what is hard to
    hear. The head starts at zero.
    """

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.model = body
        self.score = nn.Linear(width, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, batch: Batch) -> Tensor:
        found = states(self.model, batch)  # pyright: ignore[reportArgumentType]
        return self.score(found.to(self.score.weight.dtype)).float()[:, 0]


def autocast(device: torch.device, bf16: bool) -> AbstractContextManager[object]:
    """bf16 matrix products where the stage computes in bf16."""
    return torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()
