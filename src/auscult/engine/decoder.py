"""The decoder again, for generation only: fused weights, and a cache whose lines are independent.

Shapes: B rows, T positions, H heads, K key-value heads, E head width, D width, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from auscult.engine.cache import FIRST_TIER, Cache, Line, Tier, span
from auscult.model import StepAudio2PreTrainedModel

_LEAST = 4
"""Fewer queries than this take another path through the CPU's kernels, with other rounding."""


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
        positions = torch.arange(span(self.limit), device=self.device)
        cos, sin = self.model.model.rotary_emb(self.norm, positions[None])
        self.cos, self.sin = cos[0].detach(), sin[0].detach()  # [limit, E]

    def cache(self) -> Cache:
        """An empty cache for this model."""

        def empty(places: int, capacity: int) -> Tensor:
            shape = (len(self.layers), 2, places, self.kv_heads, capacity, self.head_width)
            # Zeros: what is masked is multiplied by 0, which not every bit pattern survives.
            if self.device.type != "cpu":
                return torch.zeros(shape, device=self.device, dtype=self.dtype)
            # From numpy, because its zeros cost nothing until they are written to.
            whole = np.zeros(shape, f"i{self.dtype.itemsize}")
            return torch.from_numpy(whole).view(self.dtype)

        return Cache(empty, self.limit)

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
        h = F.rms_norm(x, x.shape[-1:], self.norm, self.eps)
        h = h if len(h) > 1 else h.expand(2, -1)  # a single row would be rounded otherwise
        return (h @ self.head).float()[: len(x)]

    def extend(self, parts: Sequence[tuple[Line, Tensor]], cache: Cache) -> list[Tensor]:
        """Read inputs [T, D] into each of these lines from its present length on, all in one pass
        and none padded to another; the states [D] after the last input of each."""
        for line, embeds in parts:
            cache.make_room(line, line.length + len(embeds) + 1)
        pieces: list[_Piece] = []
        inputs: list[Tensor] = []
        for line, embeds in parts:
            # Queries on both sides of the first tier's end see other numbers of keys.
            first = max(0, min(len(embeds), FIRST_TIER - line.length))
            for some in (embeds[:first], embeds[first:]):
                if len(some):
                    pieces.append(self._piece(cache, line, len(some), pieces))
                    inputs.append(F.pad(some, (0, 0, 0, pieces[-1].size - len(some))))
                    line.length += len(some)
            pieces[-1].last = True
        where = torch.cat([piece.where for piece in pieces])
        x = self._read(torch.cat(inputs)[None], self.cos[where], self.sin[where], pieces)
        return [x[0, piece.at + piece.count - 1] for piece in pieces if piece.last]

    def _piece(self, cache: Cache, line: Line, count: int, before: "list[_Piece]") -> "_Piece":
        tier, start, size = cache.tiers[line.tier], line.length, max(count, _LEAST)
        where = torch.arange(start, start + size, device=self.device).clamp_(max=len(self.cos) - 1)
        keys = min(span(start + count), tier.capacity)
        beyond = torch.arange(keys, device=self.device) > where[:, None]
        bias = torch.zeros_like(beyond, dtype=self.dtype).masked_fill_(beyond, -torch.inf)
        at = before[-1].at + before[-1].size if before else 0
        return _Piece(tier.data[:, :, line.place], start, count, at, size, where, bias)

    def _read(self, x: Tensor, cos: Tensor, sin: Tensor, pieces: "list[_Piece]") -> Tensor:
        """All layers, for the positions [1, T, D] of all pieces."""
        for number, layer in enumerate(self.layers):
            q, k, v = self._project(layer, x, cos, sin)
            for piece in pieces:
                piece.store(number, k, v)
            mixed = [piece.attend(number, q) for piece in pieces]
            x = self._finish(layer, x, torch.cat(mixed, 2) if len(mixed) > 1 else mixed[0])
        return x

    def step(self, tokens: Mapping[Line, int], cache: Cache) -> Float[Tensor, "B V"]:
        """Each of these lines reads its next token, for which there is room; logits after it, in
        the order given. Other lines of the cache ride along and stay as they are."""
        tiers = list(cache.busy())
        lines = [line for tier in tiers for line in tier.lines]
        # At least two rows: a single one takes another path, with other rounding.
        spare = [0] * (2 - len(lines))
        ids = [tokens.get(line, 0) if line is not None else 0 for line in lines] + spare
        lengths = [0 if line is None else line.length for line in lines] + spare
        where = torch.tensor(lengths, device=self.device)
        parts: list[_Part] = []
        for tier in tiers:
            parts.append(self._part(tier, where, parts[-1].end if parts else 0))
        x = self.model.model.embed_tokens(torch.tensor(ids, device=self.device))[:, None]
        x = self._through(x, where, parts)
        for line in tokens:
            line.length += 1
        logits = self.logits(x[:, 0])
        places = {line: row for row, line in enumerate(lines)}
        wanted = [places[line] for line in tokens]
        return logits if wanted == list(range(len(ids))) else logits[wanted]

    def _through(self, x: Tensor, where: Tensor, parts: "list[_Part]") -> Tensor:
        """All layers, for one position [B, 1, D] of every row."""
        cos, sin = self.cos[where][:, None, None], self.sin[where][:, None, None]
        for number, layer in enumerate(self.layers):
            q, k, v = self._project(layer, x, cos, sin)
            # Heads that share keys stand as several queries of one head: no key is copied.
            q = q.reshape(len(x), self.kv_heads, -1, self.head_width)
            mixed = [part.attend(number, q, k, v) for part in parts]
            if parts[-1].end < len(x):
                mixed.append(torch.zeros_like(q[parts[-1].end :]))
            heads = torch.cat(mixed) if len(mixed) > 1 else mixed[0]
            x = self._finish(layer, x, heads.reshape(len(x), self.heads, 1, self.head_width))
        return x

    def _part(self, tier: Tier, where: Tensor, at: int) -> "_Part":
        end, keys = at + len(tier.lines), tier.span()
        where = where[at:end]
        beyond = torch.arange(keys, device=self.device) > where[:, None]
        bias = torch.zeros_like(beyond, dtype=self.dtype).masked_fill_(beyond, -torch.inf)
        places = torch.arange(end - at, device=self.device)
        return _Part(
            data=tier.data, at=at, end=end, places=places, where=where, bias=bias[:, None, None]
        )


