"""The decoder again, for generation only: fused weights and a key-value cache of our own.

Rows of the cache are independent: each holds its sequence from position 0 and knows its length, so
a finished row can be refilled, shortened or moved without touching the others.

Shapes: B rows, T positions, H heads, K key-value heads, G = H / K, E head width, D width.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from auscult.model import StepAudio2PreTrainedModel


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer: query, key and value in one matrix, gate and up in another; all matrices
    stand as [inputs, outputs], which a CPU multiplies up to twice as fast at small batches."""

    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    gate_up: Tensor
    down: Tensor
    norm_1: Tensor
    norm_2: Tensor


def _plain(module: nn.Module, name: str) -> nn.Linear:
    if type(module) is not nn.Linear:
        raise TypeError(
            f"the engine needs plain linear layers, but {name} is {type(module).__name__}; merge "
            "adapters (merge_and_unload) or use model.generate for quantised models"
        )
    return module


def _ready(weight: Tensor) -> Tensor:
    """Transposed once for float32 on a CPU; other kernels like the stored order as it is."""
    weight = weight.detach()
    on_cpu = weight.device.type == "cpu" and weight.dtype == torch.float32
    return weight.t().contiguous() if on_cpu else weight.t()


def _fuse(layer: nn.Module) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp  # pyright: ignore
    q, k, v = (_plain(getattr(attention, n), n) for n in ("q_proj", "k_proj", "v_proj"))
    gate, up = _plain(mlp.gate_proj, "gate_proj"), _plain(mlp.up_proj, "up_proj")  # pyright: ignore
    biases: Any = [p.bias for p in (q, k, v)]  # None where the model was built without them
    bias = None if biases[0] is None else torch.cat(biases).detach()
    return Layer(
        qkv=_ready(torch.cat([q.weight, k.weight, v.weight])),
        qkv_bias=bias,
        out=_ready(_plain(attention.o_proj, "o_proj").weight),  # pyright: ignore
        gate_up=_ready(torch.cat([gate.weight, up.weight])),
        down=_ready(_plain(mlp.down_proj, "down_proj").weight),  # pyright: ignore
        norm_1=layer.input_layernorm.weight.detach(),  # pyright: ignore
        norm_2=layer.post_attention_layernorm.weight.detach(),  # pyright: ignore
    )


class Cache:
    """Keys and values of all layers, [layers, 2, B, K, capacity, E], and the length of each row."""

    def __init__(self, data: Tensor, lengths: Int[Tensor, " B"]) -> None:
        self.data, self.lengths = data, lengths

    def keep(self, rows: Tensor) -> None:
        """Only these rows remain."""
        self.data = self.data[:, :, rows]
        self.lengths = self.lengths[rows]

    def copy(self, sources: Tensor, rows: Tensor, longest: int) -> None:
        """Rows become copies of `sources`, of which no position is above `longest`."""
        self.data[:, :, rows, :, :longest] = self.data[:, :, sources, :, :longest]
        self.lengths[rows] = self.lengths[sources]


