"""The ear: Whisper-style encoder (25 Hz) and adaptor (12.5 Hz), with the published weight names.

Shapes: B clips, M mel bins, L mel frames (100 Hz), F frames at 50 Hz, P pooled frames (25 Hz),
N audio tokens (12.5 Hz), S encoder width, D decoder width.

Padding policy. The published code lets padding of a batch leak through the convolutions, so that
a clip's features depend on its neighbours. Here whatever lies beyond a clip's own frames is zero
before each convolution (the processor pads with zeros, the rest is masked), which makes a batch
equal to its clips one by one, and each clip equal to the published single-clip path.
"""

from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer

from auscult.model.config import StepAudio2EncoderConfig

Count = TypeVar("Count", int, Tensor)

PAD_FRAMES = 2
"""Mel frames that come from the 479 zeros appended to every clip; they never count as sound."""


def audio_tokens(frames: int) -> int:
    """Audio tokens N of a clip with `frames` mel frames (padding frames included).

    The one formula used by processor, model and engine; it is that of the released client
    (`compute_token_num`), not that of the vLLM fork, which differs by one for a quarter of lengths.
    1 s (102 frames) -> 13, 10 s -> 125, 25 s -> 313.
    """
    return (pooled_frames(frames - PAD_FRAMES) - 1) // 2 + 1


def pooled_frames(frames: Count) -> Count:
    """Encoder frames at 25 Hz of `frames` mel frames: a strided convolution, then pooling."""
    return (frames + 1) // 2 // 2


def _valid(lengths: Tensor, total: int) -> Tensor:
    """Boolean [B, total], true where a position lies inside its row's length."""
    return torch.arange(total, device=lengths.device)[None] < lengths[:, None]


class EncoderAttention(nn.Module):
    """Whisper's attention: key without bias; `mask` [B, F] is true where a frame is sound."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        if x.device.type == "cpu":  # the CPU kernel's bf16 backward is 3x slower than its fp32 one
            with torch.autocast("cpu", enabled=False):
                mixed = _attend(q.float(), k.float(), v.float(), mask).to(v.dtype)
        else:
            mixed = _attend(q, k, v, mask)
        return self.out(mixed.transpose(1, 2).flatten(2))


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None])


class EncoderBlock(GradientCheckpointingLayer):
    """Pre-norm attention and MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = EncoderAttention(width, heads)
        self.attn_ln = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.mlp_ln = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attn(self.attn_ln(x), mask)
        return x + self.mlp(self.mlp_ln(x))


class AudioEncoder(nn.Module):
    """Log-mel [B, M, L] to features [B, P, S] at 25 Hz."""

    def __init__(self, config: StepAudio2EncoderConfig) -> None:
        super().__init__()
        width = config.n_audio_state
        self.conv1 = nn.Conv1d(config.n_mels, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.positional_embedding = nn.Embedding(config.n_audio_ctx, width)
        self.blocks = nn.ModuleList(
            EncoderBlock(width, config.n_audio_head) for _ in range(config.n_audio_layer)
        )
        self.after_norm = nn.LayerNorm(width)

    def hidden(self, mel: Float[Tensor, "B M L"], frames: Int[Tensor, " B"]) -> Tensor:
        """Frames at 50 Hz [B, F, S] before pooling: Whisper's encoder without its last norm."""
        if mel.shape[1] != self.conv1.in_channels:
            raise ValueError(
                f"features of {mel.shape[1]} mel bins came to an encoder of "
                f"{self.conv1.in_channels}; processor and model must agree on n_mels"
            )
        if len(mel) != len(frames):
            raise ValueError(
                f"{len(mel)} clips came with {len(frames)} lengths; give one length for each clip"
            )
        limit = self.positional_embedding.num_embeddings
        if mel.shape[-1] > 2 * limit:
            raise ValueError(
                f"a clip of {mel.shape[-1]} mel frames is longer than the {2 * limit} that the "
                "encoder has positions for; cut it into chunks of at most 25 s first"
            )
        x = F.gelu(self.conv1(mel)) * _valid(frames, mel.shape[-1])[:, None]
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        # Called and not indexed: what moves weights on demand hooks into the call.
        x = x + self.positional_embedding(torch.arange(x.shape[1], device=x.device))
        mask = _valid((frames - PAD_FRAMES + 1) // 2, x.shape[1])
        for block in self.blocks:
            x = block(x, mask)
        return x

    def forward(self, mel: Float[Tensor, "B M L"], frames: Int[Tensor, " B"]) -> Tensor:
        x = self.hidden(mel, frames)
        x = F.avg_pool1d(x.transpose(1, 2), 2, stride=2).transpose(1, 2)
        x = self.after_norm(x)
        return x * _valid(pooled_frames(frames), x.shape[1])[:, :, None]


class Adaptor(nn.Module):
    """Encoder features [B, P, S] to audio tokens [B, N, D]: strided convolution and two layers."""

    def __init__(self, config: StepAudio2EncoderConfig) -> None:
        super().__init__()
        width = config.n_audio_state
        self.conv = nn.Conv1d(
            width, width, config.kernel_size, stride=config.adapter_stride, padding=1
        )
        self.linear1 = nn.Linear(width, config.adapter_state)
        self.linear2 = nn.Linear(config.adapter_state, config.llm_dim)

    def forward(self, x: Float[Tensor, "B P S"]) -> Float[Tensor, "B N D"]:
        x = F.gelu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        return self.linear2(F.relu(self.linear1(x)))