@dataclass(slots=True)
class _Piece:
    """`count` inputs of one line from its position `start` on: `size` queries from `at` on in a
    pass, the spare ones behind them. data [N, 2, K, C, E] is the line's place; last: of its part.
    """

    data: Tensor
    start: int
    count: int
    at: int
    size: int
    where: Tensor
    bias: Tensor
    last: bool = False

    def store(self, number: int, k: Tensor, v: Tensor) -> None:
        """Keep the new keys and values of a layer."""
        mine, end = slice(self.at, self.at + self.count), self.start + self.count
        self.data[number, 0, :, self.start : end] = k[0, :, mine]
        self.data[number, 1, :, self.start : end] = v[0, :, mine]

    def attend(self, number: int, q: Tensor) -> Tensor:
        """What the queries [1, H, size, E] find."""
        k, v = self.data[number, :, None, :, : self.bias.shape[-1]]
        mine = q[:, :, self.at : self.at + self.size]
        return F.scaled_dot_product_attention(mine, k, v, attn_mask=self.bias, enable_gqa=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The rows `at` to `end` of a step: a tier's places."""

    data: Tensor
    at: int
    end: int
    places: Tensor
    where: Tensor
    bias: Tensor

    def attend(self, number: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store the new keys and values of a layer; what the queries [B, K, G, E] find."""
        mine = slice(self.at, self.end)
        data = self.data[number]
        data[0][self.places, :, self.where] = k[mine, :, 0]
        data[1][self.places, :, self.where] = v[mine, :, 0]
        keys, values = data[:, : self.end - self.at, :, : self.bias.shape[-1]]
        return F.scaled_dot_product_attention(q[mine], keys, values, attn_mask=self.bias)