class FastDecoder:
    """Fused weights of one model. `sync` reads them again after the model has been trained."""

    def __init__(self, model: StepAudio2PreTrainedModel) -> None:
        self.model = model
        config = model.config.text_config
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_width = config.hidden_size // self.heads
        self.eps = config.rms_norm_eps
        self.limit = config.max_position_embeddings
        self.sync()

    def sync(self) -> None:
        """Fuse the model's present weights."""
        places = {p.device for p in self.model.parameters()}
        if len(places) > 1:
            raise ValueError(
                f"the engine needs the model on one device, but it is spread over {len(places)}; "
                "use model.generate, or load it without device_map"
            )
        self.layers = [_fuse(layer) for layer in self.model.model.layers]
        self.norm = self.model.model.norm.weight.detach()
        self.head = _ready(self.model.lm_head.weight)  # pyright: ignore
        self.device, self.dtype = self.norm.device, self.norm.dtype

    def empty_cache(self, rows: int, capacity: int) -> Cache:
        """A cache of `rows` empty rows."""
        shape = (len(self.layers), 2, rows, self.kv_heads, capacity, self.head_width)
        data = torch.zeros(shape, device=self.device, dtype=self.dtype)
        return Cache(data, torch.zeros(rows, dtype=torch.long, device=self.device))

    def _rotation(self, positions: Int[Tensor, "B T"]) -> tuple[Tensor, Tensor]:
        cos, sin = self.model.model.rotary_emb(self.norm, positions)
        return cos[:, None], sin[:, None]

    def _project(
        self, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries [B, H, T, E] and keys, and values [B, K, T, E]."""
        h = F.rms_norm(x, x.shape[-1:], layer.norm_1, self.eps)
        fused = h @ layer.qkv if layer.qkv_bias is None else h @ layer.qkv + layer.qkv_bias
        fused = fused.unflatten(-1, (-1, self.head_width))
        fused = fused.transpose(1, 2)
        qk, v = fused[:, : self.heads + self.kv_heads], fused[:, self.heads + self.kv_heads :]
        half = self.head_width // 2
        turned = torch.cat([-qk[..., half:], qk[..., :half]], dim=-1)
        qk = qk * cos + turned * sin
        return qk[:, : self.heads], qk[:, self.heads :], v

    def _finish(self, layer: Layer, x: Tensor, mixed: Float[Tensor, "B H T E"]) -> Tensor:
        x = x + mixed.transpose(1, 2).flatten(2) @ layer.out
        h = F.rms_norm(x, x.shape[-1:], layer.norm_2, self.eps)
        gate, up = (h @ layer.gate_up).chunk(2, dim=-1)
        return x + (F.silu(gate) * up) @ layer.down

    def logits(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B V"]:
        """Next-token logits of normalised states, float32."""
        x = F.rms_norm(x, x.shape[-1:], self.norm, self.eps)
        return (x @ self.head).float()

    def prefill(
        self, embeds: Float[Tensor, "b T D"], lengths: Int[Tensor, " b"], cache: Cache, rows: Tensor
    ) -> Float[Tensor, "b V"]:
        """Read right-padded prompts into `rows` of the cache; logits after each prompt's end."""
        positions = torch.arange(embeds.shape[1], device=self.device)[None]
        cos, sin = self._rotation(positions)
        x = embeds
        for number, layer in enumerate(self.layers):
            q, k, v = self._project(layer, x, cos, sin)
            cache.data[number, 0, rows, :, : x.shape[1]] = k
            cache.data[number, 1, rows, :, : x.shape[1]] = v
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            x = self._finish(layer, x, mixed)
        cache.lengths[rows] = lengths
        last = x[torch.arange(len(x), device=self.device), lengths - 1]
        return self.logits(last)

    def step(self, tokens: Int[Tensor, " B"], cache: Cache, longest: int) -> Float[Tensor, "B V"]:
        """One token for every row of the cache; `longest` bounds all lengths after this step."""
        x = self.model.model.embed_tokens(tokens)[:, None]
        cos, sin = self._rotation(cache.lengths[:, None])
        rows = torch.arange(len(tokens), device=self.device)
        beyond = torch.arange(longest, device=self.device) > cache.lengths[:, None]
        bias = torch.zeros_like(beyond, dtype=self.dtype).masked_fill_(beyond, -torch.inf)
        bias = bias[:, None, None]
        for number, layer in enumerate(self.layers):
            q, k, v = self._project(layer, x, cos, sin)
            cache.data[number, 0, rows, :, cache.lengths] = k[:, :, 0]
            cache.data[number, 1, rows, :, cache.lengths] = v[:, :, 0]
            keys, values = cache.data[number, :, :, :, :longest]
            # Heads that share keys stand as several queries of one head: no key is copied.
            grouped = q.reshape(len(tokens), self.kv_heads, -1, self.head_width)
            mixed = F.scaled_dot_product_attention(grouped, keys, values, attn_mask=bias)
            x = self._finish(layer, x, mixed.reshape(len(tokens), self.heads, 1, self.head_width))
        cache.lengths += 1
        return self.logits(x[:, 0])
