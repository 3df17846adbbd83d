"""The judge-free rival of the verifier: how much does each thought token lean on the audio?

MAPO (arXiv 2605.27741): the entropy of the next token without the audio minus with it. Positive
where hearing narrows down what comes next. MAPO weights by the absolute value, which also rewards
tokens where audio *raises* the entropy; here the signed gap is kept beside it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auscult.model.processor import StepAudio2Processor, pad_batch, plain_ids, special_id
from auscult.types import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class EntropyGap:
    """Per token of the thought, in nats.

    Example: "I hear C4" -> tokens ("I", " hear", " C4"), gap (0.0, 0.1, 2.3): the note's name is
    open without the sound and certain with it.
        mean      of the signed gap: the score of the thought
        weights   MAPO's token weights min(T softmax(|gap| / tau), 5), tau = ln T
    """

    tokens: tuple[str, ...]
    gap: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean signed gap; nan for an empty thought."""
        return sum(self.gap) / len(self.gap) if self.gap else math.nan


def entropy(logits: Float[Tensor, "T V"]) -> Float[Tensor, " T"]:
    """Shannon entropy of the softmax, in nats, computed in float32."""
    logp = torch.log_softmax(logits.float(), dim=-1)
    return -(logp.exp() * logp).sum(dim=-1)


def mapo_weights(
    gap: Float[Tensor, " T"], *, tau_base: float = 1.0, cap: float = 5.0
) -> Float[Tensor, " T"]:
    """min(T softmax(|gap| / tau), cap) with tau = tau_base ln T. Attention terms are left out."""
    n = len(gap)
    tau = max(tau_base * math.log(max(n, 2)), 1e-6)
    return torch.clamp(n * torch.softmax(gap.abs() / tau, dim=0), max=cap)


@torch.no_grad()
def entropy_gap(
    model: Any, processor: StepAudio2Processor, turns: Sequence[Turn], thought: str
) -> EntropyGap:
    """The gap of a thought in reply to a conversation with clips.

    Two forward passes: with the conversation as it is, and with every clip left out of it. Raises
    `ValueError` where there is no clip to leave out.
    """
    if not any(turn.clips for turn in turns):
        raise ValueError("the entropy gap needs a conversation with at least one clip")
    ids = plain_ids(processor.tokenizer, f"<think>\n{thought}")
    opening = len(plain_ids(processor.tokenizer, "<think>\n"))
    heard = _entropies(model, processor, turns, ids)
    deaf = _entropies(model, processor, [replace(turn, clips=()) for turn in turns], ids)
    gap = (deaf - heard)[opening:]
    words = tuple(str(processor.tokenizer.decode([token])) for token in ids[opening:])
    weights = mapo_weights(gap) if len(gap) else gap
    return EntropyGap(tokens=words, gap=tuple(gap.tolist()), weights=tuple(weights.tolist()))


def _entropies(
    model: Any, processor: StepAudio2Processor, turns: Sequence[Turn], reply: Sequence[int]
) -> Float[Tensor, " T"]:
    """Entropy of the model's prediction of every token of the reply."""
    text, clips = processor.render(turns)
    mels = [processor.features(clip) for clip in clips]
    prompt = processor.token_ids(text, [m.shape[1] for m in mels])
    batch = pad_batch([[*prompt, *reply]], mels, special_id(processor.tokenizer, "pad") or 0)
    where = {k: v.to(model.device) for k, v in batch.items()}
    logits = model(**where).logits[0]
    return entropy(logits[len(prompt) - 1 : -1]).cpu()
